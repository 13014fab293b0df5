"""MP3 files: as many samples as another decoder finds, whatever tables and tags they have."""

import io
import warnings

import numpy as np
import pytest
import soundfile
from recordings import RATE, tone

from fastwavenet import containers, mpeg
from fastwavenet.audio import AudioError, read_audio
from fastwavenet.audio_source import Source

av = pytest.importorskip("av", reason="PyAV, which makes and decodes MP3s here, is not installed")


def mp3(
    audio, rate=RATE, bitrate=None, codec="libmp3lame", layout="mono", form="mp3", **options
) -> bytes:
    """An MP3 by ffmpeg, of constant bit rate if one is given; options: of its muxer."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form, options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = bitrate or 64000
        if bitrate is None:
            stream.codec_context.qscale = True
            stream.codec_context.global_quality = 4 * 118  # lambda: -q:a 4
        samples = np.round(32767 * audio).astype(np.int16)[None]
        samples = samples.repeat(stream.layout.nb_channels, axis=1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format, layout, rate, frame_size=stream.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(part))
    return buffer.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """All samples of the first channel by ffmpeg's decoder."""
    with av.open(io.BytesIO(data)) as container:
        frames = [f.to_ndarray()[0, : f.samples] for f in container.decode(audio=0)]
    return np.concatenate(frames)


def loud_then_quiet(seconds=6) -> np.ndarray:
    rng = np.random.default_rng(1)
    loud = rng.uniform(-0.5, 0.5, RATE)
    return np.concatenate([loud, 1e-3 * tone((seconds - 1) * RATE)])


SOUNDS = {"loud_then_quiet": loud_then_quiet(), "quiet_then_loud": loud_then_quiet()[::-1]}


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("bitrate", [None, 32000], ids=["vbr", "cbr"])
@pytest.mark.parametrize("table", ["1", "0"], ids=["table", "no_table"])
def test_an_mp3_has_the_samples_of_another_decoder(sound, bitrate, table):
    data = mp3(SOUNDS[sound], bitrate=bitrate, write_xing=table)
    assert (b"Xing" in data or b"Info" in data) == (table == "1")
    audio, expected = read_audio(io.BytesIO(data))[0], decoded(data)
    assert len(audio) == len(expected)
    np.testing.assert_allclose(audio, expected, atol=1e-5)


def test_libsndfile_alone_shortens_such_files():
    """Else the test above proves nothing."""
    data = mp3(SOUNDS["loud_then_quiet"], write_xing="0")
    assert len(soundfile.read(io.BytesIO(data))[0]) < len(decoded(data)) / 2


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 24000, 44100, 48000])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_every_version_of_mpeg_is_counted(rate, layout):
    data = mp3(tone(rate, rate=rate), rate, layout=layout, write_xing="0")
    audio, found = read_audio(io.BytesIO(data), convert=True)
    assert (found, len(audio)) == (rate, len(decoded(data)))


def test_layer_two_is_counted():
    data = mp3(tone(), codec="mp2", bitrate=64000, form="mp2")
    assert len(read_audio(io.BytesIO(data))[0]) == len(decoded(data))


# ---- tags --------------------------------------------------------------------------------------

ID3V1 = b"TAG" + bytes(125)


def id3v2(size: int) -> bytes:
    """A tag of `size` bytes behind its head, with a cover image that resembles a frame."""
    syncsafe = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\4\0\0" + syncsafe + (b"\xff\xfb\x90\x64" * size)[:size]


def ape(size: int, header: bool) -> bytes:
    """An APE tag with items of `size` bytes."""
    numbers = [2000, size + 32, 1]
    tag = b"APETAGEX" + b"".join(n.to_bytes(4, "little") for n in numbers)
    flags = (1 << 31) if header else 0
    footer = tag + flags.to_bytes(4, "little") + bytes(8)
    head = tag + (flags | 1 << 29).to_bytes(4, "little") + bytes(8)
    return (head if header else b"") + bytes(size) + footer


def lyrics(size: int) -> bytes:
    text = b"LYRICSBEGIN" + b"x" * (size - 11)
    return text + f"{size:06}".encode() + b"LYRICS200"


