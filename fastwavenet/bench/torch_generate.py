"""The two ways to generate with PyTorch alone: the naive one, and the one with queues.

Both are slow, and written as a PyTorch user would write them.  They explain the engine, and tests
and benchmarks compare it with them.

    naive   runs the training network over the whole receptive field, keeps the last column
    queued  runs one column; each layer keeps those of its past inputs that it will need again
            (Le Paine et al., *Fast Wavenet Generation Algorithm*, 2016)

Shapes in comments: B independent rows, T time, Q levels, R residual, D dilation channels, S skip,
k kernel; of a conditioned network C channels, F frames, L layers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import repeat
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..training.model import ResidualLayer, WaveNet


def generate_naive(
    module: WaveNet,
    n: int,
    *,
    batch: int = 1,
    prime: Tensor | None = None,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """n new codes for each row, int64 (B, n), by recomputing the receptive field for each of them.

    prime: the codes that come before, int64 (B, T >= 1); None: the start code.  Not returned.
    temperature 0 takes the most probable code.  Before the first receptive field of codes is
    full there is less to recompute, so only a primed run shows the true speed.
    """
    return _generate(NaiveWaveNet(module, batch), n, prime, temperature, generator)


def generate_queued(
    module: WaveNet,
    n: int,
    *,
    batch: int = 1,
    prime: Tensor | None = None,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """`generate_naive` with queues: the same distribution of codes for a fraction of the work."""
    return _generate(QueuedWaveNet(module, batch), n, prime, temperature, generator)


@torch.inference_mode()
def _generate(
    net: NaiveWaveNet | QueuedWaveNet,
    n: int,
    prime: Tensor | None,
    temperature: float,
    generator: torch.Generator | None,
) -> Tensor:
    if prime is None:
        prime = torch.full((net.batch, 1), net.spec.start.code)
    net.feed(prime[:, :-1])
    codes = prime[:, -1]
    drawn = torch.empty(net.batch, n, dtype=torch.int64)
    for i in range(n):
        drawn[:, i] = codes = draw(net.step(codes), temperature, generator)
    return drawn


def draw(logits: Tensor, temperature: float, generator: torch.Generator | None = None) -> Tensor:
    """Codes int64 (B,) from the softmax of logits (B, Q); temperature 0: the most probable."""
    if temperature == 0:
        return logits.argmax(dim=1)
    probabilities = torch.softmax(logits / temperature, dim=1)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]


class NaiveWaveNet:
    """The training network, run on the last receptive field of codes for every new one.

    frames: of a conditioned network, (B, C, F), which repeat; the first step's is the first one.
    """

    def __init__(self, module: WaveNet, batch: int = 1, frames: Tensor | None = None):
        self.module, self.spec, self.batch = module, module.spec, batch
        self.codes = torch.empty(batch, 0, dtype=torch.int64)
        self.frames, self.time = frames, 0

    def feed(self, codes: Tensor) -> None:
        """Appends given codes, int64 (B, T), to the past."""
        self.codes = torch.cat([self.codes, codes], dim=1)[:, -self.spec.receptive_field :]

    @torch.inference_mode()
    def step(self, codes: Tensor) -> Tensor:
        """Feeds one code per row, int64 (B,); returns the logits (B, Q) of the next."""
        self.feed(codes[:, None])
        return self.module(self.codes, **self._conditioning())[:, :, -1]

    def _conditioning(self) -> dict[str, Any]:
        """The frames of the samples that the columns predict, the last of them sample `time`."""
        if self.frames is None or self.spec.conditioning is None:
            return {}
        hop, columns = self.spec.conditioning.hop, self.codes.shape[1]
        frame, at = divmod(self.time + 1 - columns, hop)
        self.time += 1
        needed = torch.arange(frame, frame + (at + columns - 1) // hop + 2)  # and the next one
        return {"frames": self.frames[:, :, needed % self.frames.shape[2]], "at": at}


class QueuedWaveNet:
    """One column of the network at a time, at the cost of one column.

    rows: of a conditioned network, (T, L, B, 2D): the projections of the features, which repeat
    after T steps.
    """

    def __init__(self, module: WaveNet, batch: int = 1, rows: Tensor | None = None):
        self.spec, self.batch = module.spec, batch
        self.rows, self.time = rows, 0
        self.tables, self.first_bias = module.first.weight, module.first.bias  # (k, Q, R), (R,)
        taps = len(self.tables)
        self.tanh, code = module.first.tanh, module.first.padding
        before = None if code is None else torch.full((batch,), code)
        self.codes: deque[Tensor | None] = deque([before] * taps, maxlen=taps)
        self.layers = [QueuedLayer(cast(ResidualLayer, layer), batch) for layer in module.layers]
        self.hidden, self.output = _matrix(module.head.hidden), _matrix(module.head.output)

    def feed(self, codes: Tensor) -> None:
        """Appends given codes, int64 (B, T), to the past."""
        for column in codes.T:
            self.step(column)

    @torch.inference_mode()
    def step(self, codes: Tensor) -> Tensor:
        """Feeds one code per row, int64 (B,); returns the logits (B, Q) of the next."""
        x = self._embed(codes)  # (B, R)
        total = x.new_zeros(())
        for layer, row in zip(self.layers, self._next_rows(), strict=False):
            x, skip = layer.step(x, row)
            total = total + skip  # (B, S)
        return F.linear(F.relu(F.linear(F.relu(total), *self.hidden)), *self.output)

    def _next_rows(self) -> Iterable[Tensor | None]:
        """The projections for each layer in this step, (B, 2D), or None."""
        if self.rows is None:
            return repeat(None)
        self.time += 1
        return self.rows[(self.time - 1) % len(self.rows)]

    def _embed(self, codes: Tensor) -> Tensor:  # (B,) -> (B, R)
        self.codes.append(codes)
        tables, bias = self.tables, self.first_bias
        x: Tensor = tables.new_zeros(()) if bias is None else bias
        for table, past in zip(tables, self.codes, strict=True):
            if past is not None:  # before the first sample there is nothing
                x = x + table[past]
        return torch.tanh(x) if self.tanh else x


class QueuedLayer:
    """A residual layer that is fed one column at a time.

    The queue is a ring of the last (k-1) d inputs.  `oldest` is the slot of the one that is
    needed for the last time now, and is overwritten by the newest.
    """

    def __init__(self, layer: ResidualLayer, batch: int):
        (k,), (self.dilation,) = layer.dilated.kernel_size, layer.dilated.dilation
        slots, channels = (k - 1) * self.dilation, layer.dilated.in_channels
        self.queue = layer.dilated.weight.new_zeros(slots, batch, channels)
        self.oldest = 0
        self.dilated, self.skip = _matrix(layer.dilated), _matrix(layer.skip)
        self.residual = None if layer.residual is None else _matrix(layer.residual)

    def step(self, x: Tensor, row: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Feeds (B, R); returns (B, R) and (B, S).  row: features' projections, (B, 2D)."""
        h = F.linear(self._window(x), *self.dilated)  # (B, 2D)
        if row is not None:
            h = h + row
        value, gate = h.chunk(2, dim=1)
        z = torch.tanh(value) * torch.sigmoid(gate)  # (B, D)
        if self.residual is not None:
            x = x + F.linear(z, *self.residual)
        return x, F.linear(z, *self.skip)

    def _window(self, x: Tensor) -> Tensor:
        """The inputs that the kernel sees now, oldest first: (B, R k); remembers x."""
        slots = range(self.oldest, self.oldest + len(self.queue), self.dilation)
        taps = [self.queue[slot % len(self.queue)] for slot in slots]
        window = torch.stack([*taps, x], dim=2).flatten(1)
        self.queue[self.oldest] = x
        self.oldest = (self.oldest + 1) % len(self.queue)
        return window


def _matrix(conv: nn.Conv1d) -> tuple[Tensor, Tensor | None]:
    """A convolution's weight as a matrix (out, in k), sharing memory, and its bias."""
    return conv.weight.detach().flatten(1), conv.bias
