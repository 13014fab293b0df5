"""The int8 network of docs/arithmetic.md in numpy, to the last bit.

Its factors are whole numbers, held as float64, in which all their sums are exact.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np

from ..spec import WaveNetSpec
from .float32 import Float32Steps, between_frames_float32
from .network import conditioning_inputs
from .upsampling import fused, upsample_float32

EXACT = 512  # products of weights and 16-bit inputs whose sum is below 2**31 ...
EXACT_BYTES = 131072  # ... and of weights and 8-bit inputs
LEAST_SCALE = np.float32(1e-30)  # smaller weights count as 0


def to_16_bits(x: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """x (k,) as whole numbers from -32767 to 32767, and their unit, a power of two."""
    if not np.isfinite(x).all():
        return np.full(len(x), np.nan), np.float32(np.nan)
    _, exponent = np.frexp(np.abs(x).max())  # the largest is below 2**exponent
    unit = 2.0 ** (max(int(exponent), -62) - 15)
    return np.rint(x.astype(np.float64) / unit).clip(-32767, 32767), np.float32(unit)


class Int8Matrix:
    """Weights from -127 to 127, (outputs, inputs), and a scale for each output."""

    def __init__(self, weight: np.ndarray):
        scale = (np.abs(weight) / np.float32(127)).max(axis=1)  # float32 (outputs,)
        self.scale = np.where(scale > LEAST_SCALE, scale, np.float32(0))
        unit = np.where(self.scale > 0, self.scale, np.float32(np.inf))[:, None]
        self.w = np.rint(weight / unit).astype(np.float64)

    def add_to(
        self, y: np.ndarray, q: np.ndarray, unit: np.float32, block: int = EXACT
    ) -> np.ndarray:
        """y + W q, of inputs q in this unit; block: inputs of an exact sum."""
        return self._add(y, q, self.scale * unit, block)

    def add_gated_to(self, y: np.ndarray, q: np.ndarray) -> np.ndarray:
        """y + W q, of gates' outputs q in units of 1/127."""
        return self._add(y, q, self.scale / np.float32(127), EXACT_BYTES)

    def _add(self, y: np.ndarray, q: np.ndarray, scale: np.ndarray, block: int) -> np.ndarray:
        for k in range(0, len(q), block):
            exact = self.w[:, k : k + block] @ q[k : k + block]
            y = fused(exact.astype(np.float32), scale, y)
        return y


def tanh_table() -> np.ndarray:
    """Coefficients (3, 32) of parabolas around 0, 1/8, 2/8, ..., each through three points of tanh.

    The points are Chebyshev's nodes, which keep the error small in between: -r, 0 and r.
    """
    v, r = np.arange(32) / 8, np.cos(np.pi / 6) / 16
    below, middle, above = np.tanh(v - r), np.tanh(v), np.tanh(v + r)
    slope, bend = (above - below) / (2 * r), (above - 2 * middle + below) / (2 * r * r)
    return np.array([middle, slope, bend]).astype(np.float32)


TANH = tanh_table()


def tanh(v: np.ndarray) -> np.ndarray:
    """tanh within 2.1e-5 for |v| <= 3.9; larger |v| give tanh(3.9)."""
    size = np.fmin(np.abs(v), np.float32(3.9))
    piece = np.rint(size * 8).astype(int)
    c0, c1, c2 = TANH[:, piece]
    r = size - piece.astype(np.float32) / 8
    return np.copysign(fused(fused(c2, r, c1), r, c0), v)


def gate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """tanh(a) sigmoid(b) in units of 1/127, whole numbers; NaN where a or b overflowed.

    sigmoid(b) is (1 + tanh(b / 2)) / 2.
    """
    half = np.full_like(b, 63.5)
    factor = fused(tanh(b * np.float32(0.5)), half, half)
    return np.rint(tanh(a) * factor).astype(np.float64) + 0 * a + 0 * b


def project_frames_int8(
    spec: WaveNetSpec,
    weights: Mapping[str, np.ndarray],
    frames: np.ndarray | None,
    speaker: int | None,
    samples: Iterable[int],
) -> np.ndarray:
    """`network.project_frames` in int8: float32 (n, layers, 2D), to the last bit."""
    features = None if frames is None else upsample_float32(spec, weights, frames)
    rows = conditioning_inputs(spec, weights, features, speaker).astype(np.float32)
    projected = np.empty((len(rows), spec.layers, 2 * spec.dilation_channels), np.float32)
    for layer in range(spec.layers):
        matrix = Int8Matrix(
            weights[f"layers.{layer}.conditioning.weight"].astype(np.float32)[:, :, 0]
        )
        for frame, u in enumerate(rows):
            zero = np.zeros(2 * spec.dilation_channels, np.float32)
            projected[frame, layer] = matrix.add_to(zero, *to_16_bits(u))
    return between_frames_float32(spec, projected, samples)


class Int8Steps(Float32Steps):
    """A WaveNet in int8 that is fed one code at a time; its logits are float32."""

    block = EXACT  # inputs of an exact sum, gates' outputs apart

    def __init__(self, spec: WaveNetSpec, weights: Mapping[str, np.ndarray]):
        super().__init__(spec, weights)
        self.matrices = {
            name: [Int8Matrix(tap) for tap in np.moveaxis(self.w[f"{name}.weight"], 2, 0)]
            for name in (n.removesuffix(".weight") for n in self.w if n.endswith(".weight"))
            if name.startswith(("layers.", "head.")) and not name.endswith(".skip")
        }
        self.matrices["skip"] = [Int8Matrix(self._skip_weight())]
        silence = self._rounded(np.zeros(spec.residual, np.float32))
        self.past = [deque([silence] * len(queue), len(queue)) for queue in self.queues]

    def _rounded(self, x: np.ndarray) -> tuple[np.ndarray, np.float32]:
        """Inputs of a layer, and their unit."""
        return to_16_bits(x)

    def _rounded_relu(self, x: np.ndarray) -> tuple[np.ndarray, np.float32]:
        """Inputs of the head, none of them negative, and their unit."""
        return to_16_bits(x)

    def _add_gated(self, name: str, start: np.ndarray, z: np.ndarray) -> np.ndarray:
        (matrix,) = self.matrices[name]
        return matrix.add_gated_to(start, z)

    def _gate(self, layer: int, x: np.ndarray, cond: np.ndarray | None) -> np.ndarray:
        """The dilated convolution and its gate (D,); the past is kept rounded."""
        dilation, past = self.spec.dilations[layer], self.past[layer]
        now = self._rounded(x)
        taps = [past[j * dilation] for j in range(self.spec.kernel[layer] - 1)] + [now]
        h = self.w[f"layers.{layer}.dilated.bias"]  # (2D,)
        *before, current = zip(self.matrices[f"layers.{layer}.dilated"], taps, strict=True)
        for matrix, (q, unit) in before:
            h = matrix.add_to(h, q, unit, self.block)  # oldest first
        if cond is not None:
            h = h + cond
        h = current[0].add_to(h, *current[1], self.block)
        past.append(now)
        d = self.spec.dilation_channels
        return gate(h[:d], h[d:])

    def _pointwise(self, name: str, x: np.ndarray) -> np.ndarray:
        (matrix,) = self.matrices[name]
        return matrix.add_to(self.w[f"{name}.bias"], *self._rounded_relu(x), self.block)
