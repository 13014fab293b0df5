"""How a call draws its codes: temperature and min_p of all samples, or of each frame's samples.

Numbers of frames come from a caller, or by the rules of a `Sampling` from the frames.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .arrays import refuse_masked
from .ends import Sampling
from .types import Audio
from .voiced_sampling import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    VoicedSampling,
    check_min_p,
    check_temperature,
)

Numbers = float | Audio

CHECKS = {"temperature": check_temperature, "min_p": check_min_p}
BOUNDS = {"temperature": (LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE), "min_p": (0, 1)}  # or 0


class Drawing(NamedTuple):
    """temperature and min_p: a number, or float32 (frames, rows), C-contiguous.

    top_k: 0: all codes
    """

    temperature: Numbers = 1.0
    top_k: int = 0
    min_p: Numbers = 0.0

    def arguments(self) -> dict[str, Any]:
        """As keywords of `_engine.Stream.run`."""
        given: dict[str, Any] = {"top_k": self.top_k}
        for name in ("temperature", "min_p"):
            numbers = getattr(self, name)
            of_frames = isinstance(numbers, np.ndarray)
            given[f"frame_{name}" if of_frames else name] = numbers
        return given


def drawing_of(
    sampling: Sampling,
    values: Audio | None,
    temperature: npt.ArrayLike | None = None,
    min_p: npt.ArrayLike | None = None,
) -> Drawing:
    """The drawing of a call with these frames, float32 (frames, rows, channels) or None.

    temperature, min_p: a number, or one for each frame, (frames,) for all rows or (rows, frames);
    None: by `sampling`, whose rules for voiced and quiet frames apply.
    Raises ValueError for another shape or a number out of bounds, TypeError for no numbers.
    """
    by_frame = sampling.voiced is not None or sampling.quiet is not None
    if temperature is None and min_p is None and not by_frame:
        return Drawing(sampling.temperature, sampling.top_k or 0, sampling.min_p)
    temperatures = _numbers("temperature", temperature, sampling, values)
    min_ps = _numbers("min_p", min_p, sampling, values)
    return Drawing(temperatures, sampling.top_k or 0, min_ps)


def for_all(given: npt.ArrayLike | None) -> Any:
    """A number, or None; None in the place of an array, which holds numbers of frames."""
    return given if np.ndim(given) == 0 else None  # type: ignore[arg-type]


def _numbers(
    name: str, given: npt.ArrayLike | None, sampling: Sampling, values: Audio | None
) -> Numbers:
    if given is None:
        return _by_rules(name, sampling, values)
    if np.ndim(given) == 0:
        return CHECKS[name](given)
    return _of_frames(name, given, values)


def _by_rules(name: str, sampling: Sampling, values: Audio | None) -> Numbers:
    """By the rules that affect this number."""
    number = getattr(sampling, name)
    if values is None:
        return number
    if sampling.voiced is not None and getattr(sampling.voiced, name) is not None:
        number = _by_voicing(name, number, sampling.voiced, values)
    if sampling.quiet is not None and name == "temperature":
        quiet = values[..., sampling.quiet.channel].astype(np.float64) < sampling.quiet.below
        number = np.where(quiet, np.float32(0), np.float32(number))
    return number if isinstance(number, float) else np.ascontiguousarray(number)


def _by_voicing(name: str, unvoiced: float, rule: VoicedSampling, values: Audio) -> Audio:
    """(frames, rows).  Each operation is rounded as IEEE 754 has it."""
    voicing = np.clip(values[..., rule.channel].astype(np.float64), 0, 1)
    with np.errstate(all="ignore"):  # tiny numbers become 0
        mixed = ((1 - voicing) * unvoiced + voicing * getattr(rule, name)).astype(np.float32)
    if name == "temperature":  # too low to divide by: the most probable code
        mixed[mixed < np.float32(LOWEST_TEMPERATURE)] = 0
    return mixed


def _of_frames(name: str, given: npt.ArrayLike, values: Audio | None) -> Audio:
    """A caller's numbers of each frame: float32 (frames, rows), a copy."""
    if values is None:
        raise ValueError(f"{name} must be one number, since the model takes no frames")
    refuse_masked(given, name)
    numbers = np.asarray(given)
    if numbers.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be a real number or an array of them, not {numbers.dtype}")
    frames, rows = values.shape[:2]
    if numbers.shape not in ((frames,), (rows, frames)):
        raise ValueError(
            f"{name} must be one number, or have shape ({frames},) or ({rows}, {frames}), one for "
            f"each frame, not {numbers.shape}"
        )
    with np.errstate(all="ignore"):  # tiny numbers become 0
        each = np.array(np.broadcast_to(numbers, (rows, frames)).T, np.float32, order="C")
    _check_each(name, np.atleast_2d(numbers))
    return each


def _check_each(name: str, numbers: np.ndarray) -> None:
    """Raises ValueError naming the first number out of bounds and its frame.

    numbers: (rows, frames)
    """
    low, high = BOUNDS[name]
    wrong = ~((numbers == 0) | ((numbers >= low) & (numbers <= high)))
    if wrong.any():
        row, frame = np.argwhere(wrong)[0]
        try:
            CHECKS[name](float(numbers[row, frame]))
        except ValueError as error:
            raise ValueError(f"{error}, in frame {frame}") from None
