"""Chapter 6 of the course."""

import numpy as np
import pytest

NUMBERS = [  # words of the text, and what its cells compute
    (
        "Preset `small`, 1 to 512 twice, sees # samples: # seconds",
        "[fields['small'], fields['small'] / 16000]",
    ),
    (
        "The field has # samples. Of the gradient the newest # have half, and the newest # "
        "have 99 %",
        "[fields['tiny'], half, most]",
        15,
    ),
    (
        "The strided stack computes # outputs of 64 samples; the dilated one computes #,",
        "[strided.shape[2], dilated.shape[2]]",
    ),
    ("The filter `holes` has sixteen weights of one sixteenth, from # taps", "2 * len(DILATIONS)"),
    ("a window of # samples becomes # at dilation 512", "[513, padded_length]"),
    ("# of the 160 values are orange", "after.sum()"),
    (
        "whose tree has # values. Of these, # are new, one in each row, and # were computed "
        "before. But only # of the 26",
        "[after.sum(), new, after.sum() - new, from_tree_before]",
    ),
    (
        "The fields are # and #, but each output depends on # inputs only",
        "[answers[0][0], answers[1][0], answers[0][1]]",
    ),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_the_tree_of_an_output_doubles_with_each_layer(chapter):
    assert chapter("06")["newest"].sum(axis=1).tolist() == [16, 8, 4, 2, 1]


def test_receptive_fields_are_measured_as_they_are_counted(chapter):
    names = chapter("06")
    assert all(names["inside"])
    assert not any(names["outside"])
    counted = {"tiny": 512, "small": 2048, "base": 2048, "ibab": 5117, "kernel 3": 82}
    assert names["fields"] == counted
    assert counted["small"] / 16000 == 0.128


def test_a_trained_network_uses_the_near_half_of_its_field(chapter):
    names = chapter("06")
    field = names["network"].spec.receptive_field
    assert field == 512
    assert names["farthest"] == field - 2  # of vectors that two samples each have made
    assert names["half"] == pytest.approx(8, abs=3)
    assert names["most"] == pytest.approx(202, abs=15)
    far = float(names["profile"][names["farthest"]] / names["profile"][0])
    assert 1e-17 < far < 1e-15
    falls = -np.diff(names["losses"])
    assert (falls[:-1] > 0.03).all()
    assert abs(falls[-1]) < 0.01


def test_strided_outputs_are_some_of_the_dilated_ones(chapter):
    names = chapter("06")
    assert names["same"]
    assert (names["strided"].shape[2], names["dilated"].shape[2]) == (4, 49)


def test_four_dilated_averages_are_the_average_of_16(chapter):
    names = chapter("06")
    assert names["holes"].tolist() == [1 / 16] * 16
    k = np.arange(16)
    whole = [abs(np.mean(np.exp(2j * np.pi * f * k / 16000))) for f in names["hz"]]
    assert names["response"]["all four"] == pytest.approx(whole, abs=1e-12)


def test_time_to_batch_gives_the_values_of_the_dilated_convolution(chapter):
    names = chapter("06")
    assert max(names["largest"]) < 1e-6
    assert names["dealt"][1] == [2, 6, 10, 14, 18]
    assert names["sums"] == [2 * t + 4 for t in range(1, 17)]
    assert names["without_transposing"][:4] == [3, 5, 7, 9]


def test_time_to_batch_copies_three_times_the_input(chapter):
    names = chapter("06")
    assert names["copied"] / names["x"].nbytes == pytest.approx(3, abs=0.01)
    assert names["padded_length"] == 1024


def test_no_value_is_computed_in_vain(chapter):
    names = chapter("06")
    assert names["never"] == 0
    assert names["users"][:, :16].min(axis=1).tolist() == [16, 8, 4, 2, 1]
    assert (names["after"].sum(), names["after"].size) == (31, 160)
    assert (names["new"], names["from_tree_before"]) == (5, 15)
    shared = names["after"] & names["before"]
    assert shared.sum(axis=1).tolist() == [15, 0, 0, 0, 0]


def test_the_answers_to_the_exercises(chapter):
    names = chapter("06")
    assert names["answers"] == ((15, 8), (14, 8), (27, 27))
    assert names["fields_of_blocks"] == [6140, 7163, 6143, 8190]
