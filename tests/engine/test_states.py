"""Saved states: copies, damage, and what a row remembers."""

import contextlib
import dataclasses
import math
import struct

import numpy as np
import pytest
from engines import SPEC, changed_model, generator, model_of, run
from hypothesis import given
from hypothesis import strategies as st
from networks import PRECISIONS, every_network, random_codes, random_weights, small_spec, widths

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.ends import Start
from fastwavenet.reference.bfloat16x16 import to_bfloat16
from fastwavenet.reference.int8 import to_16_bits
from fastwavenet.reference.int8x8 import to_8_bits

# ---- copies and states -------------------------------------------------------------------------


@every_network
def test_a_clone_continues_alike_and_apart(spec, precision):
    gen = generator(spec, precision=precision, batch=2, stream=4, temperature=0.8, top_k=2)
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
def test_a_loaded_state_is_primed_like_the_one_that_was_saved(before, precision):
    saved, fresh, used = (generator(precision=precision, seed=seed) for seed in (5, 1, 2))
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
    """What csrc/arena.c computes over a state."""
    h = 1
    for (word,) in struct.iter_unpack("<I", words):
        h = (h ^ word) * 0x9E3779B97F4A7C15 % 2**64
        h ^= h >> 32
    return struct.pack("<Q", h)


def forged(state: bytes, at: int, new: bytes) -> bytes:
    """Other bytes at a place, and a hash that fits."""
    body = state[:at] + new + state[at + len(new) : -8]
    return body + state_hash(body)


# Offsets of the state's head: magic, version, model, seed, step, id, next, begun, last.
MAGIC, VERSION, MODEL, SEED, STEP, ID, NEXT, BEGUN, LAST, HISTORY = (
    0, 4, 8, 16, 24, 32, 36, 40, 44, 48)  # fmt: skip


@pytest.fixture
def used(precision) -> fw.Generator:
    gen = generator(precision=precision)
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


def test_the_state_of_another_model_is_refused(used, precision):
    other = fw.Generator(model_of(SPEC, seed=2, precision=precision), seed=1)
    assert len(other.get_state()) == len(used.get_state())
    assert_refused(used, other.get_state())


@pytest.mark.parametrize("other", PRECISIONS)
def test_the_state_of_another_precision_is_refused(used, precision, other):
    state = generator(precision=other).get_state()
    if other == precision:
        used.set_state(state)
    else:
        assert_refused(used, state)


def test_models_that_differ_in_anything_do_not_share_states():
    specs = [small_spec(**w) for w in ({}, {"start": Start(3)}, {"dilations": (4, 2, 1)})]
    models = [model_of(spec, precision=p) for spec in specs for p in PRECISIONS]
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
    "reserved": (LAST, b"\1"),
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


def emphatic(pre_emphasis: float) -> fw.Generator:
    codec = dataclasses.replace(SPEC.codec, pre_emphasis=pre_emphasis)
    spec = dataclasses.replace(SPEC, codec=codec)
    return fw.Generator(fw.Model(spec, random_weights(SPEC, 1)), seed=1)


def test_a_state_of_another_pre_emphasis_is_refused():
    gens = {a: emphatic(a) for a in (0, 0.5, 0.85)}
    for a, gen in gens.items():
        for b, other in gens.items():
            if a != b:
                with pytest.raises(fw.StateError):
                    other.set_state(gen.get_state())


def test_the_last_sample_in_a_state_is_finite_and_0_without_pre_emphasis():
    for gen, good, bad in (
        (emphatic(0.85), (0.25, -0.0, 3e38), (math.nan, math.inf, -math.inf)),
        (emphatic(0), (0.0,), (-0.0, 1e-45, 0.25, math.nan)),
    ):
        state = gen.get_state()
        for value in good:
            gen.set_state(forged(state, LAST, struct.pack("<f", value)))
        for value in bad:
            with pytest.raises(fw.StateError):
                gen.set_state(forged(state, LAST, struct.pack("<f", value)))


# ---- what int8, int8x8 and bfloat16x16 keep ----------------------------------------------------

