"""Packs: files that hold pieces of others, one behind another, and are named by their content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .manifest import UNFINISHED, CorpusError, Pack
from .shown import shown

PACK_SAMPLES = 2**29  # of a pack, about: 9 hours at 16 kHz, 1 GiB
MOST_PACKS = 128  # maps that are open while a corpus is used
BLOCK = 1 << 22  # bytes that are copied at a time
PACK_SUFFIXES = (".i16", ".frames")


@dataclass(frozen=True)
class Piece:
    """Bytes at .. at + size - 1 of a file, and their hash."""

    file: Path
    at: int
    size: int
    sha256: str


Places = dict[str, tuple[int, int]]  # path of a recording -> pack, and its first byte there


def hash_of(data: bytes) -> str:
    """A name by content: half of the hexadecimal digits of SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]


def write_packs(
    folder: Path, name: str, pieces: Mapping[str, Piece], samples: int, kept: Mapping[str, int]
) -> tuple[tuple[Pack, ...], Places]:
    """Writes the pieces of all recordings into packs in a folder, in the order of their paths.

    The number of packs follows from all samples, and a recording's pack from its path, so that few
    packs change with a few recordings.

    pieces: path -> piece, sorted.  kept: packs that are there and whole, name -> size
    Raises CorpusError for a piece that differs from its hash, OSError if a pack cannot be written.
    """
    count = pack_count(samples)
    groups: dict[int, list[str]] = {}
    for path in pieces:
        groups.setdefault(_number(path, count), []).append(path)
    packs, places = list[Pack](), Places()
    for number, paths in sorted(groups.items()):
        size = 0
        for path in paths:
            places[path] = len(packs), size
            size += pieces[path].size
        content = ",".join(f"{pieces[path].sha256} {pieces[path].size}" for path in paths)
        suffix = PACK_SUFFIXES[name != "samples"]
        pack = Pack(f"{name}-{hash_of(f'{number} {content}'.encode())}{suffix}", size)
        if kept.get(pack.file) != size:
            _write(folder, pack.file, [pieces[path] for path in paths])
        packs.append(pack)
    return tuple(packs), places


def pack_count(samples: int) -> int:
    """The least power of two with at most PACK_SAMPLES for each pack, or MOST_PACKS."""
    count = 1
    while count < MOST_PACKS and samples > count * PACK_SAMPLES:
        count *= 2
    return count


def _number(path: str, count: int) -> int:
    """The pack of a recording."""
    return int(hash_of(os.fsencode(path)), 16) % count


def _write(folder: Path, name: str, pieces: list[Piece]) -> None:
    temporary = folder / UNFINISHED / name
    try:
        with temporary.open("wb") as file:
            for piece in pieces:
                _copy(piece, file.write)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / name)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder / name)) from None


def _copy(piece: Piece, write: Callable[[bytes], object]) -> None:
    """Raises CorpusError if the bytes differ from their hash."""
    if not is_intact(piece, write):
        piece.file.with_suffix(".json").unlink(missing_ok=True)  # a result is made again
        raise CorpusError(
            f"{shown(piece.file)}: is damaged, its bytes differ from their hash: "
            f"prepare the corpus again with --check"
        )


def is_intact(piece: Piece, write: Callable[[bytes], object] = len) -> bool:
    """Whether the bytes have their hash.  write: called with each block of them."""
    digest, left = hashlib.sha256(), piece.size
    with piece.file.open("rb") as file:
        file.seek(piece.at)
        while left and (data := file.read(min(left, BLOCK))):
            digest.update(data)
            write(data)
            left -= len(data)
    return not left and digest.hexdigest() == piece.sha256
