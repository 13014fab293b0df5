"""vincentherrmann/pytorch-wavenet, WaveNet for music: snapshots, which are whole pickled modules.

Input and gates may have biases or none, the head has them always.  Its codec has 256 for mu and
for the steps of its decoder, but 255 for those of its encoder, so that silence becomes code 127 and
code 128 decodes to 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..ends import MuLawCodec, Start
from ..modelfile import ModelFormatError
from ..spec import MAX_SAMPLE_RATE, WaveNetSpec
from .hyperparameters import Hyperparameters
from .parts import TORCH, assembled, layers_of, named_parts

NAME = "vincentherrmann"
CONFIG: tuple[str, ...] = ()  # a snapshot has its own

CONVOLUTIONS = {
    "first": "start_conv",
    "layers.{}.filter": "filter_convs.{}",
    "layers.{}.gate": "gate_convs.{}",
    "layers.{}.residual": "residual_convs.{}",
    "layers.{}.skip": "skip_convs.{}",
    "head.hidden": "end_conv_1",
    "head.output": "end_conv_2",
}

SIZES = {
    "classes": "levels",
    "residual_channels": "residual",
    "dilation_channels": "dilation_channels",
    "skip_channels": "skip",
    "end_channels": "head",
}
HYPERPARAMETERS = ("layers", "blocks", "kernel_size", "sampling_rate", *SIZES)
SAMPLING_RATE = 16000  # Hz, of its data sets unless another one is given


def matches(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether names of tensors are this project's."""
    layers = ("filter_convs.0.weight", "main_convs.0.weight")
    return "start_conv.weight" in tensors and any(name in tensors for name in layers)


def convert(
    tensors: Mapping[str, np.ndarray], values: Hyperparameters
) -> tuple[WaveNetSpec, dict[str, np.ndarray]]:
    """The network as ours.  Raises ModelFormatError, ValueError."""
    if any(name.startswith("main_convs.") for name in tensors):
        raise ModelFormatError(
            "a network of its older versions, with relu in the place of gates (main_convs), "
            "cannot be imported"
        )
    layers = layers_of(tensors, "filter_convs.{}.weight")
    parts = named_parts(tensors, CONVOLUTIONS, TORCH, layers)
    levels = len(parts["head.output"].weight)
    spec, weights = assembled(
        parts,
        sample_rate=values.whole("sampling_rate", 1, MAX_SAMPLE_RATE, SAMPLING_RATE),
        dilations=_dilations(values, layers),
        codec=codec_of(levels),
        start=Start(levels // 2),
    )
    values.agree(**{name: getattr(spec, field) for name, field in SIZES.items()})
    values.agree(kernel_size=spec.kernel[0])
    return spec, weights


def codec_of(levels: int) -> MuLawCodec:
    """Its codec."""
    return MuLawCodec(mu=levels, steps=levels - 1, encode_offset=0, decode_divisor=levels)


def _dilations(values: Hyperparameters, layers: int) -> tuple[int, ...]:
    """1, 2, 4 and so on in each block; the convolutions themselves do not show it."""
    in_block = values.whole("layers", 1, 21)
    blocks = values.whole("blocks", 1, max(layers, 1), layers // in_block)
    if blocks * in_block != layers:
        raise ValueError(
            f"blocks {blocks} x layers {in_block} are {blocks * in_block} layers, but the tensors "
            f"have {layers}"
        )
    return tuple(2 ** (layer % in_block) for layer in range(layers))
