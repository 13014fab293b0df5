"""Learned upsampling: the stages between given frames and the features that the layers take.

Frames are continued for ever at both ends, and each stage is a convolution over time, so a feature
depends on the frames near its own, and with padding on their places in the sound: features may be
computed in any pieces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .checks import check_fields, supported, whole
from .shown import shown

if TYPE_CHECKING:
    import numpy as np

MAX_STAGES = 16
MAX_STAGE_CHANNELS = 4096
MAX_STAGE_KERNEL = 65536

ACTIVATIONS = ("none", "relu")
PADDINGS = ("none", "zeros")
UPSAMPLING = "conditioning.upsampling"  # prefix of the tensors' names


@dataclass(frozen=True)
class UpsamplingStage:
    """A convolution over time (stride 1), or a transposed convolution (stride above 1).

    Of n inputs the full convolution has (n - 1) stride + kernel outputs, of which the stage keeps
    n stride, from number `crop` on.

    channels    of its outputs
    kernel      taps; at least stride
    stride      outputs for each input
    crop        0: no output depends on a later input; (kernel - stride) / 2: centred;
                kernel - stride: no output depends on an earlier input
    activation  of its outputs: "none" or "relu"
    bias        whether each output channel has one, in a network with biases
    padding     its inputs before the sound and behind it: "none": the outputs of the stage before
                it for continued frames, "zeros": zeros.  Those of the first stage are frames, which
                are continued by the network's `edges`

    Raises ValueError naming the field, the value found and the expected ones.
    """

    channels: int
    kernel: int
    stride: int = 1
    crop: int = 0
    activation: str = "none"
    bias: bool = True
    padding: str = "none"

    def __post_init__(self) -> None:
        bounds = (
            ("channels", 1, MAX_STAGE_CHANNELS),
            ("kernel", 1, MAX_STAGE_KERNEL),
            ("stride", 1, MAX_STAGE_KERNEL),
            ("crop", 0, MAX_STAGE_KERNEL),
        )
        for name, low, high in bounds:
            checked = whole(f"upsampling {name}", getattr(self, name), low, high)
            object.__setattr__(self, name, checked)  # the class is frozen for everyone else
        if self.kernel < self.stride or self.crop > self.kernel - self.stride:
            raise ValueError(
                f"upsampling kernel must be at least stride + crop: kernel {self.kernel}, "
                f"stride {self.stride}, crop {self.crop}"
            )
        supported("upsampling activation", self.activation, ACTIVATIONS)
        supported("upsampling padding", self.padding, PADDINGS)
        if not isinstance(self.bias, bool):
            raise ValueError(f"upsampling bias must be true or false, not {shown(self.bias)}")

    @property
    def reach(self) -> tuple[int, int]:
        """Inputs before and after one that affect the outputs in its place."""
        before = (self.kernel - 1 - self.crop) // self.stride
        return before, (self.stride - 1 + self.crop) // self.stride

    @property
    def taps(self) -> int:
        """Inputs that affect the outputs in the place of one input."""
        return sum(self.reach) + 1

    def weight_shape(self, inputs: int) -> tuple[int, int, int]:
        """As PyTorch has it: (out, in, kernel) of Conv1d, (in, out, kernel) of ConvTranspose1d."""
        if self.stride == 1:
            return self.channels, inputs, self.kernel
        return inputs, self.channels, self.kernel


Stages = tuple[UpsamplingStage, ...]


def stage_tensors(stages: Stages, channels: int) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the stages' tensors, for frames of so many channels."""
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = inputs_of(stages, channels)
    for number, (stage, channels) in enumerate(zip(stages, inputs, strict=True)):
        name = f"{UPSAMPLING}.{number}"
        shapes[f"{name}.weight"] = stage.weight_shape(channels)
        if stage.bias:
            shapes[f"{name}.bias"] = (stage.channels,)
    return shapes


def rate(stages: Stages) -> int:
    """Features of each frame."""
    return math.prod(stage.stride for stage in stages)


def inputs_of(stages: Stages, channels: int) -> list[int]:
    """Input channels of each stage, for frames of so many channels."""
    return [channels, *(stage.channels for stage in stages)][: len(stages)]


def reach(stages: Stages, following: int) -> tuple[int, int]:
    """Frames before and after one that affect its features or so many `following` ones."""
    first, last = 0, rate(stages) - 1 + following
    for stage in reversed(stages):
        first = -((stage.kernel - 1 - stage.crop - first) // stage.stride)
        last = (last + stage.crop) // stage.stride
    return -first, last


def context(stages: Stages) -> tuple[int, int]:
    """Frames before and after one that the computation of its features reads.

    They may be more than those that affect them, since a stage computes all outputs of an input.
    """
    first, last = 0, rate(stages) - 1
    for stage in reversed(stages):
        before, after = stage.reach
        first, last = first // stage.stride - before, last // stage.stride + after
    return -first, last


def has_padding(stages: Stages) -> bool:
    """Whether features depend on the places of frames in a sound."""
    return any(stage.padding == "zeros" for stage in stages)


def first_output(stages: Stages, first: int) -> int:
    """Number of the first feature that all stages make of frames [first, ...) alone."""
    for stage in stages:
        first = (first + stage.reach[0]) * stage.stride
    return first


def continued(frames: np.ndarray, numbers: np.ndarray, edges: str) -> np.ndarray:
    """Frames of these numbers, also before the first and behind the last one.

    frames: (frames, ...), at least one.  edges: as in `FrameConditioning`.
    """
    found = frames[numbers.clip(0, len(frames) - 1)]
    if edges == "zeros":
        found[(numbers < 0) | (numbers >= len(frames))] = 0
    return found


def outside(at: int, n: int, sounds: np.ndarray) -> np.ndarray:
    """Whether the numbers [at, at + n) lie outside of each [first, end) of (rows, 2): (rows, n)."""
    numbers = range(at, at + n)
    return (sounds[:, :1] > numbers) | (sounds[:, 1:] <= numbers)


def checked_stages(given: object) -> Stages:
    """The stages, also from JSON.  Raises ValueError."""
    if not isinstance(given, (tuple, list)) or len(given) > MAX_STAGES:
        raise ValueError(
            f"conditioning upsampling must be a list of at most {MAX_STAGES} stages, "
            f"not {shown(given)}"
        )
    return tuple(_stage(stage) for stage in given)


def check_upsampling(stages: Stages, channels: int, hop: int, edges: str) -> None:
    """Raises ValueError unless the stages fit frames of so many channels and samples."""
    if not stages and edges != "held":
        raise ValueError(
            f"conditioning edges must be 'held' without upsampling, not {shown(edges)}"
        )
    if stages and stages[0].padding != "none":
        raise ValueError(
            f"upsampling padding of the first stage must be 'none', not "
            f"{shown(stages[0].padding)}: conditioning edges continues its inputs"
        )
    if stages and not channels:
        raise ValueError("conditioning upsampling needs channels of frames, not 0")
    if hop % rate(stages):
        raise ValueError(
            f"conditioning hop {hop} must be a multiple of the product of the upsampling's "
            f"strides, {rate(stages)}"
        )


def _stage(given: object) -> UpsamplingStage:
    if isinstance(given, UpsamplingStage):
        return given
    if not isinstance(given, dict):
        raise ValueError(
            f"each stage of conditioning upsampling must be an UpsamplingStage, not {shown(given)}"
        )
    check_fields(UpsamplingStage, given, "upsampling")
    return UpsamplingStage(**given)
