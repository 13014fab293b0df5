"""Processes that work on files which may crash or hang them: each such file loses only itself."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

TIMEOUT = 60.0  # seconds without progress, after which a file is given up
START_SECONDS = 120.0  # for a process to import its modules
MAIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from fastwavenet.preparing_worker import main; main()"
)

Task = dict[str, Any]
Result = dict[str, Any] | str  # the values of a task that is done, or the reason why not


class WorkerProcess:
    """A process that takes a task at a time; see preparing_worker.py for its lines.

    number    of its task; None: it is idle
    deadline  seconds of time.monotonic()
    """

    def __init__(self) -> None:
        command = [sys.executable, "-c", MAIN, json.dumps(sys.path)]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=nowhere, start_new_session=True
        )
        self.lines, self.ready = b"", False
        self.number: int | None = None
        self.deadline = time.monotonic() + START_SECONDS

    @property
    def output(self) -> int:
        """The descriptor of its answers."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def give(self, number: int, task: Task) -> None:
        """Starts a task; a process that has ended meanwhile is noticed with its answer."""
        assert self.process.stdin is not None
        self.number, self.deadline = number, time.monotonic() + TIMEOUT
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(task | {"timeout": TIMEOUT}).encode() + b"\n")
            self.process.stdin.flush()

    def answers(self) -> list[dict[str, Any]]:
        """The lines that have come.  Raises EOFError if the process has ended."""
        data = os.read(self.output, 1 << 16)
        if not data:
            raise EOFError
        *whole, self.lines = (self.lines + data).split(b"\n")
        return [json.loads(line) for line in whole]

    def end(self) -> int:
        """Kills the process; its exit code."""
        self.process.kill()
        code = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
        return code


class WorkerProcesses:
    """Works on tasks in several processes.

    A context: on leaving it, also by Ctrl-C, all processes have ended.
    """

    def __init__(self, count: int):
        self.count = count
        self.workers: list[WorkerProcess] = []

    def __enter__(self) -> WorkerProcesses:
        return self

    def __exit__(self, *_error: object) -> None:
        for worker in self.workers:
            worker.end()
        self.workers = []

    def results(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """The number of each task and its result, in any order.

        Raises OSError if a target cannot be written, RuntimeError for an error of the program.
        """
        waiting, left = list(reversed(range(len(tasks)))), len(tasks)
        while left:
            while len(self.workers) < min(self.count, left):
                self.workers.append(WorkerProcess())
            for worker in self.workers:
                if worker.ready and worker.number is None and waiting:
                    number = waiting.pop()
                    worker.give(number, tasks[number])
            for worker in self._to_read():
                for number, result in self._read(worker):
                    left -= 1
                    yield number, result

    def _to_read(self) -> list[WorkerProcess]:
        """Workers with an answer, or past their deadlines."""
        busy = [w for w in self.workers if not w.ready or w.number is not None]
        with selectors.DefaultSelector() as selector:
            for worker in busy:
                selector.register(worker.output, selectors.EVENT_READ, worker)
            soonest = min(worker.deadline for worker in busy)
            selector.select(max(0.0, soonest - time.monotonic()))
            found = [key.data for key, _ in selector.select(0)]
        late = [w for w in busy if w.deadline <= time.monotonic()]
        return found + [worker for worker in late if worker not in found]

    def _read(self, worker: WorkerProcess) -> list[tuple[int, Result]]:
        """The results among a worker's answers, at most one."""
        if worker.deadline <= time.monotonic():
            return self._lose(worker, f"gives no sample for {TIMEOUT:g} s: the decoder hangs")
        try:
            answers = worker.answers()
        except EOFError:
            return self._lose(worker, "")
        return [found for line in answers if (found := self._take(worker, line)) is not None]

    def _take(self, worker: WorkerProcess, line: dict[str, Any]) -> tuple[int, Result] | None:
        number = worker.number
        if "error" in line:
            raise RuntimeError(f"a worker process failed:\n{line['error']}")
        if "failed" in line:
            raise OSError(*line["failed"])
        if "ready" in line:
            worker.ready = True
        if "allow" in line:
            worker.deadline = time.monotonic() + line["allow"]
        if number is not None and ("done" in line or "refused" in line):
            worker.number = None
            return number, line.get("done") or line["refused"]
        return None

    def _lose(self, worker: WorkerProcess, reason: str) -> list[tuple[int, Result]]:
        """Replaces a worker that hangs or has ended; its task has a reason for a result."""
        self.workers.remove(worker)
        ended = worker.process.poll() if reason else worker.process.wait()
        worker.end()
        if not worker.ready:
            raise RuntimeError(f"a worker process ended before its first file, by {_cause(ended)}")
        if worker.number is None:
            return []
        return [(worker.number, reason or f"crashes the decoder: {_cause(ended)}")]


def _cause(code: int | None) -> str:
    """The name of a signal, or the exit code."""
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"
