"""Where integers would overflow, scales vanish, floats end: right to the last bit, or an error."""

import functools

import numpy as np
import pytest
from engines import run, run_in_chunks, weights_of
from networks import random_codes, small_spec, widths
from slow_twin import TWINS, logits_of_twin

import fastwavenet as fw
from fastwavenet.ends import CodeInput
from fastwavenet.reference.int8 import EXACT, EXACT_BYTES, Int8Steps

LOUDEST = np.float32(32767 / 32768)  # 32767 of its units, the most there are

# AMX multiplies by tiles from 4 voices on, and when more than 16 rows come at once.
BATCHES = (1, 4, 9, 40)


def logits(model: fw.Model, codes: np.ndarray, isa: str, chunk: int | None = None) -> np.ndarray:
    """(rows, n, levels) of codes (rows, n), in one call or in chunks."""
    gen = fw.Generator(model, seed=1, batch=len(codes), isa=isa)
    gen.prime(codes[:, :1])
    n = codes.shape[1]
    following = np.roll(codes, -1, axis=1)  # what follows the last is not used
    if chunk is None:
        return run(gen, n, forced=following).logits
    return run_in_chunks(gen, n, chunk, forced=following[0]).logits


def zeros(spec) -> dict[str, np.ndarray]:
    return {name: np.zeros(shape, np.float32) for name, shape in spec.tensors().items()}


def twins_logits(spec, weights, codes: np.ndarray, precision: str = "int8") -> np.ndarray:
    """(rows, n, levels) of codes (rows, n)"""
    return np.array([logits_of_twin(spec, weights, precision, row) for row in codes])


def assert_twins(
    spec, weights, codes: np.ndarray, expected: np.ndarray, isa: str, precision: str = "int8"
) -> None:
    """In one call, step by step, and in batches, the engine yields these bits, or an error."""
    model = fw.Model(spec, weights, precision)
    for rows, chunk in ((1, None), (1, 1), *((rows, None) for rows in BATCHES[1:])):
        given = np.resize(codes, (rows, codes.shape[1]))
        due = np.resize(expected, (rows, *expected.shape[1:]))
        if np.isfinite(due).all():
            assert logits(model, given, isa, chunk).tobytes() == due.tobytes(), (rows, chunk)
        else:
            with pytest.raises(fw.NotFiniteError):
                logits(model, given, isa, chunk)


# ---- the largest sums of int8 --------------------------------------------------------------------

WIDTHS = (1, 15, 16, 17, EXACT - 1, EXACT, EXACT + 1, EXACT + 16, 2 * EXACT, 2 * EXACT + 1, 4096)


def signs(*shape: int) -> np.ndarray:
    """Rows of +1 and -1: all alike, alternating, half and half, and by chance."""
    rng = np.random.default_rng(1)
    rows = [np.where(rng.random(shape[1]) < 0.5, -1, 1) for _ in range(shape[0])]
    k = np.arange(shape[1])
    rows[:4] = [k * 0 + 1, k * 0 - 1, 1 - k % 2 * 2, np.where(2 * k < len(k), 1, -1)]
    return np.array(rows[: shape[0]], np.float32)


BYTES = pytest.mark.parametrize("precision", ["int8", "int8x8"])


@functools.cache
def wide_residual(k: int, precision: str = "int8"):
    """The largest inputs into a layer whose weights are +-127, and what its twin makes of them."""
    spec = small_spec(residual=k, dilation_channels=8, dilations=(1,), input=CodeInput(1), levels=6)
    weights = dict(weights_of(spec))
    weights["first.weight"] = signs(6, k)[None] * LOUDEST
    weights["first.bias"] = np.zeros(k, np.float32)
    taps = np.stack([signs(16, k), np.roll(signs(16, k), 1, axis=0)], axis=2)
    weights["layers.0.dilated.weight"] = (taps / k).astype(np.float32)
    codes = random_codes(spec, 4 * 20, 1).reshape(4, 20)
    return spec, weights, codes, twins_logits(spec, weights, codes, precision)


@pytest.mark.parametrize("k", WIDTHS)
@BYTES
def test_the_largest_products_of_a_layer_do_not_overflow(precision, k, isa):
    assert_twins(*wide_residual(k, precision), isa, precision)


def test_the_inputs_and_weights_of_that_test_are_the_largest_there_are():
    spec, weights, codes, expected = wide_residual(EXACT)
    net = Int8Steps(spec, weights)
    for code in codes[0]:
        net.step(code)
        assert (np.abs(net.past[0][0][0]) == 32767).all()
    assert all((np.abs(tap.w) == 127).all() for tap in net.matrices["layers.0.dilated"])
    assert 127 * 32767 * EXACT < 2**31 < 127 * 32767 * (EXACT + 6)
    assert len(np.unique(expected[0], axis=0)) > 5


