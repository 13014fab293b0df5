"""The format of compressed files: header, heads of blocks, end; docs/compression.md describes it.

There is nothing of the network here: blocks are bytes.
"""

from __future__ import annotations

import itertools
import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from .model import Model, fingerprint_of
from .spec import PRECISIONS, Precision, WaveNetSpec

MAGIC = b"\x89FWZ\r\n\x1a\n"
VERSION = 1
MODES = {"codes": 1, "pcm16": 2}  # name -> number in the file
MAX_BLOCK = 2**20  # samples
MAX_BLOCKS = 2**32  # of a file: a block's number has 32 bits
HEADER_BYTES, HEAD_BYTES = 40, 24
SCANNED = 1 << 20  # bytes searched for a head at a time
MOST_SEARCHED = 1000  # damaged blocks in which the next one's head is searched for
MORE_LOST = 2**28  # samples that may be lost beyond LOST_SAMPLES for each byte of a file
LOST_SAMPLES = 8
DAMAGED = "the file is damaged: copy it again, or decompress with --salvage (fastwavenet.salvage)"


class CompressionError(ValueError):
    """Bytes that `compress` did not write, or not with this model, or that are damaged."""


class Header(NamedTuple):
    """mode, precision: names; block: samples of each block but the last."""

    mode: str
    precision: Precision
    sample_rate: int
    block: int
    levels: int
    fingerprint: int
    rules: int

    def to_bytes(self) -> bytes:
        mode, precision = MODES[self.mode], list(PRECISIONS).index(self.precision)
        numbers = struct.pack("<HBBIIIQI", VERSION, mode, precision, *self[2:])
        return _sealed(MAGIC + numbers)

    def check_model(self, model: Model) -> None:
        """Raises CompressionError unless the file was compressed with this model."""
        if self.precision != model.precision:
            raise CompressionError(
                f"compressed in {self.precision}, but the model is loaded in {model.precision}: "
                f"load it with precision {self.precision!r}"
            )
        expected = header_of(model, self.mode, self.block)
        for name in ("sample_rate", "levels"):
            found, own = getattr(self, name), getattr(expected, name)
            if found != own:
                raise CompressionError(f"compressed with a model of {name} {found}, not {own}")
        if self.fingerprint == expected.fingerprint and self != expected:
            raise CompressionError(
                "compressed with a model of the same weights, but another codec or start: "
                "load the model that compressed the file"
            )
        if self != expected:
            raise CompressionError(
                f"compressed with another model: its fingerprint is {self.fingerprint:016x}, "
                f"that of this model {expected.fingerprint:016x}"
            )


def header_of(model: Model, mode: str, block: int) -> Header:
    """The header of a file that is compressed with a model."""
    spec = model.spec
    fingerprint, rules = fingerprint_of(model), _rules(spec)
    return Header(mode, model.precision, spec.sample_rate, block, spec.levels, fingerprint, rules)


def _rules(spec: WaveNetSpec) -> int:
    """CRC-32 of that part of the spec that the fingerprint leaves out."""
    codec = spec.codec
    numbers = (codec.mu, codec.steps, codec.encode_offset, codec.decode_offset)
    more = (codec.decode_divisor, codec.pre_emphasis)
    return zlib.crc32(struct.pack("<6dI", *numbers, *more, spec.start.times))


def read_header(file: BinaryIO, correct: bool = False) -> Header:
    """The header of a file.  correct: even if one of its bytes was changed.

    Raises CompressionError if the file does not begin with a header of this version.
    """
    data = file.read(HEADER_BYTES)
    if correct and len(data) == HEADER_BYTES:
        data = _corrected(data)
    if data[:8] != MAGIC[: len(data)] or not data:
        raise CompressionError("not a compressed file: it does not begin with a header")
    if len(data) < HEADER_BYTES:
        raise CompressionError(f"cut off in the header, after {len(data)} bytes")
    version, mode, precision, *numbers = struct.unpack("<HBBIIIQI", data[8:-4])
    if not _is_sealed(data):
        hint = "" if correct else ", or decompress with --salvage, which corrects a changed byte"
        raise CompressionError(f"the header is damaged: copy the file again{hint}")
    if version != VERSION:
        raise CompressionError(
            f"the file has format version {version}, expected {VERSION}: "
            f"decompress it with the fastwavenet that wrote it"
        )
    names = {number: name for name, number in MODES.items()}
    if mode not in names or precision >= len(PRECISIONS):
        raise CompressionError("the header is damaged: it names an unknown mode or precision")
    header = Header(names[mode], list(PRECISIONS)[precision], *numbers)
    if not 1 <= header.block <= MAX_BLOCK:
        raise CompressionError(f"blocks have {header.block} samples, expected 1 to {MAX_BLOCK}")
    return header


