"""The parts of a foreign network by one vocabulary, and the network of ours made of them.

    first                       on codes (R, Q, k), or on amplitudes (R, 1, k)
    layers.N.filter, .gate      (D, R, k) each; or layers.N.gates, (2D, R, k) with the filter first
    layers.N.conditioning.filter, .gate         (D, C, 1) each, on features; or .gates, as above
    layers.N.speaker.filter, .gate              (D, E, 1) each, on a speaker; or .gates
    layers.N.residual           (R, D, 1); the last layer's is left out, for nothing reads it
    layers.N.skip               (S, D, 1)
    head.hidden, head.output    (H, S, 1) and (Q, H, 1)
    upsampling.N                as `UpsamplingStage.weight_shape`
    speakers                    (speakers, E), without a bias

Biases of conditioning and speaker are added to those of the gates.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..ends import CodeInput, FrameConditioning
from ..modelfile import ModelFormatError, check_weights
from ..shown import shown
from ..spec import WaveNetSpec
from .folding import (
    Convolution,
    added,
    code_tables,
    scalar_table,
    side_by_side,
    stacked,
    weight_normed,
)

RESIDUAL, SPEAKERS = "layers.{}.residual", "speakers"

Parts = dict[str, Convolution]
Table = Mapping[str, str | tuple[str, str]]


class Style(NamedTuple):
    """How a project names and lays out the tensors of a convolution.

    weight, bias  what follows the convolution's name
    axes          those of a weight that are (out, in, taps)
    """

    weight: str = ".weight"
    bias: str = ".bias"
    axes: tuple[int, int, int] = (0, 1, 2)


TORCH = Style()
KERAS = Style(".kernel", ".bias", (2, 1, 0))
TENSORFLOW = Style("", "_bias", (2, 1, 0))


def named_parts(
    tensors: Mapping[str, np.ndarray],
    table: Table,
    style: Style,
    layers: int,
    *,
    all_biases: bool = False,
    ignored: Collection[str] = (),
) -> Parts:
    """Parts by a table: part -> the project's name of the convolution, "{}" for a layer's number.

    Instead of a name there may be one of the weight and one of the bias.
    all_biases: a missing bias is an error; else it is None.
    ignored: beginnings of names of tensors that no part needs.
    The last layer's residual may be missing.  A weight may be normed, in the ways of PyTorch.
    Raises ModelFormatError for a tensor that is missing, or one that no part has.
    """
    parts, used = Parts(), set[str]()
    for part, name in table.items():
        numbers = range(layers) if "{}" in part else (0,)
        for number in numbers:
            weight, bias = (each.format(number) for each in _names(name, style))
            if part == RESIDUAL and number + 1 == layers and not _forms(tensors, weight):
                continue
            conv = _convolution(tensors, (weight, bias), style, all_biases, used)
            if conv.weight.ndim != (2 if part == SPEAKERS else 3):
                raise ModelFormatError(
                    f"tensor {weight!r} must have 3 axes, not {conv.weight.shape}"
                )
            parts[part.format(number)] = conv
    for name in tensors:
        if name not in used and not name.startswith(tuple(ignored)):
            raise ModelFormatError(f"unexpected tensor {shown(name)}: no part of the network")
    return parts


def named_tensors(
    parts: Mapping[str, Convolution], table: Table, style: Style, layers: int
) -> dict[str, np.ndarray]:
    """The inverse of `named_parts`: float32 tensors by the project's names, of the parts given."""
    tensors = {}
    for part, name in table.items():
        for number in range(layers) if "{}" in part else (0,):
            conv = parts.get(part.format(number))
            if conv is None:
                continue
            weight, bias = (each.format(number) for each in _names(name, style))
            tensors[weight] = np.ascontiguousarray(conv.weight.transpose(style.axes), np.float32)
            tensors[bias] = conv.bias_or_zeros.astype(np.float32)
    return tensors


