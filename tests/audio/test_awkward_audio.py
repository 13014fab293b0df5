"""Awkward audio files, as they are found: each is read right or refused in one clear line."""

import io
import os
import resource
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import RATE, nobody, public_folder, record, tone

from fastwavenet.audio import READ_SUFFIXES, AudioError, find_audio, read_audio
from fastwavenet.audio_reading import MAX_FILE, MAX_PEAK, MAX_SAMPLES
from fastwavenet.containers import SLIP


def encoded(container="WAV", subtype=None, audio=None, rate=RATE) -> bytes:
    """A file as soundfile writes it: a second of a tone."""
    buffer = io.BytesIO()
    audio = tone() if audio is None else audio
    soundfile.write(buffer, audio, rate, format=container, subtype=subtype)
    return buffer.getvalue()


@pytest.fixture
def read(tmp_path):
    """Reads bytes as a file of some name."""

    def read_bytes(data, name="a.wav", **how):
        path = tmp_path / name
        path.write_bytes(data)
        return read_audio(path, **how)

    return read_bytes


@pytest.fixture
def refused(read):
    """Reads bytes that must be refused; returns the one line without the file's name."""

    def refuse(data, name="a.wav", **how):
        with pytest.raises(AudioError) as caught:
            read(data, name, **how)
        line = str(caught.value)
        assert f"{name}: " in line
        assert "\n" not in line
        return line.split(f"{name}: ", 1)[1]

    return refuse


# ---- sample formats --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_24"),
        ("WAV", "PCM_32"),
        ("WAV", "FLOAT"),
        ("WAV", "DOUBLE"),
        ("WAV", "ULAW"),
        ("WAV", "ALAW"),
        ("WAV", "MS_ADPCM"),
        ("WAV", "GSM610"),
        ("WAVEX", "PCM_16"),
        ("RF64", "PCM_16"),
        ("FLAC", "PCM_24"),
        ("OGG", "OPUS"),
        ("AIFF", "FLOAT"),
    ],
)
def test_other_sample_formats_are_read(read, container, subtype):
    audio, rate = read(encoded(container, subtype))
    assert (audio.dtype, rate) == (np.float32, RATE)
    inner = slice(2000, 14000)  # lossy coders need a while
    assert np.corrcoef(audio[inner], tone()[inner])[0, 1] > 0.995
    assert np.ptp(audio[inner]) == pytest.approx(1, abs=0.05)


def test_the_highest_values_are_read_exactly(read):
    audio = np.array([-1, 1 - 2**-23, 2**-23], np.float64)
    for subtype in ("PCM_24", "PCM_32", "DOUBLE"):
        np.testing.assert_array_equal(read(encoded("WAV", subtype, audio))[0], audio)


@pytest.mark.parametrize(
    ("container", "subtype", "rate"),
    [("WAV", "ULAW", 8000), ("FLAC", "PCM_24", 48000), ("AIFF", "PCM_16", 44100)],
)
def test_stereo_of_another_rate_is_converted_when_asked(read, container, subtype, rate):
    both = np.stack([tone(rate, rate=rate)] * 2, axis=1)
    audio, found = read(encoded(container, subtype, both, rate), sample_rate=RATE, convert=True)
    assert (len(audio), found) == (RATE, RATE)
    np.testing.assert_allclose(audio[2000:14000], tone()[2000:14000], atol=0.03)


def test_ogg_at_128_khz_is_read(read):
    data = encoded("OGG", audio=tone(128000, rate=128000), rate=128000)
    assert read(data)[1] == 128000
    audio, _ = read(data, sample_rate=RATE, convert=True)
    assert np.corrcoef(audio, tone())[0, 1] > 0.99


@pytest.mark.parametrize(
    "audio",
    [tone() / 4 + 0.5, np.clip(4 * tone(), -1, 1 - 2**-15), tone(1), tone(2240), np.zeros(99)],
    ids=["constant_offset", "clipped", "one_sample", "a_seventh_of_a_second", "silence"],
)
def test_what_sounds_odd_is_read_as_it_is(read, audio):
    np.testing.assert_allclose(read(encoded(audio=audio))[0], audio, atol=2**-15)


# ---- loudness --------------------------------------------------------------------------------


def test_what_overshoots_full_scale_is_kept(read):
    audio = 2 * MAX_PEAK * tone() * 0.999
    np.testing.assert_array_equal(read(encoded("WAV", "FLOAT", audio))[0], audio)


@pytest.mark.parametrize("peak", [2.001, -2.001, 44, -32768])
def test_what_was_never_scaled_is_refused(refused, peak):
    audio = np.append(tone(99), peak)
    line = refused(encoded("WAV", "FLOAT", audio), convert=True)
    assert line == f"peaks at {abs(peak):g}, expected 1 (full scale): scale it to [-1, 1] first"


