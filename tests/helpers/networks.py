"""Small networks that between them visit every edge of a spec, and random numbers to fill them."""

import numpy as np
import pytest

from fastwavenet.ends import CodeInput, FrameConditioning
from fastwavenet.spec import WaveNetSpec

PRECISIONS = ["float32", "bfloat16", "int8", "bfloat16x16", "int8x8"]


def small_spec(**changes) -> WaveNetSpec:
    """A network of three layers; give the sizes that matter to the test."""
    sizes = {
        "sample_rate": 8000,
        "levels": 16,
        "residual": 4,
        "dilation_channels": 3,
        "skip": 6,
        "head": 5,
        "dilations": (1, 2, 4),
    }
    return WaveNetSpec(**sizes | changes)


def widths(width: int) -> dict[str, int]:
    return dict.fromkeys(("residual", "dilation_channels", "skip", "head"), width)


NETWORKS = {
    "kernel_2": small_spec(),
    "kernel_3": small_spec(kernel=3),
    "kernels_mixed": small_spec(kernel=(2, 3, 4, 2), dilations=(1, 2, 4, 1)),
    "first_kernel_1": small_spec(input=CodeInput(1)),
    "first_kernel_3": small_spec(input=CodeInput(3), kernel=3),
    "first_tanh": small_spec(input=CodeInput(2, activation="tanh", padding="start")),
    "width_1": small_spec(**widths(1)),
    "width_3": small_spec(**widths(3)),
    "width_17": small_spec(**widths(17)),
    "wider_than_a_vector": small_spec(
        residual=32, dilation_channels=48, skip=48, head=32, levels=256
    ),
    "one_layer": small_spec(dilations=(3,)),
    "no_bias": small_spec(bias=False, kernel=3),
    "levels_2": small_spec(levels=2),
    "levels_300": small_spec(levels=300),
    "dilations_around_16": small_spec(dilations=(15, 16, 17, 40), kernel=(2, 3, 2, 2)),
    "conditioned": small_spec(conditioning=FrameConditioning(channels=3)),
    "conditioned_kernel_3_no_bias": small_spec(
        conditioning=FrameConditioning(channels=2),
        kernel=3,
        bias=False,
    ),
}

every_network = pytest.mark.parametrize("spec", NETWORKS.values(), ids=NETWORKS)


def random_weights(spec: WaveNetSpec, seed: int) -> dict[str, np.ndarray]:
    """float32 tensors of `spec.tensors()`; the gain keeps the logits a few nats apart."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in spec.tensors().items():
        values = rng.standard_normal(shape, dtype=np.float32)
        if name.endswith(".bias"):
            values = 0.3 * abs(values)  # positive, or the relus of a narrow network never open
        elif name == "first.weight":
            values *= shape[0] ** -0.5  # one row of each tap's table is added
        elif name == "conditioning.speakers.weight":
            pass  # of the size of features
        elif name.startswith("conditioning.upsampling."):
            stage = spec.conditioning.upsampling[int(name.split(".")[2])]
            values *= (values.size / stage.channels / stage.stride) ** -0.5
        else:
            values *= 1.5 * (shape[1] * shape[2]) ** -0.5
        weights[name] = values
    return weights


def random_codes(spec: WaveNetSpec, n: int, seed: int) -> np.ndarray:
    """int64 (n,), each below `spec.levels`."""
    return np.random.default_rng(seed).integers(0, spec.levels, n)


def random_frames(spec: WaveNetSpec, samples: int, seed: int) -> np.ndarray:
    """float32 (frames, channels), which cover so many samples; at least one frame."""
    frames = max(1, spec.conditioning.frames(samples))
    shape = (frames, spec.conditioning.channels)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
