"""The benchmark verifies, refuses and measures in turns; its command, arguments and outputs."""

import functools
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from bench_runs import SECONDS, arguments, tiny_network
from networks import random_weights

import fastwavenet as fw
from fastwavenet import Model, available_isas
from fastwavenet.bench import bandwidth, command, known, mulaw, results
from fastwavenet.bench.contenders import CLEAN, PRECISIONS
from fastwavenet.bench.engine_peer import Engine
from fastwavenet.bench.measure import ALLOWED, SHORT, Answers, Refused, burn_in, measure
from fastwavenet.bench.networks import NETWORKS

pytestmark = pytest.mark.usefixtures("one_thread", "no_cpp_compiler", "tiny")


@pytest.fixture(scope="module")
def tiny():
    with tiny_network() as spec:
        yield spec


@pytest.fixture
def one_core(monkeypatch):
    """What `take_one_core` would restart for is there already, and it does not pin this process:
    OpenVINO would later take its threads back to the CPUs of its first use.
    """
    for name, value in command.ONE_THREAD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: None, raising=False)


# ---- verifying ---------------------------------------------------------------------------------


class Wrong(Engine):
    """The engine with one wrong logit, or all of them."""

    at, off = (0, 0, 0), 0.01  # at ...: all

    def logits(self, codes):
        logits = super().logits(codes)
        logits[self.at] += self.off
        return logits


def test_the_engine_passes_and_a_wrong_logit_in_any_voice_is_refused(tiny):
    weights = random_weights(tiny, seed=1)
    model, isa = Model(tiny, weights), available_isas()[0]
    answers = Answers(tiny, weights, voices=4)
    steps = answers.codes.shape[1]
    answers.check("right", Engine(model, isa, batch=4))
    wrong = Wrong(model, isa, batch=4)
    for wrong.at in (
        (0, steps - 1, 3),
        (3, steps - 1, 0),
        (1, 0, 0),
        (2, min(SHORT, steps) - 1, 5),
    ):
        with pytest.raises(Refused, match=f"name, voice {wrong.at[0]} of 4, is 1.0e-02 off"):
            answers.check("name", wrong)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_number_format_is_allowed_its_own_error_and_no_more(tiny, precision):
    weights = random_weights(tiny, seed=4)
    model, isa = Model(tiny, weights, precision=precision), available_isas()[-1]
    answers = Answers(tiny, weights, voices=1)
    right = Engine(model, isa)
    answers.check("right", right)
    wrong = Wrong(model, isa)
    wrong.at = ...
    wrong.off = 2 * ALLOWED[precision] * np.abs(right.logits(answers.codes)).max()
    with pytest.raises(Refused, match="name, voice 0 of 1"):
        answers.check("name", wrong)


def test_what_is_not_a_number_is_refused(tiny):
    weights = random_weights(tiny, seed=2)

    class NotANumber(Engine):
        def logits(self, codes):
            return super().logits(codes) * np.nan

    with pytest.raises(Refused, match="nan off"):
        Answers(tiny, weights, 1).check("x", NotANumber(Model(tiny, weights), available_isas()[0]))


@pytest.mark.parametrize("kernel_past", [2 * 4])
def test_the_codes_to_check_with_wrap_every_ring(tiny, kernel_past):
    assert Answers(tiny, random_weights(tiny, seed=3), 2).codes.shape == (2, kernel_past + 16)


def test_a_slow_peer_means_no_table_and_no_file(monkeypatch, tmp_path, one_core, capsys):
    for name in known.ONE_VOICE:
        monkeypatch.setitem(known.ONE_VOICE[name], "tiny", 1e-3)
    monkeypatch.setitem(known.ONE_VOICE[CLEAN], "tiny", 1.0)
    argv = ["--networks", "tiny", "--batches", "1", "--seconds-per-cell", SECONDS]
    argv += ["--suite", "generation", "-o", tmp_path / "out.json"]
    assert command.run(arguments(*argv)) == 0
    assert "tiny, 1 voice" in capsys.readouterr().out
    (tmp_path / "out.json").unlink()
    monkeypatch.setitem(known.ONE_VOICE["numpy, tuned queue"], "tiny", 1e9)
    with pytest.raises(Refused, match="tiny, 1 voice: numpy, tuned queue is .* written wrong"):
        command.run(arguments(*argv))
    assert "tiny" not in capsys.readouterr().out
    assert not (tmp_path / "out.json").exists()
    assert issubclass(Refused, ValueError)  # which the command line makes exit code 2 of


# ---- measuring ---------------------------------------------------------------------------------


def test_all_take_turns_and_every_turn_has_the_same_work():
    calls = []

    def work(name: str, n: int) -> None:
        calls.append((name, n))
        sum(range(1000 * n))

    rates = measure({name: functools.partial(work, name) for name in "ab"}, 1e-3)
    assert rates.keys() == {"a", "b"} and min(rates.values()) > 0
    turns = calls[-14:]
    assert [name for name, _ in turns] == ["a", "b"] * 7
    assert len(set(turns)) == 2


def test_burning_in_doubles_the_work_until_it_lasts_half_as_long_as_asked():
    done = []

    def work(n: int) -> None:
        done.append(n)
        time.sleep(0.004 * n)

    assert 1 <= burn_in(work, 0.05) <= 12  # a sleep is never shorter
    assert done == [2**i for i in range(len(done))]
    assert burn_in(work, 1e-9) == 1


