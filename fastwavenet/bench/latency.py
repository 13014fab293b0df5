"""How long the engine takes to answer, and how fast it listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ..generator import Generator
from ..model import Model
from ..scoring import score
from ..spec import WaveNetSpec
from .contenders import PRECISIONS
from .measure import Refused, measure
from .networks import spec_of, weights_of

SCORED = 4096  # samples: the length at which PyTorch is fastest here
ALLOWED = 0.02  # nats per sample between the engine and PyTorch, on average

Work = Callable[[int], object]  # does something n times


def rows(networks: Sequence[str], seconds: float) -> list[dict]:
    """The cost of each operation, for each network and precision.

    Returns dictionaries of network, precision, and seconds: from a loaded model to its first
    sample; per generate(1); per sample of a long generate; for priming a receptive field; samples
    per second of `score`, and of PyTorch's forward pass of the same codes in float32.  For a
    network that takes frames only first_sample_seconds and first_block_seconds, from a loaded model
    and its first frames: to one sample, and to the first block of `Generator.vocode`.
    Raises Refused if engine and PyTorch do not find the codes equally surprising, or a vocoder's
    first block has other samples than a long call begins with.
    """
    found = []
    for network in networks:
        takes_frames = spec_of(network).conditioning is not None
        found += (_vocoder_rows if takes_frames else _rows)(network, seconds)
    return found


def _rows(network: str, seconds: float) -> list[dict]:
    from . import torch_peers

    spec = spec_of(network)
    weights = weights_of(network)
    codes = np.random.default_rng(3).integers(0, spec.levels, SCORED)
    forward, nats = torch_peers.forward(spec, weights, codes)
    work: dict[str, Work] = {"forward": forward}
    for precision in PRECISIONS:
        model = Model(spec, weights, precision=precision)
        check_score(f"{network}, {precision}", model, codes, nats)
        work |= {f"{precision}, {what}": do for what, do in _work(model, codes).items()}
    measured = measure(work, seconds)
    rates = measured.rates
    return [
        {
            "network": network,
            "precision": precision,
            "lost": measured.lost,
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


def _vocoder_rows(network: str, seconds: float) -> list[dict]:
    spec = spec_of(network)
    weights = weights_of(network)
    models = {p: Model(spec, weights, precision=p) for p in PRECISIONS}
    frames = _first_frames(spec)
    for precision, model in models.items():
        check_first_block(f"{network}, {precision}", model, frames, _first_block(model, frames))
    work = {}
    for p, model in models.items():
        work[f"{p}, sample"] = _times(partial(_first_sample, model, frames))
        work[f"{p}, block"] = _times(partial(_first_block, model, frames))
    measured = measure(work, seconds)
    rates = measured.rates
    return [
        {
            "network": network,
            "precision": precision,
            "lost": measured.lost,
            "receptive_field": spec.receptive_field,
            "first_sample_seconds": 1 / rates[f"{precision}, sample"],
            "first_block_seconds": 1 / rates[f"{precision}, block"],
        }
        for precision in PRECISIONS
    ]


def _first_frames(spec: WaveNetSpec) -> np.ndarray:
    """The fewest frames that determine samples: one, or with linear interpolation two."""
    end = spec.conditioning
    assert end is not None
    shape = (1 + (end.interpolation == "linear"), end.channels)
    return np.random.default_rng(4).standard_normal(shape, dtype=np.float32)


def _first_sample(model: Model, frames: np.ndarray) -> np.ndarray:
    return Generator(model, seed=0).generate(1, frames=frames)


def _first_block(model: Model, frames: np.ndarray) -> np.ndarray:
    """The first samples of a new voice, (hop,), once their frames are there."""
    return next(Generator(model, seed=0).vocode([frames]))


def check_first_block(name: str, model: Model, frames: np.ndarray, block: np.ndarray) -> None:
    """Raises Refused if a block is not the first samples of all frames at once."""
    hop = model.spec.conditioning.hop if model.spec.conditioning else 0
    whole = Generator(model, seed=0).generate(len(frames) * hop, frames=frames)
    if not np.array_equal(block, whole[:hop]):
        raise Refused(f"{name}: the first block has other samples than a call with all frames")


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
