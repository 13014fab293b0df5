"""The search for the sampling with the lowest score: coarse lines, then steps from the best."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .ends import Sampling
from .voiced_sampling import VoicedSampling

PLAIN = Sampling()  # as trained: temperature 1, all codes

LINES = (  # of temperature and min_p, each away from PLAIN
    ((0.9, 0.0), (0.8, 0.0), (0.7, 0.0), (0.6, 0.0)),
    ((1.1, 0.0), (1.2, 0.0)),
    ((1.0, 0.002), (1.0, 0.01), (1.0, 0.05)),
    ((1.1, 0.02), (1.2, 0.05)),
)
TOP_KS = (2, 4, 16)  # the number of codes divided by these
VOICED = (0.8, 0.6)  # temperatures of voiced frames
LOST = 1.5  # times the lowest score ends a line

LOWEST, HIGHEST = 0.3, 1.5  # temperatures
MIN_P_LADDER = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


class StepSize(NamedTuple):
    """Of a round of steps: a difference of temperatures, a factor of top_k."""

    temperature: float
    top_k: float


ROUNDS = (StepSize(0.05, 2), StepSize(0.02, 1.4))
MOST_STEPS = 8  # of a round
MOST_TRIED = 1 + sum(map(len, LINES)) + len(TOP_KS + VOICED) + len(ROUNDS) * MOST_STEPS


def search(
    score: Callable[[Sampling], float], levels: int, voicing: int | None = None
) -> list[Sampling]:
    """All samplings that were tried, the best first; of equal ones, the first tried.

    score: of a sampling; lower is better.  It is called once for each, and PLAIN is the first.
    levels: number of codes.  voicing: channel of the frames that holds it; None: there is none.
    """
    scores = {PLAIN: score(PLAIN)}

    def tried(sampling: Sampling) -> float:
        if sampling not in scores:
            scores[sampling] = score(sampling)
        return scores[sampling]

    for line in _lines(levels, voicing):
        for sampling in line:
            if tried(sampling) > LOST * min(scores.values()):
                break
    for size in ROUNDS:
        for sampling in _steps(min(scores, key=scores.__getitem__), levels, size):
            tried(sampling)
    return sorted(scores, key=scores.__getitem__)


def _lines(levels: int, voicing: int | None) -> Iterator[list[Sampling]]:
    """Lines away from PLAIN, each up to a score that is hopeless."""
    for line in LINES:
        yield [Sampling(temperature=temperature, min_p=min_p) for temperature, min_p in line]
    yield [Sampling(top_k=levels // part) for part in TOP_KS if levels // part]
    if voicing is not None:
        rules = [VoicedSampling(voicing, temperature=temperature) for temperature in VOICED]
        yield [Sampling(voiced=rule) for rule in rules]


def _steps(best: Sampling, levels: int, size: StepSize) -> Iterator[Sampling]:
    """A step up and down in each number; top_k and the rule by voicing only if they are used."""
    for temperature in _temperatures(best.temperature, size.temperature):
        yield dataclasses.replace(best, temperature=temperature)
    place = MIN_P_LADDER.index(best.min_p)
    for min_p in MIN_P_LADDER[max(place - 1, 0) : place + 2]:
        yield dataclasses.replace(best, min_p=min_p)
    if best.top_k is not None:
        for factor in (1 / size.top_k, size.top_k):
            top_k = max(round(best.top_k * factor), 1)
            yield dataclasses.replace(best, top_k=top_k if top_k < levels else None)
    if best.voiced is not None and best.voiced.temperature is not None:
        for temperature in _temperatures(best.voiced.temperature, 2 * size.temperature):
            rule = dataclasses.replace(best.voiced, temperature=temperature)
            yield dataclasses.replace(best, voiced=rule)


def _temperatures(of: float, step: float) -> Iterator[float]:
    for temperature in (of - step, of + step):
        if LOWEST <= temperature <= HIGHEST:
            yield round(temperature, 3)