def _corrected(data: bytes) -> bytes:
    """A header of which one byte was changed as it was before; any other as it is."""
    if _is_sealed(data):
        return data
    changed = (
        data[:at] + bytes([value]) + data[at + 1 :]
        for at in range(len(data))
        for value in range(256)
    )
    return next(filter(_is_sealed, changed), data)


class Block(NamedTuple):
    """A block of a file.  data: its bytes; None: they are lost.  check: CRC-32 of its samples."""

    number: int
    samples: int
    data: bytes | None
    check: int = 0

    def to_bytes(self) -> bytes:
        assert self.data is not None
        return _head(self.number, self.samples, self.data, self.check) + self.data


def end_of(blocks: int, last: int, check: int) -> bytes:
    """The end of a file of so many blocks.

    last: samples of the last one; check: CRC-32 of all samples.
    """
    return _sealed(struct.pack("<5I", blocks, 0, last, check, 0))


def _head(number: int, samples: int, data: bytes, check: int) -> bytes:
    return _sealed(struct.pack("<5I", number, samples, len(data), check, zlib.crc32(data)))


def _sealed(data: bytes) -> bytes:
    return data + struct.pack("<I", zlib.crc32(data))


def _is_sealed(data: bytes) -> bool:
    return _sealed(data[:-4]) == data


class _Head(NamedTuple):
    number: int
    samples: int  # 0: the end
    size: int  # bytes; of the end: samples of the last block
    check: int
    crc: int

    def fits(self, block: int) -> bool:
        """Whether its sizes are those of a block, or of the end."""
        if self.samples == 0:
            return self.size <= block and (self.size > 0) == (self.number > 0)
        return self.samples <= block and 1 <= self.size <= 8 * self.samples + 2


def _parse_head(data: bytes, block: int) -> _Head | None:
    """None for bytes that are no head."""
    if len(data) < HEAD_BYTES or not _is_sealed(data):
        return None
    head = _Head(*struct.unpack("<5I", data[:-4]))
    return head if head.fits(block) else None


class Part(NamedTuple):
    """Samples [first, end) of a file of `total`."""

    first: int
    end: int
    total: int

    @property
    def is_whole(self) -> bool:
        return (self.first, self.end) == (0, self.total)


