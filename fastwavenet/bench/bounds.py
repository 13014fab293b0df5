"""What bounds a step on this core: reading its weights, and multiplying them.

Both are measured with the engine's own instructions, in loops that do nothing else.
"""

from __future__ import annotations

import dataclasses
import mmap

import numpy as np

from .. import _engine
from ..ends import Sampling
from ..spec import WaveNetSpec
from ..types import Isa, Precision

HUGE_PAGE = 2**21
VECTOR = 64  # bytes
TILED = 4  # voices from which AMX multiplies the rows of int8 by tiles, which has no probe


class Reading:
    """Reads `footprint` bytes again and again, as the engine reads weights.

    The memory is in huge pages where there are any, and written before it is read: pages that
    never were are all the same page of zeros, and in L1.
    """

    def __init__(self, isa: Isa, footprint: int):
        self.isa, self.memory = isa, _huge_pages(footprint)
        self.footprint = self.memory.nbytes

    def read(self, n: int) -> None:
        """Reads all of it, n times."""
        _engine.probe_reading(self.isa, self.memory, n)


class Multiplying:
    """Multiplies in a number format, with all operands in the L1 cache: `products` for each n."""

    def __init__(self, isa: Isa, precision: Precision):
        self.isa, self.precision = isa, precision
        self.products = self.multiply(1)

    def multiply(self, n: int) -> int:
        """The number of products that were made."""
        return _engine.probe_products(self.isa, self.precision, n)


def products_of(spec: WaveNetSpec, precision: Precision, isa: Isa, batch: int) -> int | None:
    """Products of a step, without those of frames; None: of an instruction without a probe.

    In int8 an input of 16 bits takes two; those of the skip and the residual products have 8.
    """
    macs = spec_without_frames(spec).macs_per_sample
    if precision in ("int8", "int8x8") and isa == "amx" and batch >= TILED:
        return None
    if precision != "int8":
        return batch * macs
    gated = spec.dilation_channels * (spec.layers * (spec.skip + spec.residual) - spec.residual)
    return batch * (2 * macs - gated)


def spec_without_frames(spec: WaveNetSpec) -> WaveNetSpec:
    """The same network without conditioning, whose weights serve whole frames."""
    return dataclasses.replace(spec, conditioning=None, sampling=Sampling())


def _huge_pages(size: int) -> np.ndarray:
    """About `size` bytes, whole vectors of ones."""
    pages = mmap.mmap(-1, size + 2 * HUGE_PAGE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    everything = np.frombuffer(pages, np.uint8)
    first = -everything.ctypes.data % HUGE_PAGE
    memory = everything[first : first + max(1, size // VECTOR) * VECTOR]
    memory[:] = 1
    return memory
