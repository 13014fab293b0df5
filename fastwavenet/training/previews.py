"""Previews: what the present weights generate, beside the held-out recording.

The C engine makes them in bfloat16, on one thread, with the same seed each time, so that only the
weights differ between two validations.  Training is not affected: nothing here uses PyTorch or its
random numbers.  The time they take is bounded, not their number: see `Previews.make`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..clips import Clip, excerpts
from ..generator import Generator
from ..model import Model
from ..mulaw import mu_law_decode
from ..shown import shown
from ..types import Audio, Precision
from .snapshot import Snapshot

PRECISION: Precision = (
    "bfloat16"  # twice as fast as float32, and within 0.001 nats per sample of it
)
SECONDS = 5.0  # of a preview, at most ...
SAMPLES = 120_000  # ... and so many samples, which bounds the size of the report
CONTEXT_SECONDS = 1.0  # of the recording, before its continuation
SHARE = 0.03  # of the training time, at most, after the first previews
LEAST_SECONDS = 5.0  # of computing, that the first and the last previews may take in a short run
MOST_SECONDS = 20.0  # of computing, for the previews of a validation: Ctrl-C waits for them
PIECES = 16  # of a preview, between which the time is looked at


@dataclass(frozen=True)
class Preview:
    """A sound that the network made.

    title     a noun phrase with the name of the recording's file
    audio     float32 (n,): `begins` samples of the recording, and those that were generated
    original  float32 (m,), the recording in its place; None if there is none
    """

    title: str
    audio: Audio
    begins: int
    original: Audio | None

    @property
    def generated(self) -> Audio:
        return self.audio[self.begins :]


Maker = Callable[[Model, Clip, int, float], Preview]  # of a clip, an index and a deadline


class Previews:
    """Makes `count` previews at a validation, where their time allows it.

    spent  seconds that all previews of this process took
    last   seconds that the newest ones took
    began  seconds of training at the first report of this process
    """

    def __init__(self, count: int):
        self.count = count
        self.spent = self.last = 0.0
        self.began: float | None = None

    def make(self, now: Snapshot) -> list[Preview]:
        """The previews of a validation, of the same clips and with the same seed each time.

        There are none if they would take more than SHARE of the time, except that the first ones of
        a process and those of the end of the run are always made.  Previews that take longer than
        they may are cut short.
        """
        if self.count == 0 or not now.is_new:
            return []
        due = self.began is None or now.spent >= 1
        if self.began is None:
            self.began = now.seconds
        left = SHARE * (now.seconds - self.began) - self.spent
        if not due and left < self.last:
            return []
        began = time.monotonic()
        allowed = min(max(left, LEAST_SECONDS), MOST_SECONDS)
        made = _make(now, self.count, began + allowed)
        self.last = time.monotonic() - began
        self.spent += self.last
        return made


def _make(now: Snapshot, count: int, deadline: float) -> list[Preview]:
    """At most `count` previews, each of which ends after an equal share of the time left."""
    model = Model(now.settings.spec, now.weights, PRECISION)
    kinds = _kinds(model, now.corpus.validation, count)
    began, made = time.monotonic(), list[Preview]()
    for index, (make, clip) in enumerate(kinds):
        end = began + (deadline - began) * (index + 1) / len(kinds)
        made.append(make(model, clip, index, end))
    return made


def _kinds(model: Model, clips: list[Clip], count: int) -> list[tuple[Maker, Clip]]:
    """The function that makes each preview, and its clip, the same ones in each process.

    A network with frames gets those of as many held-out clips.  Without frames previews are
    continuations of clips and sounds from silence in turn.
    """
    end = model.spec.conditioning
    if end is not None and end.channels:
        return [(_vocoded, clip) for clip in _spread(clips, count)]
    chosen = _spread(clips, -(-count // 2))
    kinds: list[tuple[Maker, Clip]] = []
    for index in range(count):
        clip = chosen[index // 2 % len(chosen)]
        primed = index % 2 == 0 and index // 2 < len(chosen)
        kinds.append((_continued if primed else _from_silence, clip))
    return kinds


def _spread(clips: list[Clip], count: int) -> list[Clip]:
    """At most `count` clips, evenly spaced."""
    count = min(count, len(clips))
    return [clips[i * len(clips) // count] for i in range(count)]


def _vocoded(model: Model, clip: Clip, index: int, deadline: float) -> Preview:
    most = _most_samples(model.sample_rate)
    part = excerpts([clip], most, most)[0]
    frames = np.asarray(part.frames, np.float32)
    pieces = np.array_split(frames, min(PIECES, len(frames)))
    made = _generator(model, clip, index).vocode(pieces)
    audio = _until(made, deadline)
    title = f"{_named(clip)}, from its frames"
    return Preview(title, audio, 0, _decoded(model, part.codes[:]))


def _continued(model: Model, clip: Clip, index: int, deadline: float) -> Preview:
    """The recording up to its middle, and what the network makes of the rest."""
    middle, rate = len(clip.codes) // 2, model.sample_rate
    context = min(middle, round(CONTEXT_SECONDS * rate))
    known = clip.codes[max(middle - max(context, model.spec.receptive_field), 0) : middle]
    gen = _generator(model, clip, index)
    gen.prime(known)
    made = _until(_pieces(gen, _most_samples(rate)), deadline)
    original = _decoded(model, clip.codes[middle - context : middle + len(made)])
    title = f"continuation of {_named(clip)}"
    return Preview(title, np.concatenate([original[:context], made]), context, original)


def _from_silence(model: Model, clip: Clip, index: int, deadline: float) -> Preview:
    gen = _generator(model, clip, index)
    audio = _until(_pieces(gen, _most_samples(model.sample_rate)), deadline)
    return Preview("from silence", audio, 0, None)


def _generator(model: Model, clip: Clip, index: int) -> Generator:
    return Generator(model, seed=0, stream=index, speaker=clip.speaker)


def _pieces(gen: Generator, n: int) -> Iterator[Audio]:
    return gen.stream(-(-n // PIECES), n)


def _until(pieces: Iterator[Audio], deadline: float) -> Audio:
    """The pieces that are made in time, at least one with samples."""
    made = list[Audio]()
    for piece in pieces:
        made.append(piece)
        if sum(map(len, made)) and time.monotonic() >= deadline:
            break
    return np.concatenate(made)


def _most_samples(sample_rate: int) -> int:
    return min(round(SECONDS * sample_rate), SAMPLES)


def _named(clip: Clip) -> str:
    return shown(Path(Path(clip.name).name))


def _decoded(model: Model, codes: np.ndarray) -> Audio:
    return mu_law_decode(codes, model.spec.levels, codec=model.spec.codec)
