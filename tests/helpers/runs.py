"""Training runs of a few steps, and what they leave."""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time

import numpy as np
import torch
from networks import small_spec

from fastwavenet import modelfile
from fastwavenet.clips import Clip
from fastwavenet.training import checkpoint, loop, train
from fastwavenet.training.learner import Learner

SPEC = small_spec(sample_rate=16000, levels=256, residual=8, dilation_channels=8, skip=16, head=16)
LONG = {"steps": 20, "batch": 1, "window": 50}  # a report every step


def quick(source, output, **changes):
    """A training run of a few steps, without previews."""
    if not changes.get("resume"):
        sizes = {"spec": SPEC, "batch": 2, "window": 200}
        changes = sizes | {"steps": 3, "bfloat16": False, "weight_decay": 0.01} | changes
    return train(source, output, **{"progress": False, "previews": 0} | changes)


@contextlib.contextmanager
def changing(learner):
    """Weights that are set within it are those that are trained, validated and exported."""
    with torch.no_grad():
        yield dict(learner.model.named_parameters())
        for name, parameter in learner.model.named_parameters():
            learner.average[name].copy_(parameter)


def log(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def weights(path):
    return modelfile.load(path)[1]


def left_behind(run):
    """All that a run leaves but the time it took, to compare with another run's."""
    kept = checkpoint.load(run / "checkpoint.safetensors")
    for record in (*(lines := log(run)), *kept.progress.history):
        del record["seconds"]
    kept.progress.seconds = 0
    tensors = {
        f"{group}.{name}": array.tobytes()
        for group, arrays in kept.tensors.items()
        for name, array in arrays.items()
    }
    models = [(run / f"{name}.safetensors").read_bytes() for name in ("model", "latest")]
    others = {file.name for file in run.iterdir()}
    return lines, kept.progress, kept.settings, kept.budget, kept.corpus, tensors, models, others


def counting(*frames, hop=10):
    """Clips of so many frames; each sample and frame has a number of its own."""
    ends = np.cumsum(frames)
    return [
        Clip(
            str(end),
            np.arange(hop * (end - n), hop * end, dtype=np.uint16),
            frames=np.arange(end - n, end, dtype=np.float16)[:, None],
            hop=hop,
        )
        for n, end in zip(frames, ends, strict=True)
    ]


def interrupt(monkeypatch, at, times=1, number=signal.SIGINT):
    """Ctrl-C, or another signal, during step `at`, so many times."""
    step = Learner.step

    def interrupted(learner, factor):
        if learner.steps == at:
            for _ in range(times):
                signal.raise_signal(number)
        return step(learner, factor)

    monkeypatch.setattr(Learner, "step", interrupted)


def train_on(source, run, changes):
    """Trains, or goes on with what is there."""
    resume = (run / "checkpoint.safetensors").exists()
    return quick(source, run, **{"resume": True} if resume else changes)


NEVER = 3  # the exit code of a run that touched its files less often


def train_in_a_process(source, run, changes, at=0, signals=(), save_seconds=None, slow=0):
    """The first time that a file of the run is touched is 1; the `at`-th sends itself signals.

    save_seconds: between checkpoints.  slow: seconds that each touch of a half written file takes.
    """
    touched = 0

    def touch(event, arguments):
        nonlocal touched
        if event.partition(".")[0] in ("open", "os", "tempfile") and str(run) in str(arguments):
            touched += 1
            if slow and ".tmp" in str(arguments):
                time.sleep(slow)
            if touched == at:
                for number in signals:
                    os.kill(os.getpid(), number)

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if save_seconds is not None:
        loop.SAVE_SECONDS = save_seconds
    sys.addaudithook(touch)
    try:
        train_on(source, run, changes)
    except KeyboardInterrupt:
        sys.exit(130)
    if touched < at:
        sys.exit(NEVER)


# Processes that begin with torch imported and no threads.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["fastwavenet.training.call", "pytest"])


def start_training(source, run, changes, at=0, signals=(), save_seconds=None, slow=0):
    """`train_in_a_process` in a process of its own, which has begun."""
    arguments = source, run, changes, at, signals, save_seconds, slow
    process = FORKS.Process(target=train_in_a_process, args=arguments, daemon=True)
    process.start()
    return process
