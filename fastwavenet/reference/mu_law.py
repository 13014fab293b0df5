"""mu-law in numpy float64: amplitudes to codes and back, as docs/arithmetic.md defines it."""

from __future__ import annotations

import numpy as np

from ..ends import MuLawCodec


def mu_law_encode(
    audio: np.ndarray, levels: int = 256, codec: MuLawCodec | None = None
) -> np.ndarray:
    """Amplitudes in [-1, 1] (clipped) to codes 0 .. levels - 1; ITU-T G.711's companding curve.

    The curve c spends its levels where the ear is sensitive: near zero.
    """
    k = codec or MuLawCodec.symmetric(levels)
    y = np.asarray(audio, np.float64)
    if k.pre_emphasis:
        y = pre_emphasis(y, k.pre_emphasis)
    x = np.clip(y, -1, 1)
    c = np.sign(x) * np.log1p(k.mu * np.abs(x)) / np.log1p(k.mu)
    codes = np.floor((c + 1) / 2 * k.steps + k.encode_offset)
    return np.clip(codes, 0, levels - 1).astype(np.int64)


def mu_law_decode(
    codes: np.ndarray, levels: int = 256, codec: MuLawCodec | None = None
) -> np.ndarray:
    """The inverse: codes to amplitudes, float64; without a codec from exactly -1 to exactly 1."""
    k = codec or MuLawCodec.symmetric(levels)
    centre = k.decode_offset + k.decode_divisor / 2
    u = (np.asarray(codes, np.float64) - centre) / (k.decode_divisor / 2)
    x = np.sign(u) * ((1 + k.mu) ** np.abs(u) - 1) / k.mu
    return de_emphasis(x, k.pre_emphasis) if k.pre_emphasis else x


def pre_emphasis(x: np.ndarray, a: float) -> np.ndarray:
    """y(t) = x(t) - a x(t - 1) along the last axis: high frequencies become louder."""
    y = x.copy()
    y[..., 1:] -= a * x[..., :-1]
    return y


def de_emphasis(y: np.ndarray, a: float) -> np.ndarray:
    """x(t) = y(t) + a x(t - 1), the inverse of `pre_emphasis`."""
    x = y.copy()
    for t in range(1, x.shape[-1]):
        x[..., t] += a * x[..., t - 1]
    return x
