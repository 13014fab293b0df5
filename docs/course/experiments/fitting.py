"""Fits networks for the course's comparisons: one loop, the package's data, model and optimizer."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from fastwavenet import WaveNetSpec
from fastwavenet.processor import cpu_name
from fastwavenet.training.data import Clip, load_corpus
from fastwavenet.training.optimizer import Optimizer
from fastwavenet.training.schedule import rate_factor
from fastwavenet.training.settings import LITTLE_SECONDS, LITTLE_WEIGHT_DECAY, WEIGHT_DECAY
from fastwavenet.training.windows import IGNORED, Batch, Windows

FOLDS = 5  # parts of the sentence, of which each is held out once
MOST_HELD_OUT = 64  # windows


def clips(spec: WaveNetSpec, source: str | None, fold: int) -> tuple[list[Clip], list[Clip]]:
    """Clips to train on and clips held out: of a folder, or of the bundled sentence without one.

    fold: the fifth of the sentence that is held out; a folder has one part that is held out
    """
    if source is not None:
        corpus = load_corpus(source, spec)
        return corpus.train, corpus.validation
    with resources.as_file(resources.files("fastwavenet") / "data/arctic_a0009.flac") as path:
        corpus = load_corpus(path, spec)
    codes = np.concatenate([clip.codes[:] for clip in (*corpus.train, *corpus.validation)])
    parts = np.array_split(codes, FOLDS)
    around = [np.concatenate(some) for some in (parts[:fold], parts[fold + 1 :]) if some]
    return [Clip("sentence", part) for part in around], [Clip("held out", parts[fold])]


def fit(
    model: nn.Module,
    training: list[Clip],
    held_out: list[Clip],
    *,
    steps: int,
    fresh: int,
    rate: float = 0.01,
    seed: int = 0,
) -> list[float]:
    """Trains a network with the trainer's settings; nats of each step, and last of held-out audio.

    fresh: predicted samples of a step
    """
    context = model.spec.receptive_field - 1
    windows = Windows(training, context, fresh, seed=seed)
    little = sum(len(clip.codes) for clip in training) < LITTLE_SECONDS * model.spec.sample_rate
    optimizer = Optimizer(model, rate, LITTLE_WEIGHT_DECAY if little else WEIGHT_DECAY)
    losses = []
    for step in range(steps):
        optimizer.set_rate(rate * rate_factor("cosine", step / steps))
        loss = nats(model, windows.batch(step, 1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    tiles = Windows(held_out, context, fresh).tiles(MOST_HELD_OUT)
    with torch.no_grad():
        sums = np.array([[nats(model, t).item() * count(t), count(t)] for t in tiles]).sum(axis=0)
    return [*losses, float(sums[0] / sums[1])]


def nats(model: nn.Module, batch: Batch) -> torch.Tensor:
    """The mean loss of a batch's targets that count."""
    logits = model(torch.from_numpy(batch.inputs))  # (B, Q, T)
    return F.cross_entropy(logits, torch.from_numpy(batch.targets), ignore_index=IGNORED)


def count(batch: Batch) -> int:
    return int((batch.targets != IGNORED).sum())


def run_all(function, jobs: list[tuple]) -> list:
    """The results of function(*job), on a process per core; each computes with one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)) as p:
        return list(p.map(function, *zip(*jobs, strict=True)))


def store(script: str, name: str, results: dict, arguments: str = "") -> None:
    """Puts results beside a script as JSON under a name, and keeps those of other names.

    arguments: of the command that computes them
    """
    path = Path(script).with_suffix(".json")
    stored = json.loads(path.read_text()) if path.exists() else {}
    command = f"python {Path(script).name} {arguments}".strip()
    stored[name] = results | {"command": command, "cpu": cpu_name(), "torch": torch.__version__}
    path.write_text(json.dumps(stored, indent=1) + "\n")
