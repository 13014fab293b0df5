"""Held-out quality: how near the sound of a vocoder comes to recordings, in numbers.

Each recording is cut to whole frames and made again: by the model's codec, by Griffin-Lim and by
mel matching of noise from its mel frames, and by the model in each precision and sampling.
sound_quality.py and sound_measures.py measure the results.  A recording's numbers depend on no
other recording.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import sound_quality as quality
from .checks import integer
from .instruction_sets import isa as resolve_isa
from .likeness import plain_mel
from .model import Model, check_model
from .precision import resolve_precision
from .resynthesis import (
    Contender,
    Nats,
    Options,
    Original,
    check_takes_frames,
    contenders,
    originals_of,
    samplings_of,
    several,
)
from .samples import check_rate
from .session import Progress
from .sound_measures import flatness, log_mel_distance, silent_share
from .types import AskedPrecision, Audio, Isa, Speaker
from .vocoding import MAX_BATCH, passes_of

ITERATIONS = (32, 200)  # of Griffin-Lim
MAX_ITERATIONS = 10_000


@dataclass(frozen=True)
class Quality:
    """Measures of sound beside the recording whose frames it was made from.

    A number is NaN where nothing is left to measure.  Of several recordings it is the mean, but
    of all samples for the nats, and of all frames for the pitch.

    nats_per_sample  surprise of the recording's samples, as `score` has it; of models only
    log_spectral_db  log-spectral distance in dB (Gray and Markel, *Distance measures*, 1976);
                     windows of 2048 samples, hop 512
    log_mel          mean absolute difference of the mel frames (HiFi-GAN, 2020), by the model's
                     convention and in its units; of models of other frames, of ln of 80 bands up
                     to half the sample rate, windows of about 64 ms
    high_band_db     log-spectral distance of the frequencies from 4 kHz on, in dB
    pitch_cents      median absolute error of F0 in cents, of frames of 16 ms that are voiced in
                     both sounds
    above_50_cents   share, 0 to 1, of these frames with a larger error than 50 cents
    voicing_error    share of frames that are voiced in one of both only (Nakatani and others,
                     2008)
    estoi            predicted intelligibility, 0 to 1 (Jensen and Taal, 2016), by the package
                     pystoi; NaN without it, and for recordings below 0.4 s
    pesq_wb          predicted opinion score, 1.04 to 4.64, of the first 30 s (ITU-T P.862.2), by
                     the package pesq; NaN as for estoi
    silent_share     share of 20 ms of the sound below -55 dB of full scale
    flatness         spectral flatness of the sound's loud frames, 0 to 1 (Johnston, 1988); white
                     noise has 0.56
    """

    nats_per_sample: float
    log_spectral_db: float
    log_mel: float
    high_band_db: float
    pitch_cents: float
    above_50_cents: float
    voicing_error: float
    estoi: float
    pesq_wb: float
    silent_share: float
    flatness: float

    def to_dict(self) -> dict[str, float | None]:
        """For JSON: None for NaN."""
        return {name: _or_none(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Evaluation:
    """A row of `evaluate`: a way to make recordings again, and the quality of its sounds.

    name             of the way; different in each row
    quality          of all recordings
    recordings       the quality of each, in their order
    times_real_time  seconds of sound over the seconds that it took to make it from the frames; NaN
                     for the recording itself and for the codec
    """

    name: str
    quality: Quality
    recordings: tuple[Quality, ...]
    times_real_time: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON: name, the numbers of `quality`, times_real_time, `recordings`."""
        each = [of.to_dict() for of in self.recordings]
        speed = {"times_real_time": _or_none(self.times_real_time)}
        return {"name": self.name, **self.quality.to_dict(), **speed, "recordings": each}


def evaluate(
    model: Model,
    recordings: npt.ArrayLike | Sequence[npt.ArrayLike],
    *,
    frames: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
    speaker: Speaker | Sequence[Speaker] | None = None,
    sample_rate: int | None = None,
    precisions: AskedPrecision | Sequence[AskedPrecision] | None = None,
    temperature: float | Sequence[float] | None = None,
    min_p: float | Sequence[float] | None = None,
    griffin_lim: int | Sequence[int] = ITERATIONS,
    match: int | Sequence[int] | None = None,
    seed: int = 0,
    batch: int = 16,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
    row_done: Callable[[Evaluation, list[Audio]], object] | None = None,
) -> list[Evaluation]:
    """The quality of a vocoder's sound on recordings that it was not trained on.

    The rows: the recordings themselves, the model's codec alone, Griffin-Lim and noise with mel
    matching from the same mel frames, and the model in each precision with each sampling, without
    mel matching and with it.  The same arguments give the same
    numbers, `times_real_time` apart, and those of a recording depend on no other recording.

    recordings: audio (n,), float32 or float64 with full scale 1.0, of at least a frame, or a list
    or tuple of them.  Samples behind the last whole frame are left out.
    frames: (frames, channels) of the recording, or a list of those of each; None: the mel frames of
    the audio, if the model takes those.
    speaker: of all, or one for each recording of a list.  sample_rate: Hz of the audio, to be
    compared with the model's.
    precisions: as in `load`, one or several, a row for each; None: the model's.
    temperature, min_p: a number or several, whose combinations have a row each; None: the sampling
    of the model file.
    griffin_lim: iterations, one or several numbers, a row for each; without effect for models of
    other frames than mel.
    match: passes of `match_mel`, one or several numbers, a row for each with each sampling; None: 0
    and those of `vocode`.
    seed: of the model's samples, of Griffin-Lim's phases and of the noise.  batch: recordings that
    the model makes in step; with isa and threads, as in `vocode`, it changes the speed only.
    progress(done, total): samples made and measured, of all rows.  An exception ends the call.
    row_done(row, sounds) is called with each row when it is complete, and with its sounds, float32
    (n,) of each recording.
    Raises ValueError for a model that takes no frames, for a `match` as `vocode`, for recordings
    without a frame or of another rate, and for frames that do not fit; TypeError for other types.
    """
    spec = check_model(model).spec
    end = check_takes_frames(spec)
    check_rate(sample_rate, spec.sample_rate)
    asked = [model.precision] if precisions is None else several(precisions)
    named = [resolve_precision(name, model.precision_cost) for name in asked]
    asked_passes = [0, None] if match is None else several(match)
    options = Options(
        samplings=samplings_of(spec, temperature, min_p),
        iterations=[integer("griffin_lim", n, 1, MAX_ITERATIONS) for n in several(griffin_lim)],
        passes=list(dict.fromkeys(passes_of(end, n) for n in asked_passes)),
        seed=integer("seed", seed, 0, 2**64 - 1),
        batch=integer("batch", batch, 1, MAX_BATCH),
        isa=resolve_isa(isa),
        threads=integer("threads", threads, 1, 2),
    )
    originals = originals_of(model, recordings, frames, speaker)
    each = list(contenders(model, named, options))
    work = _Work(model, originals, len(each), progress)
    rows = []
    for contender in each:
        row, sounds = work.measured(contender)
        rows.append(row)
        if row_done is not None:
            row_done(row, sounds)
    return rows


