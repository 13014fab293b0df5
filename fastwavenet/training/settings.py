"""The settings of training: each is a field of a dataclass below or in
network.py, with its entry in the table.

To add a setting, add a field with `setting(...)` here (in Settings if the run keeps it, in Call if
not) and its name to the signature of `train`.  Check, option, help and checkpoint follow from the
entry; tests compare the signature and docs/training.md with the table, and show the missing row.
With `before`, checkpoints that are older than the setting stay readable.
"""

from __future__ import annotations

import dataclasses
import math
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .. import checks
from ..shown import shown
from ..spec import WaveNetSpec
from . import table
from .network import Network
from .schedule import SCHEDULES
from .table import one_of, positive_whole, setting

DEFAULT_MINUTES = 10.0
MAX_EMA_DECAY = 0.999999
WEIGHT_DECAY, LITTLE_WEIGHT_DECAY = 0.01, 1.0
LITTLE_SECONDS = 60.0  # of audio to train on, below which there is a warning
REPORTS = 20  # validations in a budget, or more:
REPORT_MINUTES, REPORT_STEPS = 1.0, 500  # they are never further apart
MOST_PREVIEWS = 8  # of a validation

positive = partial(checks.number, zero=False)


# ---- of a run, the same in each of its processes -------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that a checkpoint keeps.  A resumed run refuses other values.

    bfloat16: None until a few steps were timed with and without it.
    weight_decay: None until the audio is read.
    Raises ValueError naming the setting and its expected values.
    """

    spec: WaveNetSpec
    seed: int = setting(
        0,
        "seed of the initial weights and the choice of windows, from 0 to 2**64 - 1",
        check=partial(checks.whole, low=0, high=2**64 - 1),
    )
    batch: int = setting(1, "windows per step", check=positive_whole, metavar="N")
    window: int = setting(4096, "predicted samples per window", check=positive_whole, metavar="N")
    accumulate: int = setting(
        1,
        "batches per step, whose gradients are added one after the other",
        check=positive_whole,
        metavar="N",
    )
    learning_rate: float = setting(
        0.01, "learning rate of Muon and AdamW at its highest", check=positive, metavar="X"
    )
    weight_decay: float | None = setting(
        None,
        "weight decay of both; 1 delays that a network learns seconds of audio by heart, and costs "
        "0.2 nats per sample with half an hour",
        otherwise=f"{WEIGHT_DECAY}, or {LITTLE_WEIGHT_DECAY} with less than a minute of audio",
        check=partial(checks.number, zero=True),
        metavar="X",
    )
    schedule: str = setting(
        "cosine",
        "learning rate after its rise: cosine, half of one down to 0, or trapezoid, constant and "
        "then linear to 0: cosine, trapezoid",
        check=partial(one_of, values=tuple(SCHEDULES)),
        metavar="HOW",
    )
    max_gradient_norm: float = setting(
        1.0,
        "norm of all gradients of a step, to which larger ones are scaled",
        check=positive,
        metavar="X",
    )
    ema_decay: float = setting(
        0.999,
        "decay per step of the exponential moving average of the weights, which is validated and "
        "exported; 0 for the weights themselves",
        check=partial(checks.within, low=0, high=MAX_EMA_DECAY),
        metavar="X",
    )
    convert: bool = setting(
        False,
        "mix channels to their mean and resample, where a file needs it",
        check=partial(one_of, values=(True, False)),
    )
    bfloat16: bool | None = setting(
        None,
        "products in bfloat16, not in float32",
        otherwise="the faster of the two, timed at the start, so that two runs may differ",
        check=partial(one_of, values=(True, False, None)),
    )

    def __post_init__(self) -> None:
        table.check(self)

    def for_audio(self, seconds: float) -> Settings:
        """With the weight decay for so much audio to train on, unless it was given."""
        if self.weight_decay is not None:
            return self
        fitting = LITTLE_WEIGHT_DECAY if seconds < LITTLE_SECONDS else WEIGHT_DECAY
        return dataclasses.replace(self, weight_decay=fitting)

    def to_dict(self) -> dict:
        """Plain numbers, strings and lists, for JSON."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return fields | {"spec": self.spec.to_dict()}

    @classmethod
    def from_dict(cls, found: object) -> Settings:
        """The inverse of `to_dict`.  Raises ValueError."""
        fields = table.all_fields(cls, found)
        if fields is None:
            names = sorted(field.name for field in dataclasses.fields(cls))
            raise ValueError(f"the settings must be {', '.join(names)}")
        return cls(**fields | {"spec": WaveNetSpec.from_dict(fields["spec"])})

    def differences(self, given: Settings, names: set[str]) -> Iterator[tuple[str, object, object]]:
        """Each of `names`, and of the spec's fields, with its value here and another in `given`."""
        then, now = self.to_dict(), given.to_dict()
        pairs = [(name, then[name], now[name]) for name in sorted(names - {"spec"})]
        if "spec" in names:
            pairs += [(name, value, now["spec"][name]) for name, value in then["spec"].items()]
        return ((name, old, new) for name, old, new in pairs if old != new)


