"""Measures of sound: spectrum, level, silence and flatness, of one sound or beside another.

Audio is float32 (n,), or (rows, n) of several sounds of a length, full scale 1.0.  A measure is a
number, NaN where nothing is left to measure: no frame, or no loud one.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .activity import Activity, frame_size
from .features import hann_window, mel
from .mel_conventions import Mel
from .types import Audio

N_FFT = 2048  # samples of a window
HOP = 512
POWER_FLOOR = 1e-7  # of |X|^2
BANDS = 21  # thirds of an octave below half the sample rate
LOWEST_LEVEL = -60.0  # dB of full scale: quieter frames count as equally silent
QUANTILES = 200  # of a distribution of levels

Floats = npt.NDArray[np.float64]


def log_mel_distance(original: Audio, result: Audio, convention: Mel) -> float:
    """Mean absolute difference of the mel frames, in units of the convention (HiFi-GAN, 2020)."""
    return mean(np.abs(mel(original, convention) - mel(result, convention)))


def flatness(audio: Audio) -> float:
    """Mean spectral flatness of the frames whose energy is the mean or above.

    A frame's is the geometric mean of its powers over the arithmetic one (Johnston, *Transform
    coding of audio signals using perceptual noise criteria*, 1988): 0.56 for white noise, near 0
    for a voice.
    """
    return flatness_of(powers(audio))


def flatness_of(power: Floats) -> float:
    """`flatness` of the powers (frames, bins) of audio."""
    energy = power.sum(axis=1)
    loud = power[(energy >= mean(energy)) & (power.max(axis=1, initial=0) > POWER_FLOOR)]
    return mean(np.exp(np.log(loud).mean(axis=1)) / loud.mean(axis=1))


def powers(audio: Audio) -> Floats:
    """|X|^2 of windows at samples 0, HOP, ... of each row (frames, bins), at least POWER_FLOOR."""
    rows = np.atleast_2d(audio).astype(np.float64)
    padded = np.pad(rows, ((0, 0), (0, N_FFT)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, axis=1)
    framed = windows[:, : rows.shape[1] : HOP].reshape(-1, N_FFT)
    spectra = np.fft.rfft(framed * hann_window(N_FFT))
    return np.maximum(spectra.real**2 + spectra.imag**2, POWER_FLOOR)


def long_term_spectrum(power: Floats) -> Floats:
    """The mean power of each third of an octave in dB: (BANDS,).

    power: of audio, (frames, bins).  The highest band ends at half the sample rate.
    """
    place = np.arange(power.shape[1]) / (power.shape[1] - 1)  # 1: half the sample rate
    edges = 2.0 ** (np.arange(-BANDS, 1) / 3)
    band = np.searchsorted(edges, place, side="left") - 1
    average = power.mean(axis=0)
    return 10 * np.log10([average[band == i].mean() for i in range(BANDS)])


def frame_levels(audio: Audio, rate: int) -> Floats:
    """The level of each frame of 20 ms in dB of full scale, without its constant part, sorted.

    Frames are those of `Activity`.  Levels below LOWEST_LEVEL become that.
    """
    size = frame_size(rate)
    rows = np.atleast_2d(audio)
    count = rows.shape[1] // size
    frames = rows[:, : count * size].reshape(len(rows) * count, size)
    deviation = frames.std(axis=1, dtype=np.float64)
    return np.sort(20 * np.log10(np.maximum(deviation, 10 ** (LOWEST_LEVEL / 20))))


def level_distance(levels: Floats, others: Floats) -> float:
    """Mean distance of two distributions in dB: of their quantiles (Wasserstein's, of order 1)."""
    if not len(levels) or not len(others):
        return math.nan
    at = (np.arange(QUANTILES) + 0.5) / QUANTILES
    return mean(np.abs(np.quantile(levels, at) - np.quantile(others, at)))


def silent_share(audio: Audio, rate: int) -> float:
    """The share of frames of 20 ms that are silent or constant: below -55 dB (activity.py)."""
    rows = np.atleast_2d(audio)
    activity = Activity(len(rows), rate)
    activity.add(rows)
    return activity.share() if activity.frames else math.nan


def mean(values: npt.ArrayLike) -> float:
    """The mean of the numbers that are not NaN; NaN without any."""
    array = np.asarray(values, np.float64).ravel()
    array = array[~np.isnan(array)]
    return float(array.mean()) if array.size else math.nan
