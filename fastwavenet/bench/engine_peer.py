"""fastwavenet itself."""

from __future__ import annotations

import numpy as np

from ..engine import Generator
from ..model import Model
from ..types import Isa
from .peer import Peer


class Engine(Peer):
    """A generator with a fixed seed, in a precision and on an instruction set."""

    def __init__(self, model: Model, isa: Isa, batch: int = 1):
        self.model, self.isa, self.batch = model, isa, batch
        self.precision = model.precision
        self.generator = self._fresh()

    def generate(self, n: int) -> np.ndarray:
        return self.generator.generate(n)

    def logits(self, codes: np.ndarray) -> np.ndarray:
        """As `fastwavenet.outputs`, for all voices of the batch at once."""
        n, generator = codes.shape[1], self._fresh()
        for voice, code in enumerate(codes[:, 0]):
            generator._rows.begin(voice, int(code))
        following = np.roll(codes, -1, axis=1).astype(np.uint16)  # what follows the last is unused
        logits = np.empty((self.batch, n, self.model.spec.levels), np.float32)
        generator._run(0, n, None, 1, forced=following, logits=logits)
        return logits

    def _fresh(self) -> Generator:
        return Generator(self.model, seed=0, isa=self.isa, batch=self.batch)
