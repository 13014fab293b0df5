"""What training says and draws, and how it is asked to stop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from tqdm import tqdm

from .data import Corpus
from .settings import Budget, Settings

MOST_SKIPPED = 20  # files that are named


class Console:
    """Lines on standard output, and on a terminal a bar.  Says nothing if `progress` is false."""

    def __init__(self, progress: bool):
        self.progress = progress
        self.bar = tqdm(
            total=1.0,
            disable=None if progress else True,  # None: only on a terminal
            leave=False,
            bar_format="{percentage:3.0f}%|{bar}| {desc}",
        )

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_error: object) -> None:
        self.bar.close()

    def say(self, line: str) -> None:
        if self.progress:
            tqdm.write(line)

    def draw(self, spent: float, loss: float, samples: int, seconds: float) -> None:
        """The fraction of the budget that is spent, nats per sample, and the time that is left."""
        left = interval(seconds / spent - seconds)
        self.bar.n = spent
        self.bar.set_description_str(
            f"{loss:.3f} nats, {samples / seconds:,.0f} samples/s, {left} left"
        )


def interval(seconds: float) -> str:
    """[hours:]minutes:seconds"""
    return str(tqdm.format_interval(seconds))


def describe(corpus: Corpus, settings: Settings, budget: Budget) -> Iterator[str]:
    """What was found, and what will be done."""
    for reason in corpus.skipped[:MOST_SKIPPED]:
        yield f"skipped {reason}"
    if len(corpus.skipped) > MOST_SKIPPED:
        yield f"skipped {len(corpus.skipped) - MOST_SKIPPED} more"
    yield from corpus.remarks
    spec = settings.spec
    for clips, use in ((corpus.train, "to train on"), (corpus.validation, "held out")):
        minutes = sum(len(clip.codes) for clip in clips) / spec.sample_rate / 60
        yield f"{use}: {minutes:.2f} minutes in {len(clips)} file{'s' if len(clips) > 1 else ''}"
    parameters = spec.weight_bytes() // 4
    past = spec.receptive_field / spec.sample_rate
    yield (
        f"training {parameters:,} parameters, which hear the last {spec.receptive_field} samples "
        f"({1000 * past:.0f} ms), for {budget}"
    )


def describe_cost(corpus: Corpus, speed: float, seconds_left: float) -> str:
    """What the rest of the budget buys at `speed` samples per second."""
    one_pass = sum(len(clip.codes) for clip in corpus.train) / speed
    times = seconds_left / one_pass
    return (
        f"{speed:,.0f} samples/s: about {interval(seconds_left)} to go, in which it hears the "
        f"audio {times:,.2f} times" + (f", {interval(one_pass)} each" if one_pass >= 1 else "")
    )


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """The first Ctrl-C or SIGTERM sets the event, so that no step is cut in two.

    The next one does what it did before: it interrupts, or ends the process.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python delivers signals to the main thread only
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def ask(_signal: int, _frame: object) -> None:
        stop.set()
        restore()

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as a shell asks for a process in the background
            signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()
