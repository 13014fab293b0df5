"""wavenet-coding, WaveNet speech coders in Keras: a folder with config.json and model.safetensors.

`convert` makes its networks ours, `given_back` ours its own.

Its input is an amplitude, companded for the output alone; conditioning is a row for each sample.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..ends import (
    CodeInput,
    FrameConditioning,
    MuLawCodec,
    QuietSampling,
    Sampling,
    Start,
    UpsamplingStage,
    VoicedSampling,
)
from ..spec import MAX_SAMPLE_RATE, WaveNetSpec
from .folding import Convolution, scalar_kernel
from .hyperparameters import Hyperparameters
from .parts import (
    KERAS,
    Parts,
    assembled,
    disassembled,
    layers_of,
    named_parts,
    named_tensors,
)

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

MISFIT = f"the network does not fit {NAME}: "


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
    values.agree(skip_channels=spec.head)
    if end is not None:
        stages = {"cond_conv_channels": 0}
        for stage in end.upsampling:
            stages = {"cond_conv_channels": stage.channels, "cond_conv_kernel_size": stage.kernel}
        values.agree(cond_dim=end.channels, **stages)


def given_back(
    spec: WaveNetSpec, weights: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """The tensors and the config of a network, if it is one of this project's.

    `convert` of them is the same network, bit for bit.
    Raises ValueError naming what it has that a network of this project cannot have.
    """
    check_fit(spec)
    table, codec = weights["first.weight"], spec.codec
    kernel = scalar_kernel(table, codec)
    if kernel is None:
        raise ValueError(
            f"{MISFIT}its input must be a table of multiples of the codes' amplitudes, as in a "
            f"network imported from there, and training makes it another"
        )
    parts = disassembled(spec, weights) | {"first": Convolution(kernel, weights.get("first.bias"))}
    tensors = named_tensors(parts, CONVOLUTIONS | CONDITIONING | OVER_FRAMES, KERAS, spec.layers)
    return tensors, _config(spec)


def codec_of(levels: int) -> MuLawCodec:
    """Its codec, in which the code in the middle is silence, exactly 0.

    Raises ValueError for a number of levels that is no power of 2, which its codec does not have.
    """
    if levels & (levels - 1):
        raise ValueError(f"quantization_channels must be a power of 2, not {levels}")
    return MuLawCodec(mu=levels - 1, steps=levels, decode_divisor=levels)


def check_fit(spec: WaveNetSpec) -> None:
    """Raises ValueError naming a field that no network of this project has, and one that it can."""
    in_block = _in_block(spec.dilations)
    blocks = tuple(2 ** (layer % in_block) for layer in range(spec.layers))
    if spec.layers % in_block or spec.dilations != blocks:
        raise ValueError(f"{MISFIT}its dilations must be equal blocks of 1, 2, 4 and so on")
    taps = spec.input.taps
    expected = {
        "input": CodeInput(taps),
        "kernel": (taps,) * spec.layers,
        "head": spec.skip,
        "codec": codec_of(spec.levels),
        "start": Start(spec.levels // 2, fed=True),
        "conditioning": _fitting(spec.conditioning),
    }
    for name, value in expected.items():
        if getattr(spec, name) != value:
            raise ValueError(f"{MISFIT}{name} must be {value}, not {getattr(spec, name)}")


def _fitting(end: FrameConditioning | None) -> FrameConditioning | None:
    """The conditioning of this project that is most like another one's."""
    if end is None or not end.channels:
        return None
    plain = FrameConditioning(end.channels, 1, end.interpolation, features=end.features)
    if not end.upsampling:
        return plain
    first = end.upsampling[0]
    stage = UpsamplingStage(first.channels, first.kernel, activation="relu", bias=first.bias)
    return dataclasses.replace(plain, upsampling=(stage,), edges="zeros")


def _config(spec: WaveNetSpec) -> dict[str, object]:
    """Its hyperparameter file."""
    in_block, end = _in_block(spec.dilations), spec.conditioning
    config: dict[str, object] = {
        "model_name": "fastwavenet",
        "mode": "waveform" if end is None else "parametric",
        "sample_rate": spec.sample_rate,
        "mu": spec.levels - 1,
        "num_blocks": spec.layers // in_block,
        "layers_per_block": in_block,
        "filter_width": spec.input.taps,
        "use_conditioning": end is not None,
        "cond_dim": 0 if end is None else end.channels,
        "cond_conv_channels": 0,
        "cond_conv_kernel_size": 1,
        "temperature": spec.sampling.temperature,
    }
    for stage in () if end is None else end.upsampling:
        config |= {"cond_conv_channels": stage.channels, "cond_conv_kernel_size": stage.kernel}
    return config | {name: getattr(spec, field) for name, field in SIZES.items()}


def _in_block(dilations: tuple[int, ...]) -> int:
    """Layers up to the next dilation of 1."""
    return next((n for n in range(1, len(dilations)) if dilations[n] == 1), len(dilations))


def _parts(tensors: Mapping[str, np.ndarray], layers: int, conditioned: bool) -> Parts:
    table = CONVOLUTIONS | (CONDITIONING if conditioned else {})
    if "cond_conv.kernel" in tensors:
        table |= OVER_FRAMES
    return named_parts(tensors, table, KERAS, layers, all_biases=True)


def _dilations(values: Hyperparameters, layers: int) -> tuple[int, ...]:
    """1, 2, 4 and so on in each block."""
    in_block = values.whole("layers_per_block", 1, 21)
    blocks = values.whole("num_blocks", 1, layers, layers // in_block)
    if blocks * in_block != layers:
        raise ValueError(
            f"num_blocks {blocks} x layers_per_block {in_block} are {blocks * in_block} layers, "
            f"but the tensors have {layers}"
        )
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
