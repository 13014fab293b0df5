"""The folder of a training run."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

from .. import modelfile
from ..atomic import (
    check_folder,
    check_target,
    is_special_file,
    remove_leftovers,
    replace_atomically,
)
from ..modelfile import ModelFormatError
from ..shown import shown
from ..spec import WaveNetSpec
from . import checkpoint
from .checkpoint import Checkpoint, Weights
from .lock import FolderLock

BAD_DISK = (errno.EIO, errno.EUCLEAN)  # read errors of a damaged file


class RunFolder:
    """The files of a training run.

    checkpoint.safetensors           the whole state of the run; the other files are made from it
    checkpoint.previous.safetensors  the checkpoint before it, for one that was damaged
    model.safetensors                the weights with the lowest validation loss, as a model file
    latest.safetensors               the latest weights, as a model file
    log.jsonl                        a line per report
    report.html                      curves, remarks and sounds, see `reporters`

    Each is replaced atomically, the checkpoint first.  If a run is killed, the other files are of
    the same report or of an earlier one, and `publish` brings them up to date on resuming.

    damage: the reason why `load` took the previous checkpoint; None if it did not.
    """

    def __init__(self, path: Path):
        self.path = path
        self.checkpoint = path / "checkpoint.safetensors"
        self.model = path / "model.safetensors"
        self.latest = path / "latest.safetensors"
        self.log = path / "log.jsonl"
        link = self.checkpoint.is_symlink()  # then beside its target, on the same file system
        beside = Path(os.path.realpath(self.checkpoint)) if link else self.checkpoint
        self.previous = beside.with_name("checkpoint.previous.safetensors")
        self.report = path / "report.html"
        whole = self.checkpoint, self.previous, self.model
        self.files = (*whole, self.latest, self.log, self.report)
        self.lock = FolderLock(path)
        self.damage: str | None = None

    @contextlib.contextmanager
    def held(self, resume: bool) -> Iterator[None]:
        """Within it no other process trains into the folder.  Raises the errors of `check`.

        A folder that is yet to be made is locked by `claim`.
        """
        try:
            self.check(resume)
            yield
        finally:
            self.lock.release()

    def check(self, resume: bool) -> None:
        """Raises OSError if a file of the run cannot be written, where that shows in advance.

        Raises FileExistsError if the folder holds a run already, unless `resume` is true,
        BlockingIOError if another process trains into it.
        """
        check_folder(self.path)
        self._try_to_make()
        if self.path.is_dir():
            self.lock.take()
            for file in self.files:
                check_target(file)
                if is_special_file(file):
                    raise OSError(f"{shown(file)}: is a device or a pipe, expected a file of a run")
        if not resume:
            self._refuse_existing()

    def _refuse_existing(self) -> None:
        for file in (self.checkpoint, self.previous, self.model):
            if file.exists():
                raise FileExistsError(
                    f"{shown(file)} exists: resume this run, train into another folder, "
                    f"or remove it first"
                )

    def is_published(self, history: list[dict]) -> bool:
        """Whether all files of a checkpoint with this history are written.

        A log that goes on is that of an interruption (see `Run.interrupt`).  The cost of smaller
        precisions is recorded last.
        """
        try:
            lines = self.log.read_text().splitlines()
            cost = modelfile.load(self.model).precision_cost
        except (OSError, ValueError):
            return False
        complete = lines[: len(history)] == [json.dumps(record) for record in history]
        return complete and bool(cost) and self.latest.is_file()

    def _try_to_make(self) -> None:
        """Creates the missing folders and removes them: some names only the file system refuses."""
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        finally:
            for folder in missing:
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def load(self) -> Checkpoint:
        """The newest checkpoint that is whole.  Raises as `checkpoint.load` if there is none."""
        try:
            return checkpoint.load(self.checkpoint)
        except (ModelFormatError, OSError) as error:
            if not _may_be_damaged(error) or not self.previous.exists():
                raise
            newer = error
        try:
            state = checkpoint.load(self.previous)
        except (ModelFormatError, OSError) as older:
            if not _may_be_damaged(older):
                raise
            raise ModelFormatError(
                f"neither checkpoint of this run is usable, train into another folder: {newer}; "
                f"{older}"
            ) from None
        self.damage = str(newer)
        return state

    def claim(self, resume: bool) -> None:
        """Makes and locks the folder, and removes the temporary files of a killed run.

        Raises BlockingIOError if another process trains into it, FileExistsError as `check`.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if self.lock.take() and not resume:
            self._refuse_existing()
        for file in self.files:
            remove_leftovers(file)

    def save(self, state: Checkpoint) -> None:
        """Replaces the checkpoint, which becomes the previous one unless it is damaged.

        Raises OSError, and leaves both old checkpoints intact.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.lock.take()
        checkpoint.save(self.checkpoint, state, keep=None if self.damage else self.previous)
        self.damage = None

    def publish(
        self, spec: WaveNetSpec, history: list[dict], latest: Weights, best: Weights | None
    ) -> None:
        """Writes the files for people and the engine.  best: None keeps the model file."""
        if best is not None:
            modelfile.save(self.model, spec, best)
        modelfile.save(self.latest, spec, latest)
        lines = "".join(json.dumps(record) + "\n" for record in history)
        replace_atomically(self.log, lines.encode())


def _may_be_damaged(error: Exception) -> bool:
    """Whether a checkpoint that raised this may have been whole when it was written."""
    return not isinstance(error, OSError) or (
        isinstance(error, FileNotFoundError) or error.errno in BAD_DISK
    )
