"""Whether memory lies in huge pages: with small ones about half of an L2 cache goes unused."""

from __future__ import annotations

import re
from collections.abc import Iterable

SMAPS = "/proc/self/smaps"
_RANGE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) ")


def huge_page_bytes(address: int, size: int) -> int | None:
    """Number of the `size` bytes at `address` that the kernel keeps in huge pages.

    None where the kernel has no such file: everywhere but on Linux.
    """
    try:
        with open(SMAPS) as lines:
            return _count(lines, address, size)
    except OSError:
        return None


def _count(lines: Iterable[str], address: int, size: int) -> int:
    """Sums the huge bytes of each mapping, at most as many as it has of the range.

    The kernel gives no places within a mapping.
    """
    inside, total = 0, 0
    for line in lines:
        if mapping := _RANGE.match(line):
            start, end = (int(part, 16) for part in mapping.groups())
            inside = max(0, min(end, address + size) - max(start, address))
        elif line.startswith("AnonHugePages:"):
            total += min(inside, int(line.split()[1]) * 1024)
    return total
