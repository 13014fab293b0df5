"""The same samples, bit for bit, however the work is cut and wherever it runs: promise 2."""

import functools
import hashlib
import itertools

import numpy as np
import pytest
from engines import frames_of, joined, model_of, one_shot, run, run_in_chunks, weights_of
from networks import NETWORKS, every_network, random_codes, random_frames, small_spec

import fastwavenet as fw
from fastwavenet.ends import FrameConditioning
from fastwavenet.session import Session

# FWN_BLOCK_ROWS rows (time x stream) go through the network at once, and past taps are computed
# for FWN_AHEAD steps at once: lengths around both.
LENGTHS = (1, 2, 7, 15, 16, 17, 33, 63, 64, 65, 129)

each_pair = pytest.mark.each_pair


def generator(spec, isa: str, precision: str, **arguments) -> fw.Generator:
    model = model_of(spec, precision=precision)
    return fw.Generator(model, isa=isa, **{"seed": 5} | arguments)


# ---- instruction sets and chunks ---------------------------------------------------------------


@every_network
@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.6, 5), (0.0, None)])
def test_every_instruction_set_draws_the_same_bits(spec, isa, precision, temperature, top_k):
    n, top_k = spec.receptive_field + 70, top_k and min(top_k, spec.levels)
    gen = generator(spec, isa, precision, temperature=temperature, top_k=top_k)
    found = run(gen, n)
    assert found.bits() == one_shot(spec, n, precision, temperature, top_k).bits()
    if temperature:
        assert len(np.unique(found.codes)) > 1


# Another digest means that models sound different in this version than in the last.
DIGESTS = {
    "float32": "da6a196f128853f5",
    "bfloat16": "96d1d880795a1616",
    "int8": "6f4690d7f8fe1fd8",
    "bfloat16x16": "3735bfb031866306",
    "int8x8": "dae4086969360fd5",
}


def test_the_bits_are_those_of_every_other_machine(isa, precision):
    digest = hashlib.sha256()
    for name in ("kernels_mixed", "wider_than_a_vector", "dilations_around_16"):
        for bits in run(generator(NETWORKS[name], isa, precision), 150).bits():
            digest.update(bits)
    assert digest.hexdigest()[:16] == DIGESTS[precision]


@every_network
@pytest.mark.parametrize("chunk", [1, 2, 7, 64, "field - 1", "field", "field + 1"])
@each_pair
def test_chunks_join_to_one_shot(spec, isa, chunk, precision):
    n = spec.receptive_field + 70
    if isinstance(chunk, str):
        chunk = eval(chunk, {"field": spec.receptive_field})
    found = run_in_chunks(generator(spec, isa, precision), n, chunk, frames=frames_of(spec, n))
    assert found.bits() == one_shot(spec, n, precision).bits()


@pytest.mark.parametrize("temperature", [0, 0.7, 1])
@each_pair
def test_generate_and_stream_and_chunks_give_the_same_audio(isa, temperature, precision):
    spec, n = small_spec(levels=256), 4196
    model = model_of(spec, precision=precision)
    arguments = {"seed": 9, "temperature": temperature, "isa": isa}
    audio = fw.generate(model, n_samples=n, **arguments)
    assert np.array_equal(audio, fw.Generator(model, **arguments).generate(n))
    blocks = fw.Generator(model, **arguments).stream(chunk=300, n_samples=n)
    assert np.array_equal(audio, np.concatenate(list(blocks)))
    seconds = fw.generate(model, seconds=n / spec.sample_rate, **arguments)
    assert np.array_equal(audio, seconds)


# ---- batches -----------------------------------------------------------------------------------

BATCHED = ("kernel_2", "first_kernel_3", "dilations_around_16", "conditioned", "levels_300")


def frames_of_rows(spec, rows: int, n: int) -> np.ndarray | None:
    """(rows, frames, channels), other ones for each row."""
    if spec.conditioning is None:
        return None
    return np.stack([random_frames(spec, n, seed) for seed in range(rows)])


@functools.cache
def single_rows(spec, rows: int, n: int, precision: str) -> list[list[bytes]]:
    frames = frames_of_rows(spec, rows, n)
    singles = [generator(spec, "scalar", precision, stream=100 + row) for row in range(rows)]
    given = [None] * rows if frames is None else frames
    return [run(gen, n, frames=f).bits() for gen, f in zip(singles, given, strict=True)]


