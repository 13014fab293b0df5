"""Reports of training, and requests to stop it."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar

from tqdm import tqdm

from ..ends import FrameConditioning
from ..listing import named
from .data import Corpus
from .settings import LITTLE_SECONDS, Budget, Settings

MOST_SKIPPED = 20  # skipped files that are printed by name
# Called with each remark about the recordings when no lines are printed.
REMARKS: ContextVar[Callable[[str], None] | None] = ContextVar("REMARKS", default=None)
IMPATIENT = (signal.SIGINT, signal.SIGTERM)  # the second one ends the process
STOPPING = (*IMPATIENT, signal.SIGHUP)


class Console:
    """Lines on standard output, and on a terminal a bar.  Prints nothing if `progress` is false.

    Either stream may be missing (a program without a terminal), closed, full, or an object of the
    host program.  A line that cannot be written is lost and the run continues, which is the reason
    for each `suppress(Exception)`.
    """

    def __init__(self, progress: bool):
        self.progress = progress
        self.bar: tqdm | None = None
        with suppress(Exception):
            if progress and sys.stderr.isatty():
                self.bar = tqdm(
                    total=1.0, leave=False, bar_format="{percentage:3.0f}%|{bar}| {desc}"
                )

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(Exception):
            if self.bar is not None:
                self.bar.close()

    def say(self, line: str) -> None:
        """Prints a line; characters outside the stream's encoding are escaped."""
        with suppress(Exception):
            if self.progress:
                encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
                tqdm.write(line.encode(encoding, "backslashreplace").decode(encoding))
                sys.stdout.flush()

    def remark(self, line: str) -> None:
        """Prints a line, or calls `REMARKS` with it if lines are not printed."""
        take = REMARKS.get()
        if self.progress or take is None:
            self.say(line)
        else:
            take(line)

    def draw(self, spent: float, loss: float, samples: int, seconds: float) -> None:
        """Draws the spent fraction of the budget, the loss in nats per sample and the time left."""
        with suppress(Exception):
            if self.bar is not None:
                left = interval(seconds / spent - seconds)
                self.bar.n = spent
                self.bar.set_description_str(
                    f"{loss:.3f} nats, {samples / seconds:,.0f} samples/s, {left} left"
                )


def interval(seconds: float) -> str:
    """A time as [hours:]minutes:seconds."""
    return str(tqdm.format_interval(seconds))


def oddities(corpus: Corpus) -> Iterator[str]:
    """A line for each skipped file, and the remarks about the others."""
    for reason in corpus.skipped[:MOST_SKIPPED]:
        yield f"skipped {reason}"
    if len(corpus.skipped) > MOST_SKIPPED:
        yield f"skipped {len(corpus.skipped) - MOST_SKIPPED} more"
    yield from corpus.remarks


def describe(corpus: Corpus, settings: Settings, budget: Budget) -> Iterator[str]:
    """Lines about the amount of audio, the size of the network and the budget."""
    spec = settings.spec
    for clips, use in ((corpus.train, "to train on"), (corpus.validation, "held out")):
        minutes = sum(len(clip.codes) for clip in clips) / spec.sample_rate / 60
        speakers = len({clip.speaker for clip in clips} - {None})
        yield (
            f"{use}: {minutes:.2f} minutes in {len(clips)} file{'s' if len(clips) > 1 else ''}"
            + (f" of {speakers} speaker{'s' if speakers > 1 else ''}" if speakers else "")
        )
    yield from _warn_of_little(corpus, settings)
    parameters = spec.weight_bytes() // 4
    past = spec.receptive_field / spec.sample_rate
    yield (
        f"training {parameters:,} parameters, which hear the last {spec.receptive_field} samples "
        f"({1000 * past:.0f} ms), for {budget}"
    )
    if end := spec.conditioning:
        yield from _conditions(end)


def _conditions(end: FrameConditioning) -> Iterator[str]:
    if end.channels:
        kind = f"mel frames of {end.described}" if end.mel else "frames"
        features = f"{end.feature_channels} every {end.feature_hop} samples"
        yield (
            f"conditioned on {kind}: {end.channels} numbers every {end.hop} samples"
            + (f", upsampled to {features}" if end.upsampling else "")
        )
    if end.speakers:
        count = len(end.speakers)
        yield f"conditioned on {count} speaker{'s' * (count > 1)}: {named(end.speakers)}"


def _warn_of_little(corpus: Corpus, settings: Settings) -> Iterator[str]:
    seconds = corpus.seconds(settings.spec.sample_rate)
    if seconds < LITTLE_SECONDS:
        decay = settings.for_audio(seconds).weight_decay or 0
        advice = "" if decay >= 0.5 else "; until then --weight-decay 1 helps"
        yield (
            f"little audio: {seconds:.1f} s will be learnt by heart, and the voice stays noise or "
            f"silence; record more, half an hour of one voice or instrument to begin with{advice}; "
            f"model.safetensors keeps the latest weights, not those of the lowest held-out loss"
        )


def describe_cost(corpus: Corpus, speed: float, seconds_left: float, before: int = 0) -> str:
    """A line with the number of passes over the audio in the rest of the budget.

    speed   predicted samples per second
    before  predicted samples in earlier processes of the run
    """
    one_pass = sum(len(clip.codes) for clip in corpus.train) / speed
    times, past = seconds_left / one_pass, before / speed / one_pass
    line = f"{speed:,.0f} samples/s: about {interval(seconds_left)} to go, "
    if times + past < 1:
        return (
            f"{line}in which it gets through {100 * (times + past):.0f} % of the audio; all "
            f"of it once takes {interval(one_pass)}: give more --minutes, or a smaller --preset"
        )
    line += f"in which it hears the audio {times:,.2f} times"
    if past:
        line += f", {times + past:,.2f} times with what it has learnt before"
    return line + (f", {interval(one_pass)} each" if one_pass >= 1 else "")


@contextlib.contextmanager
def stop_on_signals(stop: threading.Event | None = None) -> Iterator[Callable[[], bool]]:
    """A context with a function that is true after `stop` is set, or after a signal of STOPPING.

    A signal only sets an event, so that the current step is finished.  The next one after Ctrl-C or
    SIGTERM has its usual effect: it interrupts, or ends the process.  SIGHUP never has: a terminal
    that closes sends it twice, by the system and by the shell.
    """
    signalled = threading.Event()
    events = [signalled] if stop is None else [signalled, stop]

    def stopped() -> bool:
        return any(event.is_set() for event in events)

    if threading.current_thread() is not threading.main_thread():
        yield stopped  # only the main thread can handle signals
        return
    before = {number: signal.getsignal(number) for number in STOPPING}

    def restore(numbers: Iterable[signal.Signals] = STOPPING) -> None:
        for number in numbers:
            handler = before[number]
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def note(number: int, _frame: object) -> None:
        signalled.set()
        if number in IMPATIENT:
            restore(IMPATIENT)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # a shell ignores it for a process in the background
            signal.signal(number, note)
    try:
        yield stopped
    finally:
        restore()
