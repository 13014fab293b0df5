"""Training a WaveNet on recordings, within a budget of minutes or steps."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from ..spec import WaveNetSpec
from .data import IGNORED, Corpus, Windows, load_corpus
from .model import WaveNet
from .run import RunFolder, draw_progress, progress_bar, stop_on_ctrl_c

# The sizes of a WaveNetSpec; its sample rate is the recordings'.
PRESETS: dict[str, dict] = {
    "tiny": {  # for a minute of training
        "residual": 32,
        "dilation_channels": 32,
        "skip": 64,
        "head": 64,
        "dilations": tuple(2**i for i in range(8)) * 2,
    },
    "small": {  # for ten minutes
        "residual": 32,
        "dilation_channels": 32,
        "skip": 128,
        "head": 128,
        "dilations": tuple(2**i for i in range(10)) * 2,
    },
}
DEFAULT_MINUTES = 10.0
WARM_UP = 0.05  # of the budget
REPORTS = 20  # validations and checkpoints in a budget ...
REPORT_SECONDS = 60.0  # ... and never longer than this apart
VALIDATION_WINDOWS = 16
MAX_GRADIENT_NORM = 1.0


class TrainingError(ArithmeticError):
    """Training cannot go on; says at which step, and what to do."""


@dataclass(frozen=True)
class Summary:
    """What a training run did.

    model             the model file: the weights that did best on the held-out audio
    validation_loss   theirs, in nats per sample
    samples_per_second  predicted samples learnt from, over the whole run
    """

    spec: WaveNetSpec
    model: Path
    validation_loss: float
    steps: int
    seconds: float
    samples_per_second: float
    interrupted: bool


def train(
    source: str | os.PathLike,
    output: str | os.PathLike,
    *,
    preset: str = "small",
    spec: WaveNetSpec | None = None,
    sample_rate: int = 16000,
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    convert: bool = False,
    validation: str | os.PathLike | None = None,
    batch: int = 1,
    window: int = 4096,
    learning_rate: float = 1e-2,
    weight_decay: float = 0.01,
    progress: bool = True,
) -> Summary:
    """Trains on a file or folder, and leaves a run folder `output`.

    It holds model.safetensors, the weights that did best on held-out audio, and
    latest.safetensors, both model files; checkpoint.safetensors, the latest weights and the
    optimizer; log.jsonl, a line per validation.

    preset and sample_rate (Hz), or a whole spec, say what is trained.  The budget is `minutes` or
    `steps`, whichever ends first; 10 minutes if neither is given.  convert mixes down and
    resamples, validation is a file or folder to hold out; see `load_corpus`.  A step learns from
    `batch` windows of `window` samples.  weight_decay is AdamW's: about 1 keeps seconds of audio
    from being learnt by heart, but cost 0.2 nats on half an hour.  progress prints, and draws a bar
    on a terminal.

    Ctrl-C ends training early, with everything saved; a second one interrupts at once.

    Raises AudioError if there is no usable audio, TrainingError if training diverges, ValueError
    for an argument out of bounds, FileExistsError if `output` holds a run already, OSError.
    """
    spec = spec or _preset_spec(preset, sample_rate)
    _check(spec, seed, batch, window, learning_rate, weight_decay)
    budget = Budget(minutes, steps)
    folder = RunFolder(Path(output))
    say = tqdm.write if progress else lambda line: None
    corpus = load_corpus(source, spec, validation, convert)
    learner = Learner(spec, corpus, seed, batch, window, learning_rate, weight_decay)
    folder.create()
    with stop_on_ctrl_c() as stop, progress_bar(progress) as bar:
        for line in _describe(corpus, spec, budget):
            say(line)
        seconds = _fit(learner, budget, folder, stop, bar, say)
    return Summary(
        spec=spec,
        model=folder.model,
        validation_loss=folder.best,
        steps=learner.steps,
        seconds=seconds,
        samples_per_second=learner.samples / seconds,
        interrupted=stop.is_set(),
    )


def _fit(
    learner: Learner,
    budget: Budget,
    folder: RunFolder,
    stop: threading.Event,
    bar: tqdm,
    say: Callable[[str], None],
) -> float:
    """Steps until the budget is spent or `stop` is set; reports on the way.  Returns seconds."""
    began = reported = time.monotonic()
    losses: list[float] = []
    due, ended = 1 / REPORTS, False
    while not ended:
        middle = budget.spent(learner.steps + 0.5, time.monotonic() - began)
        losses.append(learner.step(schedule(middle)))
        now = time.monotonic()
        spent = budget.spent(learner.steps, now - began)
        ended = spent >= 1 or stop.is_set()
        if ended or spent >= due or now - reported >= REPORT_SECONDS:
            say(folder.report(learner, now - began, float(np.mean(losses))))
            losses.clear()
            due, reported = spent + 1 / REPORTS, time.monotonic()
        else:
            draw_progress(bar, spent, float(np.mean(losses)), learner.samples, now - began)
    return time.monotonic() - began


class Budget:
    """How long to train: a time, a number of steps, or whichever ends first."""

    def __init__(self, minutes: float | None, steps: int | None):
        if minutes is None and steps is None:
            minutes = DEFAULT_MINUTES
        if minutes is not None and not 0 < minutes < math.inf:
            raise ValueError(f"minutes must be a positive number, not {minutes}")
        if steps is not None and steps < 1:
            raise ValueError(f"steps must be a positive whole number, not {steps}")
        self.minutes = math.inf if minutes is None else minutes
        self.steps = math.inf if steps is None else steps

    def __str__(self) -> str:
        limits = ((self.minutes, "minutes"), (self.steps, "steps"))
        return " or ".join(f"{limit:g} {unit}" for limit, unit in limits if limit < math.inf)

    def spent(self, steps: float, seconds: float) -> float:
        """The fraction that is used up; training ends at 1."""
        return max(steps / self.steps, seconds / 60 / self.minutes)


def schedule(spent: float) -> float:
    """The factor of the learning rate: a linear warm-up to 1, then half a cosine down to 0."""
    if spent < WARM_UP:
        return spent / WARM_UP
    return (1 + math.cos(math.pi * min(1.0, (spent - WARM_UP) / (1 - WARM_UP)))) / 2


class Learner:
    """A network, its optimizer and its data."""

    def __init__(
        self,
        spec: WaveNetSpec,
        corpus: Corpus,
        seed: int,
        batch: int,
        window: int,
        learning_rate: float,
        weight_decay: float,
    ):
        self.seed, self.batch, self.learning_rate = seed, batch, learning_rate
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
            torch.manual_seed(seed)
            self.model = WaveNet(spec)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=weight_decay)
        context = spec.receptive_field - 1
        self.training = Windows(corpus.train, context, window)
        self.validation = Windows(corpus.validation, context, window)
        self.steps = self.samples = 0

    def step(self, factor: float) -> float:
        """One update at `factor` times the learning rate; the loss in nats per sample."""
        rng = np.random.default_rng([self.seed, self.steps])
        loss, count = self._loss(*self.training.batch(rng, self.batch))
        self.optimizer.zero_grad()
        (loss / count).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        if not torch.isfinite(norm):
            raise self._diverged(loss.item() / count)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * factor
        self.optimizer.step()
        self.steps += 1
        self.samples += count
        return loss.item() / count

    @torch.no_grad()
    def validate(self) -> float:
        """Nats per sample on the same held-out windows each time."""
        total = count = 0
        for tile in self.validation.tiles(VALIDATION_WINDOWS):
            loss, n = self._loss(*tile)
            total, count = total + loss.item(), count + n
        if not math.isfinite(total):
            raise self._diverged(total / count)
        return total / count

    def _diverged(self, loss: float) -> TrainingError:
        return TrainingError(
            f"training diverged at step {self.steps} (loss {loss:.3g}): "
            f"lower the learning rate of {self.learning_rate:g}"
        )

    def _loss(self, inputs: np.ndarray, targets: np.ndarray) -> tuple[Tensor, int]:
        """Nats of all targets that count, and how many those are."""
        logits = self.model(torch.from_numpy(inputs))  # (B, Q, T)
        loss = F.cross_entropy(
            logits, torch.from_numpy(targets), ignore_index=IGNORED, reduction="sum"
        )
        return loss, int((targets != IGNORED).sum())

    def state(self) -> dict[str, Tensor]:
        """All that changes in training: weights, and the optimizer's moments and step counts."""
        tensors = {}
        for name, parameter in self.model.named_parameters():
            tensors[f"model.{name}"] = parameter.detach()
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{key}.{name}"] = value
        return tensors


