"""A run that a full disk, a signal or a kill ended at any moment is resumed to the same bits."""

import contextlib
import itertools
import os
import random
import resource
import signal
import time

import pytest
from networks import small_spec
from runs import NEVER, left_behind, quick, start_training, train_on

from fastwavenet.training import checkpoint
from fastwavenet.training.learner import Learner
from fastwavenet.training.run import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")
LONG = {"steps": 45, "batch": 1, "window": 50}  # a report every second or third step


# ---- a full disk -----------------------------------------------------------------------------


@contextlib.contextmanager
def broken_from(monkeypatch, at, act):
    """Calls `act` before step `at`."""
    step = Learner.step
    with monkeypatch.context() as context:
        context.setattr(
            Learner, "step", lambda x, factor: (act() if x.steps == at else 0, step(x, factor))[1]
        )
        yield


@pytest.mark.parametrize("at", [0, 1, 20])
def test_a_full_disk_ends_the_run_and_leaves_the_last_checkpoint(
    source, tmp_path, monkeypatch, whole, at
):
    run, (soft, hard) = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)
    full = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))  # noqa: E731
    try:
        with broken_from(monkeypatch, at, full), pytest.raises(OSError, match="too large"):
            quick(source, run, **LONG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [file for file in run.iterdir() if file.name.startswith(".")]
    assert checkpoint.load(run / "checkpoint.safetensors").progress.steps <= at
    quick(source, run, resume=True)
    assert left_behind(run) == whole


@pytest.mark.parametrize("name", ["model", "latest"])
def test_a_file_that_cannot_be_written_ends_a_run_that_can_be_resumed(
    source, tmp_path, monkeypatch, whole, name
):
    run = tmp_path / "run"
    file = run / f"{name}.safetensors"

    def block():
        file.unlink()
        file.mkdir()

    with broken_from(monkeypatch, 10, block), pytest.raises(IsADirectoryError, match=name):
        quick(source, run, **LONG)
    file.rmdir()
    quick(source, run, resume=True)
    assert left_behind(run) == whole


# ---- killed at any moment --------------------------------------------------------------------

SHORT = LONG | {"steps": 3}  # a report every step


@pytest.fixture(scope="module")
def whole_short(source, tmp_path_factory, one_thread):
    run = tmp_path_factory.mktemp("whole") / "run"
    quick(source, run, **SHORT)
    return left_behind(run)


def die_at(at, source, run, signals):
    """The exit code of a run that got signals; whatever happened, it is then brought to its end."""
    process = start_training(source, run, SHORT, at, signals)
    process.join()
    if run.exists() and signal.SIGKILL not in signals:
        assert not list(run.glob(".*"))
    train_on(source, run, SHORT)
    return process.exitcode


KILL, TWICE, ONCE = (signal.SIGKILL,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)
EXITS = [(KILL, -signal.SIGKILL), (TWICE, 130), (ONCE, 0)]
BEGUN = 5  # touches, the first ones of checks, in which a signal has its usual effect


@pytest.mark.parametrize(("signals", "code"), EXITS)
@pytest.mark.parametrize("at", [5, 30])
def test_a_run_that_ends_while_it_saves_can_be_resumed(
    source, tmp_path, whole_short, at, signals, code
):
    assert die_at(at, source, tmp_path / "run", signals) == code
    assert left_behind(tmp_path / "run") == whole_short


@pytest.mark.slow
@pytest.mark.parametrize(("signals", "code"), EXITS)
def test_a_run_that_ends_whenever_it_saves_can_be_resumed(
    source, tmp_path, whole_short, signals, code
):
    for at in itertools.count(1):
        ended = die_at(at, source, tmp_path / str(at), signals)
        assert left_behind(tmp_path / str(at)) == whole_short
        if ended == NEVER:
            break
        assert ended == code or (at < BEGUN and ended == -signals[0])
    assert at > 50


@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_at_random_ends_as_if_it_was_not(source, tmp_path, whole, kills):
    rng = random.Random(kills)
    for _ in range(kills):
        process = start_training(source, tmp_path / "run", LONG)
        time.sleep(rng.uniform(0, 0.25))
        process.kill()
        process.join()
    train_on(source, tmp_path / "run", LONG)
    assert left_behind(tmp_path / "run") == whole


# ---- killed in the middle of a save ----------------------------------------------------------

WIDE = small_spec(sample_rate=16000, levels=256, residual=32, dilation_channels=32, skip=128)
SAVING = {"spec": WIDE, "batch": 1, "window": 20}  # six files are saved every step


def half_written(run):
    return {name for name in os.listdir(run) if name.endswith(".tmp")}


def kill_after(process, run, saves, wait):
    """Kills a process `wait` seconds after the begin of its `saves`-th save or a later one; without
    a wait while it writes one.
    """
    seen = set()
    while process.is_alive() and len(seen) < saves:  # a save takes milliseconds
        seen |= half_written(run)
        time.sleep(0.0002)
    time.sleep(wait)
    while not wait and process.is_alive() and not half_written(run):
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.0005)
        os.kill(process.pid, signal.SIGSTOP)  # so that a save that is seen does not end
    process.kill()
    process.join()


@pytest.mark.parametrize(
    ("kills", "steps"), [(4, 20), pytest.param(20, 120, marks=pytest.mark.slow)]
)
def test_a_run_that_is_killed_in_the_middle_of_saves_ends_as_if_it_was_not(
    source, tmp_path, kills, steps
):
    """Half of the kills at random, half while a checkpoint is written."""
    rng, run, options = random.Random(kills), tmp_path / "run", SAVING | {"steps": steps}
    quick(source, tmp_path / "whole", **options)
    expected, halves, done = left_behind(tmp_path / "whole"), 0, 0
    run.mkdir()
    for n in range(kills):
        process = start_training(source, run, options, save_seconds=0, slow=0.002)
        kill_after(process, run, rng.randint(8, 20), rng.uniform(0, 0.2) if n % 2 else 0)
        halves += bool(half_written(run))
        before, done = done, RunFolder(run).load().progress.steps
        assert done >= before
    assert halves >= kills // 4  # were really in the middle of one
    assert done > 0
    train_on(source, run, options)
    assert left_behind(run) == expected
