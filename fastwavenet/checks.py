"""Checks of values and of the names of fields; the messages: name, expected, found."""

from __future__ import annotations

import dataclasses
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


def number(name: str, value: object, *, zero: bool) -> float:
    """`value` as a finite float, above 0 or with `zero` from 0.  Raises ValueError."""
    found = _real(value)
    if found is None or not 0 <= found < math.inf or (found == 0 and not zero):
        expected = "a number from 0" if zero else "a positive number"
        raise ValueError(f"{name} must be {expected}, not {shown(value)}")
    return found


def within(
    name: str,
    value: object,
    low: float,
    high: float,
    *,
    zero: bool = False,
    expected: str | None = None,
    wrong_type: type[Exception] = ValueError,
) -> float:
    """`value` as a float from `low` to `high`, or with `zero` 0; NaN is none.

    expected    in the message, instead of "from low to high"
    wrong_type  raised for a value that is no number

    Raises ValueError for a number outside the bounds.
    """
    found = _real(value)
    if found is None:
        raise wrong_type(f"{name} must be a number, not {shown(value)}")
    if not low <= found <= high and not (zero and found == 0):
        raise ValueError(
            f"{name} must be {expected or f'from {low} to {high}'}, not {shown(value)}"
        )
    return found


def supported(name: str, value: object, known: tuple[str, ...]) -> None:
    """Raises ValueError unless `value` is one of the names that this version computes."""
    if value not in known:
        expected = " or ".join(map(repr, known))
        raise ValueError(f"{name} {shown(value)} is not supported by this version, only {expected}")


def check_fields(cls: type, given: dict, name: str, *, all_of_them: bool = False) -> None:
    """Raises ValueError for a field that the dataclass lacks, or one that it needs and has not.

    all_of_them: fields with a default are needed too.
    """
    fields = dataclasses.fields(cls)
    unknown = [field for field in given if field not in {f.name for f in fields}]
    if unknown:
        raise ValueError(f"unknown {name} field {shown(unknown[0])}")
    required = [f.name for f in fields if all_of_them or f.default is dataclasses.MISSING]
    missing = [field for field in required if field not in given]
    if missing:
        raise ValueError(f"{name} field {missing[0]!r} is missing")


def _real(value: object) -> float | None:
    """A real number as a float, infinite if it is too large for one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        return float(value)
    except OverflowError:  # of an int
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]
