"""The gate, tanh, ReLU and no activation at all, with as many weights: chapter 7's comparison.

A narrow ReLU, with as many channels as the gate and so with fewer weights, is compared too.

    python gates.py                 the bundled sentence, a fifth of it held out in turn
    python gates.py recordings/ [N] a folder of recordings at 16 kHz, three seeds, N steps

writes gates.json.
"""

from __future__ import annotations

import dataclasses
import sys

import torch
from fitting import FOLDS, clips, fit, run_all, store

from fastwavenet import WaveNetSpec
from fastwavenet.training import WaveNet

CHANNELS = {
    "gate": 24,
    "tanh": 34,
    "relu": 34,
    "linear": 34,
    "narrow relu": 24,
}  # dilation channels
KINDS = ("gate", "tanh", "relu", "linear")  # of as many weights within 1 %
GATED = WaveNetSpec(
    sample_rate=16000,
    residual=24,
    dilation_channels=24,
    skip=48,
    head=48,
    dilations=[2**i for i in range(8)] * 2,
)
STEPS, FRESH = 200, 2048  # training steps, and predicted samples of each
SEEDS = 3  # of a folder of recordings


def network(kind: str, seed: int) -> WaveNet:
    """A network of a kind."""
    torch.manual_seed(seed)
    spec = dataclasses.replace(GATED, dilation_channels=CHANNELS[kind])
    return WaveNet(spec, activation=kind.removeprefix("narrow "))


def parameters(model: WaveNet) -> int:
    return sum(p.numel() for p in model.parameters())


def held_out(kind: str, seed: int, source: str | None, steps: int) -> float:
    """Nats per held-out sample."""
    fold = seed if source is None else 0
    training, judges = clips(GATED, source, fold)
    model = network(kind, seed)
    return fit(model, training, judges, steps=steps, fresh=FRESH, seed=seed)[-1]


def compare(source: str | None, steps: int) -> dict:
    """kind -> nats of each seed."""
    seeds = range(FOLDS if source is None else SEEDS)
    values = iter(run_all(held_out, [(kind, n, source, steps) for kind in CHANNELS for n in seeds]))
    nats = {kind: [round(next(values), 4) for _ in seeds] for kind in CHANNELS}
    seconds = sum(len(clip.codes) for clip in clips(GATED, source, 0)[0]) / GATED.sample_rate
    counts = {kind: parameters(network(kind, 0)) for kind in CHANNELS}
    return {"nats": nats, "parameters": counts, "steps": steps, "seconds": round(seconds, 1)}


if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    number = int(sys.argv[2]) if len(sys.argv) > 2 else STEPS
    about, arguments = (
        ("sentence", "") if folder is None else ("recordings", f"recordings/ {number}")
    )
    store(__file__, f"{about}, {number} steps", compare(folder, number), arguments)
