"""Checkpoints of TensorFlow (`tf.train.Saver`, version 2) as arrays, without TensorFlow.

    PREFIX.index                  a table: name -> dtype, shape, place and checksum of a tensor
    PREFIX.data-00000-of-0000N    shards: the numbers of tensors, one after another
    PREFIX.meta                   the graph, which is not read
    checkpoint                    a text file: the prefix of the last one in a folder

A checkpoint is named by its index, by its prefix as in TensorFlow, by another of its files, or by a
folder, whose `checkpoint` names the prefix; only the name counts, in that folder itself.

The index's values are messages of protobuf.  A tensor must lie within its shard and over no other
one, so that all of them together are no larger than the files.
"""

from __future__ import annotations

import math
import os
import re
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np

from ..atomic import read_regular, without_waiting
from ..modelfile import ModelFormatError
from ..shown import shown
from .crc32c import crc32c, masked
from .sorted_table import read_table, varint

MAX_INDEX_BYTES = 2**24  # 100 bytes for each of 160,000 tensors
MAX_TENSORS = 65536
MAX_BYTES = 2**33  # of all tensors together
MAX_SHARDS = 1000
MAX_MESSAGE = 10_000  # bytes of an entry
MAX_AXES = 8
MAX_TEXT_BYTES = 2**20  # of `checkpoint`, which may list thousands of prefixes

LATEST = "checkpoint"
INDEX = ".index"
_ANOTHER_FILE = re.compile(r"\.(meta|data-\d{5}-of-\d{5})$")
_LATEST_PATH = re.compile(r'^model_checkpoint_path: "([^"]*)"', re.MULTILINE)
_SLASH = re.compile(r"/|\\\\")  # as Windows has it is written twice
MAX_FILE_NAME = 250  # characters

# Floating-point types by TensorFlow's numbers.  bfloat16 is the upper half of a float32.
FLOAT, DOUBLE, BFLOAT16, HALF = 1, 2, 14, 19
_DTYPES = {FLOAT: "f4", DOUBLE: "f8", BFLOAT16: "u2", HALF: "f2"}

Fields = dict[int, list[int | bytes]]


class Entry(NamedTuple):
    """A tensor's dtype by number, shape, and the place of its numbers: bytes of a shard."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    sliced: bool

    @property
    def end(self) -> int:
        return self.offset + self.size


class Header(NamedTuple):
    """Number of shards, and the order of bytes in them as in a numpy dtype."""

    shards: int
    order: Literal["<", ">"]


def looks_like_index(head: bytes) -> bool:
    """Whether a file begins with the entry of the empty name, the bundle's header."""
    return head[:2] == b"\0\0" and 2 <= head[2:3].ljust(1)[0] < 128 and head[3:4] == b"\x08"


def index_of(path: Path) -> Path:
    """The index of a prefix, or of another file of the checkpoint; any other path as it is."""
    prefix = path.with_name(_ANOTHER_FILE.sub("", path.name))
    index = prefix.with_name(prefix.name + INDEX)
    return index if (prefix != path or not path.exists()) and index.is_file() else path


def latest_in(folder: Path) -> Path | None:
    """The index that a folder's `checkpoint` names; None if it is no such file, or has escapes.

    Raises ModelFormatError if it names none in this folder, OSError.
    """
    text = folder / LATEST
    if not text.is_file() or text.stat().st_size > MAX_TEXT_BYTES:
        return None
    found = _LATEST_PATH.search(read_regular(text).decode("utf-8", "replace"))
    name = _SLASH.split(found[1])[-1] if found else "\\"
    if "\\" in name:
        return None
    index = folder / f"{name}{INDEX}"
    if len(name) > MAX_FILE_NAME or "\0" in name or not index.is_file():
        raise ModelFormatError(
            f"{shown(text)} names {shown(name)}, of which there is no {INDEX} file in the folder: "
            f"name another one"
        )
    return index


def read_bundle(index: Path) -> dict[str, np.ndarray]:
    """The tensors of floating-point numbers, float32 for bfloat16.

    Raises ModelFormatError for a damaged or hostile file, OSError if one cannot be read.
    """
    entries = dict(_parsed(_index_bytes(index)))
    header = _header(entries.pop("", None))
    tensors = {name: _entry(name, fields, header) for name, fields in entries.items()}
    size = sum(entry.size for entry in tensors.values())
    if size > MAX_BYTES:
        raise ModelFormatError(f"its tensors have {size} bytes, expected at most {MAX_BYTES}")
    arrays = {}
    for shard in sorted({entry.shard for entry in tensors.values()}):
        inside = {name: entry for name, entry in tensors.items() if entry.shard == shard}
        path = _shard_path(index, shard, header.shards)
        with open(path, "rb", opener=without_waiting) as file:
            _check_places(inside, file, path)
            for name, entry in inside.items():
                if entry.dtype in _DTYPES:
                    arrays[name] = _array(name, entry, file, header.order)
    return {name: arrays[name] for name in tensors if name in arrays}


def _index_bytes(path: Path) -> bytes:
    if path.stat().st_size > MAX_INDEX_BYTES:
        raise ModelFormatError(f"its index is larger than {MAX_INDEX_BYTES} bytes")
    return read_regular(path)


def _parsed(data: bytes) -> Iterator[tuple[str, Fields]]:
    """Name -> fields of a message, with the header under the empty name."""
    for count, (name, value) in enumerate(read_table(data)):
        if count > MAX_TENSORS:
            raise ModelFormatError(f"its index has more than {MAX_TENSORS} tensors")
        if len(value) > MAX_MESSAGE:
            raise ModelFormatError(
                f"an entry of its index has {len(value)} bytes, expected at most {MAX_MESSAGE}"
            )
        try:
            yield name.decode(), _fields(value)
        except UnicodeDecodeError:
            raise ModelFormatError(f"the name {shown(name)} in its index is no text") from None


