"""A queue made as fast as we could in numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..spec import WaveNetSpec
from .conditions import Conditions
from .packed import Packed
from .peer import Weights

SMALL = 256  # inputs that OpenBLAS multiplies by several rows without packing the matrix first


class TunedNumpy(Packed):
    """Preallocated buffers, six operations a layer; past, current input and bias in one product.

    The bias is the row of w for an input of 1.  With conditioning w has such a row for each voice,
    which is its base, and a one in that voice's inputs only: a copy a step, no operation a layer.
    """

    def __init__(
        self,
        spec: WaveNetSpec,
        weights: Weights,
        batch: int = 1,
        conditions: Conditions | None = None,
        seed: int = 0,
    ):
        super().__init__(spec, weights, batch, conditions)
        self.rows = () if batch == 1 else (batch,)  # one voice: vectors, which numpy adds faster
        rng = np.random.default_rng(seed)
        self.noise = gumbel_noise(rng, self.noise_rows, (*self.rows, spec.levels))
        self.newer, self.older_table = self.tables[1], self.tables[0]  # (Q, R) each
        self._make_layers()
        self._make_head()
        self.reset()

    def _make_layers(self) -> None:
        spec, (layers, inputs, outputs), b = self.spec, self.past.shape, self.rows
        ones, bias = np.ones((*b, 1), np.float32), self.gate_bias[:, None]  # (B, 1), (L, 1, 2D)
        if self.bases is not None:
            ones, bias = np.eye(self.batch).reshape(*b, -1), self.bases[0]  # (B, B), (L, B, 2D)
        known = inputs + spec.residual
        seen = np.zeros((layers, *b, known + ones.shape[-1]), np.float32)  # past, now, 1
        seen[..., known:] = ones
        self.read = self.reads.reshape(-1, layers, *b, self.reads.shape[-1])
        self.write = self.writes.reshape(-1, layers, *b)
        self.before = seen[..., :inputs].reshape(layers, *b, -1, spec.residual)  # (L, B, k-1, R)
        self.x = seen[..., inputs:known]  # (L, B, R)
        self.x0 = self.x[0]
        self.change = np.empty((*b, spec.residual), np.float32)
        self.z_one = np.ones((*b, layers * spec.dilation_channels + 1), np.float32)
        z = np.split(self.z_one[..., :-1], layers, axis=-1)  # L x (B, D)
        w = np.concatenate([self.past, self.now, bias], axis=1)
        self.base = w[:, known:]
        h = np.empty((layers, *b, outputs), np.float32)
        gates = list(zip(seen, w, h, *np.split(h, 2, axis=-1), z, strict=True))
        self.last = gates.pop()
        residual = zip(gates, self.residual, self.x[:-1], self.x[1:], strict=True)
        self.inner = [(*a, *b) for a, *b in residual]

    def _make_head(self) -> None:
        spec, b = self.spec, self.rows
        self.skip_one = np.ones((*b, spec.skip + 1), np.float32)
        self.hidden_one = np.ones((*b, spec.head + 1), np.float32)
        self.s, self.y = self.skip_one[..., :-1], self.hidden_one[..., :-1]
        self.s_sum, self.s_part = np.empty((2, *b, spec.skip), np.float32)
        self.y_sum = np.empty((*b, spec.head), np.float32)
        self.logit_rows, self.noisy = np.empty((2, *b, spec.levels), np.float32)
        self.zeros = np.zeros(max(spec.skip, spec.head), np.float32)
        self.skips = self._pieces(self.z_one, np.vstack([self.skip, self.skip_bias]))
        self.w_hidden = np.vstack([self.hidden, self.hidden_bias])  # (S + 1, H)
        self.w_output = np.vstack([self.output, self.output_bias])  # (H + 1, Q)

    def _pieces(self, rows: np.ndarray, w: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """The long product as a sum of short ones, unless it is of a single row."""
        length = len(w) if self.batch == 1 else SMALL
        cuts = range(0, len(w), length)
        return [(rows[..., cut : cut + length], w[cut : cut + length]) for cut in cuts]

    def reset(self) -> None:
        self.time, self.ring = 0, self.silence.copy()
        self.codes = np.full(self.rows, self.spec.start.code)
        self.older = np.zeros((*self.rows, self.spec.residual), np.float32)  # the last codes' part

    def step(self, codes: np.ndarray) -> np.ndarray:
        self._step(np.reshape(codes, self.rows))
        return self.logit_rows.reshape(self.batch, -1).copy()

    def generate(self, n: int) -> np.ndarray:
        drawn = np.empty((n, *self.rows), np.int64)
        for i in range(n):
            self._step(self.codes)
            np.subtract(self.logit_rows, next(self.noise), out=self.noisy)
            self.codes = drawn[i] = self.noisy.argmax(-1)
        return drawn.reshape(n, self.batch).T

    def _step(self, codes: np.ndarray) -> None:
        dot, add, multiply, tanh = np.dot, np.add, np.multiply, np.tanh
        if self.bases is not None:
            np.copyto(self.base, self.bases[self.time % len(self.bases)])
        moment = self.time % len(self.read)
        self.ring.take(self.read[moment], 0, self.before, "clip")  # no bounds checks, no buffer
        add(self.older, self.newer[codes], self.x0)
        change = self.change
        for seen, w, h, a, b, z, w_residual, x, x_next in self.inner:
            dot(seen, w, h)
            tanh(h, h)
            multiply(a, b, z)
            add(a, z, z)
            dot(z, w_residual, change)
            add(x, change, x_next)
        seen, w, h, a, b, z = self.last
        dot(seen, w, h)
        tanh(h, h)
        multiply(a, b, z)
        add(a, z, z)
        self.ring[self.write[moment]] = self.x
        self.older = self.older_table[codes]
        self.time += 1
        self._head()

    def _head(self) -> None:
        (z, w), *more = self.skips
        np.dot(z, w, self.s_sum)
        for z, w in more:
            np.dot(z, w, self.s_part)
            np.add(self.s_sum, self.s_part, self.s_sum)
        np.maximum(self.s_sum, self.zeros[: self.spec.skip], out=self.s)
        np.dot(self.skip_one, self.w_hidden, self.y_sum)
        np.maximum(self.y_sum, self.zeros[: self.spec.head], out=self.y)
        np.dot(self.hidden_one, self.w_output, self.logit_rows)


def gumbel_noise(
    rng: np.random.Generator, count: int, shape: tuple[int, ...]
) -> Iterator[np.ndarray]:
    """log E with E ~ Exp(1): argmax(logits - log E) is a draw from the softmax.

    float32 arrays of `shape`, made `count` at a time, without end.
    """
    block = np.empty((count, *shape), np.float32)
    while True:
        rng.standard_exponential(dtype=np.float32, out=block)
        with np.errstate(divide="ignore"):  # E may round to 0: then its code wins
            np.log(block, out=block)
        yield from block
