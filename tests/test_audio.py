"""Audio files: what is read and written exactly, what is converted, what is refused and how."""

import numpy as np
import pytest
import soundfile
from recordings import RATE, full_disk, record, tone

from fastwavenet.audio import READ_SUFFIXES, AudioError, find_audio, read_audio, write_audio

# ---- reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", READ_SUFFIXES)
def test_every_listed_suffix_is_read(tmp_path, suffix):
    container = "AIFF" if suffix == ".aif" else suffix[1:].upper()
    audio, rate = read_audio(record(tmp_path / f"a{suffix}", format=container))
    assert (audio.dtype, audio.shape, rate) == (np.float32, (RATE,), RATE)
    assert np.corrcoef(audio, tone())[0, 1] > 0.99


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
    ],
    ids=["integers", "three_axes", "empty", "nan"],
)
def test_unfit_arrays_are_refused(tmp_path, audio, message):
    with pytest.raises(AudioError, match=message):
        write_audio(tmp_path / "a.wav", audio, RATE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate", [0, -1, 2**40])
def test_unfit_rates_are_refused(tmp_path, rate):
    with pytest.raises(AudioError, match=rf"a\.wav: cannot be written at {rate} Hz"):
        write_audio(tmp_path / "a.wav", tone(), rate)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.mp3", "a", "wav"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(AudioError, match=r"must end in \.wav or \.flac"):
        write_audio(tmp_path / name, tone(), RATE)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none/a\.wav: the folder .*none does not exist$"):
        write_audio(tmp_path / "none" / "a.wav", tone(), RATE)


def test_a_folder_is_not_written_over(tmp_path):
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(IsADirectoryError):
        write_audio(tmp_path / "a.wav", tone(), RATE)


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.wav"
    write_audio(path, tone(100), RATE)
    before = path.read_bytes()
    with full_disk(1000), pytest.raises(OSError, match="File too large"):
        write_audio(path, tone(), RATE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


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
