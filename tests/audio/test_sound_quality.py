"""Measures of sound: nothing for equal sounds, the known number for a known difference."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

import fastwavenet as fw
from fastwavenet import sound_quality as quality
from fastwavenet.sound_measures import N_FFT, flatness, log_mel_distance, mean, silent_share

RATE = 16000
HOP = 256
MEL = fw.mel_presets()["hifigan-16k"]
ARCTIC = Path(fw.__file__).parent / "data/arctic_a0009.flac"
EDGES = [0, 1, HOP - 1, HOP, HOP + 1, N_FFT, N_FFT + 1]


@pytest.fixture(scope="module")
def speech():
    return fw.read_audio(ARCTIC, RATE)[0]


def noise(n: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def voice(f0: float, seconds: float = 1.0) -> np.ndarray:
    """A sum of the first ten harmonics."""
    t = np.arange(round(seconds * RATE)) / RATE
    return sum(np.sin(2 * np.pi * k * f0 * t) / k for k in range(1, 11)).astype(np.float32) / 10


def pitch_errors(original: np.ndarray, result: np.ndarray) -> tuple[np.ndarray, float]:
    return quality.pitch_errors(*(quality.contour(sound, RATE) for sound in (original, result)))


def whole_distance(original: np.ndarray, result: np.ndarray) -> float:
    return quality.log_spectral_distance(original, result, RATE)


def high_band_distance(original: np.ndarray, result: np.ndarray, rate: int = RATE) -> float:
    return quality.log_spectral_distance(original, result, rate, quality.HIGH_BAND)


def everything(original: np.ndarray, result: np.ndarray) -> dict[str, float]:
    """All measures of a pair."""
    cents, voicing_error = pitch_errors(original, result)
    return {
        "log_mel": log_mel_distance(original, result, MEL),
        "log_spectral": whole_distance(original, result),
        "high_band": high_band_distance(original, result),
        "estoi": quality.estoi(original, result, RATE),
        "pesq": quality.pesq_wb(original, result, RATE),
        "cents": mean(cents),
        "voicing": voicing_error,
    }


def test_a_recording_is_at_no_distance_from_itself(speech):
    pytest.importorskip("pesq")
    found = everything(speech, speech)
    assert found.pop("estoi") == pytest.approx(1, abs=1e-4)
    assert found.pop("pesq") == pytest.approx(4.644, abs=1e-3)  # the largest score of P.862.2
    assert found == dict.fromkeys(["log_mel", "log_spectral", "high_band", "cents", "voicing"], 0)


def test_noise_worsens_every_measure(speech):
    pytest.importorskip("pesq")
    little, much = (everything(speech, speech + noise(len(speech), 1, s)) for s in (0.003, 0.03))
    for name in ("log_mel", "log_spectral", "high_band", "voicing"):
        assert 0 < little[name] < much[name], name
    for name in ("estoi", "pesq"):
        assert little[name] > much[name], name


# ---- spectra -----------------------------------------------------------------------------------


def test_half_the_amplitude_is_ln_2_away_and_6_dB():
    x = noise(RATE)
    assert log_mel_distance(x, x / 2, MEL) == pytest.approx(math.log(2), abs=0.01)
    for distance in (high_band_distance, whole_distance):
        assert distance(x, x / 2) == pytest.approx(20 * math.log10(2), abs=0.05)


def test_the_high_band_begins_at_4_khz():
    x = noise(RATE, level=1e-3)
    t = np.arange(RATE) / RATE
    fades = np.hanning(RATE)  # an abrupt end has all frequencies
    tones = [fades * np.sin(2 * np.pi * hz * t) for hz in (3500, 4500)]
    below, above = (tone.astype(np.float32) for tone in tones)
    assert high_band_distance(x, x + above) > 5
    assert high_band_distance(x, x + below) < 0.5
    assert math.isnan(high_band_distance(x, x, 7000))  # it has no such band


# ---- pitch -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cents", [0, 20, 50, -50, 1200])
def test_a_shift_of_pitch_is_measured_in_cents(cents):
    errors, voicing = pitch_errors(voice(150), voice(150 * 2 ** (cents / 1200)))
    assert len(errors) > 50 and voicing < 0.05
    assert np.median(errors) == pytest.approx(abs(cents), abs=1)


def test_voicing_errors_are_the_frames_that_are_voiced_in_one_of_both():
    x = np.concatenate([voice(150), noise(RATE)])
    for pair in ((x, voice(150, 2)), (voice(150, 2), x)):
        errors, voicing = pitch_errors(*pair)
        assert voicing == pytest.approx(0.5, abs=0.03)
        assert np.median(errors) < 1 and len(errors) == pytest.approx(RATE / HOP, abs=3)


# ---- edges -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", EDGES)
@pytest.mark.parametrize("level", [0, 1e-9, 0.1])
def test_short_and_silent_sounds_have_a_number_or_none(n, level):
    x = noise(n, level=level)
    found = everything(x, np.zeros_like(x))
    for name in ("estoi", "pesq", "cents"):
        assert math.isnan(found[name]), name
    for name in ("log_spectral", "high_band"):
        assert math.isnan(found[name]) == (n == 0), name
        assert level == 0.1 or n == 0 or found[name] < 1e-6, name
    assert math.isnan(found["log_mel"]) == math.isnan(found["voicing"]) == (n < HOP)
    assert math.isnan(flatness(x)) == (n <= 1 or level < 0.1)  # a window begins with 0
    assert math.isnan(silent_share(x, RATE)) == (n < 320)


@pytest.mark.parametrize("silent", ["original", "result", "both"])
def test_a_second_of_silence_ends_no_measure(speech, silent):
    x, nothing = speech[:RATE], np.zeros(RATE, np.float32)
    found = everything(x if silent == "result" else nothing, x if silent == "original" else nothing)
    assert math.isnan(found["pesq"]) and math.isnan(found["cents"])
    assert found["log_spectral"] == 0 if silent == "both" else found["log_spectral"] > 1


def test_pesq_is_of_the_first_30_seconds_at_16_khz(speech):
    pytest.importorskip("pesq")
    twice = np.repeat(speech, 2)[: 2 * RATE]
    assert quality.pesq_wb(twice, twice, 2 * RATE) == pytest.approx(4.644, abs=1e-3)
    long = np.tile(speech, 1 + 30 * RATE // len(speech))
    changed = long.copy()
    changed[30 * RATE :] = 0
    assert quality.pesq_wb(long, changed, RATE) == pytest.approx(4.644, abs=1e-3)


@pytest.mark.parametrize("package", quality.PACKAGES)
def test_without_its_package_a_measure_is_no_number(speech, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    measures = {"pystoi": quality.estoi, "pesq": quality.pesq_wb}
    assert math.isnan(measures[package](speech, speech, RATE))
    assert package in quality.missing_packages()


def test_pitch_has_frames_of_16_ms_at_any_rate_that_holds_it():
    for rate, frames in ((16000, 62), (22050, 62), (2000, 62), (1999, 0), (1000, 0)):
        assert len(quality.contour(np.zeros(rate, np.float32), rate).voiced) == frames


def test_estoi_is_the_same_again_and_leaves_numpys_generator_as_it_was(speech):
    pytest.importorskip("pystoi")
    noisy, before = speech + noise(len(speech)), np.random.get_state()[1].copy()
    assert quality.estoi(speech, noisy, RATE) == quality.estoi(speech, noisy, RATE)
    assert np.array_equal(np.random.get_state()[1], before)
