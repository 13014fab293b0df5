"""wavenet-coding, WaveNet speech coders in Keras: a folder with config.json and model.safetensors.

Its input is an amplitude, companded for the output alone; conditioning is a row for each sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..ends import MuLawCodec, QuietSampling, Sampling, Start, UpsamplingStage, VoicedSampling
from ..spec import MAX_SAMPLE_RATE, WaveNetSpec
from .hyperparameters import Hyperparameters
from .parts import KERAS, Parts, assembled, layers_of, named_parts

NAME = "wavenet-coding"
CONFIG = ("config.json",)

CONVOLUTIONS = {
    "first": "causal_input_conv",
    "layers.{}.filter": "dilated_filter_{}",
    "layers.{}.gate": "dilated_gate_{}",
    "layers.{}.residual": "res_out_{}",
    "layers.{}.skip": "skip_out_{}",
    "head.hidden": "post_conv_1",
    "head.output": "logits_conv",
}
CONDITIONING = {
    "layers.{}.conditioning.filter": "cond_filter_{}",
    "layers.{}.conditioning.gate": "cond_gate_{}",
}
OVER_FRAMES = {"upsampling.0": "cond_conv"}  # causal, followed by relu; may be left out

SIZES = {
    "residual_channels": "residual",
    "dilation_channels": "dilation_channels",
    "skip_channels": "skip",
    "quantization_channels": "levels",
}
HYPERPARAMETERS = (
    "sample_rate",
    "layers_per_block",
    "num_blocks",
    "filter_width",
    "use_conditioning",
    "cond_dim",
    "cond_conv_channels",
    "cond_conv_kernel_size",
    "temperature",
    *SIZES,
)

# Of its generator: rows with this voicing are drawn at a lower temperature, and rows whose energy
# is below -42 in 60 e - 50 dB take the most probable code.
VOICING, ENERGY = 1, 2  # channels
VOICED = 0.75  # x temperature
QUIET = (-42 + 50) / 60


def matches(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether names of tensors are this project's."""
    return "causal_input_conv.kernel" in tensors and "dilated_filter_0.kernel" in tensors


def convert(
    tensors: Mapping[str, np.ndarray], values: Hyperparameters
) -> tuple[WaveNetSpec, dict[str, np.ndarray]]:
    """The network as ours.  Raises ModelFormatError, ValueError."""
    layers = layers_of(tensors, "dilated_filter_{}.kernel")
    conditioned = "cond_filter_0.kernel" in tensors
    parts = _parts(tensors, layers, conditioned)
    levels = len(parts["head.output"].weight)
    conditioning = _conditioning(parts) if conditioned else None
    spec, weights = assembled(
        parts,
        sample_rate=values.whole("sample_rate", 1, MAX_SAMPLE_RATE),
        dilations=_dilations(values, layers),
        codec=codec_of(levels),
        start=Start(levels // 2, fed=True),
        sampling=_sampling(values, 0 if conditioning is None else conditioning["channels"]),
        conditioning=conditioning,
    )
    _compare(values, spec)
    return spec, weights


def _compare(values: Hyperparameters, spec: WaveNetSpec) -> None:
    """Raises ValueError unless all sizes of the config are the tensors'."""
    end = spec.conditioning
    values.agree(use_conditioning=end is not None, filter_width=spec.input.taps)
    values.agree(**{name: getattr(spec, field) for name, field in SIZES.items()})
    if end is not None:
        stages = {"cond_conv_channels": 0}
        for stage in end.upsampling:
            stages = {"cond_conv_channels": stage.channels, "cond_conv_kernel_size": stage.kernel}
        values.agree(cond_dim=end.channels, **stages)


def codec_of(levels: int) -> MuLawCodec:
    """Its codec, in which the code in the middle is silence, exactly 0.

    Raises ValueError for a number of levels that is no power of 2, which its codec does not have.
    """
    if levels & (levels - 1):
        raise ValueError(f"quantization_channels must be a power of 2, not {levels}")
    return MuLawCodec(mu=levels - 1, steps=levels, decode_divisor=levels)


def _parts(tensors: Mapping[str, np.ndarray], layers: int, conditioned: bool) -> Parts:
    table = CONVOLUTIONS | (CONDITIONING if conditioned else {})
    if "cond_conv.kernel" in tensors:
        table |= OVER_FRAMES
    return named_parts(tensors, table, KERAS, layers, all_biases=True)


def _dilations(values: Hyperparameters, layers: int) -> tuple[int, ...]:
    """1, 2, 4 and so on in each block."""
    in_block = values.whole("layers_per_block", 1, min(layers, 21))
    values.agree(num_blocks=layers / in_block)
    return tuple(2 ** (layer % in_block) for layer in range(layers))


def _conditioning(parts: Parts) -> dict[str, Any]:
    """Fields of `FrameConditioning`: a row for each sample, through the convolution if there is."""
    over_frames = parts.get("upsampling.0")
    if over_frames is None:
        return {"channels": parts["layers.0.conditioning.filter"].weight.shape[1], "hop": 1}
    channels, rows, kernel = over_frames.weight.shape
    stage = UpsamplingStage(channels, kernel, activation="relu")
    return {"channels": rows, "hop": 1, "upsampling": (stage,), "edges": "zeros"}


def _sampling(values: Hyperparameters, rows: int) -> Sampling:
    """As its generator draws, of networks with so many channels in a row; others as trained."""
    if rows <= ENERGY:
        return Sampling()
    temperature = values.number("temperature", 0, 1000, 0.85)
    voiced = VoicedSampling(VOICING, VOICED * temperature)
    return Sampling(temperature, voiced=voiced, quiet=QuietSampling(ENERGY, QUIET))
