"""Generators: seeds, draws, states, errors, threads."""

import _thread
import contextlib
import gc
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from engines import changed_model, model_of, run, weights_of
from hypothesis import given
from hypothesis import strategies as st
from networks import NETWORKS, every_network, random_codes, random_cond, small_spec, widths

import fastwavenet as fw
from fastwavenet import reference

SPEC = small_spec(levels=32)


def generator(spec=SPEC, **arguments) -> fw.Generator:
    return fw.Generator(model_of(spec), **{"seed": 5} | arguments)


def dice(logits) -> fw.Model:
    """A model whose logits are these at every step."""
    spec = small_spec(levels=len(logits))
    return changed_model(spec, head_output_weight=0, head_output_bias=logits)


def probabilities(logits, temperature: float = 1.0, top_k: int | None = None) -> np.ndarray:
    p = np.exp((np.asarray(logits, np.float64) - np.max(logits)) / temperature)
    p[np.argsort(-np.asarray(logits), kind="stable")[top_k or len(p) :]] = 0
    return p / p.sum()


# ---- seeds and positions -----------------------------------------------------------------------


def test_a_seed_is_drawn_if_none_is_given_and_can_be_read_and_used_again():
    seeds = {generator(seed=None).seed for _ in range(20)}
    assert len(seeds) == 20
    gen = generator(seed=None)
    assert np.array_equal(gen.generate(100), generator(seed=gen.seed).generate(100))


def test_seeds_and_streams_are_different_voices():
    places = [{"seed": s, "stream": i} for s in (0, 1, 2**32, 2**64 - 1) for i in (0, 1, 2**32 - 1)]
    voices = [generator(**place) for place in places]
    assert len({gen.generate(100).tobytes() for gen in voices}) == len(places)
    assert [gen.seed for gen in voices] == [place["seed"] for place in places]


def test_reset_with_a_seed_starts_that_voice_and_without_one_a_new_voice():
    gen = generator(stream=3)
    first = gen.generate(50)
    gen.reset(seed=8)
    assert (gen.seed, gen.position) == (8, 0)
    assert np.array_equal(gen.generate(50), generator(seed=8, stream=3).generate(50))
    gen.reset(5)
    assert np.array_equal(gen.generate(50), first)
    gen.reset()
    assert gen.seed not in (5, 8)


def test_position_counts_steps_since_reset():
    gen = generator()
    assert gen.position == 0
    gen.prime([])
    gen.prime([3])
    assert gen.position == 0  # the very first sample is not a step
    gen.prime([3, 4])
    gen.generate(10)
    assert gen.position == 12
    assert gen.clone().position == 12


# ---- draws -------------------------------------------------------------------------------------


@every_network
@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.5, None), (3.0, 7)])
def test_draws_are_those_of_the_reference_from_the_engines_logits(spec, temperature, top_k):
    n, seed, stream, top_k = 150, 2**40 + 3, 7, top_k and min(top_k, spec.levels)
    gen = generator(spec, seed=seed, stream=stream, temperature=temperature, top_k=top_k)
    steps = run(gen, n)
    near_edge = 0
    for step, (code, logits) in enumerate(zip(steps.codes[0], steps.logits[0], strict=True)):
        u = reference.uniform(seed, step, stream)
        if code != reference.draw(logits, u, temperature, top_k):
            p = probabilities(logits, temperature, top_k)[reference.draw_order(spec.levels)]
            assert np.abs(np.cumsum(p) - u).min() < 1e-5
            near_edge += 1
    assert near_edge <= 1


def test_the_log_probability_is_of_the_code_that_was_drawn_at_temperature_1():
    steps = run(generator(temperature=0.5, top_k=3), 100)
    for code, logits, logp in zip(steps.codes[0], steps.logits[0], steps.logp[0], strict=True):
        assert logp == pytest.approx(np.log(probabilities(logits)[code]), abs=1e-5)


def test_audio_is_the_codes_decoded():
    steps = run(generator(), 200)
    assert np.array_equal(steps.audio, fw.mu_law_decode(steps.codes, SPEC.levels))
    assert np.array_equal(generator().generate(200), steps.audio[0])


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.7, None), (1.5, 8)])
def test_draws_follow_the_softmax(temperature, top_k):
    logits = np.random.default_rng(3).standard_normal(20).astype(np.float32)
    gen = fw.Generator(dice(logits), seed=1, temperature=temperature, top_k=top_k)
    counts = np.bincount(run(gen, 50_000).codes[0], minlength=20)
    p = probabilities(logits, temperature, top_k)
    assert counts[p == 0].sum() == 0
    assert excess(counts, p) < 4
    assert excess(counts, np.roll(p, 1)) > 100


