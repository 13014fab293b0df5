"""The arguments of `train`, completed from the run to resume.

Each function takes the checkpoint of that run, or None for a new run, and the given arguments.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from ..recording_frames import recording_conditioning
from ..shown import shown
from ..spec import WaveNetSpec
from .checkpoint import Checkpoint
from .clip_frames import channels_of
from .conditioning import upsampling_of, with_frames, with_speakers, with_upsampling
from .listing import list_recordings
from .presets import preset_name
from .settings import LEAVE_OUT, Budget, Network, Recordings, Settings


def choose_settings(
    started: Checkpoint | None,
    network: Network,
    given: dict[str, Any],
    recordings: Recordings | None = None,
) -> Settings:
    """The given settings and defaults, or the settings of a run to resume.

    given       fields of Settings without the spec
    recordings  which show the speakers of a new run, and the channels of frames from files

    Raises ValueError for a value that differs from that of the run, or recordings without speakers
    or frames where they are needed, OSError for a missing folder.
    """
    if started is None:
        return Settings(spec=_with_shown(network.choose(None), network, recordings), **given)
    settings = started.settings
    _confirm_mel(settings.spec, network)
    _confirm_hop(started, network)
    _confirm_speakers(settings.spec, network)
    _confirm_upsample(settings.spec, network)
    _confirm_pre_emphasis(settings.spec, network)
    wanted = dataclasses.replace(settings, spec=network.choose(settings.spec), **given)
    preset, run_preset = network.preset, preset_name(settings.spec)
    if preset is not None and run_preset is not None and preset != run_preset:
        raise ValueError(
            f"preset is {shown(run_preset)} in this run, not {shown(preset)}: {LEAVE_OUT}"
        )
    settings.confirm(wanted, {"spec", *given})
    return settings


def _confirm_mel(spec: WaveNetSpec, network: Network) -> None:
    """Raises ValueError if another mel is given than that of a run's network."""
    if network.mel is None:
        return
    end, given = spec.conditioning, recording_conditioning(network.mel)
    if end is None or (end.features, end.pitch) != (given.features, given.pitch):
        old = "not given" if end is None or end.mel is None else shown(end.described)
        raise ValueError(f"mel is {old} in this run, not {shown(network.mel)}: {LEAVE_OUT}")


def _confirm_pre_emphasis(spec: WaveNetSpec, network: Network) -> None:
    """Raises ValueError if another pre-emphasis is given than a run's."""
    old, new = spec.codec.pre_emphasis, network.pre_emphasis
    if new is not None and new != old:
        raise ValueError(f"pre_emphasis is {old:g} in this run, not {new:g}: {LEAVE_OUT}")


def _confirm_hop(started: Checkpoint, network: Network) -> None:
    """Raises ValueError if another hop of frames from files is given than a run's."""
    if network.hop is None:
        return
    end, recordings = started.settings.spec.conditioning, started.recordings
    old = end.hop if end and recordings and recordings.frames is not None else "not given"
    if network.hop != old:
        raise ValueError(f"hop is {old} in this run, not {network.hop}: {LEAVE_OUT}")


def _confirm_speakers(spec: WaveNetSpec, network: Network) -> None:
    """Raises ValueError if a run with speakers is to have none, or the other way round."""
    old, new = bool(spec.conditioning and spec.conditioning.speakers), network.speakers_from_folders
    if new is not None and old != new:
        raise ValueError(f"speakers_from_folders is {old} in this run, not {new}: {LEAVE_OUT}")


def _confirm_upsample(spec: WaveNetSpec, network: Network) -> None:
    """Raises ValueError if another upsampling is given than that of a run's network."""
    old, new = upsampling_of(spec.conditioning), network.upsample
    if new is not None and old != new:
        raise ValueError(f"upsample is {old} in this run, not {new}: {LEAVE_OUT}")


def _with_shown(spec: WaveNetSpec, network: Network, recordings: Recordings | None) -> WaveNetSpec:
    """A new run's network with the speakers and the frames that its recordings show, upsampled."""
    frames = None if recordings is None else recordings.frames
    if network.mel is not None and frames is not None:
        raise ValueError("give either mel, frames of the audio, or frames from files, not both")
    if network.hop is not None and frames is None:
        raise ValueError("hop is that of frames from files: give their folder (--frames, frames=)")
    if recordings is not None and (frames is not None or network.speakers_from_folders):
        listing = list_recordings(recordings.source, recordings.validation)
        if frames is not None:
            files = listing.frames_files(Path(frames))
            if not files:
                return spec  # no recordings, which is refused where they are read
            spec = with_frames(spec, channels_of(files), network.hop)
        if network.speakers_from_folders:
            spec = with_speakers(spec, listing.train.speakers())
    return spec if network.upsample is None else with_upsampling(spec, network.upsample)


