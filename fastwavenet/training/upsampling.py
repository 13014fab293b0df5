"""Learned upsampling in PyTorch: the stages between given frames and the layers' features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..ends import FrameConditioning
from ..upsampling import UpsamplingStage, context, first_output, inputs_of, rate


class Stage(nn.Module):
    """A convolution over time, or a transposed one.

    The initial weights keep the size of the numbers: each output is a sum of about inputs x kernel
    / stride products.
    """

    def __init__(self, stage: UpsamplingStage, inputs: int, bias: bool):
        super().__init__()
        self.stage = stage
        most = (inputs * stage.kernel / stage.stride) ** -0.5
        shape = stage.weight_shape(inputs)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-most, most))
        has_bias = stage.bias and bias
        self.bias = nn.Parameter(torch.zeros(stage.channels)) if has_bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, n) -> (B, out, (n - before - after) stride): outputs that have all inputs."""
        stage, (before, after) = self.stage, self.stage.reach
        if stage.stride == 1:
            y = F.conv1d(x, self.weight, self.bias)
        else:
            y = F.conv_transpose1d(x, self.weight, self.bias, stride=stage.stride)
            first = stage.crop + before * stage.stride
            y = y[:, :, first : first + (x.shape[2] - before - after) * stage.stride]
        return F.relu(y) if stage.activation == "relu" else y


class Upsampling(nn.ModuleList):
    """All stages, between frames that are continued at both ends."""

    def __init__(self, end: FrameConditioning, bias: bool):
        inputs = inputs_of(end.upsampling, end.channels)
        super().__init__(map(Stage, end.upsampling, inputs, [bias] * len(inputs)))
        self.stages, self.held = end.upsampling, end.edges == "held"

    def forward(self, frames: Tensor, sounds: Tensor | None = None) -> Tensor:
        """(B, C, F) -> features of the frames and of one frame after them, (B, C', F').

        sounds: int64 (B, 2), the numbers of the first frame of each sound, which may be below 0,
        and of the one behind its last; None: the frames are the sound.
        """
        if not self.stages:
            return frames
        before, after = context(self.stages)
        x = F.pad(frames, (before, after + 1), mode="replicate" if self.held else "constant")
        whole = torch.tensor([[0, frames.shape[2]]], device=frames.device)
        sounds = whole if sounds is None else sounds
        for number, stage in enumerate(self):
            if self.stages[number].padding == "zeros":
                at = first_output(self.stages[:number], -before)
                x = x * self._inside(at, x.shape[2], sounds * rate(self.stages[:number]))
            x = stage(x)
        first = -first_output(self.stages, -before)
        return x[:, :, first : first + (frames.shape[2] + 1) * rate(self.stages)]

    @staticmethod
    def _inside(at: int, n: int, sounds: Tensor) -> Tensor:
        """Whether the numbers [at, at + n) lie in each [first, end) of (B, 2): (B, 1, n)."""
        numbers = torch.arange(at, at + n, device=sounds.device)
        return ((numbers >= sounds[:, :1]) & (numbers < sounds[:, 1:]))[:, None]
