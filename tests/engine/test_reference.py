import numpy as np
import pytest
from c_build import ROOT
from networks import small_spec, widths

from fastwavenet import reference
from fastwavenet.ends import CodeInput
from fastwavenet.reference import draw, mu_law_decode, mu_law_encode, philox4x32, uniform

# Codes of the int16 values in order, and the amplitudes of the codes: the convention of ibab's
# tensorflow-wavenet, torchaudio and nv-wavenet, computed in float64.
GOLDEN = np.load(ROOT / "tests" / "golden" / "mulaw.npz")


# ---- mu-law ----------------------------------------------------------------------------------


def test_every_int16_has_the_code_that_other_projects_give_it():
    codes = mu_law_encode(np.arange(-(2**15), 2**15) / 2**15)
    assert np.array_equal(codes, GOLDEN["code_round_f64"])


def test_every_code_has_the_amplitude_that_other_projects_give_it():
    decoded = mu_law_decode(np.arange(256))
    assert np.allclose(decoded, GOLDEN["decode_f64"], rtol=1e-13, atol=0)


def test_ten_amplitudes_of_ibabs_own_tests():
    audio = [-1, 1, 0.6, -0.25, 0.01, 0.33, -0.9999, 0.42, 0.1, -0.45]
    assert mu_law_encode(audio).tolist() == [0, 255, 243, 32, 157, 230, 0, 235, 203, 18]


@pytest.mark.parametrize("levels", [2, 3, 4, 15, 16, 17, 255, 256, 257, 300, 512, 1000, 1024])
def test_every_code_survives_decoding_and_encoding(levels):
    codes = np.arange(levels)
    audio = mu_law_decode(codes, levels)
    assert np.array_equal(mu_law_encode(audio, levels), codes)
    assert (audio[0], audio[-1]) == (-1, 1)
    assert np.array_equal(audio, -audio[::-1])
    assert np.all(np.diff(audio) > 0)


