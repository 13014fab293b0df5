"""The streams of an audio file: where each begins and ends, and whether all of it is there.

libsndfile takes a file that is cut off for a short one, reads only the first of several streams,
and believes sizes that a recorder never filled in.  Here the containers are walked along first.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from . import mpeg
from .audio_source import REPAIR, AudioError, Part, Source

FORMS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM")
TYPES = (b"WAVE", b"AIFF", b"AIFC")
ANY_FORM = b"(?:%b).{4}(?:%b)" % (b"|".join(FORMS), b"|".join(TYPES))
FLAC = rb"fLaC[\x00\x80]\x00\x00\x22"  # its mark, and the block of 34 bytes that must follow
# Sizes in headers of files that were written into a pipe or never closed.  Some programs round them
# down to whole frames, and some subtract the header, so a size near these counts too.
PLACEHOLDERS = (0, 0x7F000000, 0x7FFFF000, 0x80000000, 2**32 - 1, 2**64 - 1)
NEAR = 128
UNPACKED = (1, 3, 6, 7, 0xFFFE)  # WAV's numbers of PCM, float, A-law, mu-law, extensible
TRAILING = (  # names of chunks that are met behind sound
    rb"LIST|id3 |ID3 |bext|iXML|axml|_PMX|cue |smpl|inst|PEAK|acid|fact|plst|note|labl|JUNK|junk"
    rb"|PAD |NAME|AUTH|ANNO|\(c\) |COMT|MARK|INST|APPL|AESD"
)
TRAILER = 1 << 24  # bytes at the end of sound of unknown size among which they are looked for
TAGS = (
    b"TAG",
    b"ID3\2",
    b"ID3\3",
    b"ID3\4",
    b"APETAGEX",
    b"LYRICSBEGIN",
)  # of MP3s, which some programs add to any file
FOREIGN = 10  # a tenth of the stated sound, that lies behind it, is sound too
SLIP = 44  # bytes of a WAV's header, which some writers count as sound
VOICES = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")  # begin Ogg streams of sound
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # the bits of each byte


def parts(source: Source) -> list[Part]:
    """The streams of a file; the whole of it if it is of another kind.

    Raises AudioError if a stream is cut off or damaged.
    """
    at = mpeg.skip_id3(source)
    head = source.read(at, 12)
    if is_form(head):
        return _forms(source, at)
    if head.startswith(b"OggS"):
        return _ogg(source, at)
    if head.startswith(b"fLaC"):
        return _flacs(source, at)
    if (start := mpeg.start(source, at)) is not None:
        return mpeg.parts(source, *start)
    if mpeg.parse(head) is not None:  # libsndfile would guess the length
        raise AudioError(f"not a readable audio file (an MPEG frame, but none behind it): {REPAIR}")
    return [Part((range(at if at < source.size else 0, source.size),))]


def is_known(source: Source) -> bool:
    """Whether a file begins like one of the kinds that `parts` follows."""
    at = mpeg.skip_id3(source)
    head = source.read(at, 12)
    return is_form(head) or head.startswith((b"OggS", b"fLaC")) or mpeg.begins(source, at)


def is_form(head: bytes) -> bool:
    """Whether the first 12 bytes are those of a WAV or AIFF file."""
    return head[:4] in FORMS and head[8:12] in TYPES


# ---- WAV, RF64, AIFF ---------------------------------------------------------------------------


Order = Literal["little", "big"]
Fixes = dict[int, bytes]  # byte of the file -> bytes to read in its place


@dataclass
class _Sound:
    """The sound of a WAV or AIFF file.

    frame   bytes of a sample in all channels, or of a block of a coder, which is `packed`
    data    its first byte; stated: how many bytes of it the header promises
    fields  the fields of the header that depend on its size: byte of the file -> their number of
            bytes, and how many bytes of sound count as one, and how many are added
    halved  its size has 64 bits in one field, and 0 in the field that should refer to it
    """

    frame: int = 1
    packed: bool = False
    data: int = 0
    stated: int = 0
    fields: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    halved: bool = False


def _forms(source: Source, at: int) -> list[Part]:
    found = []
    while at < source.size:
        part, at = _form(source, at)
        found.append(part)
    return found


def _form(source: Source, begin: int) -> tuple[Part, int]:
    """The stream whose header begins at a byte, and where the next one begins."""
    magic = source.read(begin, 4)
    order: Order = "little" if magic in (b"RIFF", b"RF64", b"BW64") else "big"
    sound = _header(source, begin, order)
    fixes = {begin: b"RF64"} if magic == b"BW64" else {}  # which are alike
    if not sound.data:
        return Part((range(begin, source.size),)), source.size
    size, remark = _true_size(source, begin, sound, order)
    end = sound.data + size
    rest = _behind(source, end, order)
    if rest.sounds:
        raise AudioError(f"holds several chunks of sound, expected one: {REPAIR}")
    behind = rest.end if rest.whole else _next_form(source, begin, end)
    if size != sound.stated or sound.halved:
        for at, (width, unit, more) in sound.fields.items():
            fixes[at] = min(size // unit + more, 256**width - 1).to_bytes(width, order)
    elif rest.whole:
        end = behind
    return Part(_spliced(range(begin, end), fixes), remark=remark), behind


def _chunks(source: Source, at: int, order: Order) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and stated size of each chunk from byte `at` on."""
    while len(head := source.read(at, 8)) == 8:
        size = int.from_bytes(head[4:], order)
        if not any(head):  # padding, or a file whose room was reserved
            at = source.behind_zeros(at)
            continue
        yield head[:4], at + 8, size
        at += 8 + size + size % 2


