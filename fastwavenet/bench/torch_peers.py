"""PyTorch, eagerly: the naive and the clean generator, and a queue made as fast as we could."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from ..spec import WaveNetSpec
from ..training.model import WaveNet
from .conditions import Conditions
from .packed import Packed
from .peer import Peer, Weights
from .torch_generate import NaiveWaveNet, QueuedWaveNet, draw


class CleanQueue(Peer):
    """The queue of fastwavenet.bench.torch_generate: the yardstick for the others."""

    def __init__(
        self,
        spec: WaveNetSpec,
        weights: Weights,
        batch: int = 1,
        conditions: Conditions | None = None,
    ):
        self.batch, self.conditions = batch, conditions
        self.module = WaveNet(spec)
        self.module.load_state_dict({name: torch.tensor(a) for name, a in weights.items()})
        self.reset()

    def reset(self) -> None:
        self.net = self._network()
        self.codes = torch.full((self.batch,), self.module.spec.start.code)

    def _network(self) -> NaiveWaveNet | QueuedWaveNet:
        given = self.conditions
        rows = None if given is None else torch.from_numpy(given.rows)
        return QueuedWaveNet(self.module, self.batch, rows)

    def step(self, codes: np.ndarray) -> np.ndarray:
        return self.net.step(torch.tensor(codes)).numpy()

    @torch.inference_mode()
    def generate(self, n: int) -> np.ndarray:
        drawn = torch.empty(self.batch, n, dtype=torch.int64)
        for i in range(n):
            drawn[:, i] = self.codes = draw(self.net.step(self.codes), temperature=1.0)
        return drawn.numpy()


class Naive(CleanQueue):
    """The whole receptive field for every sample; `fill` makes it whole from the first one on.

    The training network takes frames, not rows.
    """

    checked_steps = 16  # it is slow, and keeps nothing that it could forget
    reads_weights_once = False

    def _network(self) -> NaiveWaveNet:
        given = self.conditions
        frames = None if given is None else torch.from_numpy(given.frames).mT  # (B, C, F)
        return NaiveWaveNet(self.module, self.batch, frames)

    def fill(self) -> None:
        self.net.feed(self.codes[:, None].expand(-1, self.module.spec.receptive_field))


class TunedTorch(Packed):
    """Preallocated buffers, four operations a layer; all layers' past inputs in one baddbmm."""

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
        random = torch.Generator().manual_seed(seed)
        self.noise = gumbel_noise(random, self.noise_rows, (batch, spec.levels))
        self.newer, self.older_table = torch.from_numpy(self.tables).flip(0)  # (Q, R) each
        self.logit_rows, self.noisy = torch.empty(2, batch, spec.levels)
        self._make_past()
        self._make_layers()
        self._make_head()
        self.reset()

    def _make_past(self) -> None:
        layers, inputs, _ = self.past.shape
        period, residual = len(self.reads), self.spec.residual
        self.read = list(torch.from_numpy(self.reads.reshape(period, -1)))  # (L B (k-1),) each
        self.write = list(torch.from_numpy(self.writes.reshape(period, -1)))  # (L B,) each
        self.before = torch.empty(len(self.read[0]), residual)
        self.before_rows = self.before.view(layers, self.batch, inputs)
        self.w_past = torch.from_numpy(self.past)
        self.w_past_bias = torch.from_numpy(self.gate_bias)[:, None]  # (L, 1, 2D), or (L, B, 2D)
        self.base = None if self.bases is None else list(torch.from_numpy(self.bases))
        self.h = torch.empty(layers, self.batch, self.past.shape[2])

    def _make_layers(self) -> None:
        spec = self.spec
        self.x = torch.empty(spec.layers, self.batch, spec.residual)
        self.x_flat = self.x.view(-1, spec.residual)
        self.z = torch.empty(self.batch, spec.layers * spec.dilation_channels)
        x, h = self._rows(self.x, 1), self._rows(self.h, 1)  # (L, B, R), (L, B, 2D)
        z = self._rows(self.z, 0).chunk(spec.layers, dim=-1)  # L x (B, D)
        now = [self._factors(*pair) for pair in zip(x, torch.from_numpy(self.now), strict=True)]
        gates = [(*f, *rest) for f, *rest in zip(now, h, *h.chunk(2, dim=-1), z, strict=True)]
        self.last = gates.pop()
        w = map(torch.from_numpy, self.residual)
        residual = [self._factors(*pair) for pair in zip(z[:-1], w, strict=True)]
        inner = zip(gates, x[:-1], residual, x[1:], strict=True)
        self.inner = [(*gate, old, *f, new) for gate, old, f, new in inner]

    def _make_head(self) -> None:
        spec, b = self.spec, self.batch
        s, y, logits = torch.empty(b, spec.skip), torch.empty(b, spec.head), self.logit_rows
        self.head = [
            (torch.from_numpy(bias), *self._factors(self._rows(x, 0), torch.from_numpy(w)), out)
            for bias, x, w, out in (
                (self.skip_bias, self.z, self.skip, self._rows(s, 0)),
                (self.hidden_bias, s, self.hidden, self._rows(y, 0)),
                (self.output_bias, y, self.output, self._rows(logits, 0)),
            )
        ]

    def _rows(self, tensor: torch.Tensor, voices: int) -> torch.Tensor:
        """One voice: without the dimension of voices, because vectors are faster."""
        return tensor.select(voices, 0) if self.batch == 1 else tensor

    def _factors(self, x: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The arguments of addmv (one voice) or addmm for x w."""
        return (w.T, x) if self.batch == 1 else (x, w)

    @torch.inference_mode()
    def reset(self) -> None:
        self.time, self.ring = 0, torch.tensor(self.silence)
        self.codes = torch.full((self.batch,), self.spec.start.code)
        self.older = torch.zeros(self.batch, self.spec.residual)  # the previous codes' part of x

    @torch.inference_mode()
    def step(self, codes: np.ndarray) -> np.ndarray:
        self._step(torch.from_numpy(codes))
        return self.logit_rows.numpy().copy()

    @torch.inference_mode()
    def generate(self, n: int) -> np.ndarray:
        drawn = torch.empty(n, self.batch, dtype=torch.int64)
        for row in drawn:
            self._step(self.codes)
            torch.sub(self.logit_rows, next(self.noise), out=self.noisy)
            self.codes = torch.argmax(self.noisy, 1, out=row)
        return drawn.numpy().T

    def _step(self, codes: torch.Tensor) -> None:
        product = torch.addmv if self.batch == 1 else torch.addmm
        accumulate = torch.Tensor.addmv_ if self.batch == 1 else torch.Tensor.addmm_
        addcmul = torch.addcmul
        if self.base is not None:
            self.w_past_bias = self.base[self.time % len(self.base)]
        moment = self.time % len(self.read)
        torch.index_select(self.ring, 0, self.read[moment], out=self.before)
        torch.baddbmm(self.w_past_bias, self.before_rows, self.w_past, out=self.h)
        torch.add(self.older, self.newer.index_select(0, codes), out=self.x[0])
        for f, g, h, a, b, z, x, f_residual, g_residual, x_next in self.inner:
            accumulate(h, f, g)
            h.tanh_()
            addcmul(a, a, b, out=z)
            product(x, f_residual, g_residual, out=x_next)
        f, g, h, a, b, z = self.last
        accumulate(h, f, g)
        h.tanh_()
        addcmul(a, a, b, out=z)
        self.ring.index_copy_(0, self.write[moment], self.x_flat)
        self.older = self.older_table.index_select(0, codes)
        self.time += 1
        skip, hidden, output = self.head
        product(*skip[:3], out=skip[3]).relu_()
        product(*hidden[:3], out=hidden[3]).relu_()
        product(*output[:3], out=output[3])


def forward(
    spec: WaveNetSpec, weights: Weights, codes: np.ndarray
) -> tuple[Callable[[int], None], float]:
    """A function that computes the logits after all the codes n times, by convolutions.

    codes: (n,).  Also returns how surprising each code after the first is, in nats on average.
    """
    module = WaveNet(spec)
    module.load_state_dict({name: torch.tensor(a) for name, a in weights.items()})
    row = torch.tensor(codes)[None]  # (1, n)

    @torch.inference_mode()
    def work(n: int) -> None:
        for _ in range(n):
            module(row)

    with torch.inference_mode():
        nats = torch.nn.functional.cross_entropy(module(row)[..., :-1], row[:, 1:])
    return work, nats.item()


def gumbel_noise(
    random: torch.Generator, count: int, shape: tuple[int, ...]
) -> Iterator[torch.Tensor]:
    """As numpy_peer's; torch's own exponential_ is five times slower than -log of uniform_."""
    block = torch.empty(count, *shape)
    while True:
        block.uniform_(generator=random).log_().neg_().log_()
        yield from block
