"""What a model makes of known samples: score, outputs."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait

import numpy as np
import numpy.typing as npt

from .engine import LOOK_SECONDS, MAX_SAMPLES, Generator, Progress, _integer
from .model import Model, check_model
from .samples import check_rate
from .types import Isa

MAX_THREADS = 1024

# Steps start to end of a recording, and a function to be told how many more steps are done.
Part = Callable[[int, int, Callable[[int], None]], None]


def score(
    model: Model,
    samples: npt.ArrayLike,
    *,
    sample_rate: int | None = None,
    cond: npt.ArrayLike | None = None,
    hop: int = 1,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """How surprising each sample after the first is to the model: float32 (n - 1,), in nats.

    samples: (n,), codes or audio.  sample_rate: Hz of the audio; another one than the model's is
    refused.  Row t is -ln p(sample t + 1 | samples up to t); ln(levels) is
    what pure guessing costs.  cond: as in `Generator.generate`, n - 1 steps.  progress: likewise.
    threads: at most so many score parts of the recording at the same time.  The result does not
    depend on them.
    """
    gen, codes = _listener(model, samples, sample_rate, isa)
    steps = max(codes.shape[1] - 1, 0)
    hop = _integer("hop", hop, 1, MAX_SAMPLES)
    rows = gen._cond(cond, steps, hop)
    logp = np.empty((1, steps), np.float32)

    def part(start: int, end: int, tell: Callable[[int], None]) -> None:
        """First it hears what came before, as far back as the model reaches."""
        begin = max(0, start - model.spec.receptive_field + 1)
        gen = Generator(model, seed=0, isa=isa)
        gen._rows.begin(0, int(codes[0, begin]))
        for first, last, known in ((begin, start, False), (start, end, True)):
            for at, n in gen._pieces(last - first):
                now, following = slice(first + at, first + at + n), first + at + 1
                forced = codes[:, following : following + n].astype(np.uint16)
                out = {"logp": logp[:, now]} if known else {}
                gen._run(now.start, n, rows, hop, forced=forced, **out)
                tell(n if known else 0)

    cuts = _cuts(model, steps, _integer("threads", threads, 1, MAX_THREADS))
    if steps:
        _in_parts(part, cuts, progress)
    return np.negative(logp[0], out=logp[0])


def outputs(
    model: Model,
    samples: npt.ArrayLike,
    *,
    sample_rate: int | None = None,
    cond: npt.ArrayLike | None = None,
    hop: int = 1,
    isa: Isa | None = None,
) -> npt.NDArray[np.float32]:
    """The network's logits, float32 (n, levels); row t predicts sample t + 1.

    samples, sample_rate: as in `score`.  cond: as in `Generator.generate`, n steps.
    """
    gen, codes = _listener(model, samples, sample_rate, isa)
    steps = codes.shape[1]
    hop = _integer("hop", hop, 1, MAX_SAMPLES)
    rows = gen._cond(cond, steps, hop)
    following = np.append(codes[:, 1:], codes[:, :1], axis=1)  # what follows the last is not used
    logits = np.empty((1, steps, model.spec.levels), np.float32)
    for start, n in gen._pieces(steps):
        now = slice(start, start + n)
        forced = following[:, now].astype(np.uint16)
        gen._run(start, n, rows, hop, forced=forced, logits=logits[:, now])
    return logits[0]


def _listener(
    model: Model, samples: npt.ArrayLike, sample_rate: int | None, isa: Isa | None
) -> tuple[Generator, np.ndarray]:
    """A generator about to be fed the first of the samples, and their codes, (1, n)."""
    check_rate(sample_rate, check_model(model).sample_rate)
    gen = Generator(model, seed=0, isa=isa)
    codes = gen._codes(samples)
    if codes.shape[1]:
        gen._rows.begin(0, int(codes[0, 0]))
    return gen, codes


def _cuts(model: Model, steps: int, threads: int) -> list[int]:
    """Where parts begin, and the end: each scores at least as much as it is primed with first."""
    parts = min(threads, max(1, steps // model.spec.receptive_field))
    return [steps * i // parts for i in range(parts)] + [steps]


def _in_parts(part: Part, cuts: list[int], progress: Progress | None) -> None:
    """Calls part(cuts[i], cuts[i + 1], tell) for all i, at the same time if there are several."""
    done, said, lock, stop = 0, 0, threading.Lock(), threading.Event()

    def tell(steps: int) -> None:
        nonlocal done
        if stop.is_set():
            raise CancelledError
        with lock:
            done += steps
        if len(cuts) == 2:
            report()

    def report() -> None:
        nonlocal said
        if progress is not None and done > said:
            said = done
            progress(said, cuts[-1])

    if len(cuts) == 2:
        part(cuts[0], cuts[1], tell)
        return
    process = os.getpid()
    with ThreadPoolExecutor(len(cuts) - 1) as pool:
        try:
            futures = [pool.submit(part, *ends, tell) for ends in itertools.pairwise(cuts)]
            for future in futures:
                while not future.done():
                    if os.getpid() != process:
                        raise RuntimeError("the process forked: the threads that score are gone")
                    wait([future], LOOK_SECONDS)
                    report()
                future.result()
        finally:
            stop.set()
