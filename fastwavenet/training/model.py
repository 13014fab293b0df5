"""The WaveNet in PyTorch, as it is trained.  Read this first.

van den Oord et al., *WaveNet: A Generative Model for Raw Audio*, 2016.  From the samples up to
time t the network computes the probability of each of Q values of sample t + 1.  Shapes in
comments: B batch, T time, Q levels, R residual, D dilation, S skip, H head channels, k kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..ends import FrameConditioning
from ..shown import shown
from ..spec import WaveNetSpec
from .pitch_predictor import PitchPredictor
from .upsampling import Upsampling

GATE = "gate"  # the activation of a WaveNet; the others are there to be compared with it
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": F.relu,
    "linear": nn.Identity(),
}


class CausalEmbedding(nn.Module):
    """The first convolution, on codes: a one-hot vector times a matrix is a row of that matrix."""

    def __init__(self, spec: WaveNetSpec):
        super().__init__()
        k, q, r = spec.input.taps, spec.levels, spec.residual
        self.weight = nn.Parameter(torch.randn(k, q, r) * (1 / k) ** 0.5)  # tap 0 is the oldest
        self.bias = nn.Parameter(torch.zeros(r)) if spec.bias else None
        self.padding = spec.start.code if spec.input.padding == "start" else None
        self.tanh = spec.input.activation == "tanh"

    def forward(self, codes: Tensor) -> Tensor:  # (B, T) -> (B, R, T)
        taps, time = len(self.weight), codes.shape[1]
        x: Tensor = self.weight.new_zeros(()) if self.bias is None else self.bias
        for j, table in enumerate(self.weight):
            delay = min(taps - 1 - j, time)
            past = codes[:, : time - delay]
            if self.padding is None:  # zeros before the first sample
                x = x + F.pad(F.embedding(past, table), (0, 0, delay, 0))  # (B, T, R)
            else:
                x = x + F.embedding(F.pad(past, (delay, 0), value=self.padding), table)
        x = torch.tanh(x) if self.tanh else x
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

    def __init__(self, spec: WaveNetSpec, layer: int, activation: str = GATE):
        super().__init__()
        r, d, s = spec.residual, spec.dilation_channels, spec.skip
        kernel, dilation = spec.kernel[layer], spec.dilations[layer]
        self.activation = ACTIVATIONS.get(activation)  # None: the gate
        sums = 2 * d if self.activation is None else d
        self.dilated = DilatedConv(r, sums, kernel, dilation=dilation, bias=spec.bias)
        last = layer + 1 == spec.layers  # the residual stream ends here
        self.residual = None if last else nn.Conv1d(d, r, 1, bias=spec.bias)
        self.skip = nn.Conv1d(d, s, 1, bias=spec.bias)
        end = spec.conditioning
        self.conditioning = nn.Conv1d(end.inputs, sums, 1, bias=False) if end else None

    def forward(self, x: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.dilated(x)  # (B, 2D, T)
        if cond is not None:
            h = h + cond
        if self.activation is None:
            value, gate = h.chunk(2, dim=1)
            z = torch.tanh(value) * torch.sigmoid(gate)  # (B, D, T)
        else:
            z = self.activation(h)  # h is (B, D, T)
        if self.residual is not None:
            x = x + self.residual(z)  # (B, R, T)
        return x, self.skip(z)  # (B, S, T)


class Conditioning(nn.Module):
    """Features u of frames, which each layer projects, and their places in time.

    The projections are made of features that last `hop` samples, and then held or interpolated: a
    product for each feature instead of each sample.

    In training, frames are standardised: (u - mean) / deviation, each (C, 1).  A model file has no
    such numbers; its weights contain them (see `conditioning.for_raw_frames`).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, end: FrameConditioning, bias: bool):
        super().__init__()
        self.channels, self.hop = end.channels, end.feature_hop
        self.linear = end.interpolation == "linear"
        count, channels = len(end.speakers), end.speaker_channels
        self.speakers = nn.Embedding(count, channels) if count else None
        self.pitch = None
        if end.mel is not None and end.pitch is not None and end.pitch.hidden:
            self.pitch = PitchPredictor(end.pitch, end.mel.mels)  # for frames without pitch
        self.register_buffer("mean", torch.zeros(self.channels, 1), persistent=False)
        self.register_buffer("deviation", torch.ones(self.channels, 1), persistent=False)
        self.upsampling = Upsampling(end, bias)

    def forward(
        self, frames: Tensor | None, speakers: Tensor | None, sounds: Tensor | None = None
    ) -> Tensor:
        """(B, C, F) and (B,) -> u (B, C' + E, F'); without frames F' is 1."""
        if (frames is None) != (self.channels == 0) or (speakers is None) != (not self.speakers):
            raise ValueError("frames and speakers must be given exactly where the network has them")
        if frames is not None:
            frames = self.upsampling(self.standardised(frames), sounds)
        if self.speakers is None or speakers is None:
            return cast(Tensor, frames)
        embedding = self.speakers(speakers)[:, :, None]  # (B, E, 1)
        if frames is None:
            return embedding
        return torch.cat([frames, embedding.expand(-1, -1, frames.shape[2])], dim=1)

    def standardised(self, frames: Tensor) -> Tensor:  # (B, C, F) -> (B, C, F)
        return (frames - self.mean) / self.deviation

    def at_samples(self, projected: Tensor, at: int, time: int) -> Tensor:
        """(B, 2D, F) -> (B, 2D, time), for samples at, at + 1, ... from the first frame's begin."""
        number = torch.arange(at, at + time, device=projected.device)
        last = projected.shape[2] - 1
        now = (number // self.hop).clamp(max=last)
        held = projected[:, :, now]
        if not self.linear:
            return held
        part = (number % self.hop).to(projected.dtype) / self.hop
        return held + part * (projected[:, :, (now + 1).clamp(max=last)] - held)


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

    frames: (B, C, F), for a network with channels; frame i begins with sample i hop.
    speakers: int64 (B,), indices, for a network with speakers.
    at: the number, from the first frame's begin, of the sample that column 0 predicts.
    sounds: int64 (B, 2), which of the frames are a sound's first and the one behind its last, where
    they are a part of it; None: they are all.
    `state_dict()` has exactly the names and shapes of `spec.tensors()`.

    activation: "tanh", "relu" or "linear" (none) takes the place of the gate in all layers, for
    experiments: such a layer has D sums instead of 2D, and the network cannot be exported.
    Raises ValueError for another activation.
    """

    def __init__(self, spec: WaveNetSpec, activation: str = GATE):
        super().__init__()
        if activation not in (GATE, *ACTIVATIONS):
            raise ValueError(
                f"activation must be one of {', '.join((GATE, *ACTIVATIONS))}, "
                f"not {shown(activation)}"
            )
        self.spec, self.activation = spec, activation
        self.first = CausalEmbedding(spec)
        self.layers = nn.ModuleList(ResidualLayer(spec, n, activation) for n in range(spec.layers))
        self.head = Head(spec)
        end = spec.conditioning
        self.conditioning = None if end is None else Conditioning(end, spec.bias)

    def forward(
        self,
        codes: Tensor,
        frames: Tensor | None = None,
        speakers: Tensor | None = None,
        at: int = 1,
        sounds: Tensor | None = None,
    ) -> Tensor:
        x = self.first(codes)
        time = codes.shape[1]
        u = None if self.conditioning is None else self.conditioning(frames, speakers, sounds)
        total = x.new_zeros(1)  # not a scalar: the sum stays float32 under autocast
        for layer in self.layers:
            cond = None if u is None else self._cond(layer, u, at, time)
            x, skip = layer(x, cond)
            total = total + skip
        return self.head(total)

    def _cond(self, layer: nn.Module, u: Tensor, at: int, time: int) -> Tensor:
        """V_l u at each sample that the columns predict, (B, 2D, time)."""
        assert isinstance(layer, ResidualLayer) and layer.conditioning and self.conditioning
        return self.conditioning.at_samples(layer.conditioning(u), at, time)
