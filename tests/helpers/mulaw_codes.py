"""mu-law codes."""

import numpy as np


def every_code(levels: int) -> np.ndarray:
    """0 to levels - 1, of the dtype that the encoder gives."""
    return np.arange(levels, dtype=np.uint8 if levels <= 256 else np.uint16)
