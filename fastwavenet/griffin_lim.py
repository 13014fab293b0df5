"""Audio of mel frames without a network, by the algorithm of Griffin and Lim: a vocoder to beat.

1. The magnitudes of a frame's spectrum are numbers from 0 on whose filtered sums are near the
   frame's: the filters' pseudo-inverse, with negative numbers raised to a small one, then the
   multiplicative updates of Lee and Seung, *Algorithms for non-negative matrix factorization*
   (2000), which keep them positive.
2. From random phases on, the spectra are made those of a signal, by overlap and addition, and are
   then given the magnitudes again, with the momentum of Perraudin, Balazs and Sondergaard, *A fast
   Griffin-Lim algorithm* (2013).

Windows lie where those of the frames lie (features.py), so the result is aligned with the audio.
"""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
import numpy.typing as npt

from .features import filter_matrix, first_sample, hann_window
from .mel_conventions import Mel
from .types import Audio

MOMENTUM = 0.99
UPDATES = 50  # of the magnitudes; more of them change no measure
TINY = 1e-8  # least magnitude, and divisor
NORM: Literal["ortho"] = "ortho"  # with a factor of 1, as "backward" has, numpy takes float64

Signal = npt.NDArray[np.floating]  # ((frames - 1) hop + window,)
Spectra = npt.NDArray[np.complexfloating]  # (frames, bins)


def griffin_lim(frames: Audio, mel: Mel, iterations: int, seed: int = 0) -> Audio:
    """The audio of mel frames (frames, mels): float32 (frames x hop,).

    iterations: from 0, which is the sound of random phases.  seed: of these phases.
    """
    n = len(frames) * mel.hop
    if not n:
        return np.empty(0, np.float32)
    magnitudes = magnitudes_of(frames, mel) / np.float32(np.sqrt(mel.n_fft))
    turns = np.random.default_rng(seed).random(magnitudes.shape, np.float32)
    spectra = magnitudes * np.exp(np.complex64(2j * np.pi) * turns)
    before = np.zeros_like(spectra)
    for _ in range(iterations):
        own = spectra_of(signal_of(spectra, mel), mel)
        spectra = (1 + MOMENTUM) * own - MOMENTUM * before
        spectra *= magnitudes / (np.abs(spectra) + TINY)
        before = own
    return _placed(signal_of(spectra, mel), first_sample(mel, 0), n)


def magnitudes_of(frames: Audio, mel: Mel) -> Audio:
    """Mel frames (frames, mels) to the magnitudes of spectra, float32 (frames, bins)."""
    levels = frames.astype(np.float64) * mel.deviation + mel.mean
    sums = (np.e if mel.log == "ln" else 10) ** ((levels - mel.log_offset) / mel.log_factor)
    filters = filter_matrix(mel)
    found = np.maximum(sums @ np.linalg.pinv(filters).T, TINY).astype(np.float32)
    sums, filters = sums.astype(np.float32), filters.astype(np.float32)
    wanted = sums @ filters
    for _ in range(UPDATES):
        found *= wanted / np.maximum(found @ filters.T @ filters, TINY)
    return found if mel.power == 1 else np.sqrt(found)


def spectra_of(signal: Signal, mel: Mel) -> Spectra:
    """The windows' spectra of a signal."""
    windows = np.lib.stride_tricks.sliding_window_view(signal, mel.window)[:: mel.hop]
    return np.fft.rfft(windows * _window(mel), mel.n_fft, norm=NORM)


def signal_of(spectra: Spectra, mel: Mel) -> Signal:
    """The signal whose spectra are nearest in least squares."""
    windows = np.fft.irfft(spectra, mel.n_fft, norm=NORM)[:, : mel.window]
    sums = _overlapped(windows * _window(mel), mel)
    return sums / _weights(mel, len(spectra))


def _overlapped(windows: npt.NDArray[np.floating], mel: Mel) -> Signal:
    """The sum of windows (frames, window), each hop samples behind the one before."""
    count, hops = len(windows), -(-mel.window // mel.hop)
    parts = np.pad(windows, ((0, 0), (0, hops * mel.hop - mel.window)))
    parts = parts.reshape(count, hops, mel.hop)
    sums = np.zeros((count + hops - 1, mel.hop), windows.dtype)
    for i in range(hops):
        sums[i : i + count] += parts[:, i]
    return sums.ravel()[: (count - 1) * mel.hop + mel.window]


@functools.lru_cache(maxsize=2)
def _weights(mel: Mel, count: int) -> Signal:
    """The sum of the squared windows over each sample, at least TINY."""
    squares = np.broadcast_to(_window(mel) ** 2, (count, mel.window))
    return np.maximum(_overlapped(squares, mel), TINY)


def _window(mel: Mel) -> Audio:
    return hann_window(mel.window).astype(np.float32)


def _placed(signal: Signal, first: int, n: int) -> Audio:
    """Samples 0 to n - 1 of a signal that begins with sample `first`, silent outside it."""
    padded = np.pad(signal, (max(first, 0), n))
    return padded[max(-first, 0) :][:n].astype(np.float32)
