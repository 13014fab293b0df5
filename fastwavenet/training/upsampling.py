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

    def forward(self, frames: Tensor) -> Tensor:
        """(B, C, F) -> features of the frames and of one frame after them, (B, C', F')."""
        if not self.stages:
            return frames
        before, after = context(self.stages)
        x = F.pad(frames, (before, after + 1), mode="replicate" if self.held else "constant")
        for stage in self:
            x = stage(x)
        first = -first_output(self.stages, -before)
        return x[:, :, first : first + (frames.shape[2] + 1) * rate(self.stages)]
