"""The place of this process among those that torchrun started, by its environment variables.

torch is not needed for it, so that the command line can keep all processes but one silent.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Place:
    """rank: number of the process, from 0; local: its number on its machine; size: of all."""

    rank: int = 0
    local: int = 0
    size: int = 1


def place() -> Place:
    """`Place()` unless torchrun has started several processes."""
    values = [os.environ.get(name, "") for name in VARIABLES]
    if not all(values) or not all(value.isdecimal() for value in values[:3]):
        return Place()
    found = Place(*map(int, values[:3]))
    return found if found.size > 1 else Place()


class FollowerError(RuntimeError):
    """The process that leads this one, or another one, has ended with an error of its own."""
