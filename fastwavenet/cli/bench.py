"""fastwavenet bench: the engine beside its peers, in one run."""

from __future__ import annotations

import argparse

from ..atomic import check_target
from ..bench import command
from ..plots import check_picture
from .arguments import add_command
from .report import silence


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "measure the engine and its peers on this machine",
        "fastwavenet bench --quick --chart speed.png",
        json=False,
        extra="bench",
    )
    command.add_arguments(option)


def run(arguments: argparse.Namespace) -> int:
    if arguments.output is not None:
        check_target(arguments.output)
    if arguments.chart is not None:
        check_picture(arguments.chart)
    with silence(arguments.quiet):
        return command.run(arguments)
