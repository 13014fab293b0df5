"""Two processes never train into one folder, and a killed one blocks nobody."""

import errno
import fcntl
import shutil
import subprocess
import sys
import time

import pytest
from runs import left_behind, quick, start_training

from fastwavenet.training.learner import Learner
from fastwavenet.training.run import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")
ENDLESS = {"steps": 10**6, "batch": 1, "window": 50}
REFUSAL = r"run: another process trains into this folder: wait for its end, stop it, or choose"


@pytest.fixture
def busy(source, tmp_path):
    """A folder into which another process trains, and that process."""
    process = start_training(source, tmp_path / "run", ENDLESS)
    until = time.monotonic() + 300
    while not (tmp_path / "run" / "checkpoint.safetensors").exists():
        assert process.is_alive() and time.monotonic() < until
        time.sleep(0.01)
    yield tmp_path / "run", process
    process.kill()
    process.join()


def test_a_second_process_is_refused_in_one_line_until_the_first_is_killed(source, busy, refused):
    folder, process = busy
    for flags in ((), ("--resume",)):
        said = refused("train", source, "-o", folder, *flags)
        assert said.startswith(f"{folder}: another process trains into this folder: wait for its")
    process.kill()
    process.join()
    assert quick(source, folder, resume=True, steps=3).steps >= 3


def test_a_run_ends_with_its_folder_free(source, tmp_path, monkeypatch):
    """Also in a host program that keeps the error, and its traceback, of a run."""
    with monkeypatch.context() as context, pytest.raises(ZeroDivisionError) as kept:
        context.setattr(Learner, "step", lambda *_: 1 / 0)
        quick(source, tmp_path / "run")
    assert quick(source, tmp_path / "run", resume=True).steps == 3
    assert quick(source, tmp_path / "run", resume=True).steps == 3
    assert kept.tb is not None


def test_of_two_runs_that_make_a_folder_at_once_the_second_is_refused(tmp_path):
    first, second, third = (RunFolder(tmp_path / "run") for _ in range(3))
    with second.held(resume=False), third.held(resume=False):
        with first.held(resume=False):
            first.claim(resume=False)
            with pytest.raises(BlockingIOError, match=REFUSAL):
                second.claim(resume=False)
            first.latest.write_bytes(b"")
            first.model.write_bytes(b"")
        with pytest.raises(FileExistsError, match=r"model\.safetensors exists: resume this run"):
            third.claim(resume=False)


def test_temporary_files_of_another_process_are_left_to_it(source, busy):
    folder, _ = busy
    theirs = folder / ".checkpoint.safetensors-0123.tmp"
    theirs.write_bytes(b"half")
    with pytest.raises(BlockingIOError, match=REFUSAL):
        quick(source, folder, resume=True)
    assert theirs.exists()


def at_step(monkeypatch, at, act):
    """Calls `act` before step `at`."""
    step = Learner.step
    monkeypatch.setattr(
        Learner, "step", lambda run, factor: (run.steps == at and act(), step(run, factor))[1]
    )


def test_a_folder_that_is_removed_meanwhile_is_written_again(source, tmp_path, monkeypatch):
    run, options = tmp_path / "run", {"steps": 20, "batch": 1, "window": 50}
    quick(source, tmp_path / "whole", **options)
    at_step(monkeypatch, 15, lambda: shutil.rmtree(run))
    quick(source, run, **options)
    assert left_behind(run) == left_behind(tmp_path / "whole")


def test_a_folder_that_another_run_has_made_again_is_left_to_it(source, tmp_path, monkeypatch):
    run, other = tmp_path / "run", RunFolder(tmp_path / "run")

    def replace():
        shutil.rmtree(run)
        other.claim(resume=False)

    at_step(monkeypatch, 1, replace)
    with pytest.raises(BlockingIOError, match=REFUSAL):
        quick(source, run)
    other.lock.release()
    assert not list(run.iterdir())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_can_be_trained_on(source, tmp_path, monkeypatch, number):
    def flock(_handle, _operation):
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert quick(source, tmp_path / "run").steps == 3
    assert quick(source, tmp_path / "run", resume=True, steps=4).steps == 4


def test_a_forked_process_that_lives_on_keeps_nobody_out(source, tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.held(resume=False):
        folder.claim(resume=False)
        child = subprocess.Popen(  # with a copy of the handle
            [sys.executable, "-c", "import time; time.sleep(600)"], pass_fds=[folder.lock.handle]
        )
    assert quick(source, tmp_path / "run").steps == 3
    child.kill()
    child.wait()
