"""Arrays of samples as users give them, to codes: integers are codes, floats are audio.

int16 may be either, and is refused.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .arrays import refuse_masked
from .checks import whole
from .ends import MuLawCodec
from .mulaw import check_codes, mu_law_encode, pre_emphasised
from .shown import shown
from .spec import WaveNetSpec
from .types import Audio, Isa


class Known(NamedTuple):
    """Known samples of all rows.

    codes  (rows, n), of any integer type
    last   (rows,): the last amplitude of audio with pre-emphasis; None for other samples
    """

    codes: np.ndarray
    last: Audio | None


def to_codes(
    samples: npt.ArrayLike,
    spec: WaveNetSpec,
    isa: Isa,
    *,
    batch: int | None = None,
    before: Audio | None = None,
    name: str = "samples",
) -> Known:
    """Samples as users give them, for `batch` rows, or one.

    samples: (batch, n), or one voice for all rows: (n,), (1, n) or (n, 1).
    before: (rows,), the amplitudes that pre-emphasis continues from; None: silence.
    Raises TypeError for an array that is neither audio nor codes, ValueError for one of another
    shape, codes out of range or audio that is not finite.
    """
    rows = 1 if batch is None else batch
    array, codec, last = _array(samples, name), spec.codec, None
    if codec.pre_emphasis and np.issubdtype(array.dtype, np.floating):
        last = np.zeros(rows, np.float32) if before is None else before.copy()
        array = pre_emphasised(_for_rows(array, rows, batch, name), codec, last)
        codec = replace(codec, pre_emphasis=0.0)
    codes = _coded(array, spec.levels, codec, isa)
    return Known(_for_rows(codes, rows, batch, name), last)


def _for_rows(array: np.ndarray, rows: int, batch: int | None, name: str) -> np.ndarray:
    """A view of shape (rows, n)."""
    if array.ndim == 2 and len(array) != rows and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != 1 and array.shape[:-1] != (rows,):
        expected = "(n,)" if batch is None else f"(n,) or ({rows}, n)"
        raise ValueError(
            f"{name} must have shape {expected}, not {array.shape}: a row for each voice"
        )
    return np.broadcast_to(array, (rows, array.shape[-1]))


def check_rate(sample_rate: int | None, expected: int) -> None:
    """Raises ValueError if audio has another rate than the model's, TypeError if it is no number.

    sample_rate: Hz of the audio given; None: not checked.
    """
    if sample_rate is None:
        return
    rate = whole(
        "sample_rate",
        sample_rate,
        -sys.maxsize,
        sys.maxsize,
        expected="a whole number of Hz",
        wrong_type=TypeError,
    )
    if rate != expected:
        raise ValueError(
            f"sample_rate is {shown(sample_rate)} Hz, expected the model's {expected} Hz: resample "
            f"first, for instance with fastwavenet.read_audio(file, {expected}, convert=True)"
        )


def _array(samples: npt.ArrayLike, name: str) -> np.ndarray:
    if isinstance(samples, (str, bytes, os.PathLike)):
        raise TypeError(
            f"{name} must be an array of audio or codes, not {shown(samples)}: "
            f"read the file first, with fastwavenet.read_audio"
        )
    refuse_masked(samples, name)
    array = np.asarray(samples)
    if array.dtype.kind == "i" and array.dtype.itemsize == 2:  # of either byte order
        raise TypeError(
            f"{name} of int16 may be audio or codes: divide audio by 32768, make codes uint8"
        )
    return array


def _coded(array: np.ndarray, levels: int, codec: MuLawCodec, isa: Isa) -> np.ndarray:
    """Codes of the array's shape."""
    if np.issubdtype(array.dtype, np.floating):
        return mu_law_encode(array, levels, codec=codec, isa=isa)
    try:
        return check_codes(array, levels).reshape(array.shape)
    except ValueError as error:
        if array.dtype.itemsize < 4:
            raise
        bits = 8 * array.dtype.itemsize - 1
        raise ValueError(f"{error}; if they are audio, divide by 2**{bits} first") from None
