"""The networks that are timed, with weights and frames for them.

Voices that ship have their own weights, and the frames of real sounds.  The other networks have the
sizes that published WaveNets use: two small and two larger "softmax" networks, and one with kernel
3.  Speed does not depend on the values of weights and frames as long as nothing overflows or dies,
so theirs are random.
"""

from __future__ import annotations

import dataclasses
import math
from importlib import resources

import numpy as np

from .. import modelfile
from ..audio_reading import read_audio
from ..bundled_voices import FOLDER, SUFFIX, voice_names
from ..ends import CodeInput, FrameConditioning
from ..importers.folding import scalar_table
from ..model import Model
from ..piano_roll import has_piano_roll, melody
from ..spec import WaveNetSpec
from ..types import Audio
from ..vocoding import frames_of_sound

CLIP = "arctic_a0009.flac"  # of fastwavenet/data


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


def network_names() -> list[str]:
    """The voices that ship, and the other networks."""
    return [*voice_names(), *NETWORKS]


def spec_of(network: str) -> WaveNetSpec:
    return NETWORKS[network] if network in NETWORKS else _contents(network).spec


def weights_of(network: str) -> dict[str, np.ndarray]:
    """name -> float32 array for `spec.tensors()`: a voice's own ones, or random ones."""
    if network in NETWORKS:
        return random_weights(NETWORKS[network])
    return dict(_contents(network).weights)


def frames_of(network: str) -> Audio | None:
    """Of a voice: frames (F, C) of the bundled clip, or of a melody.  None for other networks."""
    if network in NETWORKS:
        return None
    contents = _contents(network)
    model = Model(contents.spec, contents.weights)
    if has_piano_roll(contents.spec):
        return melody(model, seed=0)
    with resources.as_file(resources.files("fastwavenet") / "data" / CLIP) as clip:
        return frames_of_sound(model, read_audio(clip, model.sample_rate)[0])


def _contents(voice: str) -> modelfile.Contents:
    return modelfile.load(FOLDER / f"{voice}{SUFFIX}")


def random_weights(spec: WaveNetSpec, seed: int = 0) -> dict[str, np.ndarray]:
    """name -> float32 array for `spec.tensors()`, scaled so that activations stay near 1.

    Weights have variance 1 / inputs, as trained ones roughly do; those whose outputs are summed
    over the layers, 1 / layers of it.  The table of codes is that of an input that is an amplitude,
    which networks of every project can have.
    """
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in spec.tensors().items():
        scale = 0.1 if name.endswith(".bias") else _weight_scale(spec, name, shape)
        weights[name] = (scale * rng.standard_normal(shape)).astype(np.float32)
    if spec.input.activation == "none":
        kernel = weights["first.weight"][:, 0].T[:, None]  # (R, 1, taps)
        weights["first.weight"] = scalar_table(2 * kernel, spec.levels, spec.codec)
    return weights


def _weight_scale(spec: WaveNetSpec, name: str, shape: tuple[int, ...]) -> float:
    if name == "first.weight":
        return 1 / math.sqrt(spec.input.taps)
    inputs = math.prod(shape[1:])
    summed = ".residual." in name or ".skip." in name
    gain = 2 if summed or name.startswith("head.") else 1  # gates and relu halve their input
    return gain / math.sqrt(inputs * (spec.layers if summed else 1))
