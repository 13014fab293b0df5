"""Pitch: audio and numbers that are refused, by name."""

import re

import numpy as np
import pytest

import fastwavenet as fw
from fastwavenet import arrays

RATE = 16000
HOP = 80
GOOD = np.zeros(1000, np.float32)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 7, 999])
def test_a_bad_number_is_named_with_its_index(bad, at):
    audio = GOOD.copy()
    audio[at::3] = bad  # the first counts
    with pytest.raises(ValueError, match=rf"audio must be finite: {bad} at index {at}$"):
        fw.pitch(audio, RATE, HOP)


def test_a_number_beyond_float32_is_infinite(monkeypatch):
    monkeypatch.setattr(arrays, "CHECKED", 100)
    audio = GOOD.astype(float)
    audio[750] = 1e39
    with pytest.raises(ValueError, match=r"1e\+39 at index 750$"):
        fw.pitch(audio, RATE, HOP)


@pytest.mark.parametrize(
    "audio, error, message",
    [
        (GOOD.astype(np.int16), TypeError, "float32 or float64, not int16: divide it by 32768"),
        (GOOD.astype(">i2"), TypeError, "float32 or float64, not >i2: divide it by 32768"),
        (GOOD.astype(np.uint8), TypeError, "float32 or float64, not uint8"),
        (GOOD.astype(np.float16), TypeError, "float32 or float64, not float16"),
        (GOOD.astype(complex), TypeError, "float32 or float64, not complex128"),
        (GOOD[None], ValueError, r"shape \(n,\), not \(1, 1000\)"),
        (np.float32(1), ValueError, r"shape \(n,\), not \(\)"),
        ("a.wav", TypeError, "an array, not 'a.wav': read the file first"),
        (np.ma.masked_array(GOOD), TypeError, "without a mask"),
    ],
)
def test_other_audio_is_refused(audio, error, message):
    with pytest.raises(error, match=f"audio must (be|have) .*{message}"):
        fw.pitch(audio, RATE, HOP)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"sample_rate": 999}, ValueError, "sample_rate must be a whole number from 1000 to"),
        ({"sample_rate": 16000.0}, TypeError, "sample_rate must be a whole number"),
        ({"hop": 0}, ValueError, "hop must be a whole number from 1 to"),
        ({"hop": True}, TypeError, "hop must be a whole number"),
        ({"hop": 2.5}, TypeError, "hop must be a whole number"),
        (
            {"fmin": 9},
            ValueError,
            "fmin must be from 10 to 1000 Hz, a sixteenth of the sample rate",
        ),
        ({"fmin": "60"}, TypeError, "fmin must be a number, not '60'"),
        ({"fmin": 60, "fmax": 119}, ValueError, "fmax must be from 120 Hz, twice fmin, to 4000 Hz"),
        ({"fmax": np.nan}, ValueError, "fmax must be from 120 Hz"),
        ({"sample_rate": 1000}, ValueError, "fmax must be from 120 Hz, twice fmin, to 250 Hz"),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        fw.pitch(GOOD, **{"sample_rate": RATE, "hop": HOP, **arguments})


@pytest.mark.parametrize("n", [0, 1, HOP - 1])
def test_audio_shorter_than_a_frame_has_none(n):
    assert fw.pitch(np.zeros(n), RATE, HOP).shape == (0, 3)
