"""The training loop: `Run.fit`.  `Learner.step` (learner.py) is one step."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..ends import Sampling
from ..modelfile import Contents
from ..spec import WaveNetSpec
from .checkpoint import BEST, Checkpoint, Progress, Weights
from .computer import Computer
from .conditioning import wrong_losses
from .console import Console, describe, describe_cost, oddities
from .data import Corpus
from .distributed import Processes
from .failures import free_memory, lacking_memory, written_later
from .learner import Learner
from .reporters import Reporters
from .resume import check_corpus
from .run import RunFolder
from .schedule import rate_factor
from .settings import LITTLE_SECONDS, Budget, Recordings, Settings
from .snapshot import Snapshot

SAVE_SECONDS = 60.0  # between checkpoints, at most
COST_STEPS = 10  # timed to estimate the speed, after one that warms up


@dataclass(frozen=True)
class Summary:
    """The result of a training run, over all its processes if it was resumed.

    model               path of the model file: the weights with the lowest loss on held-out audio,
                        or, with less than a minute of audio to train on, the latest ones
    validation_loss     their loss on held-out audio, in nats per sample
    seconds             of training
    samples_per_second  predicted samples per second of training
    interrupted         whether training ended before its budget
    """

    spec: WaveNetSpec
    model: Path
    validation_loss: float
    steps: int
    seconds: float
    samples_per_second: float
    interrupted: bool


class Run:
    """A learner with a budget and a folder for its weights.

    best    the weights with the lowest validation loss in the history, see `is_better`
    spent   the fraction of the budget that is used up
    saved   the time of the last checkpoint, in seconds of time.monotonic()
    kept    its step; None before the first one
    before  predicted samples in earlier processes
    timed   seconds and samples after each of the first steps in this process

    must_write   whether a file that cannot be written ends the run: at its begin and end
    unpublished  whether the last report is missing in the files that are made from the checkpoint
    better       whether the best weights are missing there
    """

    def __init__(
        self,
        settings: Settings,
        budget: Budget,
        corpus: Corpus,
        recordings: Recordings,
        device: torch.device,
        folder: RunFolder,
        console: Console,
        reporters: Reporters,
        processes: Processes,
    ):
        self.budget, self.corpus, self.folder, self.console = budget, corpus, folder, console
        self.reporters = reporters
        self.learner = Learner(settings, corpus, device, processes)
        self.is_little = corpus.seconds(settings.spec.sample_rate) < LITTLE_SECONDS
        self.fingerprint, self.recordings = corpus.fingerprint(), recordings
        self.progress = Progress()
        self.best: dict | None = None
        self.spent = self.saved = 0.0
        self.kept: int | None = None
        self.must_write, self.unpublished, self.better = True, False, False
        self.before = 0
        self.timed: deque[tuple[float, int]] = deque(maxlen=2 + COST_STEPS)

    def begin(self, started: Checkpoint | None, model: Contents | None = None) -> None:
        """Everything before the first step: prints the corpus, and saves a run to resume.

        model: whose weights a new run has at first
        """
        for line in oddities(self.corpus):
            self.console.remark(line)
        for line in describe(self.corpus, self.learner.settings, self.budget):
            self.console.say(line)
        if self.learner.device.type == "cpu":
            lack = lacking_memory(self.learner.settings, free_memory())
            if lack is not None:
                self.console.remark(lack)
        if started is not None:
            self._resume(started)
        else:
            self._prepare(model)
        self.folder.claim(resume=started is not None)
        self.save()
        if started is not None:
            self.publish(self.progress.history, self.best)

    def _prepare(self, model: Contents | None) -> None:
        """For a new run: weights, prediction of pitch, and the precision of products."""
        if model is not None:
            self.learner.start_from(model.weights)
        else:
            accuracy = self.learner.fit_pitch(self.corpus)
            if accuracy is not None:
                self.console.say(f"pitch from mel frames, held out: {accuracy}")
        if self.learner.settings.bfloat16 is None:
            self.console.say(self.learner.choose_precision())
        if model is not None:
            loss = self.learner.validate()
            self.console.say(f"before training: held out {loss:.3f} nats per sample")

    def _resume(self, started: Checkpoint) -> None:
        check_corpus(started.corpus, self.fingerprint)
        self.progress = started.progress
        self.kept = self.progress.steps
        self.best = started.tensors.get(BEST)
        self.learner.restore(started.tensors, self.progress.steps, self.progress.samples)
        last = started.budget.spent(self.progress.steps - 0.5, self.progress.seconds)
        self.learner.set_rate(self.rate_factor(max(last, 0)))  # for a report without another step
        self.before = self.progress.samples
        self.spent = self.budget.spent(self.progress.steps, self.progress.seconds)
        minutes = self.progress.seconds / 60
        self.console.say(f"resuming after {self.progress.steps} steps and {minutes:.2f} minutes")
        if line := Computer.here(self.learner.device).change(started.computer):
            self.console.remark(line)
        if self.spent >= 1:
            self.console.say(f"{self.budget} are spent: give more, in all, to train longer")

    def fit(self, stopped: Callable[[], bool]) -> float:
        """Trains until the budget is spent or `stopped`; returns the loss of the best weights.

        This is the training loop.  Reports and checkpoints do not change its results.
        """
        learner, progress = self.learner, self.progress
        began = time.monotonic() - progress.seconds  # as if the run were one process
        ended = self.is_done
        if ended and progress.loss_count:  # killed between its last step and the report
            self.report()
        while not ended:
            middle = self.budget.spent(learner.steps + 0.5, time.monotonic() - began)
            progress.loss_sum += learner.step(self.rate_factor(middle))
            progress.loss_count += 1
            progress.seconds = time.monotonic() - began
            before, self.spent = self.spent, self.budget.spent(learner.steps, progress.seconds)
            ended = self.must_write = self.spent >= 1 or stopped()
            if self.budget.report_is_due(before, self.spent):
                self.report()
                ended = ended or self.is_done
            elif time.monotonic() - self.saved >= SAVE_SECONDS:
                self.write()
            self.show()
        self.must_write = True
        if self.unpublished:  # the last report was written in part, and ended the run by patience
            self.write()
        return self.kept_loss if self.is_done else self.interrupt()

    @property
    def is_done(self) -> bool:
        """Whether the budget is spent or its patience exhausted."""
        return self.spent >= 1 or self.budget.is_exhausted(self.progress.losses)

    def is_better(self, record: dict) -> bool:
        """Whether the weights of a report take the place of those in model.safetensors.

        Seconds of audio are learnt by heart, and their held-out part is too short to judge by: of
        these the latest weights count as the best.
        """
        return self.is_little or record["validation_loss"] < self.progress.best_loss

    @property
    def kept_loss(self) -> float:
        """The validation loss of the weights in model.safetensors, in nats per sample."""
        losses = self.progress.losses
        return losses[-1] if self.is_little and losses else self.progress.best_loss

    def rate_factor(self, spent: float) -> float:
        """The factor of the learning rate after a fraction of the budget."""
        return rate_factor(self.learner.settings.schedule, spent)

    def report(self) -> None:
        """Validates, writes all files, and prints a line."""
        record = self.judge()
        better = self.is_better(record)
        if better:
            self.best = self.learner.weights()
        self.progress.history.append(record)
        self.progress.loss_sum, self.progress.loss_count = 0.0, 0
        self.unpublished, self.better = True, self.better or better
        self.write()

    def interrupt(self) -> float:
        """Writes all files for a run that stops between two reports; returns the best loss.

        The report of the present weights goes to the files for people only.  It is no part of the
        checkpoint's history, so that a resumed run has the reports of an uninterrupted one.
        """
        self.write()
        if self.progress.loss_count == 0:
            return self.kept_loss
        record = self.judge()
        better = self.is_better(record)
        best = self.learner.weights() if better else None
        self.publish([*self.progress.history, record], best)
        return float(record["validation_loss"]) if better else self.kept_loss

    def judge(self) -> dict:
        """Validates and prints a line; returns the record for the log."""
        progress, validation_loss = self.progress, self.learner.validate()
        train_loss = progress.loss_sum / progress.loss_count
        keys = wrong_losses(self.learner.settings.spec)
        wrong = {key: self.learner.validate(wrong=key) for key in keys}
        others = [f"{loss:.3f} with {key.replace('_', ' ')}" for key, loss in wrong.items()]
        beside = f" ({', '.join(others)})" if others else ""
        self.console.say(
            f"step {self.learner.steps}, {progress.seconds:.0f} s: "
            f"{train_loss:.3f} nats per sample, held out {validation_loss:.3f}{beside}"
        )
        return {
            "step": self.learner.steps,
            "seconds": round(progress.seconds, 2),
            "train_loss": train_loss,
            "validation_loss": validation_loss,
            "learning_rate": self.learner.optimizer.rate,
            **wrong,
        }

    def write(self) -> None:
        """Writes the checkpoint and what is unpublished; a failure is made good later."""
        with written_later(self, SAVE_SECONDS):
            self.save()
            if self.unpublished:
                is_new = self.better or not self.folder.model.is_file()
                self.publish(self.progress.history, self.best if is_new else None)
                self.unpublished = self.better = False

    def save(self) -> None:
        """Writes the checkpoint."""
        learner, progress = self.learner, self.progress
        progress.steps, progress.samples = learner.steps, learner.samples
        tensors = learner.state()
        if self.best is not None:
            tensors[BEST] = self.best
        about = learner.settings, self.budget, self.fingerprint, progress
        computer = Computer.here(learner.device)
        self.folder.save(Checkpoint(*about, tensors, computer, self.recordings))
        self.kept = learner.steps
        self.put_off()

    def put_off(self) -> None:
        """The next checkpoint is due a minute from now."""
        self.saved = time.monotonic()

    def publish(self, history: list[dict], best: dict | None) -> None:
        """Writes the files that are made from the checkpoint."""
        learner = self.learner
        latest = learner.for_file(learner.weights())
        best = None if best is None else learner.for_file(best)
        self.folder.publish(learner.settings.spec, history, latest, best)
        self.reporters.report(self._snapshot(learner.settings, history, latest))

    def show_sampling(self, sampling: Sampling) -> None:
        """Reports once more, with previews of the last weights by another sampling."""
        learner = self.learner
        spec = dataclasses.replace(learner.settings.spec, sampling=sampling)
        settings = dataclasses.replace(learner.settings, spec=spec)
        latest = learner.for_file(learner.weights())
        self.reporters.report(self._snapshot(settings, self.progress.history, latest))

    def _snapshot(self, settings: Settings, history: list[dict], latest: Weights) -> Snapshot:
        run = settings, self.budget, self.corpus, history
        done = self.learner.steps, self.learner.samples, self.progress.seconds, self.spent
        return Snapshot(*run, *done, latest)

    def summary(self, loss: float) -> Summary:
        """The summary of the run, with its lowest validation loss."""
        learner, seconds = self.learner, self.progress.seconds
        return Summary(
            spec=learner.settings.spec,
            model=self.folder.model,
            validation_loss=loss,
            steps=learner.steps,
            seconds=seconds,
            samples_per_second=learner.samples / seconds,
            interrupted=not self.is_done,
        )

    def show(self) -> None:
        """Draws the bar, and once prints the speed and the passes over the audio that are left."""
        progress, learner = self.progress, self.learner
        if progress.loss_count:
            loss = progress.loss_sum / progress.loss_count
            self.console.draw(self.spent, loss, learner.samples, progress.seconds)
        self.timed.append((progress.seconds, learner.samples))
        if len(self.timed) == 1 + COST_STEPS and self.spent < 1:
            (began, first), (ended, last) = self.timed[0], self.timed[-1]
            step, speed = (ended - began) / COST_STEPS, (last - first) / (ended - began)
            left = self.budget.seconds_left(learner.steps, ended, step)
            self.console.say(describe_cost(self.corpus, speed, left, self.before))
