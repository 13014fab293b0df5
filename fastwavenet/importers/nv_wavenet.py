"""nv-wavenet, vocoders of mel frames: checkpoints, which hold a pickled module, and exports.

An export is the dict of `export_weights()`, which its CUDA kernels take beside `cond_input`: what
the layers add to their gates, for each sample.  It holds no conditioning of its own, so the frames
of the imported network are the rows of `cond_input` (`cond_input_frames`).

The kernels begin with code 128, whatever the number of levels, and feed it as a sample of its own;
samples before it have that code too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..checks import whole
from ..ends import CodeInput, Start
from ..frame_conditioning import MAX_CHANNELS
from ..mel_conventions import Mel, as_mel
from ..modelfile import ModelFormatError
from ..spec import MAX_DILATION, MAX_SAMPLE_RATE, WaveNetSpec
from ..upsampling import MAX_STAGE_KERNEL, UpsamplingStage
from .folding import Convolution, plain
from .hyperparameters import Hyperparameters
from .parts import TORCH, Parts, Table, assembled, layers_of, named_parts
from .pickle_reader import TorchFileError
from .torch_file import read_torch_file

NAME = "nv-wavenet"
CONFIG = ("config.json",)

MODULE: Table = {
    "layers.{}.gates": "dilate_layers.{}.conv",
    "layers.{}.residual": "res_layers.{}.conv",
    "layers.{}.skip": "skip_layers.{}.conv",
    "head.hidden": "conv_out.conv",
    "head.output": "conv_end.conv",
}
EXPORT: Table = {
    "layers.{}.gates": ("dilate_weights.{}", "dilate_biases.{}"),
    "layers.{}.residual": ("res_weights.{}", "res_biases.{}"),
    "layers.{}.skip": ("skip_weights.{}", "skip_biases.{}"),
    "head.hidden": ("conv_out_weight", "conv_out_bias"),
    "head.output": ("conv_end_weight", "conv_end_bias"),
}
# Tensors that are no convolution, or one of all layers.
EMBEDDING, UPSAMPLE, CONDITIONING = "embed.weight", "upsample", "cond_layers.conv"
PREVIOUS, CURRENT = "embedding_prev", "embedding_curr"

SIZES = {
    "n_layers": "layers",
    "n_in_channels": "levels",
    "n_out_channels": "levels",
    "n_residual_channels": "residual",
    "n_skip_channels": "skip",
}
HYPERPARAMETERS = (
    "max_dilation",
    "n_cond_channels",
    "upsamp_window",
    "upsamp_stride",
    "upsample.stride",
    "use_embed_tanh",
    "mu_quantization",
    "sampling_rate",
    "filter_length",
    "hop_length",
    "win_length",
    *SIZES,
)
SAMPLING_RATE = 16000  # Hz, of its config
START = 128


def matches(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether names of tensors are this project's."""
    return "dilate_layers.0.conv.weight" in tensors or "dilate_weights.0" in tensors


def convert(
    tensors: Mapping[str, np.ndarray], values: Hyperparameters
) -> tuple[WaveNetSpec, dict[str, np.ndarray]]:
    """The network as ours.  Raises ModelFormatError, ValueError."""
    rate = values.whole("sampling_rate", 1, MAX_SAMPLE_RATE, SAMPLING_RATE)
    if "dilate_weights.0" in tensors:
        parts, conditioning, layers = _exported(tensors)
    else:
        parts, conditioning, layers = _module(tensors, values, rate)
    tanh = values.flag("use_embed_tanh", False)
    input = _folded_input(parts, tanh)
    spec, weights = assembled(
        parts,
        sample_rate=rate,
        dilations=_dilations(values, layers),
        start=Start(START, fed=True),
        conditioning=conditioning,
        input=input,
    )
    values.agree(**{name: getattr(spec, field) for name, field in SIZES.items()})
    values.agree(mu_quantization=spec.levels)
    return spec, weights


def cond_input_frames(path: str | os.PathLike[str]) -> np.ndarray:
    """The frames of an imported export, from the file of its `cond_input`.

    Returns float32 (samples, layers x 2 residual channels), a frame for each sample, of a tensor
    (2 residual channels, 1, layers, samples).
    Raises ModelFormatError for another file, OSError.
    """
    try:
        found = read_torch_file(path)
    except TorchFileError as error:
        raise ModelFormatError(str(error)) from None
    if not isinstance(found, np.ndarray) or found.ndim != 4 or found.shape[1] != 1:
        shape = found.shape if isinstance(found, np.ndarray) else type(found).__name__
        raise ModelFormatError(
            f"cond_input must be a tensor (2 residual channels, 1, layers, samples), not {shape}"
        )
    rows = found[:, 0].transpose(2, 1, 0)  # (samples, layers, 2R)
    return np.ascontiguousarray(rows.reshape(len(rows), -1), np.float32)


def _module(
    tensors: Mapping[str, np.ndarray], values: Hyperparameters, rate: int
) -> tuple[Parts, dict[str, Any], int]:
    """Parts, fields of the conditioning and layers of a pickled module or its state dict."""
    layers = layers_of(tensors, "dilate_layers.{}.conv.weight")
    parts = named_parts(
        tensors, MODULE, TORCH, layers, ignored=(EMBEDDING, f"{UPSAMPLE}.", f"{CONDITIONING}.")
    )
    more = named_parts(
        {name: each for name, each in tensors.items() if name.startswith((UPSAMPLE, CONDITIONING))},
        {"upsampling.0": UPSAMPLE, "conditioning": CONDITIONING},
        TORCH,
        1,
    )
    parts["first"] = _embedding(_tensor(tensors, EMBEDDING))
    parts |= _conditioning(more["conditioning"], layers)
    upsample = more["upsampling.0"]
    frames = _frames(upsample, values, rate)
    parts["upsampling.0"] = upsample if frames["hop"] > 1 else plain(upsample)
    return parts, frames, layers


