"""MPEG audio (MP3): where its frames lie, and how many there are.

A stream states no length, unless its first frame is a table ("Xing", "Info", "VBRI") that counts
the others.  Where there is none, libsndfile guesses the length from the sizes of the file and of
the first frame, and reads no further.  Here all frames are counted.
"""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from .audio_source import REPAIR, SCANNED, AudioError, Part, Source

RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
KBITS = {  # (is it MPEG 1, layer) -> the bit rates 1 to 14
    (True, 1): range(32, 449, 32),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
VBRI_AT = 36  # byte of its frame, in every stream
HEAD = 64  # bytes of a frame that hold the numbers of any table
SEARCHED = 1 << 16  # bytes in which the first frame is searched
LONGEST = 4096  # bytes of a frame, at most


class Frame(NamedTuple):
    """The header of a frame.

    kind  version (3, 2, 0: MPEG 1, 2, 2.5), layer and rate in Hz: equal throughout a stream
    size  bytes, with the header
    """

    kind: tuple[int, int, int]
    mono: bool
    size: int

    @property
    def samples(self) -> int:
        version, layer, _ = self.kind
        return 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152

    @property
    def table_at(self) -> int:
        """Byte of the frame where "Xing" or "Info" may be: behind the side information."""
        if self.kind[0] == 3:
            return 4 + (17 if self.mono else 32)
        return 4 + (9 if self.mono else 17)


@dataclass
class _Stream:
    """Frames of a kind, one behind another.

    frame   the first, which may hold the table
    sound   the first of sound
    first   byte of the file where `sound` begins
    end     byte of the file behind its last frame
    table   the frame that holds it, if there is one
    cut     another frame begins at `end`, of which a part is missing
    more    bytes of the file behind `end` whose frames the table counts too
    tables  frames among these that hold tables, and which the table counts too
    """

    frame: Frame
    first: int
    end: int
    frames: int = 0
    table: bytes = b""
    cut: bool = False
    sound: Frame | None = None
    more: list[range] = field(default_factory=list)
    tables: int = 0

    @property
    def pieces(self) -> tuple[range, ...]:
        """The bytes of its sound."""
        return range(self.first, self.end), *self.more

    @property
    def size(self) -> int:
        """Bytes, with the table."""
        return len(self.table) + sum(map(len, self.pieces))


def parse(head: bytes) -> Frame | None:
    """The header in the first four bytes; None if they are none, or one of free format."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    speed, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or speed in (0, 15) or rate == 3:
        return None
    kind = (version, layer, RATES[version][rate])
    return Frame(kind, head[3] >> 6 == 3, _size(kind, speed, padding=head[2] >> 1 & 1))


def _size(kind: tuple[int, int, int], speed: int, padding: int) -> int:
    version, layer, rate = kind
    bits = 1000 * KBITS[version == 3, layer][speed - 1]
    if layer == 1:
        return (12 * bits // rate + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits // rate + padding


def skip_id3(source: Source, at: int = 0) -> int:
    """The first byte behind the ID3v2 tags that begin at byte `at`."""
    while (head := source.read(at, 10))[:3] == b"ID3" and len(head) == 10:
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if head[5] & 0x10 else 0)
    return at


def begins(source: Source, at: int) -> bool:
    """Whether frames begin at a byte: two of a kind, or one that is all the rest."""
    frame = parse(source.read(at, 4))
    if frame is None:
        return False
    following = parse(source.read(at + frame.size, 4))
    if following is None:
        return at + frame.size == source.size or _is_tag(source.read(at + frame.size, HEAD))
    return following.kind == frame.kind


def start(source: Source, at: int) -> tuple[int, str] | None:
    """Where the first frame is, and a remark if other bytes are before it; None if none is found.

    at: the first byte behind ID3v2 tags.
    """
    while not begins(source, at) and source.read(at, 8) == b"APETAGEX":
        at = skip_id3(source, _behind_tag(source, source.read(at, HEAD), at))
    if begins(source, at):
        return at, ""
    places = _likely_frames(source, at, min(at + SEARCHED, source.size))
    place = next((place for place in places if _three_begin(source, place)), None)
    if place is None:
        return None
    first, found = parse(source.read(at, 4)), parse(source.read(place, 4))
    if first and found and first.kind == found.kind:
        return at, ""  # `parts` judges the bytes between them
    if _is_zero(source, range(at, place)):
        return place, ""
    return place, f"bytes {at} to {place} are no MPEG frames, they are passed over"


def _three_begin(source: Source, at: int) -> bool:
    """Whether three frames of a kind begin at a byte, which other data hardly look like."""
    frame = parse(source.read(at, 4))
    second = at + frame.size if frame else at
    return begins(source, at) and begins(source, second)


def parts(source: Source, at: int, remark: str = "") -> list[Part]:
    """The streams of a file whose first frame is at byte `at`.

    Raises AudioError if a stream has fewer frames than its table states, or if bytes that are
    neither frames nor tags lie between frames.
    """
    streams = _joined(_streams(source, at))
    for stream in streams:
        _check_end(stream)
    found = [_part(stream) for stream in streams if stream.frames]
    return [replace(part, remark=remark) for part in found[:1]] + found[1:]


def _streams(source: Source, at: int) -> list[_Stream]:
    streams: list[_Stream] = []
    end = _without_tags(source)
    while at < end:
        head = source.read(at, HEAD)
        frame = parse(head)
        if frame is None:
            at = _behind_tag(source, head, at)
        elif at + frame.size > end:
            if streams:
                streams[-1].cut = streams[-1].end == at
            break
        else:
            _add(source, streams, at, frame, head)
            at += frame.size
    return streams


def _add(source: Source, streams: list[_Stream], at: int, frame: Frame, head: bytes) -> None:
    """A frame to the last stream, or to a new one that begins with it."""
    end = at + frame.size
    if _table_at(head, frame):
        streams.append(_Stream(frame, end, end, table=source.read(at, frame.size)))
        return
    if not streams or streams[-1].end != at or not _alike(streams[-1], frame):
        streams.append(_Stream(frame, at, at))
    last = streams[-1]
    last.sound = last.sound or frame
    last.end = end
    last.frames += 1


def _alike(stream: _Stream, frame: Frame) -> bool:
    """Whether a frame of sound may belong to a stream: some tables are mono and their sound not."""
    if stream.sound is None:
        return stream.frame.kind == frame.kind
    return (stream.sound.kind, stream.sound.mono) == (frame.kind, frame.mono)


# ---- tags and other bytes around streams --------------------------------------------------------


def _is_tag(head: bytes) -> bool:
    return head.startswith((b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN"))


def _without_tags(source: Source) -> int:
    """Where the tags begin that end the file: ID3v1, APE, Lyrics3."""
    end = source.size
    while end > 0:
        tail = source.read(max(end - 128, 0), min(end, 128))
        if tail[-128:-125] == b"TAG":
            end -= 128
        elif tail[-32:-24] == b"APETAGEX":
            size, flags = (int.from_bytes(tail[at : at + 4], "little") for at in (-20, -12))
            end -= size + (32 if flags >> 31 else 0)
        elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
            end -= int(tail[-15:-9]) + 15
        else:
            break
    return end


def _behind_tag(source: Source, head: bytes, at: int) -> int:
    """The first byte behind a tag, or behind zeros, or behind a rest without frames."""
    if head[:3] == b"ID3":
        return skip_id3(source, at)
    if head[:3] == b"TAG":
        return at + 128
    if head[:8] == b"APETAGEX":
        return at + 32 + int.from_bytes(head[12:16], "little")
    places = _likely_frames(source, at, source.size)
    frames = next((place for place in places if begins(source, place)), source.size)
    if frames < source.size and not _is_zero(source, range(at, frames)):
        raise AudioError(f"is damaged, bytes {at} to {frames} are no MPEG frames: {REPAIR}")
    return frames


def _is_zero(source: Source, places: range) -> bool:
    pieces = (places[at : at + SCANNED] for at in range(0, len(places), SCANNED))
    return not any(source.read(piece.start, len(piece)).strip(b"\0") for piece in pieces)


def _likely_frames(source: Source, at: int, end: int) -> Iterator[int]:
    """Bytes from `at` to `end` where frames may begin, in order: those where `begins` is true."""
    length = LONGEST  # short at first: frames may be near
    while at < end:
        block = np.frombuffer(source.read(at, length + LONGEST), np.uint8)
        yield from (at + int(place) for place in _likely(block) if place < min(length, end - at))
        at += length
        length = min(2 * length, SCANNED)


def _likely(block: np.ndarray) -> np.ndarray:
    """Places in a block where a header is, and behind its frame a header, a tag or no more."""
    places = np.flatnonzero(block[:-3] == 0xFF)
    sizes = _sizes()[block[places + 1], block[places + 2]]
    places, sizes = places[sizes > 0], sizes[sizes > 0]
    behind = places + sizes
    first, second = (block[np.minimum(behind + i, len(block) - 1)] for i in (0, 1))
    header = (first == 0xFF) & (second >= 0xE0)
    tag = np.isin(first, np.frombuffer(b"ITAL", np.uint8))
    return places[header | tag | (behind + 1 >= len(block))]


@functools.cache
def _sizes() -> np.ndarray:
    """(256, 256): bytes of the frame whose header has these second and third bytes; 0: none."""
    sizes = np.zeros((256, 256), np.int64)
    for second in range(0xE0, 256):
        for third in range(256):
            frame = parse(bytes([255, second, third, 0]))
            sizes[second, third] = frame.size if frame else 0
    return sizes


# ---- tables ------------------------------------------------------------------------------------


def _table_at(head: bytes, frame: Frame) -> int:
    """Byte of the frame where its table is; 0 if it has none."""
    if head[frame.table_at :].startswith((b"Xing", b"Info")):
        return frame.table_at
    return VBRI_AT if head[VBRI_AT:].startswith(b"VBRI") else 0


def _joined(streams: list[_Stream]) -> list[_Stream]:
    """The streams; of those whose frames the table of an earlier one counts, one is made."""
    totals = list(accumulate((bool(s.table) + s.frames for s in streams), initial=0))
    joined, at = [], 0
    while at < len(streams):
        end = _end_of_count(streams, totals, at)
        joined.append(_join(streams[at], streams[at + 1 : end]))
        at = end
    return joined


def _end_of_count(streams: list[_Stream], totals: list[int], at: int) -> int:
    """The number of the stream behind those that the table of stream `at` counts.

    totals: frames before each stream, with those that hold tables.
    """
    first = streams[at]
    stated = _stated(first)[0] or 0
    for count in (stated, stated - 1):
        total = totals[at] + 1 + count
        end = bisect_left(totals, total, lo=at + 1)
        exact = count > first.frames and end < len(totals) and totals[end] == total
        if exact and all(_alike(first, s.sound or s.frame) for s in streams[at + 1 : end]):
            return end
    return at + 1


def _join(stream: _Stream, others: list[_Stream]) -> _Stream:
    if not others:
        return stream
    return replace(
        stream,
        frames=stream.frames + sum(other.frames for other in others),
        tables=sum(bool(other.table) for other in others),
        more=[range(other.first, other.end) for other in others],
        sound=stream.sound or others[0].sound,
        cut=others[-1].cut,
    )


def _part(stream: _Stream) -> Part:
    """The bytes to decode of a stream."""
    at = _table_at(stream.table, stream.frame)
    frames, size = _stated(stream)
    if frames is None or at == VBRI_AT:  # which libsndfile takes for sound
        return Part(_repeated(stream), stream.frames * stream.frame.samples)
    true = stream.frames.to_bytes(4, "big")
    if size is not None:
        true += stream.size.to_bytes(4, "big")
    return Part(
        (stream.table[: at + 8] + true + stream.table[at + 8 + len(true) :], *stream.pieces)
    )


def _repeated(stream: _Stream) -> tuple[range, ...]:
    """The stream and itself behind it, so often that no guess of its length is too short.

    The guess is the size of all divided by the size of the first frame.
    """
    first = stream.sound or stream.frame
    guessed_from = (stream.frames + 1) * (first.size + 1)
    return stream.pieces * -(-guessed_from // sum(map(len, stream.pieces)))


def _stated(stream: _Stream) -> tuple[int | None, int | None]:
    """Frames and bytes that the table states, as far as it does."""
    place = _table_at(stream.table, stream.frame)
    table = stream.table[place:] if place else b""
    if table.startswith(b"VBRI"):
        return int.from_bytes(table[14:18], "big"), int.from_bytes(table[10:14], "big")
    flags = int.from_bytes(table[4:8], "big")
    frames = int.from_bytes(table[8:12], "big") if flags & 1 else None
    at = 12 if flags & 1 else 8
    return frames, int.from_bytes(table[at : at + 4], "big") if flags & 2 else None


def _check_end(stream: _Stream) -> None:
    """Raises AudioError if the table of a stream states more frames.

    Some programs count the frame of the table too, so one may seem to be missing.
    """
    frames, size = _stated(stream)
    whole = size is None or stream.size >= size
    if frames is not None and frames > stream.frames + stream.tables + (whole and not stream.cut):
        raise AudioError(
            f"is cut off after {stream.frames} MPEG frames, expected {frames}: {REPAIR}"
        )