# ---- messages ----------------------------------------------------------------------------------


def _fields(message: bytes) -> Fields:
    """Number -> values of a field: whole numbers, or bytes of a message or of fixed width."""
    fields, at = Fields(), 0
    while at < len(message):
        key, at = varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = varint(message, at)
            fields.setdefault(number, []).append(value)
            continue
        if kind == 2:
            length, at = varint(message, at)
        else:
            length = {1: 8, 5: 4}.get(kind, len(message))
        if at + length > len(message):
            raise ModelFormatError(f"field {number} of an entry of its index has no end")
        fields.setdefault(number, []).append(message[at : at + length])
        at += length
    return fields


def _number(fields: Fields, field: int, default: int = 0) -> int:
    """The last value of a field, which counts; a missing one is 0."""
    value = fields.get(field, [default])[-1]
    if not isinstance(value, int):
        raise ModelFormatError(f"field {field} of an entry of its index is no number")
    return value


def _bytes(fields: Fields, field: int) -> list[bytes]:
    values = fields.get(field, [])
    found = [value for value in values if isinstance(value, bytes)]
    if len(found) < len(values):
        raise ModelFormatError(f"field {field} of an entry of its index is a number")
    return found


def _header(fields: Fields | None) -> Header:
    if fields is None:
        raise ModelFormatError("its index has no header")
    shards, order = _number(fields, 1), _number(fields, 2)
    if not 1 <= shards <= MAX_SHARDS or order > 1:
        raise ModelFormatError(
            f"its index has {shards} shards and byte order {order}, expected 1 to {MAX_SHARDS} and "
            f"0 or 1"
        )
    return Header(shards, ">" if order else "<")


def _entry(name: str, fields: Fields, header: Header) -> Entry:
    checksum = _bytes(fields, 6) or [bytes(4)]
    if len(checksum[-1]) != 4:
        raise ModelFormatError(f"the checksum of tensor {shown(name)} has no 4 bytes")
    entry = Entry(
        dtype=_number(fields, 1),
        shape=_shape(name, b"".join(_bytes(fields, 2))),
        shard=_number(fields, 3),
        offset=_number(fields, 4),
        size=_number(fields, 5),
        checksum=struct.unpack("<I", checksum[-1])[0],
        sliced=7 in fields,
    )
    if entry.shard >= header.shards:
        raise ModelFormatError(
            f"tensor {shown(name)} is in shard {entry.shard}, but there are {header.shards}"
        )
    if entry.dtype in _DTYPES:
        _check_size(name, entry)
    return entry


def _shape(name: str, message: bytes) -> tuple[int, ...]:
    fields = _fields(message)
    axes = _bytes(fields, 2)
    if len(axes) > MAX_AXES or _number(fields, 3):
        raise ModelFormatError(f"tensor {shown(name)} has {len(axes)} axes or an unknown number")
    return tuple(_number(_fields(axis), 1) for axis in axes)


def _check_size(name: str, entry: Entry) -> None:
    if entry.sliced:
        raise ModelFormatError(f"tensor {shown(name)} is in slices, which cannot be read")
    expected = math.prod(entry.shape) * np.dtype(_DTYPES[entry.dtype]).itemsize
    without_zeros = math.prod(axis for axis in entry.shape if axis)  # numpy's own bound
    if entry.size != expected or without_zeros > MAX_BYTES:
        raise ModelFormatError(
            f"tensor {shown(name)} of shape {entry.shape} has {entry.size} bytes, expected "
            f"{expected}"
        )


# ---- shards ------------------------------------------------------------------------------------


def _shard_path(index: Path, shard: int, shards: int) -> Path:
    prefix = index.name.removesuffix(INDEX)
    path = index.with_name(f"{prefix}.data-{shard:05d}-of-{shards:05d}")
    if not path.exists():
        raise ModelFormatError(f"its shard {shown(path.name)} is missing: it stands beside it")
    return path


def _check_places(entries: dict[str, Entry], file: BinaryIO, path: Path) -> None:
    """Raises ModelFormatError for a tensor out of the shard, or two over each other."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ModelFormatError(f"its shard {shown(path.name)} is a pipe or a device")
    end, before = 0, ""
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].offset, item[1].end)):
        if entry.offset < end and entry.size:
            raise ModelFormatError(f"tensors {shown(before)} and {shown(name)} lie over each other")
        end, before = max(end, entry.end), name
        if entry.end > status.st_size:
            raise ModelFormatError(
                f"tensor {shown(name)} ends at byte {entry.end}, but shard {shown(path.name)} has "
                f"{status.st_size}"
            )


def _array(name: str, entry: Entry, file: BinaryIO, order: Literal["<", ">"]) -> np.ndarray:
    file.seek(entry.offset)
    data = file.read(entry.size)
    if len(data) < entry.size:
        raise ModelFormatError(f"the shard with tensor {shown(name)} has become shorter")
    found = masked(crc32c(data))
    if found != entry.checksum:
        raise ModelFormatError(
            f"tensor {shown(name)} has the checksum {found:08x}, expected {entry.checksum:08x}: "
            f"the file is damaged"
        )
    array = np.frombuffer(data, np.dtype(_DTYPES[entry.dtype]).newbyteorder(order))
    if entry.dtype == BFLOAT16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.reshape(entry.shape).astype(array.dtype.newbyteorder("="), copy=False)
