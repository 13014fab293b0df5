"""The WaveNet in PyTorch, as it is trained.  Read this first.

van den Oord et al., *WaveNet: A Generative Model for Raw Audio*, 2016.  From the samples up to
time t the network computes the probability of each of Q values of sample t + 1.  Shapes in
comments: B batch, T time, Q levels, R residual, D dilation, S skip, H head channels, k kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..spec import WaveNetSpec


class CausalEmbedding(nn.Module):
    """The first convolution, on codes: a one-hot vector times a matrix is a row of that matrix."""

    def __init__(self, spec: WaveNetSpec):
        super().__init__()
        k, q, r = spec.input.taps, spec.levels, spec.residual
        self.weight = nn.Parameter(torch.randn(k, q, r) * (1 / k) ** 0.5)  # tap 0 is the oldest
        self.bias = nn.Parameter(torch.zeros(r)) if spec.bias else None

    def forward(self, codes: Tensor) -> Tensor:  # (B, T) -> (B, R, T)
        taps, time = len(self.weight), codes.shape[1]
        x: Tensor = self.weight.new_zeros(()) if self.bias is None else self.bias
        for j, table in enumerate(self.weight):
            delay = min(taps - 1 - j, time)
            past = F.embedding(codes[:, : time - delay], table)  # (B, T - delay, R)
            x = x + F.pad(past, (0, 0, delay, 0))  # zeros before the first sample
        return x.transpose(1, 2)


class DilatedConv(nn.Conv1d):
    """A causal convolution over the current sample and k - 1 earlier ones, `dilation` apart.

    The zeros on the left make it causal; the generator's queues start with the same zeros.  (Early
    implementations fold time into the batch to get an undilated convolution.  That pads T to a
    multiple of every dilation, copies the signal twice a layer, and hides the dilation; PyTorch's
    dilated kernels are as fast.)
    """

    def forward(self, x: Tensor) -> Tensor:  # (B, in, T) -> (B, out, T)
        past = (self.kernel_size[0] - 1) * self.dilation[0]
        return super().forward(F.pad(x, (past, 0)))


class ResidualLayer(nn.Module):
    """Gated dilated convolution; its output z goes to the next layer and to the skip sum."""

    def __init__(self, spec: WaveNetSpec, layer: int):
        super().__init__()
        r, d, s = spec.residual, spec.dilation_channels, spec.skip
        kernel, dilation = spec.kernel[layer], spec.dilations[layer]
        self.dilated = DilatedConv(r, 2 * d, kernel, dilation=dilation, bias=spec.bias)
        last = layer + 1 == spec.layers  # the residual stream ends here
        self.residual = None if last else nn.Conv1d(d, r, 1, bias=spec.bias)
        self.skip = nn.Conv1d(d, s, 1, bias=spec.bias)

    def forward(self, x: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.dilated(x)  # (B, 2D, T)
        if cond is not None:
            h = h + cond
        value, gate = h.chunk(2, dim=1)
        z = torch.tanh(value) * torch.sigmoid(gate)  # (B, D, T)
        if self.residual is not None:
            x = x + self.residual(z)  # (B, R, T)
        return x, self.skip(z)  # (B, S, T)


class Head(nn.Module):
    """From the sum of all layers' skips to the logits."""

    def __init__(self, spec: WaveNetSpec):
        super().__init__()
        self.hidden = nn.Conv1d(spec.skip, spec.head, 1, bias=spec.bias)
        self.output = nn.Conv1d(spec.head, spec.levels, 1, bias=spec.bias)

    def forward(self, skip: Tensor) -> Tensor:  # (B, S, T) -> (B, Q, T)
        return self.output(F.relu(self.hidden(F.relu(skip))))


class WaveNet(nn.Module):
    """codes int64 (B, T) -> logits (B, Q, T); column t is the distribution of sample t + 1.

    cond: None, or the conditioning of each layer, added before its gate, (B, L, 2D, T).
    `state_dict()` has exactly the names and shapes of `spec.tensors()`.
    """

    def __init__(self, spec: WaveNetSpec):
        super().__init__()
        self.spec = spec
        self.first = CausalEmbedding(spec)
        self.layers = nn.ModuleList(ResidualLayer(spec, layer) for layer in range(spec.layers))
        self.head = Head(spec)

    def forward(self, codes: Tensor, cond: Tensor | None = None) -> Tensor:
        x = self.first(codes)
        total = x.new_zeros(1)  # not a scalar: the sum stays float32 under autocast
        for index, layer in enumerate(self.layers):
            x, skip = layer(x, None if cond is None else cond[:, index])
            total = total + skip
        return self.head(total)
