"""The float32 parts of int8, int8x8 and bfloat16x16 in docs/arithmetic.md, to the last bit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from functools import reduce

import numpy as np

from ..spec import WaveNetSpec
from .network import WaveNetSteps, neighbours, relu
from .upsampling import fused

EXP = (0.0013813144, 0.008369419, 0.041668456, 0.16666515, 0.49999994)


def exp_float32(x: np.ndarray) -> np.ndarray:
    """e^x of float32 numbers from -87 to 88, by a polynomial."""

    def row(number: float) -> np.ndarray:
        return np.full_like(x, number)

    shifted = fused(x, row(1.44269504), row(12582912))  # the nearest integer in its lowest bits
    n = shifted - row(12582912)
    r = fused(n, row(-0.693359375), x)
    r = fused(n, row(2.12194440e-4), r)
    q = row(EXP[0])
    for coefficient in EXP[1:]:
        q = fused(q, r, row(coefficient))
    p = fused(r * r, q, r) + row(1)
    return (p.view(np.int32) + (shifted.view(np.int32) << 23)).view(np.float32)


def tanh_float32(x: np.ndarray) -> np.ndarray:
    """tanh by way of `exp_float32`; NaN where x overflowed."""
    size = np.fmin(np.abs(x), np.float32(40))
    e = exp_float32(-2 * size)
    rise = np.where(x < 0, e - 1, 1 - e)
    return fused(x, np.zeros_like(x), rise / (1 + e))


def between_frames_float32(
    spec: WaveNetSpec, projected: np.ndarray, samples: Iterable[int]
) -> np.ndarray:
    """`network.between_frames` of float32 projections."""
    end = spec.conditioning
    now, following, since = neighbours(spec, projected, samples)
    assert end is not None
    if end.interpolation == "held":
        return now
    part = np.asarray(since, np.float32)[:, None, None] / np.float32(end.feature_hop)
    return fused(part, following - now, now)


class Float32Steps(WaveNetSteps):
    """A WaveNet whose sums are float32 and whose skips are one product."""

    def __init__(self, spec: WaveNetSpec, weights: Mapping[str, np.ndarray]):
        super().__init__(spec, weights)
        self.w = {name: a.astype(np.float32) for name, a in self.w.items()}

    @np.errstate(over="ignore", invalid="ignore")  # an overflow ends as NaN
    def step(self, code: int, cond: np.ndarray | None = None) -> np.ndarray:
        x = self._embed(code)  # (R,)
        gates = []  # of each layer, (D,)
        for layer in range(self.spec.layers):
            gates.append(self._gate(layer, x, None if cond is None else cond[layer]))
            if layer + 1 < self.spec.layers:
                name = f"layers.{layer}.residual"
                x = self._add_gated(name, x + self.w[f"{name}.bias"], gates[-1])
        skip = reduce(np.add, self._skips("bias"))  # (S,), the first layer's first
        skip = self._add_gated("skip", skip, np.hstack([self._padded(z) for z in gates]))
        return self._pointwise("head.output", relu(self._pointwise("head.hidden", relu(skip))))

    @abstractmethod
    def _add_gated(self, name: str, start: np.ndarray, z: np.ndarray) -> np.ndarray:
        """start + W z of gates' outputs z; name: of W, "skip" for that of `_skip_weight`."""

    def _tanh(self, x: np.ndarray) -> np.ndarray:
        return tanh_float32(x)

    def _skip_weight(self) -> np.ndarray:
        """Of all layers, (S, inputs)."""
        return np.hstack([self._padded(w[:, :, 0]) for w in self._skips("weight")])

    def _skips(self, kind: str) -> list[np.ndarray]:
        """kind: "weight" or "bias"."""
        return [self.w[f"layers.{layer}.skip.{kind}"] for layer in range(self.spec.layers)]

    def _padded(self, a: np.ndarray) -> np.ndarray:
        """Each layer's gates begin at a multiple of 16 in the one product of all skips."""
        more = -self.spec.dilation_channels % 16
        return np.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, more)])
