"""A terminal that closes ends a run with everything saved, as Ctrl-C does."""

import os
import pty
import signal
import sys
import time

import pytest
from runs import LONG, interrupt, left_behind, quick

from fastwavenet.training import checkpoint
from fastwavenet.training.learner import Learner

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_hang_up_saves_however_often_it_comes(source, tmp_path, monkeypatch, whole, times):
    """The system sends one and the shell another."""
    handler = signal.getsignal(signal.SIGHUP)
    with monkeypatch.context() as context:
        interrupt(context, at=6, times=times, number=signal.SIGHUP)
        summary = quick(source, tmp_path / "run", **LONG)
    assert (summary.interrupted, summary.steps) == (True, 7)
    assert signal.getsignal(signal.SIGHUP) is handler
    quick(source, tmp_path / "run", resume=True)
    assert left_behind(tmp_path / "run") == whole


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_hang_up_after_another_signal_does_not_end_the_saving(
    source, tmp_path, monkeypatch, first
):
    step = Learner.step

    def signalled(learner, factor):
        if learner.steps == 6:
            signal.raise_signal(first)
            signal.raise_signal(signal.SIGHUP)
        return step(learner, factor)

    monkeypatch.setattr(Learner, "step", signalled)
    assert quick(source, tmp_path / "run", **LONG).steps == 7


def test_a_hang_up_that_nohup_ignores_changes_nothing(source, tmp_path, monkeypatch, whole):
    interrupt(monkeypatch, at=6, number=signal.SIGHUP)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert not quick(source, tmp_path / "run", **LONG).interrupted
    finally:
        signal.signal(signal.SIGHUP, before)
    assert left_behind(tmp_path / "run") == whole


PROGRAM = """
import sys
from pathlib import Path
import torch
from runs import quick
torch.set_num_threads(1)
quick(Path(sys.argv[1]), Path(sys.argv[2]), steps=10**6, batch=1, window=50, progress=True)
"""


def test_a_terminal_that_closes_saves_the_run(source, tmp_path):
    """With lines and a bar on it, neither of which has a place any more."""
    run = tmp_path / "run"
    child, terminal = pty.fork()
    if child == 0:
        os.execve(
            sys.executable,
            [sys.executable, "-c", PROGRAM, str(source), str(run)],
            os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        )
    said = b""
    while b"samples/s: about" not in said:  # after ten steps
        said += os.read(terminal, 4096)
    os.close(terminal)
    until = time.monotonic() + 300
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        assert time.monotonic() < until
        time.sleep(0.05)
    saved = checkpoint.load(run / "checkpoint.safetensors").progress.steps
    assert saved >= 10  # no report was due by then
    assert (run / "latest.safetensors").exists()
    assert not list(run.glob(".*"))
