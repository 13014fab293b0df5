"""`fastwavenet bench`: arguments, the run, and the files made from its results."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..atomic import check_target, is_named_pipe, is_special_file
from ..bundled_voices import voice_names
from ..shown import shown
from . import results as files
from .chart import save_chart
from .generation import cells, check_plan
from .measure import Refused
from .networks import network_names, spec_of
from .readme import parts_of_readme, write_readme
from .table import TABLES, text_of, text_of_cell

USUAL = ["C1", "C1b", "C2", "C3", "C4", "C5"]
LARGEST = "C4x30"  # by default with the fewest voices only: it takes its time
VOCODER = "C3mel"  # C3 with frames, whose latency stands beside C3's
TAKE_FRAMES = ("generation", "latency")  # suites that measure conditioned networks
MOST_VOICES = 1024
DRAWN = ("all", "generation")  # of the suites
SUITES = ("all", "generation", "instruction-sets", "cores", "latency", "mu-law")
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
}


def add_arguments(add: Callable[..., argparse.Action]) -> None:
    """add: the `add_argument` of a parser."""
    add("--networks", type=_networks, metavar="C1,C3", help=f"of {', '.join(network_names())}")
    add("--batches", type=_batches, metavar="1,8", help="voices at once (1,8,64)")
    add("--seconds-per-cell", type=_seconds, metavar="S", help="per contender (1.5)")
    add("--quick", action="store_true", help="C1 and C3 with one voice, 0.5 s each: a look")
    add("--suite", choices=SUITES, default="all", help="(%(default)s)")
    add(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="show these results, measure nothing",
    )
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="keep the results, as JSON, from the first one on",
    )
    add(
        "--resume",
        action="store_true",
        help="measure only what the -o file lacks, and retry what was refused",
    )
    add("--chart", type=Path, metavar="PNG", help="draw them")
    add(
        "--readme",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="replace this machine's speed tables in this file; may be given again",
    )


def run(arguments: argparse.Namespace) -> int:
    """The exit code, 0.

    Raises Refused, a ValueError, if a figure would be wrong or unfair, after everything else was
    measured and kept; ValueError or OSError for files; ImportError if torch, or matplotlib for a
    chart, is missing.
    """
    _check_suite(arguments)
    _check_outputs(arguments)
    if arguments.source is None:
        results = measured(arguments, cpus=take_one_core())
        _check_refused(arguments, results)
    else:
        results = files.load(arguments.source)
        show(results)
        if files.unfinished(results):
            print(f"\nunfinished, without {files.unfinished(results)}", flush=True)
    for path in (arguments.output, arguments.chart):
        if path is not None and is_named_pipe(path):
            print(f"{shown(path)}: waiting for a program that reads from this pipe", flush=True)
    if arguments.output is not None and not _kept(arguments):
        files.save(arguments.output, results)
    if arguments.chart is not None:
        save_chart(arguments.chart, results)
    for readme in arguments.readme:
        write_readme(readme, results)
    return 0


def _kept(arguments: argparse.Namespace) -> bool:
    """Whether results are written as they come: not those of a file, nor into a pipe."""
    path = arguments.output
    return arguments.source is None and path is not None and not is_special_file(path)


def _check_refused(arguments: argparse.Namespace, results: dict) -> None:
    """Raises Refused for what has no figures, with the way to those that were measured."""
    refused = results["refused"]
    if not refused:
        return
    others = (
        f"the other results are in {shown(arguments.output)}, and --resume measures the rest again"
        if _kept(arguments)
        else "with -o and --resume it would be measured again alone"
    )
    raise Refused(f"{'; '.join(refused)}; {others}")


def _check_suite(arguments: argparse.Namespace) -> None:
    """Raises ValueError for networks that the suite cannot measure."""
    networks = arguments.networks or USUAL
    if arguments.suite not in (*TAKE_FRAMES, "mu-law") and all(map(_takes_frames, networks)):
        raise ValueError(
            f"{networks[0]} takes frames, which --suite {' and '.join(TAKE_FRAMES)} measure, not "
            f"--suite {arguments.suite}: choose one of them, or a network without frames too"
        )


def _takes_frames(network: str) -> bool:
    return spec_of(network).conditioning is not None


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Checks the files to write before the measurements."""
    for path in (arguments.output, arguments.chart, *arguments.readme):
        if path is not None:
            check_target(path)
    for readme in arguments.readme:
        parts_of_readme(readme)
    if arguments.resume and (arguments.output is None or arguments.source is not None):
        raise ValueError("--resume goes on with the file of -o, and --from measures nothing")
    if _kept(arguments) and not arguments.resume:
        files.check_new(arguments.output)
    if arguments.chart is not None:
        import matplotlib  # noqa: F401  a missing one is an error now

        if arguments.source is None and arguments.suite not in DRAWN:
            raise ValueError(f"--chart draws the suite {' or '.join(DRAWN)}, not {arguments.suite}")


