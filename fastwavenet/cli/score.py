"""fastwavenet score: how well a model predicts recordings."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..audio_finding import Found
from ..model import Model
from ..scoring import total_nats
from ..shown import shown
from ..types import Audio
from .arguments import add_command, add_precision, path
from .conditioning import add_frames, add_speaker, speaker_of
from .models import MODEL, load_model
from .recordings import frames_of_recordings, read_recordings, search_recordings
from .report import Report
from .shards import add_shard, report_empty


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


def run(arguments: argparse.Namespace) -> int:
    model, report = load_model(arguments.model, arguments.precision), Report(arguments)
    frames = frames_of_recordings(arguments.frames, model.spec, arguments.sources)
    given = Given(frames, speaker_of(model.spec, arguments.speaker))
    scored = []
    for search in search_recordings(arguments.sources, arguments.shard):
        scored += _score_source(model, search, given, arguments, report)
    if not scored:
        return report_empty(arguments.shard, "usable recordings", report, files=[])
    total, left_out = sum(s.samples for s in scored), sum(s.left_out for s in scored)
    every = Scored(Path("all"), total, sum(s.samples * s.nats for s in scored) / total)
    report.result(
        {
            "precision": model.precision,
            "files": [_values(s) for s in scored],
            "all": _values(every),
            "samples_left_out": left_out,
        },
        f"{every.nats:.4f} nats, {every.bits:.4f} bits per sample over {len(scored)} "
        f"file{'s' if len(scored) > 1 else ''}, {total:,} samples, "
        f"{total / model.sample_rate / 60:.2f} min",
        f"(in {model.precision}; guessing costs {math.log(model.spec.levels):.4f} nats)",
        *([f"({left_out:,} samples behind last whole frames are left out)"] if left_out else []),
    )
    return 0


def _score_source(
    model: Model, search: Found, given: Given, arguments: argparse.Namespace, report: Report
) -> list[Scored]:
    scored, convert = [], arguments.convert
    every = arguments.shard.is_whole
    for recording in read_recordings(search, model.spec, convert, report, given.frames, every):
        file, codes = recording.file, recording.codes
        with report.progress(model.sample_rate, f"{shown(Path(file.name))} ") as progress:
            nats = total_nats(
                model,
                codes,
                frames=recording.frames,
                speaker=given.speaker,
                isa=arguments.isa,
                threads=arguments.threads,
                progress=progress,
            )
        samples = len(codes) - (not model.spec.start.fed)
        scored.append(Scored(file, samples, nats / samples, recording.left_out))
        report.part(f"{scored[-1].nats:.4f} nats  {scored[-1].bits:.4f} bits  {shown(file)}")
    return scored


def _values(scored: Scored) -> dict:
    return {
        "file": str(scored.file),
        "samples": scored.samples,
        "nats_per_sample": scored.nats,
        "bits_per_sample": scored.bits,
    }
