"""Sounds of a report: coded, drawn and measured once, and read back from an earlier report."""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import asdict, dataclass
from html.parser import HTMLParser

import numpy as np

from ..sound_measures import flatness, silent_share
from ..sound_page import FLAC, PNG, flac_uri, spectrogram_uri
from ..types import Audio
from .previews import Preview

MOST_SETS = 6  # validations whose previews are kept
MOST_BYTES = 8_000_000  # of all sounds in the page
ORIGINAL = 0  # the step of a recording


@dataclass(frozen=True)
class Facts:
    """About a sound; those measured are None where nothing can be measured.

    step         of the weights that made it; ORIGINAL for a recording
    index        of the preview, from 0
    begins       seconds of the recording before the generated sound
    seconds      of all of it
    sample_rate  Hz
    level        RMS in dB of full scale, of the generated part as the next two
    silent       share of frames of 20 ms below -55 dB
    flatness     mean spectral flatness of its loud frames
    """

    step: int
    index: int
    title: str
    begins: float
    seconds: float
    sample_rate: int
    level: float | None
    silent: float | None
    flatness: float | None


@dataclass(frozen=True)
class Sound:
    """audio, picture: data URIs of a FLAC file and of the PNG of its spectrogram."""

    facts: Facts
    audio: str
    picture: str

    @property
    def size(self) -> int:
        """Characters in the page, about."""
        return len(self.audio) + len(self.picture)


def sound(facts: Facts, audio: Audio) -> Sound:
    rate = facts.sample_rate
    return Sound(facts, flac_uri(audio, rate), spectrogram_uri(audio, rate))


def sounds_of(step: int, previews: list[Preview], rate: int) -> list[Sound]:
    """The previews of a step, and their recordings."""
    made = []
    for index, preview in enumerate(previews):
        pairs = [(step, preview.audio, preview.begins)]
        if preview.original is not None and len(preview.original):
            pairs.append((ORIGINAL, preview.original, 0))
        for of, audio, begins in pairs:
            made.append(sound(_facts(of, index, preview.title, audio, begins, rate), audio))
    return made


def _facts(step: int, index: int, title: str, audio: Audio, begins: int, rate: int) -> Facts:
    part = audio[begins:]
    level = 10 * math.log10(float(np.mean(part.astype(np.float64) ** 2)) + 1e-12)
    measured = (level, silent_share(part, rate), flatness(part))
    level_, silent, flat = (value if math.isfinite(value) else None for value in measured)
    return Facts(step, index, title, begins / rate, len(audio) / rate, rate, level_, silent, flat)


# ---- those that are kept -----------------------------------------------------------------------


def kept(sounds: list[Sound]) -> list[Sound]:
    """Without the sets of some validations between the first and the last.

    Those that remain are evenly spaced by the logarithm of their step, about, as changes become
    slower.  A recording is kept once, as it was given last, beside a preview of the last set.
    """
    latest = {(s.facts.step, s.facts.index): s for s in sounds}
    steps = sorted({step for step, _ in latest} - {ORIGINAL})
    for place in [place for place in latest if place[0] == ORIGINAL]:
        if not steps or (steps[-1], place[1]) not in latest:
            del latest[place]
    while len(steps) > MOST_SETS or (len(steps) > 1 and _size(latest, steps) > MOST_BYTES):
        steps.remove(_least_missed(steps))
    return [s for (step, _), s in sorted(latest.items()) if step in (ORIGINAL, *steps)]


def _size(sounds: dict[tuple[int, int], Sound], steps: list[int]) -> int:
    return sum(s.size for (step, _), s in sounds.items() if step in (ORIGINAL, *steps))


def _least_missed(steps: list[int]) -> int:
    """The step whose neighbours are closest; the first of only two."""
    if len(steps) == 2:
        return steps[0]
    gaps = {b: c / a for a, b, c in zip(steps, steps[1:], steps[2:], strict=False)}
    return min(gaps, key=gaps.__getitem__)


# ---- an earlier report -------------------------------------------------------------------------


def figure_attribute(facts: Facts) -> str:
    """The JSON of a figure's data-sound, which `read_sounds` reads."""
    return json.dumps(asdict(facts), allow_nan=False)


class _Reader(HTMLParser):
    """Collects the figures of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Sound] = []
        self.open: dict[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "figure" and "data-sound" in given:
            self.open = {"facts": given["data-sound"]}
        elif self.open is not None and tag in ("audio", "img"):
            self.open[tag] = given.get("src", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "figure" and self.open is not None:
            about = Facts(**json.loads(self.open["facts"]))
            self.found.append(Sound(about, self.open["audio"], self.open["img"]))
            self.open = None


def read_sounds(page: str) -> list[Sound]:
    """The sounds of a report; none if it is not one that was written here."""
    reader = _Reader()
    try:
        reader.feed(page)
        for found in reader.found:
            _check(found)
    except (ValueError, TypeError, KeyError, binascii.Error):
        return []
    return reader.found


def _check(found: Sound) -> None:
    """Raises ValueError or TypeError for a sound that a page cannot show."""
    for uri, kind in ((found.audio, FLAC), (found.picture, PNG)):
        if not uri.startswith(kind):
            raise ValueError(f"expected {kind}")
        base64.b64decode(uri.removeprefix(kind), validate=True)
    facts = found.facts
    for value in (facts.step, facts.index, facts.sample_rate):
        if type(value) is not int or value < 0:
            raise ValueError("expected whole numbers")
    for number in (facts.begins, facts.seconds):
        if not math.isfinite(number) or number < 0:
            raise ValueError("expected seconds")
    for measured in (facts.level, facts.silent, facts.flatness):
        if measured is not None and not math.isfinite(measured):
            raise ValueError("expected finite numbers")
    if not isinstance(facts.title, str):
        raise TypeError("expected a title")
