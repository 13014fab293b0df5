"""A disk that is full for a while costs nothing, and one that stays full ends with one error."""

import shutil
import threading

import pytest
from recordings import mounted, nobody, public_folder
from runs import LONG, SPEC, left_behind, quick

import fastwavenet as fw
from fastwavenet import training
from fastwavenet.training import checkpoint, loop
from fastwavenet.training.console import REMARKS
from fastwavenet.training.learner import Learner
from fastwavenet.training.run import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def disk(tmp_path):
    """A file system of 2 MB in memory."""
    with mounted(tmp_path / "disk", "size=2m") as folder:
        yield folder


def fill(disk):
    """Leaves no byte free."""
    with open(disk / "others", "wb", buffering=0) as file:
        while shutil.disk_usage(disk).free:
            file.write(bytes(shutil.disk_usage(disk).free))


def free(disk):
    (disk / "others").unlink()


def before_steps(monkeypatch, acts):
    """acts: step -> called before it."""
    step = Learner.step

    def stepped(learner, factor):
        acts.get(learner.steps, int)()
        return step(learner, factor)

    monkeypatch.setattr(Learner, "step", stepped)


@pytest.fixture
def said():
    """The remarks of a run without lines."""
    lines = []
    token = REMARKS.set(lines.append)
    yield lines
    REMARKS.reset(token)


@pytest.mark.parametrize(("since", "until"), [(0, 1), (3, 7), (5, 19)])
def test_a_disk_that_is_full_for_a_while_costs_nothing(
    source, disk, monkeypatch, whole, said, since, until
):
    before_steps(monkeypatch, {since: lambda: fill(disk), until: lambda: free(disk)})
    summary = quick(source, disk / "run", **LONG)
    assert not summary.interrupted
    assert left_behind(disk / "run") == whole
    failed = [line for line in said if "not all files" in line]
    assert len(failed) == until - since
    for n, line in enumerate(failed):
        assert line == (
            f"not all files of step {since + 1 + n} are written "
            f"({disk}/run/checkpoint.safetensors: No space left on device), which is tried again "
            f"within 60 s; the last checkpoint is of step {since}"
        )


def test_files_that_did_not_fit_after_the_checkpoint_are_written_with_the_next(
    source, disk, monkeypatch, whole, said
):
    """Before the next report, by the checkpoint that is due every minute, here every step."""
    monkeypatch.setattr("fastwavenet.training.settings.REPORTS", 2)
    quick(source, disk / "whole", **LONG)
    expected = left_behind(disk / "whole")
    publish, published = RunFolder.publish, []

    def full(folder, spec, history, latest, best):
        if not published:
            fill(disk)
        published.append((len(history), best is not None))
        try:
            publish(folder, spec, history, latest, best)
        finally:
            (disk / "others").unlink(missing_ok=True)

    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    monkeypatch.setattr(RunFolder, "publish", full)
    quick(source, disk / "run", **LONG)
    assert published[:2] == [(1, True), (1, True)]
    assert len(published) == 3
    assert [line for line in said if "model.safetensors: No space" in line]
    assert left_behind(disk / "run") == expected


def test_a_disk_that_stays_full_is_an_error_at_the_end_which_names_the_checkpoint(
    source, disk, monkeypatch, whole
):
    with monkeypatch.context() as context:
        before_steps(context, {4: lambda: fill(disk)})
        with pytest.raises(OSError, match=r"No space left on device; the checkpoint of step 4 rem"):
            quick(source, disk / "run", **LONG)
    names = {file.name for file in (disk / "run").iterdir()}
    assert not [name for name in names if name.startswith(".")]
    assert checkpoint.load(disk / "run" / "checkpoint.safetensors").progress.steps == 4
    assert checkpoint.load(disk / "run" / "checkpoint.previous.safetensors").progress.steps == 3
    assert fw.load(disk / "run" / "model.safetensors")
    free(disk)
    quick(source, disk / "run", resume=True)
    assert left_behind(disk / "run") == whole


def test_the_error_is_one_line_and_exit_code_2(source, disk, monkeypatch, refused):
    train = training.train
    options = {"spec": SPEC, "bfloat16": False, **LONG}
    monkeypatch.setattr("fastwavenet.training.train", lambda *a, **o: train(*a, **o | options))
    before_steps(monkeypatch, {9: lambda: fill(disk)})
    assert refused("train", source, "-o", disk / "run") == (
        f"{disk}/run/checkpoint.safetensors: No space left on device; "
        f"the checkpoint of step 9 remains, and --resume goes on from it"
    )


def test_a_disk_that_is_full_at_the_begin_is_an_error_at_once(source, disk, monkeypatch):
    fill(disk)
    monkeypatch.setattr(Learner, "step", lambda *_: pytest.fail("a step was taken"))
    with pytest.raises(OSError, match="No space left on device"):
        quick(source, disk / "run", **LONG)
    assert not list(disk.glob("run/*"))


def test_an_interruption_that_cannot_be_saved_is_an_error(source, disk, monkeypatch):
    stop = threading.Event()
    before_steps(monkeypatch, {6: lambda: (fill(disk), stop.set())})
    with pytest.raises(OSError, match="No space left .* the checkpoint of step 6 remains"):
        quick(source, disk / "run", stop=stop, **LONG)


def test_a_folder_that_is_made_read_only_meanwhile_is_written_later(source, monkeypatch, whole):
    with public_folder() as folder:
        for name in ("a.wav", "b.wav"):
            shutil.copy(source / name, folder / name)
        folder.chmod(0o777)
        with nobody():
            run = folder / "run"
            before_steps(monkeypatch, {3: lambda: run.chmod(0o555), 8: lambda: run.chmod(0o755)})
            quick(folder, run, **LONG)
            names = {file.name for file in run.iterdir()}
        assert names == whole[7]
        models = [(run / f"{name}.safetensors").read_bytes() for name in ("model", "latest")]
        assert models == whole[6]