def excess(counts: np.ndarray, p: np.ndarray) -> float:
    """Chi-square against p, in standard deviations above what is expected."""
    expected, free = counts.sum() * p, (p > 0).sum() - 1
    squares = (counts - expected) ** 2 / np.maximum(expected, 1e-3)
    return (squares.sum() - free) / (2 * free) ** 0.5


@pytest.mark.parametrize("possible", [[0], [15], [16], [17], [18], [0, 18], [3, 4, 5], [1, 17]])
@pytest.mark.parametrize("temperature", [0.001, 1.0, 20.0])
def test_a_code_of_probability_zero_is_never_drawn(possible, temperature, isa):
    logits = np.full(19, -1e4, np.float32)
    logits[possible] = 1.0
    gen = fw.Generator(dice(logits), seed=1, temperature=temperature, isa=isa)
    assert set(run(gen, 3000).codes[0].tolist()) == set(possible)


TIES = [[5.0, 7.0, 7.0, 7.0], [0.0, -0.0, 0.0], [-0.0, 0.0], [1.0] * 40, [0.0] * 39 + [1.0]]


@pytest.mark.parametrize("logits", TIES, ids=str)
def test_temperature_0_and_top_k_1_take_the_lowest_of_the_largest(logits, isa):
    for arguments in ({"temperature": 0}, {"top_k": 1}, {"top_k": 1, "temperature": 1000}):
        gen = fw.Generator(dice(logits), seed=1, isa=isa, **arguments)
        assert set(run(gen, 100).codes[0]) == {int(np.argmax(logits))}


@pytest.mark.parametrize("k", [1, 2, 3, 8, 15, 16, 17, 39, 40])
def test_top_k_keeps_the_k_most_probable_and_of_equal_ones_the_lowest(k, isa):
    logits = np.random.default_rng(k).integers(-2, 3, 40).astype(np.float32)
    gen = fw.Generator(dice(logits), seed=1, top_k=k, temperature=10, isa=isa)
    kept = np.argsort(-logits, kind="stable")[:k]
    assert set(run(gen, 3000).codes[0].tolist()) == set(kept.tolist())


def test_top_k_of_all_is_no_top_k():
    kept, all_codes = generator(top_k=SPEC.levels), generator(top_k=None)
    assert run(kept, 200).bits() == run(all_codes, 200).bits()


def test_a_low_temperature_draws_the_most_probable_codes():
    logits = np.linspace(0, 2, 32)
    means = [
        run(fw.Generator(dice(logits), seed=1, temperature=t), 500).codes.mean()
        for t in (1000, 1, 0.1, 0.001)
    ]
    assert means == sorted(means)
    assert means[0] < 18
    assert means[-1] == 31


# ---- priming -----------------------------------------------------------------------------------


def test_the_first_primed_sample_replaces_the_start_code():
    silence, primed = generator(), generator()
    primed.prime([SPEC.start_code])
    assert np.array_equal(primed.generate(50), silence.generate(50))
    other = generator()
    other.prime([SPEC.start_code - 1])
    assert not np.array_equal(run(other, 1).logits, run(generator(), 1).logits)


def test_generating_after_priming_continues_what_was_primed():
    gen = generator()
    whole = gen.generate(100)
    continued = generator()
    continued.prime(np.append(SPEC.start_code, fw.mu_law_encode(whole[:60], SPEC.levels)))
    assert np.array_equal(continued.generate(40), whole[60:])


def test_prime_in_generate_is_prime_of_a_generator():
    samples = random_codes(SPEC, 30, 1)
    gen = generator()
    gen.prime(samples)
    expected = gen.generate(50)
    assert np.array_equal(
        fw.generate(model_of(SPEC), n_samples=50, seed=5, prime=samples), expected
    )


# ---- copies and states -------------------------------------------------------------------------


@every_network
def test_a_clone_continues_alike_and_apart(spec):
    gen = generator(spec, batch=2, stream=4, temperature=0.8, top_k=2)
    run(gen, 30)
    twin = gen.clone()
    expected = run(gen, 30).bits()
    run(gen, 30)
    assert run(twin, 30).bits() == expected


