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
from fastwavenet import Model, _engine, available_isas
from fastwavenet.bench import bounds, command, generation, known, mulaw, results
from fastwavenet.bench import measure as measuring
from fastwavenet.bench.contenders import CLEAN, PRECISIONS
from fastwavenet.bench.engine_peer import Engine
from fastwavenet.bench.measure import ALLOWED, SHORT, Answers, Measured, Refused, burn_in, measure
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


GENERATION = ["--networks", "tiny", "--seconds-per-cell", SECONDS, "--suite", "generation"]


@pytest.fixture
def known_tiny(monkeypatch):
    """The study knows the small network, as one whose peers are slow."""
    for name in known.ONE_VOICE:
        monkeypatch.setitem(known.ONE_VOICE[name], "tiny", 1e-3)
    monkeypatch.setitem(known.ONE_VOICE[CLEAN], "tiny", 1.0)


def test_a_slow_peer_means_no_figures_of_its_cell_and_keeps_the_others(
    monkeypatch, tmp_path, one_core, known_tiny, capsys
):
    path = tmp_path / "out.json"
    argv = [*GENERATION, "--batches", "1,2", "-o", path]
    monkeypatch.setitem(known.ONE_VOICE["numpy, tuned queue"], "tiny", 1e9)
    with pytest.raises(Refused, match="tiny, 1 voice: numpy, tuned queue is .* written wrong"):
        command.run(arguments(*argv))
    shown = capsys.readouterr().out
    assert "refused: tiny, 1 voice" in shown and "tiny, 2 voices: 3 layers" in shown
    kept = results.load(path)
    assert [cell["batch"] for cell in kept["cells"]] == [2] and len(kept["refused"]) == 1
    assert issubclass(Refused, ValueError)  # which the command line makes exit code 2 of

    monkeypatch.setitem(known.ONE_VOICE["numpy, tuned queue"], "tiny", 1e-3)
    assert command.run(arguments(*argv, "--resume")) == 0
    whole = results.load(path)
    assert [cell["batch"] for cell in whole["cells"]] == [1, 2]  # as planned
    assert whole["cells"][1] == kept["cells"][0]
    assert whole["refused"] == [] and results.unfinished(whole) == ""


def test_a_slow_peer_means_no_readme(monkeypatch, tmp_path, one_core, known_tiny):
    monkeypatch.setitem(known.ONE_VOICE["numpy, tuned queue"], "tiny", 1e9)
    text = "<!-- speed: written by `fastwavenet bench --readme` -->\n\n<!-- end of speed -->\n"
    (tmp_path / "README.md").write_text(text)
    argv = [*GENERATION, "--batches", "1", "--readme", tmp_path / "README.md"]
    with pytest.raises(Refused, match="with -o and --resume it would be measured again alone"):
        command.run(arguments(*argv))
    assert (tmp_path / "README.md").read_text() == text


@pytest.mark.parametrize("wrong", ["numpy, tuned queue", CLEAN, "fastwavenet, int8"])
def test_a_wrong_peer_is_absent_and_a_wrong_engine_or_yardstick_refuses_the_cell(
    monkeypatch, wrong
):
    check = Answers.check

    def checked(self, name, peer):
        if name == f"tiny: {wrong}":
            raise Refused(f"{name} is off")
        check(self, name, peer)

    monkeypatch.setattr(Answers, "check", checked)
    (cell,) = generation.cells({"tiny": [1]}, SECONDS)
    if wrong.startswith("numpy"):
        (row,) = [row for row in cell["rows"] if row["name"] == wrong]
        assert row["not_available"] == f"refused, tiny: {wrong} is off"
        assert "refused" not in cell
    else:
        assert (cell["refused"], cell["rows"]) == (f"tiny: {wrong} is off", [])


# ---- going on with a run -----------------------------------------------------------------------


class Interrupted(Exception):
    pass


def cut_off(monkeypatch, argv, before: int) -> None:
    """Runs the command until cell number `before`."""
    cell, count = generation.cell, []

    def counted(*given):
        count.append(given)
        if len(count) > before:
            raise Interrupted
        return cell(*given)

    with monkeypatch.context() as patch:
        patch.setattr(generation, "cell", counted)
        with pytest.raises(Interrupted):
            command.run(arguments(*argv))


