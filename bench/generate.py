"""Samples per second of the engine and of its peers: one core, batch 1, all in one run.

    python bench/generate.py [--networks C1,C3] [--seconds-per-cell 2] [--json out.json]

Each contender is checked against the float64 reference, burnt in, and then timed in turns with
the others, so that whatever else the machine does hits all of them alike.  Exits with 2, without
a table, if a contender computes something else or a peer is slower than it is known to be.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from peers import CleanQueue, Naive, TunedNumpy, TunedTorch, miswritten
from specs import NETWORKS, random_weights

import fastwavenet
from fastwavenet import reference
from fastwavenet.spec import WaveNetSpec

ROUNDS = 7
NAIVE_STEPS = 16  # how far the naive peer is checked: it is slow, and cannot forget
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Engine:
    """fastwavenet on one instruction set."""

    def __init__(self, model: fastwavenet.Model, isa: str):
        self.name = f"fastwavenet, {isa}"
        self.model, self.isa = model, isa
        self.generator = fastwavenet.Generator(model, seed=0, isa=isa)

    def logits(self, codes: np.ndarray) -> np.ndarray:
        return fastwavenet.outputs(self.model, codes, isa=self.isa)

    def generate(self, n: int) -> np.ndarray:
        return self.generator.generate(n)


class Failed(Exception):
    """The table would not mean what it says."""


def main() -> None:
    args = _arguments()
    _take_one_core()
    torch.set_num_threads(1)
    print(machine(), flush=True)
    tables = {}
    try:
        for network in args.networks:
            tables[network] = bench(network, args.seconds_per_cell)
            print_table(network, tables[network])
    except Failed as failure:
        print(failure, file=sys.stderr)
        sys.exit(2)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "networks": tables}, indent=1))


def bench(network: str, seconds: float) -> list[dict]:
    """One row per contender: name, samples_per_second, and what follows from it."""
    spec = NETWORKS[network]
    weights = random_weights(spec)
    model = fastwavenet.Model(spec, weights)
    naive, clean = Naive(spec, weights), CleanQueue(spec, weights)
    peers = [naive, clean, TunedTorch(spec, weights), TunedNumpy(spec, weights)]
    engines = [Engine(model, isa) for isa in fastwavenet.available_isas()]
    verify(network, spec, weights, [*peers, *engines])
    naive.fill()
    rates = measure([*peers, *engines], seconds)
    complaints = miswritten(network, rates)
    if complaints:
        raise Failed("\n".join(complaints))
    step_bytes = dict.fromkeys((p.name for p in peers), 4 * spec.macs_per_sample)
    step_bytes |= dict.fromkeys((e.name for e in engines), model.info()["step_bytes"])
    step_bytes[naive.name] = None  # a weight serves the whole receptive field once it is read
    fastest, yardstick = max(rates[p.name] for p in peers), rates[clean.name]
    return [
        {
            "name": name,
            "samples_per_second": rate,
            "times_real_time": rate / spec.sample_rate,
            "times_clean_queue": rate / yardstick,
            "times_fastest_peer": rate / fastest,
            "gigabytes_per_second": step_bytes[name] and rate * step_bytes[name] / 1e9,
        }
        for name, rate in rates.items()
    ]


def verify(network: str, spec: WaveNetSpec, weights: dict, contenders: list) -> None:
    """Raises Failed if a contender's logits are not the reference's, within 1e-4 of the largest.

    The codes last until every ring has wrapped round.
    """
    past = max((k - 1) * d for k, d in zip(spec.kernel, spec.dilations, strict=True))
    codes = np.random.default_rng(1).integers(0, spec.levels, past + 16)
    expected = reference.teacher_forced(spec, weights, codes)
    allowed = 1e-4 * max(1, np.abs(expected).max())
    for contender in contenders:
        n = NAIVE_STEPS if isinstance(contender, Naive) else len(codes)
        error = np.abs(contender.logits(codes[:n]) - expected[:n]).max()
        if not error <= allowed:
            raise Failed(f"{network}: {contender.name} is {error:.1e} off, allowed {allowed:.1e}")


def measure(contenders: list, seconds: float) -> dict[str, float]:
    """Name -> median samples per second over rounds in which all take their turn."""
    slice_ = seconds / ROUNDS
    counts = {c.name: burn_in(c, slice_) for c in contenders}
    rates = {c.name: [] for c in contenders}
    for _ in range(ROUNDS):
        for c in contenders:
            rates[c.name].append(counts[c.name] / timed(c, counts[c.name]))
    return {name: statistics.median(values) for name, values in rates.items()}


def burn_in(contender, seconds: float) -> int:
    """How many samples take about that long; caches and clocks are warm afterwards."""
    n, elapsed = 1, timed(contender, 1)
    while elapsed < seconds / 2:
        n *= 2
        elapsed = timed(contender, n)
    return max(1, round(n * seconds / elapsed))


def timed(contender, n: int) -> float:
    start = time.perf_counter()
    contender.generate(n)
    return time.perf_counter() - start


def print_table(network: str, rows: list[dict]) -> None:
    spec = NETWORKS[network]
    print(
        f"\n{network}: {spec.layers} layers, kernel {spec.kernel[0]}, residual {spec.residual}, "
        f"skip {spec.skip}, head {spec.head}; {spec.macs_per_sample:,} multiply-adds a sample, "
        f"{4 * spec.macs_per_sample / 2**20:.2f} MiB of weights\n"
        f"{'':24}{'samples/s':>12}{'x real time':>13}{'x clean':>10}{'x best peer':>13}{'GB/s':>8}"
    )
    for row in rows:
        name, rate, real_time, clean, best, traffic = row.values()
        traffic = "-" if traffic is None else f"{traffic:.1f}"
        rate = f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"
        print(f"{name:24}{rate:>12}{real_time:13.3g}{clean:10.3g}{best:13.3g}{traffic:>8}")
    sys.stdout.flush()


def machine() -> str:
    """What the numbers depend on, in one line."""
    versions = (
        f"fastwavenet {fastwavenet.__version__}, Python {platform.python_version()}, "
        f"torch {torch.__version__}, numpy {np.__version__}"
    )
    return f"{_cpu()}, one core, {'/'.join(fastwavenet.available_isas())}; {versions}"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _take_one_core() -> None:
    """Pins the process; restarts it if its libraries may have started threads when imported."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=_networks, default=list(NETWORKS), metavar="C1,C3")
    parser.add_argument("--seconds-per-cell", type=_seconds, default=2.0, metavar="SECONDS")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def _networks(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in NETWORKS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown {unknown[0]!r}; known: {', '.join(NETWORKS)}")
    return names


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 600:
        raise argparse.ArgumentTypeError(f"must be above 0 and up to 600, not {text}")
    return value


if __name__ == "__main__":
    main()
