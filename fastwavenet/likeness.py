"""How much generated sound is like recordings: differences of long-term measures, and a score."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .mel_conventions import Mel
from .sound_measures import (
    Floats,
    flatness_of,
    frame_levels,
    level_distance,
    log_mel_distance,
    long_term_spectrum,
    mean,
    powers,
    silent_share,
)
from .types import Audio

SILENT_DB = 20.0  # of the score, for all frames silent instead of none: 1 dB for 5 %
FLATTEST_DB = 10.0  # of the score, where no frame is loud
DB = 20 / math.log(10)  # of a unit of a log-mel frame


@dataclass(frozen=True)
class Likeness:
    """Measures of generated sound beside recordings; means over its groups.

    spectrum  mean difference of the long-term spectra in dB, over thirds of an octave
    level     mean distance of the distributions of the levels of 20 ms, in dB
    silent    share of frames of 20 ms that are silent
    flatness  spectral flatness of loud frames
    log_mel   mean absolute difference of log-mel frames, of sounds that follow the recordings'
              frames; NaN for others
    score     spectrum + level + 20 dB x difference of the silent shares
              + difference of the flatness in dB + log_mel in dB: 0 for equal sounds
    """

    spectrum: float
    level: float
    silent: float
    flatness: float
    log_mel: float
    score: float


class Statistics(NamedTuple):
    """Long-term measures of sounds (rows, n)."""

    spectrum: Floats
    levels: Floats
    silent: float
    flatness: float


class Reference:
    """Recordings, float32 (rows, n), beside which generated sounds are judged.

    paired  whether row i of a sound has the frames of recording i
    """

    def __init__(self, audio: Audio, rate: int, paired: bool):
        self.audio, self.rate, self.paired = audio, rate, paired
        self.own = _statistics(audio, rate)

    def compare(self, groups: Sequence[Audio]) -> Likeness:
        """Generated sounds (rows, n) of each group beside the recordings."""
        each = [_likeness(_statistics(made, self.rate), self.own) for made in groups]
        names = [field.name for field in dataclasses.fields(Likeness)]
        means = {name: mean([getattr(of, name) for of in each]) for name in names}
        if self.paired:
            means["log_mel"] = mean([self._log_mel(made) for made in groups])
            means["score"] += DB * means["log_mel"]
        return Likeness(**means)

    def _log_mel(self, made: Audio) -> float:
        convention = plain_mel(self.rate)
        pairs = zip(self.audio, made, strict=True)
        return mean([log_mel_distance(*pair, convention) for pair in pairs])


def plain_mel(rate: int) -> Mel:
    """80 filters over all frequencies, and windows of about 64 ms: at 16 kHz "hifigan-16k"."""
    n_fft = 2 ** max(4, round(math.log2(0.064 * rate)))
    sizes = {"n_fft": n_fft, "window": n_fft, "hop": n_fft // 4}
    return Mel(sample_rate=rate, mels=80, fmin=0, fmax=rate / 2, **sizes)


def _statistics(sound: Audio, rate: int) -> Statistics:
    power = powers(sound)
    levels = frame_levels(sound, rate)
    return Statistics(
        long_term_spectrum(power), levels, silent_share(sound, rate), flatness_of(power)
    )


def _likeness(made: Statistics, real: Statistics) -> Likeness:
    spectrum = mean(np.abs(made.spectrum - real.spectrum))
    level = level_distance(made.levels, real.levels)
    silence = SILENT_DB * abs(made.silent - real.silent)
    score = spectrum + level + silence + _flatness_db(made.flatness, real.flatness)
    return Likeness(spectrum, level, made.silent, made.flatness, math.nan, score)


def _flatness_db(one: float, other: float) -> float:
    """NaN stands for sound without a loud frame."""
    if math.isnan(one) or math.isnan(other):
        return FLATTEST_DB
    return abs(10 * math.log10(one / other))