def test_a_generator_goes_back_to_a_state_as_often_as_it_likes():
    gen = generator(batch=3)
    gen.generate(40)
    state = gen.get_state()
    blocks = []
    for _ in range(3):
        gen.set_state(state)
        blocks.append(gen.generate(40).tobytes())
    assert len(set(blocks)) == 1
    for kind in (bytearray, memoryview):
        gen.set_state(kind(state))
        assert gen.get_state() == state


@pytest.mark.parametrize("before", [[], [3], [3, 4, 5]])
def test_a_loaded_state_is_primed_like_the_one_that_was_saved(before):
    saved, fresh, used = generator(), generator(seed=1), generator(seed=2)
    saved.prime(before)
    used.generate(9)
    state = saved.get_state()
    saved.prime([6, 7])
    for gen in (fresh, used):
        gen.set_state(state)
        assert gen.get_state() == state
        gen.prime([6, 7])
        assert gen.position == saved.position == len(before) + 1
        assert gen.get_state() == saved.get_state()


def state_hash(words: bytes) -> bytes:
    """What csrc/model.c computes over a state."""
    h = 1
    for (word,) in struct.iter_unpack("<I", words):
        h = (h ^ word) * 0x9E3779B97F4A7C15 % 2**64
        h ^= h >> 32
    return struct.pack("<Q", h)


def forged(state: bytes, at: int, new: bytes) -> bytes:
    """Other bytes at a place, and a hash that fits."""
    body = state[:at] + new + state[at + len(new) : -8]
    return body + state_hash(body)


# Offsets of the state's head: magic, version, model, seed, step, id, next, begun, reserved.
MAGIC, VERSION, MODEL, SEED, STEP, ID, NEXT, BEGUN, RESERVED, HISTORY = (
    0, 4, 8, 16, 24, 32, 36, 40, 44, 48)  # fmt: skip


@pytest.fixture
def used() -> fw.Generator:
    gen = generator()
    gen.generate(40)
    return gen


def assert_refused(gen: fw.Generator, state: bytes) -> None:
    before = gen.get_state()
    with pytest.raises(fw.StateError):
        gen.set_state(state)
    assert gen.get_state() == before


def test_the_hash_of_a_state_is_known_here(used):
    state = used.get_state()
    assert forged(state, SEED, state[SEED:STEP]) == state


def test_every_flipped_bit_of_a_state_is_found(used):
    state = used.get_state()
    for bit in range(8 * len(state)):
        damaged = bytearray(state)
        damaged[bit // 8] ^= 1 << bit % 8
        assert_refused(used, bytes(damaged))


def test_a_state_of_another_length_is_refused(used):
    state = used.get_state()
    for n in [*range(len(state)), len(state) + 1, 2 * len(state)]:
        assert_refused(used, (state * 2)[:n])


def test_the_state_of_another_model_is_refused(used):
    other = fw.Generator(model_of(SPEC, seed=2), seed=1)
    assert len(other.get_state()) == len(used.get_state())
    assert_refused(used, other.get_state())


def test_models_that_differ_in_anything_do_not_share_states():
    specs = [small_spec(**w) for w in ({}, {"start_code": 3}, {"dilations": (4, 2, 1)})]
    models = [model_of(spec) for spec in specs]
    models += [changed_model(small_spec(), **{"head_output_bias": value}) for value in (0, 1e-45)]
    assert len({model.info()["fingerprint"] for model in models}) == len(models)


FORGERIES = {
    "magic": (MAGIC, b"RIFF"),
    "version": (VERSION, struct.pack("<I", 2)),
    "model": (MODEL, bytes(8)),
    "next": (NEXT, struct.pack("<I", SPEC.levels)),
    "next_huge": (NEXT, b"\xff" * 4),
    "begun": (BEGUN, struct.pack("<I", 2)),
    "not_begun_after_steps": (BEGUN, bytes(4)),
    "reserved": (RESERVED, b"\1"),
    "history": (HISTORY, struct.pack("<I", SPEC.levels + 1)),
}


@pytest.mark.parametrize(("at", "new"), FORGERIES.values(), ids=FORGERIES)
def test_a_state_with_a_right_hash_and_wrong_content_is_refused(used, at, new):
    assert_refused(used, forged(used.get_state(), at, new))


def test_a_wrong_row_in_the_state_of_a_batch_leaves_all_rows_as_they_were():
    gen, other = generator(batch=3), generator(batch=3, seed=6)
    gen.generate(40)
    other.generate(20)
    state = other.get_state()
    size = len(state) // 3
    for row in range(3):
        damaged = bytearray(state)
        damaged[row * size + 60] ^= 1
        assert_refused(gen, bytes(damaged))


@pytest.mark.parametrize("step", [2**32 - 5, 2**32, 2**32 + 1, 2**63])
def test_steps_beyond_32_bits_draw_their_own_numbers(step):
    gen = generator(temperature=10)
    gen.generate(1)
    gen.set_state(forged(gen.get_state(), STEP, struct.pack("<Q", step)))
    assert gen.position == step
    steps = run(gen, 20)
    for i, code in enumerate(steps.codes[0]):
        u = reference.uniform(5, step + i, 0)
        assert code == reference.draw(steps.logits[0, i], u, temperature=10)


EDITS = st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=8)), max_size=6)