@pytest.mark.parametrize("name", BATCHED)
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 17, 64, 65])
@each_pair
def test_row_i_of_a_batch_is_a_single_generator_with_stream_plus_i(name, rows, isa, precision):
    spec, n = NETWORKS[name], 40
    gen = generator(spec, isa, precision, batch=rows, stream=100)
    found = run(gen, n, frames=frames_of_rows(spec, rows, n))
    assert [found.row(i).bits() for i in range(rows)] == single_rows(spec, 65, n, precision)[:rows]


# Microkernels have up to 8 rows, and panels of 16 outputs in pairs or fours: one batch for each
# number of rows up to twice that and one, of a network with odd numbers of panels.
EVERY_ROW = small_spec(residual=48, dilation_channels=40, skip=80, head=112, levels=144)


@pytest.mark.parametrize("rows", range(1, 18))
def test_every_number_of_rows_has_the_bits_of_each_row_alone(rows, isa, precision):
    found = run(generator(EVERY_ROW, isa, precision, batch=rows, stream=100), 20)
    alone = single_rows(EVERY_ROW, 17, 20, precision)[:rows]
    assert [found.row(i).bits() for i in range(rows)] == alone


# Eight rows of float32 have microkernels of their own for 256 to 2048 inputs.
@pytest.mark.parametrize("rows", [7, 8, 9])
@pytest.mark.parametrize("inputs", [240, 256, 2048, 2064])
def test_many_inputs_of_few_rows_have_the_bits_of_each_row_alone(inputs, rows, isa, precision):
    spec = small_spec(dilations=(1,), skip=inputs, head=80)
    found = run(generator(spec, isa, precision, batch=rows, stream=100), 4)
    alone = single_rows(spec, 9, 4, precision)[:rows]
    assert [found.row(i).bits() for i in range(rows)] == alone


@pytest.mark.parametrize("rows", [2, 3, 64])
def test_rows_of_a_batch_are_primed_and_continue_like_single_generators(rows, isa, precision):
    spec = NETWORKS["dilations_around_16"]
    samples = random_codes(spec, rows * 100, 6).reshape(rows, 100)
    batch = generator(spec, isa, precision, batch=rows)
    batch.prime(samples)
    found = run(batch, 50)
    for row in (0, 1, rows - 1):
        single = generator(spec, "scalar", precision, stream=row)
        single.prime(samples[row])
        assert run(single, 50).bits() == found.row(row).bits()


def test_one_prime_for_all_rows_is_given_to_each(isa, precision):
    spec = NETWORKS["kernel_3"]
    samples = random_codes(spec, 30, 6)
    for_all, for_each = (generator(spec, isa, precision, batch=3) for _ in range(2))
    for_all.prime(samples)
    for_each.prime(np.stack([samples] * 3))
    assert for_all.get_state() == for_each.get_state()


@pytest.mark.parametrize(
    "spec",
    [
        small_spec(skip=48, head=32),  # one vector and two past whole cache lines
        small_spec(dilation_channels=32, dilations=(1, 2)),  # two layers' gates in one line
        small_spec(residual=520, skip=530, head=17),  # two blocks of sums
    ],
    ids=["skip_and_head_differ", "gates_share_a_line", "long_sums"],
)
@pytest.mark.parametrize("batch", [3, 4, 9, 17, 33])
@pytest.mark.parametrize("precision", ["int8", "int8x8"])
def test_int8_reads_nothing_that_stands_beside_its_rows(precision, spec, batch):
    """Tiles of bytes are read 64 at a time, whatever the sizes are."""
    model = fw.Model(spec, weights_of(spec), precision)
    drawn = {
        isa: fw.Generator(model, isa=isa, seed=5, batch=batch).generate(20)
        for isa in fw.available_isas()
    }
    for isa, audio in drawn.items():
        assert np.array_equal(audio, drawn["scalar"]), isa


# ---- priming and scoring are stepping ----------------------------------------------------------


@every_network
@pytest.mark.parametrize("n", [1, 2, 64, 65, 66, 200])
@each_pair
def test_priming_in_a_block_is_priming_step_by_step(spec, isa, n, precision):
    samples, frames = random_codes(spec, n, 6), frames_of(spec, n)
    block, steps = generator(spec, isa, precision), generator(spec, "scalar", precision)
    block.prime(samples, frames=frames)
    for t in range(n):
        steps.prime(samples[t : t + 1], frames=None if frames is None else frames[t:])
    assert block.get_state() == steps.get_state()
    assert run(block, 40).bits() == run(steps, 40).bits()


