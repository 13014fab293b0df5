"""The engine computes the smaller precisions as their slow twins do, to the last bit."""

import functools
import re

import numpy as np
import pytest
from c_build import ROOT
from engines import frames_of, model_of, weights_of
from networks import every_network, random_codes, small_spec, widths
from slow_twin import TWINS, logits_of_twin

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.reference import bfloat16_weights, bfloat16x16, int8, round_to_bfloat16
from fastwavenet.reference.int8 import Int8Matrix, to_16_bits
from fastwavenet.reference.int8x8 import to_8_bits

DEEP = small_spec(**widths(24), levels=64, dilations=(1, 2, 4, 8, 16) * 4)
DISTANCE = 0.05  # of the largest logit: what rounding costs these networks, and no mistake would


@functools.cache
def expected_logits(spec, precision: str = "int8") -> np.ndarray:
    """float32 (n, levels) of the precision's twin."""
    n = spec.receptive_field + 40
    codes, frames = random_codes(spec, n, 2), frames_of(spec, n)
    return logits_of_twin(spec, weights_of(spec), precision, codes, frames)


def outputs(spec, precision: str, isa: str | None = None) -> np.ndarray:
    n = spec.receptive_field + 40
    codes, frames = random_codes(spec, n, 2), frames_of(spec, n)
    return fw.outputs(model_of(spec, precision=precision), codes, frames=frames, isa=isa)


# ---- networks ----------------------------------------------------------------------------------


every_twin = pytest.mark.parametrize("precision", TWINS)


@every_twin
@every_network
def test_outputs_are_those_of_the_twin_to_the_last_bit(spec, precision, isa):
    found = outputs(spec, precision, isa)
    assert found.std() > 0.1
    assert found.tobytes() == expected_logits(spec, precision).tobytes()


@every_twin
def test_a_deep_network_is_its_twin_to_the_last_bit(precision, isa):
    assert outputs(DEEP, precision, isa).tobytes() == expected_logits(DEEP, precision).tobytes()


@every_network
def test_bfloat16_outputs_are_those_of_float32_with_rounded_weights(spec, isa):
    n = spec.receptive_field + 40
    codes, frames = random_codes(spec, n, 2), frames_of(spec, n)
    rounded = fw.Model(spec, bfloat16_weights(weights_of(spec)))
    expected = fw.outputs(rounded, codes, frames=frames, isa=isa)
    assert outputs(spec, "bfloat16", isa).tobytes() == expected.tobytes()


@every_network
@pytest.mark.parametrize("smaller", ["bfloat16", "int8", "bfloat16x16", "int8x8"])
def test_a_smaller_precision_is_near_the_network_it_was_made_of(spec, smaller):
    exact = outputs(spec, "float32")
    assert 0 < np.abs(outputs(spec, smaller) - exact).max() < DISTANCE * max(1, np.abs(exact).max())


@every_twin
def test_widths_around_what_is_packed_and_summed_together_change_nothing(precision, isa):
    for width in (2, 15, 16, 18, 31, 33, 63, 64, 65, 79, 80, 81):
        spec = small_spec(**widths(width), dilations=(1, 3))
        expected = expected_logits(spec, precision)
        assert outputs(spec, precision, isa).tobytes() == expected.tobytes(), width


# ---- bfloat16 ----------------------------------------------------------------------------------


def extreme_weights() -> np.ndarray:
    """float32 (300, 7, 3): all magnitudes, zeros of both signs, denormals, the largest."""
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**32, (300, 7, 3), dtype=np.uint32)
    weights = bits.view(np.float32)
    weights[~np.isfinite(weights)] = 0
    weights[0, :, 0] = 0.0, -0.0, 1e-45, -1e-45, 3e38, 1.1754942e-38, 1.0
    weights[1, :, 0] = 1.0, 0.0, 1.0, 1e-45, 1.0, -1e-39, -0.0
    return weights


