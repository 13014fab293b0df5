"""The gain of a second core.  Voices are independent, so each may have a core of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

from ..generator import Generator
from ..model import Model
from ..spec import WaveNetSpec
from ..types import Precision
from .contenders import PRECISIONS
from .measure import measure_once
from .networks import spec_of, weights_of
from .peer import Weights

Work = Callable[[int], object]  # generates n samples of each voice
SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def two_cores() -> list[int]:
    """Numbers of two CPUs that this process may use and that are not one core; or of fewer."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    first, *others = sorted(os.sched_getaffinity(0), reverse=True)
    siblings = numbers_in(Path(SIBLINGS.format(first)))
    return [first, *[cpu for cpu in others if cpu not in siblings][:1]]


def numbers_in(path: Path) -> set[int]:
    """The numbers in a list like 0-3,8; none if there is no such file."""
    try:
        ends = [part.split("-") for part in path.read_text().split(",")]
    except OSError:
        return set()
    return {n for part in ends for n in range(int(part[0]), int(part[-1]) + 1)}


def rows(networks: Sequence[str], cpus: Sequence[int], seconds: float) -> list[dict]:
    """For each network and precision: network, precision, rates: way -> samples/s in all.

    cpus: of two cores; nothing is measured on fewer.
    """
    found: list[dict] = []
    if len(cpus) < 2:
        return found
    with _on(cpus):
        for network in networks:
            spec = spec_of(network)
            weights = weights_of(network)
            for precision in PRECISIONS:
                rates = _rates(spec, weights, precision, cpus, seconds)
                found.append({"network": network, "precision": precision, "rates": rates})
    return found


def _rates(
    spec: WaveNetSpec, weights: Weights, precision: Precision, cpus: Sequence[int], seconds: float
) -> dict[str, float]:
    model = Model(spec, weights, precision=precision)
    with (
        voice_per_thread(model, cpus) as in_threads,
        voice_per_process(spec, weights, precision, cpus) as in_processes,
    ):
        ways: dict[str, tuple[int, Work]] = {  # voices, and the function that generates them
            "1 voice": (1, Generator(model, seed=0).generate),
            "1 voice, 2 threads": (1, Generator(model, seed=0, threads=2).generate),
            "a voice in each of 2 threads": (2, in_threads),
            "a voice in each of 2 processes": (2, in_processes),
        }
        steps = measure_once({way: work for way, (_, work) in ways.items()}, seconds).rates
    return {way: voices * steps[way] for way, (voices, _) in ways.items()}


@contextlib.contextmanager
def _on(cpus: Sequence[int]) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def voice_per_thread(model: Model, cpus: Sequence[int]) -> Iterator[Work]:
    """Generators in threads of this process, each on a core, that share the model."""
    voices = [Generator(model, seed=0, stream=stream) for stream in range(len(cpus))]
    free = list(cpus)

    def take_a_cpu() -> None:
        os.sched_setaffinity(0, {free.pop()})

    with ThreadPoolExecutor(len(cpus), initializer=take_a_cpu) as pool:
        yield lambda n: list(pool.map(lambda voice: voice.generate(n), voices))


@contextlib.contextmanager
def voice_per_process(
    spec: WaveNetSpec, weights: Weights, precision: Precision, cpus: Sequence[int]
) -> Iterator[Work]:
    """Generators in processes, each on a core and with a model of its own.

    The work returns how many samples each has made since its first, which is made here.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for cpu in cpus:
        ours, theirs = context.Pipe()
        arguments = (theirs, cpu, spec, weights, precision)
        processes.append(context.Process(target=_serve, args=arguments, daemon=True))
        processes[-1].start()
        theirs.close()  # or its end would not be noticed here
        pipes.append(ours)

    def work(n: int) -> list[int]:
        for pipe in pipes:
            pipe.send(n)
        return [pipe.recv() for pipe in pipes]

    try:
        work(1)  # when it answers, it is ready
        yield work
    finally:
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.close()
            process.join()


def _serve(
    pipe: Connection, cpu: int, spec: WaveNetSpec, weights: Weights, precision: Precision
) -> None:
    """Generates the numbers of samples that it receives, and sends back their sum so far.

    Ends when the other end is closed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    os.sched_setaffinity(0, {cpu})
    voice = Generator(Model(spec, weights, precision=precision), seed=0, stream=cpu)
    with contextlib.suppress(EOFError):
        while True:
            voice.generate(pipe.recv())
            pipe.send(voice.position)
