"""Arrays of an HDF5 file without h5py, as h5py writes small ones.

Superblock 0, groups of symbol tables, and datasets of floats that lie in one piece; chunked and
compressed datasets, and files of other superblocks, are refused.  The format: the HDF5 File Format
Specification, version 1.

Nothing is followed without bounds: all offsets lie in the file, and groups are at most 8 deep and
have at most 1000 members in all.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..atomic import read_regular

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_BYTES = 2**28
MAX_DEPTH, MAX_MEMBERS = 8, 1000

DATASPACE, DATATYPE, LAYOUT, CONTINUATION, SYMBOL_TABLE = 1, 3, 8, 16, 17  # messages of an object
FLOATS = {4: "<f4", 8: "<f8"}  # size -> numpy's name
FLOAT, BIG_ENDIAN = 0x11, 1  # version and class of a datatype; a bit of its first flags
CONTIGUOUS = 1


class Hdf5Error(ValueError):
    """The file is no HDF5 file, damaged, or of a kind that is not read."""


class _Message(NamedTuple):
    kind: int
    data: bytes


def read_hdf5(path: Path) -> dict[str, np.ndarray]:
    """Path in the file, as "group/name" -> float64 array.  Raises Hdf5Error, OSError."""
    if path.stat().st_size > MAX_BYTES:
        raise Hdf5Error(f"an HDF5 file is larger than {MAX_BYTES} bytes")
    file = _File(read_regular(path))
    file.walk(file.root(), "", 0)
    return file.arrays


class _File:
    """The bytes of a file, and the arrays found in it so far."""

    def __init__(self, data: bytes):
        self.data, self.arrays = data, dict[str, np.ndarray]()
        self.members = 0

    def unpack(self, form: str, at: int) -> tuple[Any, ...]:
        return struct.unpack(form, self.part(at, struct.calcsize(form)))

    def part(self, at: int, size: int) -> bytes:
        """Bytes [at, at + size)."""
        if at + size > len(self.data):
            raise Hdf5Error(f"an HDF5 file ends at {len(self.data)}, before byte {at + size}")
        return self.data[at : at + size]

    def root(self) -> int:
        """Where the header of the root group begins."""
        if self.part(0, 8) != SIGNATURE:
            raise Hdf5Error("not an HDF5 file")
        version, sizes = self.part(8, 1)[0], self.part(13, 2)
        if version or sizes != b"\x08\x08":
            raise Hdf5Error(
                f"expected an HDF5 file of superblock 0 with offsets of 8 bytes, found superblock "
                f"{version}: save mean and scale as .npy"
            )
        return self.unpack("<Q", 64)[0]

    def walk(self, header: int, name: str, depth: int) -> None:
        """Adds the array of an object, or those of a group."""
        self.members += 1
        if depth > MAX_DEPTH or self.members > MAX_MEMBERS:
            raise Hdf5Error(
                f"groups of an HDF5 file are deeper than {MAX_DEPTH}, or have more than "
                f"{MAX_MEMBERS} members"
            )
        messages = {message.kind: message.data for message in self._messages(header)}
        if SYMBOL_TABLE in messages:
            tree, heap = struct.unpack_from("<QQ", _long(messages[SYMBOL_TABLE], 16))
            names = self.unpack("<4sxxxxQQQ", heap)[-1]
            self._members(tree, names, name, depth)
        elif LAYOUT in messages:
            self.arrays[name] = self._array(messages, name)

    def _members(self, tree: int, names: int, prefix: str, depth: int) -> None:
        """Walks the members below a node of a group's tree.  names: where their names begin."""
        signature, kind, level, entries = self.unpack("<4sBBH", tree)
        if signature != b"TREE" or kind or level > MAX_DEPTH:
            raise Hdf5Error("a group of an HDF5 file has a damaged tree")
        for entry in range(entries):
            child = self.unpack("<Q", tree + 32 + 16 * entry)[0]
            if level:
                self.walk_again(child, names, prefix, depth)
                continue
            signature, symbols = self.unpack("<4sxxH", child)
            if signature != b"SNOD":
                raise Hdf5Error("a group of an HDF5 file has a damaged node")
            for symbol in range(symbols):
                name, header = self.unpack("<QQ", child + 8 + 40 * symbol)
                inner = f"{prefix}/{self._text(names + name)}".removeprefix("/")
                self.walk(header, inner, depth + 1)

    def walk_again(self, tree: int, names: int, prefix: str, depth: int) -> None:
        """The members below an inner node, which counts as a member and as a level."""
        self.members += 1
        if depth > MAX_DEPTH or self.members > MAX_MEMBERS:
            raise Hdf5Error("a group of an HDF5 file has too large a tree")
        self._members(tree, names, prefix, depth + 1)

    def _text(self, at: int) -> str:
        end = self.data.find(b"\0", at, at + 256)
        if end < 0:
            raise Hdf5Error("a member of an HDF5 file has a name without an end")
        return self.data[at:end].decode("utf-8", "replace")

    def _messages(self, header: int) -> list[_Message]:
        """Of an object's header, of version 1, and of the blocks that continue it."""
        version, count, size = self.unpack("<BxHxxxxI", header)
        if version != 1:
            raise Hdf5Error(f"an object of an HDF5 file has a header of version {version}, not 1")
        blocks, messages = [(header + 16, size)], list[_Message]()
        while blocks and len(messages) < min(count, MAX_MEMBERS):
            at, size = blocks.pop(0)
            end = at + size
            while at + 8 <= end and len(messages) < min(count, MAX_MEMBERS):
                kind, length = self.unpack("<HH", at)
                messages.append(_Message(kind, self.part(at + 8, length)))
                if kind == CONTINUATION:
                    blocks.append(struct.unpack_from("<QQ", _long(messages[-1].data, 16)))
                at += 8 + length
        return messages

    def _array(self, messages: dict[int, bytes], name: str) -> np.ndarray:
        """A dataset of floats in one piece."""
        layout = _long(messages[LAYOUT], 2)
        kind = _long(messages.get(DATATYPE, b""), 8)
        size = struct.unpack_from("<I", kind, 4)[0]
        if layout[:2] != bytes([3, CONTIGUOUS]) or kind[0] != FLOAT or size not in FLOATS:
            raise Hdf5Error(
                f"{name} of an HDF5 file is no array of floats in one piece: save mean and scale "
                f"as .npy"
            )
        at = struct.unpack_from("<Q", _long(layout, 18), 2)[0]
        shape = _shape(_long(messages.get(DATASPACE, b""), 8))
        numbers = np.frombuffer(self.part(at, size * math.prod(shape)), FLOATS[size])
        if kind[1] & BIG_ENDIAN:
            numbers = numbers.view(numbers.dtype.newbyteorder())
        return numbers.reshape(shape).astype(np.float64)


def _long(data: bytes, size: int) -> bytes:
    if len(data) < size:
        raise Hdf5Error(f"a message of an HDF5 file has {len(data)} bytes, expected {size}")
    return data


def _shape(dataspace: bytes) -> tuple[int, ...]:
    version, axes = dataspace[:2]
    if version != 1 or axes > MAX_DEPTH:
        raise Hdf5Error("an array of an HDF5 file has a shape that is not read")
    shape = struct.unpack_from(f"<{axes}Q", _long(dataspace, 8 + 8 * axes), 8)
    if max(shape, default=1) > MAX_BYTES:
        raise Hdf5Error(f"an array of an HDF5 file has shape {shape}, more than its bytes")
    return shape
