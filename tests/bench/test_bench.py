"""The benchmark: it verifies, refuses, measures in turns, and writes what it measured."""

import argparse
import functools
import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from c_build import ROOT
from networks import NETWORKS as SMALL
from networks import random_weights

from fastwavenet import Model, available_isas
from fastwavenet.bench import bandwidth, command, known, mulaw, results, table
from fastwavenet.bench.chart import colours_of, save_chart
from fastwavenet.bench.contenders import CLEAN, PEERS, PRECISIONS
from fastwavenet.bench.cores import two_cores
from fastwavenet.bench.engine_peer import Engine
from fastwavenet.bench.measure import ALLOWED, SHORT, Answers, Refused, burn_in, measure
from fastwavenet.bench.networks import NETWORKS

pytestmark = pytest.mark.usefixtures("one_thread", "no_cpp_compiler", "tiny")

COMPILED = "torch.compile, one step"
NARROW = "OpenVINO, bfloat16"  # which not every CPU has
INT8 = "OpenVINO, int8 weights"
ENGINES = [f"fastwavenet, {precision}" for precision in PRECISIONS]
SECONDS = 0.02


def cpus() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


@pytest.fixture(scope="module")
def tiny():
    """A small network that the command knows by name, and few samples for mu-law."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", SMALL["kernel_3"])
        patch.setattr(mulaw, "SAMPLES", 4096)
        yield SMALL["kernel_3"]


@pytest.fixture(scope="module")
def ran(tiny, no_cpp_compiler, one_thread):
    """The results of a whole run with one and two voices, as a JSON file would give them back."""
    argv = ["--networks", "tiny", "--batches", "1,2", "--seconds-per-cell", SECONDS]
    allowed = cpus()
    found = command.measured(arguments(*argv), cpus=two_cores())
    assert cpus() == allowed, "a peer has pinned the process"
    return json.loads(json.dumps(found))


@pytest.fixture
def one_core(monkeypatch):
    """What `take_one_core` would restart for is there already, and it does not pin this process:
    OpenVINO would later take its threads back to the CPUs of its first use.
    """
    for name, value in command.ONE_THREAD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: None, raising=False)


def missing(cell: dict) -> set[str]:
    """The contenders that are not available."""
    return {row["name"] for row in cell["rows"] if "not_available" in row}


def arguments(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser.add_argument)
    return parser.parse_args([str(word) for word in argv])


# ---- verifying ---------------------------------------------------------------------------------


class Wrong(Engine):
    """The engine with one wrong logit."""

    at, off = (0, 0, 0), 0.01

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
    answers.check("right", Engine(model, isa))
    wrong = Wrong(model, isa)
    wrong.off = 2 * ALLOWED[precision] * np.abs(wrong.logits(answers.codes)).max()
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


def test_a_cell_says_all_that_follows_from_the_rates(ran, tiny):
    for cell, batch in zip(ran["cells"], (1, 2), strict=True):
        assert (cell["network"], cell["batch"], cell["layers"]) == ("tiny", batch, 3)
        assert [row["name"] for row in cell["rows"]] == list(PEERS)[batch - 1 :] + ENGINES
        timed = [row for row in cell["rows"] if "not_available" not in row]
        assert {COMPILED} <= missing(cell) <= {COMPILED, NARROW}
        for row in timed:
            assert row["times_real_time"] == row["samples_per_second"] / tiny.sample_rate
            at_least = {"float32": ["float32"], "bfloat16": ["float32", "bfloat16"]}
            rivals = [
                peer["samples_per_second"]
                for peer in timed
                if peer["kind"] == "peer"
                and peer["precision"] in at_least.get(row["precision"], PRECISIONS)
            ]
            assert row["times_fastest_peer"] == row["samples_per_second"] / max(rivals)


def test_one_voice_is_compared_with_what_the_memory_gives(ran, tiny):
    one, two = ({row["name"]: row for row in cell["rows"]} for cell in ran["cells"])
    weights = random_weights(tiny, seed=0)
    sizes = {name: 4 * tiny.macs_per_sample for name in (CLEAN, "numpy, tuned queue")}
    for precision in PRECISIONS:
        step = Model(tiny, weights, precision=precision).info()["step_bytes"]
        sizes[f"fastwavenet, {precision}"] = step
    for name, size in sizes.items():
        row = one[name]
        assert row["step_bytes"] == two[name]["step_bytes"] == size
        share = size * row["samples_per_second"] / row["bytes_per_second"]
        assert row["share_of_bandwidth"] == share
        assert two[name]["share_of_bandwidth"] is None
    assert one["PyTorch, naive"]["step_bytes"] is None


def test_mu_law_is_timed_both_ways(ran):
    for direction in ("encode", "decode"):
        rows = [row for row in ran["mu_law"] if row["direction"] == direction]
        assert len(rows) == 4 + len(available_isas())
        assert [row["name"] for row in rows if "not_available" in row] == ["torch.compile"]
        peers = [row for row in rows if row["kind"] == "peer" and "not_available" not in row]
        assert max(row["times_fastest_peer"] for row in peers) == 1


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


# ---- writing -----------------------------------------------------------------------------------


def test_the_terminal_shows_each_contender_and_why_one_is_missing(ran):
    for cell in ran["cells"]:
        lines = table.text_of_cell(cell).splitlines()
        assert [
            line.startswith(row["name"]) for line, row in zip(lines[2:], cell["rows"], strict=True)
        ]
        (compiled,) = [line for line in lines if line.startswith(COMPILED)]
        assert "not available: " in compiled and "No working C++ compiler" in compiled
        assert max(map(len, lines)) < 170
    text = table.text_of("mu_law", ran["mu_law"])
    assert "encode: numpy, formula" in text and "decode: torch.compile" in text


def test_results_survive_their_file(ran, tmp_path):
    path = tmp_path / "run.json"
    results.save(path, ran)
    assert results.load(path) == results.FORMAT | ran


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"made_by": "fastwavenet bench"}', "\xff"])
def test_another_file_is_not_taken_for_results(content, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match="run.json: (not JSON|expected a file of `fastwavenet)"):
        results.load(path)


def test_the_chart_is_a_picture_of_all_contenders(ran, tmp_path):
    image = pytest.importorskip("matplotlib.image", reason="matplotlib is not installed")
    path = tmp_path / "speed.png"
    save_chart(path, ran)
    pixels = image.imread(path)
    assert pixels.shape[0] > 300 and pixels.shape[1] > 300
    found = set(map(tuple, np.round(255 * pixels[..., :3]).astype(int).reshape(-1, 3)))
    drawn = {
        name: tuple(bytes.fromhex(colour[1:])) in found
        for name, colour in colours_of(ran["cells"]).items()
    }
    absent = missing(ran["cells"][0])
    assert drawn == {name: name not in absent for name in [*PEERS, *ENGINES]}


def test_without_generation_there_is_no_chart(ran, tmp_path):
    with pytest.raises(ValueError, match="expected results of generation"):
        save_chart(tmp_path / "speed.png", ran | {"cells": []})
    assert list(tmp_path.iterdir()) == []


README = f"# Title\n\nbefore\n\n{table.BEGIN}\nold\n{table.END}\n\nafter\n"


def test_the_readme_gets_the_tables_and_keeps_the_rest(ran, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(README)
    table.write_readme(path, ran)
    once = path.read_text()
    before, _, rest = once.partition(f"{table.BEGIN}\n")
    tables, _, after = rest.partition(f"{table.END}\n")
    assert (before, after) == ("# Title\n\nbefore\n\n", "\nafter\n")
    assert "old" not in tables and table.markdown(ran) == tables.strip()
    table.write_readme(path, ran)
    assert path.read_text() == once


def test_other_tables_stand_in_columns_on_the_terminal(ran):
    for key in filter(ran.get, ("instruction_sets", "cores", "latency")):
        heads, lines = table.TABLES[key](ran[key])
        shown = table.text_of(key, ran[key]).splitlines()
        assert len(shown) == 1 + len(lines) and len(set(map(len, shown))) == 1
        for line, cells in zip(shown, [heads, *lines], strict=True):
            assert re.split("  +", line) == cells


def test_tables_have_as_many_cells_in_every_row(ran):
    blocks = [block for block in table.markdown(ran).split("\n\n") if block.startswith("|")]
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1
    two = ["two cores"] if ran["cores"] else []
    titles = ["1 voice", "2 voices", "the peers", "tiny", *two, "latency", "mu-law"]
    for block, title in zip(blocks, titles, strict=True):
        assert block.startswith(f"| {title}")
    assert "| - |" in blocks[2]  # the contender that is not available


@pytest.mark.parametrize(
    "bfloat16, int8, named",
    [(0.5, 0.5, []), (3, 2, [NARROW]), (2, 3, [NARROW, INT8]), (0.5, 2, [INT8])],
)
def test_peers_in_narrower_formats_are_named_if_they_are_faster_still(ran, bfloat16, int8, named):
    cell = ran["cells"][0]
    if NARROW in missing(cell):
        pytest.skip("this CPU has no bfloat16")
    speeds = {"float32": 1, "bfloat16": bfloat16, "int8": int8}
    rows = [
        row | {"samples_per_second": speeds.get(row.get("precision"), 0) * 1000}
        for row in cell["rows"]
    ]
    text = table.markdown(ran | {"cells": [cell | {"rows": rows}]}).splitlines()
    (line,) = [line for line in text if line.startswith("| tiny: 3 layers")]
    _, *narrower = re.findall(r"\((.*?)\)", line.split("|")[2])
    assert narrower == named


def test_a_readme_may_have_one_table_of_the_engine_beside_the_best_peer(ran, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(README.replace(table.BEGIN, table.BEGIN_SHORT))
    table.write_readme(path, ran)
    tables = path.read_text().partition(f"{table.BEGIN_SHORT}\n\n")[2]
    about, one, end, after = tables.split("\n\n")
    assert about.startswith("Measured on: ") and (end, after) == (table.END, "after\n")
    heads, _, line = one.splitlines()  # a line per network, of the fewest voices
    assert heads.startswith("| 1 voice, samples/s | the best peer | float32 | int8 |")
    rows = {row["name"]: row for row in ran["cells"][0]["rows"]}
    best = table.fastest(rows.values(), "peer")
    assert best["name"] in line
    int8, ratio = re.search(r"\*\*([\d,]+)\*\* \| ([\d.e+]+) x \|$", line).groups()
    assert int(int8.replace(",", "")) == round(rows["fastwavenet, int8"]["samples_per_second"])
    expected = rows["fastwavenet, int8"]["samples_per_second"] / best["samples_per_second"]
    assert float(ratio) == float(f"{expected:.3g}")


def test_the_table_of_the_readme_has_no_more_than_seven_rows():
    readme = (ROOT / "README.md").read_text()
    tables = readme.partition(table.BEGIN_SHORT)[2].partition(table.END)[0]
    lines = [line for line in tables.splitlines() if line.startswith("|")]
    assert 2 + 1 <= len(lines) <= 2 + 7
    assert table.parts_of_readme(ROOT / "bench/README.md")[1] == table.BEGIN


def test_the_table_of_the_readme_is_a_selection_of_those_of_the_benchmark():
    def rows(path: str) -> list[list[str]]:
        tables = re.split("<!-- (?:speed|end)", (ROOT / path).read_text())[1]
        lines = [line for line in tables.splitlines() if re.match(r"\| C\w+: ", line)]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]

    everything = {row[0]: row for row in rows("bench/README.md")}
    for network, best, float32, int8, ratio in rows("README.md"):
        _, peers, *cells, _ = everything[network]
        speeds = {peer: int(peer.split()[0].replace(",", "")) for peer in peers.split("; ")}
        assert best == max(speeds, key=speeds.get)
        assert cells[0].startswith(f"{float32} (") and cells[2] == f"{int8} ({ratio})"


def test_results_without_generation_have_no_table_in_short(ran):
    assert "|" not in table.markdown(ran | {"cells": []}, short=True)


@pytest.mark.parametrize(
    "text",
    [
        README.replace(table.BEGIN, ""),
        README.replace(table.END, ""),
        README + README,
        README + README.replace(table.BEGIN, table.BEGIN_SHORT),
        f"{table.END}\n{table.BEGIN}\n",
        README.replace(table.BEGIN, f"in a sentence {table.BEGIN}"),
    ],
)
def test_a_readme_without_its_two_lines_is_left_alone(ran, tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(ValueError, match="README.md: expected one line"):
        table.write_readme(path, ran)
    assert path.read_text() == text


def test_a_readme_with_lines_of_windows_gets_its_tables(ran, tmp_path):
    path = tmp_path / "README.md"
    for text in (README, README.replace("\n", "\r\n")):
        path.write_bytes(text.encode())
        table.write_readme(path, ran)
        assert b"| tiny |" in path.read_bytes()


# ---- the command -------------------------------------------------------------------------------


def test_everything_can_be_made_from_the_file_of_an_earlier_run(ran, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    results.save(tmp_path / "run.json", ran)
    (tmp_path / "README.md").write_text(README)
    outputs = ("-o", "again.json", "--chart", "speed.png", "--readme", "README.md")
    paths = [word if word.startswith("-") else tmp_path / word for word in outputs]
    assert command.run(arguments("--from", tmp_path / "run.json", *paths)) == 0
    shown = capsys.readouterr().out
    assert "tiny, 2 voices" in shown and "encode: PyTorch" in shown
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "run.json").read_bytes()
    assert (tmp_path / "speed.png").stat().st_size > 1000
    assert "| tiny |" in (tmp_path / "README.md").read_text()


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


def test_by_default_all_networks_take_part_the_largest_with_one_voice_only():
    assert command._plan(arguments()) == dict.fromkeys(NETWORKS.keys() - {"tiny"}, [1, 8, 64]) | {
        "C4x30": [1]
    }
    assert command._plan(arguments("--quick")) == {"C1": [1], "C3": [1]}
    given = arguments("--networks", "C4x30", "--batches", "2,8")
    assert command._plan(given) == {"C4x30": [2, 8]}


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--networks", "C1,C9"], "unknown 'C9'; known: C1, C1b"),
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