BEFORE = {"nothing": b"", "tag": id3v2(99), "cover": id3v2(300000), "two": id3v2(9) + id3v2(1)}
BEHIND = {
    "nothing": b"",
    "id3v1": ID3V1,
    "ape": ape(5000, True),
    "ape_without_header": ape(5000, False),
    "ape_and_id3v1": ape(500, True) + ID3V1,
    "lyrics_and_id3v1": lyrics(3000) + ID3V1,
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("behind", BEHIND)
def test_tags_change_nothing(before, behind):
    plain = mp3(tone(), bitrate=32000, write_xing="0")
    plain = plain[mpeg.skip_id3(Source(io.BytesIO(plain))) :]
    expected = read_audio(io.BytesIO(plain))[0]
    audio, _ = read_audio(io.BytesIO(BEFORE[before] + plain + BEHIND[behind]))
    np.testing.assert_array_equal(audio, expected)


# ---- several streams, cut off ------------------------------------------------------------------


@pytest.mark.parametrize("table", ["1", "0"])
def test_streams_one_behind_another_are_all_read(table):
    parts = [mp3(tone(n), bitrate=32000, write_xing=table) for n in (RATE, 2 * RATE)]
    expected = np.concatenate([read_audio(io.BytesIO(part))[0] for part in parts])
    audio, _ = read_audio(io.BytesIO(b"".join(parts)))
    assert len(audio) == len(expected)


def test_streams_of_different_rates_are_refused():
    data = mp3(tone(), bitrate=32000) + mp3(tone(24000, rate=24000), 24000, bitrate=32000)
    with pytest.raises(AudioError, match="several streams, one of 16000 Hz .* another of 24000 Hz"):
        read_audio(io.BytesIO(data))


def test_a_stream_without_a_table_is_whole_wherever_it_ends():
    data = mp3(tone(), bitrate=32000, write_xing="0")
    size = 144  # of a frame: 72 * 32000 / 16000
    ends = [
        len(read_audio(io.BytesIO(data[: len(data) - cut]))[0]) for cut in (0, 1, size - 1, size)
    ]
    assert ends == [ends[0]] + [ends[0] - 576] * 3


def test_a_stream_shorter_than_its_table_states_is_refused():
    data = mp3(tone(), bitrate=32000)
    for end in (len(data) - 1, len(data) - 144, len(data) // 2):
        with pytest.raises(AudioError, match=r"is cut off after \d+ MPEG frames, expected \d+: "):
            read_audio(io.BytesIO(data[:end]))


def test_a_table_that_counts_its_own_frame_is_believed():
    data = bytearray(mp3(tone(), bitrate=32000))
    at = data.index(b"Info") + 8
    count = int.from_bytes(data[at : at + 4], "big")
    whole = len(read_audio(io.BytesIO(data))[0])
    data[at : at + 4] = (count + 1).to_bytes(4, "big")
    assert len(read_audio(io.BytesIO(data))[0]) == whole
    data[at : at + 4] = (count + 2).to_bytes(4, "big")
    with pytest.raises(
        AudioError, match=f"cut off after {count} MPEG frames, expected {count + 2}"
    ):
        read_audio(io.BytesIO(data))


def test_a_vbri_table_counts_too():
    plain = mp3(tone(), bitrate=32000, write_xing="0")
    frames = plain[mpeg.skip_id3(Source(io.BytesIO(plain))) :]
    whole = read_audio(io.BytesIO(plain))[0]

    def table(count: int) -> bytes:
        numbers = [len(frames) + 144, count]
        vbri = b"VBRI" + bytes(6) + b"".join(n.to_bytes(4, "big") for n in numbers)
        return (frames[:4] + bytes(32) + vbri).ljust(144, b"\0")

    count = len(frames) // 144
    np.testing.assert_array_equal(read_audio(io.BytesIO(table(count) + frames))[0], whole)
    with pytest.raises(
        AudioError, match=f"cut off after {count} MPEG frames, expected {count + 9}"
    ):
        read_audio(io.BytesIO(table(count + 9) + frames))


def test_bytes_between_frames_that_are_none_are_damage():
    data = bytearray(mp3(tone(), bitrate=32000, write_xing="0"))
    middle = len(data) // 2
    data[middle : middle + 1000] = b"\x55" * 1000
    with pytest.raises(AudioError, match=r"is damaged, bytes \d+ to \d+ are no MPEG frames: copy"):
        read_audio(io.BytesIO(data))


def test_mp3_in_wav_is_refused_by_name():
    data = mp3(tone(), bitrate=32000, form="wav")
    with pytest.raises(AudioError, match="holds MP3 in WAV, which cannot be read: convert it"):
        read_audio(io.BytesIO(data))


# ---- frames apart from one another -------------------------------------------------------------


def bare(**how) -> bytes:
    """A VBR stream of frames of many sizes without tags."""
    data = mp3(SOUNDS["loud_then_quiet"], **how)
    return data[mpeg.skip_id3(Source(io.BytesIO(data))) :]


def behind_first(data: bytes) -> int:
    frame = mpeg.parse(data)
    assert frame is not None
    return frame.size


def read(data: bytes, **how) -> np.ndarray:
    """Without a remark."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_audio(io.BytesIO(data), **how)[0]


@pytest.mark.parametrize("table", ["1", "0"], ids=["table", "no_table"])
@pytest.mark.parametrize("zeros", [1, 4, 8, 3000])
def test_zeros_behind_the_first_frame_lose_nothing(table, zeros):
    data = bare(write_xing=table)
    at = behind_first(data)
    assert len(read(data[:at] + bytes(zeros) + data[at:])) == len(read(data))


@pytest.mark.parametrize("table", ["1", "0"], ids=["table", "no_table"])
@pytest.mark.parametrize("lost", [(-4, 0), (0, 20)], ids=["of_the_first", "of_the_second"])
def test_bytes_lost_at_the_first_frame_are_damage(table, lost):
    data = bare(write_xing=table)
    at = behind_first(data)
    with pytest.raises(AudioError, match="is damaged, bytes"):
        read(data[: at + lost[0]] + data[at + lost[1] :])


def test_a_table_apart_from_its_frames_counts_them_all_the_same():
    data = bare(write_xing="1")
    at = behind_first(data)
    with pytest.raises(AudioError, match="is cut off after"):
        read((data[:at] + bytes(9) + data[at:])[: len(data) // 2])


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("flags", [0, 2, 14])
def test_a_table_without_a_count_of_frames_shortens_nothing(sound, flags):
    data = bytearray(mp3(SOUNDS[sound]))
    at = data.index(b"Xing") + 4
    data[at : at + 4] = flags.to_bytes(4, "big")
    plain = mp3(SOUNDS[sound], write_xing="0")
    assert len(read(data)) == len(read(plain))


@pytest.mark.parametrize("first", [24000, 32000, 48000])
def test_a_vbri_frame_of_another_size_shortens_nothing(first):
    plain = bare(write_xing="0")
    count = len(read(plain)) // 576
    frame = next(
        bytes([plain[0], plain[1], third, plain[3]])
        for third in range(256)
        if mpeg.parse(bytes([plain[0], plain[1], third, plain[3]]))
        == (*mpeg.parse(plain)[:2], 72 * first // RATE)
    )
    numbers = [len(plain) + 72 * first // RATE, count]
    vbri = b"VBRI" + bytes(6) + b"".join(n.to_bytes(4, "big") for n in numbers)
    table = (frame + bytes(32) + vbri).ljust(72 * first // RATE, b"\0")
    np.testing.assert_array_equal(read(table + plain), read(plain))


def test_a_table_may_count_streams_with_tables_of_their_own():
    first, second = bytearray(bare()), bare()
    at = first.index(b"Xing") + 8
    count = int.from_bytes(first[at : at + 4], "big")
    first[at : at + 4] = (2 * count + 1).to_bytes(4, "big")
    data = bytes(first) + second
    assert len(read(data)) == len(read(second)) + 576 * count
    with pytest.raises(AudioError, match="is cut off"):
        read(data[:-1000])


@pytest.mark.parametrize("table", ["1", "0"], ids=["table", "no_table"])
def test_mono_behind_stereo_is_refused(table):
    one, two = (mp3(tone(), bitrate=32000, layout=x, write_xing=table) for x in ("mono", "stereo"))
    for data in (one + two, two + one):
        with pytest.raises(AudioError, match="holds several streams, one of 16000 Hz with"):
            read(data, convert=True)


# ---- files that begin with other bytes ---------------------------------------------------------


@pytest.mark.parametrize("before", [bytes(100), ape(400, True), id3v2(9) + bytes(500)])
@pytest.mark.parametrize("table", ["1", "0"], ids=["table", "no_table"])
def test_zeros_and_tags_in_front_change_nothing(before, table):
    data = bare(write_xing=table)
    np.testing.assert_array_equal(read(before + data), read(data))


@pytest.mark.parametrize("before", [b"\r\n", b"JUNK" * 99, bare(write_xing="0")[300:400]])
def test_other_bytes_in_front_are_remarked(before):
    data = bare()
    with pytest.warns(UserWarning, match=f"bytes 0 to {len(before)} are no MPEG frames, they are"):
        found, _ = read_audio(io.BytesIO(before + data))
    np.testing.assert_array_equal(found, read(data))


@pytest.mark.parametrize("lines", [1, 5, 500])
def test_text_that_begins_like_a_frame_is_no_mp3(lines):
    data = b"\xff\xfe" + "[.ShellClassInfo]\r\n".encode("utf-16-le") * lines
    assert mpeg.parse(data) is not None
    assert not containers.is_known(Source(io.BytesIO(data)))
    with pytest.raises(AudioError, match="not a readable audio file"):
        read(data)


def test_a_stream_of_free_format_behind_a_tag_is_whole():
    data = bytearray(
        mp3(tone(48000, rate=48000), 48000, bitrate=64000, write_xing="0", id3v2_version="0")
    )
    expected = len(read(data))
    for at in range(0, len(data), 192):
        assert mpeg.parse(data[at : at + 4]) is not None
        data[at + 2] &= 0x0F
    assert len(read(data)) == len(read(id3v2(99) + data)) == expected


def test_likely_frames_are_all_places_where_frames_begin():
    rng = np.random.default_rng(1)
    noise = rng.choice(np.frombuffer(b"\xff\xfb\xf3\x90\x64\0TAGI", np.uint8), 20000).tobytes()
    source = Source(io.BytesIO(noise + bare(write_xing="0") + noise))
    found = [at for at in mpeg._likely_frames(source, 0, source.size) if mpeg.begins(source, at)]
    assert found == [at for at in range(source.size) if mpeg.begins(source, at)]
