"""Melodies made by rule and chance: broken chords over a progression, and a long last note.

The chords are steps of a scale; a bar breaks one of them in eight notes, as the preludes for one
string instrument do.  Chance is `random.Random(seed).random()`, which Python keeps equal in all
versions.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)  # semitones of a scale's steps
PROGRESSIONS = {  # steps of the scale on which the chords of the bars stand
    MAJOR: ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 3)),
    MINOR: ((0, 5, 2, 6), (0, 3, 6, 2), (0, 6, 5, 4)),
}
FIGURES = (  # steps of the scale above a chord's root, of the notes of a bar
    (0, 4, 9, 8, 9, 4, 9, 4),
    (0, 4, 7, 9, 7, 4, 7, 4),
    (0, 2, 4, 7, 9, 7, 4, 2),
)
LEAST_NOTE, MOST_NOTE = 0.16, 0.26  # seconds
LAST_NOTE = 6  # times as long

T = TypeVar("T")


def improvise(seconds: float, seed: int | None, low: int, high: int) -> list[tuple[int, float]]:
    """(MIDI key, seconds) of notes from key `low` to key `high` that last `seconds` together."""
    chance = random.Random(seed)
    note = LEAST_NOTE + (MOST_NOTE - LEAST_NOTE) * chance.random()
    scale, figure = _choice(chance, (MAJOR, MINOR)), _choice(chance, FIGURES)
    chords = _choice(chance, PROGRESSIONS[scale])
    tonic = low + int(12 * chance.random())
    count = max(int(seconds / note) - LAST_NOTE, 0)
    keys = [_key(step, tonic, scale, low, high) for step in _steps(chords, figure, count)]
    last = seconds - count * note
    ending = [(_key(0, tonic, scale, low, high), last)] if last > 0 else []
    return [(key, note) for key in keys] + ending


def _steps(chords: Sequence[int], figure: Sequence[int], count: int) -> Iterator[int]:
    """The first `count` steps of the scale of bars, a chord each."""
    for i in range(count):
        bar, place = divmod(i, len(figure))
        yield chords[bar % len(chords)] + figure[place]


def _key(step: int, tonic: int, scale: Sequence[int], low: int, high: int) -> int:
    """The MIDI key of a step, octaves lower where the instrument ends."""
    octave, place = divmod(step, len(scale))
    key = tonic + 12 * octave + scale[place]
    return max(key - 12 * max(-((high - key) // 12), 0), low)


def _choice(chance: random.Random, among: Sequence[T]) -> T:
    return among[int(len(among) * chance.random())]