@given(edits=EDITS, rehashed=st.booleans(), cut=st.integers(-3, 3) | st.none())
def test_a_mutated_state_is_refused_or_taken_whole(edits, rehashed, cut):
    gen = generator()
    gen.generate(40)
    before = gen.get_state()
    state = bytearray(before)
    for at, new in edits:
        at %= len(state)
        state[at : at + len(new)] = new[: len(state) - at]
    if rehashed:
        state[-8:] = state_hash(bytes(state[:-8]))
    if cut:
        state = state[:cut] if cut < 0 else state + bytes(cut)
    try:
        gen.set_state(bytes(state))
    except fw.StateError:
        assert gen.get_state() == before
        return
    assert gen.get_state() == state
    try:
        gen.generate(20)
    except fw.NotFiniteError:  # floats beyond what the network can bear
        gen.reset(5)
        assert np.array_equal(gen.generate(20), generator().generate(20))


def test_a_batch_state_of_rows_that_have_begun_and_not_is_refused():
    used, fresh = generator(), generator(seed=1)
    used.generate(3)
    gen = generator(seed=2, batch=2)
    before = gen.get_state()
    for mixed in (used.get_state() + fresh.get_state(), fresh.get_state() + used.get_state()):
        with pytest.raises(fw.StateError, match="some rows have begun and some have not"):
            gen.set_state(mixed)
        assert gen.get_state() == before


# ---- overflow ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tensor", ["head_output_weight", "head_hidden_weight"])
@pytest.mark.parametrize("forced", [False, True])
def test_outputs_that_overflow_are_an_error(tensor, forced, isa):
    gen = fw.Generator(changed_model(SPEC, **{tensor: 3e38}), seed=1, batch=2, isa=isa)
    for _ in range(2):
        with pytest.raises(fw.NotFiniteError, match="overflow"):
            run(gen, 20, forced=random_codes(SPEC, 20, 1) if forced else None)
        gen.reset(1)


@pytest.mark.parametrize("huge", [1e38, 3e38, -3e38])
def test_a_generator_whose_past_overflowed_is_as_new_after_reset(huge, isa):
    gen = generator(isa=isa)
    gen.generate(40)
    state = gen.get_state()
    past = HISTORY + 4 * (SPEC.first_kernel - 1)
    floats = (len(state) - past - 8) // 4
    gen.set_state(forged(state, past, struct.pack("<f", huge) * floats))
    with contextlib.suppress(fw.NotFiniteError):
        gen.generate(3)
    gen.reset(5)
    assert gen.get_state() == generator().get_state()
    assert run(gen, 50).bits() == run(generator(), 50).bits()


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("tensor", small_spec().tensors())
def test_a_generator_that_generates_can_be_cloned_whatever_its_weights(tensor, width):
    spec = small_spec(**widths(width))
    gen = fw.Generator(changed_model(spec, **{tensor.replace(".", "_"): 3e38}), seed=1)
    try:
        gen.generate(20)
    except fw.NotFiniteError:
        return
    assert np.array_equal(gen.clone().generate(20), gen.generate(20))


# ---- temperature and top_k between calls -----------------------------------------------------


