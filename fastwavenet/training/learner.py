"""One step of training: a network, its optimizer and its batches."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..shown import shown
from .checkpoint import AVERAGE, LATEST, Weights
from .conditioning import (
    WRONG_FRAMES,
    WRONG_SPEAKERS,
    Standardisation,
    for_raw_frames,
    has_foldable_mean,
)
from .data import Corpus
from .distributed import ALONE, Processes
from .layers import predict
from .model import Conditioning, WaveNet
from .optimizer import Optimizer
from .pitch_predictor import Accuracy, fit, judge
from .settings import Settings
from .windows import IGNORED, Batch, Windows, with_wrong_frames, with_wrong_speakers

VALIDATION_WINDOWS = 16
AVERAGE_GROWTH = 10  # steps
MAX_LOSS = 1e4  # nats per sample, from which no network recovers; guessing is 5.5
TRIALS = 3  # timed steps with and without bfloat16; the first of each is a warm-up
WORTH_IT = 0.9  # of the time of a float32 step, at most, to choose bfloat16


class TrainingError(ArithmeticError):
    """Training diverged; the message has the step and a remedy."""


class Learner:
    """A network, its optimizer and its batches; trains a step at a time.

    The network, the optimizer's moments and each batch (in `_loss`) are on `device`.  Results have
    equal bits for equal settings, corpus, device and number of threads, if `settings.bfloat16` is
    not None.
    """

    def __init__(
        self,
        settings: Settings,
        corpus: Corpus,
        device: torch.device,
        processes: Processes = ALONE,
    ):
        seconds = corpus.seconds(settings.spec.sample_rate)
        self.settings = settings = settings.for_audio(seconds)
        spec, self.device, self.processes = settings.spec, device, processes
        with torch.random.fork_rng(devices=[]):  # keeps the caller's random state
            torch.manual_seed(settings.seed)
            self.model = WaveNet(spec)
        self.standardisation = self._standardise([clip.frames for clip in corpus.train])
        self.model.to(device)
        decay = cast(float, settings.weight_decay)
        self.optimizer = Optimizer(self.model, settings.learning_rate, decay)
        context = spec.receptive_field - 1
        sizes = context, settings.window, spec.conditioning
        start = spec.start.code if spec.start.fed else None
        self.training = Windows(corpus.train, *sizes, seed=settings.seed, start=start)
        self.validation = Windows(corpus.validation, *sizes, start=start)
        self.average = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        self.steps = self.samples = 0

    def _standardise(self, frames: list[np.ndarray | None]) -> Standardisation | None:
        """Sets mean and deviation of the frames; None for a network without frames."""
        given = [array for array in frames if array is not None]
        if not given:
            return None
        found = Standardisation.of(given, centred=has_foldable_mean(self.settings.spec))
        conditioning = cast(Conditioning, self.model.conditioning)
        for buffer, values in zip((conditioning.mean, conditioning.deviation), found, strict=True):
            buffer.copy_(torch.from_numpy(values)[:, None])
        return found

    def fit_pitch(self, corpus: Corpus) -> Accuracy | None:
        """Trains the network that predicts pitch, if there is one; its errors on held-out frames.

        The other weights are trained without it, and later steps leave it as it is.
        """
        conditioning = self.model.conditioning
        if conditioning is None or conditioning.pitch is None:
            return None
        predictor, normal = conditioning.pitch, conditioning.standardised
        training, held_out = (
            [cast(np.ndarray, clip.frames) for clip in clips]
            for clips in (corpus.train, corpus.validation)
        )
        fit(predictor, training, normal, self.settings.seed)
        return judge(predictor, held_out, normal)

    @torch.no_grad()
    def start_from(self, weights: Mapping[str, np.ndarray]) -> None:
        """Begins with the weights of a model file."""
        own = dict(weights)
        if self.standardisation is not None:
            inverse = self.standardisation.inverse()
            own = for_raw_frames(self.settings.spec, own, inverse)
        for name, parameter in self.model.named_parameters():
            parameter.copy_(torch.tensor(own[name]))
            self.average[name].copy_(parameter)

    def step(self, factor: float) -> float:
        """One update at `factor` times the learning rate; the loss in nats per sample."""
        self.processes.announce(factor)
        loss, count = self._gradient()
        limit = self.settings.max_gradient_norm
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        if not (torch.isfinite(norm) and loss <= MAX_LOSS):
            raise self._diverged(loss)
        self.set_rate(factor)
        self.optimizer.step()
        self._update_average()
        self.steps += 1
        self.samples += count
        return loss

    def set_rate(self, factor: float) -> None:
        """Sets the learning rate to `factor` times its highest value."""
        self.optimizer.set_rate(self.settings.learning_rate * factor)

    def _gradient(self) -> tuple[float, int]:
        """Loss in nats per sample and number of targets of the next step; sets the gradients."""
        batch, accumulate = self.settings.batch, self.settings.accumulate
        numbers = range(self.steps * accumulate, (self.steps + 1) * accumulate)
        batches = [self.training.batch(number, batch) for number in numbers]
        count = sum(int((b.targets != IGNORED).sum()) for b in batches)
        total = 0.0
        self.optimizer.zero_grad()
        for some in batches:
            loss, _ = self._loss(self.processes.part(some))
            (loss / count).backward()
            total += loss.item()
        return self.processes.add(self.model.parameters(), total) / count, count

    @torch.no_grad()
    def _update_average(self) -> None:
        """One step of the exponential moving average of the weights.

        The decay grows with the steps t as t / (t + 10), up to its setting, so that the average
        spans at most about the last tenth of a short run.
        """
        decay = min(self.settings.ema_decay, self.steps / (self.steps + AVERAGE_GROWTH))
        for name, parameter in self.model.named_parameters():
            self.average[name].lerp_(parameter, 1 - decay)

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """The network has the average of its weights in this context."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, parameter in self.model.named_parameters():
            average = self.average[name]
            parameter.data, average.data = average.data, parameter.data

    @torch.no_grad()
    def validate(self, wrong: str = "") -> float:
        """Nats per sample of the averaged weights, on the same held-out windows each time.

        wrong: WRONG_FRAMES conditions each window on the frames of another one, WRONG_SPEAKERS on
        another speaker.
        """
        total, count = 0.0, 0
        tiles = list(self.validation.tiles(VALIDATION_WINDOWS))
        end = self.settings.spec.conditioning
        if wrong == WRONG_FRAMES:
            tiles = with_wrong_frames(tiles)
        elif wrong == WRONG_SPEAKERS and end is not None:
            tiles = with_wrong_speakers(tiles, len(end.speakers))
        with self._averaged():
            for tile in tiles:
                loss, n = self._loss(tile)
                total, count = total + loss.item(), count + n
        if not total / count <= MAX_LOSS:  # also NaN
            raise self._diverged(total / count)
        return total / count

    def _loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Sum of the losses of all targets (B, T) that count, in nats, and their number."""
        device, counted = self.device, batch.targets != IGNORED
        known = int(counted.any(axis=0).argmax())
        frames = speakers = sounds = None
        if batch.frames is not None:
            frames = torch.from_numpy(batch.frames).to(device).float()  # (B, C, F)
        if batch.speakers is not None:
            speakers = torch.from_numpy(batch.speakers).to(device)  # (B,)
        if batch.sounds is not None:
            sounds = torch.from_numpy(batch.sounds).to(device)  # (B, 2)
        logits = predict(
            self.model,
            torch.from_numpy(batch.inputs).to(device),
            frames,
            speakers,
            at=batch.at,
            sounds=sounds,
            known=known,
            dtype=torch.bfloat16 if self.settings.bfloat16 else torch.float32,
        )
        loss = F.cross_entropy(
            logits.flatten(0, 1).float(),
            torch.from_numpy(batch.targets[:, known:].T).to(device).flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )
        return loss, int(counted.sum())

    def _diverged(self, loss: float) -> TrainingError:
        return TrainingError(
            f"training diverged at step {self.steps} (loss {loss:.3g}): "
            f"lower the learning rate of {self.settings.learning_rate:g}"
        )

    # ---- bfloat16 --------------------------------------------------------------------------

    def choose_precision(self) -> str:
        """Sets bfloat16 to the faster of bfloat16 and float32, timed; returns a line about it."""
        times = {False: math.inf, True: math.inf}
        for trial in range(TRIALS):
            for bfloat16 in times:
                seconds = self._time_step(bfloat16)
                if trial:
                    times[bfloat16] = min(times[bfloat16], seconds)
        faster = times[True] < WORTH_IT * times[False]
        self.settings = dataclasses.replace(self.settings, bfloat16=faster)
        self.optimizer.zero_grad()
        choice = "bfloat16" if faster else "float32"
        return f"computing in {choice}: bfloat16 takes {times[True] / times[False]:.2f} of the time"

    def _time_step(self, bfloat16: bool) -> float:
        self.settings = dataclasses.replace(self.settings, bfloat16=bfloat16)
        began = time.perf_counter()
        self._gradient()
        return time.perf_counter() - began

    # ---- to and from a checkpoint ----------------------------------------------------------

    def weights(self) -> Weights:
        """A copy of the averaged weights, by their names in a model file.

        They are for standardised frames.
        """
        return {name: _copy(tensor) for name, tensor in self.average.items()}

    def for_file(self, weights: Weights) -> Weights:
        """Such weights as a model file has them, for the frames as they are."""
        if self.standardisation is None:
            return weights
        return for_raw_frames(self.settings.spec, weights, self.standardisation)

    def state(self) -> dict[str, Weights]:
        """A copy of all tensors that change in training."""
        latest = {name: _copy(tensor) for name, tensor in self.model.named_parameters()}
        return {LATEST: latest, AVERAGE: self.weights()} | self.optimizer.moments()

    @torch.no_grad()
    def restore(self, groups: dict[str, Weights], steps: int, samples: int) -> None:
        """Continues from a `state()` after `steps` steps and `samples` predicted samples."""
        for name, parameter in self.model.named_parameters():
            parameter.copy_(torch.tensor(groups[LATEST][name]))
            self.average[name].copy_(torch.tensor(groups[AVERAGE][name]))
        self.optimizer.restore(groups, steps)
        self.steps, self.samples = steps, samples


def choose_device(name: str | None) -> torch.device:
    """The named device; None: a GPU if there is one.  Raises ValueError for a missing device.

    name: "cpu", "cuda" or "cuda:N"
    """
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    available = ["cpu", *(["cuda"] if gpus else []), *gpus]
    if name is not None and name not in available:
        raise ValueError(
            f"device must be one of those here, {' or '.join(available)}, not {shown(name)}"
        )
    return torch.device(name or ("cuda" if gpus else "cpu"))


def _copy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()
