"""The slow twin: mu-law, the queued WaveNet step, Philox and the draw, in numpy float64.

Nothing here is fast or clever.  It is the executable specification that the C engine and the
PyTorch model are tested against, and the shortest way to learn how a WaveNet generates.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np

from .spec import WaveNetSpec

# ---- audio to numbers ------------------------------------------------------------------------


def mu_law_encode(audio: np.ndarray, levels: int = 256) -> np.ndarray:
    """Amplitudes in [-1, 1] (clipped) to codes 0 .. levels - 1; ITU-T G.711's companding curve.

    The curve c spends its levels where the ear is sensitive: near zero.
    """
    mu = levels - 1
    x = np.clip(np.asarray(audio, np.float64), -1, 1)
    c = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
    return np.floor((c + 1) / 2 * mu + 0.5).astype(np.int64)


def mu_law_decode(codes: np.ndarray, levels: int = 256) -> np.ndarray:
    """The inverse: codes to amplitudes from exactly -1 to exactly 1, float64."""
    mu = levels - 1
    c = (2 * np.asarray(codes, np.float64) - mu) / mu
    return np.sign(c) * ((1 + mu) ** np.abs(c) - 1) / mu


# ---- the network -----------------------------------------------------------------------------


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


class WaveNetSteps:
    """A WaveNet that is fed one code at a time and remembers its past in queues.

    A layer with dilation d and kernel k needs its own inputs of d, 2d, ... (k-1)d samples ago.
    It keeps them in a queue, so that a step costs one column of the network instead of the whole
    receptive field (Le Paine et al., *Fast Wavenet Generation Algorithm*, 2016).
    """

    def __init__(self, spec: WaveNetSpec, weights: Mapping[str, np.ndarray]):
        self.spec = spec
        zero = {name: np.zeros(shape) for name, shape in _with_biases(spec).items()}
        self.w = zero | {name: np.asarray(a, np.float64) for name, a in weights.items()}
        self.codes: deque[int | None] = deque([None] * spec.first_kernel, maxlen=spec.first_kernel)
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
        return x

    def _gate(self, layer: int, x: np.ndarray, cond: np.ndarray | None) -> np.ndarray:
        """The dilated causal convolution at one moment, and its gate."""
        dilation, queue = self.spec.dilations[layer], self.queues[layer]
        weight = self.w[f"layers.{layer}.dilated.weight"]  # (2D, R, k)
        taps = [queue[j * dilation] for j in range(self.spec.kernel[layer] - 1)] + [x]
        h = self.w[f"layers.{layer}.dilated.bias"]  # (2D,)
        for j, tap in enumerate(taps):  # oldest first
            h = h + weight[:, :, j] @ tap
        if cond is not None:
            h = h + cond
        queue.append(x)
        d = self.spec.dilation_channels
        return np.tanh(h[:d]) * sigmoid(h[d:])

    def _pointwise(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.w[f"{name}.weight"][:, :, 0] @ x + self.w[f"{name}.bias"]


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


# ---- randomness ------------------------------------------------------------------------------


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, ...]:
    """Ten rounds of Philox4x32 (Salmon et al., SC 2011): 4 + 2 words of 32 bits to 4 words."""
    mask = 0xFFFFFFFF
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & mask, (a >> 32) ^ c3 ^ k1, a & mask
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return c0, c1, c2, c3


def uniform(seed: int, step: int, stream: int) -> float:
    """The random number in [0, 1) of one step of one stream."""
    mask = 0xFFFFFFFF
    words = philox4x32((0, step & mask, step >> 32, stream), (seed & mask, seed >> 32))
    return (words[0] >> 8) * 2.0**-24


def draw_order(levels: int) -> np.ndarray:
    """The order in which codes stand on the unit interval: lane 0's codes, then lane 1's, ..."""
    return np.concatenate([np.arange(lane, levels, 16) for lane in range(16)])


def draw(logits: np.ndarray, u: float, temperature: float = 1.0, top_k: int | None = None) -> int:
    """The code whose share of the unit interval contains u; temperature 0: the most probable."""
    logits = np.asarray(logits, np.float64)
    if temperature == 0:
        return int(np.argmax(logits))
    p = np.exp((logits - logits.max()) / temperature)
    if top_k is not None:
        p[np.argsort(-logits, kind="stable")[top_k:]] = 0
    order = draw_order(len(p))
    edges = np.cumsum(p[order])
    return int(order[np.searchsorted(edges, u * edges[-1], side="right")])
