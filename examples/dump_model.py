"""Rewrites a model file for C programs that read no JSON.

    python examples/dump_model.py voice.safetensors voice.dump

All numbers are 32-bit and little-endian, nothing is aligned to more than 4 bytes:

    char magic[8]                            "FWNDUMP2"
    sample_rate, levels, residual, dilation_channels, skip, head, first_kernel, start_code
    precision                                what "auto" is for the file: 0, 1 or 2 as in C
    layers, tensors                          how many of each follow
    kernels[layers], dilations[layers]
    tensors times:  char name[64] (padded with zeros), rank, shape[4] (padded with 1), float values

generate.c reads it.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping

import numpy as np

from fastwavenet import WaveNetSpec, modelfile
from fastwavenet.atomic import replace_atomically
from fastwavenet.ends import MuLawCodec
from fastwavenet.precision import resolve_precision
from fastwavenet.spec import PRECISIONS

MAGIC = b"FWNDUMP2"


def dump(spec: WaveNetSpec, weights: Mapping[str, np.ndarray], precision: str = "float32") -> bytes:
    """Spec and weights, as in a model file, and what to compute in, as the bytes of a dump.

    Raises ValueError for a network that needs conditioning, or has another codec than the usual
    one: generate.c has neither to give.
    """
    if spec.conditioning is not None:
        raise ValueError(f"a model with conditioning={spec.conditioning.kind!r} cannot be dumped")
    if spec.codec != MuLawCodec.symmetric(spec.levels):
        raise ValueError("a model with another codec than the symmetric one cannot be dumped")
    sizes = (spec.sample_rate, spec.levels, spec.residual, spec.dilation_channels, spec.skip)
    sizes += (spec.head, spec.input.taps, spec.start.code)
    sizes += (list(PRECISIONS).index(precision), spec.layers, len(weights))
    numbers = sizes + spec.kernel + spec.dilations
    parts = [MAGIC, struct.pack(f"<{len(numbers)}I", *numbers)]
    for name, array in weights.items():
        shape = (*array.shape, 1, 1, 1, 1)[:4]
        parts.append(struct.pack("<64s5I", name.encode(), array.ndim, *shape))
        parts.append(array.astype("<f4").tobytes())
    return b"".join(parts)


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
