"""The instruction set of the engine: the best available one, or a chosen one."""

from __future__ import annotations

import os

from . import _engine
from .shown import shown
from .types import Isa

ENVIRONMENT = "FASTWAVENET_ISA"


def available_isas() -> list[Isa]:
    """The instruction sets that this CPU and operating system can run, worst to best."""
    return _engine.supported_isas()


def isa(name: Isa | None = None) -> Isa:
    """The instruction set in use: `name`, else $FASTWAVENET_ISA, else the best available.

    Results do not depend on it, only speed does.
    Raises ValueError, which lists the available ones, if it is unknown or not available.
    """
    source = "isa" if name is not None else ENVIRONMENT
    chosen = name if name is not None else os.environ.get(ENVIRONMENT) or None
    available = available_isas()
    if chosen is None:
        return available[-1]
    if chosen in available:
        return chosen
    reason = "not available on this machine" if chosen in _engine.isa_names() else "unknown"
    raise ValueError(f"{source} {shown(chosen)} is {reason}; available: {', '.join(available)}")
