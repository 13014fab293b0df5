"""The command line: one file a command, which says what it takes and what it does."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..shown import shown
from . import bench, demo, export, generate, info, score, train
from .arguments import CommandParser, Parser
from .report import give_up, put

OPTIONAL = ("torch", "tqdm", "matplotlib")  # packages of extras
PIPE_CLOSED = 141  # 128 + SIGPIPE, as in a shell


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code: 0, 2 after an error, 130 after Ctrl-C, 141 without a reader.

    Whatever is wrong with the input becomes one line on stderr, and nowhere else if there is none.
    """
    _fill_descriptors()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may be no text
        sys.stdout.reconfigure(errors="backslashreplace")
    extra = ""
    try:
        try:
            arguments = _parser().parse_args(argv)
            extra = arguments.extra
            code: int = arguments.run(arguments)
        except SystemExit as end:  # --help, --version, or wrong arguments
            code = int(end.code or 0)
        if failure := put("", sys.stdout, end=""):  # flushes the rest
            raise failure
        return code
    except KeyboardInterrupt:
        put("fastwavenet: interrupted", sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has had enough
        give_up(sys.stdout)
        return PIPE_CLOSED
    except (ValueError, ArithmeticError, OSError, MemoryError, ImportError) as error:
        put(f"fastwavenet: error: {_one_line(error, extra)}", sys.stderr)
        return 2


def _fill_descriptors() -> None:
    """Opens those of 0, 1 and 2 that are closed: a file would get the number otherwise.

    A library that writes to standard error would then write into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number


def _parser() -> Parser:
    parser = Parser(
        prog="fastwavenet",
        description="Train a WaveNet, and generate from it on a CPU faster than real time.",
        epilog="`fastwavenet COMMAND --help` shows a command's options and an example.",
    )
    parser.add_argument("--version", action="version", version=f"fastwavenet {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=CommandParser)
    for command in (train, export, generate, score, info, bench, demo):
        command.add(commands)
    return parser


def _one_line(error: Exception, extra: str) -> str:
    if isinstance(error, ImportError) and error.name in OPTIONAL:
        return f"{error.name} is missing: pip install 'fastwavenet[{extra}]'"
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}".rstrip(": ")
    if isinstance(error, OSError) and error.filename is not None:
        return f"{shown(Path(os.fsdecode(error.filename)))}: {error.strerror}"
    return " ".join(str(error).split())
