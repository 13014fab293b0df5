"""Two threads for one generator: the same bits, and a second thread that disturbs nobody."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from c_build import HELPERS
from engines import SPEC, changed_model, frames_of, joined, model_of, run_in_chunks
from engines import run as steps
from networks import PRECISIONS, random_codes, small_spec
from two_threads import NAMES, SPECS, generator, two

import fastwavenet as fw
from fastwavenet import scoring
from fastwavenet.ends import FrameConditioning
from fastwavenet.scoring import part_ends

STEPS = 90


def others_cpu_time() -> float:
    """Seconds that all threads but this one have computed."""
    return time.process_time() - time.thread_time()


# ---- the same bits -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [1, 2, 17])
@pytest.mark.each_pair
def test_two_threads_draw_the_bits_of_one(name, rows, precision, isa):
    alone = generator(name, precision, isa="scalar", batch=rows)
    both = two(generator(name, precision, isa=isa, batch=rows, threads=2))
    assert steps(both, STEPS).bits() == steps(alone, STEPS).bits()
    assert both.get_state() == alone.get_state()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 2, 65, 130])
@pytest.mark.each_pair
def test_two_threads_score_the_bits_of_one(name, n, precision):
    samples = random_codes(SPECS[name], n, 6)
    alone, both = generator(name, precision), two(generator(name, precision, threads=2))
    assert steps(both, n, forced=samples).bits() == steps(alone, n, forced=samples).bits()
    assert steps(both, 20).bits() == steps(alone, 20).bits()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chunk", [1, 7])
@pytest.mark.each_pair
def test_chunks_of_two_threads_join_to_the_bits_of_one(name, chunk, precision):
    frames = frames_of(SPECS[name], STEPS)
    both = two(generator(name, precision, threads=2))
    found = run_in_chunks(both, STEPS, chunk, frames=frames)
    assert found.bits() == steps(generator(name, precision), STEPS).bits()


@pytest.mark.parametrize("name", NAMES)
def test_one_thread_and_two_in_turns_change_nothing(name, precision):
    frames, gen = frames_of(SPECS[name], STEPS), generator(name, precision, threads=2)
    parts = []
    for t in range(0, STEPS, 9):
        gen._session.stream.set_threads(1 + t // 9 % 2)
        parts.append(steps(gen, 9, frames=frames, at=t))
    assert joined(parts).bits() == steps(generator(name, precision), STEPS).bits()


def test_a_state_moves_between_one_thread_and_two(precision):
    alone = generator("wide_skip", precision)
    both = two(generator("wide_skip", precision, threads=2, seed=1))
    steps(alone, 40)
    both.set_state(alone.get_state())
    steps(alone, 11)
    steps(both, 11)
    assert both.get_state() == alone.get_state()
    alone.set_state(both.get_state())
    assert steps(alone, 40).bits() == steps(both, 40).bits()


def test_priming_then_generating_is_the_same_with_two_threads(precision):
    samples = random_codes(SPECS["wide_skip"], 100, 6)
    alone = generator("wide_skip", precision)
    both = two(generator("wide_skip", precision, threads=2))
    for gen in (alone, both):
        gen.prime(samples)
    assert steps(both, 40).bits() == steps(alone, 40).bits()


@pytest.mark.parametrize("precision", [name for name in PRECISIONS if name.startswith("int8")])
def test_more_inputs_than_an_integer_sums_exactly_are_shared_too(precision):
    """Past 131,072 inputs int8's skip product has two blocks, which cannot grow layer by layer."""
    spec = small_spec(dilation_channels=1040, dilations=(1,) * 127, skip=4)
    alone = fw.Generator(model_of(spec, precision=precision), seed=5)
    both = two(fw.Generator(model_of(spec, precision=precision), seed=5, threads=2))
    assert steps(both, 3).bits() == steps(alone, 3).bits()