def test_temperature_and_top_k_may_change_between_two_calls():
    gen, twin = generator(), generator(temperature=0.5, top_k=3)
    gen.generate(20)
    twin.set_state(gen.get_state())
    gen.temperature, gen.top_k = 0.5, 3
    assert np.array_equal(gen.generate(50), twin.generate(50))
    with pytest.raises(ValueError, match="temperature must be 0"):
        gen.temperature = -1
    with pytest.raises(TypeError, match="temperature must be a number, not 'hot'"):
        gen.temperature = "hot"
    with pytest.raises(ValueError, match="top_k must be from 1 to 32, not 0"):
        gen.top_k = 0
    assert (gen.temperature, gen.top_k) == (0.5, 3)


def test_seconds_must_be_a_number():
    with pytest.raises(TypeError, match="seconds must be a number, not '3'"):
        fw.generate(model_of(SPEC), seconds="3")


# ---- wrong arguments ---------------------------------------------------------------------------

CONDITIONED = NETWORKS["conditioned"]
FRAMES = random_cond(CONDITIONED, 10, 1)
NAN = float("nan")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed must be from 0 to 18446744073709551615, not -1"),
        ({"seed": 2**64}, "seed must be from 0 to"),
        ({"stream": -1}, "stream must be from 0 to 4294967295, not -1"),
        ({"stream": 2**32}, "stream must be from 0 to"),
        ({"stream": 2**32 - 1, "batch": 2}, "stream must be from 0 to 4294967294"),
        ({"batch": 0}, "batch must be from 1 to 65536, not 0"),
        ({"batch": 65537}, "batch must be from 1 to 65536"),
        ({"temperature": -1}, "temperature must be 0 .* or from 0.001 to 1000, not -1"),
        ({"temperature": 1e-4}, "temperature must be 0"),
        ({"temperature": 1001}, "temperature must be 0"),
        ({"temperature": NAN}, "temperature must be 0"),
        ({"top_k": 0}, "top_k must be from 1 to 32, not 0"),
        ({"top_k": 33}, "top_k must be from 1 to 32"),
        ({"isa": "sse9"}, "isa 'sse9' is unknown; available: scalar"),
    ],
    ids=str,
)
def test_a_generator_with_a_value_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        generator(**arguments)


@pytest.mark.parametrize("name", ["seed", "stream", "batch", "top_k"])
@pytest.mark.parametrize("value", [1.0, True, "1", [1]])
def test_a_number_that_is_not_whole_is_refused(name, value):
    with pytest.raises(TypeError, match=f"{name} must be a whole number, not"):
        generator(**{name: value})
    assert generator(**{name: np.int64(3)}).generate(5).size


WRONG_CALLS = [
    (lambda gen: gen.reset(-1), "seed must be from 0 to"),
    (lambda gen: gen.generate(-1), "n must be from 0 to"),
    (lambda gen: gen.stream(0), "chunk must be from 1 to"),
    (lambda gen: gen.stream(8, n_samples=-1), "n_samples must be from 0 to"),
    (lambda gen: gen.prime([[1, 2]]), r"shape \(n,\), not \(1, 2\)"),
    (lambda gen: gen.prime(3), r"shape \(n,\), not \(\)"),
    (lambda gen: gen.prime([1, 32]), "codes must be from 0 to 31: 32 at index 1"),
    (lambda gen: gen.prime([-1]), "codes must be from 0 to 31: -1 at index 0"),
    (lambda gen: gen.prime(np.array([40], np.uint8)), "codes .* 31: 40 at index 0"),
    (lambda gen: gen.prime([0.5, NAN]), "audio must be finite: nan at index 1"),
    (lambda gen: gen.generate(9, cond=FRAMES), "conditioning=None takes no cond"),
    (lambda gen: fw.score(gen.model, [[1]]), r"shape \(n,\), not \(1, 1\)"),
    (lambda gen: fw.outputs(gen.model, [99]), "codes must be from 0 to 31: 99 at index 0"),
    (lambda gen: fw.generate(gen.model), "give either seconds or n_samples"),
    (lambda gen: fw.generate(gen.model, 1, n_samples=1), "give either seconds or n_samples"),
    (lambda gen: fw.generate(gen.model, n_samples=-1), "n_samples must be from 0 to"),
    (lambda gen: fw.generate(gen.model, -1), "seconds must be a number from 0, not -1"),
    (lambda gen: fw.generate(gen.model, NAN), "seconds must be a number from 0"),
    (lambda gen: fw.generate(gen.model, float("inf")), "seconds must be a number from 0"),
]


