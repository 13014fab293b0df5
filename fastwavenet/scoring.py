"""Long recordings, scored part by part in memory that does not grow with them."""

from __future__ import annotations

import numpy as np

from .engine import Progress
from .listening import score
from .model import Model
from .types import Isa

PART = 1 << 21  # samples


def total_nats(
    model: Model,
    codes: np.ndarray,
    *,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> float:
    """The sum of `score` over all samples after the first.  codes: (n,); else as in `score`."""
    steps, total = len(codes) - 1, 0.0
    for start in range(0, steps, PART):
        begin = max(0, start + 1 - model.spec.receptive_field)  # as far back as the model reaches
        part = codes[begin : start + PART + 1]
        nats = score(
            model,
            part,
            isa=isa,
            threads=threads,
            progress=progress and _of_all(progress, begin, start, steps),
        )
        total += float(nats[start - begin :].sum(dtype=np.float64))
    return total


def _of_all(progress: Progress, begin: int, start: int, steps: int) -> Progress:
    """The progress of a part that begins at `begin`, of which the steps from `start` on count."""
    return lambda done, _: progress(max(begin + done, start), steps)
