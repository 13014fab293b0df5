"""--shard I/N: the part of a command's inputs that one of N processes or machines takes.

Parts are contiguous, because the voices of `generate` are consecutive random streams.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..listing import shard_of
from .arguments import AddOption
from .report import Report

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Part `number`, from 1 on, of `count` parts."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """The part of a list; the lengths of all parts differ by at most 1."""
        return shard_of(items, self.number, self.count)

    @property
    def is_whole(self) -> bool:
        return self.count == 1


WHOLE = Shard(1, 1)


def shard(text: str) -> Shard:
    """The type of --shard."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if found:
        parsed = Shard(*map(int, found.groups()))
        if 1 <= parsed.number <= parsed.count:
            return parsed
    raise argparse.ArgumentTypeError(f"expected I/N with I from 1 to N, as 1/4, not {text!r}")


def add_shard(option: AddOption, inputs: str) -> None:
    """inputs: the noun for the inputs of the command, in the plural."""
    option(
        "--shard",
        type=shard,
        default=WHOLE,
        metavar="I/N",
        help=f"only part I of N of the {inputs}, 1/N to N/N, for N processes or machines",
    )


def check_seed(part: Shard, seed: int | None) -> None:
    """Raises ValueError for a part without a seed: each part would draw another one."""
    if not part.is_whole and seed is None:
        raise ValueError(f"--shard {part} needs --seed, the same for all shards")


def report_empty(part: Shard, inputs: str, report: Report, **values: object) -> int:
    """The result of a part without inputs, of which there may be fewer than parts; exit code 0.

    values: of the result as JSON.
    """
    report.result(values, f"nothing to do: there are no {inputs} in shard {part}")
    return 0
