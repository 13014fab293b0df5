"""MPEG audio (MP3): where its frames lie, and how many there are.

A stream states no length, unless its first frame is a table ("Xing", "Info", "VBRI") that counts
the others.  Where there is none, libsndfile guesses the length from the sizes of the file and of
the first frame, and reads no further.  Here all frames are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .audio_source import REPAIR, AudioError, Part, Source

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

    first, end  bytes of the file, without the table
    table       the frame that holds it, if there is one
    cut         another frame begins at `end`, of which a part is missing
    """

    frame: Frame
    first: int
    end: int
    frames: int = 0
    table: bytes = b""
    cut: bool = False


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
        return at + frame.size >= source.size or _is_tag(source.read(at + frame.size, HEAD))
    return following.kind == frame.kind


def parts(source: Source, at: int) -> list[Part]:
    """The streams of a file whose first frame is at byte `at`.

    Raises AudioError if a stream has fewer frames than its table states, or if bytes that are
    neither frames nor tags lie between frames.
    """
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
    return [_part(stream) for stream in streams if stream.frames]


def _add(source: Source, streams: list[_Stream], at: int, frame: Frame, head: bytes) -> None:
    """A frame to the last stream, or to a new one that begins with it."""
    end, table = at + frame.size, _table_at(head, frame)
    if table:
        streams.append(_Stream(frame, end, end, table=source.read(at, frame.size)))
        return
    if not streams or streams[-1].end != at or streams[-1].frame.kind != frame.kind:
        streams.append(_Stream(frame, at, at))
    streams[-1].end = end
    streams[-1].frames += 1


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
    places = source.find(rb"\xff[\xe2-\xff]", at, 2)
    frames = next((place for place in places if begins(source, place)), source.size)
    junk = next(source.find(rb"[^\0]", at, 1), source.size)
    if junk < frames < source.size:
        raise AudioError(f"is damaged, bytes {at} to {frames} are no MPEG frames: {REPAIR}")
    return frames


# ---- tables ------------------------------------------------------------------------------------


def _table_at(head: bytes, frame: Frame) -> int:
    """Byte of the frame where its table is; 0 if it has none."""
    if head[frame.table_at :].startswith((b"Xing", b"Info")):
        return frame.table_at
    return VBRI_AT if head[VBRI_AT:].startswith(b"VBRI") else 0


def _part(stream: _Stream) -> Part:
    """The bytes to decode of a stream.  Raises AudioError if its table states more frames."""
    at = _table_at(stream.table, stream.frame)
    table = stream.table[at:] if at else b""
    frames, size = _stated(table)
    if frames is not None:
        _check_end(stream, frames, size)
    if frames is None or table.startswith(b"VBRI"):  # which libsndfile takes for sound
        return Part(_repeated(stream), stream.frames * stream.frame.samples)
    sound = range(stream.first, stream.end)
    true = stream.frames.to_bytes(4, "big")
    if size is not None:
        true += (len(stream.table) + len(sound)).to_bytes(4, "big")
    return Part((stream.table[: at + 8] + true + stream.table[at + 8 + len(true) :], sound))


def _repeated(stream: _Stream) -> tuple[range, ...]:
    """The stream and itself behind it, so often that no guess of its length is too short.

    The guess is the size of all divided by the size of the first frame.
    """
    sound = range(stream.first, stream.end)
    guessed_from = (stream.frames + 1) * (stream.frame.size + 1)
    return (sound,) * -(-guessed_from // len(sound))


def _stated(table: bytes) -> tuple[int | None, int | None]:
    """Frames and bytes that a table states, as far as it does."""
    if table.startswith(b"VBRI"):
        return int.from_bytes(table[14:18], "big"), int.from_bytes(table[10:14], "big")
    flags = int.from_bytes(table[4:8], "big")
    frames = int.from_bytes(table[8:12], "big") if flags & 1 else None
    at = 12 if flags & 1 else 8
    return frames, int.from_bytes(table[at : at + 4], "big") if flags & 2 else None


def _check_end(stream: _Stream, frames: int, size: int | None) -> None:
    """Some programs count the frame of the table too, so one may seem to be missing."""
    whole = size is None or stream.end - stream.first + len(stream.table) >= size
    if frames > stream.frames + (whole and not stream.cut):
        raise AudioError(
            f"is cut off after {stream.frames} MPEG frames, expected {frames}: {REPAIR}"
        )
