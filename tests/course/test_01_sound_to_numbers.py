"""Chapter 1 of the course: the sampling rate, aliasing, mixing down and bit depth."""

import io

import numpy as np
import pytest

import fastwavenet as fw

NUMBERS = [  # words of the text, and what its cells compute
    ("is # s long and has 49,520 samples", "seconds"),
    ("s long and has # samples", "len(speech)"),
    ("The vowel has # Hz", "f0"),
    ("so its period is # ms, or # samples", "[period, period * 16]"),
    ("by an error # dB below it", "of_curve"),
    ("by more than its own power, # dB", "of_stairs"),
    ("the measured one # Hz", "measured", 32),
    (
        "Only # % of the power is above 2,000 Hz, and folded down it is # dB",
        "[100 * above_2000, of_folded]",
    ),
    ("In # % of the frames of 20 ms, those of consonants", "100 * false_is_stronger"),
    (
        "Of the sentence's power # % is above 4,000 Hz; yet in # % of its frames",
        "[100 * above_4000, 100 * bright]",
    ),
    ("| independent noises | # dB |", "levels_of_mean[1]"),
    ("the right one 1 ms late | # dB |", "levels_of_mean[2]"),
    ("back costs almost nothing: an error of # dB", "-there_and_back"),
    ("Speech is on a line # dB lower", "below_sine"),
    ("| linear, measured | # | # | # |", "rows['linear']"),
    ("| mu-law, measured | # | # | # |", "rows['mu-law']"),
    ("| linear, by the formula | # | # | # |", "6.02 * 8 + 1.76 - np.array([0, 20, 40])"),
    ("a sine of that amplitude has # dB.", "without_clipping"),
    ("the distances # and # Hz", "found"),
    ("The SNR is # dB, and yet", "of_dithered"),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_the_loudest_vowel_has_231_hz(names):
    assert len(names["speech"]) == 49520 and names["hop"] == 320
    assert names["seconds"] == pytest.approx(3.1, abs=0.05)
    assert names["f0"] == pytest.approx(231, abs=0.5)
    assert names["period"] == pytest.approx(4.3, abs=0.05)
    assert round(names["period"] * 16) == 69


def test_the_curve_through_the_samples_is_the_tone_and_the_stairs_are_not(names):
    assert names["of_curve"] == pytest.approx(65, abs=0.5)
    assert names["of_stairs"] == pytest.approx(-1.8, abs=0.1)


def test_tones_beyond_half_the_rate_are_aliases(names):
    assert names["difference"] < 1e-10
    assert names["measured"] == pytest.approx(names["alias"](12000), abs=32)
    assert names["computed"] == names["found"] == [5000, 1000]


def test_folded_speech_is_17_db_below_the_rest(names):
    assert names["of_folded"] == pytest.approx(17.2, abs=0.3)
    assert names["above_2000"] == pytest.approx(0.019, abs=0.0005)
    assert names["false_is_stronger"] == pytest.approx(0.18, abs=0.01)
    assert names["above_4000"] == pytest.approx(0.009, abs=0.0005)
    assert names["bright"] == pytest.approx(0.12, abs=0.005)


def test_mixing_down_keeps_equal_channels_and_cancels_opposite_ones(names):
    *found, inverted = names["levels_of_mean"]
    assert found == pytest.approx([0, -3.0, -3.6], abs=0.06)
    assert inverted < -150


def test_resampling_removes_frequencies_that_do_not_fit(names):
    assert names["third"] == pytest.approx(0, abs=0.01)
    assert names["removed"] < -80
    assert names["there_and_back"] == pytest.approx(66, abs=0.5)


def test_each_bit_is_worth_6_db(names):
    line = 6.02 * names["bits"] + 1.76
    assert names["of_sine"][2:] == pytest.approx(line[2:], abs=1.6)
    assert names["below_sine"] == pytest.approx(12.5, abs=0.05)
    assert names["of_speech"][4:] == pytest.approx(line[4:] - 12.5, abs=0.6)
    assert np.diff(names["of_speech"]) == pytest.approx(6.02, abs=0.6)


def test_the_formula_fails_at_full_scale_and_at_a_hundredth(names):
    assert names["rows"]["linear"] == pytest.approx([49.1, 29.8, 11.1], abs=0.06)
    assert names["rows"]["mu-law"] == pytest.approx([38.4, 37.6, 33.7], abs=0.06)
    assert names["without_clipping"] == pytest.approx(49.95, abs=0.01)
    assert names["values_left"] == 3


def test_dither_keeps_a_tone_below_half_a_step(names):
    assert names["amplitudes"][0] == 0
    assert names["amplitudes"][1] == pytest.approx(0.3, abs=0.02)
    assert names["of_dithered"] == pytest.approx(-5, abs=0.2)


@pytest.mark.parametrize(("bits", "subtype"), [(8, "PCM_U8"), (16, "PCM_16"), (24, "PCM_24")])
def test_linear_rounds_as_files_do(names, bits, subtype):
    audio = np.concatenate([names["speech"][:5000].astype(np.float64), [-1, -0.999, 0, 0.999, 1]])
    file = io.BytesIO()
    fw.write_audio(file, audio, 16000, subtype=subtype)
    file.seek(0)
    assert np.array_equal(names["linear"](audio, bits), fw.read_audio(file)[0])
