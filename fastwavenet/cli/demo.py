"""fastwavenet demo: the first minute."""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import add_command, path
from .report import silence


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "train on the bundled clip for a minute, generate, and compare speeds",
        "fastwavenet demo -o demo/",
        json=False,
        extra="train,plot",
    )
    option("-o", "--output", type=path, default=Path("demo"), metavar="DIR", help="(%(default)s)")
    option("--minutes", type=float, default=1.0, help="how long to train (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    from ..demo import run_demo

    with silence(arguments.quiet):
        run_demo(arguments.output, arguments.minutes)
    return 0
