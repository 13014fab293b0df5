"""A queue whose ring is numpy's; everything between the gather and the scatter is one graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..spec import WaveNetSpec
from .conditions import Conditions
from .numpy_peer import gumbel_noise
from .packed import Packed
from .peer import Weights


class OneStep(Packed):
    """For runtimes that are given a graph.  A subclass compiles it.

    Keeping the ring in the graph would need a gather and a scatter of its own, which cost more
    than numpy's.  Inputs and outputs of the graph are bound to these arrays once, so that nothing
    is copied.
    """

    def __init__(
        self,
        spec: WaveNetSpec,
        weights: Weights,
        batch: int = 1,
        conditions: Conditions | None = None,
        seed: int = 0,
    ):
        super().__init__(spec, weights, batch, conditions)
        self.noise = gumbel_noise(
            np.random.default_rng(seed), self.noise_rows, (batch, spec.levels)
        )
        self._allocate()
        self.run = self._compiled()
        self.reset()

    def _compiled(self) -> Callable[[], object]:
        """A function that reads past_rows, x[0] and base, and writes x[1:] and logit_rows.

        base is None without conditioning: the graph then has gate_bias as a constant.
        """
        raise NotImplementedError

    def _allocate(self) -> None:
        spec, b, (layers, inputs, outputs) = self.spec, self.batch, self.past.shape
        self.past_rows = np.zeros((layers, b, inputs), np.float32)
        self.before = self.past_rows.reshape(layers, b, -1, spec.residual)
        self.x = np.zeros((layers, b, spec.residual), np.float32)
        self.base = None if self.bases is None else np.zeros((layers, b, outputs), np.float32)
        self.logit_rows = np.zeros((b, spec.levels), np.float32)
        self.codes = np.zeros(b, np.int64)

    def reset(self) -> None:
        self.time, self.ring = 0, self.silence.copy()
        self.codes[:] = self.spec.start.code
        self.older = np.zeros((self.batch, self.spec.residual), np.float32)  # last codes' part

    def step(self, codes: np.ndarray) -> np.ndarray:
        self._step(codes)
        return self.logit_rows.copy()

    def _step(self, codes: np.ndarray) -> None:
        if self.base is not None and self.bases is not None:
            np.copyto(self.base, self.bases[self.time % len(self.bases)])
        moment = self.time % len(self.reads)
        self.ring.take(self.reads[moment], 0, self.before, "clip")  # no bounds checks, no buffer
        np.add(self.older, self.tables[1].take(codes, 0), self.x[0])
        self.older = self.tables[0].take(codes, 0)
        self.run()
        self.ring[self.writes[moment]] = self.x
        self.time += 1