@dataclass(frozen=True)
class Recordings:
    """The paths of a run's audio, files or folders, and the folder of its frames."""

    source: str
    validation: str | None = setting(
        None,
        "file or folder of the audio to validate on",
        otherwise="a part of the recordings",
        kind=Path,
        metavar="SOURCE",
    )
    frames: str | None = setting(
        None,
        "condition the network on frames from a folder, for a recording dir/a.wav from dir/a.npy "
        "in it; needs hop",
        otherwise="no frames from files",
        before=None,
        kind=Path,
        metavar="FOLDER",
    )

    def absolute(self) -> Recordings:
        """The same places for a process in another working folder."""
        others = [p if p is None else os.path.abspath(p) for p in (self.validation, self.frames)]
        return Recordings(os.path.abspath(self.source), *others)


# ---- of one call ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Budget:
    """The length of a run: a time, a number of steps, or whichever ends first.

    10 minutes if neither is given.  Raises ValueError for a budget that is not positive.
    """

    minutes: float | None = setting(
        None,
        "minutes to train, those of earlier calls included",
        otherwise=f"{DEFAULT_MINUTES:g}, unless steps are given",
        check=positive,
    )
    steps: int | None = setting(
        None,
        "steps to train, those of earlier calls included",
        otherwise="no limit",
        check=positive_whole,
    )

    patience: int | None = setting(
        None,
        "validations in a row without a lower held-out loss, after which training ends",
        otherwise="no limit",
        check=positive_whole,
        metavar="N",
    )

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            object.__setattr__(self, "minutes", DEFAULT_MINUTES)
        table.check(self)

    def __str__(self) -> str:
        limits = ((self.minutes, "minute"), (self.steps, "step"))
        return " or ".join(
            f"{limit:g} {unit}{'s' * (limit != 1)}" for limit, unit in limits if limit is not None
        )

    def spent(self, steps: float, seconds: float) -> float:
        """The fraction of the budget that is used up; training ends at 1."""
        time = 0.0 if self.minutes is None else seconds / 60 / self.minutes
        return time if self.steps is None else max(time, steps / self.steps)

    def is_exhausted(self, losses: list[float]) -> bool:
        """Whether the last `patience` validation losses are no lower than one before them."""
        if self.patience is None or len(losses) <= self.patience:
            return False
        return min(losses[: -self.patience]) <= min(losses[-self.patience :])

    def seconds_left(self, steps: int, seconds: float, step_seconds: float) -> float:
        """The rest of the budget in seconds, for steps of `step_seconds`."""
        time = math.inf if self.minutes is None else 60 * self.minutes - seconds
        return time if self.steps is None else min(time, (self.steps - steps) * step_seconds)

    def report_is_due(self, before: float, spent: float) -> bool:
        """Whether one of the evenly spaced reports is due after a step.

        before, spent: fractions of the budget before and after the step.  With a budget of steps
        they depend on the step's number alone, so that a resumed run has the same reports.
        """
        reports = max(
            REPORTS,
            math.ceil((self.minutes or 0) / REPORT_MINUTES),
            math.ceil((self.steps or 0) / REPORT_STEPS),
        )
        return spent >= 1 or int(spent * reports) > int(before * reports)


def check_event(name: str, value: object) -> None:
    """Raises TypeError for an object without is_set()."""
    if not callable(getattr(value, "is_set", None)):
        raise TypeError(f"{name} must be an event with is_set(), not {shown(value)}")


@dataclass(frozen=True, kw_only=True)
class Call:
    """The arguments that leave no trace in a run.

    Raises TypeError if `stop` is no event.
    """

    resume: bool = setting(
        False, "continue the run in the output folder, with its recordings and settings"
    )
    device: str | None = setting(
        None, "cpu, cuda or cuda:N", otherwise="a GPU if there is one, else the CPU"
    )
    tune: bool | None = setting(
        None,
        "search the sampling that sounds best on held-out audio, at the end",
        otherwise="yes, if there are 2 s of audio",
        check=partial(one_of, values=(True, False, None)),
    )
    previews: int = setting(
        1,
        f"sounds that the C engine makes for report.html at a validation, 0 to {MOST_PREVIEWS}; "
        "they take at most 3 % of the time",
        check=partial(
            checks.whole,
            low=0,
            high=MOST_PREVIEWS,
            expected=f"a whole number from 0 to {MOST_PREVIEWS}",
        ),
        metavar="N",
    )
    tensorboard: bool = setting(
        False, "write scalars, sounds and spectrograms to the folder tensorboard in the run's too"
    )
    progress: bool = setting(
        True, "print reports on standard output, and draw a bar on a terminal", option=False
    )
    stop: threading.Event | None = setting(
        None,
        "an event that ends training early, as Ctrl-C does; any thread may set it",
        otherwise="none",
        check=check_event,
        option=False,
    )

    def __post_init__(self) -> None:
        table.check(self)


RUN = tuple(entry for kind in (Network, Recordings, Settings) for entry in table.entries(kind))
CALL = tuple(entry for kind in (Budget, Call) for entry in table.entries(kind))
