"""Around the training loop: the folder a run leaves, its progress bar, Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
from tqdm import tqdm

from ..files import replace_atomically
from .export import export_model

if TYPE_CHECKING:
    from .train import Learner


BEST, LATEST = "model.safetensors", "latest.safetensors"


class RunFolder:
    """What a training run leaves.

    model.safetensors        the weights that did best on held-out audio, as a model file
    latest.safetensors       the latest weights, as a model file
    checkpoint.safetensors   the latest weights and the optimizer's moments
    log.jsonl                a line per validation
    """

    def __init__(self, path: Path):
        """Raises FileExistsError if there is a run already."""
        self.path = path
        self.model = path / BEST
        self.latest = path / LATEST
        self.checkpoint = path / "checkpoint.safetensors"
        self.log = path / "log.jsonl"
        self.best = math.inf
        self.history: list[dict] = []
        for file in (self.checkpoint, self.model):
            if file.exists():
                raise FileExistsError(
                    f"{file} exists: train into another folder, or remove this run first"
                )

    def create(self) -> None:
        """Before training, so that a folder that cannot be written costs no training time."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")

    def report(self, learner: Learner, seconds: float, train_loss: float) -> str:
        """Validates, saves everything, and says so in a line."""
        validation_loss = learner.validate()
        (group,) = learner.optimizer.param_groups
        record = {
            "step": learner.steps,
            "seconds": round(seconds, 2),
            "train_loss": train_loss,
            "validation_loss": validation_loss,
            "learning_rate": group["lr"],
        }
        self.history.append(record)
        with self.log.open("a") as file:
            file.write(json.dumps(record) + "\n")
        if validation_loss < self.best:
            export_model(learner.model, self.model)
            self.best = validation_loss
        export_model(learner.model, self.latest)
        self._save_checkpoint(learner)
        return (
            f"step {learner.steps}, {seconds:.0f} s: "
            f"{train_loss:.3f} nats per sample, held out {validation_loss:.3f}"
        )

    def _save_checkpoint(self, learner: Learner) -> None:
        about = {
            "step": learner.steps,
            "seed": learner.seed,
            "spec": learner.model.spec.to_dict(),
            "history": self.history,
        }
        metadata = {"fastwavenet.training": json.dumps(about)}
        replace_atomically(self.checkpoint, safetensors.torch.save(learner.state(), metadata))


def progress_bar(progress: bool) -> tqdm:
    return tqdm(
        total=1.0,
        disable=None if progress else True,  # None: only on a terminal
        leave=False,
        bar_format="{percentage:3.0f}%|{bar}| {desc}",
    )


def draw_progress(bar: tqdm, spent: float, loss: float, samples: int, seconds: float) -> None:
    left = tqdm.format_interval(seconds / spent - seconds)
    bar.n = spent
    bar.set_description_str(f"{loss:.3f} nats, {samples / seconds:,.0f} samples/s, {left} left")


@contextlib.contextmanager
def stop_on_ctrl_c() -> Iterator[threading.Event]:
    """The first Ctrl-C sets the event, so that a step is never cut in two; the next interrupts."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python delivers signals to the main thread only
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(_signal: int, _frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
