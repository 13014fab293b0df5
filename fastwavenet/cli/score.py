"""fastwavenet score: how well a model predicts recordings."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

from ..model import Model
from ..scoring import total_nats
from ..shown import shown
from .arguments import add_command, add_precision, path
from .models import load_model
from .recordings import read_recordings
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
    option("model", type=path, help="model file, or run folder")
    option("sources", type=path, nargs="+", metavar="SOURCE", help="audio file, or folder of them")
    option("--convert", action="store_true", help="mix down and resample what needs it")
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
    if model.spec.conditioning is not None:
        raise ValueError(
            "recordings have no frames or speakers for this model: use fastwavenet.score"
        )
    scored = []
    for source in arguments.sources:
        scored += _score_source(model, source, arguments, report)
    total = sum(s.samples for s in scored)
    every = Scored(Path("all"), total, sum(s.samples * s.nats for s in scored) / total)
    report.result(
        {
            "precision": model.precision,
            "files": [_values(s) for s in scored],
            "all": _values(every),
        },
        f"{every.nats:.4f} nats, {every.bits:.4f} bits per sample over {len(scored)} "
        f"file{'s' if len(scored) > 1 else ''}, {total:,} samples, "
        f"{total / model.sample_rate / 60:.2f} min",
        f"(in {model.precision}; guessing costs {math.log(model.spec.levels):.4f} nats)",
    )
    return 0


def _score_source(
    model: Model, source: Path, arguments: argparse.Namespace, report: Report
) -> list[Scored]:
    scored = []
    for file, codes in read_recordings(source, model.spec, arguments.convert, report):
        with report.progress(model.sample_rate, f"{shown(Path(file.name))} ") as progress:
            nats = total_nats(
                model,
                codes,
                isa=arguments.isa,
                threads=arguments.threads,
                progress=progress,
            )
        samples = len(codes) - (not model.spec.start.fed)
        scored.append(Scored(file, samples, nats / samples))
        report.part(f"{scored[-1].nats:.4f} nats  {scored[-1].bits:.4f} bits  {shown(file)}")
    return scored


def _values(scored: Scored) -> dict:
    return {
        "file": str(scored.file),
        "samples": scored.samples,
        "nats_per_sample": scored.nats,
        "bits_per_sample": scored.bits,
    }
