"""Recorded samples under a model: score, outputs, and the nats of long recordings."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .checks import integer
from .instruction_sets import isa as resolve_isa
from .model import Model, check_model
from .samples import check_rate, to_codes
from .session import LOOK_SECONDS, Frames, Progress, Session, check_frames, speaker_rows
from .spec import WaveNetSpec
from .types import Isa, Speaker

MAX_THREADS = 1024
STRETCH = 1 << 21  # samples of a long recording that are scored at a time
LOGITS = 1 << 18  # of which entropies are computed at a time: they stay in the cache
NO_WEIGHT = np.float32(-200)  # exp of it is 0 in float32


class Scores(NamedTuple):
    """Samples under a model.

    nats      float32 (n,): -ln p of each
    expected  float32 (n,): the entropy of the distribution that each is an outcome of, in nats;
              None unless asked for
    """

    nats: npt.NDArray[np.float32]
    expected: npt.NDArray[np.float32] | None


def score(
    model: Model,
    samples: npt.ArrayLike,
    *,
    sample_rate: int | None = None,
    frames: npt.ArrayLike | None = None,
    speaker: Speaker | None = None,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """The surprise of each sample after the first: float32 (n - 1,), in nats.

    samples: (n,), codes or audio.  sample_rate: Hz of the audio; another one than the model's is
    refused.  Row t is -ln p(sample t + 1 | samples up to t); uniform guessing has ln(levels).
    A model whose start code is fed as a sample of its own (`model.spec.start`) predicts the first
    one too: then there are n rows, and row t is that of sample t.
    frames, speaker: as in `Generator.prime`, of all samples.  progress: as in `Generator.generate`.
    threads: number of parts of the recording that are scored at the same time, at most.  The
    result does not depend on it.
    """
    check_rate(sample_rate, check_model(model).sample_rate)
    isa = resolve_isa(isa)
    codes = with_start(model.spec, to_codes(samples, model.spec, isa).codes)  # (1, n)
    steps = max(codes.shape[1] - 1, 0)
    at, speakers = int(not model.spec.start.fed), speaker_rows(model.spec, speaker, None)
    given = check_frames(model.spec, frames, speakers, samples=steps, at=at)
    threads = integer("threads", threads, 1, MAX_THREADS)
    return _scores(model, isa, codes, given, threads, progress).nats


def _scores(
    model: Model,
    isa: Isa,
    codes: np.ndarray,
    frames: Frames,
    threads: int,
    progress: Progress | None,
    expected: bool = False,
) -> Scores:
    """`score` of codes (1, n), with the start code if that is fed, and entropies if `expected`."""
    steps = max(codes.shape[1] - 1, 0)
    entropy = np.empty(steps, np.float32) if expected else None
    recording = _Recording(model, isa, codes, frames, np.empty((1, steps), np.float32), entropy)
    ends = part_ends(steps, threads, model.spec.receptive_field)
    tally = _Tally(steps, progress)
    if len(ends) == 2:
        recording.score_part(0, steps, tally)
    else:
        _score_at_once(recording, ends, tally)
    return Scores(np.negative(recording.logp[0], out=recording.logp[0]), entropy)


def outputs(
    model: Model,
    samples: npt.ArrayLike,
    *,
    sample_rate: int | None = None,
    frames: npt.ArrayLike | None = None,
    speaker: Speaker | None = None,
    isa: Isa | None = None,
) -> npt.NDArray[np.float32]:
    """The network's logits, float32 (n, levels); row t predicts sample t + 1.

    A model whose start code is fed has n + 1 rows, and row t predicts sample t.
    Arguments as in `score`; after the last frame its features are held.
    """
    check_rate(sample_rate, check_model(model).sample_rate)
    isa = resolve_isa(isa)
    codes = with_start(model.spec, to_codes(samples, model.spec, isa).codes)
    at, speakers = int(not model.spec.start.fed), speaker_rows(model.spec, speaker, None)
    steps = max(codes.shape[1] - 1, 0)  # the last output is of no given sample
    given = check_frames(model.spec, frames, speakers, samples=steps, at=at)
    return teacher_forced(model, isa, codes, given, started=model.spec.start.fed)[0]


def with_start(spec: WaveNetSpec, codes: np.ndarray) -> np.ndarray:
    """Codes (rows, n), after the start code if that is a sample of its own."""
    if not spec.start.fed:
        return codes
    return np.pad(codes, ((0, 0), (1, 0)), constant_values=spec.start.code)


def teacher_forced(
    model: Model, isa: Isa, codes: np.ndarray, frames: Frames, *, started: bool = False
) -> npt.NDArray[np.float32]:
    """Logits float32 (rows, n, levels) of codes (rows, n); [:, t] predicts sample t + 1.

    started: whether the first code is the start code, fed as often as the model has it.
    """
    rows, n = codes.shape
    logits = np.empty((rows, n, model.spec.levels), np.float32)
    if n == 0:
        return logits
    session = Session(model, isa, rows)
    if not started:
        session.begin(codes[:, 0])
    following = np.roll(codes, -1, axis=1)  # the successor of the last sample has no effect
    for start, length in session.chunks(n):
        now = slice(start, start + length)
        forced, part = np.ascontiguousarray(following[:, now], np.uint16), logits[:, now]
        made = part if part.flags.carray else np.empty(part.shape, np.float32)
        session.run(start, length, frames, forced=forced, logits=made)
        if made is not part:
            part[...] = made
    return logits


def total_nats(
    model: Model,
    codes: np.ndarray,
    *,
    frames: npt.ArrayLike | None = None,
    speaker: Speaker | None = None,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> float:
    """The sum of `score` over a recording; arguments as in `scores_in_stretches`."""
    stretches = scores_in_stretches(
        model,
        codes,
        frames=frames,
        speaker=speaker,
        isa=isa,
        threads=threads,
        progress=progress,
    )
    return sum((float(scores.nats.sum(dtype=np.float64)) for scores in stretches), 0.0)


def scores_in_stretches(
    model: Model,
    codes: np.ndarray,
    *,
    frames: npt.ArrayLike | None = None,
    speaker: Speaker | None = None,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
    expected: bool = False,
) -> Iterator[Scores]:
    """The rows of `score`, at most STRETCH at a time.

    Memory beside the arguments does not grow with the recording.
    codes: (n,); expected: with entropies; other arguments as in `score`.
    """
    isa = resolve_isa(isa)
    codes = with_start(model.spec, codes[None])
    steps, at = max(codes.shape[1] - 1, 0), int(not model.spec.start.fed)
    speakers = speaker_rows(model.spec, speaker, None)
    given = check_frames(model.spec, frames, speakers, samples=steps, at=at)
    threads = integer("threads", threads, 1, MAX_THREADS)
    for start in range(0, steps, STRETCH):
        begin = max(0, start + 1 - model.spec.receptive_field)  # the first step that matters
        stretch = codes[:, begin : start + STRETCH + 1]
        report = progress and _of_all(progress, begin, start, steps)
        here = given._replace(at=at + begin)
        scores = _scores(model, isa, stretch, here, threads, report, expected)
        entropy = None if scores.expected is None else scores.expected[start - begin :]
        yield Scores(scores.nats[start - begin :], entropy)


def _of_all(progress: Progress, begin: int, start: int, steps: int) -> Progress:
    """The progress of a stretch that begins at `begin`, whose steps from `start` on count."""
    return lambda done, _: progress(max(begin + done, start), steps)


# ---- parts of a recording at the same time -----------------------------------------------------


def part_ends(steps: int, threads: int, receptive_field: int) -> list[int]:
    """Ends of at most `threads` parts of steps [0, steps), the first of them 0.

    A part has at least as many steps as the receptive field, with which it is primed first.
    """
    parts = min(threads, max(1, steps // receptive_field))
    return [steps * i // parts for i in range(parts)] + [steps]


class _Tally:
    """Counts the steps of all parts, and reports them to `progress` from the calling thread."""

    def __init__(self, steps: int, progress: Progress | None):
        self.steps, self.progress = steps, progress
        self.done, self.reported = 0, 0
        self.lock = threading.Lock()
        self.caller = threading.get_ident()
        self.stopped = False

    def add(self, steps: int) -> None:
        """Raises CancelledError if another part has failed."""
        if self.stopped:
            raise CancelledError
        with self.lock:
            self.done += steps
        if threading.get_ident() == self.caller:
            self.report()

    def report(self) -> None:
        if self.progress is not None and self.done > self.reported:
            self.reported = self.done
            self.progress(self.reported, self.steps)


@dataclass
class _Recording:
    """Codes (1, n) to score.

    logp     float32 (1, n - 1), receives ln p of all but the first
    entropy  float32 (n - 1,), receives the entropies; None: they are not computed
    """

    model: Model
    isa: Isa
    codes: np.ndarray
    frames: Frames
    logp: np.ndarray
    entropy: np.ndarray | None = None

    def score_part(self, first: int, end: int, tally: _Tally) -> None:
        """Steps [first, end), after priming with the receptive field before them."""
        if first == end:
            return
        begin = max(0, first - self.model.spec.receptive_field + 1)
        session = Session(self.model, self.isa)
        if not self.model.spec.start.fed or self.frames.at + begin:  # not at the start code
            session.begin(self.codes[:, begin])
        for start, n in session.chunks(first - begin):
            self._run(session, begin + start, n)
            tally.add(0)
        for start, n in session.chunks(end - first):
            self._score(session, first + start, n)
            tally.add(n)

    def _score(self, session: Session, start: int, n: int) -> None:
        """Steps [start, start + n)."""
        if self.entropy is None:
            self._run(session, start, n, logp=self.logp[:, start : start + n])
            return
        levels = self.model.spec.levels
        most = max(1, LOGITS // levels)
        buffer = np.empty((1, min(n, most), levels), np.float32)
        for begin in range(start, start + n, most):
            length = min(most, start + n - begin)
            now, logits = slice(begin, begin + length), buffer[:, :length]
            self._run(session, begin, length, logp=self.logp[:, now], logits=logits)
            self.entropy[now] = entropies(logits[0])

    def _run(
        self,
        session: Session,
        start: int,
        n: int,
        logp: np.ndarray | None = None,
        logits: np.ndarray | None = None,
    ) -> None:
        forced = self.codes[:, start + 1 : start + 1 + n].astype(np.uint16)
        session.run(start, n, self.frames, forced=forced, logp=logp, logits=logits)


def entropies(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The entropy of the softmax of each row of logits (rows, levels), in nats: float32 (rows,)."""
    with np.errstate(all="ignore"):  # differences may overflow, and weights become 0
        shifted = logits - logits.max(axis=1, keepdims=True)
        np.maximum(shifted, NO_WEIGHT, out=shifted)  # no infinity times 0
        weights = np.exp(shifted)
        total = weights.sum(axis=1)
        return np.log(total) - np.multiply(weights, shifted, out=shifted).sum(axis=1) / total


def _score_at_once(recording: _Recording, ends: list[int], tally: _Tally) -> None:
    """Scores the parts between `ends` in a thread each; an exception of one ends all."""
    process = os.getpid()
    with ThreadPoolExecutor(len(ends) - 1) as pool:
        try:
            parts = itertools.pairwise(ends)
            futures = [pool.submit(recording.score_part, *part, tally) for part in parts]
            for future in futures:
                while not future.done():
                    if os.getpid() != process:
                        raise RuntimeError("the process forked: the threads that score are gone")
                    wait([future], LOOK_SECONDS)
                    tally.report()
                future.result()
            tally.report()  # also where all parts ended before the first look
        finally:
            tally.stopped = True
