"""shown(): names and values of others in our messages."""

from pathlib import Path

import numpy as np
import pytest

from fastwavenet.shown import MOST, shown

AWKWARD = ["two\nlines", "\x1b[31mred", "a\ttab", "\u202egnp.wav", "caf\udce9", "\x00", "\x7f"]


@pytest.mark.parametrize("text", AWKWARD)
@pytest.mark.parametrize("kind", [str, Path])
def test_a_name_or_value_is_printable_and_one_line(text, kind):
    assert shown(kind(text)).isprintable()


def test_a_path_is_shown_whole_and_as_it_is():
    assert shown(Path("a folder/früh 'n' \\ spät.wav")) == "a folder/früh 'n' \\ spät.wav"
    assert shown(Path("n" * 255)) == "n" * 255


def test_a_value_is_shown_as_its_repr():
    assert [shown(value) for value in (1.5, "x", None, (1, 2))] == ["1.5", "'x'", "None", "(1, 2)"]


@pytest.mark.parametrize("n", [MOST - 3, MOST - 2, MOST - 1, 10**6])
def test_a_long_value_is_shortened(n):
    text = shown("x" * n)
    assert len(text) == min(n + 2, MOST)
    assert text.endswith("..." if n + 2 > MOST else "'")


def test_a_number_of_more_digits_than_python_converts_is_named_by_its_size():
    assert shown(10**5000) == "a number of 16610 bits"


def test_what_is_nested_too_deeply_is_shown_without_its_contents():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    assert shown(nested) == "a value"


@pytest.mark.parametrize("value", [[10**5000], np.zeros(10**6), {"a": "\x1b" * 1000}])
def test_containers_are_shortened_too(value):
    assert len(shown(value)) <= MOST
    assert shown(value).isprintable()


@pytest.mark.parametrize("kind", [list, tuple, set])
def test_a_long_container_is_shown_by_its_length_alone(kind):
    assert shown(kind(range(10**6))) == f"a {kind.__name__} of 1000000 items"
    assert shown(kind(range(MOST))).endswith("...")
