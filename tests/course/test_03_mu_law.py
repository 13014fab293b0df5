"""Chapter 3 of the course: the curve of mu-law, its noise, and the conventions of projects."""

import math
import re

import numpy as np
import pytest
from c_build import ROOT

import fastwavenet as fw

NUMBERS = [  # words of the text, and what its cells compute
    ("Near zero the step is #, as fine as with # bits", "[finest, bits_at_zero]"),
    ("near full scale it is #, as coarse as with # bits", "[coarsest, bits_at_top]", 0.06),
    ("In between it is # % of the amplitude", "100 * relative"),
    ("= # \\ \\mathrm{dB} .", "predicted"),
    ("At full scale mu-law has # dB, as derived, and # dB at a tenth", "by_mu_law[[0, 4]]"),
    ("At full scale they have # dB: practically the same", "by_linear[0]"),
    ("| equal steps | # dB | # dB | # dB |", "[total[0], in_pauses[0], distance[0]]", 0.6),
    ("| mu-law | # dB | # dB | # dB |", "[total[1], in_pauses[1], distance[1]]", 0.6),
    (
        "| noise of mu-law, even | # dB | # dB | # dB |",
        "[total[2], in_pauses[2], distance[2]]",
        0.6,
    ),
    (
        "the SNR rises from # to # dB, in total from # to # dB",
        "[*high, total[1], of_filtered]",
        0.5,
    ),
    ("log-spectral distance falls from # to # dB", "[distance[1], distance_filtered]"),
    ("Filtered speech is # dB weaker", "weaker"),
    ("below the finest steps: # dB in the place of #.", "hundredth[::-1]"),
    ("is clipped, and has # dB in the place of #.", "of_tone[::-1]"),
    ("The codes are #, #, #, # and #: there are 257", "trapped"),
    ("Two conventions reach # dB", "own['ibab, nv-wavenet']"),
    ("256 in the other: # dB", "own['vincentherrmann']"),
    ("decoded by `symmetric`, have # dB", "cross[2, 0]"),
    ("even good codes drop to # dB", "cross[0, 1]"),
    ("/ 1023)^2) = #$ dB; measured #.", "[predicted_1024, measured_1024]"),
    ("gives its codes the full # dB", "of_mended"),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def marks(*found):
    """The marks of PESQ; skips without its package, where they are NaN."""
    if any(math.isnan(mark) for mark in found):
        pytest.skip("pesq is not installed")
    return list(found)


def test_the_curve_is_that_of_the_formula(names):
    x, mu = names["x"], 255
    c = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
    assert names["curve"](x, mu) == pytest.approx(c, abs=2 / 65535)


def test_steps_are_fine_near_zero_and_grow_with_the_amplitude(names):
    assert names["finest"] == pytest.approx(0.00017, abs=0.000005)
    assert names["coarsest"] == pytest.approx(0.043, abs=0.0005)
    assert names["bits_at_zero"] == pytest.approx(13.5, abs=0.05)
    assert names["bits_at_top"] == pytest.approx(5.5, abs=0.06)
    assert names["relative"] == pytest.approx(0.044, abs=0.0005)


def test_codes_survive_and_silence_is_not_zero(names):
    assert names["some_codes"].tolist() == [0, 122, 128, 133, 137, 203, 218, 255]
    expected = [-1, -0.00106, 0.000086, 0.00106, 0.00201, 0.1007, 0.1969, 1]
    assert names["back"] == pytest.approx(expected, rel=0.005)
    assert 20 * np.log10(names["back"][2]) == pytest.approx(-81, abs=0.5)
    assert names["survive"]


def test_mu_law_keeps_its_snr_over_20_db(names):
    assert names["predicted"] == pytest.approx(38.0, abs=0.05)
    by_level = dict(zip(names["decibels"].tolist(), names["by_mu_law"], strict=True))
    assert [by_level[0], by_level[-20]] == pytest.approx([37.9, 36.7], abs=0.06)
    equal = dict(zip(names["decibels"].tolist(), names["by_linear"], strict=True))
    assert equal[0] == pytest.approx(37.4, abs=0.06)
    assert equal[0] - equal[-20] == pytest.approx(19, abs=0.5)


def test_mu_law_has_the_snr_of_equal_steps_and_its_noise_in_better_places(names):
    assert names["total"] == pytest.approx([37.4, 37.9, 37.9], abs=0.06)
    assert names["in_pauses"] == pytest.approx([-54, -82, -54], abs=0.6)
    assert names["distance"] == pytest.approx([9.1, 7.1, 9.8], abs=0.06)


def test_marks_follow_the_place_of_the_noise(names):
    found = marks(*names["quality"], names["quality_filtered"])
    assert found == pytest.approx([3.2, 3.9, 3.2, 4.5], abs=0.06)


def test_pre_emphasis_helps_loud_speech_and_harms_quiet_speech_and_high_tones(names):
    assert names["high"] == pytest.approx((21, 35), abs=0.5)
    assert names["of_filtered"] == pytest.approx(42.5, abs=0.06)
    assert names["distance_filtered"] == pytest.approx(3.5, abs=0.06)
    assert names["weaker"] == pytest.approx(11, abs=0.5)
    assert names["hundredth"] == pytest.approx([28.1, 19.6], abs=0.06)
    assert names["of_tone"] == pytest.approx([40, 7], abs=0.5)


def test_mu_of_256_truncated_has_257_codes(names):
    assert names["trapped"].tolist() == [0, 128, 240, 255, 256]
    assert names["as_byte"][-1] == 0


def test_the_function_of_tutorials_gives_the_codes_of_symmetric(names):
    assert names["function_is_right"]
    x = np.arange(-(2**15), 2**15) / 2**15
    mu = 256 - 1
    c = np.sign(x) * np.log(1 + mu * np.abs(x)) / np.log(1 + mu)
    assert np.array_equal(((c + 1) / 2 * mu + 0.5).astype(int), fw.mu_law_encode(x))
    c = np.log(1 + mu * 1.05) / np.log(1 + mu)
    assert int((c + 1) / 2 * mu + 0.5) == 256  # beyond 1 it does not clip


def test_three_of_six_conventions_lose_6_db_to_themselves_and_one_12(names):
    assert list(names["own"].values()) == pytest.approx(
        [37.9, 37.9, 31.9, 31.9, 31.9, 26.1], abs=0.06
    )
    best = names["cross"].max(axis=1)
    assert (best > 37.8).tolist() == [True, True, True, False, False, False]
    symmetric, coding, kan_bayashi = range(3)
    assert names["cross"][kan_bayashi, symmetric] == pytest.approx(37.9, abs=0.06)
    assert names["cross"][symmetric, coding] == pytest.approx(30, abs=0.5)


def test_the_table_of_conventions_is_true(names):
    text = (ROOT / "docs/course/03-mu-law.md").read_text()
    table = re.findall(r"^\| ([a-z][^|]+) \| (2\d\d .*) \|$", text, re.M)
    assert [name for name, _ in table] == list(names["codecs"])
    for (_, row), codec, silence in zip(
        table, names["codecs"].values(), names["silence"], strict=True
    ):
        fields = codec.mu, codec.steps, codec.encode_offset, codec.decode_divisor
        assert [float(cell) for cell in row.split("|")] == [*fields, codec.decode_offset, silence]


def test_the_exercises(names):
    assert names["predicted_1024"] == pytest.approx(48.2, abs=0.06)
    assert names["measured_1024"] == pytest.approx(48.1, abs=0.06)
    assert names["of_mended"] == pytest.approx(37.9, abs=0.06)