def test_silence_is_the_middle_code_and_loud_audio_is_clipped():
    for levels in (2, 3, 256, 300):
        codes = mu_law_encode([0.0, -0.0, -1.5, 1.5, -np.inf, np.inf], levels)
        assert codes.tolist() == [levels // 2] * 2 + [0, levels - 1] * 2


# ---- the network -----------------------------------------------------------------------------


def convolution(x: list[int], taps: list[int], dilation: int) -> np.ndarray:
    """A causal convolution by the reference: the gate of one channel is undone afterwards."""
    spec = small_spec(
        **widths(1),
        levels=21,
        input=CodeInput(1),
        dilations=(dilation,),
        kernel=len(taps),
        bias=False,
    )
    weights = {name: np.ones(shape) for name, shape in spec.tensors().items()}
    weights["first.weight"] = np.arange(21).reshape(1, 21, 1) / 1000
    weights["layers.0.dilated.weight"] = np.array([[taps], [[0] * len(taps)]])
    logits = reference.teacher_forced(spec, weights, x)
    return np.arctanh(2 * logits[:, 0]) * 1000  # z = tanh(h) sigmoid(0)


@pytest.mark.parametrize(
    ("x", "taps", "dilation", "expected"),
    [
        ([1, 2, 3, 4], [1, 2], 1, [2, 5, 8, 11]),
        ([1, 2, 3, 4], [1, 2], 2, [2, 4, 7, 10]),
        (range(1, 21), [1, 1], 4, np.convolve(range(1, 21), [1, 0, 0, 0, 1])[:20]),
        ([1, 2, 1, 2, 1, 2], [1, 1], 1, [1, 3, 3, 3, 3, 3]),
        ([1, 2, 3, 4, 5, 6, 7], [3, 5, 7], 2, [7, 14, 26, 38, 53, 68, 83]),
    ],
)
def test_tap_0_is_the_oldest_sample_and_before_the_first_is_nothing(x, taps, dilation, expected):
    assert np.allclose(convolution(list(x), taps, dilation), expected, rtol=1e-9)


def test_the_first_convolution_adds_nothing_for_samples_before_the_first():
    spec = small_spec(**widths(1), levels=8, input=CodeInput(3), dilations=(1,), bias=False)
    weights = {name: np.ones(shape) for name, shape in spec.tensors().items()}
    weights["first.weight"] = np.array([[100], [10], [1]])[:, :, None] * np.arange(8.0)[:, None]
    net = reference.WaveNetSteps(spec, weights)
    embedded = [net._embed(code)[0] for code in (5, 6, 7, 2)]
    assert embedded == [5, 56, 567, 672]


# ---- random numbers --------------------------------------------------------------------------

# Known answers of Random123, the authors' library.
PHILOX = [
    ("00000000" * 4, "00000000" * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff" * 4, "ffffffff" * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def words(text: str) -> tuple[int, ...]:
    digits = text.replace(" ", "")
    return tuple(int(digits[i : i + 8], 16) for i in range(0, len(digits), 8))


@pytest.mark.parametrize(("counter", "key", "expected"), PHILOX)
def test_philox_gives_its_authors_known_answers(counter, key, expected):
    assert philox4x32(words(counter), words(key)) == words(expected)


def test_a_uniform_is_the_first_word_of_its_seed_step_and_stream():
    assert uniform(seed=0, step=0, stream=0) == 0x6627E8 / 2**24
    seed, step, stream = 0x299F31D0_A4093822, 0x13198A2E_85A308D3, 0x03707344
    counter = (0, 0x85A308D3, 0x13198A2E, 0x03707344)
    word = philox4x32(counter, (0xA4093822, 0x299F31D0))[0]
    assert uniform(seed, step, stream) == (word >> 8) / 2**24


def test_uniforms_differ_in_every_bit_of_their_coordinates():
    places = [(1 << bit, 0, 0) for bit in range(64)]
    places += [(0, 1 << bit, 0) for bit in range(64)]
    places += [(0, 0, 1 << bit) for bit in range(32)]
    assert len({uniform(*place) for place in [(0, 0, 0), *places]}) == 161


# ---- the draw --------------------------------------------------------------------------------

LAST_U = 1 - 2.0**-24  # the largest number `uniform` returns


@pytest.mark.parametrize("levels", [2, 15, 16, 17, 256, 300])
def test_codes_stand_lane_by_lane(levels):
    order = reference.draw_order(levels)
    assert sorted(order) == list(range(levels))
    assert order.tolist() == sorted(range(levels), key=lambda code: (code % 16, code))


@pytest.mark.parametrize("levels", [2, 16, 17, 300])
def test_equal_logits_share_the_unit_interval_equally(levels):
    order = reference.draw_order(levels)
    for place, code in enumerate(order):
        assert draw(np.zeros(levels), (place + 0.5) / levels) == code
    assert draw(np.zeros(levels), 0.0) == order[0]
    assert draw(np.zeros(levels), LAST_U) == order[-1]


@pytest.mark.parametrize("u", [0.0, 2.0**-24, 0.5, LAST_U])
@pytest.mark.parametrize("possible", [0, 1, 15, 16, 17, 18])
def test_a_code_of_probability_zero_is_never_drawn(possible, u):
    logits = np.full(19, -1e9)
    logits[possible] = 3.0
    assert draw(logits, u) == possible
    logits[(possible + 1) % 19] = 2.0
    assert draw(logits, u, top_k=1) == possible
    assert draw(logits, u) in (possible, (possible + 1) % 19)


def test_temperature_0_takes_the_lowest_of_the_largest():
    assert draw([1.0, 3.0, 2.0, 3.0], u=LAST_U, temperature=0) == 1
    assert draw(np.zeros(300), u=LAST_U, temperature=0) == 0


def test_top_k_keeps_the_lowest_of_equal_codes():
    logits = np.array([0.0, 5.0, 5.0, 5.0, 5.0, 1.0])
    grid = np.arange(64) / 64
    for k, kept in ((1, {1}), (2, {1, 2}), (3, {1, 2, 3}), (6, set(range(6))), (9, set(range(6)))):
        drawn = {draw(logits, u, temperature=2.0, top_k=k) for u in [*grid, 1e-9, LAST_U]}
        assert drawn == kept


def chi_square(counts: np.ndarray, p: np.ndarray) -> float:
    """In standard deviations above what is expected of draws from p."""
    expected = counts.sum() * p
    free = len(p) - 1
    return (((counts - expected) ** 2 / expected).sum() - free) / (2 * free) ** 0.5


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.7, None), (1.5, 8)])
def test_draws_follow_the_softmax(temperature, top_k):
    logits = np.random.default_rng(3).standard_normal(20)
    p = np.exp(logits / temperature)
    p[np.argsort(-logits)[top_k or len(p) :]] = 0
    drawn = [draw(logits, uniform(5, step, 0), temperature, top_k) for step in range(20_000)]
    counts = np.bincount(drawn, minlength=20)
    assert counts[p == 0].sum() == 0
    assert chi_square(counts[p > 0], p[p > 0] / p.sum()) < 4
    assert chi_square(counts[p > 0], np.full((p > 0).sum(), 1 / (p > 0).sum())) > 100
