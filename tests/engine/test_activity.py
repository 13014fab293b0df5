"""Silence and constants are counted, whatever the blocks; a sound is judged from ten frames on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import tone

from fastwavenet.activity import FLOOR, Activity, advice

RATE = 1000  # a frame has 20 samples
SINE = tone(20, hz=100, rate=RATE) * 2  # a frame of whole periods: its deviation is 2**-0.5


def judged(audio, rate=RATE):
    activity = Activity(1, rate)
    activity.add(np.asarray(audio, np.float32)[None])
    return activity


def test_speech_like_sound_is_active():
    assert judged(np.tile(SINE, 100)).still_voices() == 0


@pytest.mark.parametrize("value", [0, 0.00009, 0.5, -1])
def test_silence_and_any_constant_are_still(value):
    activity = judged(np.full(20 * 100, value))
    assert (activity.still_voices(), activity.share()) == (1, 1)


def test_the_bound_is_55_db_below_full_scale():
    quiet, loud = (np.tile(SINE, 10) * 2**0.5 * FLOOR * x for x in (0.99, 1.01))
    assert (judged(quiet).still_voices(), judged(loud).still_voices()) == (1, 0)
    assert judged(quiet + 0.3).still_voices() == 1  # an offset is no sound


@pytest.mark.parametrize(("active", "still"), [(9, 1), (10, 1), (11, 0)])
def test_nine_frames_of_ten_are_the_limit(active, still):
    frames = np.zeros((100, 20))
    frames[:active] = SINE
    assert judged(frames.ravel()).still_voices() == still


@pytest.mark.parametrize(
    ("n", "still"), [(0, 0), (1, 0), (19, 0), (20, 0), (199, 0), (200, 1), (201, 1)]
)
def test_a_sound_is_judged_from_ten_frames_on(n, still):
    assert judged(np.zeros(n)).still_voices() == still


@given(st.lists(st.integers(0, 90), max_size=20))
def test_blocks_of_any_size_count_like_one(sizes):
    audio = np.random.default_rng(0).uniform(-2 * FLOOR, 2 * FLOOR, (3, sum(sizes)))
    whole, parts = Activity(3, RATE), Activity(3, RATE)
    whole.add(audio)
    for part in np.split(audio, np.cumsum(sizes)[:-1], axis=1) if sizes else []:
        parts.add(part)
    assert (whole.frames, whole.still.tolist()) == (parts.frames, parts.still.tolist())


def test_each_voice_is_judged_on_its_own():
    activity = Activity(3, RATE)
    activity.add(np.stack([np.tile(SINE, 20), np.zeros(400), np.ones(400)]))
    assert activity.still_voices() == 2
    assert activity.share() == pytest.approx(2 / 3)


@pytest.mark.parametrize("rate", [1, 24, 25, 768000])
def test_any_rate_has_a_frame(rate):
    assert judged(np.zeros(10 * max(1, round(rate / 50))), rate).still_voices() == 1


def test_advice_names_the_temperature_only_where_it_is_the_cause():
    assert "--temperature 1," in advice(0.9, primed=False)
    assert "--temperature" not in advice(1, primed=False)
    assert "does not end in a pause" in advice(1, primed=True)
