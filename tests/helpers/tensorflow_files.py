"""A writer of TensorFlow's checkpoints, apart from the reader: tables, messages, shards."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

FLOAT, INT64, STRING = 1, 9, 7
DTYPES = {"f4": 1, "f8": 2, "i4": 3, "i8": 9, "bfloat16": 14, "f2": 19}
FOOTER = 48  # bytes
MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")


class Options(NamedTuple):
    """How a checkpoint is written."""

    shards: int = 1
    block_size: int = 2**18  # bytes, after which a block ends; TensorFlow's
    restart_interval: int = 16
    big_endian: bool = False


AS_TENSORFLOW = Options()


def crc32c(data: bytes) -> int:
    """Bit by bit over each byte, by a table of bytes."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder = remainder >> 8 ^ _TABLE[(remainder ^ byte) & 255]
    return remainder ^ 0xFFFFFFFF


def _of_byte(remainder: int) -> int:
    for _ in range(8):
        remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder


_TABLE = [_of_byte(byte) for byte in range(256)]


def checksum(data: bytes) -> bytes:
    """The masked CRC-32C, four bytes."""
    crc = crc32c(data)
    return ((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def varint(number: int) -> bytes:
    groups = []
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    return bytes([*groups, number])


# ---- messages ----------------------------------------------------------------------------------


def whole(field: int, number: int) -> bytes:
    """A field with a whole number; 0 is left out, as protobuf does."""
    return varint(field << 3) + varint(number % 2**64) if number else b""


def nested(field: int, message: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(message)) + message


def header(shards: int = 1, order: int = 0) -> bytes:
    return whole(1, shards) + whole(2, order) + nested(3, whole(1, 1))


def entry(
    shape: Sequence[int], offset: int, size: int, crc: bytes, dtype: int = FLOAT, shard: int = 0
) -> bytes:
    axes = b"".join(nested(2, whole(1, axis)) for axis in shape)
    places = whole(3, shard) + whole(4, offset) + whole(5, size)
    return whole(1, dtype) + nested(2, axes) + places + varint(6 << 3 | 5) + crc


# ---- tables ------------------------------------------------------------------------------------


def block(entries: Iterable[tuple[bytes, bytes]], restart_interval: int = 16) -> bytes:
    """Without its trailer."""
    data, restarts, before = b"", [], b""
    for count, (name, value) in enumerate(entries):
        shared = 0
        if count % restart_interval == 0:
            restarts.append(len(data))
        else:
            while shared < min(len(name), len(before)) and name[shared] == before[shared]:
                shared += 1
        rest = name[shared:]
        data += varint(shared) + varint(len(rest)) + varint(len(value)) + rest + value
        before = name
    places = b"".join(each.to_bytes(4, "little") for each in restarts or [0])
    return data + places + len(restarts or [0]).to_bytes(4, "little")


def with_trailer(data: bytes, compression: int = 0) -> bytes:
    return data + bytes([compression]) + checksum(data + bytes([compression]))


def table(blocks: Sequence[tuple[bytes, bytes]], compression: int = 0) -> bytes:
    """Of blocks, each with a name that is not below any in it."""
    data, places = b"", []
    for last, each in blocks:
        places.append((last, varint(len(data)) + varint(len(each))))
        data += with_trailer(each, compression)
    empty, index = block([]), block(places, 1)
    ends = varint(len(data)) + varint(len(empty))
    data += with_trailer(empty)
    ends += varint(len(data)) + varint(len(index))
    return data + with_trailer(index) + ends.ljust(40, b"\0") + MAGIC


def table_of(entries: Mapping[bytes, bytes], options: Options = AS_TENSORFLOW) -> bytes:
    """Of names and values, which are sorted."""
    blocks, now = [], []
    for name in sorted(entries):
        now.append((name, entries[name]))
        if sum(len(n) + len(v) + 3 for n, v in now) >= options.block_size:
            blocks.append((name, block(now, options.restart_interval)))
            now = []
    if now:
        blocks.append((now[-1][0] + b"\xff", block(now, options.restart_interval)))
    return table(blocks)


# ---- checkpoints -------------------------------------------------------------------------------


def stored(array: np.ndarray, order: str) -> bytes:
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder(order)).tobytes()


def write_bundle(
    prefix: Path,
    tensors: Mapping[str, np.ndarray],
    options: Options = AS_TENSORFLOW,
    bfloat16: Iterable[str] = (),
) -> Path:
    """The files of a checkpoint; those of `bfloat16` are the upper halves of float32 numbers.

    Returns the path of its index.
    """
    order = ">" if options.big_endian else "<"
    shards = [b""] * options.shards
    entries = {b"": header(options.shards, int(options.big_endian))}
    for number, name in enumerate(sorted(tensors)):
        array, shard = np.asarray(tensors[name]), number % options.shards
        kind = f"{array.dtype.kind}{array.dtype.itemsize}"
        if name in bfloat16:
            array, kind = (array.view(np.uint32) >> 16).astype(np.uint16), "bfloat16"
        data = stored(array, order)
        entries[name.encode()] = entry(
            array.shape, len(shards[shard]), len(data), checksum(data), DTYPES[kind], shard
        )
        shards[shard] += data
    for number, data in enumerate(shards):
        name = f"{prefix.name}.data-{number:05d}-of-{options.shards:05d}"
        prefix.with_name(name).write_bytes(data)
    index = prefix.with_name(f"{prefix.name}.index")
    index.write_bytes(table_of(entries, options))
    return index
