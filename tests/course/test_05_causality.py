"""Chapter 5 of the course."""

import numpy as np
import pytest

NUMBERS = [  # words of the text, and what its cells compute
    (
        "The causal network's loss is # to # nats a sample either way",
        "[in_training['causal'], generating['causal']]",
        0.2,
    ),
    ("where guessing among 256 codes costs #.", "np.log(256)", 0.05),
    ("A row of the causal table has at most # inputs", "inputs_of_an_output"),
    ("The first output is #, an input from two steps later", "without_padding[0]"),
    ("the GRU's grows by # for each sample", "(chains_of_gru[1] - chains_of_gru[0]) / 96"),
    ("the convolutions keep # bytes a sample, the GRU #.", "training_bytes"),
    ("keep the past of their inputs, # bytes, and the GRU its state, #.", "generating_bytes"),
    ("a part of # is left after 1,000 samples", "at['GRU, state kept'][1]", 0.0001),
    ("an input more than # samples back has no influence", "farthest"),
    ("while the padding is within the receptive field of # samples", "field"),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_a_leaky_network_is_near_perfect_in_training_and_worse_than_guessing_alone(chapter):
    names = chapter("05")
    assert names["in_training"]["causal"] == pytest.approx(3.5, abs=0.2)
    assert names["generating"]["causal"] == pytest.approx(3.8, abs=0.2)
    assert names["in_training"]["leaky"] < 0.1
    assert names["generating"]["leaky"] > 8 > np.log(256)


def test_the_jacobian_of_the_causal_network_is_0_above_the_diagonal(chapter):
    names = chapter("05")
    assert names["above"]["causal"] == 0
    assert names["above"]["leaky"] > 0
    assert names["strongest"] == 1
    assert names["inputs_of_an_output"] == 31


def test_masked_shifted_and_padded_convolutions_are_equal(chapter):
    names = chapter("05")
    assert names["padded"].shape == names["shifted"].shape == names["masked"].shape
    assert max(names["differences"]) < 1e-6


def test_an_unpadded_convolution_has_the_same_values_at_later_places(chapter):
    names = chapter("05")
    assert names["without_padding"] == [2, 3, 4, 5, 6, 7]
    assert names["with_padding"] == [0, 1, 2, 3, 4, 5, 6, 7]


def test_a_target_that_is_not_moved_gives_a_better_loss(chapter):
    nats = chapter("05")["nats"]
    assert nats[0] == pytest.approx(nats[1] - 0.5, abs=0.2)
    assert nats[1] < nats[2] < nats[3]


def test_the_chain_of_the_layers_is_short_and_that_of_the_gru_grows_by_ten_a_sample(chapter):
    names = chapter("05")
    assert names["weights_of_gru"] == pytest.approx(names["weights"], rel=0.01)
    assert len(set(names["chains"])) == 1
    growth = np.diff(names["chains_of_gru"]) / np.diff(names["lengths"])
    assert growth.tolist() == [10, 10]


def test_the_layers_keep_more_than_the_gru_in_training_and_in_generating(chapter):
    names = chapter("05")
    assert names["width"] == 101
    assert names["training_bytes"] == pytest.approx((5376, 2828), abs=1)
    assert names["generating_bytes"] == (130944, 404)


def test_gradients_reach_1023_samples_and_fall_with_each_past_tap(chapter):
    names = chapter("05")
    assert names["farthest"] == 1023
    assert names["at"]["GRU"][0] < 1e-10
    shares = np.array(names["by_taps"])
    assert shares[2:] / shares[1:-1] == pytest.approx(0.1, abs=0.04)
    assert 10**8.5 < shares[0] / shares[-1] < 10**9.5


def test_a_gru_that_keeps_its_state_has_more_gradient_than_the_layers_at_most_distances(chapter):
    names = chapter("05")
    assert names["at"]["GRU, state kept"][1] == pytest.approx(0.0008, abs=0.0001)
    shares = {name: g[:1200] / g[0] for name, g in names["gradients"].items()}
    more = shares["GRU, state kept"] > shares["WaveNet, 10 layers"]
    assert more.float().mean() > 0.9


def test_the_answers_to_the_exercises(chapter):
    names = chapter("05")
    assert names["leak"] > 0
    assert names["field"] == 512
    assert names["first_difference"] > 5
    assert names["after_field"] < 1e-4
