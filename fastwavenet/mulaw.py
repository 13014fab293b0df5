"""mu-law coding: amplitudes to codes and back, by the engine.

The curve and its thresholds are in docs/arithmetic.md, the conventions that projects differ in are
the numbers of `ends.MuLawCodec`; the slow twin is reference/mu_law.py.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _engine
from .checks import whole
from .ends import MuLawCodec
from .instruction_sets import isa as resolve_isa
from .types import Audio, Isa


def _tables(levels: int, codec: MuLawCodec | None) -> _engine.MuLaw:
    return _kept_tables(whole("levels", levels, 2, 65536), codec)


@functools.lru_cache(maxsize=16)
def _kept_tables(levels: int, codec: MuLawCodec | None) -> _engine.MuLaw:
    if codec is not None:
        codec.check_levels(levels)
    return _engine.MuLaw(levels, codec)


def code_dtype(levels: int) -> type[np.unsignedinteger]:
    """The dtype of codes: uint8 up to 256 levels, uint16 above."""
    return np.uint8 if levels <= 256 else np.uint16


# Type of the engine's input for audio of a type, of either byte order.
_FED_AS = {
    np.dtype(order + kind): np.dtype(fed_as)
    for kind, fed_as in (("f4", "f4"), ("f8", "f4"), ("i2", "i2"))
    for order in "<>"
}
_DECODED = (np.dtype(np.float32), np.dtype(np.int16))


def mu_law_encode(
    audio: npt.ArrayLike,
    levels: int = 256,
    out: npt.NDArray[np.unsignedinteger] | None = None,
    *,
    codec: MuLawCodec | None = None,
    isa: Isa | None = None,
) -> npt.NDArray[np.unsignedinteger]:
    """Amplitudes to codes 0 .. levels - 1; amplitudes outside [-1, 1] are clipped.

    audio: float32 or float64 in [-1, 1], or int16; any shape, strides and byte order.
    codec: the convention; None: `MuLawCodec.symmetric(levels)`.  Its pre-emphasis runs along the
    last axis, from silence.
    out: array of the same shape for the codes, uint8 up to 256 levels, uint16 above; any strides,
    and it may overlap `audio`.  After an error its content is undefined.
    Raises ValueError naming the index of the first NaN or infinity, TypeError for another dtype.
    """
    tables, isa = _tables(levels, codec), resolve_isa(isa)
    audio = np.asarray(audio)
    fed_as = _FED_AS.get(audio.dtype)
    if fed_as is None:
        raise TypeError(f"audio must be float32, float64 or int16, not {audio.dtype}")
    out = output_array(out, audio.shape, np.dtype(code_dtype(levels)))
    if codec is not None and codec.pre_emphasis:
        audio, fed_as = pre_emphasised(audio, codec), np.dtype(np.float32)
    if np.may_share_memory(audio, out):
        audio = audio.copy()
    if not _coded(functools.partial(tables.encode, isa), audio, fed_as, out):
        with np.errstate(over="ignore"):
            where = _first(~np.isfinite(audio.astype(np.float32)))
        raise ValueError(f"audio must be finite: {audio[where]} at index {_index(where)}")
    return out


def mu_law_decode(
    codes: npt.ArrayLike,
    levels: int = 256,
    out: npt.NDArray[Any] | None = None,
    *,
    codec: MuLawCodec | None = None,
    dtype: npt.DTypeLike = np.float32,
    isa: Isa | None = None,
) -> npt.NDArray[Any]:
    """Codes 0 .. levels - 1 to amplitudes, from exactly -1 to exactly 1 in the usual convention.

    codes: integers, any shape, strides and byte order.
    codec: as in `mu_law_encode`; pre-emphasis is undone along the last axis, from silence.
    dtype: float32, or int16 for clip(rint(32768 x)).
    out: array of the same shape and of `dtype` for the amplitudes; any strides, and it may overlap
    `codes`.  After an error its content is undefined.
    Raises ValueError naming the index of the first code out of range, TypeError for another dtype.
    """
    tables, isa = _tables(levels, codec), resolve_isa(isa)
    codes, fed_as, dtype = np.asarray(codes), np.dtype(code_dtype(levels)), np.dtype(dtype)
    if dtype not in _DECODED:
        raise TypeError(f"dtype must be float32 or int16, not {dtype}")
    if codes.dtype != fed_as:  # else the engine checks them, on its way
        codes = check_codes(codes, levels).reshape(codes.shape)
    out = output_array(out, codes.shape, dtype)
    if codec is not None and codec.pre_emphasis:
        audio = mu_law_decode(codes, levels, codec=replace(codec, pre_emphasis=0.0), isa=isa)
        out[...] = _as_type(de_emphasised(audio, codec), dtype)
        return out
    if np.may_share_memory(codes, out):
        codes = codes.copy()
    if not _coded(functools.partial(tables.decode, isa), codes, fed_as, out):
        check_codes(codes, levels)
    return out


def pre_emphasised(
    audio: np.ndarray, codec: MuLawCodec, before: Audio | None = None
) -> npt.NDArray[np.float32]:
    """y(t) = x(t) - a x(t - 1) along the last axis, float32.

    audio: float32, float64 or int16, any shape.
    before: float32, a number for each row: x(-1), which becomes the last x; None: silence.
    """
    unit = 2.0**-15 if audio.dtype.kind == "i" else 1.0
    with np.errstate(over="ignore"):  # beyond float32 becomes infinity, which is refused
        y = np.multiply(audio, unit, dtype=np.float32, order="C")
    rows = _rows(y)
    _engine.pre_emphasise(codec, rows, _before(before, rows))
    return y


def de_emphasised(
    audio: npt.NDArray[np.float32], codec: MuLawCodec, before: Audio | None = None
) -> npt.NDArray[np.float32]:
    """x(t) = y(t) + a x(t - 1): the inverse of `pre_emphasised`, with the same `before`."""
    x = np.array(audio, np.float32, order="C")
    rows = _rows(x)
    _engine.de_emphasise(codec, rows, _before(before, rows))
    return x


def _rows(audio: Audio) -> Audio:
    """A view (rows, n) of a C-contiguous array of any shape."""
    return audio.reshape(math.prod(audio.shape[:-1]), audio.shape[-1] if audio.ndim else 1)


def _before(before: Audio | None, rows: np.ndarray) -> Audio:
    return np.zeros(len(rows), np.float32) if before is None else before


def _as_type(audio: Audio, dtype: np.dtype) -> np.ndarray:
    """float32 in units of full scale as `dtype`: itself, or int16."""
    if dtype == np.float32:
        return audio
    return np.rint(audio * np.float32(2**15)).clip(-(2**15), 2**15 - 1).astype(np.int16)


def check_codes(codes: npt.ArrayLike, levels: int) -> np.ndarray:
    """Codes as a flat, contiguous array of `code_dtype(levels)`.

    Raises ValueError naming the first index of a code out of range, TypeError if they are not
    integers.
    """
    codes = np.asarray(codes)
    if not np.issubdtype(codes.dtype, np.integer):
        raise TypeError(f"codes must be integers, not {codes.dtype}")
    narrow = code_dtype(levels)
    may_be_outside = codes.size and (codes.dtype != narrow or levels <= np.iinfo(narrow).max)
    if may_be_outside and (int(codes.min()) < 0 or int(codes.max()) >= levels):
        where = _first((codes < 0) | (codes >= levels))
        raise ValueError(
            f"codes must be from 0 to {levels - 1}: {codes[where]} at index {_index(where)}"
        )
    return np.require(codes, narrow, ("C", "A")).reshape(-1)


def output_array(out: np.ndarray | None, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """`out`, which must be a writable array of this shape and dtype, or a new one."""
    if out is None:
        return np.empty(shape, dtype)
    plain = isinstance(out, np.ndarray) and not isinstance(out, np.ma.MaskedArray)
    if not plain or (out.shape, out.dtype) != (shape, dtype):
        found = f"{getattr(out, 'dtype', type(out).__name__)} {getattr(out, 'shape', '')}"
        raise ValueError(f"out must be {dtype} {shape}, not {found}")
    if not out.flags.writeable:
        raise ValueError("out must be writable, not read-only")
    return out


def _coded(
    code: Callable[[np.ndarray, np.ndarray], bool],
    source: np.ndarray,
    fed_as: np.dtype,
    out: np.ndarray,
) -> bool:
    """Codes `source`, as type `fed_as`, into `out`; returns whether all of it was valid.

    An array that is not contiguous, not aligned or of another type goes through small buffers, not
    through a copy.
    """
    ready = source.dtype == fed_as and source.flags.c_contiguous and source.flags.aligned
    if ready and out.flags.carray:
        return code(source, out)
    parts = np.nditer(  # type: ignore[call-overload]  # whose stubs misspell "contig"
        (source, out),
        flags=("external_loop", "buffered", "grow_inner", "zerosize_ok"),
        op_flags=(("readonly", "nbo", "contig", "aligned"), ("writeonly", "contig", "aligned")),
        op_dtypes=(fed_as, out.dtype),
        casting="same_kind",
        buffersize=8192,
    )
    with np.errstate(over="ignore"), parts:  # beyond float32 becomes infinity, which is refused
        return all(code(some, their) for some, their in parts)


def _first(true: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(np.argmax(true), true.shape))


def _index(index: tuple[int, ...]) -> str:
    return str(index[0]) if len(index) == 1 else str(index)
