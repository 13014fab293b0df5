"""Chapter 11 of the course.  The network is trained where the tests run: bounds, not digits."""

import xml.etree.ElementTree as ElementTree

import pytest

NUMBERS = [  # words of the text, and what its cells compute
    ("the network of this course pays # nats a sample", "loss", 0.15),
    ("Three readings of the # nats", "loss", 0.15),
    ("*As a size*: # bits a sample", "bits", 0.2),
    (
        "A coder that uses these probabilities needs # kB for the sentence, which takes # kB",
        "[kilobytes, n / 1000]",
        1.5,
    ),
    ("$e^{2.9} \\approx #$", "as_many", 3),
    (
        "a few codes, about # nats. A vowel repeats itself, about #.",
        "[heights['pause'], heights['vowel']]",
        0.3,
    ),
    ("or # nats, as between", "exercise_nats"),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_probabilities_sum_to_one_and_ignore_a_shift(names):
    assert names["sums_to"] == pytest.approx((1, 1))
    assert names["shift_difference"] < 1e-12


def test_the_score_is_the_negative_log_probability_of_the_outputs(names):
    assert names["score_difference"] < 1e-4


def test_the_loss_in_nats_bits_choices_and_bytes(names):
    assert names["loss"] == pytest.approx(2.9, abs=0.15)
    assert names["bits"] == pytest.approx(4.2, abs=0.2)
    assert names["as_many"] == pytest.approx(19, abs=3)
    assert names["kilobytes"] == pytest.approx(26, abs=1.5)
    assert names["exponent_of_guessing"] < 1.7 * names["exponent"] < 0


def test_surprise_follows_the_sound(names):
    heights = names["heights"]
    assert heights["pause"] == pytest.approx(1.2, abs=0.3)
    assert heights["vowel"] == pytest.approx(2.1, abs=0.3)
    assert heights["hiss"] == pytest.approx(4.9, abs=0.3)


def test_the_network_is_too_unsure_where_it_was_trained_and_right_where_not(names):
    (old, new), (old_paid, new_paid) = names["expected"], names["paid"]
    assert old - old_paid == pytest.approx(0.25, abs=0.15)
    assert new == pytest.approx(new_paid, abs=0.15)
    assert names["spreads"]["vowel"] > names["heights"]["vowel"] + 0.2
    assert names["spreads"]["hiss"] < names["heights"]["hiss"] - 0.2


def test_of_values_one_ahead_the_mean_is_nearest_and_a_draw_farther_than_the_last_sample(names):
    snrs = names["snrs"]
    assert max(snrs, key=snrs.get) == "mean" and min(snrs, key=snrs.get) == "drawn"
    assert snrs["the last sample again"] > snrs["drawn"] + 2


def test_own_draws_leave_the_recording_within_milliseconds(names):
    errors = names["errors"]
    assert errors[1] < 1 < errors[5]
    assert names["forced_error"].mean() < 0.6


def test_half_of_the_distributions_have_many_humps(names):
    assert names["median_humps"] >= 5


def test_the_film_is_an_animation_of_96_samples(names):
    film = ElementTree.fromstring(names["film"])
    tag = "{http://www.w3.org/2000/svg}animate"
    assert {len(part.get("values").split(";")) for part in film.iter(tag)} == {96}


def test_two_probabilities_are_sixteen_values(names):
    assert names["exercise_nats"] == pytest.approx(2.77, abs=0.01)
    assert (names["exercise_bits"], names["exercise_values"]) == pytest.approx((4, 16))


def test_polarity_and_direction_of_time_cost_the_network_half_a_nat_or_more(names):
    assert names["flipped"] > names["loss"] + 0.5
    assert names["backwards"] > names["loss"] + 0.5
