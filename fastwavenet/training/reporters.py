"""Reports of a run for people, beside the lines of the console: report.html and TensorBoard.

A reporter takes a `Snapshot` and the previews at each validation.  Nothing that goes wrong in one
ends training: a line with the error is printed instead.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from ..atomic import read_regular, replace_atomically
from ..shown import shown
from . import report_page
from .console import Console
from .previews import Preview, Previews
from .run import RunFolder
from .settings import Call
from .snapshot import Snapshot
from .sounds import Sound, kept, read_sounds, sounds_of


class Reporter(Protocol):
    """Shows a run; `name` is for messages."""

    name: str

    def report(self, now: Snapshot, previews: list[Preview]) -> None:
        """Shows the run.  previews: of the present weights; perhaps none."""

    def close(self) -> None:
        """After the last report."""


class Page:
    """Writes report.html.

    resumed: whether earlier processes of the run have left a page, whose sounds are kept.
    """

    def __init__(self, path: Path, resumed: bool = False):
        self.path, self.name, self.resumed = path, path.name, resumed
        self.sounds: list[Sound] | None = None

    def report(self, now: Snapshot, previews: list[Preview]) -> None:
        if self.sounds is None:
            self.sounds = self._earlier(now) if self.resumed else []
        rate = now.settings.spec.sample_rate
        self.sounds = kept([*self.sounds, *sounds_of(now.steps, previews, rate)])
        name = shown(Path(self.path.absolute().parent.name))
        page = report_page.render(name, now, self.sounds)
        replace_atomically(self.path, page.encode("utf-8", "replace"))

    def _earlier(self, now: Snapshot) -> list[Sound]:
        """The sounds of the page that is there, up to the present step."""
        with suppress(OSError, ValueError):
            found = read_sounds(read_regular(self.path).decode())
            return [each for each in found if each.facts.step <= now.steps]
        return []

    def close(self) -> None:
        """Every report is complete."""


class Reporters:
    """All reporters of a run, and the previews that they share; a context that closes them.

    Raises ModuleNotFoundError if TensorBoard is asked for and missing.
    """

    def __init__(self, folder: RunFolder, console: Console, call: Call):
        self.console, self.previews = console, Previews(call.previews)
        self.page = folder.report
        self.reporters: list[Reporter] = [Page(folder.report, call.resume)]
        self.announced = call.resume  # by an earlier process
        if call.tensorboard:
            from .tensorboard import TensorBoard

            self.reporters.append(TensorBoard(folder.path / "tensorboard"))

    def __enter__(self) -> Reporters:
        return self

    def __exit__(self, *_error: object) -> None:
        for reporter in self.reporters:
            self._try(reporter.name, reporter.close)

    def report(self, now: Snapshot) -> None:
        """Makes previews, and shows the run; called after its own files are written."""
        made: list[Preview] = []
        self._try("previews", lambda: made.extend(self.previews.make(now)))
        for reporter in self.reporters:
            self._try(reporter.name, partial(reporter.report, now, made))
        if now.is_new and not self.announced and self.page.is_file():
            self.announced = True
            self.console.say(f"report: {shown(self.page)}, written anew at each validation")

    def _try(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # of a library too: training is worth more than its report
            reason = " ".join(str(error).split()) or type(error).__name__
            self.console.remark(f"{name} could not be made, and training goes on: {reason}")
