"""Compressed blocks by the twin of the range coder."""

import numpy as np

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.compressed_file import HEAD_BYTES, HEADER_BYTES


def blocks_of(data: bytes) -> list[bytes]:
    """What the range coder wrote for each block of a file."""
    found, at = [], HEADER_BYTES
    while at + HEAD_BYTES < len(data):
        size = int.from_bytes(data[at + 8 : at + 12], "little")
        found.append(data[at + HEAD_BYTES : at + HEAD_BYTES + size])
        at += HEAD_BYTES + size
    return found


def after_start(model: fw.Model, codes: np.ndarray) -> np.ndarray:
    """The codes after which `outputs` predicts each code, and one more."""
    start = model.spec.start
    return np.array(codes if start.fed else [start.code, *codes], int)


def twin_of_block(logits: np.ndarray, codes, places=None, widths=None) -> bytes:
    """A block's bytes.  logits (n, levels), codes (n,), and for 16-bit samples places (n,)."""
    encoder = reference.RangeEncoder()
    for t, code in enumerate(codes):
        frequency = reference.frequencies(logits[t])
        encoder.put(*reference.part_of_code(frequency, int(code)))
        if places is not None and widths[code] > 1:
            sizes = reference.sizes_of_places(frequency, widths, int(code))
            encoder.put(*reference.part_of(sizes, int(places[t])))
    return encoder.end()
