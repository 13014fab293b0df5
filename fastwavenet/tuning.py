"""Sampling by measure: temperature, top_k and min_p with which a model sounds like recordings.

A candidate generates short sounds: after pieces of held-out recordings, and from nothing; or, for a
vocoder, from their frames.  Long-term spectrum, levels, share of silence and flatness are compared
with those of the recordings.  All candidates have the same random numbers, so that a call with the
same arguments has the same result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .checks import integer, within
from .ends import Sampling
from .generator import Generator
from .held_out import Pieces, Recording, check_amount, cuts_of, pieces_of, recording_of
from .instruction_sets import isa as resolve_isa
from .likeness import Likeness, Reference
from .model import Model, check_model
from .session import Progress
from .spec import WaveNetSpec
from .tuning_search import MOST_TRIED, PLAIN, search
from .types import Audio, Isa, Speaker

GAIN = 0.1  # of PLAIN's score, by which another one is better at least
FINALISTS = 2  # of the candidates, which are measured beside PLAIN on all pieces, others on half
ONSET_SECONDS = 0.5  # of sound from nothing: recordings begin with a pause too
SMALL_MACS = 230_000  # per sample of a model for which a candidate gets MOST_SECONDS by default
MOST_SECONDS, FEWEST_SECONDS = 48.0, 16.0
MAX_SECONDS = 3600.0
MAX_THREADS = 1024
SEED = 0


@dataclass(frozen=True)
class Candidate:
    """A sampling and the sound that it makes.

    seconds   of that sound
    likeness  to the recordings
    """

    sampling: Sampling
    seconds: float
    likeness: Likeness


@dataclass(frozen=True)
class Tuning:
    """The result of `tune`.

    sampling    the best: PLAIN, temperature 1 without limits, unless another one's score is better
                by a tenth, and better too on fresh pieces, which it was not chosen by
    fresh       scores on those of PLAIN and of the best other one
    recordings  silent share and flatness of the recordings
    candidates  in the order of their measurement; those with the most seconds decided.  Each has
                its sampling, the seconds of sound that it made, and its likeness to the recordings:
                spectrum and level (differences in dB), silent (share of frames), flatness, log_mel
                (of sounds by the recordings' frames, else NaN) and the score, lower is better
    """

    sampling: Sampling
    fresh: tuple[float, float]
    recordings: tuple[float, float]
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        return self.of(self.sampling)

    @property
    def plain(self) -> Candidate:
        return self.of(PLAIN)

    def of(self, sampling: Sampling) -> Candidate:
        """The candidate with this sampling.  Raises StopIteration without one."""
        return next(each for each in self.candidates if each.sampling == sampling)


def tune(
    model: Model,
    recordings: npt.ArrayLike | Sequence[npt.ArrayLike],
    *,
    frames: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
    speaker: Speaker | Sequence[Speaker] | None = None,
    sample_rate: int | None = None,
    seconds: float | None = None,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Tuning:
    """The sampling with which a model sounds most like recordings that it was not trained on.

    recordings: audio or codes (n,) as in `score`, or a list or tuple of them; a minute is good.
    frames: of the recording, or of each of a list; None: the mel frames of the audio, if the model
    takes those.  speaker: of all, or one for each recording of a list.  sample_rate: Hz of audio,
    to be compared with the model's.
    seconds: of sound for each candidate that decides, from 4; half of it for others.  None: by
    the size of the model, so that a search takes about half a minute on one core for `small`.
    threads: cores to use.  The result depends on neither `threads` nor `isa`.
    progress(done, total) is called after each candidate, in samples; `total` is the most that there
    may be.  An exception that it raises ends the call.
    Raises ValueError for too little or silent audio, stating the amount needed, and as `score`.
    """
    spec, isa = check_model(model).spec, resolve_isa(isa)
    threads = integer("threads", threads, 1, MAX_THREADS)
    given = _each(recordings, frames, speaker)
    held_out = [recording_of(spec, *each, sample_rate, isa) for each in given]
    return tune_on(model, held_out, seconds=seconds, isa=isa, threads=threads, progress=progress)


def tune_on(
    model: Model,
    recordings: Sequence[Recording],
    *,
    seconds: float | None = None,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Tuning:
    """`tune` on recordings that are checked."""
    check_amount(model.spec, recordings)
    seconds = default_seconds(model.spec) if seconds is None else check_seconds(seconds)
    return _Tuner(model, recordings, seconds, resolve_isa(isa), threads, progress).run()


def check_seconds(seconds: object) -> float:
    """`seconds` of `tune`.  Raises TypeError for no number, ValueError out of bounds."""
    return within("seconds", seconds, 4, MAX_SECONDS, wrong_type=TypeError)


def default_seconds(spec: WaveNetSpec) -> float:
    """Of sound for each candidate that decides."""
    share = MOST_SECONDS * SMALL_MACS / spec.macs_per_sample
    return float(round(min(max(share, FEWEST_SECONDS), MOST_SECONDS)))


Given = tuple[npt.ArrayLike, npt.ArrayLike | None, Speaker | None]


def _each(recordings: Any, frames: Any, speaker: Any) -> list[Given]:
    """Each recording with its frames and speaker.  Raises ValueError for other numbers of them."""
    if not isinstance(recordings, (list, tuple)) or np.ndim(recordings[:1]) < 2:
        return [(recordings, frames, speaker)]
    count = len(recordings)
    of_frames = [None] * count if frames is None else list(frames)
    one = speaker is None or isinstance(speaker, (str, int, np.integer))
    speakers = [speaker] * count if one else list(speaker)
    for name, found in (("frames", of_frames), ("speaker", speakers)):
        if len(found) != count:
            raise ValueError(f"{name} must be one for each of {count} recordings: {len(found)}")
    return list(zip(recordings, of_frames, speakers, strict=True))


class _Tuner:
    """All candidates of a model, and the sounds that they have made.

    all          recordings beside which sounds of all pieces are judged; with frames, the pieces
    some         those for sounds of the first half of the pieces
    made         sampling -> sounds float32 (rows, n) of each group, of the first rows of `pieces`
    done, total  samples made, and the most that may be
    """

    def __init__(
        self,
        model: Model,
        recordings: Sequence[Recording],
        seconds: float,
        isa: Isa,
        threads: int,
        progress: Progress | None,
    ):
        self.model, self.isa, self.threads, self.progress = model, isa, threads, progress
        self.framed = recordings[0].frames is not None
        self.groups = (False,) if self.framed else (False, True)  # whether they are primed
        self.pieces = pieces_of(model.spec, recordings, seconds / len(self.groups))
        self.rows = len(self.pieces.audio)
        real = self.pieces.audio if self.framed else cuts_of(model.spec, recordings)
        self.all = self.some = Reference(real, model.sample_rate, self.framed)
        if self.framed:
            self.some = Reference(real[: self.rows // 2], model.sample_rate, paired=True)
        self.onset = 0 if self.framed else round(ONSET_SECONDS * model.sample_rate)
        self.made: dict[Sampling, list[Audio]] = {}
        self.tried: dict[Sampling, Candidate] = {}
        self.done = 0
        self.total = (MOST_TRIED + 1 + FINALISTS) * self._samples(self.rows // 2)

    def run(self) -> Tuning:
        spec, half = self.model.spec, self.rows // 2
        voicing = spec.conditioning.voicing if spec.conditioning else None
        ranked = search(self._screened, spec.levels, voicing)
        finalists = [PLAIN, *[each for each in ranked if each != PLAIN][:FINALISTS]]
        self.total = self.done + len(finalists) * self._samples(self.rows - half)
        for sampling in finalists:
            more = self._make(sampling, slice(half, self.rows))
            both = zip(self.made[sampling], more, strict=True)
            self.made[sampling] = [np.concatenate(pair) for pair in both]
            self._judge(sampling)
        best, fresh = self._choose(finalists)
        own = self.all.own.silent, self.all.own.flatness
        return Tuning(best, fresh, own, tuple(self.tried.values()))

    def _screened(self, sampling: Sampling) -> float:
        """The score on the first half of the pieces."""
        self.made[sampling] = self._make(sampling, slice(self.rows // 2))
        return self._judge(sampling)

    def _judge(self, sampling: Sampling) -> float:
        made = self.made[sampling]
        reference = self.all if len(made[0]) == self.rows else self.some
        likeness = reference.compare(made)
        self.tried.pop(sampling, None)  # the order is that of the newest measurements
        seconds = sum(group.size for group in made) / self.model.sample_rate
        self.tried[sampling] = Candidate(sampling, seconds, likeness)
        return likeness.score

    def _choose(self, finalists: list[Sampling]) -> tuple[Sampling, tuple[float, float]]:
        """The best, or PLAIN if it is about as good; the scores of PLAIN and of the best other."""
        scores = {sampling: self.tried[sampling].likeness.score for sampling in finalists}
        other = min(finalists[1:], key=scores.__getitem__)
        fresh = self._fresh(PLAIN), self._fresh(other)
        is_better = scores[other] <= (1 - GAIN) * scores[PLAIN] and fresh[1] < fresh[0]
        return (other if is_better else PLAIN), fresh

    def _fresh(self, sampling: Sampling) -> float:
        """The score on the second half of the pieces, which the search has not used."""
        fresh = slice(self.rows // 2, self.rows)
        beside = self.all
        if self.framed:
            beside = Reference(self.all.audio[fresh], self.model.sample_rate, paired=True)
        return beside.compare([made[fresh] for made in self.made[sampling]]).score

    # ---- generation ------------------------------------------------------------------------

    def _samples(self, rows: int) -> int:
        """Number of samples that a candidate makes for so many rows of pieces."""
        return rows * (len(self.groups) * self.pieces.audio.shape[1] + self.onset)

    def _make(self, sampling: Sampling, rows: slice) -> list[Audio]:
        """The sounds of a sampling for some rows: by frames; or from nothing, and primed."""
        spec = dataclasses.replace(self.model.spec, sampling=sampling)
        model = Model(spec, self.model.weights, self.model.precision)
        made = [self._generate(model, rows, primed) for primed in self.groups]
        self.done += self._samples(len(made[0]))
        if self.progress is not None:
            self.progress(self.done, self.total)
        return made

    def _generate(self, model: Model, rows: slice, primed: bool) -> Audio:
        """float32 (rows, n); row i of all has the random stream i, or behind all others if primed.

        What comes from nothing begins with an onset, which is not judged.
        """
        pieces, onset = self.pieces.rows(rows), 0 if primed else self.onset
        first = (rows.start or 0) + primed * self.rows
        parts = [
            _Part(model, pieces.rows(slice(at[0], at[-1] + 1)), first + int(at[0]), self.isa)
            for at in np.array_split(np.arange(len(pieces.audio)), self.threads)
            if len(at)
        ]
        made = _together(parts, primed, onset + pieces.audio.shape[1])
        return np.concatenate(made)[:, onset:]


class _Part:
    """Some rows of a candidate's sounds, which one thread makes."""

    def __init__(self, model: Model, pieces: Pieces, stream: int, isa: Isa):
        self.pieces = pieces
        self.generator = Generator(
            model,
            seed=SEED,
            stream=stream,
            batch=len(pieces.audio),
            speaker=pieces.speakers,
            isa=isa,
        )

    def run(self, primed: bool, n: int) -> Audio:
        if primed:
            self.generator.prime(self.pieces.before)
        return self.generator.generate(n, frames=self.pieces.frames)


def _together(parts: list[_Part], primed: bool, n: int) -> list[Audio]:
    """The sounds of all parts, each made in a thread; an exception ends all."""
    if len(parts) == 1:
        return [parts[0].run(primed, n)]
    with ThreadPoolExecutor(len(parts)) as pool:
        futures = [pool.submit(part.run, primed, n) for part in parts]
        try:
            return [future.result() for future in futures]
        except BaseException:  # Ctrl-C too
            for part in parts:
                part.generator.cancel(wait=False)
            raise
