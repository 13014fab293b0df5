"""fastwavenet score: how well a model predicts recordings."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

from ..audio import AudioError, find_audio, read_audio
from ..engine import Model, load, score
from .arguments import add_command
from .report import Report


@dataclass(frozen=True)
class Scored:
    """nats: the mean over the samples after the file's first."""

    file: Path
    samples: int
    nats: float

    @property
    def bits(self) -> float:
        return self.nats / math.log(2)


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "say how surprising recordings are to a model, in nats and bits per sample",
        "fastwavenet score voice.safetensors held-out/",
    )
    option("model", type=Path, help="model file")
    option("sources", type=Path, nargs="+", metavar="SOURCE", help="audio file, or folder of them")
    option("--convert", action="store_true", help="mix down and resample what needs it")
    option("--isa", help="instruction set to use; changes the speed only")


def run(arguments: argparse.Namespace) -> int:
    model, report = load(arguments.model), Report(arguments)
    scored = []
    for source in arguments.sources:
        scored += _score_source(model, source, arguments, report)
    total = sum(s.samples for s in scored)
    every = Scored(Path("all"), total, sum(s.samples * s.nats for s in scored) / total)
    report.result(
        {"files": [_values(s) for s in scored], "all": _values(every)},
        f"{every.nats:.4f} nats, {every.bits:.4f} bits per sample over {len(scored)} "
        f"file{'s' if len(scored) > 1 else ''}, {total:,} samples, "
        f"{total / model.sample_rate / 60:.2f} min",
        f"(guessing costs {math.log(model.spec.levels):.4f} nats)",
    )
    return 0


def _score_source(
    model: Model, source: Path, arguments: argparse.Namespace, report: Report
) -> list[Scored]:
    """The usable files of a source.  Raises AudioError if there are none."""
    scored, files = [], find_audio(source)
    for file in files:
        try:
            audio, _ = read_audio(file, model.sample_rate, arguments.convert)
            if len(audio) < 2:
                raise AudioError(f"{file}: has 1 sample, expected at least 2: nothing to predict")
        except (AudioError, OSError) as error:
            if file == source:
                raise
            report.warn(f"skipped {error}")
            continue
        with report.progress(model.sample_rate, f"{file.name} ") as progress:
            nats = score(model, audio, isa=arguments.isa, progress=progress)
        scored.append(Scored(file, len(nats), float(nats.mean(dtype="float64"))))
        report.line(f"{scored[-1].nats:.4f} nats  {scored[-1].bits:.4f} bits  {file}")
    if not scored:
        raise AudioError(f"{source}: expected audio files of {model.sample_rate} Hz, found none")
    return scored


def _values(scored: Scored) -> dict:
    return {
        "file": str(scored.file),
        "samples": scored.samples,
        "nats_per_sample": scored.nats,
        "bits_per_sample": scored.bits,
    }