PAST = HISTORY + 4 * (SPEC.input.taps - 1)
CHANNELS = SPEC.residual
VALUES = st.floats(-8, 8, width=32) | st.sampled_from(
    [0.0, -0.0, 1e-45, 1e-20, 1e-18, 1e10, 3.4e38]
)


def to_signed_bytes(x: np.ndarray) -> tuple[np.ndarray, np.float32]:
    return to_8_bits(x, 127)


@pytest.mark.parametrize(
    ("precision", "to_integers"), [("int8", to_16_bits), ("int8x8", to_signed_bytes)]
)
@given(x=st.lists(VALUES, min_size=CHANNELS, max_size=CHANNELS))
def test_a_past_of_any_floats_is_rounded_once(precision, to_integers, x):
    """A saved one was rounded before; a foreign one is then, and as the slow twin rounds it."""
    state = generator(precision=precision).get_state()
    gens = [generator(precision=precision, isa=isa) for isa in fw.available_isas()]
    gens[0].set_state(forged(state, PAST, struct.pack(f"<{CHANNELS}f", *x)))
    q, unit = to_integers(np.array(x, np.float32))
    rounded = (q * unit).astype(np.float32) + np.float32(0)
    taken = gens[0].get_state()
    assert taken == forged(state, PAST, rounded.tobytes())
    for gen in gens:
        gen.set_state(taken)
        assert gen.get_state() == taken
    assert len({drawn(gen) for gen in gens}) == 1


@given(x=st.lists(VALUES, min_size=CHANNELS, max_size=CHANNELS))
def test_a_past_of_any_floats_is_rounded_to_bfloat16_once(x):
    state = generator(precision="bfloat16x16").get_state()
    gens = [generator(precision="bfloat16x16", isa=isa) for isa in fw.available_isas()]
    gens[0].set_state(forged(state, PAST, struct.pack(f"<{CHANNELS}f", *x)))
    taken = gens[0].get_state()
    assert taken == forged(state, PAST, to_bfloat16(np.array(x, np.float32)).tobytes())
    for gen in gens:
        gen.set_state(taken)
        assert gen.get_state() == taken


# ---- overflow ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tensor", ["head_output_weight", "head_hidden_weight"])
@pytest.mark.parametrize("forced", [False, True])
def test_outputs_that_overflow_are_an_error(tensor, forced, isa, precision):
    model = changed_model(SPEC, precision, **{tensor: 3e38})
    gen = fw.Generator(model, seed=1, batch=2, isa=isa)
    for _ in range(2):
        with pytest.raises(fw.NotFiniteError, match="overflow"):
            run(gen, 20, forced=random_codes(SPEC, 20, 1) if forced else None)
        gen.reset(1)


@pytest.mark.parametrize("huge", [1e38, 3e38, -3e38, math.inf, math.nan])
def test_a_generator_whose_past_overflowed_is_as_new_after_reset(huge, isa, precision):
    gen = generator(precision=precision, isa=isa)
    gen.generate(40)
    state = gen.get_state()
    floats = (len(state) - PAST - 8) // 4
    gen.set_state(forged(state, PAST, struct.pack("<f", huge) * floats))
    with contextlib.suppress(fw.NotFiniteError):
        gen.generate(3)
    gen.reset(5)
    new = generator(precision=precision)
    assert gen.get_state() == new.get_state()
    assert run(gen, 50).bits() == run(new, 50).bits()


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("tensor", small_spec().tensors())
def test_a_generator_that_generates_can_be_cloned_whatever_its_weights(tensor, width, precision):
    spec = small_spec(**widths(width))
    gen = fw.Generator(changed_model(spec, precision, **{tensor.replace(".", "_"): 3e38}), seed=1)
    if drawn(gen) is not None:
        assert drawn(gen.clone()) == drawn(gen)


def drawn(gen: fw.Generator) -> bytes | None:
    """20 samples, or None for what overflows."""
    try:
        return gen.generate(20).tobytes()
    except fw.NotFiniteError:
        return None