def _exported(tensors: Mapping[str, np.ndarray]) -> tuple[Parts, dict[str, Any], int]:
    """The same of an export, whose conditioning picks each layer's part of a row."""
    layers = layers_of(tensors, "dilate_weights.{}")
    with_taps = {
        name: each[:, :, None] if each.ndim == 2 else each
        for name, each in tensors.items()
        if not name.startswith("embedding_")
    }
    parts = named_parts(with_taps, EXPORT, TORCH, layers)
    current = _tensor(tensors, CURRENT)
    previous = tensors.get(PREVIOUS)
    parts["first"] = _embedding(current) if previous is None else _embedding(previous, current)
    width = layers * len(parts["layers.0.gates"].weight)
    if width > MAX_CHANNELS:
        raise ValueError(
            f"an export has no conditioning but {width} numbers of cond_input for each sample, "
            f"expected at most {MAX_CHANNELS}: import the checkpoint that it was made from"
        )
    parts |= _conditioning(Convolution(np.eye(width)[:, :, None]), layers)
    return parts, {"channels": width, "hop": 1, "features": "cond_input of nv-wavenet"}, layers


def _tensor(tensors: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in tensors:
        raise ModelFormatError(f"tensor {name!r} is missing")
    if tensors[name].ndim != 2:
        raise ModelFormatError(f"tensor {name!r} must have 2 axes, not {tensors[name].shape}")
    return np.asarray(tensors[name], np.float64)


def _embedding(*tables: np.ndarray) -> Convolution:
    """Tables (levels, R) of one or two taps, the last for the current code."""
    if len({table.shape for table in tables}) > 1:
        raise ModelFormatError("the embeddings of previous and current codes differ in shape")
    return Convolution(np.stack([table.T for table in tables], axis=2))


def _folded_input(parts: Parts, tanh: bool) -> CodeInput:
    """The input, in whose table tanh is folded if each sample has one row: `parts` is changed."""
    weight = parts["first"].weight  # (R, levels, taps)
    if weight.shape[2] == 2 and not weight[:, :, 0].any():  # as its trainer exports it
        weight = weight[:, :, 1:]
    one = weight.shape[2] == 1
    parts["first"] = Convolution(np.tanh(weight) if one and tanh else weight)
    if one:
        return CodeInput(1)
    return CodeInput(2, activation="tanh" if tanh else "none", padding="start")


def _conditioning(all_layers: Convolution, layers: int) -> Parts:
    """Of each layer, from one convolution (layers x 2R, C, 1)."""
    outputs, rest = divmod(len(all_layers.weight), layers)
    if rest:
        raise ModelFormatError(
            f"cond_layers has {len(all_layers.weight)} outputs for {layers} layers"
        )
    parts = Parts()
    for layer in range(layers):
        rows = slice(layer * outputs, (layer + 1) * outputs)
        bias = None if all_layers.bias is None else all_layers.bias[rows]
        parts[f"layers.{layer}.conditioning.gates"] = Convolution(all_layers.weight[rows], bias)
    return parts


def _frames(upsample: Convolution, values: Hyperparameters, rate: int) -> dict[str, Any]:
    """Fields of `FrameConditioning`: a transposed convolution whose end is cut off."""
    inputs, outputs, window = upsample.weight.shape
    stride = _stride(values)
    values.agree(n_cond_channels=inputs, upsamp_window=window, upsamp_stride=stride)
    stage = UpsamplingStage(outputs, window, stride, bias=upsample.bias is not None)
    return {
        "channels": inputs,
        "hop": stride,
        "upsampling": (stage,),
        "edges": "zeros",
        "features": _mel(values, inputs, stride, rate),
    }


def _stride(values: Hyperparameters) -> int:
    """Samples of a frame: a module shows it, a state dict does not."""
    found = values.value("upsample.stride", None)
    if isinstance(found, (tuple, list)) and len(found) == 1:
        return whole("upsample.stride", found[0], 1, MAX_STAGE_KERNEL)
    return values.whole("upsamp_stride", 1, MAX_STAGE_KERNEL)


def _mel(values: Hyperparameters, channels: int, hop: int, rate: int) -> Mel | None:
    """The convention of the frames, where nothing contradicts that of its config."""
    mel = as_mel("nv-16k")
    stated = {"filter_length": mel.n_fft, "win_length": mel.window, "hop_length": mel.hop}
    same = all(values.value(name, usual) == usual for name, usual in stated.items())
    return mel if same and (channels, hop, rate) == (mel.mels, mel.hop, mel.sample_rate) else None


def _dilations(values: Hyperparameters, layers: int) -> tuple[int, ...]:
    """1, 2, 4 and so on up to max_dilation, and again from 1."""
    largest = values.whole("max_dilation", 1, MAX_DILATION)
    period = largest.bit_length()
    if 2 ** (period - 1) != largest:
        raise ValueError(f"max_dilation must be a power of 2, not {largest}")
    return tuple(2 ** (layer % period) for layer in range(layers))
