"""The int8x8 network of docs/arithmetic.md in numpy, to the last bit: int8 with inputs of 8 bits.

Frames are those of int8, in 16 bits.
"""

from __future__ import annotations

import numpy as np

from .int8 import EXACT_BYTES, Int8Steps

LEAST = np.float32(2.0**-63)  # smaller inputs have the unit of this one


def to_8_bits(x: np.ndarray, most: int) -> tuple[np.ndarray, np.float32]:
    """x (k,) as whole numbers with magnitudes up to `most`, and their unit.

    The unit is max |x| / most with 16 significant bits, so that all its multiples are exact.
    """
    if not np.isfinite(x).all():
        return np.full(len(x), np.nan), np.float32(np.nan)
    largest, steps = np.fmax(np.abs(x).max(), LEAST), np.float32(most)
    unit = (np.array(largest / steps).view(np.uint32) & np.uint32(0xFFFFFF00)).view(np.float32)
    return np.rint(x * (steps / largest)).astype(np.float64), np.float32(unit)


class Int8x8Steps(Int8Steps):
    """A WaveNet in int8x8 that is fed one code at a time; its logits are float32."""

    block = EXACT_BYTES

    def _rounded(self, x: np.ndarray) -> tuple[np.ndarray, np.float32]:
        return to_8_bits(x, 127)

    def _rounded_relu(self, x: np.ndarray) -> tuple[np.ndarray, np.float32]:
        return to_8_bits(x, 255)
