"""Checks of single values, and their messages: name, expected, found."""

from __future__ import annotations

import math
import numbers

from .shown import shown


def whole(
    name: str,
    value: object,
    low: int,
    high: int,
    *,
    expected: str | None = None,
    wrong_type: type[Exception] = ValueError,
) -> int:
    """`value` as an int from `low` to `high`; numpy's integers are integers, True is none.

    expected    in the message, instead of "a whole number from low to high"
    wrong_type  raised for a value that is no integer

    Raises ValueError for an integer outside the bounds.
    """
    expected = expected or f"a whole number from {low} to {high}"
    error = f"{name} must be {expected}, not {shown(value)}"
    if type(value) is not int:  # first the usual type, fast
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise wrong_type(error)
        value = int(value)
    if not low <= value <= high:
        raise ValueError(error)
    return value


def number(name: str, value: object, *, zero: bool) -> float:
    """`value` as a finite float, above 0 or with `zero` from 0.  Raises ValueError."""
    right = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        found = float(value) if right else math.nan  # type: ignore[arg-type]
    except OverflowError:  # of a large int
        found = math.inf
    if not 0 <= found < math.inf or (found == 0 and not zero):
        expected = "a number from 0" if zero else "a positive number"
        raise ValueError(f"{name} must be {expected}, not {shown(value)}")
    return found
