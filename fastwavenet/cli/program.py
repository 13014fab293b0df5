"""Parses a command line and runs its command; each command is a module of its own."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .._version import __version__
from ..shown import shown
from . import (
    INTERRUPTED,
    bench,
    compress,
    decompress,
    demo,
    evaluate,
    export,
    generate,
    importing,
    info,
    prepare,
    score,
    train,
    tune,
    vocode,
    voices,
)
from .arguments import CommandParser, Parser
from .report import give_up, put

OPTIONAL = ("torch", "tqdm", "matplotlib")  # packages of extras
PIPE_CLOSED = 141  # 128 + SIGPIPE, as in a shell


def run(argv: Sequence[str] | None) -> int:
    """`fastwavenet.cli.main` after the imports."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may hold bytes that are no text
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
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has closed it
        give_up(sys.stdout)
        return PIPE_CLOSED
    except (ValueError, ArithmeticError, OSError, MemoryError, ImportError) as error:
        put(f"fastwavenet: error: {_one_line(error, extra)}", sys.stderr)
        return 2


def _parser() -> Parser:
    parser = Parser(
        prog="fastwavenet",
        description="Train a WaveNet, and generate from it on a CPU faster than real time.",
        epilog="`fastwavenet COMMAND --help` shows a command's options and an example.",
    )
    parser.add_argument("--version", action="version", version=f"fastwavenet {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=CommandParser)
    for command in (
        prepare,
        train,
        importing,
        export,
        tune,
        generate,
        vocode,
        score,
        compress,
        decompress,
        evaluate,
        info,
        voices,
        bench,
        demo,
    ):
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
