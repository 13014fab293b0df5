"""kan-bayashi/PytorchWaveNetVocoder, vocoders of WORLD features or mel frames.

A checkpoint is a state dict, `model.conf` beside it a pickled `argparse.Namespace`, and `stats.h5`
holds mean and scale by which its tools normalise features.  With these statistics the imported
network takes features as they are, without them normalised ones.

Its generator feeds the start code once for each sample of a receptive field that takes no account
of the first convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..ends import MuLawCodec, Start
from ..frame_conditioning import MAX_HOP
from ..modelfile import ModelFormatError
from ..spec import MAX_SAMPLE_RATE, WaveNetSpec
from ..upsampling import UpsamplingStage
from .folding import Convolution, between_channels, normalised_before
from .hyperparameters import Hyperparameters
from .parts import TORCH, Parts, assembled, layers_of, named_parts
from .reading import read_statistics

NAME = "kan-bayashi"
CONFIG = ("model.conf", "stats.h5")

CONVOLUTIONS = {
    "first": "causal.conv",
    "layers.{}.filter": "dil_tanh.{}.conv",
    "layers.{}.gate": "dil_sigmoid.{}.conv",
    "layers.{}.conditioning.filter": "aux_1x1_tanh.{}",
    "layers.{}.conditioning.gate": "aux_1x1_sigmoid.{}",
    "layers.{}.residual": "res_1x1.{}",
    "layers.{}.skip": "skip_1x1.{}",
    "head.hidden": "conv_post_1",
    "head.output": "conv_post_2",
}
UPSAMPLING = "upsampling.conv"  # one kernel (1, 1, 1, factor) and bias (1,) for all channels
CONDITIONING = ("layers.{}.conditioning.filter", "layers.{}.conditioning.gate")

SIZES = {"n_quantize": "levels", "n_resch": "residual", "n_skipch": "skip"}
STATISTICS = ("mean", "scale")
GROUPS = ("world", "melspc")  # of stats.h5, by feature_type
HYPERPARAMETERS = (
    "fs",
    "n_aux",
    "dilation_depth",
    "dilation_repeat",
    "kernel_size",
    "upsampling_factor",
    "use_upsampling_layer",
    "feature_type",
    "statistics",
    *(f"{group}/{name}" for group in GROUPS for name in STATISTICS),
    *SIZES,
)
SAMPLING_RATE = 16000  # Hz, of its recipes unless another one is given


def matches(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether names of tensors are this project's."""
    return "causal.conv.weight" in tensors and "dil_sigmoid.0.conv.weight" in tensors


