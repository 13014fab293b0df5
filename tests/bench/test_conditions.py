"""Conditioned networks in the benchmark: frames for the engine, rows for its peers."""

import dataclasses

import numpy as np
import pytest
from bench_runs import SECONDS, arguments, quiet
from networks import random_codes, random_weights, small_spec

import fastwavenet as fw
from fastwavenet import Model, reference
from fastwavenet.bench import command, conditions, contenders, latency, table
from fastwavenet.bench.conditions import check_voices, conditions_for
from fastwavenet.bench.contenders import line_up
from fastwavenet.bench.engine_peer import Engine
from fastwavenet.bench.generation import step_bytes
from fastwavenet.bench.measure import Answers, Refused
from fastwavenet.bench.networks import NETWORKS, frames_of, spec_of, weights_of
from fastwavenet.bench.numpy_peer import TunedNumpy
from fastwavenet.bench.onnx_peer import OnnxQueue
from fastwavenet.bench.openvino_peer import OpenVinoBfloat16, OpenVinoInt8, OpenVinoQueue
from fastwavenet.bench.peer import NotAvailable
from fastwavenet.bench.torch_compiled import CompiledQueue
from fastwavenet.bench.torch_peers import CleanQueue, Naive, TunedTorch
from fastwavenet.ends import FrameConditioning

pytestmark = pytest.mark.usefixtures("one_thread")

PEERS = [
    Naive,
    CleanQueue,
    TunedTorch,
    TunedNumpy,
    OnnxQueue,
    OpenVinoQueue,
    pytest.param(CompiledQueue, marks=pytest.mark.slow),
]


def conditioned(interpolation: str, hop: int, **changes):
    end = FrameConditioning(channels=3, hop=hop, interpolation=interpolation)
    return small_spec(conditioning=end, **changes)


HELD, LINEAR = conditioned("held", 1), conditioned("linear", 5, kernel=3)
each_conditioning = pytest.mark.parametrize(
    "spec", [HELD, LINEAR, conditioned("linear", 7, dilations=(3,))], ids=["held", "linear", "one"]
)


@pytest.fixture
def short_stretch(monkeypatch):
    """Frames that repeat several times within a test."""
    monkeypatch.setattr(conditions, "STRETCH", 20)