# ---- rows --------------------------------------------------------------------------------------


class _Measured(NamedTuple):
    """A sound's quality, and the numbers behind it: nats, and errors of pitch in cents."""

    quality: Quality
    nats: Nats
    cents: npt.NDArray[np.float64]


class _Work:
    """All rows: recordings, and the samples that were made and measured of all that there are."""

    def __init__(
        self, model: Model, originals: list[Original], rows: int, progress: Progress | None
    ):
        self.originals, self.rate, self.progress = originals, model.sample_rate, progress
        self.mel = check_takes_frames(model.spec).mel or plain_mel(self.rate)
        self.samples = sum(len(each.audio) for each in originals)
        self.done, self.total = 0, 2 * rows * self.samples

    def measured(self, contender: Contender) -> tuple[Evaluation, list[Audio]]:
        """A row and its sounds."""
        nats = self._nats(contender)  # packs the model, which is no part of its speed
        began = time.perf_counter()
        sounds = contender.make(self.originals, self._report)
        seconds = time.perf_counter() - began
        self.done += self.samples
        each = []
        for original, sound, surprise in zip(self.originals, sounds, nats, strict=True):
            each.append(self._of_one(original, sound, surprise))
            self.done += len(sound)
            self._report(0)
        speed = self.samples / self.rate / seconds if contender.timed else math.nan
        every = tuple(of.quality for of in each)
        return Evaluation(contender.name, _of_all(each), every, speed), sounds

    def _nats(self, contender: Contender) -> list[Nats]:
        """Of each recording; without a sample, of contenders that predict none."""
        find = contender.nats
        if find is None:
            return [Nats(0.0, 0)] * len(self.originals)
        return [find(number, original) for number, original in enumerate(self.originals)]

    def _of_one(self, original: Original, sound: Audio, nats: Nats) -> _Measured:
        real, rate = original.audio, self.rate
        cents, voicing_error = quality.pitch_errors(original.contour, quality.contour(sound, rate))
        found = Quality(
            nats_per_sample=_per_sample([nats]),
            log_spectral_db=quality.log_spectral_distance(real, sound, rate),
            log_mel=log_mel_distance(real, sound, self.mel),
            high_band_db=quality.log_spectral_distance(real, sound, rate, quality.HIGH_BAND),
            pitch_cents=_median(cents),
            above_50_cents=_mean(cents > 50),
            voicing_error=voicing_error,
            estoi=quality.estoi(real, sound, rate),
            pesq_wb=quality.pesq_wb(real, sound, rate),
            silent_share=silent_share(sound, rate),
            flatness=flatness(sound),
        )
        return _Measured(found, nats, cents)

    def _report(self, made: int) -> None:
        """made: samples of the row."""
        if self.progress is not None:
            self.progress(self.done + made, self.total)


def _of_all(each: list[_Measured]) -> Quality:
    """The quality of all recordings; it does not depend on their order."""
    names = [field.name for field in dataclasses.fields(Quality)]
    means = {name: _mean([getattr(of.quality, name) for of in each]) for name in names}
    cents = np.concatenate([of.cents for of in each])
    means["nats_per_sample"] = _per_sample([of.nats for of in each])
    means["pitch_cents"], means["above_50_cents"] = _median(cents), _mean(cents > 50)
    return Quality(**means)


def _mean(values: npt.ArrayLike) -> float:
    """The mean of the numbers that are not NaN, rounded once: the same in any order."""
    array = np.asarray(values, np.float64)
    array = array[~np.isnan(array)]
    return math.fsum(array) / len(array) if len(array) else math.nan


def _per_sample(each: list[Nats]) -> float:
    samples = sum(of.samples for of in each)
    return math.fsum(of.total for of in each) / samples if samples else math.nan


def _median(values: npt.NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
