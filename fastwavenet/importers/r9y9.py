"""r9y9/wavenet_vocoder, vocoders of mel frames: checkpoints, which are state dicts.

HEAD and v0.1.1 differ, and tensors show which of the two they are, if they have conditioning:

                      HEAD                              v0.1.1
    skips             sqrt(1 / layers) x the sum        (s + skip) sqrt(1 / 2) for each layer, or
                                                        with `legacy` false the sum
    conditioning      1x1 without biases                1x1 with biases
    frames            conv_in over `cin_pad` frames,    for each stage a transposed convolution
                      for each stage a stretch and a    over time and channels, relu
                      convolution
    codec             mu 255, start code 127            mu 256, start code 128

Outputs that are mixtures of logistics or Gaussians, which `input_type` "raw" and "mulaw" have, and
one channel of the input shows, are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..ends import MuLawCodec, Start
from ..frame_conditioning import MAX_SPEAKERS
from ..modelfile import ModelFormatError
from ..spec import MAX_SAMPLE_RATE, WaveNetSpec
from ..upsampling import MAX_STAGES, UpsamplingStage
from .folding import Convolution, between_channels, plain, scaled, stretched
from .hyperparameters import Hyperparameters
from .parts import TORCH, Parts, assembled, layers_of, named_parts, weight_of

NAME = "r9y9"
CONFIG = ("hparams.json", "preset.json")

CONVOLUTIONS = {
    "first": "first_conv",
    "layers.{}.gates": "conv_layers.{}.conv",
    "layers.{}.residual": "conv_layers.{}.conv1x1_out",
    "layers.{}.skip": "conv_layers.{}.conv1x1_skip",
    "head.hidden": "last_conv_layers.1",
    "head.output": "last_conv_layers.3",
}
CONDITIONING = {"layers.{}.conditioning.gates": "conv_layers.{}.conv1x1c"}
SPEAKER = {"layers.{}.speaker.gates": "conv_layers.{}.conv1x1g"}
SPEAKERS = {"speakers": "embed_speakers"}
# HEAD: for each stage a stretch, a convolution, and an activation if there is one.
CONV_IN, UP_LAYERS = "upsample_net.conv_in", "upsample_net.upsample.up_layers"
UPSAMPLE_CONV = "upsample_conv"  # v0.1.1: for each stage a transposed convolution and relu
UPSAMPLING = ("upsample_net.", "upsample_conv.")

SIZES = {
    "residual_channels": "residual",
    "skip_out_channels": "skip",
    "layers": "layers",
    "out_channels": "levels",
    "quantize_channels": "levels",
}
VERSIONS = ("HEAD", "v0.1.1")
HYPERPARAMETERS = (
    "version",
    "legacy",
    "stacks",
    "sample_rate",
    "input_type",
    "output_distribution",
    "kernel_size",
    "gate_channels",
    "cin_channels",
    "gin_channels",
    "n_speakers",
    "speakers",
    "cin_pad",
    "hop_size",
    "upsample_conditional_features",
    "upsample_scales",
    "freq_axis_kernel_size",
    "upsample_activation",
    "mode",
    *SIZES,
)
SAMPLING_RATE = 22050  # Hz, of its presets unless another one is given
SQRT_HALF = 0.5**0.5


def matches(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether names of tensors are this project's."""
    return "conv_layers.0.conv.bias" in tensors and "last_conv_layers.1.bias" in tensors


