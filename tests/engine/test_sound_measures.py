"""Long-term measures of sound: the known number for a known sound, and of rows as of their sum."""

import math
from pathlib import Path

import numpy as np
import pytest

import fastwavenet as fw
from fastwavenet import sound_measures as measures

RATE = 16000
ARCTIC = Path(fw.__file__).parent / "data/arctic_a0009.flac"


@pytest.fixture(scope="module")
def speech():
    return fw.read_audio(ARCTIC, RATE)[0]


def noise(n: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def voice(f0: float, seconds: float = 1.0) -> np.ndarray:
    """A sum of the first ten harmonics."""
    t = np.arange(round(seconds * RATE)) / RATE
    return sum(np.sin(2 * np.pi * k * f0 * t) / k for k in range(1, 11)).astype(np.float32) / 10


@pytest.mark.parametrize("n", [1, measures.HOP, measures.HOP + 1, 3 * measures.HOP])
def test_a_window_begins_at_every_hop_within_the_audio(n):
    assert measures.powers(noise(n)).shape == (-(-n // measures.HOP), measures.N_FFT // 2 + 1)


def test_white_noise_is_flat_and_a_voice_is_not(speech):
    assert measures.flatness(noise(10 * RATE)) == pytest.approx(math.exp(-np.euler_gamma), abs=0.01)
    assert measures.flatness(voice(200)) < 1e-3
    assert measures.flatness(speech) < 0.02


def test_flatness_is_that_of_the_loud_frames():
    loud_voice = np.concatenate([noise(2 * RATE, level=1e-3), voice(200, 2)])
    loud_noise = np.concatenate([noise(2 * RATE), 1e-3 * voice(200, 2)])
    assert measures.flatness(loud_voice) < 0.01
    assert measures.flatness(loud_noise) > 0.5


def test_the_silent_share_is_that_of_the_frames_below_55_dB():
    x = np.concatenate([np.zeros(RATE, np.float32), noise(3 * RATE)])
    assert measures.silent_share(x, RATE) == 0.25
    assert measures.silent_share(np.full(RATE, 0.5, np.float32), RATE) == 1


def test_the_mean_leaves_out_what_is_no_number():
    assert measures.mean([1, math.nan, 3]) == 2
    assert math.isnan(measures.mean([])) and math.isnan(measures.mean([math.nan]))


# ---- distributions -----------------------------------------------------------------------------


def test_the_long_term_spectrum_rises_with_the_power_and_has_a_tone_in_its_band():
    x = noise(4 * RATE)
    found, half = (measures.long_term_spectrum(measures.powers(y)) for y in (x, x / 2))
    assert found.shape == (measures.BANDS,)
    assert found - half == pytest.approx(20 * math.log10(2), abs=1e-3)
    assert found.std() < 1  # white
    t = np.arange(RATE) / RATE
    for hz, band in ((7000, 20), (5500, 19), (70, 0)):
        tone = np.sin(2 * np.pi * hz * t).astype(np.float32)
        assert measures.long_term_spectrum(measures.powers(tone)).argmax() == band


@pytest.mark.parametrize("n", [0, 1, 319, 320, 321, 640])
def test_levels_are_those_of_whole_frames_of_20_ms(n):
    levels = measures.frame_levels(noise(n, level=0.1), RATE)
    assert len(levels) == n // 320
    assert np.all(abs(levels + 20) < 1)
    silent = measures.frame_levels(np.zeros(n, np.float32), RATE)
    assert np.all(silent == measures.LOWEST_LEVEL)


def test_the_distance_of_levels_is_that_of_the_quantiles():
    loud, quiet = (measures.frame_levels(noise(4 * RATE, level=x), RATE) for x in (0.1, 0.05))
    assert measures.level_distance(loud, loud) == 0
    assert measures.level_distance(loud, quiet) == pytest.approx(20 * math.log10(2), abs=0.01)
    half = np.sort(np.concatenate([loud, quiet]))
    assert measures.level_distance(loud, half) == pytest.approx(10 * math.log10(2), abs=0.1)
    assert math.isnan(measures.level_distance(loud, loud[:0]))


def test_rows_are_measured_as_one_long_sound():
    rows = np.stack([noise(RATE), noise(RATE, 1, 1e-4), np.zeros(RATE, np.float32)])
    assert measures.silent_share(rows, RATE) == pytest.approx(2 / 3)
    assert len(measures.frame_levels(rows, RATE)) == 150
    each = np.concatenate([measures.powers(row) for row in rows])
    assert np.array_equal(measures.powers(rows), each)
    alone = measures.flatness(rows[:1])  # the others are quiet
    assert measures.flatness(rows) == pytest.approx(alone, abs=1e-3)
