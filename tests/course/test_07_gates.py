"""Chapter 7 of the course."""

import pytest
import torch

NUMBERS = [  # words of the text, and what its cells compute
    ("At an input of 4 they have # and # left", "[at_4['tanh'], at_4['sigmoid']]"),
    (
        "D = # with gates equals D = # without",
        "[network(kind, 0).spec.dilation_channels for kind in ('gate', 'tanh')]",
    ),
    ("stand between # on average in the lowest layer and # in the highest", "means", 0.04),
    (
        "are shut # % of the time, and # % of them at every sample",
        "[100 * closed_of_instrument, 100 * never_open]",
        1,
    ),
    ("which has # % fewer weights", "100 * fewer"),
    ("tanh and ReLU are # nats better than the gate", "-found['sentence, 200 steps']['tanh'][0]"),
    ("while the held-out fifths differ by #.", "spread"),
    (
        "a network is # nats worse after 200 steps, and # after 600",
        "[found['recordings, 200 steps']['linear'][0], found['recordings, 600 "
        "steps']['linear'][0]]",
    ),
    (
        "so does ReLU at 200 steps (# worse, error #)",
        "found['recordings, 200 steps']['relu']",
        0.005,
    ),
    (
        "After 600 steps ReLU is # better than the gate, in all three seeds, and the narrow "
        "ReLU #.",
        "[-found['recordings, 600 steps'][kind][0] for kind in ('relu', 'narrow relu')]",
        0.005,
    ),
    ("to # nats while the gated one is at #.", "[by_heart['linear'], by_heart['gate']]", 0.1),
    ("The slope of tanh at 1 is #,", "1 - np.tanh(1) ** 2"),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_slopes_are_those_of_the_text(names):
    assert names["steepest"] == {"sigmoid": 0.25, "tanh": 1.0, "ReLU": 1.0}
    assert names["at_4"] == {"sigmoid": 0.0177, "tanh": 0.0013, "ReLU": 1.0}
    inputs = torch.linspace(-5, 5, 21)
    assert torch.allclose(torch.tanh(inputs), 2 * torch.sigmoid(2 * inputs) - 1, atol=1e-6)


def test_slopes_of_the_gate_are_those_of_the_formula(names):
    a, b = names["columns_of_a"], names["rows"]
    value, valve = torch.tanh(a), torch.sigmoid(b)
    assert torch.allclose(names["to_value"], (1 - value**2) * valve, atol=1e-6)
    assert torch.allclose(names["to_valve"], value * valve * (1 - valve), atol=1e-6)


def test_only_a_sum_has_no_new_tones(names):
    tones = names["tones"]
    assert tones["sum"] == [300, 500]
    assert {100, 700} <= set(tones["tanh"]) and all(f // 100 % 2 for f in tones["tanh"])
    assert {200, 800} <= set(tones["gate"]) and {200, 800} <= set(tones["ReLU"])


def test_valves_hardly_close_in_the_sentences_network_and_most_do_in_the_instrument(names):
    assert names["closed"] < 0.01
    assert names["means"] == pytest.approx((0.6, 0.84), abs=0.04)
    assert names["closed_of_instrument"] == pytest.approx(0.85, abs=0.01)
    assert names["never_open"] == pytest.approx(0.36, abs=0.01)
    by_layer = (names["of_instrument"] < 0.1).float().mean((1, 2))
    assert min(by_layer[[6, 7, 8, 9, 15, 16, 17, 18, 19]]) > 0.95


def test_the_four_networks_have_as_many_weights_within_1_percent(names):
    weights = list(names["weights"].values())
    assert max(weights) < 1.01 * min(weights)
    for result in names["stored"].values():
        assert names["weights"].items() <= result["parameters"].items()


def test_stored_differences_from_the_gate_are_those_of_the_text(names):
    sentence, short, longer = names["found"].values()
    assert names["spread"] == 0.81 and names["fewer"] == 0.2
    assert [sentence[kind][0] for kind in ("tanh", "relu")] == pytest.approx([-0.03] * 2, abs=0.005)
    assert all(abs(mean) <= 2 * error for mean, error in (sentence["linear"], short["tanh"]))
    assert longer["tanh"][0] <= 2 * longer["tanh"][1]
    linear = [part["linear"][0] for part in (short, longer)]
    assert linear == pytest.approx([0.09, 0.1], abs=0.005)
    relu = [part["relu"][0] for part in (short, longer)]
    assert relu == pytest.approx([0.03, -0.04], abs=0.006)
    assert longer["narrow relu"][0] == pytest.approx(-0.015, abs=0.005)
    nats = names["stored"]["recordings, 600 steps"]["nats"]
    assert all(a < b for a, b in zip(nats["relu"], nats["gate"], strict=True))


def test_the_vowel_is_learned_by_heart_faster_without_a_gate(names):
    own = names["by_heart"]
    assert own["linear"] < min(own["relu"], own["tanh"]) - 0.2
    assert max(own["relu"], own["tanh"]) < own["gate"] - 0.2


def test_the_answers_hold(names):
    assert names["through_sigmoids"] == pytest.approx(4.0**-30)
    assert names["through_tanhs"] == pytest.approx(5e-12, rel=0.02)
    assert names["multiples"] == [0, 300, 600, 900]
