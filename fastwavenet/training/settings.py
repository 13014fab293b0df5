"""What a run is told: checked in one place, kept in its checkpoint, the same when it is resumed."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass

from ..checks import number, whole
from ..shown import shown
from ..spec import WaveNetSpec
from .presets import preset_spec

DEFAULT_PRESET, DEFAULT_SAMPLE_RATE, DEFAULT_MINUTES = "small", 16000, 10.0
WARM_UP = 0.05  # of the budget
REPORTS = 20  # validations in a budget, or more:
REPORT_MINUTES, REPORT_STEPS = 1.0, 500  # they are never further apart
LARGEST = 2**31  # of batch, window and steps
POSITIVE = "a positive whole number"
LEAVE_OUT = "leave it out to resume the run, or train into another folder"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What stays the same within a run; see `train`.

    autocast: None until it was found out which is faster.
    Raises ValueError naming the setting, what was expected and found.
    """

    spec: WaveNetSpec
    seed: int = 0
    batch: int = 1
    window: int = 4096
    learning_rate: float = 1e-2
    weight_decay: float = 0.01
    convert: bool = False
    autocast: bool | None = None

    def __post_init__(self) -> None:
        if self.spec.conditioning is not None:
            raise ValueError(f"conditioning {shown(self.spec.conditioning)} cannot be trained")
        whole("seed", self.seed, 0, 2**64 - 1)
        whole("batch", self.batch, 1, LARGEST, expected=POSITIVE)
        whole("window", self.window, 1, LARGEST, expected=POSITIVE)
        number("learning_rate", self.learning_rate, zero=False)
        number("weight_decay", self.weight_decay, zero=True)
        for name, known in (("convert", (True, False)), ("autocast", (True, False, None))):
            if getattr(self, name) not in known:
                expected = " or ".join(map(str, known))
                raise ValueError(f"{name} must be {expected}, not {shown(getattr(self, name))}")

    def to_dict(self) -> dict:
        """Plain numbers, strings and lists, for JSON."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return fields | {"spec": self.spec.to_dict()}

    @classmethod
    def from_dict(cls, fields: dict) -> Settings:
        """The inverse of `to_dict`.  Raises ValueError."""
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(fields, dict) or set(fields) != names:
            raise ValueError(f"the settings must be {', '.join(sorted(names))}")
        return cls(**fields | {"spec": WaveNetSpec.from_dict(fields["spec"])})

    def confirm(self, given: Settings, names: set[str]) -> None:
        """Raises ValueError if one of `names`, which were given again, is another one now."""
        then, now = self.to_dict(), given.to_dict()
        pairs = [(name, then[name], now[name]) for name in sorted(names - {"spec"})]
        if "spec" in names:
            pairs += [(name, value, now["spec"][name]) for name, value in then["spec"].items()]
        for name, old, new in pairs:
            if old != new:
                raise ValueError(
                    f"{name} is {shown(old)} in this run, not {shown(new)}: {LEAVE_OUT}"
                )


@dataclass(frozen=True)
class Recordings:
    """Where the audio of a run is: files or folders.

    validation  None if a part of `source` is held out
    """

    source: str
    validation: str | None

    def absolute(self) -> Recordings:
        """The same places for a process in another working folder."""
        held_out = None if self.validation is None else os.path.abspath(self.validation)
        return Recordings(os.path.abspath(self.source), held_out)


def choose_spec(
    spec: WaveNetSpec | None,
    preset: str | None,
    sample_rate: int | None,
    started: WaveNetSpec | None,
) -> WaveNetSpec:
    """The network that the arguments of `train` ask for; `started`: the one of a run to resume."""
    if spec is not None:
        if preset is not None or sample_rate is not None:
            raise ValueError("give either spec, or preset and sample_rate, not both")
        return spec
    if started is None:
        preset = DEFAULT_PRESET if preset is None else preset
        return preset_spec(preset, DEFAULT_SAMPLE_RATE if sample_rate is None else sample_rate)
    rate = started.sample_rate if sample_rate is None else sample_rate
    if preset is None:
        return dataclasses.replace(started, sample_rate=rate)
    return preset_spec(preset, rate)


@dataclass(frozen=True)
class Budget:
    """How long to train: a time, a number of steps, or whichever ends first.

    10 minutes if neither is given.  Raises ValueError for one that is not positive.
    """

    minutes: float | None
    steps: int | None

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            object.__setattr__(self, "minutes", DEFAULT_MINUTES)
        if self.minutes is not None:
            number("minutes", self.minutes, zero=False)
        if self.steps is not None:
            whole("steps", self.steps, 1, LARGEST, expected=POSITIVE)

    def __str__(self) -> str:
        limits = ((self.minutes, "minute"), (self.steps, "step"))
        return " or ".join(
            f"{limit:g} {unit}{'s' * (limit != 1)}" for limit, unit in limits if limit is not None
        )

    def spent(self, steps: float, seconds: float) -> float:
        """The fraction that is used up; training ends at 1."""
        time = 0.0 if self.minutes is None else seconds / 60 / self.minutes
        return time if self.steps is None else max(time, steps / self.steps)

    def seconds_left(self, steps: int, seconds: float, step_seconds: float) -> float:
        """How long it will take, if a step takes `step_seconds`."""
        time = math.inf if self.minutes is None else 60 * self.minutes - seconds
        return time if self.steps is None else min(time, (self.steps - steps) * step_seconds)

    def report_is_due(self, before: float, spent: float) -> bool:
        """Whether there is one of the evenly spaced reports in a step.

        Of a budget of steps only the number of the step decides, so that a resumed run reports
        as an uninterrupted one does.
        """
        reports = max(
            REPORTS,
            math.ceil((self.minutes or 0) / REPORT_MINUTES),
            math.ceil((self.steps or 0) / REPORT_STEPS),
        )
        return spent >= 1 or int(spent * reports) > int(before * reports)


def schedule(spent: float) -> float:
    """The factor of the learning rate: a linear warm-up to 1, then half a cosine down to 0."""
    if spent < WARM_UP:
        return spent / WARM_UP
    return (1 + math.cos(math.pi * min(1.0, (spent - WARM_UP) / (1 - WARM_UP)))) / 2
