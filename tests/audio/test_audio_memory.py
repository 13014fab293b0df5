"""Long recordings are read, primed with and scored block by block: their bits, their memory."""

import io
import struct
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import soxr
from networks import random_weights, small_spec
from recordings import RATE, tone

import fastwavenet as fw
from fastwavenet import audio_reading, scoring
from fastwavenet.audio import read_audio, read_codes
from fastwavenet.ends import MuLawCodec

BLOCK = 1000  # frames of mono, of the tests that shorten blocks


@pytest.fixture
def short_blocks(monkeypatch):
    monkeypatch.setattr(audio_reading, "BLOCK", BLOCK)


def encoded(audio: np.ndarray, rate: int, container: str, subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def sound(n: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(n).uniform(-0.5, 0.5, (n, channels)).astype(np.float32)


# ---- bits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 9 * BLOCK + 7])
@pytest.mark.parametrize("channels", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("rate", [RATE, 8000, 44100, 48000])
def test_blocks_give_the_bits_of_the_whole(short_blocks, n, channels, rate):
    audio = sound(n, channels)
    expected = audio[:, 0] if channels == 1 else audio.mean(axis=1)
    if rate != RATE:
        expected = soxr.resample(expected, rate, RATE, quality="HQ")
    if len(expected):
        data = encoded(audio, rate, "WAV", "FLOAT")
        found, _ = read_audio(io.BytesIO(data), RATE, convert=True)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rate", [800, 8000, RATE, 48000])
def test_blocks_stay_short_at_any_higher_rate(short_blocks, rate):
    data = io.BytesIO(encoded(sound(30 * BLOCK), rate, "WAV"))
    with audio_reading._opened(data, RATE, True) as reading:
        longest = max(len(block) for block in reading.mono())
    assert longest < 20 * BLOCK  # a filter holds some back


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None), ("WAV", "MS_ADPCM")],
)
def test_a_coder_gives_the_bits_of_the_whole_in_blocks(short_blocks, container, subtype):
    data = encoded(sound(20001, 2), RATE, container, subtype)
    expected = soundfile.SoundFile(io.BytesIO(data)).read(dtype="float32")  # seeks nowhere
    found, _ = read_audio(io.BytesIO(data), convert=True)
    np.testing.assert_array_equal(found, expected.mean(axis=1))


def emphatic(levels: int) -> MuLawCodec:
    return replace(MuLawCodec.symmetric(levels), pre_emphasis=0.85)


@pytest.mark.parametrize("levels", [2, 256, 257, 65536])
@pytest.mark.parametrize("rate", [RATE, 22050])
@pytest.mark.parametrize("codec", [None, emphatic], ids=["symmetric", "pre-emphasis"])
def test_codes_are_those_of_the_audio(short_blocks, levels, rate, codec):
    data = encoded(2.5 * sound(9999, 2), rate, "WAV", "FLOAT")
    audio, _ = read_audio(io.BytesIO(data), RATE, convert=True)
    spec = small_spec(levels=levels, sample_rate=RATE, codec=codec and codec(levels))
    codes, peak, remarks = read_codes(io.BytesIO(data), spec, convert=True)
    np.testing.assert_array_equal(codes, fw.mu_law_encode(audio, levels, codec=spec.codec))
    assert codes.dtype == (np.uint8 if levels <= 256 else np.uint16)
    assert (peak, remarks) == (np.abs(audio).max(), [])


def test_the_place_of_a_bad_value_counts_from_the_beginning(short_blocks):
    audio = sound(3 * BLOCK)
    audio[2 * BLOCK + 17] = np.nan
    with pytest.raises(fw.AudioError, match=f"sample {2 * BLOCK + 17} is nan"):
        read_audio(io.BytesIO(encoded(audio, RATE, "WAV", "FLOAT")))


@pytest.fixture(scope="module")
def model():
    spec = small_spec()
    return fw.Model(spec, random_weights(spec, seed=1))


@pytest.mark.parametrize("n", [2, 99, 100, 101, 102, 1000])
@pytest.mark.parametrize("part", [1, 7, 100])
def test_a_score_in_parts_is_the_score_of_the_whole(monkeypatch, model, n, part):
    monkeypatch.setattr(scoring, "STRETCH", part)
    codes = np.random.default_rng(n).integers(0, model.spec.levels, n)
    steps = []
    total = scoring.total_nats(model, codes, progress=lambda *at: steps.append(at))
    assert total == pytest.approx(fw.score(model, codes).sum(dtype=float), rel=1e-12)
    assert steps == sorted(steps)
    assert steps[-1] == (n - 1, n - 1)


# ---- memory ------------------------------------------------------------------------------------

PEAK = """
import re, sys
from pathlib import Path
from fastwavenet import Generator, load, audio_reading, scoring
if sys.argv[2] == "train":
    from fastwavenet.training import data

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10

path, how, model = sys.argv[1], sys.argv[2], load(sys.argv[3])
before = peak()
if how == "train":
    corpus = data.load_corpus(path, model.spec, convert=True)
    size = sum(clip.codes.nbytes for clip in corpus.train + corpus.validation)
else:
    codes = audio_reading.read_codes(path, model.spec, True).codes
    size = codes.nbytes
    if how == "score":
        scoring.total_nats(model, codes)
    if how == "prime":
        Generator(model).prime(codes)
print((peak() - before - size) >> 20)
"""


def long_wav(path, megabytes: int):
    """Stereo at 48 kHz."""
    block = np.random.default_rng(1).integers(-9999, 9999, 1 << 19).astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 48000, 192000, 4, 16)
    with path.open("wb") as file:
        file.write(struct.pack("<4sI4s", b"RIFF", (megabytes << 20) + 36, b"WAVE") + form)
        file.write(struct.pack("<4sI", b"data", megabytes << 20))
        for _ in range(megabytes):
            file.write(block)
    return path


def megabytes_beyond_the_result(*arguments) -> int:
    command = [sys.executable, "-c", PEAK, *map(str, arguments)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")


@needs_proc
def test_reading_takes_little_memory_beyond_its_codes(tmp_path, voice):
    path = long_wav(tmp_path / "long.wav", 100)
    assert megabytes_beyond_the_result(path, "read", voice) < 50


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "megabytes"), [("read", 1400), ("train", 1400), ("score", 400), ("prime", 400)]
)
def test_hours_take_less_than_200_megabytes_beyond_their_codes(tmp_path, voice, how, megabytes):
    path = long_wav(tmp_path / "hours.wav", megabytes)  # 1400 are two hours
    assert megabytes_beyond_the_result(path, how, voice) < 200


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["flac", "mp3", "ogg"])
def test_an_hour_of_a_coder_takes_no_more(tmp_path, voice, suffix):
    path = tmp_path / f"hour.{suffix}"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(60):
            file.write(tone(60 * RATE))
    assert megabytes_beyond_the_result(path, "read", voice) < 50
