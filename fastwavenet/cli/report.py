"""The lines of a command for people, or one JSON object, and a progress line on a terminal.

Standard output and standard error may be missing, full or closed.  Reporting never ends the work:
standard error is given up without a word, a failure of standard output is an error after the work.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self, TextIO

REDRAW_SECONDS = 0.1


def put(text: str, stream: TextIO | None, end: str = "\n") -> Exception | None:
    """Writes a line; if that fails, gives the stream up and returns the error."""
    if stream is None:  # closed when Python started, or a program without a console
        return None
    try:
        print(text, end=end, file=stream, flush=True)
    except OSError as error:
        give_up(stream)
        return OSError(error.errno, error.strerror, "standard output")
    except ValueError as error:  # closed since
        return error
    return None


def give_up(stream: TextIO | None) -> None:
    """Leads a stream to nowhere, so that Python's last flush of it cannot change the exit code."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


class Report:
    """Results on stdout, or on stderr where stdout carries sound."""

    def __init__(self, arguments: argparse.Namespace, stdout_is_taken: bool = False):
        self.quiet, self.json = arguments.quiet, arguments.json
        self.to_stderr = stdout_is_taken
        self.failure: Exception | None = None

    def line(self, text: str) -> None:
        """For people.  A failure is kept until the work is done, for `result`."""
        if not (self.quiet or self.json):
            self._put(text)

    def part(self, text: str) -> None:
        """A line that is itself a piece of the work; raises OSError if it cannot be written."""
        self.line(text)
        self._check()

    def result(self, values: Mapping[str, object], *lines: str) -> None:
        """The outcome: with --json as an object, else as lines.

        Raises OSError if this or an earlier line could not be written to stdout.
        """
        if self.json:
            self._put(json.dumps(values, indent=1))
        else:
            for text in lines:
                self.line(text)
        self._check()

    def warn(self, text: str) -> None:
        """A remark, no error; on stderr, so that results stay clean."""
        if not self.quiet:
            put(f"fastwavenet: {text}", sys.stderr)

    def progress(self, sample_rate: int, what: str = "") -> ProgressLine:
        return ProgressLine(sample_rate, what, is_terminal(sys.stderr) and not self.quiet)

    def counting(self, unit: str) -> CountLine:
        return CountLine(1, unit, is_terminal(sys.stderr) and not self.quiet)

    def _put(self, text: str) -> None:
        failure = put(text, sys.stderr if self.to_stderr else sys.stdout)
        self.failure = self.failure or failure

    def _check(self) -> None:
        if self.failure is not None and not self.to_stderr:
            raise self.failure from None


@contextlib.contextmanager
def silence(quiet: bool) -> Iterator[None]:
    """Within it, printed lines are lost if `quiet`, or if there is no standard output."""
    with contextlib.ExitStack() as stack:
        if quiet or sys.stdout is None:
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
        yield


class ProgressLine:
    """A line on the terminal with progress and speed, which is cleared at the end."""

    def __init__(self, sample_rate: int, what: str, shown: bool):
        self.sample_rate, self.what, self.shown = sample_rate, what, shown
        self.width = 0

    def __enter__(self) -> Self:
        self.began = self.drawn = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Makes room for another line."""
        if self.width:
            self._draw("")
            put("", sys.stderr, end="\r")
            self.width = 0

    def __call__(self, done: int, total: int | None) -> None:
        """Samples done and in all, None without an end; for `progress=` of generate and score."""
        now = time.monotonic()
        if not self.shown or now - self.drawn < REDRAW_SECONDS:
            return
        self.drawn = now
        speed = done / (now - self.began)
        rate = f"{speed:,.0f} samples/s  {speed / self.sample_rate:.1f} x real time"
        if total is None:
            self._draw(f"{self.what}{done / self.sample_rate:.0f} s  {rate}")
            return
        minutes, seconds = divmod(round((total - done) / speed), 60)
        self._draw(f"{self.what}{100 * done // total:3} %  {rate}  {minutes}:{seconds:02} left")

    def _draw(self, text: str) -> None:
        put("\r" + text.ljust(self.width), sys.stderr, end="")
        self.width = len(text)


class CountLine(ProgressLine):
    """Progress in units such as recordings."""

    def __call__(self, done: int, total: int | None) -> None:
        """Units done and in all."""
        now = time.monotonic()
        if not self.shown or not total or now - self.drawn < REDRAW_SECONDS:
            return
        self.drawn = now
        self._draw(f"{100 * done // total:3} %  {done:,} of {total:,} {self.what}")
