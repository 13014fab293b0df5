"""The sorted table of names and values in which TensorFlow and LevelDB keep an index.

    blocks    entries: shared, more, length (varints), then `more` bytes of the name behind the
              `shared` ones that it has in common with the one before, then `length` bytes of value;
              the places of entries without common bytes (uint32 each), and their number (uint32)
    trailer   of each block: its compression (1 byte), the masked CRC-32C of both (uint32)
    index     a block whose values are places of the blocks: offset, size (varints)
    footer    the places of an empty block and of the index, zeros up to 40 bytes, a magic number

All numbers are little-endian.  Time and memory are linear in the length of the table, and names
have a bound of their own, for each may repeat the one before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..modelfile import ModelFormatError
from .crc32c import crc32c, masked

MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
FOOTER, TRAILER = 48, 5  # bytes
MAX_NAME = 1000  # bytes

Entry = tuple[bytes, bytes]


def read_table(data: bytes) -> Iterator[Entry]:
    """Names in ascending order, each once, with their values.

    Raises ModelFormatError, which may follow some entries.
    """
    if data[-8:] != MAGIC or len(data) < FOOTER:
        raise ModelFormatError("its index does not end with the footer of a table: it is cut off")
    footer = data[-FOOTER:-8]
    _, at = _place(footer, 0)
    (begin, size), _ = _place(footer, at)
    last: bytes | None = None
    end = 0
    for _, value in _entries(_block(data, begin, size)):
        (begin, size), length = _place(value, 0)
        if length != len(value) or begin < end:
            raise ModelFormatError(f"a block of its index begins at byte {begin}, expected {end}")
        end, before = begin + size + TRAILER, last
        for name, found in _entries(_block(data, begin, size)):
            if last is not None and name <= last:
                raise ModelFormatError("the names in its index are not in ascending order")
            last = name
            yield name, found
        if last is before:  # so that entries bound the time
            raise ModelFormatError("a block of its index is empty")


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of 7 bits, the lowest first, and the place behind it."""
    number = 0
    for count, byte in enumerate(data[at : at + 10]):
        number |= (byte & 127) << (7 * count)
        if byte < 128:
            return number, at + count + 1
    raise ModelFormatError("a number in its index has no end")


def _place(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and the place behind them."""
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return (offset, size), at


def _block(data: bytes, begin: int, size: int) -> bytes:
    """A block without its trailer."""
    end = begin + size
    if end + TRAILER > len(data) - FOOTER:
        raise ModelFormatError(
            f"a block of its index is at bytes {begin} to {end}, but the index has {len(data)}"
        )
    compression, checksum = struct.unpack_from("<BI", data, end)
    found = masked(crc32c(data[begin : end + 1]))
    if found != checksum:
        raise ModelFormatError(
            f"a block of its index has the checksum {found:08x}, expected {checksum:08x}: the file "
            f"is damaged"
        )
    if compression:
        raise ModelFormatError(
            "its index is compressed, expected one that is not: restore and save it in TensorFlow"
        )
    return data[begin:end]


def _entries(block: bytes) -> Iterator[Entry]:
    """The entries of a block."""
    end = _entries_end(block)
    name, at = b"", 0
    while at < end:
        shared, at = varint(block, at)
        more, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(name) or at + more + length > end:
            raise ModelFormatError("an entry of its index reaches out of its block")
        if shared + more > MAX_NAME:
            raise ModelFormatError(
                f"a name in its index has {shared + more} bytes, expected at most {MAX_NAME}"
            )
        name = name[:shared] + block[at : at + more]
        at += more + length
        yield name, block[at - length : at]


def _entries_end(block: bytes) -> int:
    """Where the entries end and the places of restarts begin, which need no reading."""
    restarts = struct.unpack("<I", block[-4:])[0] if len(block) >= 4 else 0
    end = len(block) - 4 * (restarts + 1)
    if not restarts or end < 0:
        raise ModelFormatError(
            f"a block of its index has {restarts} restarts in {len(block)} bytes"
        )
    return end