# ---- scoring in parts --------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NAMES, "first_kernel_3", "first_kernel_1"])
@pytest.mark.parametrize("threads", [2, 3, 7])
def test_a_recording_scored_in_parts_gets_the_same_bits(name, threads, precision):
    spec = SPECS[name]
    model = model_of(spec, precision=precision)
    for n in (0, 1, 2, spec.receptive_field + 2, 2 * spec.receptive_field + 3, 1000):
        codes, frames = random_codes(spec, n, 6), frames_of(spec, n)
        found = fw.score(model, codes, frames=frames, threads=threads)
        assert found.tobytes() == fw.score(model, codes, frames=frames).tobytes()


@pytest.mark.parametrize("interpolation", ["held", "linear"])
@pytest.mark.parametrize("hop", [1, 7, 100, 1000])
def test_parts_of_a_conditioned_recording_may_begin_anywhere_in_a_frame(hop, interpolation):
    end = FrameConditioning(channels=3, hop=hop, interpolation=interpolation)
    spec = small_spec(conditioning=end)
    codes, frames = random_codes(spec, 1000, 6), frames_of(spec, 1000)
    alone = fw.score(model_of(spec), codes, frames=frames)
    found = fw.score(model_of(spec), codes, frames=frames, threads=4)
    assert found.tobytes() == alone.tobytes()


def test_a_long_recording_is_scored_in_as_many_parts_as_threads():
    field = SPEC.receptive_field
    assert part_ends(1000, 4, field) == [0, 250, 500, 750, 1000]
    assert part_ends(1000, 3, field) == [0, 333, 666, 1000]
    assert part_ends(2 * field - 1, 4, field) == [0, 2 * field - 1]
    assert part_ends(2 * field, 4, field) == [0, field, 2 * field]


def test_parts_report_their_progress_together():
    calls, codes = [], random_codes(SPEC, 50_000, 1)
    nats = fw.score(model_of(SPEC), codes, threads=3, progress=lambda *call: calls.append(call))
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert calls[-1] == (len(nats), len(nats))


def test_progress_is_reported_once_where_all_parts_end_before_the_first_look(monkeypatch):
    monkeypatch.setattr(scoring, "ThreadPoolExecutor", AtOnce)
    calls, codes = [], random_codes(SPEC, 5000, 1)
    fw.score(model_of(SPEC), codes, threads=3, progress=lambda *call: calls.append(call))
    assert calls == [(4999, 4999)]


class AtOnce(ThreadPoolExecutor):
    """Each part has ended when its future is returned."""

    def submit(self, *call):
        future = super().submit(*call)
        future.exception()
        return future


def test_what_progress_or_a_part_raises_ends_all_parts():
    def stop(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fw.score(model_of(SPEC), random_codes(SPEC, 50_000, 1), threads=3, progress=stop)
    overflowing = changed_model(small_spec(), head_output_weight=3e38)
    with pytest.raises(fw.NotFiniteError):
        fw.score(overflowing, random_codes(small_spec(), 5000, 1), threads=3)


@pytest.mark.parametrize("threads", [0, 1025, -1, True, 1.0, None])
def test_a_recording_is_scored_by_a_number_of_threads(threads):
    with pytest.raises((ValueError, TypeError), match="threads must be"):
        fw.score(model_of(SPEC), [1, 2, 3], threads=threads)


# ---- the second thread -------------------------------------------------------------------------


def test_a_generator_uses_one_thread_unless_asked():
    gen = generator("one_layer")
    assert gen.threads == 1
    with pytest.raises(ValueError, match="outside its range"):
        gen._session.stream.set_threads(2)


@pytest.mark.parametrize("threads", [0, 3, -1, True, 1.0, None])
def test_threads_must_be_1_or_2(threads):
    with pytest.raises((ValueError, TypeError), match="threads must be"):
        generator("one_layer", threads=threads)


def test_two_threads_are_used_only_if_they_are_faster():
    assert generator("one_layer", threads=2).threads in (1, 2)
    both = two(generator("one_layer", threads=2))
    both._session.stream.set_threads(1)
    assert both.threads == 1


def test_a_clone_has_as_many_threads():
    gen = two(generator("one_layer", threads=2))
    gen.generate(10)
    twin = two(gen.clone())
    assert np.array_equal(twin.generate(30), gen.generate(30))


def test_the_second_thread_computes_during_a_run_and_sleeps_between_runs():
    gen = two(generator("wide_layers", threads=2))
    start, deadline = others_cpu_time(), time.monotonic() + 60
    # A machine that is busy elsewhere may give the second thread no time in a short run, and the
    # little that it still has to do after a run comes later.
    while others_cpu_time() - start < 0.01 and time.monotonic() < deadline:
        gen.generate(600)
    assert others_cpu_time() - start >= 0.01
    while computed_by_others_in(0.3) >= 0.01:
        assert time.monotonic() < deadline


def computed_by_others_in(seconds: float) -> float:
    """`others_cpu_time` of a pause of this thread."""
    before = others_cpu_time()
    time.sleep(seconds)
    return others_cpu_time() - before


def test_many_generators_with_two_threads_live_at_once():
    expected = generator("wide_skip").generate(60)
    gens = [two(generator("wide_skip", threads=2)) for _ in range(6)]
    for gen in gens:
        assert np.array_equal(gen.generate(30), expected[:30])
    del gens[::2]
    for gen in gens:
        assert np.array_equal(gen.generate(30), expected[30:])


def test_generators_in_several_threads_have_second_threads_of_their_own():
    expected = generator("wide_skip").generate(300)
    found = []

    def work():
        found.append(two(generator("wide_skip", threads=2)).generate(300))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(audio, expected) for audio in found)
    assert len(found) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_signals_stay_with_the_hosts_threads():
    before = set(os.listdir("/proc/self/task"))
    gen = two(generator("one_layer", threads=2))
    (new,) = set(os.listdir("/proc/self/task")) - before
    blocked = Path(f"/proc/self/task/{new}/status").read_text().split("SigBlk:")[1].split()[0]
    usual = sum(1 << signal - 1 for signal in (1, 2, 3, 10, 12, 13, 14, 15, 17))
    assert int(blocked, 16) & usual == usual
    del gen
    assert new not in os.listdir("/proc/self/task")


