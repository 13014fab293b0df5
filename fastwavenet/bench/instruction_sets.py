"""The engine on each instruction set of this machine, in each precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..instruction_sets import available_isas
from ..model import Model
from .contenders import PRECISIONS
from .engine_peer import Engine
from .measure import Refused, measure
from .networks import spec_of, weights_of

CHECKED = 32  # samples


def rows(network: str, batches: Sequence[int], seconds: float) -> list[dict]:
    """For each number of voices, instruction set and precision: samples_per_second in all.

    lost: the share of the time in which the core was taken by others.

    Raises Refused if two instruction sets do not draw the same samples.
    """
    spec = spec_of(network)
    weights = weights_of(network)
    models = [Model(spec, weights, precision=precision) for precision in PRECISIONS]
    found = []
    for batch in batches:
        engines = [Engine(model, isa, batch) for isa in available_isas() for model in models]
        check_same_samples(network, engines)
        work = {f"{engine.isa}, {engine.precision}": engine.generate for engine in engines}
        measured = measure(work, seconds)
        for engine, rate in zip(engines, measured.rates.values(), strict=True):
            row = {"network": network, "batch": batch, "isa": engine.isa, "lost": measured.lost}
            row |= {"precision": engine.precision, "samples_per_second": batch * rate}
            found.append(row)
    return found


def check_same_samples(network: str, engines: Sequence[Engine]) -> None:
    """Raises Refused if engines of one precision draw different samples."""
    first: dict[str, tuple[str, np.ndarray]] = {}
    for engine in engines:
        audio = engine.generate(CHECKED)
        isa, expected = first.setdefault(engine.precision, (engine.isa, audio))
        if not np.array_equal(audio, expected):
            raise Refused(
                f"{network}, {engine.precision}: {engine.isa} draws other samples than {isa}"
            )
