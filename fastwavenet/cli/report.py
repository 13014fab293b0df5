"""What a command says: lines for people, or one JSON object, and a progress line on a terminal."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

REDRAW_SECONDS = 0.1


class Report:
    """Says results on stdout, or on stderr where stdout carries sound."""

    def __init__(self, arguments: argparse.Namespace, stdout_is_taken: bool = False):
        self.quiet, self.json = arguments.quiet, arguments.json
        self.file = sys.stderr if stdout_is_taken else sys.stdout

    def line(self, text: str) -> None:
        """For people."""
        if not (self.quiet or self.json):
            print(text, file=self.file, flush=True)

    def result(self, values: Mapping[str, object], *lines: str) -> None:
        """What came out: with --json as an object, else as lines."""
        if self.json:
            print(json.dumps(values, indent=1), file=self.file)
        else:
            for text in lines:
                self.line(text)

    def warn(self, text: str) -> None:
        """What is worth knowing and no error; on stderr, so that results stay clean."""
        if not self.quiet:
            print(f"fastwavenet: {text}", file=sys.stderr)

    def progress(self, sample_rate: int, what: str = "") -> ProgressLine:
        return ProgressLine(sample_rate, what, sys.stderr.isatty() and not self.quiet)


@contextlib.contextmanager
def silence(wanted: bool) -> Iterator[None]:
    """Within it, what is printed is lost if that is wanted."""
    with contextlib.ExitStack() as stack:
        if wanted:
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
        yield


class ProgressLine:
    """A line on the terminal that says how far and how fast; gone when the work is done."""

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
        if self.width:
            self._draw("")
            print(end="\r", file=sys.stderr, flush=True)

    def __call__(self, done: int, total: int) -> None:
        """Samples done and wanted; for `progress=` of generate and score."""
        now = time.monotonic()
        if not self.shown or now - self.drawn < REDRAW_SECONDS:
            return
        self.drawn = now
        speed = done / (now - self.began)
        minutes, seconds = divmod(round((total - done) / speed), 60)
        self._draw(
            f"{self.what}{100 * done // total:3} %  {speed:,.0f} samples/s  "
            f"{speed / self.sample_rate:.1f} x real time  {minutes}:{seconds:02} left"
        )

    def _draw(self, text: str) -> None:
        print("\r" + text.ljust(self.width), end="", file=sys.stderr, flush=True)
        self.width = len(text)
