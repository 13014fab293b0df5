"""fastwavenet itself."""

from __future__ import annotations

import numpy as np

from ..generator import Generator
from ..model import Model
from ..scoring import teacher_forced
from ..session import Frames
from ..types import Isa
from .conditions import Conditions
from .peer import Peer


class Engine(Peer):
    """A generator with a fixed seed, in a precision and on an instruction set.

    A conditioned one is given frames, and begins with the first of them in each call.
    """

    def __init__(
        self, model: Model, isa: Isa, batch: int = 1, conditions: Conditions | None = None
    ):
        self.model, self.isa, self.batch, self.conditions = model, isa, batch, conditions
        self.precision = model.precision
        self.generator = Generator(model, seed=0, isa=isa, batch=batch)

    def generate(self, n: int) -> np.ndarray:
        return self.generator.generate(n, frames=self._frames(n))

    def logits(self, codes: np.ndarray) -> np.ndarray:
        """As `fastwavenet.outputs`, for all voices of the batch at once."""
        frames = self._frames(codes.shape[1])
        if frames is None:
            return teacher_forced(self.model, self.isa, codes, Frames())
        values = np.ascontiguousarray(frames.transpose(1, 0, 2))
        return teacher_forced(self.model, self.isa, codes, Frames(values))

    def _frames(self, n: int) -> np.ndarray | None:
        """Those of n samples, and the next one, towards which the last samples go."""
        end = self.model.spec.conditioning
        if end is None or self.conditions is None:
            return None
        return self.conditions.repeated(end.frames(n) + 1)
