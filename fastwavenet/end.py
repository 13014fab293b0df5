"""The interface of a network's ends, which ends.py lists."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from .spec import WaveNetSpec

Shapes = dict[str, tuple[int, ...]]


def set_field(end: object, name: str, value: object) -> None:
    """Sets a field of a frozen dataclass, in its `__post_init__` or `check`."""
    object.__setattr__(end, name, value)


class End:
    """The interface of all ends."""

    kind: ClassVar[str]

    def tensors(self, spec: WaveNetSpec) -> Shapes:
        """Name -> shape of this end's tensors in a network of these sizes."""
        return {}

    def check(self, spec: WaveNetSpec) -> None:
        """Raises ValueError if the end does not fit a network of these sizes."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON object: the kind, and all fields."""
        return {"kind": self.kind} | dataclasses.asdict(self)  # type: ignore[call-overload]
