"""Melodies as the frames of an instrument: a piano roll.

Frame i of a piano roll is float32 (keys + 1,):

    roll[i, k]     loudness of key low + k, 0 to 1; 0: it does not sound
    roll[i, keys]  e^(-t / 80 ms), t from the beginning of the note that began last: its attack

The model file names the keys in `features` (`piano_roll_name`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .checks import integer, within
from .improvisation import improvise
from .model import Model
from .shown import shown
from .spec import WaveNetSpec

ATTACK_SECONDS = 0.08
ATTACK_ENDS = 0.5  # seconds, from where on it is 0
LOUDNESS = 0.7
NOTE_SECONDS = 0.4  # of a note whose duration is not given
SECONDS = 4.0  # of an improvisation whose duration is not given
MAX_SECONDS = 3600.0
NAME = re.compile(r"piano roll of MIDI keys (\d+) to (\d+), onset")
NOTE = re.compile(r"(?:([A-Ga-g])([#b]?)(-?\d)|-)(?::([\d.]+))?")
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class Note(NamedTuple):
    """key: a MIDI key, 60 is C4; None is a rest.  loudness: a MIDI velocity / 127."""

    key: int | None
    seconds: float
    loudness: float = LOUDNESS


def melody(
    model: Model,
    notes: str | None = None,
    *,
    seconds: float | None = None,
    seed: int | None = None,
) -> npt.NDArray[np.float32]:
    """Frames (frames, channels) of a melody, for `generate(model, frames=...)`.

    model: an instrument whose frames are a piano roll, such as the voice recorder-16k.
    notes: names with octave in scientific pitch notation, C4 is middle C, each with its duration in
    seconds unless that is 0.4: "D5:0.5 F#5 - A5:1.5"; - is a rest.  None: a melody is improvised,
    of `seconds` (4) and chosen by `seed`, drawn if it is None; equal seeds give equal melodies.

    Raises ValueError for another model, notes that cannot be read or are outside the instrument's
    range, and `seconds` or `seed` beside notes.
    """
    low, high = keys_of(model.spec)
    if notes is not None:
        if seconds is not None or seed is not None:
            raise ValueError("seconds and seed are of an improvisation: leave them or notes out")
        played = [_in_range(note, low, high) for note in read_notes(notes)]
    else:
        length = within("seconds", SECONDS if seconds is None else seconds, 0, MAX_SECONDS)
        number = None if seed is None else integer("seed", seed, 0, 2**64 - 1)
        played = [Note(*note) for note in improvise(length, number, low, high)]
    hop = model.spec.conditioning.hop  # type: ignore[union-attr]  # it has frames
    return piano_roll(played, low, high, model.sample_rate / hop)


def piano_roll_name(low: int, high: int) -> str:
    """`features` of a model whose frames are a piano roll of MIDI keys `low` to `high`."""
    return f"piano roll of MIDI keys {low} to {high}, onset"


def has_piano_roll(spec: WaveNetSpec) -> bool:
    features = spec.conditioning.features if spec.conditioning else None
    return isinstance(features, str) and NAME.fullmatch(features) is not None


def keys_of(spec: WaveNetSpec) -> tuple[int, int]:
    """The lowest and the highest MIDI key of an instrument.  Raises ValueError."""
    end = spec.conditioning
    found = NAME.fullmatch(str(end.features)) if end else None
    if end is None or found is None:
        described = f"frames {shown(end.described or 'without a name')}" if end else "no frames"
        raise ValueError(f"expected a model whose frames are a piano roll, found {described}")
    low, high = (int(key) for key in found.groups())
    if end.channels != high - low + 2:
        raise ValueError(
            f"a {end.features} has {high - low + 2} channels, the model's frames {end.channels}"
        )
    return low, high


def read_notes(text: str) -> list[Note]:
    """The notes of a text such as "D5:0.5 F#5 - A5".  Raises ValueError naming the wrong one."""
    return [_read_note(word) for word in text.split()]


def _read_note(word: str) -> Note:
    found = NOTE.fullmatch(word)
    try:
        seconds = float(found[4] or NOTE_SECONDS) if found else math.nan
    except ValueError:  # two points
        seconds = math.nan
    if found is None or not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"expected notes such as D5, F#5:0.5 or a rest -, found {shown(word)}")
    if found[1] is None:
        return Note(None, seconds)
    accidental = {"#": 1, "b": -1, "": 0}[found[2]]
    return Note(12 * (int(found[3]) + 1) + SEMITONES[found[1].upper()] + accidental, seconds)


def _in_range(note: Note, low: int, high: int) -> Note:
    if note.key is not None and not low <= note.key <= high:
        raise ValueError(
            f"the instrument plays from {note_name(low)} to {note_name(high)}, not "
            f"{note_name(note.key)}"
        )
    return note


def note_name(key: int) -> str:
    """60 -> "C4"."""
    names = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
    return f"{names[key % 12]}{key // 12 - 1}"


def piano_roll(notes: Sequence[Note], low: int, high: int, rate: float) -> npt.NDArray[np.float32]:
    """Frames (frames, high - low + 2) of notes one after the other, `rate` frames a second."""
    ends = np.rint(np.cumsum([0.0, *(note.seconds for note in notes)]) * rate).astype(int)
    roll = np.zeros((int(ends[-1]), high - low + 2), np.float32)
    for note, begin, end in zip(notes, ends, ends[1:], strict=False):
        if note.key is None:
            continue
        roll[begin:end, note.key - low] = note.loudness
        attack = np.arange(min(len(roll) - begin, round(ATTACK_ENDS * rate))) / rate
        roll[begin : begin + len(attack), -1] = np.exp(-attack / ATTACK_SECONDS)
    return roll
