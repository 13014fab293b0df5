"""Generators: seeds, draws, priming, threads, interruption."""

import _thread
import gc
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from c_build import HELPERS
from engines import SPEC, dice, generator, model_of, run, weights_of
from networks import PRECISIONS, every_network, random_codes, small_spec

import fastwavenet as fw
from fastwavenet import reference


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
@pytest.mark.each_pair
@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.5, None), (3.0, 7)])
def test_draws_are_those_of_the_reference_from_the_engines_logits(
    spec, temperature, top_k, precision
):
    n, seed, stream, top_k = 150, 2**40 + 3, 7, top_k and min(top_k, spec.levels)
    voice = {"seed": seed, "stream": stream, "temperature": temperature, "top_k": top_k}
    gen = generator(spec, precision=precision, **voice)
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
    primed.prime([SPEC.start.code])
    assert np.array_equal(primed.generate(50), silence.generate(50))
    other = generator()
    other.prime([SPEC.start.code - 1])
    assert not np.array_equal(run(other, 1).logits, run(generator(), 1).logits)


def test_generating_after_priming_continues_what_was_primed():
    gen = generator()
    whole = gen.generate(100)
    continued = generator()
    continued.prime(np.append(SPEC.start.code, fw.mu_law_encode(whole[:60], SPEC.levels)))
    assert np.array_equal(continued.generate(40), whole[60:])


def test_prime_in_generate_is_prime_of_a_generator():
    samples = random_codes(SPEC, 30, 1)
    gen = generator()
    gen.prime(samples)
    expected = gen.generate(50)
    assert np.array_equal(
        fw.generate(model_of(SPEC), n_samples=50, seed=5, prime=samples), expected
    )


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
    rows = fw.Generator(fw.Model(SPEC, weights_of(SPEC)), seed=5)._session.stream
    gc.collect()
    audio = np.empty((1, 100), np.float32)
    rows.run(100, audio=audio)
    assert np.array_equal(audio[0], generator().generate(100))


@pytest.mark.parametrize("other", PRECISIONS)
def test_two_interleaved_generators_do_not_disturb_each_other(precision, other):
    def both():
        yield generator(precision=precision, seed=1)
        yield generator(precision=other, seed=2, temperature=0.5)

    a, b = both()
    mixed = [(a.generate(n), b.generate(n)) for n in (1, 5, 16, 40)]
    for side, gen in enumerate(both()):
        assert np.array_equal(np.concatenate([pair[side] for pair in mixed]), gen.generate(62))


# ---- threads and processes ---------------------------------------------------------------------


def test_eight_threads_with_their_own_generators_equal_one_after_the_other(precision):
    def voice(i: int) -> bytes:
        gen = generator(precision=precision, seed=i)
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
        assert busy_within(lambda: use(gen), seconds=300)
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
    code = FORK.format(tests=str(HELPERS))
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_generate_takes_the_stream_of_a_row():
    rows = fw.generate(model_of(SPEC), n_samples=200, seed=8, stream=3, batch=3)
    for row, audio in enumerate(rows):
        alone = fw.generate(model_of(SPEC), n_samples=200, seed=8, stream=3 + row)
        assert np.array_equal(alone, audio)


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


def test_scoring_reports_its_progress_too():
    calls, audio = [], fw.generate(model_of(SPEC), n_samples=10_000, seed=1)
    nats = fw.score(model_of(SPEC), audio, progress=lambda *call: calls.append(call))
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert calls[-1] == (len(nats), len(nats))
    assert np.array_equal(nats, fw.score(model_of(SPEC), audio))


class Enough(Exception):
    pass


def test_what_progress_raises_ends_the_call():
    def stop(done, total):
        raise Enough

    for work in (fw.generate, fw.score):
        with pytest.raises(Enough):
            work(model_of(SPEC), np.zeros(5000, int) if work is fw.score else 1.0, progress=stop)


@pytest.mark.parametrize(
    ("steps", "seconds", "following"),
    [(100, 0.2, 10), (100, 0.02, 100), (100, 0.005, 200), (1, 5.0, 1), (100, 0.0, 200)],
)
def test_the_length_of_a_chunk_follows_the_speed_of_the_one_before(steps, seconds, following):
    session = generator()._session
    session.chunk = steps
    session.pace(steps, seconds)
    assert session.chunk == following


def test_a_short_call_does_not_change_the_length_of_chunks():
    session = generator()._session
    session.chunk = 100
    session.pace(7, 0.0)
    assert session.chunk == 100


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
    ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        gen.generate(5_000_000)
    expected = generator(batch=4)
    expected.generate(gen.position)
    assert gen.get_state() == expected.get_state()
    assert np.array_equal(gen.generate(50), expected.generate(50))
