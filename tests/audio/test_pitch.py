"""Pitch: accuracy on sounds of known F0, silence and noise, frames, blocks.

With FASTWAVENET_RECORDINGS=folder, 20 recordings of a folder are compared with Praat as well:

    FASTWAVENET_RECORDINGS=speech/ python -m pytest -s -k praat tests/audio/test_pitch.py
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastwavenet as fw
from fastwavenet import pitch_tracking

RATE = 16000
HOP = 80
RECORDING = Path(fw.__file__).parent / "data/arctic_a0009.flac"
RNG = np.random.default_rng


def harmonics(f0: np.ndarray, rate: int = RATE, first: int = 1, last: int = 40) -> np.ndarray:
    """A band-limited sawtooth of a changing F0, or a part of its harmonics; RMS below 0.3."""
    phase = 2 * np.pi * np.cumsum(f0) / rate
    parts = (np.sin(k * phase) / k * (k * f0 < 0.45 * rate) for k in range(first, last + 1))
    return 0.3 * sum(parts)


def sweep(seconds: float = 2, rate: int = RATE, low: float = 80, high: float = 400) -> np.ndarray:
    """F0 of each sample, rising evenly in octaves"""
    return np.geomspace(low, high, round(seconds * rate))


def vibrato(seconds: float = 2) -> np.ndarray:
    """F0 of each sample: 200 Hz and 50 cents to each side, 5.5 times a second"""
    return 200 * 2 ** (50 / 1200 * np.sin(2 * np.pi * 5.5 * np.arange(seconds * RATE) / RATE))


def with_noise(audio: np.ndarray, decibels: float | None, seed: int = 0) -> np.ndarray:
    """Audio with white noise at a signal-to-noise ratio; None: without"""
    if decibels is None:
        return audio
    return audio + RNG(seed).normal(0, audio.std() * 10 ** (-decibels / 20), len(audio))


def cents(frames: np.ndarray, f0: np.ndarray, hop: int = HOP) -> np.ndarray:
    """The errors of frames against the F0 of each sample, where voiced."""
    means = np.log(f0[: len(frames) * hop].reshape(-1, hop)).mean(axis=1)
    return ((frames[:, 0] - means) * (1200 / np.log(2)))[frames[:, 1] > 0.5]


def assert_found(audio: np.ndarray, f0: np.ndarray, *, median: float = 10) -> None:
    frames = fw.pitch(audio.astype(np.float32), RATE, HOP)
    errors = np.abs(cents(frames, f0))
    assert len(errors) > 0.98 * len(frames)
    assert np.median(errors) < median
    assert np.mean(errors > 300) < 0.01


# ---- sounds of known F0 ------------------------------------------------------------------------

SNR = [None, 20, 10, 5, 0]


@pytest.mark.parametrize("decibels", SNR)
@pytest.mark.parametrize("f0", [sweep(), sweep()[::-1], vibrato()], ids=["up", "down", "vibrato"])
def test_a_sawtooth_is_found_within_10_cents_in_noise_as_loud(f0, decibels):
    assert_found(with_noise(harmonics(f0), decibels), f0)


@pytest.mark.parametrize("decibels", SNR)
@pytest.mark.parametrize("first", [2, 3, 5])
def test_a_missing_fundamental_is_found(first, decibels):
    f0 = sweep(high=250)
    assert_found(with_noise(harmonics(f0, first=first, last=first + 8), decibels), f0)


@pytest.mark.parametrize("decibels", [None, 20, 10, 5])
def test_a_sine_is_found(decibels):
    assert_found(with_noise(harmonics(sweep(), last=1), decibels), sweep(), median=12)


@pytest.mark.parametrize("loud", [2, 4, 5])
def test_a_loud_harmonic_is_not_taken_for_the_fundamental(loud):
    f0 = sweep(high=300)
    audio = harmonics(f0) + harmonics(f0, first=loud, last=loud) * 3 * loud
    assert_found(with_noise(audio, 20), f0)


def test_changes_of_amplitude_do_not_matter():
    f0 = sweep(4)
    loudness = 10 ** (-1.5 * RNG(1).uniform(0, 1, 41))  # 0 to -30 dB, another one every 100 ms
    changing = np.interp(np.arange(len(f0)), np.linspace(0, len(f0), 41), loudness)
    assert_found(changing * harmonics(f0), f0)


@pytest.mark.parametrize("gain", [1e-2, 1, 1e3, 1e30])
def test_the_level_does_not_matter(gain):
    assert_found(gain * with_noise(harmonics(sweep()), 20), sweep())


def test_an_offset_and_rumble_do_not_matter():
    rumble = 0.3 * np.sin(2 * np.pi * 8 * np.arange(2 * RATE) / RATE)
    assert_found(harmonics(sweep()) + rumble, sweep())
    assert_found(0.005 * harmonics(sweep()) + 0.5, sweep())


@pytest.mark.parametrize("hz", [200.0, 250.0, 400.0, 490.0])
@pytest.mark.parametrize("decibels", [None, 20])
def test_a_multiple_of_the_period_is_not_taken_for_it(hz, decibels):
    f0 = np.full(RATE, hz)
    assert_found(with_noise(harmonics(f0), decibels), f0)


@pytest.mark.parametrize("rate", [2000, 8000, 11025, 22050, 24000, 44100, 48000, 176400])
def test_any_sample_rate_will_do(rate):
    f0 = sweep(1, rate)
    frames = fw.pitch(with_noise(harmonics(f0, rate), 30), rate, rate // 100)
    errors = np.abs(cents(frames, f0, rate // 100))
    assert len(errors) == len(frames)
    assert np.median(errors) < 2
    assert np.mean(errors > 300) < 0.01


@pytest.mark.parametrize("low, high", [(20, 60), (60, 500), (300, 1500)])
def test_the_range_is_the_callers(low, high):
    f0 = sweep(2, low=1.05 * low, high=high / 1.05)
    errors = np.abs(cents(fw.pitch(harmonics(f0), RATE, HOP, fmin=low, fmax=high), f0))
    assert len(errors) == len(f0) // HOP
    assert np.median(errors) < 3
    assert errors.max() < 100  # where half a window is held at an end


# ---- unvoiced ----------------------------------------------------------------------------------


def noise(kind: str, seed: int) -> np.ndarray:
    """Five seconds of noise, RMS 0.1"""
    white = RNG(seed).standard_normal(5 * RATE)
    shapes = {"white": [1], "high": [1, -0.9], "low": np.hanning(16), "pink": 0.9 ** np.arange(50)}
    shaped = np.convolve(white, shapes[kind])[: len(white)]
    return 0.1 * shaped / shaped.std()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["white", "high", "low", "pink"])
def test_noise_is_unvoiced(kind, seed):
    frames = fw.pitch(noise(kind, seed), RATE, HOP)
    assert frames[:, 1].mean() < 0.01
    assert frames[:, 2].mean() < 0.4


@pytest.mark.parametrize("value", [0.0, 0.25, -1e30, 1e-40])
def test_silence_and_a_constant_are_unvoiced(value):
    frames = fw.pitch(np.full(RATE, value, np.float32), RATE, HOP)
    np.testing.assert_array_equal(frames[:, 1:], 0)
    np.testing.assert_allclose(frames[:, 0], np.log(60 * 500) / 2, rtol=1e-6)


def test_hum_below_the_floor_is_unvoiced():
    assert not fw.pitch(1e-4 * harmonics(np.full(RATE, 100.0)), RATE, HOP)[:, 1].any()


def test_log_f0_is_linear_through_unvoiced_frames_and_held_at_the_ends():
    low, high, pause = (np.full(RATE // 2, hz) for hz in (100.0, 200.0, 0.0))
    parts = [pause, harmonics(low), pause, harmonics(high), pause]
    frames = fw.pitch(np.concatenate(parts), RATE, HOP).astype(float)
    voiced = np.flatnonzero(frames[:, 1])
    np.testing.assert_allclose(frames[: voiced[0], 0], np.log(100), atol=4e-3)
    np.testing.assert_allclose(frames[voiced[-1] :, 0], np.log(200), atol=4e-3)
    between = frames[206:294]
    assert not between[:, 1].any()
    np.testing.assert_allclose(np.diff(between[:, 0]), np.log(2) / 100, rtol=0.05)
    np.testing.assert_allclose(np.diff(between[:, 0], 2), 0, atol=1e-5)


@pytest.mark.parametrize("decibels", [60, 30, 20])
def test_borders_of_voicing_are_found_within_10_ms(decibels):
    audio = np.zeros(RATE)
    audio[4000:9000] = harmonics(np.full(5000, 150.0))
    frames = fw.pitch(with_noise(audio, decibels), RATE, 1)
    voiced = np.flatnonzero(frames[:, 1] > 0.5)
    np.testing.assert_allclose([voiced[0], voiced[-1]], [4000, 9000], atol=160)
    assert len(voiced) == voiced[-1] - voiced[0] + 1


# ---- frames ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hop", [1, 7, 80, 200, 256, 1024])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_there_are_as_many_frames_as_whole_hops(hop, more):
    for n in (hop, 3 * hop, 8 * 1024):
        frames = fw.pitch(harmonics(np.full(n + more, 150.0)), RATE, hop)
        assert frames.shape == ((n + more) // hop, 3)
        assert frames.dtype == np.float32
        assert np.isfinite(frames).all()


@pytest.mark.parametrize("hop", [2, 7, 80, 200, 256, 1024])
def test_a_frame_is_the_average_over_its_samples(hop):
    audio, rate = fw.read_audio(RECORDING)
    samples = fw.pitch(audio, rate, 1)[: len(audio) // hop * hop]
    means = samples.reshape(-1, hop, 3).mean(axis=1, dtype=float)
    np.testing.assert_allclose(fw.pitch(audio, rate, hop), means, atol=2e-6)


@pytest.mark.parametrize("hop", [1, 80, 256, 1000])
def test_a_change_of_pitch_is_found_in_its_frame(hop):
    at = 64 * 250
    f0 = np.where(np.arange(2 * at) < at, 120.0, 180.0)
    frames = fw.pitch(harmonics(f0), RATE, hop)
    middle = np.interp(np.log(np.sqrt(120 * 180)), frames[:, 0], (np.arange(len(frames)) + 0.5))
    np.testing.assert_allclose(middle * hop, at, atol=60)


def test_correlation_falls_with_noise():
    clear = harmonics(np.full(RATE, 150.0))
    found = [fw.pitch(with_noise(clear, snr), RATE, HOP)[:, 2].mean() for snr in (60, 10, 5, 0)]
    assert found[0] > 0.99
    assert found == sorted(found, reverse=True)
    assert all(0 <= value <= 1 for value in found)


# ---- blocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 10_000, 1 << 22])
def test_blocks_of_any_size_give_the_same(monkeypatch, block):
    audio, rate = fw.read_audio(RECORDING)
    expected = fw.pitch(audio, rate, HOP)
    monkeypatch.setattr(pitch_tracking, "BLOCK", block)
    np.testing.assert_allclose(fw.pitch(audio, rate, HOP), expected, atol=2e-6)


def test_a_frame_does_not_depend_on_audio_far_behind_it():
    audio, rate = fw.read_audio(RECORDING)
    kept = (2 * rate) // HOP
    part = fw.pitch(audio[: 2 * rate + rate // 2], rate, HOP)
    np.testing.assert_allclose(part[:kept], fw.pitch(audio, rate, HOP)[:kept], atol=2e-6)


def test_a_second_call_and_float64_give_the_same_bits():
    audio, rate = fw.read_audio(RECORDING)
    found = fw.pitch(audio, rate, HOP).tobytes()
    for same in (audio, audio.astype(float), audio.astype(">f4"), np.repeat(audio, 2)[::2]):
        assert fw.pitch(same, rate, HOP).tobytes() == found


PEAK = """
import re, sys
from pathlib import Path
import numpy as np
import fastwavenet as fw

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10