def convert(
    tensors: Mapping[str, np.ndarray], values: Hyperparameters
) -> tuple[WaveNetSpec, dict[str, np.ndarray]]:
    """The network as ours.  Raises ModelFormatError, ValueError, OSError for the statistics."""
    layers = layers_of(tensors, "dil_sigmoid.{}.conv.weight")
    parts = named_parts(
        tensors, CONVOLUTIONS, TORCH, layers, all_biases=True, ignored=(f"{UPSAMPLING}.",)
    )
    frames = _frames(parts, tensors, values, layers)
    dilations = _dilations(values, layers)
    levels, kernel = len(parts["head.output"].weight), parts["layers.0.filter"].weight.shape[2]
    spec, weights = assembled(
        parts,
        sample_rate=values.whole("fs", 1, MAX_SAMPLE_RATE, SAMPLING_RATE),
        dilations=dilations,
        codec=codec_of(levels),
        start=Start(levels // 2, fed=True, times=(kernel - 1) * sum(dilations) + 1),
        conditioning=frames,
    )
    values.agree(**{name: getattr(spec, field) for name, field in SIZES.items()})
    values.agree(kernel_size=spec.kernel[0], n_aux=frames["channels"])
    return spec, weights


def codec_of(levels: int) -> MuLawCodec:
    """Its codec, whose decoder subtracts the half code that its encoder adds to round."""
    mu = levels - 1
    return MuLawCodec(mu=mu, steps=mu, decode_divisor=mu, decode_offset=0.5)


def _frames(
    parts: Parts, tensors: Mapping[str, np.ndarray], values: Hyperparameters, layers: int
) -> dict[str, Any]:
    """Fields of `FrameConditioning`.  Adds the stages to `parts`, or changes the conditioning."""
    channels = parts["layers.0.conditioning.filter"].weight.shape[1]
    given = _statistics(values, channels)
    kind = values.value("feature_type", None)
    fields = {
        "channels": channels,
        "features": f"{kind or 'features'}{' of kan-bayashi' if given else ', normalised'}",
    }
    learned = f"{UPSAMPLING}.weight" in tensors
    values.agree(use_upsampling_layer=learned if _is_bool(values) else int(learned))
    if not learned:
        if given is not None:
            for each in (name.format(layer) for layer in range(layers) for name in CONDITIONING):
                parts[each] = normalised_before(parts[each], *given)
        return fields | {"hop": values.whole("upsampling_factor", 0, MAX_HOP) or 1}
    stages = [] if given is None else [UpsamplingStage(channels, 1)]
    if given is not None:
        identity = Convolution(np.eye(channels)[:, :, None])
        parts["upsampling.0"] = normalised_before(identity, *given)
    upsampling = _upsampling(tensors, channels)
    parts[f"upsampling.{len(stages)}"] = upsampling
    factor = upsampling.weight.shape[2]
    stages.append(UpsamplingStage(channels, factor, factor))
    values.agree(upsampling_factor=factor)
    return fields | {"hop": factor, "upsampling": tuple(stages)}


def _is_bool(values: Hyperparameters) -> bool:
    """Its older versions have 0 or 1 for use_upsampling_layer."""
    return isinstance(values.value("use_upsampling_layer", True), bool)


def _upsampling(tensors: Mapping[str, np.ndarray], channels: int) -> Convolution:
    """The layer, whose one kernel becomes one for each channel."""
    kernel = np.asarray(tensors[f"{UPSAMPLING}.weight"], np.float64)
    bias = tensors.get(f"{UPSAMPLING}.bias")
    if kernel.shape[:3] != (1, 1, 1) or kernel.ndim != 4 or bias is None or bias.shape != (1,):
        raise ModelFormatError(
            f"expected {UPSAMPLING} of one kernel (1, 1, 1, factor) and one bias, found "
            f"{kernel.shape} and {None if bias is None else bias.shape}"
        )
    return Convolution(between_channels(kernel[0, 0], channels), np.repeat(bias, channels))


def _statistics(values: Hyperparameters, channels: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and scale of each channel; None: there are none, and features are normalised already."""
    held = {name: values.value(name) for name in HYPERPARAMETERS if "/" in name and name in values}
    if "statistics" in values:
        held = read_statistics(Path(str(values.value("statistics"))))
    if not held:
        return None
    group = values.value("feature_type", None) or next(iter(held)).partition("/")[0]
    found = []
    for name in STATISTICS:
        array = held.get(f"{group}/{name}", held.get(name))
        if array is None:
            raise ValueError(
                f"the statistics have no {group}/{name} and no {name}, only {', '.join(held)}"
            )
        found.append(np.asarray(array, np.float64))
        if found[-1].shape != (channels,) or not np.isfinite(found[-1]).all():
            raise ValueError(
                f"{name} of the statistics must be {channels} finite numbers, one for each channel "
                f"of the features, not {found[-1].shape}"
            )
    if not found[1].all():
        raise ValueError("scale of the statistics must not be 0")
    return found[0], found[1]


def _dilations(values: Hyperparameters, layers: int) -> tuple[int, ...]:
    """1, 2, 4 and so on, `dilation_depth` of them, and again from 1."""
    depth = values.whole("dilation_depth", 1, 21)
    repeats = values.whole("dilation_repeat", 1, max(layers, 1), layers // depth)
    if depth * repeats != layers:
        raise ValueError(
            f"dilation_depth {depth} x dilation_repeat {repeats} are {depth * repeats} layers, but "
            f"the tensors have {layers}"
        )
    return tuple(2 ** (layer % depth) for layer in range(layers))