@pytest.mark.parametrize("k", WIDTHS)
@BYTES
def test_the_largest_products_of_the_head_do_not_overflow(precision, k, isa):
    """The sums are known: of k weights of one size, and inputs that a bias makes equal."""
    for spec, before, after in (
        (small_spec(skip=k, head=8, levels=8), "layers.0.skip", "head.hidden"),
        (small_spec(skip=8, head=k, levels=8), "head.hidden", "head.output"),
    ):
        weights = zeros(spec)
        weights[f"{before}.bias"] = np.full(k, LOUDEST)
        weights[f"{after}.weight"] = signs(8, k)[:, :, None] / np.float32(64)
        if after == "head.hidden":
            weights["head.output.weight"] = np.eye(8, dtype=np.float32)[:, :, None]
        codes = np.zeros((1, 2), int)
        expected = twins_logits(spec, weights, codes, precision)
        sums = signs(8, k).sum(axis=1) * LOUDEST / 64
        near = 1e-3 * k / 64
        if after == "head.hidden":
            sums = sums.clip(0)
            near += (precision == "int8x8") * sums.max() / 510  # they are rounded to 8 bits
        assert np.allclose(expected, sums, rtol=1e-4, atol=near)
        assert_twins(spec, weights, codes, expected, isa, precision)


@functools.cache
def wide_gates(layers: int, channels: int, precision: str):
    """Gates of +-127 into skip weights of +-127, row 0 with equal signs: the largest sum."""
    spec = small_spec(
        residual=1, dilation_channels=channels, skip=4, head=4, levels=4, dilations=(1,) * layers
    )
    weights = zeros(spec)
    pattern = signs(5, layers * channels).reshape(5, layers, channels)
    for layer in range(layers):
        gates = pattern[4, layer]
        bias = np.concatenate([9 * gates, np.full(channels, 9)])
        weights[f"layers.{layer}.dilated.bias"] = bias.astype(np.float32)
        skip = pattern[:4, layer] * gates  # row 0: +1, row 1: -1 times the gate
        weights[f"layers.{layer}.skip.weight"] = skip[:, :, None] / np.float32(1024)
    weights["head.hidden.weight"] = np.eye(4, dtype=np.float32)[:, :, None]
    weights["head.output.weight"] = np.eye(4, dtype=np.float32)[:, :, None]
    codes = np.zeros((1, 2), int)
    return spec, weights, codes, twins_logits(spec, weights, codes, precision)


SIZES = [(31, 4096), (32, 4096), (33, 4096), (33, 4095), (65, 4096)]


@pytest.mark.parametrize(("layers", "channels"), SIZES)
@BYTES
def test_the_largest_sums_of_all_gates_do_not_overflow(precision, layers, channels, isa):
    spec, weights, codes, expected = wide_gates(layers, channels, precision)
    assert np.allclose(expected[..., 0], layers * channels / 1024, rtol=1e-4)
    assert 31 * 4096 < EXACT_BYTES == 32 * 4096
    assert_twins(spec, weights, codes, expected, isa, precision)


# ---- the smallest and largest numbers ------------------------------------------------------------

SPEC = small_spec(**widths(18), levels=20)
CODES = random_codes(SPEC, 3 * 30, 2).reshape(3, 30)
NOTHING = (0, 1e-45, 1e-40, 1.2e-38, 1e-36, 1e-30, 1.26e-28, 1.28e-28, 1e-20, 1)
LARGE = (1, 1e3, 1e10, 1e18)
HUGE = (1, 1e19, 1e30, 3e37)


