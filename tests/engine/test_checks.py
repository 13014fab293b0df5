"""Checks of single values: types, bounds and messages."""

import numpy as np
import pytest

from fastwavenet.checks import number, whole


@pytest.mark.parametrize("value", [1, 2, 3, np.int64(2), np.uint8(3)])
def test_a_whole_number_within_its_bounds_is_returned_as_an_int(value):
    found = whole("n", value, 1, 3)
    assert found == value
    assert type(found) is int


@pytest.mark.parametrize("value", [0, 4, -(10**30), 10**30, np.int64(4)])
def test_a_whole_number_outside_its_bounds_is_named(value):
    with pytest.raises(ValueError, match=f"^n must be a whole number from 1 to 3, not .*{value}"):
        whole("n", value, 1, 3, wrong_type=TypeError)


@pytest.mark.parametrize("value", [True, np.True_, 2.0, "2", None, [2], np.array([2])])
def test_what_is_no_integer_raises_the_error_chosen_for_it(value):
    for error in (TypeError, ValueError):
        with pytest.raises(error, match="^n must be a positive whole number, not "):
            whole("n", value, 1, 3, expected="a positive whole number", wrong_type=error)


@pytest.mark.parametrize("value", [1, 0.5, np.float32(2), 10**22, 5e-324])
def test_a_positive_number_is_returned_as_a_float(value):
    found = number("x", value, zero=False)
    assert found == value
    assert type(found) is float


def test_zero_is_a_number_where_it_is_allowed():
    assert number("x", 0, zero=True) == 0
    with pytest.raises(ValueError, match="^x must be a positive number, not 0$"):
        number("x", 0, zero=False)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 10**400, True, "1", None, 1j])
def test_what_is_no_finite_number_from_0_is_refused(value):
    with pytest.raises(ValueError, match="^x must be a number from 0, not "):
        number("x", value, zero=True)
