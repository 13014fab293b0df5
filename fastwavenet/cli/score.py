"""fastwavenet score: how well a model predicts recordings, and where it does not."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..audio_finding import Found
from ..model import Model
from ..scoring import scores_in_stretches
from ..shown import shown
from ..types import Audio
from ..unusual import SurpriseSums
from .arguments import add_command, add_precision, path
from .conditioning import add_frames, add_speaker, speaker_of
from .models import MODEL, load_model
from .recordings import (
    CodedRecording,
    frames_of_recordings,
    read_recordings,
    search_recordings,
)
from .report import Report
from .shards import add_shard, report_empty
from .unusual import OPTIONS, Listening, add_frame_options


@dataclass(frozen=True)
class Scored:
    """nats: the mean over the samples after the file's first; left_out: as in recordings.py."""

    file: Path
    samples: int
    nats: float
    left_out: int = 0

    @property
    def bits(self) -> float:
        return self.nats / math.log(2)


class Given(NamedTuple):
    """Frames of the one recording, if they are not its own, and the speaker of all."""

    frames: Audio | None
    speaker: int | None


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "say how surprising recordings are to a model, in nats and bits per sample",
        "fastwavenet score voice.safetensors held-out/",
    )
    option("model", type=path, help=MODEL)
    option("sources", type=path, nargs="+", metavar="SOURCE", help="audio file, or folder of them")
    option("--convert", action="store_true", help="mix down and resample what needs it")
    add_shard(option, "recordings")
    add_frames(option, "frames (frames, channels) of one recording, instead of its own mel frames")
    add_speaker(option)
    add_precision(option)
    option("--isa", help="instruction set to use; changes the speed only")
    option(
        "--threads",
        type=int,
        default=1,
        metavar="N",
        help="score parts of a recording on N cores; changes the speed only (%(default)s)",
    )
    add_frame_options(option)


def run(arguments: argparse.Namespace) -> int:
    model, report = load_model(arguments.model, arguments.precision), Report(arguments)
    frames = frames_of_recordings(arguments.frames, model.spec, arguments.sources)
    given = Given(frames, speaker_of(model.spec, arguments.speaker))
    in_frames = any(getattr(arguments, name) is not None for name in OPTIONS)
    listening = Listening(arguments, model) if in_frames else None
    searches = search_recordings(arguments.sources, arguments.shard)
    work = _Work(model, given, arguments, report, listening)
    if listening is not None:
        normal = [] if arguments.normal is None else search_recordings([arguments.normal])
        listening.check_outputs(searches, normal)
        work.learn(listening, normal)
    scored = [each for search in searches for each in work.score(search)]
    if not scored:
        return report_empty(arguments.shard, "usable recordings", report, files=[])
    if listening is not None:
        listening.write()
    _report(model, scored, listening, report)
    return 0


class _Work:
    """The recordings of a call."""

    def __init__(
        self,
        model: Model,
        given: Given,
        arguments: argparse.Namespace,
        report: Report,
        listening: Listening | None,
    ):
        self.model, self.given, self.arguments, self.report = model, given, arguments, report
        self.listening = listening

    def learn(self, listening: Listening, normal: list[Found]) -> None:
        """Measures the threshold on the normal recordings, if there are some.

        Those shorter than a frame are left out: the mean of a few samples may be anything.
        """
        if not normal:
            return
        each, convert = [], self.arguments.convert
        for search in normal:
            for recording in read_recordings(search, self.model.spec, convert, self.report):
                if len(recording.codes) < listening.hop:
                    self.report.warn(f"{shown(recording.file)}: shorter than a frame: left out")
                    continue
                each.append(listening.sums())
                self._nats(recording, each[-1])
        listening.learn(each)
        remark = listening.few()
        if remark is not None:
            self.report.warn(remark)

    def score(self, search: Found) -> Iterator[Scored]:
        every, listening = self.arguments.shard.is_whole, self.listening
        for recording in read_recordings(
            search, self.model.spec, self.arguments.convert, self.report, self.given.frames, every
        ):
            file, codes = recording.file, recording.codes
            sums = None if listening is None else listening.sums()
            nats = self._nats(recording, sums)
            if listening is not None and sums is not None:
                listening.add(file, codes, sums)
            samples = len(codes) - (not self.model.spec.start.fed)
            scored = Scored(file, samples, nats / samples, recording.left_out)
            self.report.part(f"{scored.nats:.4f} nats  {scored.bits:.4f} bits  {shown(file)}")
            yield scored

    def _nats(self, recording: CodedRecording, sums: SurpriseSums | None) -> float:
        """The nats of all samples, which are added to `sums` too."""
        total = 0.0
        name = f"{shown(Path(recording.file.name))} "
        with self.report.progress(self.model.sample_rate, name) as progress:
            for scores in scores_in_stretches(
                self.model,
                recording.codes,
                frames=recording.frames,
                speaker=self.given.speaker,
                isa=self.arguments.isa,
                threads=self.arguments.threads,
                progress=progress,
                expected=sums is not None,
            ):
                total += float(scores.nats.sum(dtype=np.float64))
                if sums is not None:
                    sums.add(scores)
        return total


def _report(
    model: Model, scored: list[Scored], listening: Listening | None, report: Report
) -> None:
    total, left_out = sum(s.samples for s in scored), sum(s.left_out for s in scored)
    every = Scored(Path("all"), total, sum(s.samples * s.nats for s in scored) / total)
    files = [_values(s) for s in scored]
    values: dict[str, object] = {
        "precision": model.precision,
        "files": files,
        "all": _values(every),
        "samples_left_out": left_out,
    }
    lines = [
        f"{every.nats:.4f} nats, {every.bits:.4f} bits per sample over {len(scored)} "
        f"file{'s' if len(scored) > 1 else ''}, {total:,} samples, "
        f"{total / model.sample_rate / 60:.2f} min",
        f"(in {model.precision}; guessing costs {math.log(model.spec.levels):.4f} nats)",
    ]
    if left_out:
        lines.append(f"({left_out:,} samples behind last whole frames are left out)")
    if listening is not None:
        values |= listening.values()
        for of_file, heard in zip(files, listening.heard, strict=True):
            of_file |= listening.values_of(heard)
        lines += listening.table()
        lines += [f"{shown(file)}: written" for file in listening.written]
    report.result(values, *lines)


def _values(scored: Scored) -> dict[str, object]:
    return {
        "file": str(scored.file),
        "samples": scored.samples,
        "nats_per_sample": scored.nats,
        "bits_per_sample": scored.bits,
    }
