"""Rewrites a model file for C programs that read no JSON.

    python examples/dump_model.py voice.safetensors voice.dump

All numbers are 32-bit and little-endian, nothing is aligned to more than 4 bytes:

    char magic[8]                            "FWNDUMP3"
    sample_rate, levels, residual, dilation_channels, skip, head, first_kernel, start_code
    frame_channels, frame_hop, frame_linear, speakers, speaker_channels    0 without conditioning
    precision                                what "auto" is for the file: 0, 1 or 2 as in C
    layers, tensors                          how many of each follow
    kernels[layers], dilations[layers]
    tensors times:  char name[64] (padded with zeros), rank, shape[4] (padded with 1), float values

dump.h reads it, for generate.c and vocode.c.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping

import numpy as np

from fastwavenet import WaveNetSpec, modelfile
from fastwavenet.atomic import replace_atomically
from fastwavenet.ends import FrameConditioning, MuLawCodec
from fastwavenet.precision import resolve_precision
from fastwavenet.spec import PRECISIONS

MAGIC = b"FWNDUMP3"


def dump(spec: WaveNetSpec, weights: Mapping[str, np.ndarray], precision: str = "float32") -> bytes:
    """Spec and weights, as in a model file, and what to compute in, as the bytes of a dump.

    Raises ValueError for a network of another codec or input than the usual one, for which a dump
    has no place.
    """
    if (spec.input.activation, spec.input.padding) != ("none", "zeros"):
        raise ValueError("a model with tanh or padding of its input cannot be dumped")
    if spec.codec != MuLawCodec.symmetric(spec.levels):
        raise ValueError("a model with another codec than the symmetric one cannot be dumped")
    sizes = (spec.sample_rate, spec.levels, spec.residual, spec.dilation_channels, spec.skip)
    sizes += (spec.head, spec.input.taps, spec.start.code)
    sizes += _conditioning(spec.conditioning)
    sizes += (list(PRECISIONS).index(precision), spec.layers, len(weights))
    numbers = sizes + spec.kernel + spec.dilations
    parts = [MAGIC, struct.pack(f"<{len(numbers)}I", *numbers)]
    for name, array in weights.items():
        shape = (*array.shape, 1, 1, 1, 1)[:4]
        parts.append(struct.pack("<64s5I", name.encode(), array.ndim, *shape))
        parts.append(array.astype("<f4").tobytes())
    return b"".join(parts)


def _conditioning(end: FrameConditioning | None) -> tuple[int, ...]:
    if end is None:
        return (0,) * 5
    linear = int(end.interpolation == "linear")
    return end.channels, end.hop, linear, len(end.speakers), end.speaker_channels


def main(arguments: list[str]) -> None:
    if len(arguments) != 2:
        sys.exit("usage: dump_model.py MODEL.safetensors OUTPUT.dump")
    source, target = arguments
    try:
        spec, weights, cost = modelfile.load(source)
        replace_atomically(target, dump(spec, weights, resolve_precision("auto", cost)))
    except (ValueError, OSError) as error:
        sys.exit(f"dump_model.py: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
