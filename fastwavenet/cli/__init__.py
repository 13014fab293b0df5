"""The command line: one file a command, which says what it takes and what it does."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from .. import __version__
from . import bench, demo, export, generate, info, score, train
from .arguments import Parser

OPTIONAL = ("torch", "tqdm", "matplotlib")  # packages of extras
PIPE_CLOSED = 141  # 128 + SIGPIPE, as a shell would say


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code: 0, 2 after an error, 130 after Ctrl-C.

    Whatever is wrong with the input becomes one line on stderr.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may be no text
        sys.stdout.reconfigure(errors="backslashreplace")
    extra = ""
    try:
        arguments = _parser().parse_args(argv)
        extra = arguments.extra
        code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("fastwavenet: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except (ValueError, ArithmeticError, OSError, MemoryError, ImportError) as error:
        print(f"fastwavenet: error: {_one_line(error, extra)}", file=sys.stderr)
        return 2


def _parser() -> Parser:
    parser = Parser(
        prog="fastwavenet",
        description="Train a WaveNet, and generate from it on a CPU faster than real time.",
        epilog="`fastwavenet COMMAND --help` shows a command's options and an example.",
    )
    parser.add_argument("--version", action="version", version=f"fastwavenet {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    for command in (train, export, generate, score, info, bench, demo):
        command.add(commands)
    return parser


def _one_line(error: Exception, extra: str) -> str:
    if isinstance(error, ImportError) and error.name in OPTIONAL:
        return f"{error.name} is missing: pip install 'fastwavenet[{extra}]'"
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}".rstrip(": ")
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
