"""Recordings as clips: coded samples with their frames and speaker, split into two parts.

Every 20th recording is held out to validate on, or the last tenth of all audio.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .corpus import MappedCodes

HELD_OUT_EVERY = 20  # every 20th file is for validation ...
FAIR_SHARE = (0.02, 0.2)  # ... if those files hold such a part of the audio
SHORTEST = 20  # samples, so that the last tenth of a clip holds an input and its target
FEWEST = 2  # frames of a clip, one for each part that it may be cut into


@dataclass(frozen=True)
class Clip:
    """One recording, or a part of one.

    codes    uint8 (n,), or uint16 above 256 levels; those of a corpus are made when they are cut
    peak     the recording's largest amplitude; 1 is full scale
    frames   float16 or float32 (n / hop, channels), of whole frames; None: the network has none
    hop      samples of a frame; 1 without frames
    speaker  index; None: the network has none
    """

    name: str
    codes: np.ndarray | MappedCodes
    peak: float = 1.0
    frames: np.ndarray | None = None
    hop: int = 1
    speaker: int | None = None

    def part(self, start: int, stop: int) -> Clip:
        """Samples start to stop - 1 with their frames; both are multiples of hop."""
        codes, frames = self.codes, self.frames
        if frames is not None:
            frames = frames[start // self.hop : stop // self.hop]
        own = codes[start:stop] if isinstance(codes, np.ndarray) else codes.part(start, stop)
        return replace(self, codes=own, frames=frames)


def split_each(clips: list[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Clips to train on and clips held out, some of each speaker, in the given order."""
    training, held_out = list[Clip](), list[Clip]()
    for _, own in groupby(clips, key=lambda clip: clip.speaker):
        for part, some in zip((training, held_out), _split(list(own)), strict=True):
            part += some
    return training, held_out


def _split(clips: list[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Clips to train on and clips held out."""
    training = [c for i, c in enumerate(clips, 1) if i % HELD_OUT_EVERY]
    held_out = clips[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    low, high = FAIR_SHARE
    if low <= count_samples(held_out) / count_samples(clips) <= high:
        return training, held_out
    return _cut(clips, count_samples(clips) * 9 // 10)


def _cut(clips: list[Clip], at: int) -> tuple[list[Clip], list[Clip]]:
    """The first `at` samples of all clips, and the rest; a part can predict a sample, or is none.

    Both have clips if each clip has SHORTEST samples and FEWEST frames, and a tenth of all
    is left on either side.  A clip with frames is cut between two of them.
    """
    before: list[Clip] = []
    behind: list[Clip] = []
    for clip in clips:
        here = min(max(at, 0), len(clip.codes))
        here -= here % clip.hop
        for start, stop, side in ((0, here, before), (here, len(clip.codes), behind)):
            if stop - start > 1:
                side.append(clip.part(start, stop))
        at -= len(clip.codes)
    return before, behind


def excerpts(clips: list[Clip], least: int, most: int) -> list[Clip]:
    """Parts from the middles of evenly spaced clips, at most `most` samples in all.

    Beginnings and ends are often silent.  Each excerpt has at least `least` samples, or all of its
    clip; with frames, a whole number of them, rounded down to at least one.
    """
    chosen = clips[:: -(-len(clips) * least // most)]
    share = most // len(chosen)
    return [_middle(clip, max(share - share % clip.hop, clip.hop)) for clip in chosen]


def _middle(clip: Clip, samples: int) -> Clip:
    """The part of so many samples, a multiple of hop, in the middle of a clip."""
    start = max(len(clip.codes) - samples, 0) // 2
    start -= start % clip.hop
    return clip.part(start, min(start + samples, len(clip.codes)))


def count_samples(clips: list[Clip]) -> int:
    return sum(len(clip.codes) for clip in clips)
