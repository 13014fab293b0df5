"""The benchmark's tables of the engine alone: instruction sets, two cores, latency."""

import dataclasses
import math
import multiprocessing
import os

import numpy as np
import pytest
from bench_runs import quiet
from networks import NETWORKS as SMALL
from networks import random_codes, random_weights

from fastwavenet import Generator, Model, available_isas, reference
from fastwavenet.bench import cores, instruction_sets, latency, table
from fastwavenet.bench.contenders import PRECISIONS
from fastwavenet.bench.engine_peer import Engine
from fastwavenet.bench.measure import Refused
from fastwavenet.bench.networks import NETWORKS
from fastwavenet.bench.torch_peers import forward
from fastwavenet.ends import FrameConditioning
from fastwavenet.spec import WaveNetSpec

pytestmark = pytest.mark.usefixtures("one_thread")

SECONDS = 0.02
TINY = SMALL["kernel_3"]
each_precision = pytest.mark.parametrize("precision", PRECISIONS)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A small network that the tables know by name."""
    monkeypatch.setitem(NETWORKS, "tiny", TINY)


def test_each_instruction_set_is_timed_in_each_precision_and_number_of_voices():
    found = instruction_sets.rows("tiny", [1, 3], SECONDS)
    rows = [(row["batch"], row["isa"], row["precision"]) for row in found]
    assert rows == [(b, isa, p) for b in (1, 3) for isa in available_isas() for p in PRECISIONS]
    assert min(row["samples_per_second"] for row in found) > 0


@each_precision
def test_an_instruction_set_that_draws_other_samples_is_refused(precision):
    isa = available_isas()[-1]
    models = [Model(TINY, random_weights(TINY, seed), precision=precision) for seed in (1, 2)]
    instruction_sets.check_same_samples("tiny", [Engine(models[0], i) for i in available_isas()])
    with pytest.raises(Refused, match=f"tiny, {precision}: {isa} draws other samples than {isa}"):
        instruction_sets.check_same_samples("tiny", [Engine(model, isa) for model in models])


# ---- two cores ---------------------------------------------------------------------------------

two_cpus = pytest.mark.skipif(len(cores.two_cores()) < 2, reason="this machine has one core")


def test_two_cores_are_of_those_that_the_process_may_use():
    allowed = os.sched_getaffinity(0)
    found = cores.two_cores()
    assert len(found) == len(set(found)) and set(found) <= allowed
    os.sched_setaffinity(0, found[:1])
    try:
        assert cores.two_cores() == found[:1]
    finally:
        os.sched_setaffinity(0, allowed)


def test_cpus_of_one_core_are_not_two_cores(monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "SIBLINGS", str(tmp_path / "{}"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    for text, expected in (("3", [3, 2]), ("2-3", [3, 1]), ("1,3", [3, 2]), ("0-3", [3])):
        (tmp_path / "3").write_text(text + "\n")
        assert cores.two_cores() == expected


@pytest.mark.parametrize(
    "text, expected",
    [("0\n", {0}), ("0-1\n", {0, 1}), ("2,66\n", {2, 66}), ("0-1,8-9\n", {0, 1, 8, 9})],
)
def test_lists_of_cpus_are_read_as_linux_writes_them(tmp_path, text, expected):
    (tmp_path / "list").write_text(text)
    assert cores.numbers_in(tmp_path / "list") == expected
    assert cores.numbers_in(tmp_path / "none") == set()


@two_cpus
def test_voices_in_threads_are_the_streams_of_one_model():
    model = Model(TINY, random_weights(TINY, seed=3))
    with cores.voice_per_thread(model, cores.two_cores()) as work:
        for start in (0, 40):
            for stream, audio in enumerate(work(40)):
                whole = Generator(model, seed=0, stream=stream).generate(80)
                assert np.array_equal(audio, whole[start : start + 40])


@two_cpus
def test_voices_in_processes_have_made_what_they_were_asked_for_and_leave_nothing_behind():
    weights = random_weights(TINY, seed=4)
    others = set(multiprocessing.active_children())  # joblib keeps those of an earlier test
    with cores.voice_per_process(TINY, weights, "float32", cores.two_cores()) as work:
        assert work(40) == [41, 41]
        assert work(1) == [42, 42]
        assert len(set(multiprocessing.active_children()) - others) == 2
    assert set(multiprocessing.active_children()) <= others


@two_cpus
def test_two_cores_are_timed_in_each_precision_and_given_back():
    before = os.sched_getaffinity(0)
    found = cores.rows(["tiny"], cores.two_cores(), SECONDS)
    assert os.sched_getaffinity(0) == before
    assert [(row["network"], row["precision"]) for row in found] == [
        ("tiny", p) for p in PRECISIONS
    ]
    for row in found:
        assert len(row["rates"]) == 4 and min(row["rates"].values()) > 0


each_interpolation = pytest.mark.parametrize("interpolation", ["held", "linear"])


def vocoder(interpolation: str) -> WaveNetSpec:
    """TINY with frames of 12 samples."""
    end = FrameConditioning(channels=3, hop=12, interpolation=interpolation)
    return dataclasses.replace(TINY, conditioning=end)


# ---- latency -----------------------------------------------------------------------------------


def test_latency_is_measured_in_each_precision():
    found = latency.rows(["tiny"], SECONDS)
    assert [(row["network"], row["precision"]) for row in found] == [
        ("tiny", p) for p in PRECISIONS
    ]
    for row in found:
        assert row["receptive_field"] == TINY.receptive_field
        assert all(row[key] > 0 for key in row if key.endswith(("_seconds", "_per_second")))
    assert len({row["forward_per_second"] for row in found}) == 1


@each_interpolation
def test_a_vocoder_is_timed_from_its_first_frames_to_its_first_samples(monkeypatch, interpolation):
    monkeypatch.setitem(NETWORKS, "tiny mel", vocoder(interpolation))
    found = quiet({"latency": latency.rows(["tiny mel"], SECONDS)})["latency"]
    assert [(row["network"], row["precision"]) for row in found] == [
        ("tiny mel", p) for p in PRECISIONS
    ]
    for row in found:
        assert row["receptive_field"] == TINY.receptive_field
        assert {key for key in row if key.endswith("_seconds")} == {
            "first_sample_seconds",
            "first_block_seconds",
        }
        assert row["first_sample_seconds"] > 0 and row["first_block_seconds"] > 0
    heads, lines = table.latency(found)
    assert {len(line) for line in lines} == {len(heads)}
    assert [(line[0], line[2:6]) for line in lines] == [
        (f"tiny mel, {precision}", ["-"] * 4) for precision in PRECISIONS
    ]


@each_interpolation
@each_precision
def test_the_first_block_is_of_the_fewest_frames_and_others_are_refused(precision, interpolation):
    spec = vocoder(interpolation)
    model = Model(spec, random_weights(spec, seed=9), precision=precision)
    frames = latency._first_frames(spec)
    assert frames.shape == ({"held": 1, "linear": 2}[interpolation], 3)
    block = latency._first_block(model, frames)
    assert block.shape == (12,)
    latency.check_first_block("mel", model, frames, block)
    for wrong in (block[:-1], np.roll(block, 1)):
        with pytest.raises(Refused, match="mel: the first block has other samples than"):
            latency.check_first_block("mel", model, frames, wrong)


def test_the_forward_pass_finds_codes_as_surprising_as_the_reference():
    weights, codes = random_weights(TINY, seed=5), random_codes(TINY, 60, seed=6)
    work, nats = forward(TINY, weights, codes)
    work(2)
    logits = reference.teacher_forced(TINY, weights, codes[:-1])
    logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -logp[np.arange(59), codes[1:]].mean()
    assert math.isclose(nats, expected, rel_tol=1e-5)


@each_precision
def test_a_score_that_is_not_pytorchs_is_refused(precision):
    weights, codes = random_weights(TINY, seed=7), random_codes(TINY, 200, seed=8)
    model = Model(TINY, weights, precision=precision)
    _, nats = forward(TINY, weights, codes)
    latency.check_score("tiny", model, codes, nats)
    for wrong in (nats - 0.1, nats + 0.1, math.nan):
        with pytest.raises(Refused, match="tiny: .* nats per sample, but .* in PyTorch"):
            latency.check_score("tiny", model, codes, wrong)
