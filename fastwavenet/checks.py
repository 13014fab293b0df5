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


def integer(name: str, value: object, low: int, high: int) -> int:
    """`whole`, which raises TypeError for a value that is no integer."""
    return whole(name, value, low, high, wrong_type=TypeError)


def number(
    name: str,
    value: object,
    *,
    zero: bool,
    least: float = 0.0,
    most: float = math.inf,
    expected: str | None = None,
    wrong_type: type[Exception] | None = None,
) -> float:
    """`value` as a finite float above 0 and from `least` to `most`; with `zero`, 0 too.

    expected    in the message, instead of "a positive number" or "a number from 0"
    wrong_type  raised for a value that is no number; None: ValueError

    Raises ValueError for another number.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if wrong_type is not None and not is_number:
        raise wrong_type(f"{name} must be a number, not {shown(value)}")
    try:
        found = float(value) if is_number else math.nan  # type: ignore[arg-type]
    except OverflowError:  # of a large int
        found = math.inf
    allowed = zero if found == 0 else least <= found <= most and 0 < found < math.inf
    if not allowed:
        expected = expected or ("a number from 0" if zero else "a positive number")
        raise ValueError(f"{name} must be {expected}, not {shown(value)}")
    return found
