"""The weights of the bfloat16 engine, to the last bit; the network is that of float32."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def round_to_bfloat16(weight: np.ndarray) -> np.ndarray:
    """float32 (outputs, inputs, taps) to the weights that the engine multiplies with in bfloat16.

    Inputs come in pairs, which share a word of 32 bits: the first is its lower half, widened by
    zeros, the second the word itself.
    """
    rounded = np.empty_like(weight, np.float32)
    rounded[:, 0::2] = _nearest_word(weight[:, 0::2], np.uint32(0))
    first = rounded[:, : 2 * (weight.shape[1] // 2) : 2].view(np.uint32) >> 16
    rounded[:, 1::2] = _nearest_word(weight[:, 1::2], first)
    return rounded


def bfloat16_weights(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All tensors of a network; biases, tables and the upsampling stay as they are."""
    return {
        name: round_to_bfloat16(a)
        if name.startswith(("layers.", "head.")) and name.endswith(".weight")
        else a
        for name, a in weights.items()
    }


def _nearest_word(weight: np.ndarray, lower: np.ndarray | np.uint32) -> np.ndarray:
    """The nearest floats with this lower half; the least of them is the least normal one, or 0."""
    bits = np.ascontiguousarray(weight, np.float32).view(np.uint32).astype(np.int64)
    sign, size = bits & 0x80000000, bits & 0x7FFFFFFF
    upper = np.floor((size - lower.astype(np.int64)) / 2**16 + 0.5).clip(0).astype(np.int64)
    upper = np.where(upper < 0x80, np.where(lower > 0, 0x80, 0), upper)
    return (sign | upper << 16 | lower).astype(np.uint32).view(np.float32)