def _header(source: Source, begin: int, order: Order) -> _Sound:
    sound, wide = _Sound(), 0
    for name, at, size in _chunks(source, begin + 12, order):
        if name == b"fmt ":
            tag, align = source.read(at, 2), source.read(at + 12, 2)
            sound.frame = max(int.from_bytes(align, order), 1)
            sound.packed = int.from_bytes(tag, order) not in UNPACKED
        elif name == b"COMM":
            sound.frame = _aiff_frame(source.read(at, 22))
            sound.fields[at + 2] = 4, sound.frame, 0
        elif name == b"ds64":
            wide = at + 8
        elif name in (b"data", b"SSND"):
            more = 8 if name == b"SSND" else 0  # its offset and block size
            sound.data, sound.stated = at + more, max(size - more, 0)
            sound.fields[at - 4] = 4, 1, more
            if wide and size in (0, 2**32 - 1):
                sound.stated = int.from_bytes(source.read(wide, 8), order)
                sound.fields = {wide: (8, 1, 0), at - 4: (4, 1, 2**32 - 1)}
                sound.halved = not size
            break
    return sound


def _aiff_frame(comm: bytes) -> int:
    """Bytes of a frame: those of all channels, in the sizes that the compressions have."""
    bits = 8 if comm[18:22] in (b"ulaw", b"ULAW", b"alaw", b"ALAW") else comm[7]
    return max(int.from_bytes(comm[:2], "big") * -(-bits // 8), 1)


def _true_size(source: Source, begin: int, sound: _Sound, order: Order) -> tuple[int, str]:
    """Bytes of sound, and a remark if the header is wrong."""
    stated = sound.stated
    end = sound.data + stated
    unstated = not stated and _silent(source, end)
    if end <= source.size and not unstated and _behind(source, end, order).whole:
        return stated, ""
    room = _end_of_sound(source, begin, sound, order) - sound.data
    size = room // sound.frame * sound.frame
    if not stated or any(0 <= n - stated < NEAR + sound.frame for n in PLACEHOLDERS if n):
        return size, ""
    if stated < room:
        return _more_than_stated(stated, size, room)
    missing = stated - room
    slip = SLIP if sound.packed else max(SLIP, sound.frame - 1)
    slipped = missing <= slip or missing == sound.data - begin
    if not slipped or (sound.packed and room % sound.frame):
        raise AudioError(f"is cut off, expected {missing} bytes more: {REPAIR}")
    return size, f"its header states {missing} bytes more than there are, it is read to its end"


def _more_than_stated(stated: int, size: int, room: int) -> tuple[int, str]:
    """A header that was written too early, or of 32 bits for more: unless little lies behind it."""
    behind = room - stated
    if behind > max(stated // FOREIGN, SLIP):
        return size, f"its header states {behind} bytes less than there are, it is read to its end"
    return stated, f"{behind} bytes behind the sound that its header states were not read"


def _silent(source: Source, at: int) -> bool:
    """Whether zeros begin there: sound, where no size is stated."""
    return source.read(at, 4) == bytes(4)


def _end_of_sound(source: Source, begin: int, sound: _Sound, order: Order) -> int:
    """Where sound of unknown size ends: at chunks behind it, another file, or the end of this."""
    end, broken = _next_form(source, begin, sound.data), 0
    start = max(sound.data, end - TRAILER)
    for at in source.find(TRAILING, start, 4):
        if at >= end:
            break
        if at >= broken:  # else a chunk from which the walk did not arrive at the end
            rest = _behind(source, at, order)
            if rest.whole and rest.end >= end:
                return at
            broken = rest.end
    return end


def _next_form(source: Source, begin: int, at: int) -> int:
    """Where a file of the kind of that at `begin` lies from `at` on; else the end."""
    head = source.read(begin, 12)
    return next(source.find(re.escape(head[:4]) + b".{4}" + head[8:], at, 12), source.size)


class _Rest(NamedTuple):
    """Bytes behind sound.

    end     of chunks, zeros and tags
    whole   another file begins there, or nothing does
    sounds  chunks of sound among them
    """

    end: int
    whole: bool
    sounds: int = 0


def _behind(source: Source, at: int, order: Order) -> _Rest:
    sounds = 0
    while at < source.size:
        at = source.behind_zeros(at)
        head = source.read(at, 12)
        if not head or is_form(head):
            break
        if head.startswith(TAGS):
            return _Rest(next(source.find(ANY_FORM, at, 12), source.size), True, sounds)
        size = int.from_bytes(head[4:8], order)
        there = at + 8 + size <= source.size and _is_name(head[:4])
        if not (there or re.match(TRAILING, head)):
            return _Rest(at, False, sounds)
        sounds += head[:4] in (b"data", b"SSND")
        at += 8 + size
        at += size % 2 and not _is_name(source.read(at, 4))  # padding, which some leave out
    return _Rest(min(at, source.size), True, sounds)


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and name.isascii() and name.decode().isprintable()


def _spliced(whole: range, fixes: Fixes) -> tuple[bytes | range, ...]:
    pieces: list[bytes | range] = []
    at = whole.start
    for start, new in sorted(fixes.items()):
        pieces += [range(at, start), new]
        at = start + len(new)
    return *pieces, range(at, whole.stop)


# ---- Ogg ---------------------------------------------------------------------------------------


def _ogg(source: Source, at: int) -> list[Part]:
    """The links of a chain: groups of pages, each begun and ended by pages marked so."""
    starts: list[int] = []
    beginning, ended = False, True
    link = _Link()
    while at < source.size:
        head = source.read(at, 27 + 255)  # RFC 3533, section 6
        if not head.startswith(b"OggS"):
            _check_rest(source, at, ended)
            break
        body = 27 + (head[26] if len(head) > 26 else 255)
        size = body + sum(head[27:body])
        if at + size > source.size:
            ended = False
            break
        if head[5] & 2 and not beginning:
            _check_ended(ended)
            starts.append(at)
            link = _Link()
        beginning, ended = bool(head[5] & 2), bool(head[5] & 4)
        link.check(at, source.read(at, size), body)
        at += size
    _check_ended(ended)
    return [Part((range(*ends),)) for ends in itertools.pairwise([*starts, at])]


@dataclass
class _Link:
    """A link of a chain.

    pages   serial number of a stream -> number of its next page
    voices  streams of sound
    """

    pages: dict[bytes, int] = field(default_factory=dict)
    voices: int = 0

    def check(self, at: int, page: bytes, body: int) -> None:
        """Raises AudioError if libsndfile would pass over the page, or over a stream.

        at: byte of the file where the page begins; body: byte of the page behind its header.
        """
        serial, number = page[14:18], int.from_bytes(page[18:22], "little")
        if int.from_bytes(page[22:26], "little") != _checksum(page):
            raise AudioError(
                f"is damaged, the Ogg page at byte {at} has another checksum: {REPAIR}"
            )
        if number != self.pages.get(serial, number):
            raise AudioError(f"is damaged, Ogg pages are missing before byte {at}: {REPAIR}")
        self.pages[serial] = (number + 1) % 2**32
        if page[5] & 2:
            self._begin(page[body:])

    def _begin(self, body: bytes) -> None:
        if body.startswith(b"\x7fFLAC"):
            raise AudioError("holds FLAC in Ogg, which cannot be read here: convert it to .flac")
        self.voices += body.startswith(VOICES)
        if self.voices > 1:
            raise AudioError("holds several streams side by side: split it into files")


def _checksum(page: bytes) -> int:
    """Of an Ogg page: the CRC of zlib with all bits mirrored, and begun and ended with zeros."""
    bare = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(bare.translate(MIRRORED), 2**32 - 1) ^ (2**32 - 1)
    return int(f"{mirrored:032b}"[::-1], 2)


def _check_rest(source: Source, at: int, ended: bool) -> None:
    """Raises AudioError unless a rest that begins with no page lies behind the end."""
    for page in source.find(b"OggS", at, 4):
        raise AudioError(f"is damaged, bytes {at} to {page} are no Ogg page: {REPAIR}")
    _check_ended(ended)


def _check_ended(ended: bool) -> None:
    if not ended:
        raise AudioError(f"is cut off, expected a last page that says so: {REPAIR}")


# ---- FLAC --------------------------------------------------------------------------------------


def _flacs(source: Source, at: int) -> list[Part]:
    starts, start = [], at
    while start < source.size:
        starts.append(start)
        start = next(source.find(FLAC, _behind_metadata(source, start), 8), source.size)
    return [Part((range(*ends),)) for ends in itertools.pairwise([*starts, source.size])]


def _behind_metadata(source: Source, at: int) -> int:
    """The first byte of sound of a FLAC: its metadata may hold another FLAC."""
    at, last = at + 4, False
    while not last and len(head := source.read(at, 4)) == 4:  # RFC 9639, section 8.1
        last = head[0] >= 0x80
        at += 4 + int.from_bytes(head[1:], "big")
    return at