class Blocks:
    """The blocks of a file whose header was read, in their order.

    block  samples of each block but the last
    total  number of samples of the blocks that were taken or skipped
    check  CRC-32 of all samples, by the file's end, once that was reached
    """

    def __init__(self, file: BinaryIO, header: Header):
        self.file, self.block = file, header.block
        self.total = self.number = self.last = self.check = 0  # last: samples of block number - 1

    def __iter__(self) -> Iterator[Block]:
        """The blocks from the next one on.  Raises CompressionError where the file is damaged."""
        while (head := self._next()).samples:
            data = self.file.read(head.size)
            if len(data) < head.size:
                raise CompressionError(f"cut off in block {head.number}: {DAMAGED}")
            if zlib.crc32(data) != head.crc:
                raise CompressionError(f"block {head.number} has a wrong checksum: {DAMAGED}")
            yield Block(head.number, head.samples, data, head.check)
        if head.size != self.last or self.file.read(1):
            raise CompressionError(f"the end is none: {DAMAGED}")
        self.check = head.check

    def holding(self, part: Part) -> Iterator[Block]:
        """The blocks that hold a part, of a file that can seek."""
        if part.is_whole:
            yield from self
            return
        skipped = part.first // self.block
        self.skip(skipped)
        yield from itertools.islice(self, -(-part.end // self.block) - skipped)

    def skip(self, count: int) -> None:
        """Passes over at most `count` blocks, by their heads alone; the file can seek.

        Raises CompressionError where a head is damaged; data are not looked at.
        """
        while count and (head := self._next()).samples:
            self.file.seek(head.size, os.SEEK_CUR)
            count -= 1

    def _next(self) -> _Head:
        """The head of the next block, or of the end."""
        data = self.file.read(HEAD_BYTES)
        if len(data) < HEAD_BYTES:
            raise CompressionError(f"cut off after {self.number} blocks: {DAMAGED}")
        head = _parse_head(data, self.block)
        if head is None or head.number != self.number:
            raise CompressionError(f"expected block {self.number}, found other bytes: {DAMAGED}")
        if head.samples:
            if self.number and self.last != self.block:
                short = f"block {self.number - 1} is short, but not the last"
                raise CompressionError(f"{short}: {DAMAGED}")
            self.number, self.last = self.number + 1, head.samples
            self.total += head.samples
        return head


def count_samples(file: BinaryIO, header: Header) -> int:
    """The samples of a file that can seek, by the heads of its blocks; it is where it was after.

    Raises CompressionError as the blocks do, but data are not looked at.
    """
    start, blocks = file.tell(), Blocks(file, header)
    blocks.skip(MAX_BLOCKS)
    file.seek(start)
    return blocks.total


class SalvagedBlocks:
    """The blocks of a damaged file: those that are lost have no data.

    cut_off  whether the file's end is missing, and with it the number of blocks

    Where a head is damaged, the next one is searched for.  A file of forged heads gives a bounded
    length of lost samples: a block that would exceed it belongs to no file.
    """

    def __init__(self, file: BinaryIO, header: Header):
        self.file, self.block, self.cut_off = file, header.block, False
        self.damaged = 0  # blocks whose head is whole
        self.at = file.tell()
        self.size = file.seek(0, os.SEEK_END)
        self.left = MORE_LOST + LOST_SAMPLES * self.size  # samples that may still be lost

    def __iter__(self) -> Iterator[Block]:
        number = 0  # of the next block
        while (head := self._next(number)) is not None:
            if head.samples == 0:
                yield from (self._lost(n, head) for n in range(number, head.number))
                return
            yield from (self._lost(n, None) for n in range(number, head.number))
            self.file.seek(self.at)
            data = self.file.read(head.size)
            whole = len(data) == head.size and zlib.crc32(data) == head.crc
            self.damaged += not whole
            self.left -= 0 if whole else head.samples
            if whole or self.damaged > MOST_SEARCHED:
                self.at += head.size  # else bytes may be missing in it: the next head is searched
            yield Block(head.number, head.samples, data if whole else None, head.check)
            number = head.number + 1
        self.cut_off = True

    def _lost(self, number: int, end: _Head | None) -> Block:
        is_last = end is not None and number == end.number - 1
        samples = end.size if end is not None and is_last else self.block
        self.left -= samples
        return Block(number, samples, None)

    def _next(self, number: int) -> _Head | None:
        """The next head of a block from `number` on, or of the end; `at` is behind it then."""
        most = min(number + self.left // self.block - 1, MAX_BLOCKS - 1)
        while self.at + HEAD_BYTES <= self.size and self.left >= self.block:
            self.file.seek(self.at)
            window = self.file.read(HEAD_BYTES)
            if _parse_head(window, self.block) is None:  # seldom: it is searched for
                window += self.file.read(SCANNED)
            for place in self._places(window, number, most):
                head = _parse_head(window[place : place + HEAD_BYTES], self.block)
                if head is not None:
                    self.at += place + HEAD_BYTES
                    return head
            self.at += max(len(window) - HEAD_BYTES + 1, 1)
        return None

    def _places(self, window: bytes, number: int, most: int) -> list[int]:
        """Where numbers and samples are possible ones."""
        octets = np.frombuffer(window, np.uint8).astype(np.uint32)
        words = octets[:-3] | octets[1:-2] << 8 | octets[2:-1] << 16 | octets[3:] << 24
        places = len(window) - HEAD_BYTES + 1
        numbers, samples = words[:places], words[4 : 4 + places]
        possible = (numbers >= number) & (numbers <= most) & (samples <= self.block)
        return [int(place) for place in np.flatnonzero(possible)]