def choose_budget(started: Checkpoint | None, given: dict[str, Any], finished: bool) -> Budget:
    """The given budget, or else the default, or that of a run to resume.

    given     fields of Budget
    finished  whether all files of the run are written; a given budget must then be longer than
              the run has been

    Raises ValueError for a budget that is out of bounds or, in a finished run, too short.
    """
    if started is None:
        return Budget(**given)
    if not given:
        return started.budget
    budget, done = Budget(**given), started.progress
    if finished and budget.spent(done.steps, done.seconds) >= 1:
        raise ValueError(
            f"{budget} are spent: this run has taken {done.steps} steps and "
            f"{done.seconds / 60:.2f} minutes; give more minutes or steps, in all, to go on"
        )
    return budget


def choose_recordings(
    started: Checkpoint | None,
    source: str | os.PathLike[str] | None,
    validation: str | os.PathLike[str] | None,
    frames: str | os.PathLike[str] | None = None,
) -> Recordings:
    """The given recordings and frames, or those of a run to resume, at their present place.

    Raises ValueError if there is no source, or frames are given for a run without,
    FileNotFoundError if a place of the run is gone.
    """
    if source is None:
        source = _known_source(started)
    place = os.fsdecode(source)
    known = None if started is None else started.recordings
    if known is not None and known.frames is None and frames is not None:
        raise ValueError(
            f"frames is not given in this run, not {shown(os.fsdecode(frames))}: {LEAVE_OUT}"
        )
    if known is not None and validation is None:
        validation = _known_place(known.validation, "validation", known.source, place)
    if known is not None and frames is None:
        frames = _known_place(known.frames, "frames", known.source, place)
    others = [None if other is None else os.fsdecode(other) for other in (validation, frames)]
    return Recordings(place, *others)


def _known_source(started: Checkpoint | None) -> str:
    if started is None:
        raise ValueError(
            "no recordings to train on: expected a file or folder; "
            "only a run to resume (--resume, resume=True) finds its own again"
        )
    if started.recordings is None:
        raise ValueError(
            "this run, begun by an older version, has no note of its recordings: "
            "expected their file or folder"
        )
    return _still_there(started.recordings.source, "file or folder")


def _known_place(known: str | None, argument: str, source: str, place: str) -> str | None:
    """The place of an argument: inside a source that has moved to `place`, or as before."""
    if known is None:
        return None
    if Path(known).is_relative_to(source):
        moved = Path(place, Path(known).relative_to(source))
        if moved.exists():
            return str(moved)
    return _still_there(known, argument)


def _still_there(path: str, argument: str) -> str:
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"{shown(Path(path))}: this run's recordings are not there any more: "
            f"expected their new place as {argument}"
        )
    return path


def check_corpus(then: object, now: dict[str, dict]) -> None:
    """Raises ValueError naming the part in which two fingerprints of a corpus differ."""
    for part, use in (("train", "to train on"), ("validation", "held out")):
        old = then.get(part) if isinstance(then, dict) else None
        if old != now[part]:
            places = "source" + ", frames" * ("frames" in now[part]) + " and validation"
            raise ValueError(
                f"not the audio that this run began with: {use} were {_count(old)}, now "
                f"{_count(now[part])}; give the same {places}, or start another run"
            )


def _count(fingerprint: object) -> str:
    if not isinstance(fingerprint, dict):
        return "unknown files"
    files, samples, digest = (fingerprint.get(key) for key in ("files", "samples", "sha256"))
    of = f" of {shown(fingerprint['speakers'])} speakers" if "speakers" in fingerprint else ""
    frames = shown(str(fingerprint["frames"])[:12]) if "frames" in fingerprint else ""
    return (
        f"{shown(samples)} samples in {shown(files)} file{'s' * (files != 1)}{of} "
        f"(sha256 {shown(str(digest)[:12])}{frames and f', of the frames {frames}'})"
    )
