"""Audio files: what is read and written exactly, what is converted, what is refused and how."""

import io
import os
import threading
import time

import numpy as np
import pytest
import soundfile
from recordings import RATE, mounted, record, tone

from fastwavenet.audio import (
    HEADER_BYTES,
    READ_SUFFIXES,
    SUBTYPES,
    AudioError,
    check_output,
    encode_audio,
    find_audio,
    read_audio,
    write_audio,
)
from fastwavenet.audio_reading import stated_length

# ---- reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", READ_SUFFIXES)
def test_every_listed_suffix_is_read(tmp_path, suffix):
    container = {".opus": "OGG", ".oga": "OGG", ".aif": "AIFF", ".aifc": "AIFF"}.get(suffix)
    how = {"format": container or suffix[1:].upper()}
    if suffix == ".opus":
        how["subtype"] = "OPUS"
    if suffix == ".aifc":
        how["endian"] = "LITTLE"  # which no plain AIFF has
    path = record(tmp_path / f"a{suffix}", **how)
    assert find_audio(tmp_path) == [path]
    audio, rate = read_audio(path)
    assert (audio.dtype, audio.shape, rate) == (np.float32, (RATE,), RATE)
    assert np.corrcoef(audio, tone())[0, 1] > 0.99


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_a_header_states_the_length_without_decoding(tmp_path, suffix):
    path = record(tmp_path / f"a{suffix}", tone(16001), format=suffix[1:].upper())
    for rate in (RATE, 8000, 44100):
        audio, _ = read_audio(path, rate, convert=True)
        assert abs(stated_length(path, rate, convert=True) - len(audio)) <= 1
    with pytest.raises(AudioError, match=r"has 16000 Hz, expected 8000 Hz"):
        stated_length(path, 8000)


def test_the_first_of_several_streams_states_no_length(tmp_path):
    data = record(tmp_path / "a.ogg", format="OGG").read_bytes()
    (tmp_path / "b.ogg").write_bytes(data + data)
    assert stated_length(tmp_path / "b.ogg") == 0
    assert len(read_audio(tmp_path / "b.ogg")[0]) == 2 * RATE


def test_expected_rate_is_accepted(tmp_path):
    assert read_audio(record(tmp_path / "a.wav"), sample_rate=RATE)[1] == RATE


def test_another_rate_is_refused_with_both_rates(tmp_path):
    path = record(tmp_path / "a.wav", rate=44100)
    with pytest.raises(AudioError, match=r"a\.wav: has 44100 Hz, expected 16000 Hz: .*--convert"):
        read_audio(path, sample_rate=RATE)


def test_stereo_is_refused(tmp_path):
    path = record(tmp_path / "a.wav", audio=np.stack([tone(), tone()], axis=1))
    with pytest.raises(AudioError, match=r"a\.wav: has 2 channels, expected 1 \(mono\): "):
        read_audio(path)


def test_converted_stereo_is_the_mean_of_its_channels(tmp_path):
    left, right = tone(), tone(hz=100)
    path = record(tmp_path / "a.wav", audio=np.stack([left, right], axis=1), subtype="FLOAT")
    audio, _ = read_audio(path, convert=True)
    np.testing.assert_allclose(audio, (left + right) / 2, atol=1e-7)


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 128000])
def test_conversion_keeps_pitch_loudness_and_length(tmp_path, rate):
    path = record(tmp_path / "a.wav", audio=tone(rate, rate=rate), rate=rate, subtype="FLOAT")
    audio, found = read_audio(path, sample_rate=RATE, convert=True)
    assert found == RATE
    assert abs(len(audio) - RATE) <= 1
    inner = slice(2000, 14000)  # a tone that starts at once has no clean edges
    np.testing.assert_allclose(audio[inner], tone()[inner], atol=1e-3)


def test_audio_too_short_to_resample_is_refused(tmp_path):
    path = record(tmp_path / "a.wav", audio=tone(1), rate=48000)
    expected = "no samples at 8000 Hz: 1 at 48000 Hz are too short"
    with pytest.raises(AudioError, match=expected):
        read_audio(path, sample_rate=8000, convert=True)


def test_an_absurd_rate_is_not_resampled(tmp_path):
    path = record(tmp_path / "a.wav", rate=1)
    with pytest.raises(AudioError, match="1 Hz, which is too far from 16000 Hz"):
        read_audio(path, sample_rate=RATE, convert=True)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_audio(tmp_path / "none.wav")


# ---- writing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "A.WAV"])
def test_written_audio_is_read_back_exactly(tmp_path, name):
    audio = np.arange(-32768, 32768, dtype=np.float32) / 32768
    write_audio(tmp_path / name, audio, RATE)
    np.testing.assert_array_equal(read_audio(tmp_path / name)[0], audio)
    assert soundfile.info(tmp_path / name).subtype == "PCM_16"


