"""Chapter 9 of the course."""

import numpy as np
import pytest

NUMBERS = [  # words of the text, and what its cells compute
    ("no layer gets less than #.", "min(smallest['no residual'], smallest['no skips'])", 0.0001),
    ("the gradient shrinks by a factor of # in each layer, to", "shrinks"),
    ("more layers are better: #, # and # nats after 120 steps", "means['both'][:3]"),
    (
        "the network with both is at #. Each of those with one sum is # nats worse, and the "
        "one with neither, at #,",
        "[means['both'][3], more['no skips'][3], means['neither'][3]]",
    ),
    (
        "changes its input by # % of its length, the fifth by # %, the last that has a "
        "correction by # %",
        "[100 * ratios[n] for n in (0, 4, -2)]",
        4,
    ),
    (
        "the layers cost # nats in all; the upper eight left out together cost #, the lower "
        "eight #",
        "[total_rise.sum(), half_costs[1] - costs(whole).mean(), half_costs[0] - "
        "costs(whole).mean()]",
        0.15,
    ),
    (
        "near 0 for a voice, is #. Without the lower skips it is #, hoarse, and without the "
        "upper ones #:",
        "list(noisiness.values())",
        0.1,
    ),
    (
        "with the nats: # for the word with all skips, # and # without",
        "[costs(whole).mean(), *half_costs]",
        0.15,
    ),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_with_either_sum_all_layers_have_gradients_and_with_neither_they_vanish(names):
    smallest = names["smallest"]
    assert smallest["both"] > 0.005 and max(names["gradients"]["both"]) < 0.02
    assert min(smallest["no residual"], smallest["no skips"]) > 0.0007
    assert names["bottom"]["neither"] == pytest.approx(7e-26, rel=0.1)
    assert names["shrinks"] == pytest.approx(6, abs=0.3)


def test_stored_losses_are_those_of_the_text(names):
    assert names["means"]["both"] == [5.13, 4.96, 4.85, 3.45]
    assert names["means"]["neither"][3] == 5.37
    for kind in ("no residual", "no skips"):
        assert names["more"][kind][3] == pytest.approx(1.1, abs=0.05)
        assert min(np.array(names["more"][kind]) - 3 * np.array(names["errors"][kind])) > 0
        assert np.ptp(names["means"][kind][:3]) < 0.05  # deeper is not better
    assert names["more"]["neither"][3] == pytest.approx(1.9, abs=0.05)


def test_the_small_part_has_the_order_of_the_stored_losses(names):
    own = names["by_heart"]
    assert own["both"] < min(own["no skips"], own["no residual"]) - 0.3
    assert max(own["no skips"], own["no residual"]) < own["neither"]


def test_corrections_become_a_smaller_part_of_the_stream(names):
    ratios = names["ratios"]
    assert (ratios[0], ratios[4], ratios[-2]) == pytest.approx((0.43, 0.26, 0.1), abs=0.04)
    assert ratios[-1] == 0  # the last layer adds nothing to the stream


def test_upper_layers_count_most_and_a_hiss_is_predicted_better_without_any_one(names):
    parts = names["parts"]
    for sound in ("ar", "p, closed", "ly"):
        assert set(np.argsort(parts[sound])[-3:]) <= {12, 13, 14, 15}
        assert all(0.03 < part < 0.08 for part in parts[sound][13:])
        assert all(0 < part < 0.02 for part in parts[sound][:3])
    assert min(parts["sh"]) > -0.035 and max(parts["sh"]) < 0.005


def test_layers_stand_in_for_each_other(names):
    whole = float(names["costs"](names["whole"]).mean())
    lower, upper = names["half_costs"]
    assert float(names["total_rise"].sum()) == pytest.approx(0.3, abs=0.06)
    assert (lower - whole, upper - whole) == pytest.approx((0.2, 1.0), abs=0.15)
    assert (whole, lower, upper) == pytest.approx((3.3, 3.5, 4.3), abs=0.15)


def test_without_the_upper_skips_the_babble_is_as_flat_as_noise(names):
    everything, no_lower, no_upper = names["noisiness"].values()
    assert everything < 0.2 < no_lower < no_upper
    assert no_upper > 0.5


def test_the_answers_hold(names):
    assert names["layers_allowed"] == 54
    unchanged, residual, both = names["moved"]
    assert unchanged == 0 < residual < both
    assert names["as_if_not_there"] < 1e-5
