"""The learning rate over the budget of a run."""

from __future__ import annotations

import math

WARM_UP = 0.05  # of the budget
DECAY = 0.5  # of the budget, at the end of a trapezoid


def cosine(spent: float) -> float:
    """Half a cosine from 1 to 0, after the warm-up."""
    return (1 + math.cos(math.pi * (spent - WARM_UP) / (1 - WARM_UP))) / 2


def trapezoid(spent: float) -> float:
    """1, and in the last part of the budget linear to 0."""
    return min(1.0, (1 - spent) / DECAY)


SCHEDULES = {"cosine": cosine, "trapezoid": trapezoid}


def rate_factor(schedule: str, spent: float) -> float:
    """The factor of the learning rate after a fraction of the budget, first a linear warm-up."""
    return spent / WARM_UP if spent < WARM_UP else SCHEDULES[schedule](min(spent, 1.0))