def test_samples_are_rounded_and_clipped(tmp_path):
    write_audio(tmp_path / "a.wav", np.array([0.6, 1.4, -1.6, 32768, -32769, 1e9]) / 32768, RATE)
    pcm, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert pcm.tolist() == [1, 1, -2, 32767, -32768, 32767]


EXACT = [("a.wav", "PCM_U8", 8), ("a.wav", "PCM_24", 24), ("a.flac", "PCM_24", 24)]


@pytest.mark.parametrize(("name", "subtype", "bits"), EXACT)
def test_other_subtypes_round_and_clip_likewise(tmp_path, name, subtype, bits):
    steps = np.array([0, 0.6, 1.4, -1.6, 2 ** (bits - 1), -(2 ** (bits - 1)) - 1, 1e9])
    write_audio(tmp_path / name, steps / 2 ** (bits - 1), RATE, subtype)
    found, _ = soundfile.read(tmp_path / name)
    expected = [0, 1, 1, -2, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
    assert (found * 2 ** (bits - 1)).tolist() == expected
    assert soundfile.info(tmp_path / name).subtype == subtype


def test_every_step_of_a_subtype_survives_float32(tmp_path):
    steps = np.arange(-(2**23), 2**23, 1001, dtype=np.int32)
    write_audio(tmp_path / "a.wav", steps.astype(np.float32) / 2**23, RATE, "PCM_24")
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav")[0] * 2**23, steps)


def test_floats_are_written_as_they_are(tmp_path):
    audio = np.array([0, -1.9, 1e-30, 1 / 3, 1.5], np.float32)
    write_audio(tmp_path / "a.wav", audio, RATE, "FLOAT")
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav")[0], audio)


def test_u_law_keeps_order_sign_and_its_own_values():
    audio = np.arange(-32768, 32768) / 32768
    found, _ = soundfile.read(io.BytesIO(encode_audio(audio, 8000, subtype="ULAW")))
    assert (np.diff(found) >= 0).all()
    assert (np.sign(found) * np.sign(audio) >= 0).all()
    assert np.abs(found - audio).max() < 0.02
    values = np.unique(found)
    assert len(values) == 255  # two codes are 0
    again, _ = soundfile.read(io.BytesIO(encode_audio(values, 8000, subtype="ULAW")))
    np.testing.assert_array_equal(again, values)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_the_dtype_of_the_same_values_does_not_matter(dtype):
    audio = np.array([0, 1, -1, 0.5, -0.25, 2**-10])
    for subtype in SUBTYPES["WAV"]:
        expected = encode_audio(audio, RATE, subtype=subtype)
        assert encode_audio(audio.astype(dtype), RATE, subtype=subtype) == expected


@pytest.mark.parametrize("container", SUBTYPES)
def test_the_same_audio_gives_the_same_bytes_at_any_time(container):
    for subtype in SUBTYPES[container]:
        first = encode_audio(tone(), RATE, container, subtype)
        second = int(time.time()) + 1
        while subtype == "FLOAT" and time.time() < second:
            time.sleep(0.01)  # libsndfile's clock ticks in seconds
        assert encode_audio(tone(), RATE, container, subtype) == first


def test_a_file_holds_what_was_encoded(tmp_path):
    for name, container in (("a.wav", "WAV"), ("a.flac", "FLAC")):
        write_audio(tmp_path / name, tone(), RATE, "PCM_24")
        assert (tmp_path / name).read_bytes() == encode_audio(tone(), RATE, container, "PCM_24")


def test_a_pipe_gets_a_wav(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    check_output(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_audio(pipe, tone(), RATE)
    reader.join()
    assert read == [encode_audio(tone(), RATE)]


def test_channels_are_written_as_channels(tmp_path):
    audio = np.stack([tone(), -tone()], axis=1)
    write_audio(tmp_path / "a.wav", audio, RATE)
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0], audio, atol=2**-16)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(4, np.int16), r"int16 \(4,\)"),
        (np.zeros((2, 2, 2)), r"float64 \(2, 2, 2\)"),
        (np.zeros(0), r"float64 \(0,\)"),
        (np.array([0, 0, np.nan]), "sample 2 is nan"),
        (np.zeros((9, 9)), "9 channel"),
        (np.broadcast_to(np.float32(0), 2**31), "2147483648 samples are too many"),
    ],
    ids=["integers", "three_axes", "empty", "nan", "channels", "gigabytes"],
)
def test_unfit_arrays_are_refused(tmp_path, audio, message):
    with pytest.raises(AudioError, match=rf"a\.flac: .*{message}"):
        write_audio(tmp_path / "a.flac", audio, RATE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("subtype", "most"), [("PCM_16", 2**31 - 64), ("FLOAT", 2**30 - 32)])
