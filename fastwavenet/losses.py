"""What each precision costs a model: nats per sample more than float32, measured on recordings."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from . import modelfile
from .engine import Progress
from .listening import score
from .model import Model
from .spec import PRECISIONS, WaveNetSpec


def measure_precision(path: str | os.PathLike[str], *recordings: npt.ArrayLike) -> dict[str, float]:
    """bfloat16 and int8 -> the change of nats per sample of a model file on recordings.

    recordings: (n,) each, audio or codes as in `score`; seconds of what the model was not trained
    on are enough.  `record_losses` writes the result into the file, where precision="auto" finds
    it.  Raises ValueError if no recording has a second sample, and as `load` and `score` do.
    """
    spec, weights, _ = modelfile.load(path)
    comparison = Comparison(spec, weights)
    for samples in recordings:
        comparison.add(samples)
    return comparison.losses()


class Comparison:
    """A network in every precision, scored on the same recordings."""

    def __init__(self, spec: WaveNetSpec, weights: Mapping[str, np.ndarray]):
        self.models = {name: Model(spec, weights, name) for name in PRECISIONS}
        self.nats = dict.fromkeys(PRECISIONS, 0.0)
        self.samples = 0

    def add(self, samples: npt.ArrayLike, progress: Progress | None = None) -> None:
        """Scores samples (n,), audio or codes; `progress` is told of all precisions together."""
        for turn, (name, model) in enumerate(self.models.items()):
            nats = score(model, samples, progress=progress and _of_all(progress, turn))
            self.nats[name] += float(nats.sum(dtype=np.float64))
        self.samples += len(nats)

    def losses(self) -> dict[str, float]:
        """Nats per sample against float32 of each other precision."""
        if not self.samples:
            raise ValueError("expected a recording of at least 2 samples to measure precisions on")
        exact = self.nats["float32"]
        others = [name for name in PRECISIONS if name != "float32"]
        return {name: (self.nats[name] - exact) / self.samples for name in others}


def _of_all(progress: Progress, turn: int) -> Progress:
    """The progress of one score among those of every precision."""
    count = len(PRECISIONS)
    return lambda done, total: progress(turn * total + done, count * total)
