"""The interface of every contender: start anew, take codes, and generate."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np

from ..types import Precision

Weights = Mapping[str, np.ndarray]


class NotAvailable(Exception):
    """This contender cannot run here; the message is the reason, and stands in its row."""


@contextlib.contextmanager
def available() -> Iterator[None]:
    """Raises NotAvailable, with both ends of the report, if something is not compiled."""
    try:
        yield
    except RuntimeError as error:  # of torch, also without a compiler, and of OpenVINO
        text = " ".join(str(error).split())
        short = text if len(text) <= 120 else f"{text[:60]} ... {text[-55:]}"
        raise NotAvailable(short) from error


class Peer:
    """Generates `batch` voices in step; continues where the last call stopped.

    Shapes in comments of the subclasses: B voices, L layers, Q levels, R residual, D dilation,
    S skip, H head channels, k kernel.
    """

    batch: int
    precision: Precision = "float32"  # of its products
    checked_steps: int | None = None  # over how many its logits are checked; None: all
    normalised = False  # whether its logits are logarithms of probabilities
    reads_weights_once = True  # per step; only then does the memory's bandwidth bound it

    def reset(self) -> None:
        """A silent past, and the start code next."""
        raise NotImplementedError

    def step(self, codes: np.ndarray) -> np.ndarray:
        """Feeds one code per voice, (B,); returns the logits of the next, float32 (B, Q)."""
        raise NotImplementedError

    def generate(self, n: int) -> np.ndarray:
        """Draws n codes per voice at temperature 1: (B, n).  This is timed."""
        raise NotImplementedError

    def fill(self) -> None:
        """Brings the peer to the state in which every later sample costs the same."""

    def logits(self, codes: np.ndarray) -> np.ndarray:
        """Logits (B, n, Q) for codes (B, n) fed to a fresh peer: row t predicts code t + 1."""
        self.reset()
        columns = [self.step(column) for column in np.ascontiguousarray(codes.T)]
        self.reset()
        return np.stack(columns, axis=1)