def test_a_weight_in_bfloat16_is_half_a_unit_away_at_most():
    weights = extreme_weights()
    rounded = round_to_bfloat16(weights)
    exponent = np.maximum(np.frexp(weights)[1], np.frexp(rounded)[1])
    half = 2.0 ** (exponent - 9)  # of 8 bits
    away = np.abs(rounded.astype(np.float64) - weights)
    assert (away <= np.maximum(half, 2.0**-125)).all()  # nothing is denormal
    assert np.array_equal(np.signbit(rounded), np.signbit(weights))
    assert (rounded[:, 0::2].view(np.uint32) & 0xFFFF == 0).all()
    assert (np.abs(rounded[rounded != 0]) >= 2.0**-126).all()


def test_a_pair_of_weights_in_bfloat16_is_one_word():
    weights = extreme_weights()
    rounded = round_to_bfloat16(weights).view(np.uint32)
    assert np.array_equal(rounded[:, 1::2] & 0xFFFF, rounded[:, 0:6:2] >> 16)
    assert (rounded[:, 1::2] & 0xFFFF).any()


@pytest.mark.filterwarnings("ignore:overflow")
def test_extreme_weights_are_rounded_to_bfloat16_as_the_engine_rounds_them(isa):
    spec = small_spec(levels=300, head=7, dilations=(1,))
    output = {"head.output.weight": extreme_weights()[:, :, :1].clip(-1e38, 1e38)}
    weights = weights_of(spec) | {"head.hidden.weight": np.zeros((7, 6, 1), np.float32)}
    for channel in range(7):  # one weight of each row at a time
        one = {"head.hidden.bias": np.eye(7, dtype=np.float32)[channel]}
        found = fw.outputs(fw.Model(spec, weights | output | one, "bfloat16"), [0], isa=isa)
        rounded = round_to_bfloat16(output["head.output.weight"])[:, channel, 0]
        assert np.array_equal(found[0], rounded + weights["head.output.bias"])


# ---- bfloat16x16 ---------------------------------------------------------------------------------


def test_a_number_in_bfloat16_is_half_a_unit_away_ties_to_even_and_never_tiny():
    numbers = extreme_weights().ravel()
    rounded = bfloat16x16.to_bfloat16(numbers)
    half = 2.0 ** (np.frexp(numbers)[1] - 9.0)  # of 8 bits
    away, tiny = np.abs(rounded.astype(np.float64) - numbers), np.abs(numbers) < 2.0**-48
    assert np.isfinite(rounded).all()
    assert (away[~tiny] <= half[~tiny]).all() and not rounded[tiny].any()
    assert (rounded.view(np.uint32) & 0xFFFF == 0).all()
    largest = np.array([0x7F7F7FFF, 0x7F7F8000], np.uint32).view(np.float32)
    assert np.isfinite(bfloat16x16.to_bfloat16(largest)).tolist() == [True, False]
    ties = np.array([0x3F808000, 0x3F818000, 0xBF808000, 0xBF828000], np.uint32).view(np.float32)
    assert bfloat16x16.to_bfloat16(ties).tolist() == [1.0, 1.015625, -1.0, -1.015625]
    assert np.isnan(bfloat16x16.to_bfloat16(np.array([np.inf, -np.inf, np.nan], np.float32))).all()


def test_products_in_bfloat16x16_are_two_chains_of_each_32_inputs():
    """Numbers whose sum depends on its order: 2^24 takes no 1 that is added alone."""
    x, ones = np.zeros(64, np.float32), np.ones((1, 64), np.float32)
    x[[0, 2]] = 2.0**24, 1
    assert bfloat16x16.products(ones, x) == 2.0**24  # of one chain
    x[[1, 3]] = 1, 1
    assert bfloat16x16.products(ones, x) == 2.0**24 + 2  # the odd ones are added first
    x[[32, 33]] = 1, 1
    assert bfloat16x16.products(ones, x) == 2.0**24 + 4  # and those of the next block


# ---- int8 --------------------------------------------------------------------------------------


def test_a_row_of_weights_in_int8_is_half_a_unit_away_and_its_largest_is_127():
    weights = np.random.default_rng(1).standard_normal((50, 20), dtype=np.float32)
    weights *= np.float32(10.0) ** np.arange(-25, 25)[:, None]
    matrix = Int8Matrix(weights)
    unit = matrix.scale.astype(np.float64)[:, None]
    assert (np.abs(matrix.w * unit - weights) <= unit * 0.5001).all()
    assert (np.abs(matrix.w).max(axis=1) == 127).all()


