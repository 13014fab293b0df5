"""The bfloat16x16 network of docs/arithmetic.md in numpy, to the last bit.

Its factors are float32 numbers whose lower halves are 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from functools import reduce

import numpy as np

from ..spec import WaveNetSpec
from .int8 import tanh, tanh_float32
from .network import WaveNetSteps, conditioning_inputs, neighbours, relu
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
    end = spec.conditioning
    now, following, since = neighbours(spec, projected, samples)
    assert end is not None
    if end.interpolation == "held":
        return now
    part = np.asarray(since, np.float32)[:, None, None] / np.float32(end.feature_hop)
    return fused(part, following - now, now)


class Bfloat16x16Steps(WaveNetSteps):
    """A WaveNet in bfloat16x16 that is fed one code at a time; its logits are float32."""

    def __init__(self, spec: WaveNetSpec, weights: Mapping[str, np.ndarray]):
        super().__init__(spec, weights)
        self.w = {name: a.astype(np.float32) for name, a in self.w.items()}
        for name, a in self.w.items():
            if name.startswith(("layers.", "head.")) and name.endswith(".weight"):
                self.w[name] = to_bfloat16(a)
        self.skip = np.hstack([self._padded(w[:, :, 0]) for w in self._skips("weight")])
        self.queues = [
            deque([q.astype(np.float32) for q in queue], len(queue)) for queue in self.queues
        ]

    @np.errstate(over="ignore", invalid="ignore")  # an overflow ends as NaN
    def step(self, code: int, cond: np.ndarray | None = None) -> np.ndarray:
        x = self._embed(code)  # (R,)
        gates = []  # of each layer, (D,)
        for layer in range(self.spec.layers):
            gates.append(self._gate(layer, x, None if cond is None else cond[layer]))
            if layer + 1 < self.spec.layers:
                name = f"layers.{layer}.residual"
                x = (x + self.w[f"{name}.bias"]) + products(self._matrix(name), gates[-1])
        skip = reduce(np.add, self._skips("bias"))  # (S,), the first layer's first
        skip = skip + products(self.skip, np.hstack([self._padded(z) for z in gates]))
        return self._pointwise("head.output", relu(self._pointwise("head.hidden", relu(skip))))

    def _tanh(self, x: np.ndarray) -> np.ndarray:
        return tanh_float32(x)

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

    def _skips(self, kind: str) -> list[np.ndarray]:
        """kind: "weight" or "bias"."""
        return [self.w[f"layers.{layer}.skip.{kind}"] for layer in range(self.spec.layers)]

    def _padded(self, a: np.ndarray) -> np.ndarray:
        """Each layer's gates begin at a multiple of 16 in the one product of all skips."""
        more = -self.spec.dilation_channels % 16
        return np.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, more)])
