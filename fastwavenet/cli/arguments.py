"""Parsers that are alike: errors in one line, an example in every help, --quiet and --json."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..shown import MOST, shown
from .nearest import nearest
from .report import put

AddOption = Callable[..., argparse.Action]  # `add_argument` of a parser


class Parser(argparse.ArgumentParser):
    """Errors are one line and exit code 2; options must be written out."""

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        shortened = re.sub(rf"\S{{{MOST + 1},}}", lambda word: word[0][:MOST] + "...", message)
        self.exit(2, f"fastwavenet: error: {shortened} (see {self.prog} --help)")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            put(message.rstrip("\n"), sys.stderr)
        sys.exit(status)


class CommandParser(Parser):
    """Refuses options that it lacks itself: argparse would leave that to the parser above it."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown))
        return found, unknown

    def _unknown(self, words: list[str]) -> str:
        """The message for words that are no arguments; those without a dash may be values."""
        names = [word.partition("=")[0] for word in words if word.startswith("-")] or words
        named = " ".join(name if name.isprintable() else shown(name) for name in names)
        options = [name for action in self._actions for name in action.option_strings]
        places = {a.dest: str(a.metavar or a.dest) for a in self._actions if not a.option_strings}
        hint = nearest(names[0], options, places)
        return f"unrecognized arguments: {named}" + (f"; {hint}" if hint else "")


def path(text: str) -> Path:
    """The type of every path: an empty one would stand for the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty, expected a path")
    return Path(text)


def add_command(
    commands: argparse._SubParsersAction,
    run: Callable[[argparse.Namespace], int],
    description: str,
    example: str,
    json: bool = True,
    extra: str = "",
) -> AddOption:
    """Adds the command that the example calls; returns the `add_argument` of its parser.

    extra: the package's extras that it needs.
    """
    parser = commands.add_parser(
        example.split()[1],
        help=description,
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # keeps the example in one line
    )
    parser.set_defaults(run=run, json=False, extra=extra)
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    if json:
        parser.add_argument("--json", action="store_true", help="say the result as JSON")
    return parser.add_argument


def add_precision(option: AddOption) -> None:
    """--precision of commands that load a model; `load` refuses other names."""
    option(
        "--precision",
        default="auto",
        help="float32, bfloat16, int8, int8x8, bfloat16x16 (a draft), or auto: the smallest of the "
        "first three that is known to cost nothing worth mentioning (%(default)s)",
    )


def add_sampling(option: AddOption) -> None:
    """How codes are drawn; left out, as the model file has it."""
    option(
        "--temperature",
        type=float,
        help="1: as trained; below: more predictable, down to silence (the model's own, usually 1)",
    )
    option(
        "--top-k",
        type=int,
        metavar="K",
        help="draw among the K most probable codes only (the model's own, usually all)",
    )
    option(
        "--min-p",
        type=float,
        metavar="P",
        help="drop codes below P times the largest probability (the model's own, usually 0)",
    )


def add_speed(option: AddOption) -> None:
    """Precision, instruction set and threads."""
    add_precision(option)
    option("--isa", help="instruction set to use; changes the speed only")
    option(
        "--threads",
        type=int,
        default=1,
        metavar="N",
        help="2: with a second thread, if that is faster; changes the speed only (%(default)s)",
    )
