"""Items of several sources in groups, which are filled across the borders of the sources.

A group's items are computed in step, and a source of few items leaves room for those of the next:

    groups(entries(sources), size) -> with_results(call, group) -> by_source(all of their entries)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """An item or a result of a source; or its end, with the error that ended it."""

    value: Any
    is_end: bool = False
    error: Exception | None = None


def entries(sources: Iterable[Iterable[Any]]) -> Iterator[Entry]:
    """The items of each source and its end, in order, until a source raises an error."""
    for source in sources:
        try:
            for item in source:
                yield Entry(item)
        except Exception as error:  # raised by by_source, behind the items before it
            yield Entry(None, True, error)
            return
        yield Entry(None, True)


def groups(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Lists with `size` items, and with all ends between and behind them."""
    group: list[Entry] = []
    room = size
    for entry in entries:
        if not room and not entry.is_end:
            yield group
            group, room = [], size
        group.append(entry)
        room -= not entry.is_end
    if group:
        yield group


def with_results(call: Callable[[list[Any]], list[Any]], group: list[Entry]) -> list[Entry]:
    """The entries of a group with the results of call(items) in the place of the items."""
    items = [entry.value for entry in group if not entry.is_end]
    results = iter(call(items) if items else [])
    return [entry if entry.is_end else Entry(next(results)) for entry in group]


def by_source(entries: Iterable[Entry]) -> Iterator[Iterator[Any]]:
    """The results of each source in turn, whose error is raised behind them, or in their place.

    What is left of one when the next is taken is passed over.
    """
    entries = iter(entries)

    def of_one(first: Entry) -> Iterator[Any]:
        entry = first
        while not entry.is_end:
            yield entry.value
            entry = next(entries)
        if entry.error is not None:
            raise entry.error

    for first in entries:
        if first.error is not None:
            raise first.error
        results = of_one(first)
        yield results
        deque(results, maxlen=0)