@pytest.mark.parametrize(("call", "message"), WRONG_CALLS, ids=[m for _, m in WRONG_CALLS])
def test_a_refused_call_says_what_was_expected_and_changes_nothing(call, message):
    gen = generator()
    before = gen.get_state()
    with pytest.raises(ValueError, match=message):
        call(gen)
    assert gen.get_state() == before


def test_a_batch_is_primed_with_one_row_or_all():
    with pytest.raises(ValueError, match=r"shape \(n,\) or \(3, n\), not \(2, 5\)"):
        generator(batch=3).prime(np.zeros((2, 5), int))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda gen: gen.generate(1.0), "n must be a whole number, not 1.0"),
        (lambda gen: gen.prime(["a"]), "codes must be integers"),
        (lambda gen: gen.prime([True]), "codes must be integers, not bool"),
        (lambda gen: gen.set_state("abc"), "string"),
        (lambda gen: fw.Generator(gen.model.spec), "must be a fastwavenet.Model, not WaveNetSpec"),
    ],
)
def test_an_argument_of_a_wrong_type_is_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call(generator())


WRONG_COND = [
    ({"cond": None}, "conditioning='rows' needs cond"),
    ({"cond": FRAMES[:8]}, "9 steps with hop 1 need 9 frames of cond or a single one, not 8"),
    ({"cond": FRAMES[:4], "hop": 2}, "9 steps with hop 2 need 5 frames"),
    ({"cond": FRAMES[:0]}, "9 steps with hop 1 need 9 frames"),
    ({"cond": FRAMES[:, :2]}, r"shape \(frames, 3, 6\).* not \(10, 2, 6\)"),
    ({"cond": FRAMES[..., :5]}, r"shape \(frames, 3, 6\).* not \(10, 3, 5\)"),
    ({"cond": FRAMES[0]}, r"shape \(frames, 3, 6\).* not \(3, 6\)"),
    ({"cond": 1.0}, r"shape \(frames, 3, 6\).* not \(\)"),
    ({"cond": FRAMES[:, None].repeat(2, axis=1)}, r"\(frames, 1, 3, 6\), not \(10, 2, 3, 6\)"),
    ({"cond": FRAMES * NAN}, "cond must be finite"),
    ({"cond": FRAMES, "hop": 0}, "hop must be from 1 to"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG_COND, ids=[m for _, m in WRONG_COND])
def test_wrong_cond_is_refused_and_changes_nothing(arguments, message):
    gen = generator(CONDITIONED)
    before = gen.get_state()
    for call in (lambda: gen.generate(9, **arguments), lambda: gen.prime([1] * 10, **arguments)):
        with pytest.raises(ValueError, match=message):
            call()
    assert gen.get_state() == before


@pytest.mark.parametrize("hop", [2**32 - 1, 2**32, 2**40])
def test_a_hop_may_be_longer_than_any_call(hop):
    single = generator(CONDITIONED).generate(10, cond=FRAMES[:1])
    assert np.array_equal(generator(CONDITIONED).generate(10, cond=FRAMES, hop=hop), single)


def test_nothing_is_generated_when_asked_for_nothing():
    for batch, shape in ((None, (0,)), (3, (3, 0))):
        gen = generator(batch=batch)
        before = gen.get_state()
        assert gen.generate(0).shape == shape
        assert gen.generate(0).dtype == np.float32
        gen.prime([])
        assert gen.get_state() == before
        assert list(gen.stream(chunk=8, n_samples=0)) == []
    assert fw.generate(model_of(SPEC), seconds=0).shape == (0,)


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_blocks_of_a_stream_have_the_shape_and_the_sum_that_were_asked_for(batch):
    blocks = list(generator(batch=batch).stream(chunk=8, n_samples=21))
    rows = () if batch is None else (batch,)
    assert [block.shape for block in blocks] == [(*rows, 8), (*rows, 8), (*rows, 5)]
    assert all(block.dtype == np.float32 for block in blocks)
    endless = generator(batch=batch).stream(chunk=7)
    joined = np.concatenate([next(endless) for _ in range(3)], axis=-1)
    assert np.array_equal(joined, np.concatenate(blocks, axis=-1))


# ---- models are shared -------------------------------------------------------------------------


def test_a_model_cannot_be_changed_by_its_user():
    weights = {name: array.copy() for name, array in weights_of(SPEC).items()}
    model = fw.Model(SPEC, weights)
    before = fw.outputs(model, [1, 2, 3])
    for array in weights.values():
        array[...] = 0
    assert np.array_equal(fw.outputs(model, [1, 2, 3]), before)
    with pytest.raises(AttributeError):
        model.spec = small_spec()


def test_a_generator_keeps_its_model_alive():
    rows = fw.Generator(fw.Model(SPEC, weights_of(SPEC)), seed=5)._rows
    gc.collect()
    audio = np.empty((1, 100), np.float32)
    rows.run(100, audio=audio)
    assert np.array_equal(audio[0], generator().generate(100))


def test_two_interleaved_generators_do_not_disturb_each_other():
    a, b = generator(seed=1), generator(seed=2, temperature=0.5)
    mixed = [(a.generate(n), b.generate(n)) for n in (1, 5, 16, 40)]
    for side, gen in enumerate((generator(seed=1), generator(seed=2, temperature=0.5))):
        assert np.array_equal(np.concatenate([pair[side] for pair in mixed]), gen.generate(62))


# ---- threads and processes ---------------------------------------------------------------------


def test_eight_threads_with_their_own_generators_equal_one_after_the_other():
    def voice(i: int) -> bytes:
        gen = generator(seed=i)
        return b"".join(gen.generate(n).tobytes() for n in (500, 1, 3000))

    found = {}
    threads = [
        threading.Thread(target=lambda i=i: found.__setitem__(i, voice(i))) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: voice(i) for i in range(8)}


USES = {
    "generate": lambda gen: gen.generate(1),
    "prime": lambda gen: gen.prime([1, 2]),
    "get_state": lambda gen: gen.get_state(),
    "clone": lambda gen: gen.clone(),
    "reset": lambda gen: gen.reset(1),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_generator_used_by_two_threads_at_once_says_so(use):
    gen = generator(isa="scalar", batch=8)
    running, done = threading.Event(), threading.Event()

    def generate_for_long() -> None:
        while not done.is_set():
            running.set()
            try:
                gen.generate(4096)
            except fw.BusyError:  # the other thread was first, this once
                continue

    thread = threading.Thread(target=generate_for_long)
    thread.start()
    try:
        running.wait()
        assert busy_within(lambda: use(gen), seconds=30)
    finally:
        done.set()
        thread.join()
    gen.reset(5)
    assert np.array_equal(gen.generate(50), generator(batch=8).generate(50))


def busy_within(use, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            use()
        except fw.BusyError as error:
            assert "in use" in str(error)
            return True
    return False


FORK = """
import os, sys
import numpy as np
sys.path.insert(0, {tests!r})
from engines import model_of
from networks import small_spec
import fastwavenet as fw

gen = fw.Generator(model_of(small_spec()), seed=1)
gen.generate(100)
child = os.fork()
audio = gen.generate(1000)
expected = fw.generate(model_of(small_spec()), n_samples=1100, seed=1)[100:]
if child == 0:
    os._exit(0 if np.array_equal(audio, expected) else 1)
assert os.waitpid(child, 0)[1] == 0 and np.array_equal(audio, expected)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_continues_on_its_own():
    code = FORK.format(tests=str(Path(__file__).parent))
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- progress and interruption -----------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 4096, 10_000])
def test_progress_rises_to_the_end(n):
    calls = []
    audio = fw.generate(
        model_of(SPEC), n_samples=n, seed=1, progress=lambda *call: calls.append(call)
    )
    done = [d for d, _ in calls]
    assert done == sorted(set(done))
    assert all(total == n for _, total in calls)
    assert (done[-1] if done else 0) == n == len(audio)
    assert np.array_equal(audio, fw.generate(model_of(SPEC), n_samples=n, seed=1))


@pytest.fixture
def ctrl_c():
    """What presses Ctrl-C after 0.2 seconds, also where this process was told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.2, _thread.interrupt_main)
    yield timer.start
    timer.cancel()
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_a_long_call_soon_and_leaves_a_usable_generator(ctrl_c):
    gen = generator(batch=4)
    start = time.monotonic()
    ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        gen.generate(5_000_000)
    assert time.monotonic() - start < 1.2
    expected = generator(batch=4)
    expected.generate(gen.position)
    assert gen.get_state() == expected.get_state()
    assert np.array_equal(gen.generate(50), expected.generate(50))
