"""Types that the public functions share."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from .spec import Precision

__all__ = ["AskedPrecision", "Audio", "Isa", "Precision", "RowInfo", "Speaker"]

Speaker: TypeAlias = str | int
Audio: TypeAlias = npt.NDArray[np.float32]

AskedPrecision: TypeAlias = Literal["auto"] | Precision
Isa: TypeAlias = Literal["scalar", "avx2", "avx512", "neon", "vnni", "amx", "avxvnni", "avx512bf16"]


class RowInfo(TypedDict):
    """A row of a stream; see fwn_row_info in csrc/fastwavenet.h."""

    seed: int
    step: int
    id: int
    begun: bool
    last: float
