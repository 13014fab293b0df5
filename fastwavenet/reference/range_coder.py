"""The range coder in numpy and whole numbers of Python, which do not overflow.

The engine's are csrc/range_coder.h and csrc/kernels/output_softmax.h; docs/arithmetic.md, "Range
coder", is the definition.
"""

from __future__ import annotations

import numpy as np

from .float32 import exp_float32
from .outputs import draw_order

BITS = 2**64
LEAST = 2**56  # the range between two parts, at least
PARTS = 16  # of the density of a code's values, shared by its ends, which have one more each


def frequencies(logits: np.ndarray) -> np.ndarray:
    """int64 (levels,): the frequency of each code, by float32 logits (levels,)."""
    below = np.asarray(logits, np.float32) - np.max(logits)
    weights = np.where(below < -87, np.float32(0), exp_float32(np.fmax(below, np.float32(-87))))
    return 1 + (weights.astype(np.float64) * 2**30).astype(np.int64)


def part_of(sizes: np.ndarray, place: int) -> tuple[int, int, int]:
    """begin, size and total of the part at this place, of parts of these sizes."""
    return int(sizes[:place].sum()), int(sizes[place]), int(sizes.sum())


def part_of_code(frequency: np.ndarray, code: int) -> tuple[int, int, int]:
    """begin, size and total of a code's part."""
    order = draw_order(len(frequency))
    return part_of(frequency[order], int(np.flatnonzero(order == code)[0]))


def sizes_of_places(frequency: np.ndarray, widths: np.ndarray, code: int) -> np.ndarray:
    """int64 (widths[code],): the size of the part of each value that has this code.

    Their density is linear, from that of the code below to that of the code above; where there is
    none, or it has no values, from the code's own.
    """

    def density(neighbour: int) -> int:
        is_one = 0 <= neighbour < len(widths) and widths[neighbour] > 0
        its = neighbour if is_one else code
        return (int(frequency[its]) << 16) // int(widths[its])

    low, high = density(code - 1), density(code + 1)
    left = 1 + PARTS * low // (low + high)
    right = PARTS + 2 - left
    place, width = np.arange(widths[code], dtype=np.int64), int(widths[code])
    return left * (2 * (width - place) - 1) + right * (2 * place + 1)


class RangeEncoder:
    """Appends parts of intervals to a number in [0, 1)."""

    def __init__(self) -> None:
        self.number = 0  # all bytes, with `low` behind them: no carry is lost
        self.count = 0  # bytes before `low`
        self.range = BITS - 1

    def put(self, begin: int, size: int, total: int) -> None:
        unit = self.range // total
        self.number += begin * unit
        self.range = size * unit
        while self.range < LEAST:
            self.number <<= 8
            self.range <<= 8
            self.count += 1

    def end(self) -> bytes:
        """All bytes."""
        last = (self.number + LEAST - 1) // LEAST
        return last.to_bytes(self.count + 1, "big")


class RangeDecoder:
    """Finds the parts of an encoder's bytes again.

    Raises ValueError for bytes of none.
    """

    def __init__(self, data: bytes):
        self.data, self.count = data, 8
        self.rest = int.from_bytes(data[:8].ljust(8, b"\0"), "big")  # the number less the low
        self.range = BITS - 1

    def target(self, total: int) -> int:
        """A number in [0, total) that lies in the next part."""
        target = self.rest // (self.range // total)
        if target >= total:
            raise ValueError("no part of the interval has this number")
        return target

    def take(self, begin: int, size: int, total: int) -> None:
        unit = self.range // total
        self.rest -= begin * unit
        self.range = size * unit
        while self.range < LEAST:
            byte = self.data[self.count] if self.count < len(self.data) else 0
            self.rest = self.rest << 8 | byte
            self.range <<= 8
            self.count += 1

    def code(self, frequency: np.ndarray) -> int:
        """The next code."""
        order = draw_order(len(frequency))
        ends = np.cumsum(frequency[order])
        code = int(order[np.searchsorted(ends, self.target(int(ends[-1])), side="right")])
        self.take(*part_of_code(frequency, code))
        return code

    def place(self, sizes: np.ndarray) -> int:
        """The next place, of those that have these sizes."""
        if len(sizes) == 1:
            return 0
        target = self.target(int(sizes.sum()))
        place = int(np.searchsorted(np.cumsum(sizes), target, side="right"))
        self.take(*part_of(sizes, place))
        return place

    def end(self) -> None:
        """Raises ValueError unless the encoder's bytes end here."""
        if self.count != len(self.data) + 7 or self.rest >= LEAST:
            raise ValueError("the bytes go on behind the last part, or are too few")