def test_a_vorbis_file_that_decodes_to_a_peak_of_44_is_refused(refused):
    assert "peaks at 4" in refused(encoded("OGG", audio=88 * tone()))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_values_that_are_not_finite_are_refused_with_their_place(refused, value, channels):
    audio = np.zeros((99, channels))
    audio[17, -1] = value
    line = refused(encoded("WAV", "DOUBLE", audio), sample_rate=8000, convert=True)
    assert line == f"sample 17 is {value}, expected finite numbers"


# ---- no audio, or not what the name says -----------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"hello, I am not audio\n" * 9, "Format not recognised"),
        (bytes(range(256)) * 40, "Format not recognised"),
        (encoded()[:40], "Error in WAV file. No 'data' chunk marker"),
    ],
    ids=["empty", "text", "noise", "half_a_header"],
)
def test_what_is_not_audio_is_refused(refused, content, reason):
    suffixes = " ".join(READ_SUFFIXES)
    assert refused(content) == f"not a readable audio file ({reason}); expected one of {suffixes}"


def test_a_header_without_samples_is_refused(refused):
    for container in ("WAV", "AIFF"):
        assert refused(encoded(container, audio=tone(0))) == "holds no samples, expected audio"
    assert len(encoded(audio=tone(0))) == 44


@pytest.mark.parametrize("container", ["FLAC", "OGG", "MP3", "AIFF"])
def test_the_content_counts_and_not_the_suffix(read, container):
    assert len(read(encoded(container), "a.wav")[0]) == RATE


@pytest.mark.parametrize("container", ["AU", "CAF", "W64"])
def test_other_formats_are_refused(refused, container):
    assert refused(encoded(container)).startswith(f"holds {container} audio, expected one of .wav")


