"""fastwavenet demo: the first minute."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import INTERRUPTED
from .arguments import add_command, path
from .report import Report


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "speech, music, a network trained on a clip, speeds, and a page to hear it all",
        "fastwavenet demo -o demo/",
        json=False,
        extra="train",
    )
    option("-o", "--output", type=path, default=Path("demo"), metavar="DIR", help="(%(default)s)")
    option("--minutes", type=float, default=1.0, help="how long to train (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    from ..demo import run_demo

    report = Report(arguments)
    interrupted = run_demo(arguments.output, arguments.minutes, report)
    report.result({})
    return INTERRUPTED if interrupted else 0
