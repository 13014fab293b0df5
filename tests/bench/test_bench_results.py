"""The results of a run of the benchmark, and the tables, chart and files that are made of them."""

import json
import os
import re

import numpy as np
import pytest
from bench_runs import SECONDS, arguments, quiet, tiny_network
from c_build import ROOT
from networks import random_weights

import fastwavenet as fw
from fastwavenet import Model, _engine, available_isas
from fastwavenet.bench import command, readme, results, table
from fastwavenet.bench.bounds import products_of
from fastwavenet.bench.chart import colours_of, save_chart
from fastwavenet.bench.contenders import CLEAN, PEERS, PRECISIONS, peers_of
from fastwavenet.bench.cores import two_cores

pytestmark = pytest.mark.usefixtures("one_thread", "no_cpp_compiler", "tiny")

COMPILED = "torch.compile, one step"
NARROW = "OpenVINO, bfloat16"  # which not every CPU has
INT8 = "OpenVINO, int8 weights"
THEIRS = "wavenet-coding, numpy"  # which needs TensorFlow, and has no network of kernel 3
ENGINES = [f"fastwavenet, {precision}" for precision in PRECISIONS]


def cpus() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


@pytest.fixture(scope="module")
def tiny():
    with tiny_network() as spec:
        yield spec


@pytest.fixture(scope="module")
def ran(tiny, no_cpp_compiler, one_thread):
    """The results of a whole run with one and two voices, as a JSON file would give them back.

    The core counts as quiet, though other tests may run on it.
    """
    argv = ["--networks", "tiny", "--batches", "1,2", "--seconds-per-cell", SECONDS]
    allowed = cpus()
    found = command.measured(arguments(*argv), cpus=two_cores())
    assert cpus() == allowed, "a peer has pinned the process"
    return quiet(json.loads(json.dumps(found)))


def missing(cell: dict) -> set[str]:
    """The contenders that are not available."""
    return {row["name"] for row in cell["rows"] if "not_available" in row}


# ---- a run -------------------------------------------------------------------------------------


def test_the_engine_takes_part_in_each_precision():
    assert sorted(PRECISIONS) == sorted(_engine.precision_names())


def test_a_cell_says_all_that_follows_from_the_rates(ran, tiny):
    for cell, batch in zip(ran["cells"], (1, 2), strict=True):
        assert (cell["network"], cell["batch"], cell["layers"]) == ("tiny", batch, 3)
        assert [row["name"] for row in cell["rows"]] == peers_of(batch) + ENGINES
        timed = [row for row in cell["rows"] if "not_available" not in row]
        assert {COMPILED} <= missing(cell) <= {COMPILED, NARROW, THEIRS}
        for row in timed:
            assert row["times_real_time"] == row["samples_per_second"] / tiny.sample_rate
            at_least = {"float32": ["float32"], "bfloat16": ["float32"]}
            at_least["bfloat16x16"] = ["float32", "bfloat16x16"]  # OpenVINO's bfloat16
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
        assert row["share_of_bandwidth"] == pytest.approx(share)
        assert (two[name]["share_of_bandwidth"] is None) == (row["kind"] == "peer")
    assert one["PyTorch, naive"]["step_bytes"] is None


def test_the_engine_is_compared_with_what_the_core_multiplies(ran, tiny):
    for cell in ran["cells"]:
        batch = cell["batch"]
        for row in cell["rows"]:
            if row["kind"] == "peer":
                assert "not_available" in row or row["share_of_products"] is None
                continue
            products = products_of(tiny, row["precision"], available_isas()[-1], batch)
            assert row["step_products"] == products
            time = products / row["products_per_second"]
            assert row["share_of_products"] == pytest.approx(
                time * row["samples_per_second"] / batch
            )


def test_the_table_has_the_share_of_the_slower_bound(ran):
    cell = ran["cells"][0]
    for reading, multiplying, expected in (
        (0.5, 0.75, "75 %"),
        (0.5, 0.25, "50 %"),
        (None, 0.25, "25 %"),
        (None, None, "-"),
    ):
        shares = {"share_of_bandwidth": reading, "share_of_products": multiplying}
        rows = [row | shares for row in cell["rows"]]
        text = table.markdown(ran | {"cells": [cell | {"rows": rows}]})
        (line,) = [line for line in text.splitlines() if line.startswith("| tiny: 3 layers")]
        assert line.endswith(f"| {' / '.join([expected] * len(PRECISIONS))} |")


