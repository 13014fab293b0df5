"""ibab/tensorflow-wavenet, the first public WaveNet: checkpoints of TensorFlow.

Its biases are variables without names, so TensorFlow numbered them: `Variable`, `Variable_1` and
so on, in the order in which they were made.  Copies of its code that name them, as it meant to,
have the same network, and so has its code without biases.

An optimizer's state beside the variables is left.  Its codec is `MuLawCodec.symmetric`.  A network
without a past starts from code levels // 2, and layers have zeros before the first sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..modelfile import ModelFormatError
from ..shown import shown
from ..spec import MAX_DILATION, MAX_SAMPLE_RATE, WaveNetSpec
from .hyperparameters import Hyperparameters
from .parts import TENSORFLOW, Parts, assembled, layers_of, named_parts

NAME = "ibab"
CONFIG = ("wavenet_params.json",)

FIRST = "causal_layer/filter"
CONVOLUTIONS = {
    "first": FIRST,
    "layers.{}.filter": "dilated_stack/layer{}/filter",
    "layers.{}.gate": "dilated_stack/layer{}/gate",
    "layers.{}.residual": "dilated_stack/layer{}/dense",
    "layers.{}.skip": "dilated_stack/layer{}/skip",
    "head.hidden": "postprocessing/postprocess1",
    "head.output": "postprocessing/postprocess2",
}
GLOBAL_CONDITION = {
    "layers.{}.speaker.filter": "dilated_stack/layer{}/gc_filter",
    "layers.{}.speaker.gate": "dilated_stack/layer{}/gc_gate",
    "speakers": "embeddings/gc_embedding",
}
# Its names of biases -> those of the convolutions that they belong to, with "_bias".
LAYER_BIASES = {
    "Variable": "filter_bias",
    "Variable_1": "gate_bias",
    "Variable_2": "dense_bias",
    "Variable_3": "skip_bias",
    "slip_bias": "skip_bias",  # as its code spells it
}
HEAD_BIASES = {"Variable": "postprocess1_bias", "Variable_1": "postprocess2_bias"}
OPTIMIZER = (
    "/Adam",
    "/Adam_1",
    "/Momentum",
    "/RMSProp",
    "/RMSProp_1",
    "beta1_power",
    "beta2_power",
)

SIZES = {
    "residual_channels": "residual",
    "dilation_channels": "dilation_channels",
    "skip_channels": "skip",
    "quantization_channels": "levels",
}
HYPERPARAMETERS = (
    "dilations",
    "sample_rate",
    "filter_width",
    "use_biases",
    "scalar_input",
    "initial_filter_width",
    "gc_channels",
    "gc_cardinality",
    *SIZES,
)
SAMPLE_RATE = 16000  # Hz, of its wavenet_params.json


def matches(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether names of tensors are this project's."""
    return _scope(tensors) is not None


def convert(
    tensors: Mapping[str, np.ndarray], values: Hyperparameters
) -> tuple[WaveNetSpec, dict[str, np.ndarray]]:
    """The network as ours.  Raises ModelFormatError, ValueError."""
    named = _named(tensors)
    layers = layers_of(named, CONVOLUTIONS["layers.{}.filter"])
    conditioned = GLOBAL_CONDITION["layers.{}.speaker.filter"].format(0) in named
    if conditioned and GLOBAL_CONDITION["speakers"] not in named:
        raise ModelFormatError(
            "a global condition without embeddings (gc_embedding), a vector that is given with "
            "each sound, cannot be imported"
        )
    table = CONVOLUTIONS | (GLOBAL_CONDITION if conditioned else {})
    parts = named_parts(named, table, TENSORFLOW, layers)
    spec, weights = assembled(
        parts,
        sample_rate=values.whole("sample_rate", 1, MAX_SAMPLE_RATE, SAMPLE_RATE),
        dilations=_dilations(values, layers),
        conditioning={"speakers": _speakers(parts)} if conditioned else None,
    )
    _compare(values, spec, parts)
    return spec, weights


def _compare(values: Hyperparameters, spec: WaveNetSpec, parts: Parts) -> None:
    """Raises ValueError unless all sizes of the config are the tensors'."""
    scalar = parts["first"].weight.shape[1] == 1
    values.agree(**{name: getattr(spec, field) for name, field in SIZES.items()})
    values.agree(skip_channels=spec.head, use_biases=spec.bias, scalar_input=scalar)
    for kernel in spec.kernel:
        values.agree(filter_width=kernel)
    values.agree(**{"initial_filter_width" if scalar else "filter_width": spec.input.taps})
    end = spec.conditioning
    values.agree(
        gc_channels=0 if end is None else end.speaker_channels,
        gc_cardinality=0 if end is None else len(end.speakers),
    )


def _scope(tensors: Mapping[str, np.ndarray]) -> str | None:
    """The scope of its variables, "wavenet/" in its own code; None if there are none."""
    found = [name.removesuffix(FIRST) for name in tensors if name.endswith(FIRST)]
    return next((scope for scope in found if not scope or scope.endswith("/")), None)


def _named(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of the network by their names in its scope, with biases by names."""
    scope, named = _scope(tensors) or "", dict[str, np.ndarray]()
    for name, array in tensors.items():
        if not name.startswith(scope) or name.endswith(OPTIMIZER):
            continue
        place, slash, last = name.removeprefix(scope).rpartition("/")
        biases = HEAD_BIASES if place == "postprocessing" else LAYER_BIASES
        new = f"{place}{slash}{biases.get(last, last)}"
        if new in named:
            raise ModelFormatError(f"two tensors are {shown(new)}, one by a number")
        named[new] = array
    return named


def _dilations(values: Hyperparameters, layers: int) -> tuple[int, ...]:
    """One number for each layer, in any order: the tensors do not show them."""
    dilations: Any = values.value("dilations")
    if not isinstance(dilations, (list, tuple)):
        raise ValueError(
            f"dilations must be a list of whole numbers from 1 to {MAX_DILATION}, not "
            f"{shown(dilations)}"
        )
    if len(dilations) != layers:
        raise ValueError(
            f"dilations are {len(dilations)} numbers, but the tensors have {layers} layers"
        )
    return tuple(dilations)


def _speakers(parts: Parts) -> tuple[str, ...]:
    """Names of speakers: its identifiers, which are the rows' numbers."""
    return tuple(str(number) for number in range(len(parts["speakers"].weight)))
