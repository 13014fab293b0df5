"""The command line: program.py runs a command.

Its imports take 0.3 s, in which Ctrl-C is handled here.  Until then there are as few as possible.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INTERRUPTED = 130  # 128 + SIGINT, as in a shell


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code: 0, 2 after an error, 130 after Ctrl-C, 141 without a reader.

    An error of the input becomes one line on stderr, and is lost where there is none.
    """
    try:
        _fill_descriptors()
        run = _import_program()
    except KeyboardInterrupt:
        run = None
    if run is None:
        _report_interrupt()
        return INTERRUPTED
    return run(argv)


def _import_program() -> Callable[[Sequence[str] | None], int] | None:
    """`program.run`, or None if Ctrl-C came meanwhile.

    Ctrl-C takes effect after the imports: KeyboardInterrupt in the middle of an extension module's
    can crash the process.
    """
    import signal

    interrupts: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    replaced = before is signal.default_int_handler  # else it is ignored, or the host program's
    try:
        if replaced:
            signal.signal(signal.SIGINT, lambda number, _frame: interrupts.append(number))
    except ValueError:  # not the main thread, which alone receives signals
        replaced = False
    try:
        from .program import run
    finally:
        if replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    return None if interrupts else run


def _report_interrupt() -> None:
    try:
        os.write(2, b"fastwavenet: interrupted\n")
    except OSError:  # standard error is closed or full
        return


def _fill_descriptors() -> None:
    """Opens those of 0, 1 and 2 that are closed: a file would get the number otherwise.

    A library that writes to standard error would then write into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
