"""The cost of each precision of a model, measured on recordings: nats per sample above float32."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from . import modelfile
from .model import Model
from .scoring import score
from .session import Progress
from .spec import PRECISIONS, WaveNetSpec
from .types import Speaker


def measure_precision(
    path: str | os.PathLike[str],
    *recordings: npt.ArrayLike,
    frames: Sequence[npt.ArrayLike] | None = None,
    speaker: Speaker | None = None,
) -> dict[str, float]:
    """Each smaller precision -> nats per sample above float32, of a model file on recordings.

    recordings: (n,) each, audio or codes as in `score`; a few seconds that the model was not
    trained on are enough.  `record_precision_cost` writes the result into the file, where
    precision="auto" finds it.
    frames: for each recording, as in `score`.  speaker: of all recordings.
    Raises ValueError if no recording has a second sample, and as `load` and `score` do.
    """
    contents = modelfile.load(path)
    comparison = Comparison(contents.spec, contents.weights)
    given = itertools.repeat(None, len(recordings)) if frames is None else frames
    for samples, of_samples in zip(recordings, given, strict=True):
        comparison.add(samples, frames=of_samples, speaker=speaker)
    return comparison.cost()


class Comparison:
    """A network in every precision, scored on the same recordings.

    nats     precision -> sum over all scored samples
    samples  number of scored samples: all but the first of each recording
    """

    def __init__(self, spec: WaveNetSpec, weights: Mapping[str, np.ndarray]):
        self.models = {name: Model(spec, weights, name) for name in PRECISIONS}
        self.nats = dict.fromkeys(PRECISIONS, 0.0)
        self.samples = 0

    def add(
        self,
        samples: npt.ArrayLike,
        progress: Progress | None = None,
        frames: npt.ArrayLike | None = None,
        speaker: Speaker | None = None,
    ) -> None:
        """Scores samples (n,), audio or codes; `progress` counts the steps of all precisions.

        frames, speaker: of all samples, as in `score`.
        """
        for turn, (name, model) in enumerate(self.models.items()):
            report = progress and _of_all(progress, turn)
            nats = score(model, samples, frames=frames, speaker=speaker, progress=report)
            self.nats[name] += float(nats.sum(dtype=np.float64))
        self.samples += len(nats)

    def cost(self) -> dict[str, float]:
        """Precision -> nats per sample above float32; without float32 itself."""
        if not self.samples:
            raise ValueError("expected a recording of at least 2 samples to measure precisions on")
        exact = self.nats["float32"]
        others = [name for name in PRECISIONS if name != "float32"]
        return {name: (self.nats[name] - exact) / self.samples for name in others}


def _of_all(progress: Progress, turn: int) -> Progress:
    """The progress of one score among those of every precision."""
    count = len(PRECISIONS)
    return lambda done, total: progress(turn * total + done, count * total)
