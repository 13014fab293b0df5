"""The arguments of `train`, completed from the run to resume.

Each function takes the checkpoint of that run, or None for a new run, and the given arguments.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ..listing import list_recordings
from ..recording_frames import recording_conditioning
from ..shown import shown
from ..spec import WaveNetSpec
from .checkpoint import Checkpoint
from .clip_frames import channels_of
from .conditioning import upsampling_of, with_frames, with_speakers, with_upsampling
from .network import Network
from .presets import preset_name
from .settings import Budget, Recordings, Settings

NOT_GIVEN = "not given"


@dataclass(frozen=True)
class Kept:
    """The network of a run or of a model file, from which no given argument may differ.

    place   in an error, behind the value there
    advice  for a user who gave another value
    """

    spec: WaveNetSpec
    place: str
    advice: str

    def confirm_conditioning(self, network: Network) -> None:
        """Raises ValueError if an argument is of another conditioning or codec than this one."""
        self._confirm_mel(network.mel)
        end, folders = self.spec.conditioning, network.speakers_from_folders
        self._confirm("speakers_from_folders", bool(end and end.speakers), folders, str)
        self._confirm("upsample", upsampling_of(end), network.upsample, str)
        self._confirm("pre_emphasis", self.spec.codec.pre_emphasis, network.pre_emphasis)

    def confirm_settings(self, settings: Settings, network: Network, given: dict[str, Any]) -> None:
        """Raises ValueError if `given` or the network's sizes are others than in `settings`."""
        own = preset_name(self.spec)
        wanted = dataclasses.replace(settings, spec=network.choose(settings.spec), **given)
        if own is not None:
            self._confirm("preset", own, network.preset)
        for name, old, new in settings.differences(wanted, {"spec", *given}):
            self.refuse(name, shown(old), shown(new))

    def _confirm_mel(self, mel: str | None) -> None:
        if mel is None:
            return
        end, given = self.spec.conditioning, recording_conditioning(mel)
        if end is None or (end.features, end.pitch) != (given.features, given.pitch):
            old = NOT_GIVEN if end is None or end.mel is None else shown(end.described)
            self.refuse("mel", old, shown(mel))

    def _confirm(
        self, name: str, old: object, new: object, show: Callable[[object], str] = shown
    ) -> None:
        if new is not None and new != old:
            self.refuse(name, show(old), show(new))

    def refuse(self, name: str, old: str, new: str) -> NoReturn:
        """Raises ValueError."""
        raise ValueError(f"{name} is {old} {self.place}, not {new}: {self.advice}")


def kept_by_run(spec: WaveNetSpec) -> Kept:
    """The network of a run to resume."""
    advice = "leave it out to resume the run, or train into another folder"
    return Kept(spec, "in this run", advice)


def kept_by_model(spec: WaveNetSpec, file: str) -> Kept:
    """The network of a model file to fine-tune."""
    advice = "leave it out to fine-tune that model, or leave out from"
    return Kept(spec, f"in {shown(Path(file))}", advice)


def choose_settings(
    started: Checkpoint | None,
    network: Network,
    given: dict[str, Any],
    recordings: Recordings | None = None,
    model: WaveNetSpec | None = None,
) -> Settings:
    """The given settings and defaults, or the settings of a run to resume.

    given       fields of Settings without the spec
    recordings  which show the speakers of a new run, and the channels of frames from files
    model       the network of the model file that `network` names, for a new run

    A lower learning rate takes the place of a run's.
    Raises ValueError for another value that differs from that of the run or the model, or
    recordings without speakers or frames where they are needed, OSError for a missing folder.
    """
    if started is not None:
        return _resumed(started, network, given)
    if model is not None:
        return _fine_tuned(model, network, given, recordings)
    return Settings(spec=_with_shown(network.choose(None), network, recordings), **given)


def _resumed(started: Checkpoint, network: Network, given: dict[str, Any]) -> Settings:
    kept = kept_by_run(started.settings.spec)
    if network.from_ is not None:
        raise ValueError("from is for a new run, but this one has begun: leave it out to resume")
    _confirm_hop(started, network.hop)
    kept.confirm_conditioning(network)
    settings, rate = started.settings, given.get("learning_rate")
    if isinstance(rate, int | float) and 0 < rate < settings.learning_rate:
        settings = dataclasses.replace(settings, learning_rate=rate)  # for a run that diverged
    kept.confirm_settings(settings, network, given)
    return settings


def _fine_tuned(
    model: WaveNetSpec, network: Network, given: dict[str, Any], recordings: Recordings | None
) -> Settings:
    kept = kept_by_model(model, str(network.from_))
    kept.confirm_conditioning(network)
    kept.confirm_settings(Settings(spec=model), network, {})
    if _with_shown(model, network, recordings) != model:
        kept.refuse("frames", NOT_GIVEN, "those of a folder")
    # Training feeds a start code once, and so is the new network used.
    once = dataclasses.replace(model, start=dataclasses.replace(model.start, times=1))
    return Settings(spec=once, **given)


def _confirm_hop(started: Checkpoint, hop: int | None) -> None:
    """Raises ValueError if another hop of frames from files is given than a run's."""
    end, recordings = started.settings.spec.conditioning, started.recordings
    old = end.hop if end and recordings and recordings.frames is not None else NOT_GIVEN
    if hop is not None and hop != old:
        kept_by_run(started.settings.spec).refuse("hop", str(old), str(hop))


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
    budget, done = _continued(started.budget, given), started.progress
    if finished and budget.spent(done.steps, done.seconds) >= 1:
        raise ValueError(
            f"{budget} are spent: this run has taken {done.steps} steps and "
            f"{done.seconds / 60:.2f} minutes; give more minutes or steps, in all, to go on"
        )
    if finished and budget.is_exhausted(done.losses):
        raise ValueError(
            f"the last {budget.patience} validations were no better than one before: give more "
            f"patience to go on"
        )
    return budget


def _continued(budget: Budget, given: dict[str, Any]) -> Budget:
    """A run's budget with given parts: minutes or steps take the place of both."""
    length = given.keys() & {"minutes", "steps"}
    kept: dict[str, Any] = {"patience": budget.patience}
    if not length:
        kept |= {"minutes": budget.minutes, "steps": budget.steps}
    return Budget(**kept | given)


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
    if started and known is not None and known.frames is None and frames is not None:
        kept_by_run(started.settings.spec).refuse("frames", NOT_GIVEN, shown(os.fsdecode(frames)))
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
