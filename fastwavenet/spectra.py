"""Spectra under the windows of a mel convention, and signals that have them, by overlap-add.

Windows lie where those of the frames lie (features.py), so a signal is aligned with the audio.
"""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
import numpy.typing as npt

from .features import filter_matrix, hann_window
from .mel_conventions import Mel
from .types import Audio

TINY = 1e-8  # least magnitude, and divisor
NORM: Literal["ortho"] = "ortho"  # with a factor of 1, as "backward" has, numpy takes float64

Signal = npt.NDArray[np.floating]  # ((frames - 1) hop + window,)
Spectra = npt.NDArray[np.complexfloating]  # (frames, bins)


def spectra_of(signal: Signal, mel: Mel) -> Spectra:
    """The windows' spectra of a signal, over the square root of n_fft."""
    windows = np.lib.stride_tricks.sliding_window_view(signal, mel.window)[:: mel.hop]
    return np.fft.rfft(windows * _window(mel), mel.n_fft, norm=NORM)


def signal_of(spectra: Spectra, mel: Mel) -> Signal:
    """The signal whose spectra are nearest in least squares (Griffin and Lim, 1984)."""
    windows = np.fft.irfft(spectra, mel.n_fft, norm=NORM)[:, : mel.window]
    sums = _overlapped(windows * _window(mel), mel)
    return sums / window_weights(mel, len(spectra))


def filtered_sums(frames: Audio, mel: Mel) -> npt.NDArray[np.float64]:
    """Mel frames (frames, mels) before the logarithm, at most those of a full-scale signal."""
    levels = frames.astype(np.float64) * mel.deviation + mel.mean
    base = np.e if mel.log == "ln" else 10.0
    loudest = filter_matrix(mel).sum(axis=1) * (mel.window / 2) ** mel.power
    with np.errstate(over="ignore"):
        return np.minimum(base ** ((levels - mel.log_offset) / mel.log_factor), loudest)


@functools.lru_cache(maxsize=2)
def window_weights(mel: Mel, count: int) -> Signal:
    """The sum of the squared windows over each sample, at least TINY."""
    squares = np.broadcast_to(_window(mel) ** 2, (count, mel.window))
    return np.maximum(_overlapped(squares, mel), TINY)


def _overlapped(windows: npt.NDArray[np.floating], mel: Mel) -> Signal:
    """The sum of windows (frames, window), each hop samples behind the one before."""
    count, hops = len(windows), -(-mel.window // mel.hop)
    parts = np.pad(windows, ((0, 0), (0, hops * mel.hop - mel.window)))
    parts = parts.reshape(count, hops, mel.hop)
    sums = np.zeros((count + hops - 1, mel.hop), windows.dtype)
    for i in range(hops):
        sums[i : i + count] += parts[:, i]
    return sums.ravel()[: (count - 1) * mel.hop + mel.window]


def _window(mel: Mel) -> Audio:
    return hann_window(mel.window).astype(np.float32)