@pytest.mark.parametrize("size", [1, 4096, 3 * 2**20 + 5])
def test_the_probe_reads_about_the_footprint_by_each_way(size):
    probe = bandwidth.Probe(size)
    row = 4 * bandwidth.COLUMNS
    assert probe.footprint == max(row, size // row * row)
    assert probe.way in probe.ways
    floats = probe.footprint / 4
    assert probe.ways["numpy, dot product with itself"]() == floats  # ones, all of them
    assert probe.ways["numpy, vector x matrix"]().sum() == floats
    assert probe.ways["torch, matrix x vector"]().sum().item() == floats
    probe.read(2)


def test_wrong_mu_law_is_refused():
    audio = np.linspace(-1, 1, 5001, dtype=np.float32)
    mulaw.check_encoders(mulaw.encoders_for(audio), audio)
    mulaw.check_decoders(mulaw.decoders_for(np.arange(256, dtype=np.uint8)))

    def one_higher(x):
        codes = mulaw.encode_formula(x)
        codes[2500] += 1
        return codes

    with pytest.raises(Refused, match="mu-law, mine: 0.0 is code 128, not 129"):
        mulaw.check_encoders({"mine": one_higher}, audio)
    with pytest.raises(Refused, match="mine"):
        mulaw.check_decoders({"mine": lambda codes: mulaw.decode_formula(codes) + 2e-6})


# ---- the command -------------------------------------------------------------------------------


def test_outputs_that_cannot_be_written_are_refused_before_anything_is_measured(
    monkeypatch, tmp_path
):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.setattr(command, "take_one_core", lambda: pytest.fail("measured"))
    (tmp_path / "README.md").write_text("no tables\n")
    nowhere = tmp_path / "none" / "file"
    for argv, expected in (
        (["-o", nowhere], "none does not exist"),
        (["--chart", nowhere], "none does not exist"),
        (["--chart", tmp_path / "a.png", "--suite", "mu-law"], "--chart draws the suite all or"),
        (["--readme", nowhere], "none does not exist"),
        (["--readme", tmp_path / "README.md"], "README.md: expected one line"),
        (["--readme", tmp_path], "is a folder, expected a file name"),
    ):
        with pytest.raises((ValueError, OSError), match=expected):
            command.run(arguments(*argv))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for argv in (["--from"], ["--quick", "--readme"]):
        with pytest.raises(ValueError, match="pipe is a pipe or a device, expected a file"):
            command.run(arguments(*argv, tmp_path / "pipe"))


def test_the_suite_of_mu_law_alone_times_no_network(one_core, tmp_path, capsys):
    argv = ["--suite", "mu-law", "--seconds-per-cell", SECONDS, "-o", tmp_path / "run.json"]
    assert command.run(arguments(*argv)) == 0
    found = results.load(tmp_path / "run.json")
    assert found["seconds_per_cell"] == SECONDS
    assert [found[key] for key in ("cells", "instruction_sets", "cores", "latency")] == [[]] * 4
    assert len(found["mu_law"]) == 2 * (4 + len(available_isas()))
    assert "voice" not in capsys.readouterr().out


def test_a_second_core_that_is_not_there_is_not_measured(tiny, capsys):
    argv = ["--networks", "tiny", "--seconds-per-cell", SECONDS, "--suite", "cores"]
    found = command.measured(arguments(*argv), cpus=[0])
    assert found["cores"] == []
    assert "cores: not measured, this process may use one core only" in capsys.readouterr().out


def test_by_default_voices_and_networks_without_frames_take_part_the_largest_alone():
    voices = [voice.name for voice in fw.voices()]
    assert command._plan(arguments()) == dict.fromkeys(
        [*voices, *NETWORKS.keys() - {"tiny", "C3mel"}], [1, 8, 64]
    ) | {"C4x30": [1]}
    assert command._plan(arguments("--quick")) == {"C1": [1], "C3": [1]}
    given = arguments("--networks", "C4x30", "--batches", "2,8")
    assert command._plan(given) == {"C4x30": [2, 8]}


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--networks", "C1,C9"], "unknown 'C9'; known: recorder-16k, speech-16k, C1"),
        (["--networks", ""], "unknown ''"),
        (["--batches", "0"], "from 1 to 1024"),
        (["--batches", "1,1025"], "from 1 to 1024"),
        (["--batches", "1,,8"], "from 1 to 1024"),
        (["--batches", "x"], "from 1 to 1024"),
        (["--seconds-per-cell", "0"], "above 0 and up to 600"),
        (["--seconds-per-cell", "601"], "above 0 and up to 600"),
        (["--seconds-per-cell", "nan"], "above 0 and up to 600"),
        (["--seconds-per-cell", "soon"], "above 0 and up to 600, not 'soon'"),
        (["--suite", "everything"], "invalid choice"),
    ],
)
def test_bad_arguments_are_named(argv, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        arguments(*argv)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_arguments_are_taken_apart():
    found = arguments("--networks", "C3,C1,C3", "--batches", "8,1,8", "--seconds-per-cell", "600")
    assert (found.networks, found.batches) == (["C3", "C1"], [1, 8])
    assert found.seconds_per_cell == 600 and not found.quick
    assert arguments("--quick").quick


SAY = """
import os
from fastwavenet.bench.command import take_one_core
take_one_core()
import torch
print(len(os.sched_getaffinity(0)), os.environ["OPENBLAS_NUM_THREADS"], torch.get_num_threads())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_a_run_takes_one_core_and_one_thread():
    environment = {k: v for k, v in os.environ.items() if k not in command.ONE_THREAD}
    argv = [sys.executable, "-c", SAY]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=120)
    assert (done.stdout, done.stderr) == ("1 1 1\n", "")
