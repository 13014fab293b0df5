"""mu-law coding: amplitudes to codes and back, by the engine.

The curve, its thresholds and the convention ("round": all codes survive decode then encode, -1 and
1 are codes) are in docs/arithmetic.md; the slow twin is in reference.py.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from . import _engine
from .isa import isa as resolve_isa


@functools.lru_cache(maxsize=16)
def _codec(levels: int) -> _engine.MuLaw:
    whole = isinstance(levels, (int, np.integer)) and not isinstance(levels, bool)
    if not whole or not 2 <= levels <= 65536:
        raise ValueError(f"levels must be a whole number from 2 to 65536, not {levels!r}")
    return _engine.MuLaw(int(levels))


def code_dtype(levels: int) -> type[np.unsignedinteger]:
    """The dtype of codes: uint8 up to 256 levels, uint16 above."""
    return np.uint8 if levels <= 256 else np.uint16


def mu_law_encode(
    audio: npt.ArrayLike,
    levels: int = 256,
    out: np.ndarray | None = None,
    *,
    isa: str | None = None,
) -> np.ndarray:
    """Amplitudes to codes 0 .. levels - 1; amplitudes outside [-1, 1] are clipped.

    audio: float32 or float64 in [-1, 1], or int16; any shape.
    out: array of the same shape for the codes, uint8 up to 256 levels, uint16 above.
    Raises ValueError naming the index of the first NaN or infinity, TypeError for another dtype.
    """
    codec, isa = _codec(levels), resolve_isa(isa)
    audio = np.asarray(audio)
    if audio.dtype not in (np.float32, np.float64, np.int16):
        raise TypeError(f"audio must be float32, float64 or int16, not {audio.dtype}")
    codes = np.empty(audio.size, code_dtype(levels))
    if audio.dtype == np.int16:
        codec.encode_i16(isa, np.ascontiguousarray(audio).reshape(-1), codes)
    else:
        with np.errstate(over="ignore"):  # beyond float32 becomes infinity, refused below
            flat = np.ascontiguousarray(audio, np.float32).reshape(-1)
        bad = codec.encode_f32(isa, flat, codes)
        if bad is not None:
            where = _index(bad, audio.shape)
            raise ValueError(f"audio must be finite: {audio[where]} at index {_shown(where)}")
    return _deliver(codes.reshape(audio.shape), out)


def mu_law_decode(
    codes: npt.ArrayLike,
    levels: int = 256,
    out: np.ndarray | None = None,
    *,
    dtype: npt.DTypeLike = np.float32,
    isa: str | None = None,
) -> np.ndarray:
    """Codes 0 .. levels - 1 to amplitudes from exactly -1 to exactly 1.

    codes: integers, any shape.  dtype: float32, or int16 for clip(rint(32768 x)).
    out: array of the same shape and of `dtype` for the amplitudes.
    Raises ValueError naming the index of the first code out of range, TypeError for another dtype.
    """
    codec, isa = _codec(levels), resolve_isa(isa)
    flat = check_codes(codes, levels)
    if np.dtype(dtype) == np.float32:
        audio = np.empty(flat.size, np.float32)
        codec.decode_f32(isa, flat, audio)
    elif np.dtype(dtype) == np.int16:
        audio = np.empty(flat.size, np.int16)
        codec.decode_i16(isa, flat, audio)
    else:
        raise TypeError(f"dtype must be float32 or int16, not {np.dtype(dtype)}")
    return _deliver(audio.reshape(np.shape(codes)), out)


def check_codes(codes: npt.ArrayLike, levels: int) -> np.ndarray:
    """Codes as a flat, contiguous array of `code_dtype(levels)`.

    Raises ValueError naming the first index of a code out of range, TypeError if they are not
    integers.
    """
    codes = np.asarray(codes)
    if not np.issubdtype(codes.dtype, np.integer):
        raise TypeError(f"codes must be integers, not {codes.dtype}")
    narrow = code_dtype(levels)
    if codes.dtype != narrow or levels <= np.iinfo(narrow).max:
        outside = (codes < 0) | (codes >= levels)
        if outside.any():
            bad = int(np.argmax(outside))
            where = _shown(_index(bad, codes.shape))
            found = int(codes.reshape(-1)[bad])
            raise ValueError(f"codes must be from 0 to {levels - 1}: {found} at index {where}")
    return np.ascontiguousarray(codes, narrow).reshape(-1)


def _index(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, shape))


def _shown(index: tuple[int, ...]) -> str:
    return str(index[0]) if len(index) == 1 else str(index)


def _deliver(result: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    if out is None:
        return result
    if not isinstance(out, np.ndarray) or (out.shape, out.dtype) != (result.shape, result.dtype):
        found = f"{getattr(out, 'dtype', type(out).__name__)} {getattr(out, 'shape', '')}"
        raise ValueError(f"out must be {result.dtype} {result.shape}, not {found}")
    out[...] = result
    return out
