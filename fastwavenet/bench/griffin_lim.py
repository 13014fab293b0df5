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

import numpy as np
import numpy.typing as npt

from ..features import filter_matrix, first_sample, hann_window
from ..mel_conventions import Mel
from ..types import Audio

ITERATIONS = 60
MOMENTUM = 0.99
UPDATES = 50  # of the magnitudes; more of them change no measure
TINY = 1e-8  # least magnitude, and divisor

Spectra = npt.NDArray[np.complex128]  # (frames, bins)


def griffin_lim(frames: Audio, mel: Mel, seed: int = 0) -> Audio:
    """The audio of mel frames (frames, mels): float32 (frames x hop,).

    seed: of the phases at the beginning.
    """
    n = len(frames) * mel.hop
    if not n:
        return np.empty(0, np.float32)
    magnitudes = magnitudes_of(frames, mel)
    turns = np.random.default_rng(seed).random(magnitudes.shape)
    spectra = magnitudes * np.exp(2j * np.pi * turns)
    before = np.zeros_like(spectra)
    for _ in range(ITERATIONS):
        own = spectra_of(signal_of(spectra, mel), mel)
        ahead = own + MOMENTUM * (own - before)
        before = own
        spectra = magnitudes * ahead / (np.abs(ahead) + TINY)
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


def spectra_of(signal: npt.NDArray[np.float64], mel: Mel) -> Spectra:
    """The windows' spectra of a signal ((frames - 1) hop + window,)."""
    windows = np.lib.stride_tricks.sliding_window_view(signal, mel.window)[:: mel.hop]
    return np.fft.rfft(windows * hann_window(mel.window), mel.n_fft)


def signal_of(spectra: Spectra, mel: Mel) -> npt.NDArray[np.float64]:
    """The signal ((frames - 1) hop + window,) whose spectra are nearest in least squares."""
    window = hann_window(mel.window)
    windows = np.fft.irfft(spectra, mel.n_fft)[:, : mel.window] * window
    signal = np.zeros((len(spectra) - 1) * mel.hop + mel.window)
    weights = np.full_like(signal, TINY)
    for i, part in enumerate(windows):
        here = slice(i * mel.hop, i * mel.hop + mel.window)
        signal[here] += part
        weights[here] += window**2
    return signal / weights


def _placed(signal: npt.NDArray[np.float64], first: int, n: int) -> Audio:
    """Samples 0 to n - 1 of a signal that begins with sample `first`, silent outside it."""
    padded = np.pad(signal, (max(first, 0), n))
    return padded[max(-first, 0) :][:n].astype(np.float32)
