"""mu-law in numpy float64: amplitudes to codes and back, as docs/arithmetic.md defines it."""

from __future__ import annotations

import numpy as np


def mu_law_encode(audio: np.ndarray, levels: int = 256) -> np.ndarray:
    """Amplitudes in [-1, 1] (clipped) to codes 0 .. levels - 1; ITU-T G.711's companding curve.

    The curve c spends its levels where the ear is sensitive: near zero.
    """
    mu = levels - 1
    x = np.clip(np.asarray(audio, np.float64), -1, 1)
    c = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
    return np.floor((c + 1) / 2 * mu + 0.5).astype(np.int64)


def mu_law_decode(codes: np.ndarray, levels: int = 256) -> np.ndarray:
    """The inverse: codes to amplitudes from exactly -1 to exactly 1, float64."""
    mu = levels - 1
    c = (2 * np.asarray(codes, np.float64) - mu) / mu
    return np.sign(c) * ((1 + mu) ** np.abs(c) - 1) / mu
