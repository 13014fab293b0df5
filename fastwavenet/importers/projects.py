"""The projects whose networks can be imported, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

import numpy as np

from ..spec import WaveNetSpec
from . import ibab, kan_bayashi, nv_wavenet, r9y9, vincentherrmann, wavenet_coding
from .hyperparameters import Hyperparameters

Tensors = Mapping[str, np.ndarray]
Network = tuple[WaveNetSpec, dict[str, np.ndarray]]  # float32, as in `spec.tensors()`


class Project(Protocol):
    """The interface of a project's module, see the package."""

    NAME: str
    CONFIG: tuple[str, ...]
    HYPERPARAMETERS: tuple[str, ...]

    def matches(self, tensors: Tensors) -> bool: ...
    def convert(self, tensors: Tensors, values: Hyperparameters) -> Network: ...


PROJECTS: tuple[Project, ...] = cast(
    "tuple[Project, ...]",
    (wavenet_coding, nv_wavenet, vincentherrmann, ibab, kan_bayashi, r9y9),
)
