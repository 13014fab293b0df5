"""fastwavenet itself."""

from __future__ import annotations

import numpy as np

from ..generator import Generator
from ..model import Model
from ..scoring import teacher_forced
from ..session import Frames
from ..types import Isa
from .peer import Peer


class Engine(Peer):
    """A generator with a fixed seed, in a precision and on an instruction set."""

    def __init__(self, model: Model, isa: Isa, batch: int = 1):
        self.model, self.isa, self.batch = model, isa, batch
        self.precision = model.precision
        self.generator = Generator(model, seed=0, isa=isa, batch=batch)

    def generate(self, n: int) -> np.ndarray:
        return self.generator.generate(n)

    def logits(self, codes: np.ndarray) -> np.ndarray:
        """As `fastwavenet.outputs`, for all voices of the batch at once."""
        return teacher_forced(self.model, self.isa, codes, Frames())
