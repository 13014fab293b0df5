"""fastwavenet train: recordings to a run folder."""

from __future__ import annotations

import argparse

from .arguments import add_command, path
from .report import Report

OWN = ("run", "json", "quiet", "extra", "source", "output")  # the other arguments are train()'s


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "train a WaveNet on recordings; Ctrl-C stops early and keeps what was learnt",
        "fastwavenet train recordings/ -o run/ --preset small --minutes 10",
        extra="train",
    )
    option("source", type=path, nargs="?",
           help="an audio file, or a folder of them; with --resume, those of the run")  # fmt: skip
    option("-o", "--output", type=path, required=True, metavar="RUN", help="folder for the run")

    def setting(*names: str, **how: object) -> None:  # what is not given stays train()'s default
        option(*names, default=argparse.SUPPRESS, **how)

    setting("--preset", help="size of the network: tiny, small, base or ibab (small)")
    setting("--minutes", type=float, help="how long to train (10, unless --steps is given)")
    setting("--steps", type=int, help="how many steps to train")
    setting(
        "--resume",
        action="store_true",
        help="continue the run in RUN, exactly; its recordings and settings are known",
    )
    setting("--validation", type=path, metavar="SOURCE",
            help="audio to validate on (default: some of the recordings)")  # fmt: skip
    setting("--sample-rate", type=int, metavar="HZ", help="of the recordings (16000)")
    setting("--convert", action="store_true", help="mix down and resample what needs it")
    setting("--seed", type=int, help="of weights and windows (0)")
    setting("--batch", type=int, metavar="N", help="windows a step (1)")
    setting("--window", type=int, metavar="N", help="samples learnt from in a window (4096)")
    setting("--learning-rate", type=float, metavar="X", help="the highest (0.01)")
    setting("--weight-decay", type=float, metavar="X",
            help="AdamW's; 1 keeps seconds of audio from being learnt by heart (0.01)")  # fmt: skip
    setting("--autocast", action=argparse.BooleanOptionalAction,
            help="compute in bfloat16 where that is safe (default: if it is faster)")  # fmt: skip
    setting("--device", help="where to train: cpu, cuda, cuda:1 ... (a GPU, if there is one)")


def run(arguments: argparse.Namespace) -> int:
    from ..training import train
    from ..training.console import REMARKS

    report = Report(arguments)
    settings = {name: value for name, value in vars(arguments).items() if name not in OWN}
    progress = not (arguments.quiet or arguments.json)
    told = REMARKS.set(report.warn if arguments.json else None)
    try:
        summary = train(arguments.source, arguments.output, progress=progress, **settings)
    finally:
        REMARKS.reset(told)
    report.result(
        {
            "model": str(summary.model),
            "nats_per_sample": summary.validation_loss,
            "steps": summary.steps,
            "seconds": summary.seconds,
            "samples_per_second": summary.samples_per_second,
            "interrupted": summary.interrupted,
        },
        f"{'interrupted' if summary.interrupted else 'done'} after {summary.steps} steps and "
        f"{summary.seconds:.0f} s; the best model has {summary.validation_loss:.3f} nats per "
        f"sample on held-out audio: {summary.model}",
    )
    return 130 if summary.interrupted else 0
