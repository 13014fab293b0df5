"""A damaged checkpoint: the run goes on from the one before, to the same bits."""

import errno
import os
import re

import pytest
from runs import LONG, interrupt, left_behind, log, quick

from fastwavenet import atomic
from fastwavenet.modelfile import ModelFormatError
from fastwavenet.training import checkpoint
from fastwavenet.training.console import REMARKS
from fastwavenet.training.run import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def begun(source, tmp_path, monkeypatch):
    """A run that was interrupted at its eighth step."""
    with monkeypatch.context() as context:
        interrupt(context, 7)
        quick(source, tmp_path / "run", **LONG)
    return RunFolder(tmp_path / "run")


def flip(file, place=-5):
    data = bytearray(file.read_bytes())
    data[place] ^= 4
    file.write_bytes(data)


def cut(file):
    file.write_bytes(file.read_bytes()[:-1000])


def empty(file):
    file.write_bytes(b"")


def remove(file):
    file.unlink()


def steps(file):
    return checkpoint.load(file).progress.steps


def test_the_previous_checkpoint_is_kept_beside_the_newest(begun):
    """The last report and the interruption are of one step."""
    assert (steps(begun.checkpoint), steps(begun.previous)) == (8, 8)
    assert not list(begun.path.glob(".*"))
    begun.save(checkpoint.load(begun.checkpoint))
    assert os.stat(begun.checkpoint).st_ino != os.stat(begun.previous).st_ino
    begun.lock.release()


@pytest.mark.parametrize("damage", [flip, cut, empty, remove])
def test_a_run_goes_on_from_the_previous_checkpoint_to_the_same_bits(
    source, begun, whole, damage, capsys
):
    damage(begun.checkpoint)
    quick(source, begun.path, resume=True, progress=True)
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(f"going on from {begun.previous}, for {begun.checkpoint}: ")
    assert left_behind(begun.path) == whole


@pytest.mark.parametrize("at", [0, 1, 5, 19])
def test_also_from_one_of_an_earlier_step(source, tmp_path, monkeypatch, whole, at):
    """Killed right behind a report, so that the two are of two steps."""
    folder, saved = RunFolder(tmp_path / "run"), []
    save = RunFolder.save

    def killed(folder, state):
        save(folder, state)
        saved.append(state.progress.steps)
        if len(saved) == at + 2:  # the first is of step 0
            raise KeyboardInterrupt

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(RunFolder, "save", killed)
        quick(source, folder.path, **LONG)
    assert (steps(folder.previous), steps(folder.checkpoint)) == (at, at + 1)
    flip(folder.checkpoint)
    quick(source, folder.path, resume=True)
    assert left_behind(folder.path) == whole


def test_the_damaged_checkpoint_never_takes_the_place_of_the_previous_one(source, begun):
    before = begun.previous.read_bytes()
    flip(begun.checkpoint)
    state = begun.load()
    begun.save(state)
    assert begun.previous.read_bytes() == before
    assert steps(begun.checkpoint) == 8
    begun.save(state)  # and the new one does
    assert steps(begun.previous) == 8
    begun.lock.release()


def test_a_run_without_lines_hands_the_remark_over(source, begun):
    said = []
    flip(begun.checkpoint)
    token = REMARKS.set(said.append)
    quick(source, begun.path, resume=True)
    REMARKS.reset(token)
    assert said[0].startswith(
        f"going on from {begun.previous}, for {begun.checkpoint}: not a whole"
    )
    assert "SHA-256" in said[0]


def test_where_both_are_damaged_both_are_named(source, begun):
    for file in (begun.checkpoint, begun.previous):
        flip(file)
    before = {file: file.read_bytes() for file in begun.path.iterdir()}
    names = f"{re.escape(str(begun.checkpoint))}: .*; {re.escape(str(begun.previous))}: "
    with pytest.raises(ModelFormatError, match=f"neither checkpoint .* another folder: {names}"):
        quick(source, begun.path, resume=True)
    assert {file: file.read_bytes() for file in begun.path.iterdir()} == before


def test_a_damaged_checkpoint_alone_is_refused(source, begun):
    begun.previous.unlink()
    flip(begun.checkpoint)
    with pytest.raises(ModelFormatError, match=f"^{re.escape(str(begun.checkpoint))}: not a whole"):
        quick(source, begun.path, resume=True)


def test_what_cannot_be_read_is_not_taken_for_damaged(source, begun):
    begun.checkpoint.rename(begun.path / "elsewhere")
    begun.checkpoint.mkdir()
    with pytest.raises(IsADirectoryError):
        quick(source, begun.path, resume=True)


def test_a_previous_checkpoint_alone_is_a_run_that_is_not_overwritten(source, begun, whole):
    for file in (begun.checkpoint, begun.model):
        file.unlink()
    with pytest.raises(FileExistsError, match=r"previous\.safetensors exists: resume this run"):
        quick(source, begun.path, **LONG)
    quick(source, begun.path, resume=True)
    assert left_behind(begun.path) == whole


def test_without_hard_links_it_is_renamed(source, tmp_path, monkeypatch, whole):
    def link(*_names):
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(atomic.os, "link", link)
    quick(source, tmp_path / "run", **LONG)
    assert left_behind(tmp_path / "run") == whole
    assert steps(tmp_path / "run" / "checkpoint.previous.safetensors") == 19


def test_a_checkpoint_that_is_a_link_keeps_its_previous_one_beside_its_target(
    source, begun, tmp_path, whole
):
    (tmp_path / "big disk").mkdir()
    target = tmp_path / "big disk" / "c.safetensors"
    begun.checkpoint.rename(target)
    begun.checkpoint.symlink_to(target)
    quick(source, begun.path, resume=True)
    assert begun.checkpoint.is_symlink()
    beside = target.with_name("checkpoint.previous.safetensors")
    assert steps(beside) == 19
    flip(target)
    quick(source, begun.path, resume=True)
    assert [line["step"] for line in log(begun.path)] == list(range(1, 21))
    assert steps(target) == 20
