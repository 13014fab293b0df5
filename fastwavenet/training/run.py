"""The folder of a training run."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from .. import modelfile
from ..atomic import (
    check_folder,
    check_target,
    is_special_file,
    remove_leftovers,
    replace_atomically,
)
from ..shown import shown
from ..spec import WaveNetSpec
from . import checkpoint
from .checkpoint import Checkpoint, Weights


class RunFolder:
    """The files of a training run.

    checkpoint.safetensors   the whole state of the run; the files below are made from it
    model.safetensors        the weights with the lowest validation loss, as a model file
    latest.safetensors       the latest weights, as a model file
    log.jsonl                a line per report

    Each is replaced atomically, the checkpoint first.  If a run is killed, the other files are of
    the same report or of an earlier one, and `publish` brings them up to date on resuming.
    """

    def __init__(self, path: Path):
        self.path = path
        self.checkpoint = path / "checkpoint.safetensors"
        self.model = path / "model.safetensors"
        self.latest = path / "latest.safetensors"
        self.log = path / "log.jsonl"
        self.files = (self.checkpoint, self.model, self.latest, self.log)

    def check(self, resume: bool) -> None:
        """Raises OSError if a file of the run cannot be written, where that shows in advance.

        Raises FileExistsError if the folder holds a run already, unless `resume` is true.
        """
        check_folder(self.path)
        self._try_to_make()
        if self.path.is_dir():
            for file in self.files:
                check_target(file)
                if is_special_file(file):
                    raise OSError(f"{shown(file)}: is a device or a pipe, expected a file of a run")
        for file in (self.checkpoint, self.model):
            if file.exists() and not resume:
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
        """See `checkpoint.load`."""
        return checkpoint.load(self.checkpoint)

    def save(self, state: Checkpoint) -> None:
        """Replaces the checkpoint.  Raises OSError, and leaves the old checkpoint intact."""
        self.path.mkdir(parents=True, exist_ok=True)
        checkpoint.save(self.checkpoint, state)

    def publish(
        self, spec: WaveNetSpec, history: list[dict], latest: Weights, best: Weights | None
    ) -> None:
        """Writes the files for people and the engine.  best: None keeps the model file."""
        if best is not None:
            modelfile.save(self.model, spec, best)
        modelfile.save(self.latest, spec, latest)
        lines = "".join(json.dumps(record) + "\n" for record in history)
        replace_atomically(self.log, lines.encode())

    def clean(self) -> None:
        """Removes the temporary files of a run that was killed while it saved."""
        for file in self.files:
            remove_leftovers(file)
