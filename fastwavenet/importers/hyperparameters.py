"""The hyperparameters of a checkpoint: from its config, its file and its caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..checks import whole, within
from ..shown import shown

MISSING: Any = object()


class Hyperparameters:
    """Values by the project's own names; those of a caller complete a config's.

    project  the name of the project
    held     name -> value in the checkpoint; others than `known` are left alone
    source   the file that holds them, for messages
    given    name -> value by the caller
    known    names that the project's importer reads

    Raises ValueError for a given name that is unknown, or a value that contradicts the held one.
    """

    def __init__(
        self,
        project: str,
        held: Mapping[str, object],
        source: str,
        given: Mapping[str, object],
        known: tuple[str, ...],
    ):
        self._project, self._source, self._given = project, source, given
        self._values = {name: held[name] for name in known if held.get(name) is not None}
        for name, value in given.items():
            if name not in known:
                raise ValueError(
                    f"{name} is no hyperparameter of {project}, expected one of {', '.join(known)}"
                )
            if name in self._values and not _equal(self._values[name], value):
                raise ValueError(
                    f"{name} is {shown(self._values[name])} in {self._source}, but "
                    f"{shown(value)} was given: leave it out, or correct the file"
                )
            self._values[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def value(self, name: str, default: Any = MISSING) -> Any:
        """As it stands.  Raises ValueError if it is missing and there is no default."""
        if name in self._values:
            return self._values[name]
        if default is MISSING:
            raise ValueError(
                f"{name} is missing: a {self._project} network's tensors do not show it; name "
                f"its config file (config=, --config), or the value ({name}=, --set {name}=VALUE)"
            )
        return default

    def whole(self, name: str, low: int, high: int, default: Any = MISSING) -> int:
        """A whole number from low to high.  Raises ValueError."""
        return whole(name, self.value(name, default), low, high)

    def number(self, name: str, low: float, high: float, default: Any = MISSING) -> float:
        """A number from low to high.  Raises ValueError."""
        return within(name, self.value(name, default), low, high)

    def flag(self, name: str, default: Any = MISSING) -> bool:
        """True or false.  Raises ValueError."""
        value = self.value(name, default)
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, not {shown(value)}")
        return value

    def among(self, name: str, choices: tuple[Any, ...], default: Any = MISSING) -> Any:
        """One of the values that can be imported.  Raises ValueError."""
        value = self.value(name, default)
        if not any(_equal(value, choice) for choice in choices):
            expected = " or ".join(map(repr, choices))
            raise ValueError(f"{name} {shown(value)} cannot be imported, only {expected}")
        return value

    def agree(self, **found: object) -> None:
        """Raises ValueError for a value that is known and not equal to the one of the tensors."""
        for name, value in found.items():
            if name in self._values and not _equal(self._values[name], value):
                source = "the given values" if name in self._given else self._source
                raise ValueError(
                    f"{name} is {shown(self._values[name])} in {source}, but {shown(value)} in "
                    f"the tensors"
                )


def _equal(one: object, other: object) -> bool:
    """Whether values are the same; a list and a tuple of the same numbers are, 1 and true not."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other
