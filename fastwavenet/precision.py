"""Which precision a model computes in: the one asked for, or what its file says it can afford."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from .shown import shown
from .spec import PRECISIONS, Precision
from .types import AskedPrecision

AUTO: Literal["auto"] = "auto"
AFFORDABLE = 0.002  # nats per sample: a thousandth of what a sample of speech costs


def resolve_precision(name: AskedPrecision, losses: Mapping[str, float]) -> Precision:
    """`name`, or for "auto" the smallest precision that loses at most AFFORDABLE.

    losses: precision -> nats per sample lost against float32.  Without one a precision is not
    taken, float32 apart.  What comes out never depends on the CPU.
    Raises ValueError, which lists the known ones, for another name.
    """
    if isinstance(name, str) and name in PRECISIONS:
        return name
    if name != AUTO:
        known = ", ".join([AUTO, *PRECISIONS])
        raise ValueError(f"precision must be one of {known}, not {shown(name)}")
    affordable = [p for p in PRECISIONS if p in losses and losses[p] <= AFFORDABLE]
    return affordable[-1] if affordable else "float32"


def describe_losses(losses: Mapping[str, float]) -> str:
    """bfloat16 +0.00003, int8 +0.00014 nats per sample"""
    parts = [f"{name} {loss:+.5f}" for name, loss in losses.items()]
    return f"{', '.join(parts)} nats per sample"
