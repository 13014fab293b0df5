"""The arguments of `train` that a run to resume has already fixed.

A function here takes the checkpoint of that run, or None for a new one, and what was given.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from ..shown import shown
from ..spec import WaveNetSpec
from .checkpoint import Checkpoint
from .presets import preset_name
from .settings import LEAVE_OUT, Budget, Recordings, Settings, choose_spec


def choose_settings(
    started: Checkpoint | None,
    spec: WaveNetSpec | None,
    preset: str | None,
    sample_rate: int | None,
    given: dict,
) -> Settings:
    """Those given and defaults, or those of a run to resume, which those given must equal.

    given: fields of Settings besides the spec.  Raises ValueError for one that differs.
    """
    if started is None:
        return Settings(spec=choose_spec(spec, preset, sample_rate, None), **given)
    settings = started.settings
    wanted = choose_spec(spec, preset, sample_rate, settings.spec)
    asked = dataclasses.replace(settings, spec=wanted, **given)
    known = preset_name(settings.spec)
    if preset is not None and known is not None and preset != known:
        raise ValueError(f"preset is {shown(known)} in this run, not {shown(preset)}: {LEAVE_OUT}")
    settings.confirm(asked, {"spec", *given})
    return settings


def choose_budget(
    started: Checkpoint | None, minutes: float | None, steps: int | None, finished: bool
) -> Budget:
    """The one given or the default, or that of a run to resume.

    finished: whether the run has left all that it can without another step.  Then one given must
    last longer than the run has, or ValueError is raised.
    """
    if started is None:
        return Budget(minutes, steps)
    if minutes is None and steps is None:
        return started.budget
    budget, done = Budget(minutes, steps), started.progress
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
    """Those given, or those of a run to resume, wherever they are now.

    Raises ValueError if there is no source, FileNotFoundError if the one of the run is gone.
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
    """Within a source that has moved to `place`, or where it was."""
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
    """Raises ValueError that names the difference between two fingerprints of a corpus."""
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
