"""The precision in which a model computes: a named one, or the smallest that costs little.

The cost of a precision is the mean over samples of the nats by which it exceeds float32's.
precision_cost.py measures it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from .shown import shown
from .spec import ONLY_BY_NAME, PRECISIONS, Precision
from .types import AskedPrecision

AUTO: Literal["auto"] = "auto"
AFFORDABLE = 0.002  # nats per sample: a thousandth of the nats that a sample of speech takes


def resolve_precision(name: AskedPrecision, cost: Mapping[str, float]) -> Precision:
    """`name`, or for "auto" the smallest precision that costs at most AFFORDABLE.

    cost: precision -> nats per sample above float32.  "auto" never takes a precision without a
    measured cost, float32 apart, nor one of ONLY_BY_NAME, and its choice never depends on the CPU.
    Raises ValueError, which lists the supported names, for another name.
    """
    if isinstance(name, str) and name in PRECISIONS:
        return name
    if name != AUTO:
        names = ", ".join([AUTO, *PRECISIONS])
        raise ValueError(f"precision must be one of {names}, not {shown(name)}")
    settled = [p for p in PRECISIONS if p not in ONLY_BY_NAME]
    affordable = [p for p in settled if p in cost and cost[p] <= AFFORDABLE]
    return affordable[-1] if affordable else "float32"


def describe_precision_cost(cost: Mapping[str, float]) -> str:
    """bfloat16 +0.00003, int8 +0.00014 nats per sample"""
    parts = [f"{name} {nats:+.5f}" for name, nats in cost.items()]
    return f"{', '.join(parts)} nats per sample"
