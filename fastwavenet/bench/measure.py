"""Verify, burn in, then time in turns."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .. import reference
from ..spec import WaveNetSpec
from .conditions import conditions_for
from .peer import Peer, Weights

ROUNDS = 7
MOST_LOST = 0.05  # of the time, to other processes on this core
SHORT = 32  # steps by which the voices between the first and the last are checked
# How far logits may be off the reference: in float32 at any place, in shares of the largest, as the
# engine promises; in the others in the root of their mean square, twice what trained networks on
# random codes were seen to have (speech-16k with 64 voices: bfloat16 0.025, bfloat16x16 0.053, int8
# 0.125).
ALLOWED = {"float32": 1e-4, "bfloat16": 0.05, "bfloat16x16": 0.1, "int8": 0.25, "int8x8": 0.25}


class Refused(ValueError):
    """A figure would be wrong or unfair."""


class Answers:
    """The right logits of a network: the float64 reference, one row of codes per voice.

    conditions: of all voices, for a conditioned network, made of `frames` (F, C) or random ones;
    contenders are given the same.
    """

    def __init__(
        self, spec: WaveNetSpec, weights: Weights, voices: int, frames: np.ndarray | None = None
    ):
        self.spec, self.weights = spec, weights
        past = max((k - 1) * d for k, d in zip(spec.kernel, spec.dilations, strict=True))
        rng = np.random.default_rng(1)
        self.codes = rng.integers(0, spec.levels, (voices, past + 16))  # wraps every ring
        self.conditions = conditions_for(spec, weights, voices, frames)
        self.row = functools.cache(self._row)

    def _row(self, voice: int, n: int) -> np.ndarray:
        """Logits (n, Q) after the first n codes of a voice."""
        cond = None if self.conditions is None else self.conditions.voice(voice, n)
        return reference.teacher_forced(self.spec, self.weights, self.codes[voice, :n], cond)

    def check(self, name: str, peer: Peer) -> None:
        """Raises Refused if a voice's logits are further off than ALLOWED.

        The first and the last voice are checked over all codes, the others over SHORT: the
        reference is slow, and a mistake between voices shows from the beginning.
        """
        steps = peer.checked_steps or self.codes.shape[1]
        found = peer.logits(self.codes[: peer.batch, :steps])
        for voice in range(peer.batch):
            n = steps if voice in (0, peer.batch - 1) else min(SHORT, steps)
            expected = self.row(voice, n)
            if peer.normalised:
                expected = expected - np.logaddexp.reduce(expected, axis=1, keepdims=True)
            size = _largest if peer.precision == "float32" else _mean
            allowed = ALLOWED[peer.precision] * max(1, size(expected))
            error = size(found[voice, :n] - expected)
            if not error <= allowed:
                raise Refused(
                    f"{name}, voice {voice} of {peer.batch}, is {error:.1e} off the reference, "
                    f"allowed {allowed:.1e}"
                )


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())


def _mean(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


@dataclass(frozen=True)
class Measured:
    """rates: name -> units per second.  lost: the share of the time in which this process waited
    for its core."""

    rates: dict[str, float]
    lost: float


def measure(work: Mapping[str, Callable[[int], object]], seconds: float) -> Measured:
    """The median rates over rounds in which all take their turn.

    work: name -> function that does n units in the calling thread.  seconds: spent on each, besides
    burning in.

    If more than MOST_LOST was lost, all is measured again, and the quieter measurement counts.
    """
    first = measure_once(work, seconds)
    if first.lost <= MOST_LOST:
        return first
    return min(first, measure_once(work, seconds), key=lambda measured: measured.lost)


def measure_once(work: Mapping[str, Callable[[int], object]], seconds: float) -> Measured:
    """As `measure`, on a busy core too; `lost` has no meaning for work in other threads."""
    slice_ = seconds / ROUNDS
    counts = {name: burn_in(function, slice_) for name, function in work.items()}
    rates: dict[str, list[float]] = {name: [] for name in work}
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(ROUNDS):
        for name, function in work.items():
            rates[name].append(counts[name] / timed(function, counts[name]))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return Measured(medians, max(0.0, 1 - cpu / wall))


def burn_in(function: Callable[[int], object], seconds: float) -> int:
    """How many units take about that long; caches and clocks are warm afterwards."""
    n, elapsed = 1, timed(function, 1)
    while elapsed < seconds / 2:
        n *= 2
        elapsed = timed(function, n)
    return max(1, round(n * seconds / elapsed))


def timed(function: Callable[[int], object], n: int) -> float:
    start = time.perf_counter()
    function(n)
    return time.perf_counter() - start
