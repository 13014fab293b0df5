"""Signals that end a command as Ctrl-C does, so that its work so far is kept."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from .report import put

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextlib.contextmanager
def ended_like_ctrl_c() -> Iterator[list[int]]:
    """Within it, a first SIGTERM or SIGHUP raises KeyboardInterrupt; the list receives its number.

    A signal that is ignored, as nohup does, stays ignored.
    """
    came: list[int] = []
    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def interrupt(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        restore()
        raise KeyboardInterrupt

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in ENDING}
        before = {n: h for n, h in handlers.items() if h not in (signal.SIG_IGN, None)}
        for number in before:
            signal.signal(number, interrupt)
    try:
        yield came
    finally:
        restore()


def exit_code(came: list[int]) -> int:
    """That of interrupted work, as in a shell: by the first signal, or else by Ctrl-C."""
    return 128 + (came or [signal.SIGINT])[0]


def interruptible(work: Callable[[], int]) -> int:
    """The exit code of work that leaves whole files only, or of the signal that ended it."""
    with ended_like_ctrl_c() as came:
        try:
            return work()
        except KeyboardInterrupt:
            put("fastwavenet: interrupted", sys.stderr)
    return exit_code(came)
