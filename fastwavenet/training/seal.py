"""A checksum in a safetensors file, over all of its bytes.

The metadata entry "fastwavenet.sha256" holds the SHA-256 of the file with 64 zeros in its place, in
hexadecimal: a changed bit is found wherever it is, in the tensors, the metadata or the checksum.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

KEY = "fastwavenet.sha256"
BLANK = b"0" * 64
# In a string of the header the quotes would be escaped: this is the entry and nothing else.
ENTRY = re.compile(rb'"' + re.escape(KEY.encode()) + rb'":"([0-9a-f]{64})"')
MAX_HEADER = 100_000_000  # bytes, as in the safetensors library
BLOCK = 2**20  # bytes


def sealed(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytearray:
    """The bytes of a safetensors file with a checksum."""
    blank = {KEY: BLANK.decode()}
    data = bytearray(safetensors.numpy.save(dict(tensors), {**metadata, **blank}))
    place = ENTRY.search(data, 0, 8 + int.from_bytes(data[:8], "little"))
    assert place is not None
    data[place.start(1) : place.end(1)] = hashlib.sha256(data).hexdigest().encode()
    return data


def check_seal(path: Path) -> bool:
    """Whether a file has a checksum.

    Raises ValueError if it is not that of the file, OSError if the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(8)
        size = int.from_bytes(head, "little")
        header = file.read(size) if size <= MAX_HEADER else b""
        place = ENTRY.search(header)
        if place is None:
            return False
        digest = hashlib.sha256(head)
        for part in (header[: place.start(1)], BLANK, header[place.end(1) :]):
            digest.update(part)
        while block := file.read(BLOCK):
            digest.update(block)
    written, found = place[1].decode(), digest.hexdigest()
    if written != found:
        raise ValueError(
            f"damaged after it was written: its SHA-256 is {found[:12]}..., not {written[:12]}..."
        )
    return True
