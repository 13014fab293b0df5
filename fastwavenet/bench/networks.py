"""The networks that are timed, and weights for them.

The sizes are those that published WaveNets use: two small and two larger "softmax" networks, and
one with kernel 3.  Speed does not depend on the values of the weights as long as nothing overflows
or dies, so they are random.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ..ends import CodeInput, FrameConditioning
from ..spec import WaveNetSpec


def _spec(cycles: int, cycle: int, kernel: int, r: int, s: int, head: int) -> WaveNetSpec:
    dilations = tuple(2**i for i in range(cycle)) * cycles
    return WaveNetSpec(
        sample_rate=16000,
        residual=r,
        dilation_channels=r,
        skip=s,
        head=head,
        dilations=dilations,
        kernel=(kernel,) * len(dilations),
        input=CodeInput(2),
    )


NETWORKS = {
    "C1": _spec(2, 10, 2, r=32, s=256, head=256),
    "C1b": _spec(5, 10, 2, r=32, s=512, head=512),  # ibab/tensorflow-wavenet's default
    "C2": _spec(2, 10, 2, r=64, s=128, head=256),  # nv-wavenet's 64/128
    "C3": _spec(2, 10, 2, r=64, s=256, head=256),
    "C4": _spec(2, 10, 2, r=128, s=256, head=256),
    "C4x30": _spec(3, 10, 2, r=128, s=256, head=256),
    "C5": _spec(4, 6, 3, r=128, s=128, head=128),  # in the style of r9y9/wavenet_vocoder
}
NETWORKS["C3mel"] = dataclasses.replace(  # C3 as a vocoder of mel frames
    NETWORKS["C3"],
    conditioning=FrameConditioning(channels=80, hop=256, interpolation="linear"),
)


def random_weights(spec: WaveNetSpec, seed: int = 0) -> dict[str, np.ndarray]:
    """name -> float32 array for `spec.tensors()`, scaled so that activations stay near 1.

    Weights have variance 1 / inputs, as trained ones roughly do; those whose outputs are summed
    over the layers, 1 / layers of it.
    """
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in spec.tensors().items():
        scale = 0.1 if name.endswith(".bias") else _weight_scale(spec, name, shape)
        weights[name] = (scale * rng.standard_normal(shape)).astype(np.float32)
    return weights


def _weight_scale(spec: WaveNetSpec, name: str, shape: tuple[int, ...]) -> float:
    if name == "first.weight":
        return 1 / math.sqrt(spec.input.taps)
    inputs = math.prod(shape[1:])
    summed = ".residual." in name or ".skip." in name
    gain = 2 if summed or name.startswith("head.") else 1  # gates and relu halve their input
    return gain / math.sqrt(inputs * (spec.layers if summed else 1))
