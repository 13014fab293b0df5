"""The queued WaveNet step in numpy float64: the shortest description of how a WaveNet generates.

It is written for reading, not for speed.  The C engine and the PyTorch model are tested against it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np

from ..spec import WaveNetSpec
from .upsampling import upsample


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


class WaveNetSteps:
    """A WaveNet that takes one code at a time and keeps its past in queues.

    A layer with dilation d and kernel k needs its own inputs of d, 2d, ... (k-1)d samples ago.
    It keeps them in a queue, so that a step costs one column of the network instead of the whole
    receptive field (Le Paine et al., *Fast Wavenet Generation Algorithm*, 2016).
    """

    def __init__(self, spec: WaveNetSpec, weights: Mapping[str, np.ndarray]):
        self.spec = spec
        zero = {name: np.zeros(shape) for name, shape in _with_biases(spec).items()}
        self.w = zero | {name: np.asarray(a, np.float64) for name, a in weights.items()}
        padding = spec.start.code if spec.input.padding == "start" else None
        self.codes: deque[int | None] = deque([padding] * spec.input.taps, maxlen=spec.input.taps)
        self.queues = [
            deque([np.zeros(spec.residual)] * ((k - 1) * d), maxlen=(k - 1) * d)
            for k, d in zip(spec.kernel, spec.dilations, strict=True)
        ]

    def step(self, code: int, cond: np.ndarray | None = None) -> np.ndarray:
        """Feeds one code; returns the logits (levels,) of the next.  cond: (layers, 2D)."""
        x = self._embed(code)  # (R,)
        skip = np.zeros(self.spec.skip)  # (S,)
        for layer in range(self.spec.layers):
            z = self._gate(layer, x, None if cond is None else cond[layer])  # (D,)
            skip = skip + self._pointwise(f"layers.{layer}.skip", z)
            if layer + 1 < self.spec.layers:
                x = x + self._pointwise(f"layers.{layer}.residual", z)
        hidden = relu(self._pointwise("head.hidden", relu(skip)))  # (H,)
        return self._pointwise("head.output", hidden)  # (Q,)

    def _embed(self, code: int) -> np.ndarray:
        """The first convolution: one-hot vectors times matrices are rows of tables."""
        self.codes.append(code)
        x = self.w["first.bias"]
        for table, past in zip(self.w["first.weight"], self.codes, strict=True):
            if past is not None:  # nothing before the first sample
                x = x + table[past]
        return self._tanh(x) if self.spec.input.activation == "tanh" else x

    def _tanh(self, x: np.ndarray) -> np.ndarray:
        return np.tanh(x)

    def _gate(self, layer: int, x: np.ndarray, cond: np.ndarray | None) -> np.ndarray:
        """The dilated causal convolution at one moment, and its gate."""
        dilation, queue = self.spec.dilations[layer], self.queues[layer]
        weight = self.w[f"layers.{layer}.dilated.weight"]  # (2D, R, k)
        taps = [queue[j * dilation] for j in range(self.spec.kernel[layer] - 1)] + [x]
        h = self.w[f"layers.{layer}.dilated.bias"]  # (2D,)
        for j, tap in enumerate(taps[:-1]):  # oldest first
            h = h + weight[:, :, j] @ tap
        if cond is not None:
            h = h + cond
        h = h + weight[:, :, -1] @ x
        queue.append(x)
        d = self.spec.dilation_channels
        return np.tanh(h[:d]) * sigmoid(h[d:])

    def _pointwise(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.w[f"{name}.weight"][:, :, 0] @ x + self.w[f"{name}.bias"]


def project_frames(
    spec: WaveNetSpec,
    weights: Mapping[str, np.ndarray],
    frames: np.ndarray | None,
    speaker: int | None,
    samples: Iterable[int],
) -> np.ndarray:
    """V_l u of each layer for each of the samples, numbered from the first frame's begin.

    frames: (frames, channels).  Returns (n, layers, 2D), the terms that `WaveNetSteps.step` adds
    to its gates' inputs, held or interpolated between features; after the last one it is held.
    """
    features = None if frames is None else upsample(spec, weights, frames)
    rows = conditioning_inputs(spec, weights, features, speaker)
    tensors = [weights[f"layers.{layer}.conditioning.weight"] for layer in range(spec.layers)]
    matrix = np.asarray(tensors, np.float64)[:, :, :, 0]  # (L, 2D, inputs)
    return between_frames(spec, np.einsum("ldi,fi->fld", matrix, rows), samples)


def conditioning_inputs(
    spec: WaveNetSpec,
    weights: Mapping[str, np.ndarray],
    features: np.ndarray | None,
    speaker: int | None,
) -> np.ndarray:
    """u of each feature: (features, channels and those of the speaker), float64."""
    rows = np.zeros((1, 0)) if features is None else np.asarray(features, np.float64)
    if speaker is None:
        return rows
    embedding = np.asarray(weights["conditioning.speakers.weight"], np.float64)[speaker]
    return np.hstack([rows, np.broadcast_to(embedding, (len(rows), len(embedding)))])


def neighbours(
    spec: WaveNetSpec, projected: np.ndarray, samples: Iterable[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The projections of each sample's feature and of the next one, and samples since its begin.

    After the last feature it is held.
    """
    end, numbers, last = spec.conditioning, np.array([*samples], int), len(projected) - 1
    assert end is not None
    feature, since = numbers // end.feature_hop, numbers % end.feature_hop
    return projected[np.minimum(feature, last)], projected[np.minimum(feature + 1, last)], since


def between_frames(spec: WaveNetSpec, projected: np.ndarray, samples: Iterable[int]) -> np.ndarray:
    """The projection of each sample's feature, or a part of the way to the next one's."""
    end = spec.conditioning
    now, following, since = neighbours(spec, projected, samples)
    assert end is not None
    if end.interpolation == "held":
        return now
    part = (since / end.feature_hop)[:, None, None]
    return np.where(following == now, now, now + part * (following - now))


def teacher_forced(
    spec: WaveNetSpec,
    weights: Mapping[str, np.ndarray],
    codes: Iterable[int],
    cond: np.ndarray | None = None,
    network: type[WaveNetSteps] = WaveNetSteps,
) -> np.ndarray:
    """Logits (n, levels) in float64; row t predicts code t + 1.  cond: (n, layers, 2D)."""
    net = network(spec, weights)
    codes = list(codes)
    rows = [None] * len(codes) if cond is None else cond
    return np.array([net.step(c, row) for c, row in zip(codes, rows, strict=True)])


def _with_biases(spec: WaveNetSpec) -> dict[str, tuple[int, ...]]:
    """All tensors, biases included: an absent one is zero."""
    shapes = spec.tensors()
    if spec.bias:
        return shapes
    return shapes | {
        name.replace(".weight", ".bias"): shape[-1:] if name == "first.weight" else shape[:1]
        for name, shape in shapes.items()
    }
