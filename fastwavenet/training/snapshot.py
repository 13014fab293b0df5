"""The state of a run at a report, as its reporters take it."""

from __future__ import annotations

from dataclasses import dataclass

from .checkpoint import Weights
from .data import Corpus
from .settings import Budget, Settings


@dataclass(frozen=True)
class Snapshot:
    """A run at a report.

    history  the records of log.jsonl, oldest first; none before the first validation
    steps    updates of the weights until now, in which `samples` samples were predicted
    seconds  of training
    spent    the fraction of the budget that is used up
    weights  the present ones, as a model file has them
    """

    settings: Settings
    budget: Budget
    corpus: Corpus
    history: list[dict]
    steps: int
    samples: int
    seconds: float
    spent: float
    weights: Weights

    @property
    def is_new(self) -> bool:
        """Whether the last record is of the present weights."""
        return bool(self.history) and self.history[-1]["step"] == self.steps
