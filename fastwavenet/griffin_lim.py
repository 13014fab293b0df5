"""Audio of mel frames without a network, by the algorithm of Griffin and Lim: a vocoder to beat.

1. The magnitudes of a frame's spectrum are numbers from 0 on whose filtered sums are near the
   frame's: the filters' pseudo-inverse, with negative numbers raised to a small one, then the
   multiplicative updates of Lee and Seung, *Algorithms for non-negative matrix factorization*
   (2000), which keep them positive.
2. From random phases on, the spectra are made those of a signal, by overlap and addition, and are
   then given the magnitudes again, with the momentum of Perraudin, Balazs and Sondergaard, *A fast
   Griffin-Lim algorithm* (2013).
"""

from __future__ import annotations

import numpy as np

from .features import filter_matrix, first_sample
from .mel_conventions import Mel
from .spectra import TINY, Signal, filtered_sums, signal_of, spectra_of
from .types import Audio

MOMENTUM = 0.99
UPDATES = 50  # of the magnitudes; more of them change no measure


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
    sums, filters = filtered_sums(frames, mel), filter_matrix(mel)
    found = np.maximum(sums @ np.linalg.pinv(filters).T, TINY).astype(np.float32)
    sums, filters = sums.astype(np.float32), filters.astype(np.float32)
    wanted = sums @ filters
    for _ in range(UPDATES):
        found *= wanted / np.maximum(found @ filters.T @ filters, TINY)
    return found if mel.power == 1 else np.sqrt(found)


def _placed(signal: Signal, first: int, n: int) -> Audio:
    """Samples 0 to n - 1 of a signal that begins with sample `first`, silent outside it."""
    padded = np.pad(signal, (max(first, 0), n))
    return padded[max(-first, 0) :][:n].astype(np.float32)