@every_network
@each_pair
def test_prime_a_then_b_is_prime_a_plus_b_also_after_generating(spec, isa, precision):
    a, b = random_codes(spec, 30, 6), random_codes(spec, 45, 7)
    frames = frames_of(spec, 75)
    of_b = None if frames is None else frames[30:]
    for before in (0, 1, 20):
        twice, once = generator(spec, isa, precision), generator(spec, isa, precision)
        for gen in (twice, once):
            run(gen, before, frames=frames)
        begin = before == 0  # a fresh generator is given its first sample without a step
        twice.prime(a, frames=frames)
        twice.prime(b, frames=of_b)
        once.prime(np.append(a, b), frames=frames)
        assert twice.position == once.position == before + 75 - begin
        assert twice.get_state() == once.get_state()
        assert run(twice, 20, frames=of_b).bits() == run(once, 20, frames=of_b).bits()


@every_network
@each_pair
def test_scoring_in_a_block_is_scoring_step_by_step(spec, isa, precision):
    n = spec.receptive_field + 70
    codes, frames = random_codes(spec, n, 6), frames_of(spec, n)
    gen = generator(spec, "scalar", precision)
    gen._session.begin(codes[:1])
    of_steps = None if frames is None else frames[1:]
    steps = run_in_chunks(gen, n - 1, 1, forced=codes[1:], frames=of_steps)
    model = model_of(spec, precision=precision)
    assert np.array_equal(fw.score(model, codes, frames=frames, isa=isa), -steps.logp[0])
    logits = fw.outputs(model, codes, frames=frames, isa=isa)
    assert np.array_equal(logits[:-1], steps.logits[0])


@every_network
@each_pair
def test_samples_that_are_forced_are_scored_as_when_they_were_drawn(spec, isa, precision):
    n = spec.receptive_field + 70
    drawn = one_shot(spec, n, precision)
    forced = run(generator(spec, isa, precision), n, forced=drawn.codes)
    assert forced.bits() == drawn.bits()


# ---- any mixture of calls ----------------------------------------------------------------------

MIXED = 600  # steps


@functools.cache
def plan(seed: int) -> list[tuple[int, bool]]:
    """Lengths of calls that sum to MIXED, and whether they are forced."""
    rng = np.random.default_rng(seed)
    calls, left = [], MIXED
    while left:
        n = min(left, int(rng.choice(LENGTHS)))
        calls.append((n, bool(rng.integers(2))))
        left -= n
    return calls


@functools.cache
def mixture(spec, rows: int, seed: int, precision: str) -> tuple[list[bytes], bytes]:
    """`plan` step by step in portable code, and the state it ends in."""
    gen = generator(spec, "scalar", precision, batch=rows)
    samples = random_codes(spec, rows * MIXED, seed).reshape(rows, MIXED)
    frames, parts, t = frames_of(spec, MIXED), [], 0
    for n, forced in plan(seed):
        for _ in range(n):
            now = samples[:, t : t + 1] if forced else None
            parts.append(run(gen, 1, forced=now, frames=frames, at=t))
            t += 1
    return joined(parts).bits(), gen.get_state()


@pytest.mark.parametrize("name", [*BATCHED, "kernels_mixed", "one_layer"])
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("seed", [1, 2])
@each_pair
def test_any_mixture_of_calls_and_states_gives_the_bits_of_single_steps(
    name, rows, seed, isa, precision
):
    spec = NETWORKS[name]
    samples = random_codes(spec, rows * MIXED, seed).reshape(rows, MIXED)
    gen, spare = (generator(spec, isa, precision, batch=rows) for _ in range(2))
    frames, parts, t = frames_of(spec, MIXED), [], 0
    for call, (n, forced) in enumerate(plan(seed)):
        now = slice(t, t + n)
        known = samples[:, now] if forced else None
        parts.append(run(gen, n, forced=known, frames=frames, at=t))
        t += n
        if call % 3 == 2:  # the spare one is somewhere else in its own rings
            spare.set_state(gen.get_state())
            gen, spare = spare, gen
    bits, state = mixture(spec, rows, seed, precision)
    assert joined(parts).bits() == bits
    assert gen.get_state() == state