def test_a_folder_or_a_pipe_is_refused(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    for name, found in (("folder.wav", "a folder"), ("pipe.wav", "a device or a pipe")):
        with pytest.raises(AudioError, match=rf"{name}: is {found}, expected an audio file"):
            read_audio(tmp_path / name)
    with pytest.raises(AudioError, match="is a device or a pipe"):
        read_audio("/dev/zero")


# ---- cut off ---------------------------------------------------------------------------------

CUT_OFF = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "DOUBLE"),
    ("WAV", "ULAW"),
    ("WAV", "MS_ADPCM"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AIFF", "FLOAT"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("container", "subtype"), CUT_OFF)
def test_a_file_cut_off_anywhere_is_refused(refused, container, subtype):
    data = encoded(container, subtype)
    slips = container in ("WAV", "WAVEX", "RF64", "AIFF") and subtype != "MS_ADPCM"
    end = len(data) - (SLIP if slips else 0)  # nearer to the end it is read with a remark
    lines = [refused(data[:size]) for size in range(1, end, len(data) // 40)]
    lines.append(refused(data[: end - 1]))
    known = ("is cut off", "is damaged or cut off", "not a readable audio file", "holds no samples")
    assert all(line.startswith(known) for line in lines)
    assert "cut off" in lines[-1]
    assert "re-encode it" in lines[-1]


def test_an_ogg_that_lacks_whole_pages_is_refused(refused):
    data = encoded("OGG", audio=tone(10 * RATE))
    pages = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    assert len(pages) > 3
    for end in pages[1:]:
        assert refused(data[:end]).startswith("is cut off, expected a last page that says so: ")


@pytest.mark.parametrize(("container", "subtype"), CUT_OFF)
@pytest.mark.parametrize("n", [1, 2, 1151, 1152, 1153, 5000, 20001])
def test_a_whole_file_of_any_length_is_not_taken_for_cut_off(read, container, subtype, n):
    noise = 0.1 * np.random.default_rng(n).standard_normal(n)
    audio, _ = read(encoded(container, subtype, noise))
    assert n <= len(audio) < n + 1024 if subtype == "MS_ADPCM" else len(audio) == n


@pytest.mark.parametrize("order", ["RIFF", "RIFX"])
def test_chunks_around_the_sound_do_not_matter(read, order):
    """Before it one of odd length with its padding, behind it another that is cut off."""
    at, endian = 12, {"RIFF": "<", "RIFX": ">"}[order]
    data = bytearray(b"".join([order.encode(), bytes(4), b"WAVE"]))
    data += struct.pack(f"{endian}4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    assert len(data) == at + 24
    data += struct.pack(f"{endian}4sI4s", b"junk", 3, b"abc\0")
    data += struct.pack(f"{endian}4sI4h", b"data", 8, 1, 2, 3, 4)
    whole = data + struct.pack(f"{endian}4sI", b"LIST", 1000)
    whole[4:8] = struct.pack(f"{endian}I", len(whole) - 8)
    assert (read(whole)[0] * 32768).tolist() == [1, 2, 3, 4]
    with pytest.warns(UserWarning, match="its header states 1 bytes more than there are"):
        assert (read(data[:-1])[0] * 32768).tolist() == [1, 2, 3]


def test_an_mp3_with_tags_is_not_taken_for_cut_off(read):
    data = encoded("MP3")
    before = b"ID3\3\0\0\0\0\0\x0a" + bytes(10)
    assert len(read(before + data + b"TAG" + bytes(125))[0]) == RATE


def test_a_damaged_flac_is_refused(refused):
    data = bytearray(encoded("FLAC"))
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    assert refused(data).startswith("is damaged or cut off: copy it again")


# ---- headers that lie ------------------------------------------------------------------------


def flac_of(samples: int) -> bytes:
    """A FLAC whose header claims so many samples, 36 bits of them; 0 is "unknown"."""
    data = bytearray(encoded("FLAC"))
    data[21] = data[21] & 0xF0 | samples >> 32
    data[22:26] = struct.pack(">I", samples & 0xFFFFFFFF)
    return bytes(data)


def test_a_header_that_claims_terabytes_is_refused_before_allocating(refused):
    for samples in (MAX_SAMPLES + 1, 2**36 - 1):
        line = refused(flac_of(samples))
        assert line == (
            f"claims to hold {samples} samples, expected at most {MAX_SAMPLES}: split it into parts"
        )


def test_a_header_that_claims_more_than_memory_is_refused(refused):
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, before[1]))
    try:
        line = refused(flac_of(MAX_SAMPLES))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert line == f"claims {MAX_SAMPLES} samples, more than memory holds"


def test_a_flac_of_unknown_length_is_read_to_its_end(read):
    np.testing.assert_array_equal(read(flac_of(0))[0], read(encoded("FLAC"))[0])


def test_samples_are_counted_after_resampling_too(refused):
    data = flac_of(MAX_SAMPLES // 2)
    line = refused(data, sample_rate=RATE * 4, convert=True)
    assert line.startswith(f"claims to hold {MAX_SAMPLES * 2} samples, expected at most ")


@pytest.mark.parametrize("channels", [0, 3, 1024, 65535])
def test_odd_numbers_of_channels_are_refused(refused, channels):
    data = bytearray(encoded())
    data[22:24] = struct.pack("<H", channels)
    data[32:34] = struct.pack("<H", 2 * channels % 2**16)
    line = refused(data)
    assert line.startswith((f"has {channels} channels, expected 1", "not a readable audio file ("))


@pytest.mark.parametrize("rate", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_odd_rates_are_refused(refused, rate):
    data = bytearray(encoded())
    data[24:28] = struct.pack("<I", rate)
    line = refused(data, sample_rate=RATE, convert=True)
    expected = f"has {rate} Hz, which is too far from {RATE} Hz", "not a readable audio file ("
    assert line.startswith(expected)


def test_a_file_of_many_gigabytes_is_refused_unread(tmp_path):
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.truncate(MAX_FILE + 1)  # a hole, which takes no room
    with pytest.raises(AudioError, match=f"a.wav: has {MAX_FILE + 1} bytes, expected at most"):
        read_audio(path)


# ---- names and folders -----------------------------------------------------------------------

NAMES = ["two words.wav", "звук.wav", "音.FLAC", os.fsdecode(b"latin-\xe4.wav"), "line\nbreak.Wav"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_found_and_read(tmp_path, name):
    (tmp_path / name).write_bytes(encoded())
    assert find_audio(tmp_path) == [tmp_path / name]
    assert len(read_audio(tmp_path / name)[0]) == RATE


def test_hidden_files_are_passed_over(tmp_path):
    """What macOS leaves beside files, and what an interrupted save may."""
    for name in ("._a.wav", ".a.wav", ".trash/a.wav", "__MACOSX/._a.wav", "a.wav"):
        record(tmp_path / name, format="WAV")
    assert find_audio(tmp_path) == [tmp_path / "a.wav"]
    assert find_audio(tmp_path / ".a.wav") == [tmp_path / ".a.wav"]  # unless it is asked for
    assert find_audio(tmp_path / ".trash") == [tmp_path / ".trash" / "a.wav"]


def test_links_do_not_lead_in_circles(tmp_path):
    record(tmp_path / "a.wav")
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "dangling.wav").symlink_to("nowhere.wav")
    (tmp_path / "link.wav").symlink_to("a.wav")
    assert find_audio(tmp_path) == [tmp_path / "a.wav", tmp_path / "link.wav"]
    assert find_audio(tmp_path / "again") == [
        tmp_path / "again" / "a.wav",
        tmp_path / "again" / "link.wav",
    ]


def test_what_may_not_be_read_is_named():
    with public_folder() as folder:
        path = record(folder / "closed" / "a.wav")
        path.chmod(0)
        with nobody(), pytest.raises(PermissionError, match=str(path)):
            read_audio(path)
        path.parent.chmod(0)
        with nobody(), pytest.raises(PermissionError, match=str(path.parent)):
            find_audio(folder)
        path.parent.chmod(0o755)
