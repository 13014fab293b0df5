"""Sound in a file as a decoder reads it: ranges of the file, and bytes that correct its headers."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

SCANNED = 1 << 20  # bytes searched at a time
REPAIR = "copy it again, or re-encode it to keep what is there"


class AudioError(ValueError):
    """An audio file or array cannot be used: the expectation, the finding, and a way out."""


@dataclass(frozen=True)
class Part:
    """One stream of a file.

    pieces  the bytes to decode, one after another: ranges of the file, and bytes in their place
    frames  samples per channel that must come out of them; None: as many as the decoder states
    remark  an oddity that is no error
    """

    pieces: tuple[bytes | range, ...]
    frames: int | None = None
    remark: str = ""


class Source:
    """Reads a file at any place.  file: open for reading bytes, can seek; it stays open."""

    def __init__(self, file: BinaryIO):
        self.file = file
        end = file.seek(0, os.SEEK_END)
        self.size: int = file.tell() if end is None else end  # None: that of a memory map

    def read(self, at: int, n: int) -> bytes:
        """n bytes from byte `at` on; fewer at the end of the file."""
        parts: list[bytes] = []
        if at >= self.size:  # a header may state places that no seek can reach
            return b""
        self.file.seek(at)
        while n > 0 and (part := self.file.read(n)) != b"":
            if part is None:
                raise BlockingIOError(errno.EAGAIN, "the file object has no bytes yet")
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def behind_zeros(self, at: int) -> int:
        """The first byte from `at` on that is not 0, or the end of the file."""
        while at < self.size:
            block = self.read(at, SCANNED)
            if not block or block != bytes(len(block)):
                return at + len(block) - len(block.lstrip(b"\0"))
            at += len(block)
        return at

    def find(self, pattern: bytes, start: int, longest: int) -> Iterator[int]:
        """Where a regular expression matches from `start` on; longest: bytes of a match."""
        compiled = re.compile(pattern, re.DOTALL)
        for at in range(start, self.size, SCANNED):
            block = self.read(at, SCANNED + longest - 1)
            yield from (at + m.start() for m in compiled.finditer(block) if m.start() < SCANNED)


class Spliced:
    """Pieces of a file as a file of their own, with the methods that soundfile calls.

    libsndfile calls them through C, where an exception is printed and lost.  So none is raised:
    the first is kept in `error`, and from then on the file seems to end.
    """

    def __init__(self, source: Source, pieces: tuple[bytes | range, ...]):
        self.source, self.pieces = source, pieces
        self.size = sum(len(piece) for piece in pieces)
        self.at = 0
        self.error: BaseException | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence]
        self.at = max(base + offset, 0)
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: bytearray) -> int:
        data = b""
        try:
            while self.error is None and (more := self._read(len(buffer) - len(data))):
                data += more
                self.at += len(more)
            buffer[: len(data)] = data
        except BaseException as error:
            self.error = error
            return 0
        return len(data)

    read = readinto  # soundfile calls readinto, after a check that there is a read

    def _read(self, n: int) -> bytes:
        """At most n bytes from here on, of a single piece."""
        inside = self.at
        for piece in self.pieces:
            if inside < len(piece):
                part = piece[inside : inside + n]
                return part if isinstance(part, bytes) else self.source.read(part.start, len(part))
            inside -= len(piece)
        return b""