def measured(arguments: argparse.Namespace, cpus: Sequence[int]) -> dict:
    """Runs what is missing of the suites, and prints and keeps each table when it is ready.

    What is refused is noted with its reason, and the run goes on.
    """
    plan = _plan(arguments)
    check_plan(plan)
    seconds = arguments.seconds_per_cell or (0.5 if arguments.quick else 1.5)
    results = files.begun(arguments.suite, plan, seconds)
    if arguments.resume:
        results = files.resumed(arguments.output, results)
    show(results)
    for cell in cells(files.missing_cells(results), seconds):
        _add_cell(results, cell)
        _keep(arguments, results)
    for key, rows in _others(plan, seconds, cpus).items():
        if key not in results:
            _add_rows(results, key, rows)
            _keep(arguments, results)
    return results


def _keep(arguments: argparse.Namespace, results: dict) -> None:
    if _kept(arguments):
        files.save(arguments.output, results)


def _add_cell(results: dict, cell: dict) -> None:
    """In the order of the plan, also where it was refused in the run that this one goes on with."""
    if "refused" in cell:
        _refuse(results, cell["refused"])
    else:
        print("\n" + text_of_cell(cell), flush=True)
        results["cells"].append(cell)
        networks = list(results["settings"]["plan"])
        results["cells"].sort(key=lambda cell: (networks.index(cell["network"]), cell["batch"]))


def _add_rows(results: dict, key: str, rows: Callable[[], list[dict]]) -> None:
    suite = files.suite_of(key)
    try:
        results[key] = rows()
    except Refused as reason:
        _refuse(results, f"{suite}: {reason}")
        return
    if results[key]:
        print("\n" + text_of(key, results[key]), flush=True)
    else:
        print(f"\n{suite}: not measured, this process may use one core only", flush=True)


def _refuse(results: dict, reason: str) -> None:
    print(f"\nrefused: {reason}", flush=True)
    results["refused"].append(reason)


def _plan(arguments: argparse.Namespace) -> dict[str, list[int]]:
    """Network -> numbers of voices."""
    batches = arguments.batches or ([1] if arguments.quick else [1, 8, 64])
    if arguments.networks or arguments.quick:
        return dict.fromkeys(arguments.networks or ["C1", "C3"], batches)
    return dict.fromkeys([*voice_names(), *USUAL], batches) | {LARGEST: batches[:1]}


def _others(
    plan: Mapping[str, list[int]], seconds: float, cpus: Sequence[int]
) -> dict[str, Callable[[], list[dict]]]:
    """Key of the results -> function that measures it, on the networks that show most."""
    from . import cores, instruction_sets, latency, mulaw

    def of(*names: str) -> list[str]:
        return [name for name in names if name in plan] or plain[-1:]

    plain = [name for name in plan if not _takes_frames(name)]
    beside = [VOCODER] if "C3" in plan else []
    vocoders = [name for name in dict.fromkeys([*plan, *beside]) if _takes_frames(name)]
    batches = next(iter(plan.values()))
    voices = sorted({batches[0], batches[-1]})
    return {
        "instruction_sets": lambda: instruction_sets.rows(of("C3")[0], voices, seconds),
        "cores": lambda: cores.rows(of("C3", LARGEST), cpus, seconds),
        "latency": lambda: latency.rows([*of("C1", "C3"), *vocoders], seconds),
        "mu_law": lambda: mulaw.rows(seconds),
    }


def show(results: dict) -> None:
    print(files.machine_line(results), flush=True)
    for cell in results["cells"]:
        print("\n" + text_of_cell(cell), flush=True)
    for key in TABLES:
        if results.get(key):
            print("\n" + text_of(key, results[key]), flush=True)


def take_one_core() -> list[int]:
    """Pins the process; restarts it if its libraries may have started threads when imported.

    Returns that CPU's number and, if the process may use another core, the number of a CPU there.
    """
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        sys.stdout.flush()
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **ONE_THREAD})
    from .cores import two_cores

    cpus = two_cores()
    if cpus:
        os.sched_setaffinity(0, cpus[:1])
    import torch

    torch.set_num_threads(1)
    return cpus


def _networks(text: str) -> list[str]:
    names = text.split(",")
    known = network_names()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown {shown(unknown[0])}; known: {', '.join(known)}")
    return list(dict.fromkeys(names))


def _batches(text: str) -> list[int]:
    numbers = [int(part) if part.isdecimal() else 0 for part in text.split(",")]
    if not all(1 <= number <= MOST_VOICES for number in numbers):
        raise argparse.ArgumentTypeError(
            f"must be numbers of voices from 1 to {MOST_VOICES}, as in 1,8, not {shown(text)}"
        )
    return sorted(set(numbers))


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 600:
        raise argparse.ArgumentTypeError(
            f"must be a number above 0 and up to 600, not {shown(text)}"
        )
    return value
