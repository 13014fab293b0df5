"""WAV, AIFF, Ogg and FLAC: sizes that no recorder filled in, and several streams in a file."""

import io
import struct
import warnings

import numpy as np
import pytest
import soundfile
from recordings import RATE, tone

from fastwavenet.audio import AudioError, read_audio
from fastwavenet.containers import SLIP, _checksum

HEADER = 44
FRAMES = {"16_bit": (1, 2), "24_bit": (1, 3), "3_channels": (3, 2), "6_channels_24_bit": (6, 3)}


def wav(stated: int, sound: bytes, channels=1, width=2, more=b"", riff=None) -> bytes:
    """A WAV whose header states so many bytes of sound."""
    numbers = 1, channels, RATE, RATE * channels * width, channels * width, 8 * width
    form = b"fmt " + struct.pack("<IHHIIHH", 16, *numbers)
    riff = (stated + 36) % 2**32 if riff is None else riff
    head = (
        struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form + struct.pack("<4sI", b"data", stated)
    )
    return head + sound + more


def read(data: bytes, **how) -> np.ndarray:
    """Without a remark."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_audio(io.BytesIO(data), **how)[0]


def noise(channels: int, width: int, n: int = 999) -> bytes:
    return np.random.default_rng(1).bytes(n * channels * width)


# ---- sizes of WAV files ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(
    "size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF - 36]
)
@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("riff", [0, 0xFFFFFFFF, None])
def test_a_size_that_was_not_known_means_to_the_end(kind, size, rounded, riff):
    channels, width = FRAMES[kind]
    frame = channels * width
    sound = noise(channels, width)
    stated = size // frame * frame if rounded else size
    expected = read(wav(len(sound), sound, channels, width), convert=True)
    assert len(expected) == 999
    found = read(wav(stated, sound, channels, width, riff=riff), convert=True)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rest", range(4))
def test_to_the_end_means_to_the_last_whole_frame(rest):
    sound = noise(2, 2)
    found = read(wav(0, sound + bytes(rest), 2, 2), convert=True)
    np.testing.assert_array_equal(found, read(wav(len(sound), sound, 2, 2), convert=True))


def test_no_sound_before_other_chunks_is_no_sound():
    for more in (b"", struct.pack("<4sI4s", b"LIST", 4, b"INFO")):
        with pytest.raises(AudioError, match="holds no samples, expected audio"):
            read(wav(0, b"", more=more))


@pytest.mark.parametrize("kind", FRAMES)
def test_a_size_that_slipped_is_remarked_and_a_larger_one_is_cut_off(kind):
    channels, width = FRAMES[kind]
    sound = noise(channels, width)
    expected = read(wav(len(sound), sound, channels, width), convert=True)
    for missing in (1, 8, SLIP - 1, SLIP):
        data = wav(len(sound) + missing, sound, channels, width)
        remark = f"its header states {missing} bytes more than there are"
        with pytest.warns(UserWarning, match=f"^the file object: {remark}"):
            found, _ = read_audio(io.BytesIO(data), convert=True)
        np.testing.assert_array_equal(found, expected)
    for missing in (SLIP + 1, 1000, len(sound)):
        with pytest.raises(AudioError, match=f"is cut off, expected {missing} bytes more: copy it"):
            read(wav(len(sound) + missing, sound, channels, width), convert=True)


def test_less_than_a_frame_of_many_channels_may_be_missing():
    sound = noise(64, 2)
    data = wav(len(sound), sound[:-127], 64)
    with pytest.warns(UserWarning, match="states 127 bytes more"):
        assert len(read_audio(io.BytesIO(data), convert=True)[0]) == 998
    with pytest.raises(AudioError, match="is cut off, expected 128 bytes more"):
        read(wav(len(sound), sound[:-128], 64), convert=True)


def test_gigabytes_that_are_stated_and_not_there_are_cut_off():
    sound = noise(1, 2)
    for stated in (0x7F000000 - 1000, 0x80001000, 3 * 2**30, 0xFFFF0000):
        with pytest.raises(AudioError, match=f"expected {stated - len(sound)} bytes more"):
            read(wav(stated, sound))


LIST = struct.pack("<4sI4s", b"LIST", 26, b"INFO") + b"ISFT" + struct.pack("<I", 14) + bytes(14)


@pytest.mark.parametrize("stated", [0, 2**32 - 1])
@pytest.mark.parametrize("more", [LIST, LIST + LIST, b"id3 \3\0\0\0abc\0" + LIST])
def test_chunks_behind_sound_of_unknown_size_are_no_sound(stated, more):
    sound = noise(1, 2)
    np.testing.assert_array_equal(read(wav(stated, sound, more=more)), read(wav(1998, sound)))


@pytest.mark.parametrize("missing", [8, 36])
def test_a_size_that_slipped_into_chunks_does_not_make_them_sound(missing):
    sound = noise(1, 2)
    with pytest.warns(UserWarning, match=f"states {missing} bytes more than there are"):
        found, _ = read_audio(io.BytesIO(wav(len(sound) + missing, sound, more=LIST)))
    np.testing.assert_array_equal(found, read(wav(len(sound), sound)))


@pytest.mark.parametrize("stated", [2, 200, 1000, 1800])
def test_a_header_of_less_than_there_is_does_not_shorten_the_sound(stated):
    sound = noise(1, 2)
    remark = f"its header states {1998 - stated} bytes less than there are, it is read to its end"
    for data in (wav(stated, sound), wav(stated, sound, more=LIST), rf64(b"RF64", stated, sound)):
        with pytest.warns(UserWarning, match=remark):
            found, _ = read_audio(io.BytesIO(data))
        np.testing.assert_array_equal(found, read(wav(1998, sound)))


def test_a_little_behind_the_sound_is_not_read_and_remarked():
    sound = noise(1, 2)
    more = b"\xff\1garbage"
    with pytest.warns(UserWarning, match="9 bytes behind the sound that its header states were"):
        found, _ = read_audio(io.BytesIO(wav(1998, sound, more=more)))
    np.testing.assert_array_equal(found, read(wav(1998, sound)))


@pytest.mark.parametrize("more", [b"TAG" + bytes(125), b"ID3\3" + bytes(99), bytes(9 << 20)])
def test_tags_and_zeros_behind_the_sound_are_passed_over(more):
    sound = noise(1, 2)
    data = wav(1998, sound, more=more)
    np.testing.assert_array_equal(read(data), read(wav(1998, sound)))
    np.testing.assert_array_equal(read(data + data), np.tile(read(data), 2))


def test_zeros_between_two_files_do_not_hide_the_second():
    data = wav(1998, noise(1, 2))
    np.testing.assert_array_equal(read(data + bytes(3001) + data), np.tile(read(data), 2))


def test_silence_of_unknown_size_is_sound():
    assert len(read(wav(0, bytes(1998)))) == 999


def test_sound_that_looks_like_one_chunk_is_sound():
    sound = b"AAAAd\0\0\0" + noise(1, 1)
    assert len(read(wav(0, sound, width=1))) == 8 + 999


def test_sound_as_long_as_its_file_means_a_header_counted_as_sound():
    sound = noise(1, 2)
    data = bytearray(wav(len(sound), sound))
    data[36:36] = LIST
    data[40 + len(LIST) : 44 + len(LIST)] = struct.pack("<I", len(data))
    with pytest.warns(UserWarning, match=f"states {44 + len(LIST)} bytes more than there are"):
        found, _ = read_audio(io.BytesIO(bytes(data)))
    np.testing.assert_array_equal(found, read(wav(len(sound), sound)))


def test_two_chunks_of_sound_are_refused():
    sound = noise(1, 2)
    more = struct.pack("<4sI", b"data", len(sound)) + sound
    with pytest.raises(AudioError, match="holds several chunks of sound, expected one"):
        read(wav(len(sound), sound, more=more))


# ---- RF64 and BW64 -----------------------------------------------------------------------------


def rf64(magic: bytes, stated: int, sound: bytes) -> bytes:
    data = wav(0xFFFFFFFF, sound)
    ds64 = struct.pack("<4sIQQQI", b"ds64", 28, min(stated + 72, 2**64 - 1), stated, stated // 2, 0)
    return magic + b"\xff\xff\xff\xffWAVE" + ds64 + data[12:]


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
def test_files_with_sizes_of_64_bits_are_read(magic):
    sound = noise(1, 2)
    expected = read(wav(len(sound), sound))
    for stated in (len(sound), 0, 2**64 - 1):
        np.testing.assert_array_equal(read(rf64(magic, stated, sound)), expected)
    with pytest.warns(UserWarning, match="states 8 bytes more"):
        found, _ = read_audio(io.BytesIO(rf64(magic, len(sound) + 8, sound)))
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(AudioError, match="is cut off, expected 5000000000 bytes more"):
        read(rf64(magic, len(sound) + 5 * 10**9, sound))


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
def test_a_64_bit_size_counts_where_the_other_is_0(magic):
    sound = noise(1, 2)
    for stated in (len(sound), 0, 2**64 - 1):
        data = bytearray(rf64(magic, stated, sound))
        data[-len(sound) - 4 : -len(sound)] = bytes(4)
        np.testing.assert_array_equal(read(bytes(data)), read(wav(len(sound), sound)))


# ---- AIFF --------------------------------------------------------------------------------------


def aiff(stated: int | None = None, missing: int = 0, **how) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(999), RATE, format="AIFF", **how)
    data = bytearray(buffer.getvalue())
    at = data.index(b"SSND") + 4
    if stated is not None:
        data[at : at + 4] = stated.to_bytes(4, "big")
        count = data.index(b"COMM") + 10
        data[count : count + 4] = (stated // 2).to_bytes(4, "big")
    return bytes(data[: len(data) - missing])


@pytest.mark.parametrize("stated", [0, 0x7F000000, 0x7F000008, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("how", [{}, {"endian": "LITTLE"}, {"subtype": "ULAW"}])
def test_an_aiff_whose_size_was_not_known_is_read_to_its_end(stated, how):
    np.testing.assert_array_equal(read(aiff(stated, **how)), read(aiff(**how)))


@pytest.mark.parametrize("stated", [0, 0xFFFFFFFF])
def test_chunks_behind_an_aiff_of_unknown_size_are_no_sound(stated):
    np.testing.assert_array_equal(read(aiff(stated) + b"NAME\0\0\0\4name"), read(aiff()))


def test_an_aiff_that_lacks_little_is_remarked():
    with pytest.warns(UserWarning, match="its header states 8 bytes more"):
        found, _ = read_audio(io.BytesIO(aiff(missing=8)))
    np.testing.assert_array_equal(found, read(aiff())[:-4])
    with pytest.raises(AudioError, match="is cut off"):
        read(aiff(missing=SLIP + 1))


# ---- several streams ---------------------------------------------------------------------------

CONTAINERS = ["WAV", "WAVEX", "RF64", "AIFF", "FLAC", "OGG", "OPUS"]


def stream(container: str, n: int, rate=RATE, channels=1) -> bytes:
    buffer, subtype = io.BytesIO(), "OPUS" if container == "OPUS" else None
    audio = np.repeat(tone(n)[:, None], channels, axis=1)
    container = container.replace("OPUS", "OGG")
    soundfile.write(buffer, audio, rate, format=container, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("count", [2, 3])
def test_streams_one_behind_another_are_all_read(container, count):
    parts = [stream(container, n) for n in (1000, 2001, 5000)[:count]]
    expected = np.concatenate([read(part) for part in parts])
    np.testing.assert_array_equal(read(b"".join(parts)), expected)


@pytest.mark.parametrize("container", CONTAINERS)
def test_streams_that_differ_are_refused(container):
    other = stream(container, 1000, 24000), stream(container, 1000, channels=2)
    for second, found in zip(other, ("24000 Hz with 1", "16000 Hz with 2"), strict=True):
        message = f"several streams, one of 16000 Hz with 1 .* another of {found}: split"
        with pytest.raises(AudioError, match=message):
            read(stream(container, 1000) + second)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_second_stream_that_is_cut_off_is_refused(container):
    first, second = stream(container, 5000), stream(container, 5000)
    for end in (len(second) // 2, len(second) - SLIP - 1):
        with pytest.raises(AudioError, match="cut off"):
            read(first + second[:end])


def test_wavs_of_unknown_size_one_behind_another_are_all_read():
    sound = noise(1, 2)
    expected = read(wav(len(sound), sound))
    found = read(wav(0xFFFFFFFF, sound) + wav(0, sound) + wav(len(sound), sound))
    np.testing.assert_array_equal(found, np.tile(expected, 3))


def test_a_stream_behind_chunks_of_the_first_is_read():
    sound = noise(1, 2)
    tail = struct.pack("<4sI4s", b"LIST", 3, b"abc\0")
    np.testing.assert_array_equal(
        read(wav(len(sound), sound, more=tail) + wav(len(sound), sound)),
        np.tile(read(wav(len(sound), sound)), 2),
    )


def test_an_ogg_without_its_last_page_before_another_is_refused():
    data = stream("OGG", 10 * RATE)
    last = data.rindex(b"OggS")
    with pytest.raises(AudioError, match="is cut off, expected a last page that says so"):
        read(data[:last] + data)


def test_bytes_between_ogg_pages_that_are_none_are_damage():
    data = stream("OGG", 10 * RATE)
    with pytest.raises(AudioError, match=f"bytes {len(data)} to {len(data) + 9} are no Ogg page"):
        read(data + b"123456789" + data)
    assert len(read(data + b"TAG" + bytes(125))) == 10 * RATE


def test_an_id3_tag_before_any_kind_is_passed_over():
    for container in CONTAINERS:
        data = stream(container, 5000)
        np.testing.assert_array_equal(read(b"ID3\4\0\0\0\0\1\0" + bytes(128) + data), read(data))


# ---- pages of Ogg ------------------------------------------------------------------------------


def pages(data: bytes) -> list[bytes]:
    starts = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]


@pytest.mark.parametrize("container", ["OGG", "OPUS"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_bit_that_flipped_in_an_ogg_is_damage(container, before):
    whole = stream(container, 10 * RATE)
    for page in range(len(pages(whole))):
        begin = len(b"".join(pages(whole)[:page]))
        end = begin + len(pages(whole)[page])
        data = bytearray(whole)
        data[end - 1] ^= 1
        with pytest.raises(
            AudioError, match=f"is damaged, the Ogg page at byte {begin + before * len(whole)} "
        ):
            read(before * whole + data)


@pytest.mark.parametrize("container", ["OGG", "OPUS"])
def test_an_ogg_that_lacks_pages_inside_is_damaged(container):
    found = pages(stream(container, 30 * RATE))
    assert len(found) > 4
    for lost in (slice(2, 3), slice(2, len(found) // 2), slice(len(found) - 2, len(found) - 1)):
        data = b"".join(p for p in found if p not in found[lost])
        with pytest.raises(
            AudioError, match=r"is damaged, Ogg pages are missing before byte \d+: "
        ):
            read(data)


def test_ogg_streams_side_by_side_are_refused():
    first, second = (pages(stream("OGG", 5000, channels=n)) for n in (1, 2))
    data = b"".join(page for both in zip(first, second, strict=False) for page in both)
    with pytest.raises(AudioError, match="holds several streams side by side: split it into files"):
        read(data)


def test_flac_in_ogg_is_refused_by_name():
    page = bytearray(b"OggS\0\2" + bytes(20) + b"\1\5\x7fFLAC")
    page[22:26] = _checksum(bytes(page)).to_bytes(4, "little")
    with pytest.raises(
        AudioError, match="holds FLAC in Ogg, which cannot be read here: convert it"
    ):
        read(bytes(page))


# ---- metadata of FLAC --------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2])
def test_a_flac_within_the_metadata_of_a_flac_is_no_stream(count):
    plain = stream("FLAC", 5000)
    end = 4 + 4 + 34  # of the first block
    block = b"\2" + (4 + 8 + 34).to_bytes(3, "big") + b"test" + plain[: 8 + 34]
    data = plain[:end] + block + plain[end:]
    np.testing.assert_array_equal(read(count * data), np.tile(read(plain), count))
