"""The records of a zip archive as torch.save writes it: stored, not compressed, none over another.

Nothing is unpacked: a record is a view of the file's bytes.  So an archive cannot become larger
than its file, and a record's name is a key of a dict, never a path.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from ..shown import shown
from .pickle_reader import TorchFileError

MAX_RECORDS = 65536
MAX_COMMENT = 65535  # bytes behind the end record

_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END_64, _LOCATOR_64 = b"PK\x06\x06", b"PK\x06\x07"
_ENCRYPTED = 1  # flag of a record
_IN_EXTRA = 0xFFFFFFFF  # of a number that stands in the extra field, with 64 bits


class Record(NamedTuple):
    """A record's bytes, and the checksum that the archive gives for them."""

    name: str
    begin: int
    data: memoryview
    checksum: int


def read_records(data: memoryview) -> dict[str, Record]:
    """Name -> record of an archive.  Raises TorchFileError; contents are checked by `checked`."""
    at, size, count = _directory(data)
    directory = data[at : at + size]
    records: dict[str, Record] = {}
    position = 0
    for _ in range(count):
        record, length = _record(data[:at], directory[position:])
        if record.name in records:
            raise TorchFileError(f"its zip archive has two records {shown(record.name)}")
        records[record.name] = record
        position += length
    if position != size:
        raise TorchFileError(f"its zip directory has {size} bytes, expected {position}")
    _check_apart(list(records.values()))
    return records


def checked(record: Record) -> memoryview:
    """A record's bytes.  Raises TorchFileError if their checksum is another one."""
    found = zlib.crc32(record.data)
    if found != record.checksum:
        raise TorchFileError(
            f"record {shown(record.name)} has the checksum {found:08x}, expected "
            f"{record.checksum:08x}: the file is damaged, or was saved without checksums"
        )
    return record.data


def _directory(data: memoryview) -> tuple[int, int, int]:
    """Position, bytes and number of records of the archive's directory."""
    tail = bytes(data[-(MAX_COMMENT + 22) :])
    found = tail.rfind(_END)
    if found < 0 or found + 22 > len(tail):
        raise TorchFileError("its zip archive has no end: the file is cut off")
    end = len(data) - len(tail) + found
    count, size, at = struct.unpack("<HII", data[end + 10 : end + 20])
    if end >= 20 and data[end - 20 : end - 16] == _LOCATOR_64:
        (end,) = struct.unpack("<Q", data[end - 12 : end - 4])
        if end + 56 > len(data) or data[end : end + 4] != _END_64:
            raise TorchFileError("the end of its zip archive is not where the archive has it")
        count, size, at = struct.unpack("<QQQ", data[end + 32 : end + 56])
    if at + size != end:
        raise TorchFileError(
            f"its zip directory covers bytes {at} to {at + size}, expected to {end}"
        )
    if count > MAX_RECORDS:
        raise TorchFileError(f"its zip archive has {count} records, expected at most {MAX_RECORDS}")
    return at, size, count


def _record(data: memoryview, entry: memoryview) -> tuple[Record, int]:
    """The record of the directory's first entry, and the bytes of that entry.

    data: the file up to its directory.
    """
    if len(entry) < 46 or entry[:4] != _CENTRAL:
        raise TorchFileError("its zip directory is cut off")
    flags, method = struct.unpack("<HH", entry[8:12])
    checksum, packed, size, *lengths = struct.unpack("<IIIHHH", entry[16:34])
    (at,) = struct.unpack("<I", entry[42:46])
    name_end = 46 + lengths[0]
    if name_end + lengths[1] + lengths[2] > len(entry):
        raise TorchFileError("its zip directory is cut off")
    name = _name(entry[46:name_end])
    extra = entry[name_end : name_end + lengths[1]]
    size, packed, at = _with_64_bits(extra, size, packed, at)
    if method or packed != size or flags & _ENCRYPTED:
        raise TorchFileError(
            f"record {shown(name)} is compressed or encrypted, which torch.save never does"
        )
    begin = _contents(data, at, bytes(entry[46:name_end]))
    if begin + size > len(data):
        raise TorchFileError(
            f"record {shown(name)} has {size} bytes, more than are left in the file"
        )
    record = Record(name, at, data[begin : begin + size], checksum)
    return record, name_end + lengths[1] + lengths[2]


def _name(given: memoryview) -> str:
    """A record's name: parts between slashes, none of which leads out of a folder."""
    try:
        name = str(given, "utf-8")
    except UnicodeDecodeError:
        raise TorchFileError("the name of a zip record is not UTF-8") from None
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or "\0" in name:
        raise TorchFileError(f"the name of a zip record is {shown(name)}, which is no name of data")
    return name


def _with_64_bits(extra: memoryview, *numbers: int) -> list[int]:
    """The numbers, of which those that do not fit into 32 bits stand in the extra field."""
    wide: list[int] = []
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        if kind == 1:
            field = extra[4 : 4 + length]
            wide = [n for (n,) in struct.iter_unpack("<Q", field[: len(field) // 8 * 8])]
        extra = extra[4 + length :]
    missing = sum(number == _IN_EXTRA for number in numbers)
    if missing > len(wide):
        raise TorchFileError("a size of a zip record is missing")
    return [wide.pop(0) if number == _IN_EXTRA else number for number in numbers]


def _contents(data: memoryview, at: int, name: bytes) -> int:
    """Position of a record's contents, behind its local header at `at`."""
    header = data[at : at + 30]
    if len(header) < 30 or header[:4] != _LOCAL:
        raise TorchFileError("a zip record does not begin where the directory has it")
    lengths = struct.unpack("<HH", header[26:30])
    if data[at + 30 : at + 30 + lengths[0]] != name:
        raise TorchFileError("a zip record has two names, in the directory and at its place")
    return at + 30 + sum(lengths)


def _check_apart(records: list[Record]) -> None:
    """Raises TorchFileError if records share bytes."""
    end = 0
    for record in sorted(records, key=lambda record: record.begin):
        if record.begin < end:
            raise TorchFileError(f"record {shown(record.name)} overlaps another one")
        end = record.begin + 30 + len(record.data)
