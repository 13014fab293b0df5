"""One step of the network as a function for torch.compile."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..spec import WaveNetSpec
from .conditions import Conditions
from .packed import Packed
from .peer import Weights, available
from .torch_peers import gumbel_noise

OWN_LOOPS = 2**14  # for one voice, up to so many weights the compiler's loops beat a call of BLAS
OPTIONS = {  # for the compiler: no Python between two kernels, and no checks
    "cpp_wrapper": True,
    "size_asserts": False,
    "assert_indirect_indexing": False,
}


class Step(torch.nn.Module):
    """A step without sampling's randomness; state is an argument and is changed in place."""

    def __init__(self, packed: Packed):
        super().__init__()
        self.batch, self.layers = packed.batch, packed.spec.layers
        self.older_table, self.newer = torch.from_numpy(packed.tables)  # (Q, R) each
        self.past, self.now = self._stored(packed.past), self._stored(packed.now)
        residual = np.array(packed.residual) if packed.residual else np.empty((0, 1, 1), np.float32)
        self.residual = self._stored(residual)  # (L - 1, D, R)
        self.gate_bias = torch.from_numpy(packed.gate_bias)[:, None]  # (L, 1, 2D)
        self.skip, self.hidden, self.output = map(
            self._stored, (packed.skip, packed.hidden, packed.output)
        )
        self.skip_bias, self.hidden_bias, self.output_bias = map(
            torch.from_numpy, (packed.skip_bias, packed.hidden_bias, packed.output_bias)
        )

    def forward(
        self,
        codes: Tensor,
        older: Tensor,
        ring: Tensor,
        read: Tensor,
        write: Tensor,
        noise: Tensor,
        base: Tensor | None = None,
    ) -> Tensor:
        """codes (B,) int64 and older (B, R) become the next step's; returns logits (B, Q).

        base: (L, B, 2D), in the place of the biases, with conditioning.
        """
        before = ring.index_select(0, read).view(self.layers, self.batch, -1)
        h = self._all_past(before, self.gate_bias if base is None else base)  # (L, B, 2D)
        x, xs, zs = older + self.newer.index_select(0, codes), [], []
        for layer in range(self.layers):
            xs.append(x)
            a, gate = torch.tanh(self._product(h[layer], x, self.now[layer])).chunk(2, dim=1)
            zs.append(a + a * gate)  # (B, D)
            if layer + 1 < self.layers:
                x = self._product(x, zs[-1], self.residual[layer])
        s = torch.relu(self._product(self.skip_bias, torch.cat(zs, 1), self.skip))
        y = torch.relu(self._product(self.hidden_bias, s, self.hidden))
        logits = self._product(self.output_bias, y, self.output)
        older.copy_(self.older_table.index_select(0, codes))
        ring.index_copy_(0, write, torch.cat(xs))
        codes.copy_((logits - noise).argmax(1))
        return logits

    def _small(self, w: Tensor) -> bool:
        return self.batch == 1 and w.shape[-2] * w.shape[-1] <= OWN_LOOPS

    def _stored(self, array: np.ndarray) -> Tensor:
        """Matrices (..., in, out); small ones lie in memory as the compiler's loops read them."""
        w = torch.from_numpy(array)
        return w.mT.contiguous().mT if self._small(w) else w

    def _product(self, bias: Tensor, x: Tensor, w: Tensor) -> Tensor:
        """bias + x w: (B, in), (in, out) -> (B, out)"""
        if self._small(w):
            return bias + (x[:, None] * w.T).sum(2)
        return torch.addmm(bias, x, w)

    def _all_past(self, before: Tensor, base: Tensor) -> Tensor:
        if self._small(self.past):
            return base + (before * self.past.mT).sum(2)[:, None]
        return torch.baddbmm(base, before, self.past)


class CompiledQueue(Packed):
    """The same algebra as TunedTorch, without its tricks for eager mode.

    Raises NotAvailable if the step cannot be compiled; compiling needs a C++ compiler.
    """

    @torch.inference_mode()
    def __init__(
        self,
        spec: WaveNetSpec,
        weights: Weights,
        batch: int = 1,
        conditions: Conditions | None = None,
        seed: int = 0,
    ):
        super().__init__(spec, weights, batch, conditions)
        period = len(self.reads)
        self.read = list(torch.from_numpy(self.reads.reshape(period, -1)))  # (L B (k-1),) each
        self.write = list(torch.from_numpy(self.writes.reshape(period, -1)))  # (L B,) each
        self.base = None if self.bases is None else list(torch.from_numpy(self.bases))
        random = torch.Generator().manual_seed(seed)
        self.noise = gumbel_noise(random, self.noise_rows, (batch, spec.levels))
        torch.compiler.reset()  # one function for many shapes: it would give up after eight
        self.compiled = torch.compile(
            Step(self), fullgraph=True, dynamic=False, options=dict(OPTIONS)
        )
        self.reset()
        with available():
            self.step(np.zeros(batch, np.int64))
        self.reset()

    @torch.inference_mode()  # other tensors would be compiled for anew
    def reset(self) -> None:
        self.time, self.ring = 0, torch.tensor(self.silence)
        self.codes = torch.full((self.batch,), self.spec.start.code)
        self.older = torch.zeros(self.batch, self.spec.residual)

    @torch.inference_mode()
    def step(self, codes: np.ndarray) -> np.ndarray:
        self.codes = torch.tensor(codes)
        return self._step().numpy().copy()

    @torch.inference_mode()
    def generate(self, n: int) -> np.ndarray:
        drawn = torch.empty(n, self.batch, dtype=torch.int64)
        for row in drawn:
            self._step()
            row.copy_(self.codes)
        return drawn.numpy().T

    def _step(self) -> Tensor:
        moment = self.time % len(self.read)
        base = () if self.base is None else (self.base[self.time % len(self.base)],)
        self.time += 1
        return self.compiled(
            self.codes,
            self.older,
            self.ring,
            self.read[moment],
            self.write[moment],
            next(self.noise),
            *base,
        )