def scaled(weights, tensor: str, factors: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Rows of one tensor, or channels of the first, times one factor after the other."""
    array = weights[tensor]
    axis = 2 if tensor == "first.weight" else 0
    shape = [-1 if i == axis else 1 for i in range(array.ndim)]
    factor = np.resize(factors, array.shape[axis]).reshape(shape)
    return weights | {tensor: (array * factor).clip(-3.4e38, 3.4e38).astype(np.float32)}


@functools.cache
def scaled_logits(tensor: str, factors: tuple[float, ...], precision: str = "int8") -> np.ndarray:
    weights = scaled(weights_of(SPEC), tensor, factors)
    return twins_logits(SPEC, weights, CODES, precision)


@pytest.mark.parametrize("factors", [NOTHING, LARGE, HUGE], ids=["nothing", "large", "huge"])
@pytest.mark.parametrize("tensor", SPEC.tensors())
@pytest.mark.parametrize("precision", TWINS)
def test_rows_of_any_size_are_the_twins_or_an_error(precision, tensor, factors, isa):
    expected = scaled_logits(tensor, factors, precision)
    assert np.isfinite(expected).all() or factors != NOTHING
    weights = scaled(weights_of(SPEC), tensor, factors)
    assert_twins(SPEC, weights, CODES, expected, isa, precision)


def test_some_of_these_overflow_and_others_do_not():
    finite = [np.isfinite(scaled_logits(t, f)).all() for t in SPEC.tensors() for f in (LARGE, HUGE)]
    assert len(finite) / 4 < sum(finite) < len(finite)


def test_a_row_of_zeros_yields_its_bias(precision, isa):
    weights = weights_of(SPEC) | {"head.output.weight": np.zeros((20, 18, 1), np.float32)}
    found = fw.outputs(fw.Model(SPEC, weights, precision), CODES[0], isa=isa)
    assert (found == weights["head.output.bias"]).all()


# ---- overflow ------------------------------------------------------------------------------------

BAD = 7  # a code that makes the network overflow
LOUD = np.full(SPEC.tensors()["first.weight"], 2, np.float32)


def assert_overflows(weights, precision: str, isa: str) -> None:
    model = fw.Model(SPEC, weights, precision)
    for n, batch in ((1, 1), (40, 1), (2, 5)):
        gen = fw.Generator(model, seed=1, isa=isa, batch=batch)
        with pytest.raises(fw.NotFiniteError):
            run(gen, n, forced=CODES[0, 0])
        gen.reset(1)
        with pytest.raises(fw.NotFiniteError):
            gen.generate(n)


@pytest.mark.parametrize("layer", range(SPEC.layers))
def test_a_single_gate_that_overflows_is_an_error(layer, precision, isa):
    """All else is finite: nothing but the check of the gate can tell."""
    name = f"layers.{layer}.dilated.weight"
    calm = {n: np.zeros_like(a) for n, a in weights_of(SPEC).items() if ".residual." in n}
    weights = weights_of(SPEC) | calm | {"first.weight": LOUD}
    assert np.isfinite(fw.outputs(fw.Model(SPEC, weights, precision), CODES[0], isa=isa)).all()
    for channel in range(2 * SPEC.dilation_channels):
        array = weights[name].copy()
        array[channel] = 3e38 * (-1) ** channel
        assert_overflows(weights | {name: array}, precision, isa)


@functools.cache
def with_a_bad_code(precision: str) -> fw.Model:
    first = weights_of(SPEC)["first.weight"].copy()
    first[:, BAD] = 3e38
    return fw.Model(SPEC, weights_of(SPEC) | {"first.weight": first}, precision)


def good_codes(n: int, seed: int) -> np.ndarray:
    """(n,) without BAD"""
    return random_codes(small_spec(levels=BAD), n, seed)


@pytest.mark.parametrize("t", [0, 1, 15, 16, 17, 63, 64, 65])
def test_an_overflow_is_an_error_from_its_step_on(t, precision, isa):
    model, codes = with_a_bad_code(precision), good_codes(70, 1)
    expected = fw.outputs(model, codes, isa=isa)
    codes[t] = BAD
    assert fw.outputs(model, codes[:t], isa=isa).tobytes() == expected[:t].tobytes()
    for end in (t + 1, t + 2, 70):
        with pytest.raises(fw.NotFiniteError):
            fw.outputs(model, codes[:end], isa=isa)


def primed(precision: str, isa: str, codes: np.ndarray, **arguments) -> fw.Generator:
    """Priming asks for no outputs: what overflows is in the past only."""
    gen = fw.Generator(with_a_bad_code(precision), seed=1, isa=isa, **arguments)
    gen.prime(codes)
    return gen


@pytest.mark.parametrize("since", range(SPEC.receptive_field + 2))
def test_what_overflowed_is_an_error_until_nothing_depends_on_it(since, precision, isa):
    good, following = good_codes(20 + since, 1), good_codes(30, 2)
    bad = good.copy()
    bad[19] = BAD
    gen = primed(precision, isa, bad)
    if since < SPEC.receptive_field:
        with pytest.raises(fw.NotFiniteError):
            run(gen, 1)
        gen.reset(1)
        gen.prime(good)
    expected = run(primed(precision, isa, good), 30, forced=following)
    assert run(gen, 30, forced=following).bits() == expected.bits()


@pytest.mark.parametrize("rows", [2, 5, 17])
def test_a_row_that_overflows_spoils_no_other(rows, precision, isa):
    codes = np.stack([good_codes(50, seed) for seed in range(rows)])
    codes[1, 20] = codes[1, 48] = BAD
    batch = primed(precision, isa, codes, batch=rows)
    state = batch.get_state()
    size = len(state) // rows
    for row in range(rows):
        if row != 1:
            single = primed(precision, isa, codes[row], stream=row)
            assert state[row * size : (row + 1) * size] == single.get_state()
    with pytest.raises(fw.NotFiniteError):
        run(batch, 1)


@pytest.mark.parametrize("rows", [2, 5, 17])
def test_rows_of_which_one_has_overflowed_continue_alike(rows, precision, isa):
    codes, following = good_codes(50, 1), good_codes(30, 2)
    given = np.stack([codes] * rows)
    given[1, 20] = BAD
    found = run(primed(precision, isa, given, batch=rows), 30, forced=following)
    expected = run(primed(precision, isa, codes), 30, forced=following)
    assert [found.row(row).bits() for row in range(rows)] == [expected.bits()] * rows
