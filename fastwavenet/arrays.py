"""Checks of arrays as users give them; numpy only."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from .shown import shown
from .types import Audio

CHECKED = 1 << 16  # samples that are checked together

_FULL_SCALE = {
    np.dtype(np.int16): ": divide it by 32768 first",
    np.dtype(np.int32): ": divide it by 2**31 first",
}


def refuse_masked(array: object, name: str) -> None:
    """Raises TypeError for a masked array, whose masked values would be used."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array without a mask: use its filled()")


def float_audio(audio: npt.ArrayLike) -> np.ndarray:
    """Audio (n,) as it is, float32 or float64 of either byte order, all of it finite in float32.

    Raises TypeError for anything but an array of such floats, ValueError for another shape, and
    for NaN or infinity, with its index.
    """
    if isinstance(audio, (str, bytes, os.PathLike)):
        raise TypeError(
            f"audio must be an array, not {shown(audio)}: "
            f"read the file first, with fastwavenet.read_audio"
        )
    refuse_masked(audio, "audio")
    array = np.asarray(audio)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        hint = _FULL_SCALE.get(array.dtype.newbyteorder("="), "")
        raise TypeError(f"audio must be float32 or float64, not {array.dtype}{hint}")
    if array.ndim != 1:
        raise ValueError(f"audio must have shape (n,), not {array.shape}: one mono recording")
    _check_finite(array)
    return array


def to_float32(audio: np.ndarray) -> Audio:
    """float32, where numbers beyond its range become infinity."""
    with np.errstate(over="ignore"):
        return audio.astype(np.float32)


def _check_finite(audio: np.ndarray) -> None:
    for start in range(0, len(audio), CHECKED):
        block = audio[start : start + CHECKED]
        finite = np.isfinite(to_float32(block))
        if not finite.all():
            i = int(np.argmin(finite))
            raise ValueError(f"audio must be finite: {block[i]} at index {start + i}")