audio = np.random.default_rng(0).standard_normal(int(sys.argv[1]) * 16000, dtype=np.float32)
fw.pitch(audio[:16000], 16000, 80)
before = peak()
frames = fw.pitch(audio, 16000, 80)
print((peak() - before - frames.nbytes) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize("seconds", [300, pytest.param(7200, marks=pytest.mark.slow)])
def test_memory_is_a_tenth_of_the_audio_and_20_megabytes(seconds):
    command = [sys.executable, "-c", PEAK, str(seconds)]
    found = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found < 20 + 0.1 * seconds * 4 * 16000 / 2**20


# ---- speech ------------------------------------------------------------------------------------


def test_a_recording_has_plausible_pitch():
    audio, rate = fw.read_audio(RECORDING)
    frames = fw.pitch(audio, rate, 256)
    voiced = frames[:, 1] > 0.5
    assert 0.5 < voiced.mean() < 0.75
    low, middle, high = np.exp(np.percentile(frames[voiced, 0], [2, 50, 98]))
    assert 120 < low < 160 < middle < 220 < high < 300  # a woman's voice
    assert frames[voiced, 2].mean() > 0.85
    assert frames[~voiced, 2].mean() < 0.5
    assert np.mean(np.abs(np.diff(frames[:, 0])) > 0.5) < 0.01  # of octaves: 0.69


@pytest.mark.parametrize("decibels", [20, 10, 5])
def test_noise_changes_the_pitch_of_a_recording_little(decibels):
    audio, rate = fw.read_audio(RECORDING)
    clear = fw.pitch(audio, rate, HOP)
    noisy = fw.pitch(with_noise(audio, decibels), rate, HOP)
    errors = 1200 / np.log(2) * np.abs(clear - noisy)[(clear[:, 1] > 0.5) & (noisy[:, 1] > 0.5), 0]
    assert np.median(errors) < 5
    assert np.mean(errors > 300) < 0.01
    assert np.mean((clear[:, 1] > 0.5) != (noisy[:, 1] > 0.5)) < 0.12


def praat(audio: np.ndarray, rate: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log F0, NaN beside unvoiced points, and voicing at times, by Praat's autocorrelation"""
    sound = pytest.importorskip("parselmouth").Sound(audio.astype(float), rate)
    track = sound.to_pitch_ac(time_step=0.005, pitch_floor=60.0, pitch_ceiling=500.0)
    hz = track.selected_array["frequency"]
    log_f0 = np.log(hz, out=np.full_like(hz, np.nan), where=hz > 0)
    voiced = np.interp(times, track.xs(), (hz > 0).astype(float)) > 0.5
    return np.interp(times, track.xs(), log_f0), voiced


def recordings() -> list[Path]:
    folder = os.environ.get("FASTWAVENET_RECORDINGS")
    found = sorted(path for path in Path(folder).rglob("*.wav")) if folder else []
    return [RECORDING, *found[:: max(1, len(found) // 20)][:20]]


def test_praat_finds_the_same_pitch_and_voicing():
    errors, differs = [], []
    for path in recordings():
        audio, rate = fw.read_audio(path)
        hop = rate // 200
        frames = fw.pitch(audio, rate, hop)
        log_f0, voiced = praat(audio, rate, (np.arange(len(frames)) + 0.5) * hop / rate)
        both = voiced & (frames[:, 1] > 0.5) & np.isfinite(log_f0)
        errors.append(1200 / np.log(2) * np.abs(frames[both, 0] - log_f0[both]))
        differs.append(voiced != (frames[:, 1] > 0.5))
    error, differ = np.concatenate(errors), np.concatenate(differs)
    print(f"\n{len(errors)} recordings, {len(differ)} points: median {np.median(error):.2f} cents, "
          f"above 50 cents {np.mean(error > 50):.2%}, above 300 {np.mean(error > 300):.2%}, "
          f"voicing differs in {np.mean(differ):.2%}")  # fmt: skip
    assert np.median(error) < 3
    assert np.mean(error > 300) < 0.01
    assert np.mean(differ) < 0.06
