"""Chapter 13 of the course."""

import numpy as np
import pytest

NUMBERS = [  # words of the text, and what its cells compute
    ("The ratio is exactly the receptive field, #.", "naive / queued"),
    (
        "A second of sound takes # billion multiply-adds with queues and # trillion in the "
        "naive loop",
        "[second_queued / 1e9, second_naive / 1e12]",
    ),
    ("The recording has # dB", "decibels(speech)"),
    (
        "Silence costs # nats a sample, the sentence #:",
        "[totals_in_nats['silence'] / len(codes), totals_in_nats['the sentence'] / len(codes)]",
        0.2,
    ),
    ("All heads, at $-\\ln 0.6 = #$ nats a toss", "heads / 1000"),
    (
        "costs the entropy, # nats a toss. The difference is # nats",
        "[typical / 1000, typical - heads]",
    ),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_any_order_of_shares_draws_each_code_with_its_probability(names):
    assert names["largest"] <= 1.5 / 2000


def test_the_naive_loop_costs_a_receptive_field_of_columns(names):
    assert names["queued"] == names["spec"].macs_per_sample
    assert (
        names["naive"] == 512 * names["queued"] == names["spec"].receptive_field * names["queued"]
    )
    assert names["second_queued"] == pytest.approx(2.1e9, rel=0.05)
    assert names["second_naive"] == pytest.approx(1.08e12, rel=0.01)


def test_four_programs_generate_the_same_samples(names):
    assert names["by_naive"] == names["by_queues"] == names["by_numpy"] == names["by_engine"]


def test_narrower_draws_are_quieter(names):
    level = names["levels"]
    assert level["temperature 1"] == pytest.approx(names["decibels"](names["speech"]), abs=3)
    assert level["temperature 1.2"] > level["temperature 0.9"] > level["temperature 0.6"]
    assert level["temperature 0.8"] < level["temperature 1"] - 3
    for name in ("temperature 0.6", "top-k 5"):
        assert level[name] < level["temperature 1"] - 8
    assert level["top-k 5"] < level["top-k 100"]
    assert level["min-p 0.1"] < level["min-p 0.005"]


def test_greedy_generation_ends_in_a_constant(names):
    assert names["held"] == [1, 1]


def test_silence_is_more_probable_than_the_sentence_and_babble_costs_about_as_much(names):
    nats, n = names["totals_in_nats"], len(names["codes"])
    assert nats["silence"] / n == pytest.approx(0.6, abs=0.3)
    assert nats["the sentence"] / n == pytest.approx(2.9, abs=0.2)
    assert nats["the sentence"] - nats["silence"] == pytest.approx(116_000, rel=0.15)
    assert nats["babble"] == pytest.approx(nats["the sentence"], rel=0.25)


def test_the_coin(names):
    assert names["heads"] / 1000 == pytest.approx(0.51, abs=0.005)
    assert names["typical"] / 1000 == pytest.approx(0.67, abs=0.005)
    assert names["typical"] - names["heads"] == pytest.approx(162, abs=0.5)
    assert names["powers_of_ten"] == pytest.approx(70, abs=0.5)


def test_min_p_leaves_one_code_or_dozens(names):
    assert names["fewest"] <= 3
    assert names["most"] > 80
    assert np.median(names["left"]) < names["most"] / 2
