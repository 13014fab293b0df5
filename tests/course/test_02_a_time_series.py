"""Chapter 2 of the course: the number of values, dynamic range and entropy."""

import numpy as np
import pytest

NUMBERS = [  # words of the text, and what its cells compute
    ("It grows from # weights to #", "[few, many]"),
    ("All that is added, # %,", "100 * ends"),
    ("In its 49,520 samples the sentence has # different values", "present"),
    (
        "# % of the samples of the second half have a value that never occurred",
        "100 * unseen_values",
    ),
    ("With 256 values it is # %", "100 * unseen_codes"),
    (
        "amplified by # after it had been rounded, so of the 16 bits of the file # are",
        "[stretch, real_bits]",
    ),
    ("Of the # numbers that remain possible, # % occur", "[possible, 100 * present / possible]"),
    (
        "# % of the amplitudes are below a tenth of the peak, # % below a hundredth",
        "[100 * below_tenth, 100 * below_hundredth]",
    ),
    (
        "# dB for 16 bits, # dB for 8. Within one sentence the level moves by # dB",
        "[range_of(16), range_of(8), spread]",
    ),
    ("on # of the 256 values", "used_often"),
    ("| 16-bit values, or their numbers | # of 16 |", "of_values"),
    ("| 256 equal steps | # of 8 |", "of_eight"),
    ("| 256 codes of mu-law | # of 8 |", "of_codes"),
    ("equally probable values | # of 16 |", "of_even"),
    ("The correlation $r$ is #.", "correlation"),
    ("\\log_2 (1 - r^2) = #$ bits", "expected_gain"),
    ("of the differences of the numbers is in fact # bits lower", "gain"),
    ("Of the 16-bit values it is only # bits lower", "gain_with_gaps"),
    ("In # % of the frames, such as those of an", "100 * opposite"),
    ("measured on the same samples it is # bits", "of_pairs"),
    ("of the pairs that occurred, # % occurred once", "100 * once"),
    ("it costs # bits a code; without the past it costs #.", "[cost_table, cost_alone]"),
    (
        "takes # of the file's 16 bits a sample, but # of the numbers",
        "[flac, flac_of_numbers]",
        0.15,
    ),
    ("together # bits. The model pays # for each", "[of_mostly_silence, believed]"),
    ("#. Shuffled samples cannot be predicted", "flac_shuffled", 0.15),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_shuffling_keeps_the_values(names):
    assert np.array_equal(np.sort(names["shuffled"]), np.sort(names["speech"]))
    assert np.array_equal(names["values"] / 2**15, names["speech"])  # all 16 bits of the file


def test_65536_classes_make_a_network_mostly_ends(names):
    assert names["few"] == 658048 and names["many"] == 17435008
    tables = 2 * 256 * 64  # of the input: rows are looked up, not multiplied
    assert names["few"] - tables == pytest.approx(0.6e6, abs=0.05e6)
    assert names["ends"] == pytest.approx(0.96, abs=0.005)
    added = names["many"] - names["few"]
    matrix = (65536 - 256) * (names["layers"]["head"] + 1)  # with its biases
    assert matrix == pytest.approx(8e6, abs=0.5e6)
    assert matrix / added == pytest.approx(0.5, abs=0.01)


def test_most_values_never_occur(names):
    assert names["present"] == 6348
    assert names["unseen_values"] == pytest.approx(0.047, abs=0.0005)
    assert names["unseen_codes"] == pytest.approx(0.0005, abs=0.0001)


def test_the_file_has_gaps_and_numbers_have_none(names):
    assert np.mean((names["gaps"] == 3) | (names["gaps"] == 4)) > 0.99
    pairs = np.unique(np.stack([names["values"], names["numbers"]]), axis=1)
    assert [len(np.unique(row)) for row in pairs] == [6348, 6348] and pairs.shape[1] == 6348
    assert names["real_bits"] == pytest.approx(14.2, abs=0.05)
    assert names["possible"] == 10862
    assert names["present"] / names["possible"] == pytest.approx(0.58, abs=0.005)


def test_most_amplitudes_are_small(names):
    assert names["below_tenth"] == pytest.approx(0.70, abs=0.005)
    assert names["below_hundredth"] == pytest.approx(0.33, abs=0.005)
    assert names["used_often"] == 9


def test_the_levels_of_a_sentence_have_a_range_of_52_db(names):
    assert names["spread"] == pytest.approx(52, abs=0.5)
    assert names["level"].min() == pytest.approx(-62, abs=0.5)
    assert names["level"].max() == pytest.approx(-11, abs=0.5)
    assert names["range_of"](16) == pytest.approx(90, abs=0.5)
    assert names["range_of"](8) == pytest.approx(42, abs=0.5)
    assert names["level"].min() < -names["range_of"](8)


def test_mu_law_has_more_entropy_than_equal_steps(names):
    entropies = [names[name] for name in ("of_values", "of_eight", "of_codes", "of_even")]
    assert entropies == pytest.approx([11.04, 5.62, 7.66, 14.94], abs=0.006)
    assert names["of_even"] < np.log2(49520) == pytest.approx(15.6, abs=0.05)


def test_a_neighbour_is_worth_the_bits_of_its_correlation_once_the_gaps_are_gone(names):
    assert names["correlation"] == pytest.approx(0.96, abs=0.005)
    assert names["expected_gain"] == pytest.approx(1.9, abs=0.05)
    assert names["gain"] == pytest.approx(1.8, abs=0.05)
    assert names["gain_with_gaps"] == pytest.approx(0.7, abs=0.05)
    assert names["opposite"] == pytest.approx(0.12, abs=0.005)


def test_a_table_of_pairs_costs_more_where_it_was_not_learned(names):
    costs = [names[name] for name in ("of_pairs", "cost_table", "cost_alone")]
    assert costs == pytest.approx([4.95, 5.9, 7.67], abs=0.01)
    assert names["once"] == pytest.approx(0.45, abs=0.005)
    assert len(str(256**70)) == 169


def test_flac_pays_for_gaps_and_for_shuffling(names):
    assert names["flac"] == pytest.approx(9.9, abs=0.15)
    assert names["flac_of_numbers"] == pytest.approx(8.1, abs=0.15)
    assert names["flac_shuffled"] == pytest.approx(11.9, abs=0.15)
    assert names["flac_shuffled"] > names["of_values"]


def test_mostly_silence_has_5_bits(names):
    assert names["of_mostly_silence"] == pytest.approx(5.0, abs=0.01)
    assert names["believed"] == pytest.approx(8)
