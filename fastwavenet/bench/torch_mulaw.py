"""mu-law as one writes it in PyTorch, eager and compiled."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .peer import available

MU = 255


def encode(audio: Tensor) -> Tensor:
    """float32 amplitudes to uint8 codes."""
    x = audio.clamp(-1, 1)
    c = torch.sign(x) * torch.log1p(MU * x.abs()) / math.log1p(MU)
    return ((c + 1) / 2 * MU + 0.5).floor().to(torch.uint8)


def decode(codes: Tensor) -> Tensor:
    """uint8 codes to float32 amplitudes."""
    c = (2 * codes.to(torch.float32) - MU) / MU
    return torch.sign(c) * torch.expm1(math.log1p(MU) * c.abs()) / MU


def eager(function: Callable[[Tensor], Tensor]) -> Callable[[np.ndarray], np.ndarray]:
    """`function` for arrays."""

    @torch.inference_mode()
    def run(array: np.ndarray) -> np.ndarray:
        return function(torch.from_numpy(array)).numpy()

    return run


def compiled(
    function: Callable[[Tensor], Tensor], example: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """`function`, compiled for arrays like the example.  Raises NotAvailable if it cannot be."""
    run = eager(torch.compile(function, fullgraph=True, dynamic=False))
    with available():
        run(example)
    return run
