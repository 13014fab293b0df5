"""Networks of 8, 16 and 30 layers with and without residual and skips: chapter 9's comparison.

    python depth.py

trains on the bundled sentence, three of its fifths held out in turn, and writes depth.json: all
depths for a few steps, one of them for four times as many.
"""

from __future__ import annotations

import torch
from fitting import clips, fit, run_all, store

from fastwavenet import WaveNetSpec
from fastwavenet.training import WaveNet

DEPTHS = (8, 16, 30)
KINDS = {  # name -> whether there is a residual, whether all layers have skips
    "both": (True, True),
    "no residual": (False, True),
    "no skips": (True, False),
    "neither": (False, False),
}
SEEDS = (0, 2, 4)
STEPS, LONGER = 120, 480  # of training
LONGER_DEPTH = 16
FRESH = 1024  # predicted samples of a step


def without_residual(layer, inputs, outputs):
    """A hook of PyTorch: the layer's x becomes Wo z, without the x that was added to it."""
    x, skip = outputs
    return x - inputs[0], skip


def without_skip(layer, inputs, outputs):
    """A hook of PyTorch: the layer adds nothing to the skip sum."""
    x, skip = outputs
    return x, 0 * skip


def sizes(depth: int) -> WaveNetSpec:
    return WaveNetSpec(
        sample_rate=16000,
        residual=16,
        dilation_channels=16,
        skip=32,
        head=32,
        dilations=[2 ** (layer % 8) for layer in range(depth)],
    )


def network(depth: int, kind: str, seed: int) -> WaveNet:
    """A network of a kind; without skips, only its last layer leads to the head."""
    torch.manual_seed(seed)
    model = WaveNet(sizes(depth))
    residual, skips = KINDS[kind]
    for layer in model.layers[:-1]:
        if not residual:
            layer.register_forward_hook(without_residual)
        if not skips:
            layer.register_forward_hook(without_skip)
    return model


def held_out(depth: int, kind: str, seed: int, steps: int) -> float:
    """Nats per held-out sample."""
    training, judges = clips(sizes(depth), None, fold=seed)
    return fit(network(depth, kind, seed), training, judges, steps=steps, fresh=FRESH, seed=seed)[
        -1
    ]


def compare(depths: tuple[int, ...], steps: int) -> dict:
    """depth -> kind -> nats of each seed."""
    jobs = [(depth, kind, seed, steps) for depth in depths for kind in KINDS for seed in SEEDS]
    values = iter(run_all(held_out, jobs))
    nats = {
        str(depth): {kind: [round(next(values), 4) for _ in SEEDS] for kind in KINDS}
        for depth in depths
    }
    return {"nats": nats, "steps": steps}


if __name__ == "__main__":
    store(__file__, "short", compare(DEPTHS, STEPS))
    store(__file__, "longer", compare((LONGER_DEPTH,), LONGER))