@each_conditioning
def test_frames_of_all_samples_have_the_rows_that_repeat(spec, short_stretch):
    weights = random_weights(spec, seed=30)
    given, hop = conditions_for(spec, weights, 2), spec.conditioning.hop
    count = max(2, 20 // (2 * hop))
    assert given.frames.shape == (2, count, 3)
    assert given.rows.shape == (count * hop, spec.layers, 2, 2 * spec.dilation_channels)
    n = 3 * count * hop + 1
    for voice, frames in enumerate(given.repeated(n)):
        expected = reference.network.project_frames(spec, weights, frames, None, range(n))
        assert np.abs(given.voice(voice, n) - expected).max() < 1e-5
    assert not np.array_equal(given.rows[:, :, 0], given.rows[:, :, 1])
    assert np.array_equal(given.of(1).frames, given.frames[:1])
    assert np.array_equal(given.of(1).rows, given.rows[:, :, :1])


def check_conditioned(peer, spec, batch: int, tolerance: float = 2e-5) -> None:
    """Each voice's logits are the reference's, over more samples than the rows have, twice."""
    weights, n = random_weights(spec, seed=31), spec.receptive_field + 30
    given = conditions_for(spec, weights, batch)
    assert len(given.rows) < n
    codes = np.stack([random_codes(spec, n, seed=32 + voice) for voice in range(batch)])
    expected = np.stack(
        [
            reference.teacher_forced(spec, weights, row, given.voice(voice, n))
            for voice, row in enumerate(codes)
        ]
    )
    contender = peer(spec, weights, batch, given)
    for _ in range(2):
        found = contender.logits(codes)
        assert np.abs(found - expected).max() <= tolerance * max(1, np.abs(expected).max())


@each_conditioning
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("peer", PEERS)
def test_peers_add_the_rows_of_each_voice_and_sample(spec, batch, peer, short_stretch):
    check_conditioned(peer, spec, batch)


@each_conditioning
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("peer, step", [(OpenVinoBfloat16, 2**-8), (OpenVinoInt8, 1 / 127)])
def test_narrower_formats_add_them_too(spec, batch, peer, step, short_stretch):
    try:
        check_conditioned(peer, spec, batch, tolerance=4 * step)
    except NotAvailable as reason:
        pytest.skip(str(reason))


@each_conditioning
@pytest.mark.parametrize("batch", [1, 3])
def test_the_engine_is_given_the_frames_of_the_same_rows(spec, batch, isa, short_stretch):
    check_conditioned(lambda s, w, b, c: Engine(Model(s, w), isa, b, c), spec, batch)


def test_the_naive_peer_has_the_frames_of_a_whole_receptive_field(short_stretch):
    """Filled with codes before its first sample, whose frames are those before the first one."""
    weights = random_weights(LINEAR, seed=33)
    given = conditions_for(LINEAR, weights, 1)
    naive, queued = (peer(LINEAR, weights, 1, given) for peer in (Naive, CleanQueue))
    naive.fill()
    past, period = LINEAR.receptive_field, len(given.rows)
    queued.net.time = -past % period
    for _ in range(past):
        queued.net.step(queued.codes)
    for code in (3, 5):
        expected = queued.step(np.array([code]))
        assert np.abs(naive.step(np.array([code])) - expected).max() < 1e-4


@pytest.mark.parametrize("batch", [1, 2])
def test_rows_of_another_voice_or_sample_are_refused(batch, monkeypatch, short_stretch):
    quick = {n: kind for n, kind in contenders.PEERS.items() if not n.startswith("torch.compile")}
    monkeypatch.setattr(contenders, "PEERS", quick)
    weights = random_weights(LINEAR, seed=34)
    answers = Answers(LINEAR, weights, 2)
    field = line_up(LINEAR, weights, batch, answers.conditions.of(batch))
    for name, contender in field.contenders().items():
        answers.check(name, contender)
        assert contender.generate(3).shape == (batch, 3)
    late = conditions.Conditions(answers.conditions.frames, np.roll(answers.conditions.rows, 1, 0))
    with pytest.raises(Refused, match="late, voice 0 of 1, is .* off the reference"):
        answers.check("late", CleanQueue(LINEAR, weights, 1, late.of(1)))


def test_peers_are_spared_the_weights_of_the_frames():
    weights = random_weights(LINEAR, seed=35)
    peer = CleanQueue(LINEAR, weights, 1, conditions_for(LINEAR, weights, 1))
    assert step_bytes(LINEAR, peer) == 4 * small_spec(kernel=3).macs_per_sample


def test_more_rows_than_memory_is_given_to_are_refused(monkeypatch):
    size = 4 * 2 * 5 * LINEAR.layers * 2 * LINEAR.dilation_channels  # two frames of one voice
    monkeypatch.setattr(conditions, "STRETCH", 1)
    monkeypatch.setattr(conditions, "MAX_BYTES", 3 * size)
    check_voices(LINEAR, 3)
    check_voices(small_spec(), 1000)
    with pytest.raises(ValueError, match=f"rows of 4 .* would take {4 * size} bytes, .*--batches"):
        check_voices(LINEAR, 4)
    with pytest.raises(ValueError, match="frames only, not with speakers"):
        end = FrameConditioning(channels=1, speakers=("a",), speaker_channels=2)
        conditions_for(small_spec(conditioning=end), {}, 1)


# ---- the command -------------------------------------------------------------------------------


def test_the_network_with_frames_is_c3_with_80_channels():
    spec, end = NETWORKS["C3mel"], NETWORKS["C3mel"].conditioning
    assert dataclasses.replace(spec, conditioning=None) == NETWORKS["C3"]
    assert (end.channels, end.hop, end.interpolation) == (80, 256, "linear")


def measured(monkeypatch, *argv: str) -> dict:
    monkeypatch.setitem(NETWORKS, "tiny mel", LINEAR)
    return command.measured(arguments("--networks", "tiny mel", *argv), cpus=[0])


def test_a_conditioned_network_is_timed_beside_all_peers(
    monkeypatch, capsys, no_cpp_compiler, short_stretch
):
    argv = ["--batches", "1,2", "--seconds-per-cell", str(SECONDS), "--suite", "generation"]
    found = measured(monkeypatch, *argv)
    for cell, batch in zip(found["cells"], (1, 2), strict=True):
        assert (cell["network"], cell["batch"]) == ("tiny mel", batch)
        assert [row["name"] for row in cell["rows"]][
            : -len(contenders.PRECISIONS)
        ] == contenders.peers_of(batch)
        absent = {row["name"] for row in cell["rows"] if "not_available" in row}
        assert (
            {"torch.compile, one step"}
            <= absent
            <= {
                "torch.compile, one step",
                "OpenVINO, bfloat16",
                "wavenet-coding, numpy",
            }
        )
    sizes = "3 layers, kernel 3, R 4, S 6, 3 channels, hop 5, linear"
    assert f"tiny mel, 2 voices: {sizes}; " in capsys.readouterr().out
    assert f"| tiny mel: {sizes} | " in table.markdown(quiet(found))


def test_its_latency_is_that_of_its_first_frames(monkeypatch, capsys):
    found = measured(monkeypatch, "--seconds-per-cell", str(SECONDS), "--suite", "latency")
    assert [row["network"] for row in found["latency"]] == ["tiny mel"] * len(contenders.PRECISIONS)
    assert "first block of frames, ms" in capsys.readouterr().out


def test_beside_c3_stands_its_vocoder_in_the_latencies(monkeypatch):
    networks, voices = [], [voice.name for voice in fw.voices()]
    monkeypatch.setattr(latency, "rows", lambda names, seconds: networks.append(names))
    for argv, expected in (
        ([], ["C1", "C3", *voices, "C3mel"]),
        (["--quick"], ["C1", "C3", "C3mel"]),
        (["--networks", "C3mel,C2"], ["C2", "C3mel"]),
        (["--networks", "C3mel"], ["C3mel"]),
        (["--networks", "C4"], ["C4"]),
    ):
        plan = command._plan(arguments(*argv))
        command._others(plan, 1.0, [0])["latency"]()
        assert networks.pop() == expected


@pytest.mark.parametrize("suite", ["all", "instruction-sets", "cores"])
def test_suites_that_give_no_frames_refuse_networks_that_need_them(monkeypatch, suite):
    monkeypatch.setattr(command, "take_one_core", lambda: pytest.fail("measured"))
    with pytest.raises(ValueError, match=f"C3mel takes frames, .* not --suite {suite}: choose"):
        command.run(arguments("--networks", "C3mel", "--suite", suite))


def test_too_many_conditioned_voices_are_refused_before_anything_is_measured(monkeypatch):
    monkeypatch.setattr(conditions, "MAX_BYTES", 1000)
    argv = ["--networks", "C1,C3mel", "--suite", "generation"]
    with pytest.raises(ValueError, match="conditioned voices would take .* bytes"):
        command.measured(arguments(*argv), cpus=[0])


# ---- voices that ship --------------------------------------------------------------------------


@pytest.mark.parametrize("name", [voice.name for voice in fw.voices()])
def test_a_voice_is_timed_with_its_own_weights_and_frames(name):
    spec, frames = spec_of(name), frames_of(name)
    model = fw.load(name)
    assert spec == model.spec
    assert weights_of(name).keys() == spec.tensors().keys()
    answers = Answers(spec, weights_of(name), 2, frames)
    parts = answers.conditions.frames
    assert parts.shape == (2, 2048 // spec.conditioning.hop, spec.conditioning.channels)
    for part in parts:
        assert any(np.array_equal(part, frames[i : i + len(part)]) for i in range(len(frames)))
    assert not np.array_equal(*parts)


@pytest.mark.parametrize("name", [voice.name for voice in fw.voices()])
def test_the_engine_and_a_peer_compute_the_same_of_a_voice(name):
    answers = Answers(spec_of(name), weights_of(name), 1, frames_of(name))
    given = answers.conditions
    for peer in (
        Engine(fw.load(name, "float32"), "scalar", 1, given),
        TunedNumpy(answers.spec, answers.weights, 1, given),
    ):
        answers.check(name, peer)


def test_the_voices_head_the_tables_and_other_networks_have_random_frames():
    assert list(command._plan(arguments()))[: len(fw.voices())] == [v.name for v in fw.voices()]
    assert frames_of("C3mel") is None