def test_mu_law_is_timed_both_ways(ran):
    for direction in ("encode", "decode"):
        rows = [row for row in ran["mu_law"] if row["direction"] == direction]
        assert len(rows) == 4 + len(available_isas())
        assert [row["name"] for row in rows if "not_available" in row] == ["torch.compile"]
        peers = [row for row in rows if row["kind"] == "peer" and "not_available" not in row]
        assert max(row["times_fastest_peer"] for row in peers) == 1


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


README = f"# Title\n\nbefore\n\n{readme.BEGIN}\nold\n{readme.END}\n\nafter\n"


def test_the_readme_gets_the_tables_and_keeps_the_rest(ran, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(README)
    readme.write_readme(path, ran)
    once = path.read_text()
    before, _, rest = once.partition(f"{readme.BEGIN}\n")
    tables, _, after = rest.partition(f"{readme.END}\n")
    assert (before, after) == ("# Title\n\nbefore\n\n", "\nafter\n")
    assert "old" not in tables and table.markdown(ran) == tables.strip()
    readme.write_readme(path, ran)
    assert path.read_text() == once


def of_machine(ran: dict, cpu: str) -> dict:
    return ran | {"machine": ran["machine"] | {"cpu": cpu}}


@pytest.mark.parametrize("begin", [readme.BEGIN, readme.BEGIN_SHORT])
def test_the_tables_of_other_machines_stay(ran, tmp_path, begin):
    path = tmp_path / "README.md"
    path.write_text(README.replace(readme.BEGIN, begin))
    one, two = (of_machine(ran, cpu) for cpu in ("CPU one", "CPU one and more"))
    short = begin == readme.BEGIN_SHORT
    expected = []
    for results_, place in ((one, 0), (two, 1), (one, 0), (two, 1)):
        expected[place : place + 1] = [table.markdown(results_, short)]
        readme.write_readme(path, results_)
        _, _, tables, after = readme.parts_of_readme(path)
        assert tables.strip() == "\n\n".join(expected)
        assert after == f"{readme.END}\n\nafter\n"
    later = two | {"cells": two["cells"][:1], "mu_law": []}
    later["machine"] = later["machine"] | {"isas": ["scalar", "new"], "versions": {"numpy": "9"}}
    readme.write_readme(path, later)  # of the same CPU, with another engine
    assert readme.parts_of_readme(path)[2].strip() == "\n\n".join(
        [expected[0], table.markdown(later, short)]
    )


def test_figures_of_a_busy_core_are_marked(ran):
    quiet = table.markdown(ran | {"cells": [cell | {"lost": 0.05} for cell in ran["cells"]]})
    cell = ran["cells"][0] | {"lost": 0.123}
    busy = ran | {"cells": [cell], "mu_law": [row | {"lost": 0.2} for row in ran["mu_law"]]}
    for key in ("instruction_sets", "latency"):
        busy[key] = [row | {"lost": 0.06} for row in ran[key]]
        assert "†" in table.text_of(key, busy[key])
    for short in (False, True):
        text = table.markdown(busy, short)
        assert "| tiny†: 3 layers" in text and text.endswith("when it was measured again.")
        assert "†" not in table.text_of_cell(ran["cells"][0] | {"lost": 0.0})
    assert "| encode† |" in table.markdown(busy) and "tiny†, int8" in table.markdown(busy)
    assert "tiny†" not in quiet
    shown = table.text_of_cell(cell).splitlines()[0]
    assert shown.endswith("† other processes used this core for 12% of the time")


def test_results_of_before_a_run_could_be_continued_have_tables(ran):
    """Without settings, shares of products and times lost."""
    new = ("lost", "step_products", "products_per_second", "share_of_products")
    old = {key: value for key, value in ran.items() if key not in ("settings", "refused")}
    old["cells"] = [
        {key: value for key, value in cell.items() if key != "lost"}
        | {"rows": [{k: v for k, v in row.items() if k not in new} for row in cell["rows"]]}
        for cell in ran["cells"]
    ]
    assert results.unfinished(old) == ""
    assert "| tiny: 3 layers" in table.markdown(old)
    assert "fastwavenet, int8" in table.text_of_cell(old["cells"][0])


def test_other_tables_stand_in_columns_on_the_terminal(ran):
    for key in filter(ran.get, ("instruction_sets", "cores", "latency")):
        rows = [row | {"lost": 0.0} for row in ran[key]]
        shown = table.text_of(key, rows).splitlines()
        heads, lines = table.TABLES[key](rows)
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
    speeds = {"float32": 1, "bfloat16x16": bfloat16, "int8": int8}
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
    path.write_text(README.replace(readme.BEGIN, readme.BEGIN_SHORT))
    readme.write_readme(path, ran)
    tables = path.read_text().partition(f"{readme.BEGIN_SHORT}\n\n")[2]
    about, one, end, after = tables.split("\n\n")
    assert about.startswith("Measured on: ") and (end, after) == (readme.END, "after\n")
    heads, _, line = one.splitlines()  # a line per network, of the fewest voices
    assert heads.startswith("| 1 voice, samples/s | the best peer | float32 | int8 |")
    rows = {row["name"]: row for row in ran["cells"][0]["rows"]}
    best = table.fastest(rows.values(), "peer")
    assert best["name"] in line
    pattern = r"\*\*([\d,]+)\*\* \| ([\d.e+]+) x \| ([\d.e+]+) x \|$"
    int8, ratio, real_time = re.search(pattern, line).groups()
    assert int(int8.replace(",", "")) == round(rows["fastwavenet, int8"]["samples_per_second"])
    expected = rows["fastwavenet, int8"]["samples_per_second"] / best["samples_per_second"]
    assert float(ratio) == float(f"{expected:.3g}")
    assert float(real_time) == float(f"{rows['fastwavenet, int8']['times_real_time']:.3g}")


def test_the_table_of_the_readme_has_no_more_than_the_voices_and_seven_rows():
    _, begin, tables, _ = readme.parts_of_readme(ROOT / "README.md")
    for machine in tables.split(table.BEGIN_MACHINE)[1:]:
        lines = [line for line in machine.splitlines() if line.startswith("|")]
        assert 2 + 1 <= len(lines) <= 2 + len(fw.voices()) + 7
    assert begin == readme.BEGIN_SHORT
    assert readme.parts_of_readme(ROOT / "bench/README.md")[1] == readme.BEGIN


def test_the_table_of_the_readme_is_a_selection_of_those_of_the_benchmark():
    def rows(path: str) -> list[list[str]]:
        """The cells of a network's line with the name of the machine, which comes first."""
        found, machine = [], ""
        for line in readme.parts_of_readme(ROOT / path)[2].splitlines():
            if line.startswith(table.BEGIN_MACHINE):
                machine = line.partition(",")[0]
            elif re.match(r"\| [\w-]+†?: ", line):
                found.append([machine, *(cell.strip() for cell in line.strip("|").split("|"))])
        return found

    everything = {tuple(row[:2]): row[2:] for row in rows("bench/README.md")}
    for machine, network, best, float32, int8, ratio, *_ in rows("README.md"):
        peers, *cells, _ = everything[machine, network]
        speeds = {peer: int(peer.split()[0].replace(",", "")) for peer in peers.split("; ")}
        assert best == max(speeds, key=speeds.get)
        of_int8 = cells[PRECISIONS.index("int8")].replace("*", "")  # bold if it is the fastest
        assert cells[0].startswith(f"{float32} (") and of_int8 == f"{int8.strip('*')} ({ratio})"


def test_results_without_generation_have_no_table_in_short(ran):
    assert "|" not in table.markdown(ran | {"cells": []}, short=True)


@pytest.mark.parametrize(
    "text",
    [
        README.replace(readme.BEGIN, ""),
        README.replace(readme.END, ""),
        README + README,
        README + README.replace(readme.BEGIN, readme.BEGIN_SHORT),
        f"{readme.END}\n{readme.BEGIN}\n",
        README.replace(readme.BEGIN, f"in a sentence {readme.BEGIN}"),
    ],
)
def test_a_readme_without_its_two_lines_is_left_alone(ran, tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(ValueError, match="README.md: expected one line"):
        readme.write_readme(path, ran)
    assert path.read_text() == text


def test_a_readme_with_lines_of_windows_gets_its_tables(ran, tmp_path):
    path = tmp_path / "README.md"
    for text in (README, README.replace("\n", "\r\n")):
        path.write_bytes(text.encode())
        readme.write_readme(path, ran)
        assert b"| tiny |" in path.read_bytes()


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