def layers_of(tensors: Mapping[str, np.ndarray], name: str) -> int:
    """Number of layers: consecutive numbers from 0 in the place of "{}" with a tensor."""
    layers = 0
    while name.format(layers) in tensors:
        layers += 1
    return layers


def assembled(
    parts: Parts,
    *,
    sample_rate: int,
    dilations: tuple[int, ...],
    conditioning: Mapping[str, Any] | None = None,
    **ends: Any,
) -> tuple[WaveNetSpec, dict[str, np.ndarray]]:
    """Spec and float32 weights of the parts, with all sizes from their shapes.

    conditioning: fields of `FrameConditioning` beside channels and speaker_channels
    ends: codec, start, sampling and other fields of the spec
    Raises ModelFormatError for a part of another shape than the rest, ValueError for sizes or
    ends that are out of bounds.
    """
    ours = _ours(parts, len(dilations))
    levels, head, _ = ours["head.output"].weight.shape
    gates = [ours[f"layers.{layer}.dilated"].weight for layer in range(len(dilations))]
    if conditioning is not None:
        ends["conditioning"] = _conditioning(parts, ours, conditioning)
    spec = WaveNetSpec(
        sample_rate=sample_rate,
        levels=levels,
        residual=gates[0].shape[1],
        dilation_channels=len(gates[0]) // 2,
        skip=len(ours["layers.0.skip"].weight),
        head=head,
        dilations=dilations,
        kernel=tuple(weight.shape[2] for weight in gates),
        bias=any(conv.bias is not None for conv in ours.values()),
        **{"input": CodeInput(parts["first"].weight.shape[2])} | ends,
    )
    return spec, _weights(spec, ours)


def disassembled(spec: WaveNetSpec, weights: Mapping[str, np.ndarray]) -> Parts:
    """The inverse of `assembled` for a network without speakers: its parts, without `first`.

    The table of the first convolution stands for a foreign input in a way that the project knows.
    Gates are apart, and all of their bias is with them, none with the conditioning.
    """
    parts = Parts()
    for name in spec.tensors():
        conv, _, kind = name.rpartition(".")
        if kind == "weight" and conv != "first":
            convolution = Convolution(weights[name], weights.get(f"{conv}.bias"))
            parts |= _foreign(conv, convolution, spec.dilation_channels)
    return parts


def _foreign(name: str, conv: Convolution, channels: int) -> Parts:
    """The parts that one of our convolutions is made of; filter and gate have `channels` each."""
    place, _, kind = name.rpartition(".")
    if name.startswith("conditioning.upsampling."):
        return {name.removeprefix("conditioning."): conv}
    if kind not in ("dilated", "conditioning"):
        return {name: conv}
    prefix = place if kind == "dilated" else name
    halves = {"filter": slice(channels), "gate": slice(channels, None)}
    return {
        f"{prefix}.{half}": Convolution(
            conv.weight[part], None if conv.bias is None else conv.bias[part]
        )
        for half, part in halves.items()
    }


def _names(name: str | tuple[str, str], style: Style) -> tuple[str, str]:
    if isinstance(name, tuple):
        return name
    return name + style.weight, name + style.bias


def _convolution(
    tensors: Mapping[str, np.ndarray],
    names: tuple[str, str],
    style: Style,
    all_biases: bool,
    used: set[str],
) -> Convolution:
    """The convolution of these names; they are added to `used`."""
    weight = weight_of(tensors, names[0], used)
    if weight.ndim == len(style.axes):
        weight = weight.transpose(style.axes)
    elif weight.ndim != 2:
        raise ModelFormatError(f"tensor {names[0]!r} must have 2 or 3 axes, not {weight.shape}")
    if names[1] not in tensors:
        if all_biases:
            raise ModelFormatError(f"tensor {names[1]!r} is missing")
        return Convolution(weight)
    used.add(names[1])
    bias = np.asarray(tensors[names[1]], np.float64)
    if bias.ndim != 1:
        raise ModelFormatError(f"tensor {names[1]!r} must have 1 axis, not {bias.shape}")
    return Convolution(weight, bias)


