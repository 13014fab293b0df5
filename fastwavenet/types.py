"""Types that the public functions share."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .spec import Precision

__all__ = ["AskedPrecision", "Audio", "Isa", "Precision"]

Audio: TypeAlias = npt.NDArray[np.float32]

AskedPrecision: TypeAlias = Literal["auto"] | Precision
Isa: TypeAlias = Literal["scalar", "avx2", "avx512", "neon", "vnni", "amx"]
