"""One step of training: a network, its optimizer and its batches."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..shown import shown
from .checkpoint import LATEST, MOMENTS, Weights
from .data import IGNORED, Corpus, Windows
from .model import WaveNet
from .settings import Settings

VALIDATION_WINDOWS = 16
MAX_GRADIENT_NORM = 1.0
TRIALS = 3  # of a step with and without autocast; the first of each does not count
WORTH_IT = 0.9  # of the time without


class TrainingError(ArithmeticError):
    """Training cannot go on; says at which step, and what to do."""


class Learner:
    """Learns from a corpus, a step at a time.

    Everything that is computed with is on `device`: the network, the optimizer's moments, and
    each batch, in `_loss`.  Results are the same bits for the same settings, corpus, device and
    number of threads, once `settings.autocast` is decided.
    """

    def __init__(self, settings: Settings, corpus: Corpus, device: torch.device):
        spec, self.settings, self.device = settings.spec, settings, device
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
            torch.manual_seed(settings.seed)
            self.model = WaveNet(spec).to(device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        for parameter in self.model.parameters():  # what AdamW would begin with
            moments = {key: torch.zeros_like(parameter) for key in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[parameter] = {"step": torch.tensor(0.0), **moments}
        context = spec.receptive_field - 1
        self.training = Windows(corpus.train, context, settings.window)
        self.validation = Windows(corpus.validation, context, settings.window)
        self.steps = self.samples = 0

    def step(self, factor: float) -> float:
        """One update at `factor` times the learning rate; the loss in nats per sample."""
        loss, count = self._gradient()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        if not torch.isfinite(norm):
            raise self._diverged(loss)
        self.set_rate(factor)
        self.optimizer.step()
        self.steps += 1
        self.samples += count
        return loss

    def set_rate(self, factor: float) -> None:
        """Of the learning rate, until the next step."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * factor

    def _gradient(self) -> tuple[float, int]:
        """The loss of the next batch, whose gradients are left in the parameters, and its size."""
        rng = np.random.default_rng([self.settings.seed, self.steps])
        loss, count = self._loss(*self.training.batch(rng, self.settings.batch))
        self.optimizer.zero_grad()
        (loss / count).backward()
        return loss.item() / count, count

    @torch.no_grad()
    def validate(self) -> float:
        """Nats per sample on the same held-out windows each time."""
        total, count = 0.0, 0
        for tile in self.validation.tiles(VALIDATION_WINDOWS):
            loss, n = self._loss(*tile)
            total, count = total + loss.item(), count + n
        if not math.isfinite(total):
            raise self._diverged(total / count)
        return total / count

    def _loss(self, inputs: np.ndarray, targets: np.ndarray) -> tuple[Tensor, int]:
        """Nats of all targets (B, T) that count, and how many those are."""
        device, autocast = self.device, bool(self.settings.autocast)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            logits = self.model(torch.from_numpy(inputs).to(device))  # (B, Q, T)
        loss = F.cross_entropy(
            logits.float(),
            torch.from_numpy(targets).to(device),
            ignore_index=IGNORED,
            reduction="sum",
        )
        return loss, int((targets != IGNORED).sum())

    def _diverged(self, loss: float) -> TrainingError:
        return TrainingError(
            f"training diverged at step {self.steps} (loss {loss:.3g}): "
            f"lower the learning rate of {self.settings.learning_rate:g}"
        )

    # ---- bfloat16 --------------------------------------------------------------------------

    def choose_autocast(self) -> str:
        """Decides by the clock whether to compute in bfloat16, changing nothing else; says it."""
        times = {False: math.inf, True: math.inf}
        for trial in range(TRIALS):
            for autocast in times:
                seconds = self._time_step(autocast)
                if trial:
                    times[autocast] = min(times[autocast], seconds)
        faster = times[True] < WORTH_IT * times[False]
        self.settings = dataclasses.replace(self.settings, autocast=faster)
        self.optimizer.zero_grad()
        choice = "bfloat16" if faster else "float32"
        return f"computing in {choice}: bfloat16 takes {times[True] / times[False]:.2f} of the time"

    def _time_step(self, autocast: bool) -> float:
        self.settings = dataclasses.replace(self.settings, autocast=autocast)
        began = time.perf_counter()
        self._gradient()
        return time.perf_counter() - began

    # ---- to and from a checkpoint ----------------------------------------------------------

    def weights(self) -> Weights:
        """A copy of the network's, as a model file holds them."""
        return {name: _copy(tensor) for name, tensor in self.model.named_parameters()}

    def state(self) -> dict[str, Weights]:
        """A copy of all tensors that change in training."""
        groups = {LATEST: self.weights()}
        for moment in MOMENTS:
            key = moment.removeprefix("optimizer.")
            groups[moment] = {
                name: _copy(self.optimizer.state[parameter][key])
                for name, parameter in self.model.named_parameters()
            }
        return groups

    @torch.no_grad()
    def restore(self, groups: dict[str, Weights], steps: int, samples: int) -> None:
        """Goes on where a learner with this `state()` was."""
        for name, parameter in self.model.named_parameters():
            state = self.optimizer.state[parameter]
            state["step"].fill_(steps)
            parameter.copy_(torch.tensor(groups[LATEST][name]))
            for moment in MOMENTS:
                key = moment.removeprefix("optimizer.")
                state[key].copy_(torch.tensor(groups[moment][name]))
        self.steps, self.samples = steps, samples


def choose_device(name: str | None) -> torch.device:
    """A GPU if there is one and none is named.  Raises ValueError for a device that is not there.

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