@pytest.mark.parametrize("largest", [0, 1e-45, 1e-39, 1e-23, 1e-18, 0.1, 0.99999, 1, 1.5, 2, 3e38])
def test_inputs_of_16_bits_are_half_a_unit_away_and_stay_when_stored_again(largest):
    x = np.random.default_rng(1).uniform(-1, 1, 40).astype(np.float32) * np.float32(largest)
    x[7] = largest
    q, unit = to_16_bits(x)
    assert np.abs(q).max() <= 32767 and (largest < 1e-18 or q[7] >= 2**14)
    assert np.abs(q * unit - x).max() <= unit * (0.5 if q[7] < 32767 else 1)
    again, same = to_16_bits((q * unit).astype(np.float32))
    assert np.array_equal(again * same, q * unit)


@pytest.mark.parametrize("most", [127, 255])
@pytest.mark.parametrize("largest", [0, 1e-45, 1e-39, 1e-23, 1e-18, 0.1, 0.99999, 1, 1.5, 2, 3e38])
def test_inputs_of_8_bits_are_half_a_unit_away_and_stay_when_stored_again(largest, most):
    x = np.random.default_rng(1).uniform(-1, 1, 40).astype(np.float32) * np.float32(largest)
    x[7] = largest
    q, unit = to_8_bits(x, most)
    assert np.abs(q).max() <= most and (largest < 1e-18 or q[7] == most)
    assert np.abs(q * unit - x.astype(np.float64)).max() <= unit * 0.505
    stored = (q * unit).astype(np.float32)
    assert np.array_equal(stored, q * unit)  # without rounding
    again, same = to_8_bits(stored, most)
    assert np.array_equal(again, q) and same == unit


def test_the_unit_of_8_bits_stays_when_stored_again_whatever_the_largest_input_is():
    for bits in np.random.default_rng(2).integers(0x20000000, 0x7F800000, 3000):
        x = np.array([bits, 0x20000000 + bits % 999], np.uint32).view(np.float32)
        for most in (127, 255):
            q, unit = to_8_bits(x, most)
            again, same = to_8_bits((q * unit).astype(np.float32), most)
            assert q[0] == again[0] == most and np.array_equal(q, again) and same == unit


def test_inputs_of_8_bits_that_are_not_finite_are_nan():
    for value in (np.nan, np.inf, -np.inf):
        q, unit = to_8_bits(np.array([1, value], np.float32), 127)
        assert np.isnan(q).all() and np.isnan(unit)


def test_the_table_of_tanh_is_that_of_the_engine():
    text = (ROOT / "csrc" / "kernels" / "tanh_table.h").read_text()
    rows = re.findall(r"\{([^{}]+)\}", text)
    numbers = [[np.float32(n.strip().rstrip("f")) for n in row.split(",")] for row in rows]
    assert np.array_equal(np.array(numbers), int8.tanh_table())


def test_tanh_of_the_table_is_near_tanh():
    v = np.linspace(-3.9, 3.9, 100_001, dtype=np.float32)
    assert np.abs(int8.tanh(v) - np.tanh(v.astype(np.float64))).max() < 2.1e-5
    assert np.array_equal(int8.tanh(v[v > 0]), -int8.tanh(-v[v > 0]))
    far = np.array([4, 100, 3e38, np.inf], np.float32)
    assert np.array_equal(int8.tanh(far), int8.tanh(np.full(4, 3.9, np.float32)))


def test_a_gate_in_int8_is_a_third_of_a_unit_further_away_at_most():
    a, b = (np.random.default_rng(s).uniform(-9, 9, 200_000).astype(np.float32) for s in (1, 2))
    exact = 127 * np.tanh(a.astype(np.float64)) * reference.sigmoid(b.astype(np.float64))
    assert np.abs(int8.gate(a, b) - exact).max() < 0.5 + 1 / 3
    full = np.array([8, 20, 3e38], np.float32)
    assert int8.gate(full, full).tolist() == [127] * 3 and not int8.gate(full, -full).any()
    assert int8.gate(-full, full).tolist() == [-127] * 3
    with np.errstate(invalid="ignore"):
        assert np.isnan(
            int8.gate(np.float32([np.inf, 0, np.nan]), np.float32([0, -np.inf, 0]))
        ).all()
