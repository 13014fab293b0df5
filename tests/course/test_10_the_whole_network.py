"""Chapter 10 of the course."""

import pytest

NUMBERS = [  # words of the text, and what its cells compute
    ("It costs # multiplications a sample, the table none", "first.weight.numel()"),
    ("parts add up to the # numbers of the preset", "whole_count"),
    (
        "The dilated convolutions have # % of the numbers. A sample takes # multiply-adds",
        "[100 * shares['dilated'], macs]",
    ),
    (
        "# % of the numbers. Setting them to zero in our trained network",
        "100 * bias_count / ibab_count",
    ),
    ("raises the loss of a second of speech from # to # nats", "[loss, unbiased_loss]", 0.3),
    (
        "The default network of ibab's project has # numbers; its checkpoint is # bytes",
        "[original_count, 4 * original_count]",
    ),
    ("The preset `ibab` has #, with", "ibab_count"),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_the_table_is_a_product_with_one_hot_vectors(names):
    assert names["first_shape"] == (1, 32, 800) and names["first_count"] == 16_416
    assert names["first_difference"] < 1e-5


def test_a_layer_and_the_whole_are_equal_to_their_forward(names):
    assert names["layer_equal"] and names["whole_equal"]


def test_the_pieces_have_the_shapes_and_numbers_of_the_text(names):
    assert names["dilated_shape"] == (1, 64, 800) and names["dilated_count"] == 4_160
    assert (names["layer_count"], names["last_count"]) == (7_328, 7_328 - 1_056)
    assert names["head_count"] == 4_160 + 16_640
    assert names["whole_count"] == 153_408
    shares = names["shares"]
    assert round(shares["dilated"], 2) == 0.43 and shares["dilated"] == max(shares.values())
    assert names["macs"] == names["spec"].macs_per_sample == 134_144


def test_the_engine_has_the_logits_of_torch(names):
    assert names["engine_difference"] < 1e-4 * max(1, names["largest"])


def test_two_filters_or_one_and_padded_or_not_are_the_same(names):
    assert names["halves_difference"] < 1e-5 and names["short_difference"] < 1e-5
    assert names["lost"] == names["d"] == 16


def test_biases_are_two_percent_of_the_numbers_and_the_network_relies_on_them(names):
    assert (names["bias_count"], names["ibab_count"]) == (31_168, 1_514_944)
    assert round(100 * names["bias_count"] / names["ibab_count"]) == 2
    assert names["unbiased_loss"] > names["loss"] + 0.3
    assert names["loss"] == pytest.approx(2.9, abs=0.15)


def test_the_missing_numbers_are_an_unread_matrix_without_the_first_bias(names):
    assert names["original_count"] == 1_515_968
    assert 4 * names["original_count"] == 6_063_872


def test_doubled_channels_are_three_and_a_half_times_the_numbers(names):
    assert names["wide_count"] == 542_080
    assert names["factor"] == pytest.approx(3.6, abs=0.1)
