"""How fast this core reads memory: the bound of everything that reads each weight for each step."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable

import numpy as np

HUGE_PAGE = 2**21
COLUMNS = 256


class Probe:
    """Reads `footprint` bytes again and again, in the fastest of a few ways that BLAS offers.

    The memory is in huge pages where there are any, and written before it is read: pages that
    never were are all the same page of zeros, and in L1.
    """

    def __init__(self, footprint: int):
        memory = _huge_pages(footprint)
        self.ways = _ways(memory)
        self.footprint = memory.nbytes
        self.way = min(self.ways, key=lambda way: self._seconds(way))

    def read(self, n: int) -> None:
        """Reads all of it, n times."""
        read = self.ways[self.way]
        for _ in range(n):
            read()

    def _seconds(self, way: str) -> float:
        """The shortest of a few times for a few reads, after a first one."""
        times = []
        for _ in range(6):
            start = time.perf_counter()
            for _ in range(8):
                self.ways[way]()
            times.append(time.perf_counter() - start)
        return min(times[1:])


def _ways(memory: np.ndarray) -> dict[str, Callable[[], object]]:
    import torch

    matrix = memory.reshape(-1, COLUMNS)
    rows, row = np.ones(len(matrix), np.float32), np.ones(COLUMNS, np.float32)
    per_row, per_column = np.empty_like(rows), np.empty_like(row)
    tensors = [torch.from_numpy(array) for array in (matrix, row, per_row)]
    return {
        "numpy, dot product with itself": lambda: np.dot(memory, memory),
        "numpy, vector x matrix": lambda: np.dot(rows, matrix, per_column),
        "torch, matrix x vector": lambda: torch.mv(*tensors[:2], out=tensors[2]),
    }


def _huge_pages(size: int) -> np.ndarray:
    """About `size` bytes as float32 ones, whole rows of COLUMNS."""
    pages = mmap.mmap(-1, size + 2 * HUGE_PAGE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    everything = np.frombuffer(pages, np.uint8)
    first = -everything.ctypes.data % HUGE_PAGE
    row = 4 * COLUMNS
    memory = everything[first : first + max(1, size // row) * row].view(np.float32)
    memory[:] = 1
    return memory