def test_what_no_wav_can_hold_is_refused_before_the_work(tmp_path, subtype, most):
    check_output(tmp_path / "a.wav", subtype, most)
    message = f"a.wav: {most + 1} samples are too many, a WAV of {subtype} holds {most}"
    with pytest.raises(AudioError, match=message):
        check_output(tmp_path / "a.wav", subtype, most + 1)


@pytest.mark.parametrize("subtype", SUBTYPES["WAV"])
def test_a_header_is_no_longer_than_is_reckoned_with(subtype):
    for channels in (1, 2, 1000):
        data = encode_audio(np.zeros((4, channels)), RATE, subtype=subtype)
        assert len(data) - 4 * channels * SUBTYPES["WAV"][subtype] <= HEADER_BYTES * channels


def test_a_number_too_large_for_float32_is_refused():
    with pytest.raises(AudioError, match="sample 1 is inf"):
        encode_audio(np.array([0, 1e300]), RATE, subtype="FLOAT")


@pytest.mark.parametrize("rate", [0, -1, 2**40, 16000.0, "fast", None])
def test_unfit_rates_are_refused(tmp_path, rate):
    with pytest.raises(AudioError, match=rf"a\.wav: cannot be written at {rate} Hz"):
        write_audio(tmp_path / "a.wav", tone(), rate)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.mp3", "a", "wav"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(AudioError, match=r"must end in \.wav or \.flac"):
        write_audio(tmp_path / name, tone(), RATE)


@pytest.mark.parametrize(
    ("name", "subtype", "expected"),
    [
        ("a.wav", "PCM_12", "PCM_16, PCM_24, PCM_U8, FLOAT, ULAW, not 'PCM_12'"),
        ("a.wav", "pcm_16", "PCM_16, PCM_24, PCM_U8, FLOAT, ULAW, not 'pcm_16'"),
        ("a.flac", "FLOAT", "PCM_16, PCM_24, not 'FLOAT'"),
    ],
)
def test_other_subtypes_are_refused_before_the_work(tmp_path, name, subtype, expected):
    container = name[2:].upper()
    message = rf"{name}: the subtype of a {container} must be one of {expected}"
    for attempt in (
        lambda: check_output(tmp_path / name, subtype),
        lambda: write_audio(tmp_path / name, tone(), RATE, subtype),
    ):
        with pytest.raises(AudioError, match=message):
            attempt()
    assert not list(tmp_path.iterdir())


def test_other_containers_are_refused():
    with pytest.raises(AudioError, match="container must be WAV or FLAC, not 'OGG'"):
        encode_audio(tone(), RATE, "OGG")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none/a\.wav: the folder .*none does not exist$"):
        write_audio(tmp_path / "none" / "a.wav", tone(), RATE)


def test_a_folder_is_not_written_over(tmp_path):
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(IsADirectoryError):
        write_audio(tmp_path / "a.wav", tone(), RATE)


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_full_disk_leaves_the_old_file(tmp_path, name):
    with mounted(tmp_path / "disk", "size=64k") as disk:
        path = disk / name
        write_audio(path, tone(100), RATE)
        before = path.read_bytes()
        with pytest.raises(OSError, match="No space left on device") as caught:
            write_audio(path, np.random.default_rng(1).uniform(-1, 1, 99999), RATE)
        assert caught.value.filename == str(path)
        assert path.read_bytes() == before
        assert list(disk.iterdir()) == [path]


def test_rates_and_names_that_are_none_are_shown_in_one_line(tmp_path):
    path = record(tmp_path / "a.wav")
    for rate, text in ((True, "True"), (10**5000, "a number of 16610 bits")):
        with pytest.raises(ValueError, match=f"^sample_rate must be .* of Hz, not {text}$"):
            read_audio(path, rate, convert=True)
        with pytest.raises(AudioError, match=f"a.wav: cannot be written at {text} Hz"):
            write_audio(path, tone(), rate)
    with pytest.raises(AudioError, match=r"cannot be written at 16\\x1b\[31m\\n0 Hz"):
        write_audio(path, tone(), "16\x1b[31m\n0")
    with pytest.raises(AudioError, match=r"must be one of .*, not \['x'\]"):
        write_audio(path, tone(), RATE, ["x"])
    for attempt in (lambda: read_audio("a\0.wav"), lambda: write_audio("a\0.wav", tone(), RATE)):
        with pytest.raises(AudioError, match=r"^a\\x00\.wav: the name holds a zero byte"):
            attempt()


# ---- finding ---------------------------------------------------------------------------------


def test_a_folder_is_searched_to_its_depth_in_order(tmp_path):
    names = ["b.wav", "a.FLAC", "deep/er/c.ogg", "notes.txt", "deep/cover.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_audio(tmp_path)]
    assert found == ["a.FLAC", "b.wav", "deep/er/c.ogg"]


def test_a_file_is_taken_whatever_its_suffix(tmp_path):
    path = tmp_path / "recording"
    path.touch()
    assert find_audio(path) == [path]


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        find_audio(tmp_path / "nowhere")
