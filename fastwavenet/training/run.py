"""The folder that a training run leaves."""

from __future__ import annotations

import json
from pathlib import Path

from .. import modelfile
from ..files import check_folder, check_target, remove_leftovers, replace_atomically
from ..spec import WaveNetSpec
from . import checkpoint
from .checkpoint import Checkpoint, Weights


class RunFolder:
    """What a training run leaves.

    checkpoint.safetensors   everything needed to go on; the files below are made from it
    model.safetensors        the weights that did best on held-out audio, as a model file
    latest.safetensors       the latest weights, as a model file
    log.jsonl                a line per report

    Each is replaced whole.  The checkpoint goes first: whenever a run is killed the others are
    of the same report or of an earlier one, and `publish` brings them up to date on resuming.
    """

    def __init__(self, path: Path):
        self.path = path
        self.checkpoint = path / "checkpoint.safetensors"
        self.model = path / "model.safetensors"
        self.latest = path / "latest.safetensors"
        self.log = path / "log.jsonl"

    def check_writable(self) -> None:
        """Raises OSError if it is known already that the run cannot be saved here."""
        check_folder(self.path)
        if self.path.exists():
            for file in (self.checkpoint, self.model, self.latest, self.log):
                check_target(file)

    def check_empty(self) -> None:
        """Raises FileExistsError if there is a run already."""
        for file in (self.checkpoint, self.model):
            if file.exists():
                raise FileExistsError(
                    f"{file} exists: resume this run, train into another folder, or remove it first"
                )

    def load(self) -> Checkpoint:
        """See `checkpoint.load`."""
        return checkpoint.load(self.checkpoint)

    def save(self, state: Checkpoint) -> None:
        """Replaces the checkpoint.  Raises OSError, with the old one intact."""
        self.path.mkdir(parents=True, exist_ok=True)
        checkpoint.save(self.checkpoint, state)

    def publish(
        self, spec: WaveNetSpec, history: list[dict], latest: Weights, best: Weights | None
    ) -> None:
        """Writes what people and the engine read.  best: None to leave the one that is there."""
        if best is not None:
            modelfile.save(self.model, spec, best)
        modelfile.save(self.latest, spec, latest)
        lines = "".join(json.dumps(record) + "\n" for record in history)
        replace_atomically(self.log, lines.encode())

    def clean(self) -> None:
        """Removes the temporary files of a run that was killed while it saved."""
        for file in (self.checkpoint, self.model, self.latest, self.log):
            remove_leftovers(file)