@pytest.mark.parametrize("name", ["kernel_3", "dilations_around_16"])
@pytest.mark.parametrize("rows", [1, 2, 21, 22, 65])
@each_pair
def test_lengths_around_the_engines_blocks_change_nothing(name, rows, isa, precision):
    spec = NETWORKS[name]
    n = sum(LENGTHS)
    samples = random_codes(spec, rows * n, 8).reshape(rows, n)
    block, pieces = (generator(spec, isa, precision, batch=rows) for _ in range(2))
    run(block, n, forced=samples)
    for start, end in itertools.pairwise(np.cumsum((0, *LENGTHS))):
        run(pieces, end - start, forced=samples[:, start:end])
    assert block.get_state() == pieces.get_state()


@pytest.fixture(params=[1, 2, 3])
def random_pieces(request, monkeypatch):
    """The engine is called with a random number of steps at every piece of every call."""
    rng = np.random.default_rng(request.param)

    def pieces(gen, n):
        start = 0
        while start < n:
            length = min(int(rng.integers(1, 100)), n - start)
            yield start, length
            start += length

    monkeypatch.setattr(Session, "chunks", pieces)


@pytest.mark.parametrize("interpolation", ["held", "linear"])
@pytest.mark.parametrize("hop", [1, 2, 7, 80, 200, 65536])
def test_a_call_may_be_cut_into_any_pieces_also_within_a_frame(
    hop, interpolation, precision, random_pieces
):
    end = FrameConditioning(channels=3, hop=hop, interpolation=interpolation)
    spec, n = small_spec(conditioning=end, kernel=3), 184
    codes, frames = random_codes(spec, n, 2), random_frames(spec, n, 4)
    model = model_of(spec, precision=precision)
    gen, expected = fw.Generator(model, seed=5), fw.Generator(model, seed=5)
    gen.prime(codes, frames=frames)
    audio = gen.generate(n, frames=frames)
    expected._session.begin(codes[:1])
    for t in range(1, n):
        run(expected, 1, forced=codes[t : t + 1], frames=frames, at=t)
    alone = [run(expected, 1, frames=frames, at=t).audio[0, 0] for t in range(n)]
    assert [*audio] == alone
    assert gen.get_state() == expected.get_state()
    logits = fw.outputs(model, codes, frames=frames)
    again = fw.Generator(model, seed=5)
    again._session.begin(codes[:1])
    steps = [
        run(again, 1, forced=codes[t : t + 1], frames=frames, at=t).logits[0] for t in range(1, n)
    ]
    assert logits[:-1].tobytes() == np.concatenate(steps).tobytes()


# ---- states ------------------------------------------------------------------------------------


@every_network
@each_pair
def test_a_state_continues_exactly_on_another_instruction_set(spec, isa, another_isa, precision):
    n = spec.receptive_field + 70
    frames = frames_of(spec, n)
    here = generator(spec, isa, precision)
    start = run(here, 37, frames=frames)
    elsewhere = generator(spec, another_isa, precision, seed=77, stream=3)
    run(elsewhere, 11, frames=frames)
    state = here.get_state()
    elsewhere.set_state(state)
    assert elsewhere.get_state() == state
    found = joined([start, run(elsewhere, n - 37, frames=frames, at=37)])
    assert found.bits() == one_shot(spec, n, precision).bits()


@pytest.mark.parametrize("name", BATCHED)
@each_pair
def test_the_state_of_a_row_loads_into_a_single_generator(name, isa, precision):
    spec, rows = NETWORKS[name], 5
    batch = generator(spec, isa, precision, batch=rows, stream=9)
    run(batch, 50)
    state = batch.get_state()
    size = len(state) // rows
    after = run(batch, 50)
    for row in range(rows):
        single = generator(spec, isa, precision)
        single.set_state(state[row * size : (row + 1) * size])
        assert run(single, 50).bits() == after.row(row).bits()


@pytest.mark.parametrize("name", BATCHED)
@each_pair
def test_a_reset_generator_is_a_new_one(name, isa, precision):
    spec = NETWORKS[name]
    gen = generator(spec, isa, precision, batch=3, seed=1)
    for n in (1, 17, 70):
        run(gen, n)
        gen.reset(5)
        fresh = generator(spec, isa, precision, batch=3)
        assert gen.get_state() == fresh.get_state()
        assert run(gen, 40).bits() == run(fresh, 40).bits()