def test_a_run_that_was_cut_off_goes_on_with_what_is_missing(
    monkeypatch, tmp_path, one_core, capsys
):
    path = tmp_path / "run.json"
    argv = [*GENERATION, "--batches", "1,2,3", "-o", path]
    cut_off(monkeypatch, [*argv, "--resume"], before=1)  # without a file: from the beginning
    first = results.load(path)
    assert [cell["batch"] for cell in first["cells"]] == [1]
    assert results.unfinished(first) == "tiny with 2, 3"
    with pytest.raises(
        ValueError, match="run.json holds an unfinished run, without tiny with 2, 3"
    ):
        command.run(arguments(*argv))
    assert results.load(path) == first
    capsys.readouterr()
    assert command.run(arguments(*argv, "--resume")) == 0
    shown = capsys.readouterr().out
    assert [f"tiny, {n} voice" in shown for n in (1, 2, 3)] == [True] * 3
    whole = results.load(path)
    assert whole["cells"][0] == first["cells"][0]
    assert [cell["batch"] for cell in whole["cells"]] == [1, 2, 3]
    monkeypatch.setattr(generation, "cell", lambda *given: pytest.fail("measured again"))
    assert command.run(arguments(*argv, "--resume")) == 0
    assert command.run(arguments("--from", path)) == 0


def test_the_tables_of_an_unfinished_run_name_what_they_lack(
    monkeypatch, tmp_path, one_core, capsys
):
    path = tmp_path / "run.json"
    argv = [*GENERATION, "--batches", "1,2", "-o", path]
    cut_off(monkeypatch, argv, before=1)
    assert command.run(arguments("--from", path)) == 0
    assert "unfinished, without tiny with 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changed, argv, message",
    [
        ({}, ["--seconds-per-cell", "9"], r"with the seconds_per_cell 9.0, found 0.02: resume"),
        ({}, ["--suite", "mu-law"], r"with the suite 'mu-law', found 'generation': resume"),
        (
            {},
            ["--batches", "3"],
            r"with the plan {'tiny': \[3\]}, found {'tiny': \[1, 2\]}: resume",
        ),
        ({"machine": {"cpu": "another"}}, [], "with the cpu .*, found 'another': resume with the"),
        ({"settings": None}, [], "with the suite 'generation', found None"),
    ],
)
def test_a_run_of_another_machine_or_of_other_settings_is_not_gone_on_with(
    tmp_path, one_core, changed, argv, message
):
    path = tmp_path / "run.json"
    results.save(path, results.begun("generation", {"tiny": [1, 2]}, SECONDS) | changed)
    before = path.read_bytes()
    argv = [*GENERATION, "--batches", "1,2", "-o", path, "--resume", *argv]
    with pytest.raises(ValueError, match=message):
        command.run(arguments(*argv))
    assert path.read_bytes() == before


@pytest.mark.parametrize("argv", [[], ["--from", "run.json"], ["--from", "a", "-o", "run.json"]])
def test_only_a_run_with_a_file_can_be_gone_on_with(argv):
    with pytest.raises(ValueError, match="--resume goes on with the file of -o"):
        command.run(arguments("--resume", *argv))


# ---- measuring ---------------------------------------------------------------------------------


def test_all_take_turns_and_every_turn_has_the_same_work():
    calls = []

    def work(name: str, n: int) -> None:
        calls.append((name, n))
        sum(range(1000 * n))

    found = measuring.measure_once({name: functools.partial(work, name) for name in "ab"}, 1e-3)
    assert found.rates.keys() == {"a", "b"} and min(found.rates.values()) > 0
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


class Clock:
    """In the place of the module `time`: work lets it pass, with the processor or without."""

    def __init__(self):
        self.wall = self.cpu = 0.0

    def perf_counter(self) -> float:
        return self.wall

    def process_time(self) -> float:
        return self.cpu

    def work(self, share: float, n: int) -> None:
        """n milliseconds, of which this process runs a share."""
        self.wall += n / 1000
        self.cpu += share * n / 1000


