"""Chapter 15 of the course: counts and bits.  Speeds are drawn and printed there, not claimed."""

import numpy as np
import pytest

import fastwavenet as fw

NUMBERS = [  # words of the text, and what its cells compute
    (
        "In float32 that is # multiply-adds for each byte read",
        "spec.macs_per_sample / step_bytes['float32']",
    ),
    (
        "The slope meets the roof at # multiply-adds a byte. One voice has #, so at two",
        "[220 / 100, spec.macs_per_sample / step_bytes['int8']]",
    ),
    (
        "In real time a step may take # microseconds, enough for # million bytes",
        "[1e6 / RATE, budget / 1e6]",
    ),
]


def test_the_numbers_of_the_text_are_those_of_the_cells(mistaken):
    assert mistaken(NUMBERS) == []


def test_a_step_reads_less_than_all_weights_and_int8_a_quarter(names):
    spec, read = names["spec"], names["step_bytes"]
    for precision, size in read.items():
        assert size < spec.weight_bytes(precision)
    assert spec.macs_per_sample / read["float32"] == pytest.approx(0.3, abs=0.02)
    assert read["float32"] / read["int8"] == pytest.approx(4, abs=0.3)


def test_each_bit_less_costs_four_to_seven_times_as_much(names):
    cost = names["by_bits"]
    for bits in range(3, 7):
        assert 2.5 < cost[bits] / cost[bits + 1] < 12, bits
    assert abs(cost[8]) < 0.005


def test_int8_costs_little(names):
    assert abs(names["int8_cost"]) < 0.005


def test_float_sums_depend_on_their_order_and_whole_ones_do_not(names):
    assert len(names["float_sums"]) > 10
    assert len(names["whole_sums"]) == 1
    assert len(names["double_sums"]) <= 3


def test_a_last_bit_changes_a_draw_within_some_seconds(names):
    assert 0.5 < names["seconds_apart"] < 300


def test_two_precisions_part_and_stay_apart(names):
    one, other = (audio[names["row"]] for audio in names["both"].values())
    first = names["first"]
    assert (names["both"]["float32"] != names["both"]["bfloat16"]).any(axis=1).all()
    assert np.array_equal(one[:first], other[:first])
    assert (one[first + 1 :] != other[first + 1 :]).mean() > 0.8


def test_every_instruction_set_gives_the_same_bits(names):
    assert len(fw.available_isas()) >= 1
    for precision, sounds in names["made"].items():
        assert len(sounds) == len(fw.available_isas())
        assert len(set(sounds)) == 1, precision


def test_the_bound_by_bytes(names):
    assert names["crossing"] == pytest.approx(2, abs=0.1)
    assert names["budget"] == 6_250_000
