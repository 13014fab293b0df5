"""Recordings made again: by a codec, from their mel frames without a network, and by a vocoder."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np

from . import sound_quality as quality
from .arrays import float_audio, to_float32
from .ends import FrameConditioning
from .griffin_lim import griffin_lim
from .mel_conventions import Mel
from .mel_matching import matched_noise
from .model import Model
from .mulaw import mu_law_decode, mu_law_encode
from .scoring import score
from .session import speaker_rows
from .spec import WaveNetSpec
from .tuning_table import described
from .types import Audio, Isa, Precision
from .vocoding import frames_of_sound, vocode


def check_takes_frames(spec: WaveNetSpec) -> FrameConditioning:
    """The conditioning of a model that can be evaluated.  Raises ValueError for another one."""
    end = spec.conditioning
    if end is None or not end.channels:
        raise ValueError(
            "the model takes no frames, so its sound follows no recording: `fastwavenet score` "
            "measures its nats per sample, `fastwavenet tune` its likeness to recordings"
        )
    return end


# ---- recordings --------------------------------------------------------------------------------


class Original(NamedTuple):
    """A recording of whole frames.

    audio    float32 (n,), n = count x hop
    frames   float32 (count, channels)
    speaker  index; None: the model has none
    contour  of its pitch
    """

    audio: Audio
    frames: Audio
    speaker: int | None
    contour: quality.Contour


def originals_of(model: Model, recordings: Any, frames: Any, speaker: Any) -> list[Original]:
    """Raises ValueError or TypeError as `evaluate`."""
    in_list = isinstance(recordings, (list, tuple))
    each = list(recordings) if in_list else [recordings]
    if not each:
        raise ValueError("expected at least one recording, found none")
    given = [None] * len(each)
    if frames is not None:
        given = list(frames) if in_list else [frames]
    if len(given) != len(each):
        raise ValueError(f"frames must be those of each of {len(each)} recordings: {len(given)}")
    rows = speaker_rows(model.spec, speaker, len(each) if in_list else None)
    speakers = [None] * len(each) if rows is None else [int(row) for row in rows]
    return [_original(model, *one) for one in zip(each, given, speakers, strict=True)]


def _original(model: Model, audio: Any, frames: Any, speaker: int | None) -> Original:
    samples = to_float32(float_audio(audio))
    end = check_takes_frames(model.spec)
    if frames is not None and np.ndim(frames) != 2:
        raise ValueError(f"frames must have shape (frames, channels), not {np.shape(frames)}")
    found = frames_of_sound(model, samples if frames is None else np.asarray(frames))
    whole = len(samples) // end.hop
    if not whole:
        raise ValueError(
            f"a recording has {len(samples)} samples, expected at least a frame of {end.hop}"
        )
    if len(found) < whole:
        raise ValueError(
            f"{len(samples)} samples with hop {end.hop} need at least {whole} frames, "
            f"not {len(found)}"
        )
    kept = samples[: whole * end.hop]
    contour = quality.contour(kept, model.sample_rate)
    return Original(kept, found[:whole], speaker, contour)


# ---- contenders --------------------------------------------------------------------------------

Report = Callable[[int], object]  # takes the number of samples made


class Nats(NamedTuple):
    """The surprise of a recording: of all samples that are predicted, and their number."""

    total: float
    samples: int


class Options(NamedTuple):
    """Arguments of `evaluate`, checked.

    samplings   keywords of `vocode`, by the row's words
    iterations  of Griffin-Lim
    passes      of mel matching
    """

    samplings: dict[str, dict[str, float]]
    iterations: list[int]
    passes: list[int]
    seed: int
    batch: int
    isa: Isa
    threads: int


@dataclass(frozen=True)
class Contender:
    """A way to make recordings again.

    make   recordings to sounds of the same lengths
    nats   of the recording of a number; None: it predicts none
    timed  whether its duration counts
    """

    name: str
    make: Callable[[list[Original], Report], list[Audio]]
    nats: Callable[[int, Original], Nats] | None = None
    timed: bool = True


def contenders(model: Model, precisions: list[Precision], options: Options) -> Iterator[Contender]:
    spec, end = model.spec, check_takes_frames(model.spec)
    yield Contender("the recording itself", _themselves, timed=False)
    yield Contender(_codec_name(spec), functools.partial(_by_codec, spec), timed=False)
    for count in dict.fromkeys(options.iterations) if end.mel is not None else ():
        make = functools.partial(_by_griffin_lim, end, count, options.seed)
        yield Contender(f"Griffin-Lim, {count} iterations", make)
    for passes in filter(None, options.passes):
        make = functools.partial(_by_matched_noise, end, passes, options.seed)
        yield Contender(f"noise{_matched_by(passes)}", make)
    for precision in dict.fromkeys(precisions):
        voice = _Voice(model, precision, options)
        for (words, sampling), passes in itertools.product(
            options.samplings.items(), options.passes
        ):
            make = functools.partial(voice.sounds, sampling, passes)
            yield Contender(f"{precision}, {words}{_matched_by(passes)}", make, voice.nats)


def _themselves(originals: list[Original], report: Report) -> list[Audio]:
    return [each.audio for each in originals]


def _codec_name(spec: WaveNetSpec) -> str:
    emphasis = spec.codec.pre_emphasis
    with_it = f", pre-emphasis {emphasis:g}" if emphasis else ""
    return f"codec alone ({spec.levels} levels{with_it})"


def _by_codec(spec: WaveNetSpec, originals: list[Original], report: Report) -> list[Audio]:
    coded = [mu_law_encode(each.audio, spec.levels, codec=spec.codec) for each in originals]
    return [mu_law_decode(codes, spec.levels, codec=spec.codec) for codes in coded]


def _by_griffin_lim(
    end: FrameConditioning, iterations: int, seed: int, originals: list[Original], report: Report
) -> list[Audio]:
    """By the mel levels of the frames, which pitch may follow."""
    mel, made = cast(Mel, end.mel), 0
    sounds = []
    for each in originals:
        sounds.append(griffin_lim(each.frames[:, : mel.mels], mel, iterations, seed))
        made += len(each.audio)
        report(made)
    return sounds


def _matched_by(passes: int) -> str:
    return f", matched {passes} x" if passes else ""


def _by_matched_noise(
    end: FrameConditioning, passes: int, seed: int, originals: list[Original], report: Report
) -> list[Audio]:
    """The part of the network's matched sound that is the matching's."""
    mel, made = cast(Mel, end.mel), 0
    sounds = []
    for each in originals:
        sounds.append(matched_noise(each.frames[:, : mel.mels], mel, passes=passes, seed=seed))
        made += len(each.audio)
        report(made)
    return sounds


class _Voice:
    """The model in a precision, packed when it is needed."""

    def __init__(self, model: Model, precision: Precision, options: Options):
        self.given, self.precision, self.options = model, precision, options
        self.known: dict[int, Nats] = {}  # number of a recording -> its nats

    @functools.cached_property
    def model(self) -> Model:
        if self.precision == self.given.precision:
            return self.given
        return Model(self.given.spec, self.given.weights, self.precision)

    def sounds(
        self, sampling: dict[str, float], passes: int, originals: list[Original], report: Report
    ) -> list[Audio]:
        speakers = [each.speaker for each in originals if each.speaker is not None]
        return vocode(
            self.model,
            [each.frames for each in originals],
            speaker=speakers or None,
            temperature=sampling.get("temperature"),
            min_p=sampling.get("min_p"),
            match=passes,
            seed=self.options.seed,
            batch=self.options.batch,
            isa=self.options.isa,
            threads=self.options.threads,
            progress=lambda done, _total: report(done),
        )

    def nats(self, number: int, original: Original) -> Nats:
        """By `score`; they do not depend on the sampling."""
        if number not in self.known:
            each = score(
                self.model,
                original.audio,
                frames=original.frames,
                speaker=original.speaker,
                isa=self.options.isa,
            )
            self.known[number] = Nats(float(each.sum(dtype=np.float64)), len(each))
        return self.known[number]


def several(values: Any) -> list[Any]:
    """A list of values, or of one value."""
    return list(values) if np.ndim(values) else [values]


def samplings_of(spec: WaveNetSpec, temperature: Any, min_p: Any) -> dict[str, dict[str, float]]:
    """Sampling in words -> keywords of `vocode`: all combinations.  Raises as `own_sampling`."""
    lists = {"temperature": temperature, "min_p": min_p}
    named = [
        [(key, value) for value in several(values)]
        for key, values in lists.items()
        if values is not None
    ]
    found: dict[str, dict[str, float]] = {}
    for pairs in itertools.product(*named):
        given = dict(pairs)
        chosen = spec.own_sampling(given.get("temperature"), None, given.get("min_p"))
        found.setdefault(described(chosen), given)
    return found