def test_the_command_line_generates_the_same_with_two_threads(voice, tmp_path, run):
    files = []
    for threads in (1, 2):
        files.append(tmp_path / f"{threads}.wav")
        line = ("generate", voice, "-o", files[-1], "--samples", 99, "--seed", 3)
        assert run(*line, "--threads", threads)[0] == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_command_line_scores_the_same_with_any_number_of_threads(voice, tmp_path, run):
    run("generate", voice, "-o", tmp_path / "x.wav", "--samples", 999, "--seed", 3)
    alone = run("score", voice, tmp_path / "x.wav", "--json")
    assert run("score", voice, tmp_path / "x.wav", "--json", "--threads", 5) == alone
    assert alone[0] == 0


def test_the_command_line_refuses_other_numbers_of_threads(voice, tmp_path, refused):
    line = ("generate", voice, "-o", tmp_path / "out.wav", "--threads", 3)
    assert refused(*line) == "threads must be a whole number from 1 to 2, not 3"


# ---- processes ---------------------------------------------------------------------------------

START = """
import os, sys, time
import numpy as np
sys.path.insert(0, {tests!r})
from two_threads import generator, two

gen = two(generator("wide_skip", threads=2))
gen.generate(100)
expected = generator("wide_skip").generate(2100)[100:]
time.sleep({pause})
"""
FORK = """
child = os.fork()
audio = gen.generate(2000)
assert gen.threads == (1 if child == 0 else 2)
if child == 0:
    again = gen.clone()
    del gen
    os._exit(0 if np.array_equal(audio, expected) and len(again.generate(10)) else 1)
assert os.waitpid(child, 0)[1] == 0 and np.array_equal(audio, expected)
"""
EXIT = """
if {clean}:
    sys.exit(0)
os._exit(0)
"""


def run_python(code: str, **values) -> None:
    code = code.format(tests=str(HELPERS), **values)
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("pause", [0, 0.05], ids=["awake", "asleep"])
def test_a_forked_process_goes_on_with_one_thread(pause):
    run_python(START + FORK, pause=pause)


@pytest.mark.parametrize("pause", [0, 0.05], ids=["awake", "asleep"])
@pytest.mark.parametrize("clean", [True, False])
def test_a_process_ends_with_the_second_thread_alive(pause, clean):
    run_python(START + EXIT, pause=pause, clean=clean)
