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
from .presets import preset_name
from .settings import LEAVE_OUT, Budget, Network, Recordings, Settings


def choose_settings(
    started: Checkpoint | None, network: Network, given: dict[str, Any]
) -> Settings:
    """The given settings and defaults, or the settings of a run to resume.

    given: fields of Settings without the spec.  Raises ValueError for a value that differs from
    that of the run.
    """
    if started is None:
        return Settings(spec=network.choose(None), **given)
    settings = started.settings
    _confirm_mel(settings.spec, network)
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
    end = spec.conditioning
    if network.mel is not None and recording_conditioning(network.mel) != end:
        old = "not given" if end is None else shown(end.described)
        raise ValueError(f"mel is {old} in this run, not {shown(network.mel)}: {LEAVE_OUT}")


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
) -> Recordings:
    """The given recordings, or those of a run to resume, at their present place.

    Raises ValueError if there is no source, FileNotFoundError if that of the run is gone.
    """
    if source is None:
        source = _known_source(started)
    place = os.fsdecode(source)
    if validation is None and started is not None and started.recordings is not None:
        validation = _known_validation(started.recordings, place)
    return Recordings(place, None if validation is None else os.fsdecode(validation))


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


def _known_validation(known: Recordings, place: str) -> str | None:
    """The validation's place: inside a source that has moved to `place`, or as before."""
    if known.validation is None:
        return None
    if Path(known.validation).is_relative_to(known.source):
        moved = Path(place, Path(known.validation).relative_to(known.source))
        if moved.exists():
            return str(moved)
    return _still_there(known.validation, "validation")


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
            raise ValueError(
                f"not the audio that this run began with: {use} were {_count(old)}, now "
                f"{_count(now[part])}; give the same source and validation, or start another run"
            )


def _count(fingerprint: object) -> str:
    if not isinstance(fingerprint, dict):
        return "unknown files"
    files, samples, digest = (fingerprint.get(key) for key in ("files", "samples", "sha256"))
    return (
        f"{shown(samples)} samples in {shown(files)} file{'s' * (files != 1)} "
        f"(sha256 {shown(str(digest)[:12])})"
    )
