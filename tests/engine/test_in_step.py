"""Groups of items that are filled across the borders of their sources."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastwavenet.in_step import by_source, entries, groups, with_results


def computed(sources, size: int, sizes: list[int]):
    """The doubles of all items by source.  sizes: receives the number of items of each call."""

    def doubles(items: list[int]) -> list[int]:
        sizes.append(len(items))
        return [2 * item for item in items]

    return by_source(
        itertools.chain.from_iterable(
            with_results(doubles, group) for group in groups(entries(sources), size)
        )
    )


@given(st.lists(st.lists(st.integers(), max_size=7), max_size=9), st.integers(1, 8))
def test_each_source_has_its_results_and_all_groups_but_the_last_are_full(sources, size):
    sizes = []
    found = [list(results) for results in computed(sources, size, sizes)]
    assert found == [[2 * item for item in source] for source in sources]
    full, rest = divmod(sum(map(len, sources)), size)
    assert sizes == [size] * full + [rest] * (rest > 0)


def failing(count: int):
    yield from range(count)
    raise OSError("unreadable")


@pytest.mark.parametrize("size", [1, 2, 3, 9])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_an_error_of_a_source_is_raised_in_its_place(count, size):
    found = []
    with pytest.raises(OSError, match="unreadable"):
        for results in computed([[5], failing(count), [6]], size, []):
            found.append([])
            for result in results:
                found[-1].append(result)
    assert found == [[10], [0, 2][:count]][: 1 + (count > 0)]


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_what_is_left_of_a_source_is_passed_over(taken):
    found = [
        list(itertools.islice(results, taken)) for results in computed([[1, 2, 3], [4, 5]], 2, [])
    ]
    assert found == [[2, 4, 6][:taken], [8, 10][:taken]]


def test_a_source_is_read_no_further_than_its_group_needs():
    read = []
    source = (read.append(item) or item for item in range(10))
    results = next(computed([source], 3, []))
    assert next(results) == 0
    assert len(read) <= 4
