"""How long the engine takes to answer, and how fast it listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..generator import Generator
from ..model import Model
from ..scoring import score
from .contenders import PRECISIONS
from .measure import Refused, measure
from .networks import NETWORKS, random_weights

SCORED = 4096  # samples: the length at which PyTorch is fastest here
ALLOWED = 0.02  # nats per sample between the engine and PyTorch, on average

Work = Callable[[int], object]  # does something n times


def rows(networks: Sequence[str], seconds: float) -> list[dict]:
    """The cost of each operation, for each network and precision.

    Returns dictionaries of network, precision, and seconds: from a loaded model to its first
    sample; per generate(1); per sample of a long generate; for priming a receptive field; samples
    per second of `score`, and of PyTorch's forward pass of the same codes in float32.
    Raises Refused if the two do not find the codes equally surprising.
    """
    return [row for network in networks for row in _rows(network, seconds)]


def _rows(network: str, seconds: float) -> list[dict]:
    from . import torch_peers

    spec = NETWORKS[network]
    weights = random_weights(spec)
    codes = np.random.default_rng(3).integers(0, spec.levels, SCORED)
    forward, nats = torch_peers.forward(spec, weights, codes)
    work: dict[str, Work] = {"forward": forward}
    for precision in PRECISIONS:
        model = Model(spec, weights, precision=precision)
        check_score(f"{network}, {precision}", model, codes, nats)
        work |= {f"{precision}, {what}": do for what, do in _work(model, codes).items()}
    rates = measure(work, seconds)
    return [
        {
            "network": network,
            "precision": precision,
            "receptive_field": spec.receptive_field,
            "first_sample_seconds": 1 / rates[f"{precision}, first sample"],
            "call_seconds": 1 / rates[f"{precision}, call"],
            "sample_seconds": 1 / rates[f"{precision}, sample"],
            "prime_seconds": 1 / rates[f"{precision}, prime"],
            "scored_per_second": SCORED * rates[f"{precision}, score"],
            "forward_per_second": SCORED * rates["forward"],
        }
        for precision in PRECISIONS
    ]


def _work(model: Model, codes: np.ndarray) -> dict[str, Work]:
    voice, listener = Generator(model, seed=0), Generator(model, seed=0)
    past = np.resize(codes, model.spec.receptive_field)

    def prime() -> None:
        listener.reset(0)
        listener.prime(past)

    return {
        "first sample": _times(lambda: Generator(model, seed=0).generate(1)),
        "call": _times(lambda: voice.generate(1)),
        "sample": Generator(model, seed=0).generate,
        "prime": _times(prime),
        "score": _times(lambda: score(model, codes)),
    }


def _times(do: Callable[[], object]) -> Work:
    def work(n: int) -> None:
        for _ in range(n):
            do()

    return work


def check_score(name: str, model: Model, codes: np.ndarray, nats: float) -> None:
    """Raises Refused if the engine's mean surprise at the codes is not `nats`."""
    found = score(model, codes).mean()
    if not abs(found - nats) <= ALLOWED:
        raise Refused(f"{name}: {found:.4f} nats per sample, but {nats:.4f} in PyTorch")