def convert(
    tensors: Mapping[str, np.ndarray], values: Hyperparameters
) -> tuple[WaveNetSpec, dict[str, np.ndarray]]:
    """The network as ours.  Raises ModelFormatError, ValueError."""
    layers = layers_of(tensors, "conv_layers.{}.conv.bias")
    framed = _has(tensors, "conv_layers.0.conv1x1c")
    spoken = _has(tensors, "conv_layers.0.conv1x1g")
    table = CONVOLUTIONS | (CONDITIONING if framed else {}) | (SPEAKER if spoken else {})
    if spoken and "embed_speakers.weight" not in tensors:
        raise ModelFormatError("conditioning conv1x1g without embed_speakers cannot be imported")
    table |= SPEAKERS if spoken else {}
    parts = named_parts(tensors, table, TORCH, layers, ignored=UPSAMPLING)
    _refuse_scalar(parts, values)
    head = _is_head(tensors, values)
    _fold_scales(parts, layers, _skip_scales(layers, head, values))
    fields: dict[str, Any] = _frames(parts, tensors, values, head) if framed else {}
    if spoken:
        fields["speakers"] = _speakers(parts, values)
    levels = len(parts["head.output"].weight)
    spec, weights = assembled(
        parts,
        sample_rate=values.whole("sample_rate", 1, MAX_SAMPLE_RATE, SAMPLING_RATE),
        dilations=_dilations(values, layers),
        codec=codec_of(levels, head),
        start=Start((levels - 1) // 2 if head else levels // 2, fed=True),
        conditioning=fields if framed or spoken else None,
    )
    _compare(values, spec)
    return spec, weights


def codec_of(levels: int, head: bool) -> MuLawCodec:
    """Its codec, whose encoder does not round: that of HEAD or of v0.1.1."""
    mu = levels - 1 if head else levels
    return MuLawCodec(mu=mu, steps=mu, decode_divisor=mu, encode_offset=0)


def _compare(values: Hyperparameters, spec: WaveNetSpec) -> None:
    """Raises ValueError unless all sizes of the config are the tensors'."""
    values.agree(**{name: getattr(spec, field) for name, field in SIZES.items()})
    values.agree(kernel_size=spec.kernel[0], gate_channels=2 * spec.dilation_channels)
    end = spec.conditioning
    if end is not None and end.channels:
        values.agree(cin_channels=end.channels)
    if end is not None and end.speakers:
        values.agree(gin_channels=end.speaker_channels, n_speakers=len(end.speakers))


def _has(tensors: Mapping[str, np.ndarray], conv: str) -> bool:
    """Whether there is a convolution, in any form of its weight."""
    return any(name.startswith(f"{conv}.") for name in tensors)


def _refuse_scalar(parts: Parts, values: Hyperparameters) -> None:
    """Raises ModelFormatError for a network on amplitudes, which has no softmax."""
    outputs, inputs = len(parts["head.output"].weight), parts["first"].weight.shape[1]
    if inputs == 1:
        gaussian = outputs == 2 or values.value("output_distribution", None) == "Normal"
        kind = "Gaussian" if gaussian else "mixture of logistics"
        raise ModelFormatError(
            f"its output is a {kind} of {outputs} channels, which cannot be imported: only a "
            f"softmax, of input_type 'mulaw-quantize'"
        )
    values.among("input_type", ("mulaw-quantize",), "mulaw-quantize")


def _is_head(tensors: Mapping[str, np.ndarray], values: Hyperparameters) -> bool:
    """Whether it is a network of HEAD, not of v0.1.1: by its tensors, or else its config."""
    shown_by = {
        f"{CONV_IN}.": VERSIONS[0],
        f"{UPSAMPLE_CONV}.": VERSIONS[1],
        "conv_layers.0.conv1x1c.bias": VERSIONS[1],
        "conv_layers.0.conv1x1g.bias": VERSIONS[1],
        "conv_layers.0.conv1x1c.": VERSIONS[0],
        "conv_layers.0.conv1x1g.": VERSIONS[0],
    }
    for beginning, version in shown_by.items():
        if any(name.startswith(beginning) for name in tensors):
            values.agree(version=version)
            return version == VERSIONS[0]
    if "version" not in values and ("cin_pad" in values or "legacy" in values):
        return "legacy" not in values  # HEAD has no such flag
    return values.among("version", VERSIONS) == VERSIONS[0]


def _skip_scales(layers: int, head: bool, values: Hyperparameters) -> list[float]:
    """The factor of each layer's skip."""
    if head:
        return [(1 / layers) ** 0.5] * layers
    if not values.flag("legacy"):
        return [1.0] * layers
    return [SQRT_HALF ** (layers - max(layer, 1)) for layer in range(layers)]


def _fold_scales(parts: Parts, layers: int, skips: list[float]) -> None:
    """Changes the layers of `parts`, after each of which x is multiplied by sqrt(1 / 2).

    Our x is its x without these factors, so that a layer's gates multiply by them.
    """
    for layer, skip in enumerate(skips):
        name, scale = f"layers.{layer}", SQRT_HALF**layer
        parts[f"{name}.gates"] = scaled(parts[f"{name}.gates"], weight=scale)
        parts[f"{name}.skip"] = scaled(parts[f"{name}.skip"], skip, skip)
        if f"{name}.residual" in parts:
            parts[f"{name}.residual"] = scaled(parts[f"{name}.residual"], 1 / scale, 1 / scale)


def _frames(
    parts: Parts, tensors: Mapping[str, np.ndarray], values: Hyperparameters, head: bool
) -> dict[str, Any]:
    """Fields of `FrameConditioning`.  Adds the stages to `parts`."""
    channels = parts["layers.0.conditioning.gates"].weight.shape[1]
    own = {name: array for name, array in tensors.items() if name.startswith(UPSAMPLING)}
    values.agree(upsample_conditional_features=bool(own))
    if not own:
        return {"channels": channels, "hop": 1, "features": "mel of r9y9"}
    used = set[str]()
    read = _stages_of_head if head else _stages_of_v011
    stages, convolutions = read(own, values, channels, used)
    if left := sorted(own.keys() - used):
        raise ModelFormatError(f"unexpected tensor {left[0]!r}: no part of the upsampling")
    for number, conv in enumerate(convolutions):
        parts[f"upsampling.{number}"] = conv
    hop = int(np.prod([stage.stride for stage in stages]))
    values.agree(hop_size=hop)
    return {
        "channels": channels,
        "hop": hop,
        "upsampling": tuple(stages),
        "features": "mel of r9y9",
    }


Stages = tuple[list[UpsamplingStage], list[Convolution]]


def _stages_of_head(
    own: Mapping[str, np.ndarray], values: Hyperparameters, channels: int, used: set[str]
) -> Stages:
    """Over frames that are held at both ends; the stages pad with zeros."""
    conv_in = weight_of(own, f"{CONV_IN}.weight", used)
    if conv_in.ndim != 3 or conv_in.shape[2] % 2 == 0:
        raise ModelFormatError(f"{CONV_IN} must have an odd number of taps, not {conv_in.shape}")
    pad = conv_in.shape[2] // 2
    values.agree(cin_pad=pad)
    values.among("mode", ("nearest",), "nearest")
    stages = [UpsamplingStage(len(conv_in), 2 * pad + 1, crop=pad, bias=False)]
    convolutions = [Convolution(conv_in)]
    numbers, activation = _up_layers(own, values)
    for number in numbers:
        weight = weight_of(own, f"{UP_LAYERS}.{number}.weight", used)
        kernel = _kernel(weight, f"{UP_LAYERS}.{number}")
        scale, rest = divmod(kernel.shape[1], 2)
        if rest == 0 or scale == 0:
            raise ModelFormatError(
                f"{UP_LAYERS}.{number} must have 2 x scale + 1 taps, not {kernel.shape[1]}"
            )
        stages.append(
            UpsamplingStage(channels, 3 * scale, scale, scale, activation, False, "zeros")
        )
        convolutions.append(_transposed(between_channels(stretched(kernel), channels), scale))
    values.agree(upsample_scales=[stage.stride for stage in stages[1:]])
    return stages, convolutions


def _up_layers(own: Mapping[str, np.ndarray], values: Hyperparameters) -> tuple[range, str]:
    """The numbers of the convolutions, and the activation after each."""
    found = {
        int(number)
        for name in own
        if name.startswith(f"{UP_LAYERS}.") and (number := name.split(".")[3]).isdecimal()
    }
    chosen = values.among("upsample_activation", ("none", "ReLU"), "none")
    step = 2 if chosen == "none" else 3
    numbers = range(1, 1 + step * len(found), step)
    if not 0 < len(found) < MAX_STAGES or found != {*numbers}:
        raise ModelFormatError(
            f"expected convolutions of the upsampling at {UP_LAYERS}.1, {1 + step} and so on for "
            f"upsample_activation {chosen!r}, found {sorted(found)[:MAX_STAGES]}"
        )
    return numbers, "none" if chosen == "none" else "relu"


def _stages_of_v011(
    own: Mapping[str, np.ndarray], values: Hyperparameters, channels: int, used: set[str]
) -> Stages:
    """Whose kernels are no longer than their strides."""
    stages, convolutions = list[UpsamplingStage](), list[Convolution]()
    while (name := f"{UPSAMPLE_CONV}.{2 * len(stages)}") + ".bias" in own:
        kernel = _kernel(weight_of(own, f"{name}.weight", used), name)
        bias = own[f"{name}.bias"]
        used.add(f"{name}.bias")
        if bias.shape != (1,):
            raise ModelFormatError(f"{name} must have one bias, not {bias.shape}")
        scale = kernel.shape[1]
        stages.append(UpsamplingStage(channels, scale, scale, activation="relu"))
        weight = _transposed(between_channels(kernel[::-1], channels), scale).weight
        convolutions.append(Convolution(weight, np.repeat(np.float64(bias), channels)))
    values.agree(upsample_scales=[stage.stride for stage in stages])
    return stages, convolutions


def _kernel(weight: np.ndarray, name: str) -> np.ndarray:
    """(channels, taps) of a convolution of one plane (1, 1, channels, taps)."""
    if weight.ndim != 4 or weight.shape[:2] != (1, 1) or weight.shape[2] % 2 == 0:
        raise ModelFormatError(
            f"{name} must have a kernel (1, 1, odd number of channels, taps), not {weight.shape}"
        )
    return weight[0, 0]


def _transposed(weight: np.ndarray, stride: int) -> Convolution:
    """A transposed convolution (in, out, taps) as a stage of this stride has it."""
    conv = Convolution(weight)
    return conv if stride > 1 else plain(conv)


def _speakers(parts: Parts, values: Hyperparameters) -> tuple[str, ...]:
    """Their names as given, or else their numbers."""
    count = len(parts["speakers"].weight)
    names = values.value("speakers", None)
    if names is None:
        return tuple(str(number) for number in range(min(count, MAX_SPEAKERS + 1)))
    if not isinstance(names, (list, tuple)) or len(names) != count:
        raise ValueError(f"speakers must be a list of {count} names, one for each embedding")
    return tuple(names)


def _dilations(values: Hyperparameters, layers: int) -> tuple[int, ...]:
    """1, 2, 4 and so on in each of the stacks."""
    stacks = values.whole("stacks", 1, max(layers, 1))
    if layers % stacks:
        raise ValueError(f"stacks {stacks} do not divide the {layers} layers of the tensors")
    return tuple(2 ** (layer % (layers // stacks)) for layer in range(layers))