# Names of g and v, for that of a convolution: old and new weight norm of PyTorch.
_NORMED = (
    ("{}.weight_g", "{}.weight_v"),
    ("{}.parametrizations.weight.original0", "{}.parametrizations.weight.original1"),
)


def weight_of(tensors: Mapping[str, np.ndarray], name: str, used: set[str]) -> np.ndarray:
    """A weight, float64, also a normed one; the names of its tensors are added to `used`."""
    names = _forms(tensors, name)
    if not names:
        raise ModelFormatError(f"tensor {name!r} is missing")
    used.update(names)
    if len(names) == 1:
        return np.asarray(tensors[name], np.float64)
    return weight_normed(*(tensors[each] for each in names))


def _forms(tensors: Mapping[str, np.ndarray], name: str) -> tuple[str, ...]:
    """The tensors that a weight is in: its own, or g and v; () if there are none."""
    normed = ([each.format(name.removesuffix(".weight")) for each in pair] for pair in _NORMED)
    forms = ((name,), *map(tuple, normed))
    return next((form for form in forms if all(each in tensors for each in form)), ())


def _ours(parts: Parts, layers: int) -> Parts:
    """By the names of our tensors: gates and their inputs are one convolution each."""
    ours = {name: conv for name, conv in parts.items() if name.startswith(("first", "head."))}
    for layer in range(layers):
        name = f"layers.{layer}"
        gates = _gates(parts, name)
        inputs = [_gates(parts, f"{name}.{part}") for part in ("conditioning", "speaker")]
        given = [conv for conv in inputs if conv is not None]
        if gates is None:
            raise ModelFormatError(f"layer {layer} has no gates")
        if given:
            both = side_by_side(*given) if len(given) == 2 else given[0]
            ours[f"{name}.conditioning"] = Convolution(both.weight)
            gates = Convolution(gates.weight, added(gates.bias, both.bias))
        ours[f"{name}.dilated"] = gates
        if layer + 1 < layers:
            ours[f"{name}.residual"] = parts[f"{name}.residual"]
        ours[f"{name}.skip"] = parts[f"{name}.skip"]
    for name, conv in parts.items():
        if name.startswith(("upsampling.", "speakers")):
            ours[f"conditioning.{name}"] = conv
    return ours


def _gates(parts: Parts, name: str) -> Convolution | None:
    """Filter and gate as one convolution; None if there is neither."""
    if f"{name}.gates" in parts:
        return parts[f"{name}.gates"]
    if f"{name}.filter" not in parts:
        return None
    return stacked(parts[f"{name}.filter"], parts[f"{name}.gate"])


def _conditioning(parts: Parts, ours: Parts, fields: Mapping[str, Any]) -> FrameConditioning:
    """With channels, which the fields give where there is upsampling, and speaker_channels."""
    if "layers.0.conditioning" not in ours:
        raise ModelFormatError("the layers take no features, but the network has frames")
    inputs = ours["layers.0.conditioning"].weight.shape[1]
    of_speaker = parts["speakers"].weight.shape[1] if "speakers" in parts else 0
    sizes = {"channels": inputs - of_speaker, "speaker_channels": of_speaker}
    return FrameConditioning(**{**sizes, **fields})


def _weights(spec: WaveNetSpec, ours: Parts) -> dict[str, np.ndarray]:
    """float32 tensors of the spec."""
    weights = {}
    for name, shape in spec.tensors().items():
        conv = ours[name.rpartition(".")[0]]
        array = conv.weight if name.endswith(".weight") else conv.bias
        if name == "first.weight":
            array = _tables(conv.weight, spec)
        if array is None:
            array = np.zeros(shape)
        weights[name] = np.ascontiguousarray(array, np.float32)
    return check_weights(spec, weights)


def _tables(weight: np.ndarray, spec: WaveNetSpec) -> np.ndarray:
    """Of the first convolution: (taps, levels, R)."""
    if weight.shape[1] == 1:
        return scalar_table(weight, spec.levels, spec.codec)
    return code_tables(weight)