def _preset_spec(preset: str, sample_rate: int) -> WaveNetSpec:
    if preset not in PRESETS:
        raise ValueError(f"preset must be {' or '.join(PRESETS)}, not {preset!r}")
    return WaveNetSpec(sample_rate=sample_rate, **PRESETS[preset])


def _check(
    spec: WaveNetSpec,
    seed: int,
    batch: int,
    window: int,
    learning_rate: float,
    weight_decay: float,
) -> None:
    if spec.conditioning is not None:
        raise ValueError(f"conditioning {spec.conditioning!r} cannot be trained, only None")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be from 0 to {2**64 - 1}, not {seed}")
    if batch < 1 or window < 1:
        raise ValueError(f"batch and window must be positive, not {batch} and {window}")
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate must be a positive number, not {learning_rate}")
    if not 0 <= weight_decay < math.inf:
        raise ValueError(f"weight_decay must be a number from 0, not {weight_decay}")


def _describe(corpus: Corpus, spec: WaveNetSpec, budget: Budget) -> Iterator[str]:
    """What was found, and what will be done."""
    for reason in corpus.skipped:
        yield f"skipped {reason}"
    for clips, use in ((corpus.train, "to train on"), (corpus.validation, "held out")):
        minutes = sum(len(clip.codes) for clip in clips) / spec.sample_rate / 60
        yield f"{use}: {minutes:.2f} minutes in {len(clips)} file{'s' if len(clips) > 1 else ''}"
    parameters = spec.weight_bytes() // 4
    past = spec.receptive_field / spec.sample_rate
    yield (
        f"training {parameters:,} parameters, which hear the last {spec.receptive_field} samples "
        f"({1000 * past:.0f} ms), for {budget}"
    )
