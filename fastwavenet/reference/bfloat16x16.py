"""The bfloat16x16 network of docs/arithmetic.md in numpy, to the last bit.

Its factors are float32 numbers whose lower halves are 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np

from ..spec import WaveNetSpec
from .float32 import Float32Steps, between_frames_float32
from .int8 import tanh
from .network import conditioning_inputs
from .upsampling import fused, upsample_float32

BLOCK = 32  # inputs of two chains of sums
OVERFLOW = 0x7F7F8000  # bits of the least float32 whose nearest bfloat16 is infinite
LEAST = np.float32(2.0**-48)  # smaller factors are 0, so that no product or sum is denormal


def to_bfloat16(x: np.ndarray) -> np.ndarray:
    """float32 to the nearest bfloat16, ties to even; 0 below `LEAST`, NaN if it is not finite."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    upper = (bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
    near = np.where(np.abs(x) < LEAST, np.float32(0), upper.view(np.float32))
    return np.where((bits & 0x7FFFFFFF) < OVERFLOW, near, np.float32(np.nan))


def products(weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """W x, float32 (outputs,), of rounded W (outputs, inputs) and x (inputs,)."""
    total = np.zeros(len(weight), np.float32)
    for block in range(0, len(x), BLOCK):
        end = min(block + BLOCK, len(x))
        chains = []
        for first in (block, block + 1):
            chain = np.zeros_like(total)
            for k in range(first, end, 2):
                chain = fused(weight[:, k], np.full_like(chain, x[k]), chain)
            chains.append(chain)
        total = total + (chains[0] + chains[1])
    return total


def gate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """tanh(a) sigmoid(b), float32, with the tanh of int8's gates; NaN where a or b overflowed.

    sigmoid(b) is (1 + tanh(b / 2)) / 2.
    """
    half = np.full_like(b, 0.5)
    return tanh(a) * fused(tanh(b * half), half, half) + 0 * a + 0 * b


def project_frames_bfloat16x16(
    spec: WaveNetSpec,
    weights: Mapping[str, np.ndarray],
    frames: np.ndarray | None,
    speaker: int | None,
    samples: Iterable[int],
) -> np.ndarray:
    """`network.project_frames` in bfloat16x16: float32 (n, layers, 2D), to the last bit."""
    features = None if frames is None else upsample_float32(spec, weights, frames)
    rows = to_bfloat16(conditioning_inputs(spec, weights, features, speaker).astype(np.float32))
    names = [f"layers.{layer}.conditioning.weight" for layer in range(spec.layers)]
    matrices = [to_bfloat16(weights[name][:, :, 0]) for name in names]
    projected = np.array([[products(matrix, u) for matrix in matrices] for u in rows])
    return between_frames_float32(spec, projected, samples)


class Bfloat16x16Steps(Float32Steps):
    """A WaveNet in bfloat16x16 that is fed one code at a time; its logits are float32."""

    def __init__(self, spec: WaveNetSpec, weights: Mapping[str, np.ndarray]):
        super().__init__(spec, weights)
        for name, a in self.w.items():
            if name.startswith(("layers.", "head.")) and name.endswith(".weight"):
                self.w[name] = to_bfloat16(a)
        self.w["skip.weight"] = self._skip_weight()[:, :, None]
        self.queues = [
            deque([q.astype(np.float32) for q in queue], len(queue)) for queue in self.queues
        ]

    def _add_gated(self, name: str, start: np.ndarray, z: np.ndarray) -> np.ndarray:
        return start + products(self._matrix(name), z)

    def _gate(self, layer: int, x: np.ndarray, cond: np.ndarray | None) -> np.ndarray:
        """The dilated convolution and its gate (D,), rounded."""
        dilation, queue, now = self.spec.dilations[layer], self.queues[layer], to_bfloat16(x)
        name = f"layers.{layer}.dilated"
        taps = [queue[j * dilation] for j in range(self.spec.kernel[layer] - 1)]
        h = self.w[f"{name}.bias"]  # (2D,)
        for j, tap in enumerate(taps):  # oldest first
            h = h + products(self._matrix(name, j), tap)
        if cond is not None:
            h = h + cond
        h = h + products(self._matrix(name, -1), now)
        queue.append(now)
        d = self.spec.dilation_channels
        return to_bfloat16(gate(h[:d], h[d:]))

    def _matrix(self, name: str, tap: int = 0) -> np.ndarray:
        return self.w[f"{name}.weight"][:, :, tap]

    def _pointwise(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.w[f"{name}.bias"] + products(self._matrix(name), to_bfloat16(x))
