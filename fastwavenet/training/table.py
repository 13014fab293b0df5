"""The table of settings: an entry is a field of a dataclass whose default is `setting(...)`.

An entry gives the check of the field, the option of `fastwavenet train`, the line of `help(train)`
and the row of docs/training.md.  torch is not needed for any of them.
"""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import NoneType
from typing import Any, TypeVar

from .. import checks
from ..shown import shown

ENTRY = "setting"  # the key in a field's metadata
LARGEST = 2**31  # batch, window or number of steps
WIDTH = 96  # characters of a line of help(train), which indents it by 4

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")
Check = Callable[[str, Any], object]  # raises an error for a wrong value of the named setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """An entry of the table.

    kind       the type of a value
    optional   whether None is a value
    default    of a new run
    help       a noun phrase with the unit
    otherwise  the default in words, where `default` does not show it
    check      of each value but None; None if every value is possible
    before     the value in checkpoints that are older than the setting; MISSING if there are none
    metavar    of the option
    option     whether the command line has it
    """

    name: str = ""
    kind: type = NoneType
    optional: bool = False
    default: object
    help: str
    otherwise: str
    check: Check | None
    before: object
    metavar: str | None
    option: bool

    @property
    def flag(self) -> str:
        """The name of the option, which may be a word that Python reserves (`from_`)."""
        return f"--{self.name.rstrip('_').replace('_', '-')}"

    @property
    def explained(self) -> str:
        """The help with the default."""
        return f"{self.help} ({self.otherwise or self.default})"


def setting(
    default: T,
    help: str,
    *,
    otherwise: str = "",
    check: Check | None = None,
    before: Any = dataclasses.MISSING,
    kind: type = NoneType,
    metavar: str | None = None,
    option: bool = True,
) -> T:
    """The default of a field that is an entry; its arguments are the fields of `Setting`.

    kind: of a value on the command line; NoneType for that of the field's annotation.
    """
    entry = Setting(
        default=default,
        help=help,
        otherwise=otherwise,
        check=check,
        before=before,
        kind=kind,
        metavar=metavar,
        option=option,
    )
    return dataclasses.field(default=default, metadata={ENTRY: entry})


def entries(kind: type) -> tuple[Setting, ...]:
    """The entries among the fields of a dataclass."""
    hints = typing.get_type_hints(kind)
    return tuple(
        _complete(field.metadata[ENTRY], field.name, hints[field.name])
        for field in dataclasses.fields(kind)
        if ENTRY in field.metadata
    )


def _complete(entry: Setting, name: str, annotation: Any) -> Setting:
    """An entry with the name and the type of its field."""
    kinds = typing.get_args(annotation) or (annotation,)
    kind = kinds[0] if entry.kind is NoneType else entry.kind
    return dataclasses.replace(entry, name=name, kind=kind, optional=NoneType in kinds)


# ---- values ------------------------------------------------------------------------------------


def given(kind: type, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Those of a call's arguments that are entries of `kind` and not None."""
    values = {entry.name: arguments[entry.name] for entry in entries(kind)}
    return {name: value for name, value in values.items() if value is not None}


def check(values: object) -> None:
    """Checks each entry of a dataclass's instance.  Raises ValueError or TypeError naming it."""
    for entry in entries(type(values)):
        value = getattr(values, entry.name)
        if entry.check and not (entry.optional and value is None):
            entry.check(entry.name, value)


positive_whole = partial(checks.whole, low=1, high=LARGEST, expected="a positive whole number")


def one_of(name: str, value: object, values: tuple[object, ...]) -> None:
    """Raises ValueError for a value that is not among `values`."""
    if value not in values:
        raise ValueError(f"{name} must be {' or '.join(map(str, values))}, not {shown(value)}")


def all_fields(kind: type, found: object) -> dict[str, Any] | None:
    """The fields of `kind` from a checkpoint, None if it has too few or others.

    Entries that are younger than the checkpoint get their value `before`.
    """
    names = {field.name for field in dataclasses.fields(kind)}
    before = {entry.name: entry.before for entry in entries(kind)}
    younger = {name: value for name, value in before.items() if value is not dataclasses.MISSING}
    if not isinstance(found, dict) or not names - younger.keys() <= set(found) <= names:
        return None
    return younger | found


# ---- help --------------------------------------------------------------------------------------


def describe(settings: Iterable[Setting]) -> str:
    """Lines of help(train): each name beside its explanation."""
    settings = list(settings)
    column = 2 + max(len(entry.name) for entry in settings)
    return "\n".join(
        textwrap.fill(
            entry.explained,
            WIDTH,
            initial_indent=entry.name.ljust(column),
            subsequent_indent=" " * column,
            break_on_hyphens=False,
        )
        for entry in settings
    )


def documented(tables: Mapping[str, Iterable[Setting]]) -> Callable[[F], F]:
    """Appends a paragraph for each heading to a function's docstring: its settings, described."""
    paragraphs = [f"{heading}:\n\n{describe(table)}" for heading, table in tables.items()]

    def append(function: F) -> F:
        text = inspect.cleandoc(function.__doc__ or "")
        function.__doc__ = "\n\n".join([text, *paragraphs]) + "\n"
        return function

    return append