def test_the_time_in_which_this_process_waits_is_lost(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(measuring, "time", clock)
    whole, half = (functools.partial(clock.work, share) for share in (1.0, 0.5))
    for work, expected in (([whole], 0.0), ([half], 0.5), ([whole, half, whole, half], 0.25)):
        found = measuring.measure_once({str(i): do for i, do in enumerate(work)}, 0.7)
        assert found.lost == pytest.approx(expected, abs=1e-9)
        assert list(found.rates.values()) == pytest.approx([1000.0] * len(work))


def test_time_asleep_is_lost():
    assert measuring.measure_once({"": lambda n: time.sleep(0.002 * n)}, 0.05).lost > 0.5


@pytest.mark.parametrize(
    "lost, expected, count",
    [([0.0], 0.0, 1), ([0.05], 0.05, 1), ([0.051, 0.02], 0.02, 2), ([0.06, 0.3], 0.06, 2)],
)
def test_a_busy_measurement_is_repeated_once_and_the_quieter_one_counts(
    monkeypatch, lost, expected, count
):
    found = [Measured({"a": float(i)}, share) for i, share in enumerate(lost)]
    left = list(found)
    monkeypatch.setattr(measuring, "measure_once", lambda work, seconds: left.pop(0))
    measured = measure({}, 1.0)
    assert measured.lost == expected and measured in found
    assert len(found) - len(left) == count


@pytest.mark.parametrize(
    "size, footprint", [(1, 64), (64, 64), (127, 64), (3 * 2**20 + 5, 3 * 2**20)]
)
def test_the_probe_reads_about_the_footprint(size, footprint):
    for isa in available_isas():
        probe = bounds.Reading(isa, size)
        assert probe.footprint == footprint and probe.memory.ctypes.data % 2**21 == 0
        assert np.all(probe.memory == 1)
        probe.read(0)
        probe.read(2)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_number_of_products_is_known(precision):
    for isa in available_isas():
        probe = bounds.Multiplying(isa, precision)
        assert probe.products > 0 and probe.products % 512 == 0
        assert [probe.multiply(n) for n in (0, 1, 3)] == [0, probe.products, 3 * probe.products]


def test_probes_refuse_what_they_cannot_read_or_do_not_know():
    memory = np.zeros(128, np.uint8)
    for size in (0, 1, 63, 65):
        with pytest.raises(ValueError, match="outside its range"):
            _engine.probe_reading("scalar", memory[:size], 1)
    with pytest.raises(ValueError):
        _engine.probe_reading("x", memory, 1)
    with pytest.raises(ValueError):
        _engine.probe_products("scalar", "x", 1)


def test_a_step_has_a_product_for_each_weight_and_two_for_inputs_of_16_bits(tiny):
    macs = tiny.macs_per_sample
    gated = tiny.dilation_channels * (tiny.layers * (tiny.skip + tiny.residual) - tiny.residual)
    for precision, expected in (
        ("float32", macs),
        ("bfloat16", macs),
        ("bfloat16x16", macs),
        ("int8", 2 * (macs - gated) + gated),
        ("int8x8", macs),
    ):
        assert bounds.products_of(tiny, precision, "avx2", 1) == expected
        assert bounds.products_of(tiny, precision, "avx2", 64) == 64 * expected
    with_frames, without = (NETWORKS[name] for name in ("C3mel", "C3"))
    assert bounds.products_of(with_frames, "int8", "vnni", 1) == bounds.products_of(
        without, "int8", "vnni", 1
    )
    assert bounds.products_of(tiny, "int8", "amx", 3) == bounds.products_of(tiny, "int8", "vnni", 3)
    assert bounds.products_of(tiny, "int8", "amx", 4) is None
    assert bounds.products_of(tiny, "int8x8", "amx", 4) is None


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
    assert found["settings"]["seconds_per_cell"] == SECONDS
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
        (
            ["--networks", "C1,C9"],
            "unknown 'C9'; known: recorder-16k, speech-16k, speech-16k-small, C",
        ),
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
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=300)
    assert (done.stdout, done.stderr) == ("1 1 1\n", "")
