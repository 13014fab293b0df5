"""fastwavenet demo: the first minute."""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path

from .arguments import add_command
from .train import share_the_cores


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "train on the bundled clip for a minute, generate, and compare speeds",
        "fastwavenet demo -o demo/",
        json=False,
    )
    option("-o", "--output", type=Path, default=Path("demo"), metavar="DIR", help="(%(default)s)")
    option("--minutes", type=float, default=1.0, help="how long to train (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    share_the_cores()
    from ..demo import run_demo

    with contextlib.ExitStack() as stack:
        if arguments.quiet:
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
        run_demo(arguments.output, arguments.minutes)
    return 0
