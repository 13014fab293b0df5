"""The most probable code in quiet frames, where drawn codes would be audible as noise."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from .checks import whole, within
from .voiced_sampling import MAX_CHANNEL


@dataclass(frozen=True)
class QuietSampling:
    """Frames whose level is below a threshold take the most probable code: temperature 0.

    channel  of the frames that holds their level, from 0
    below    the threshold, in that channel's unit

    Raises ValueError naming the field, the value found and the expected ones.
    """

    channel: int
    below: float

    def __post_init__(self) -> None:
        channel = whole("sampling quiet channel", self.channel, 0, MAX_CHANNEL)
        object.__setattr__(self, "channel", channel)
        most = sys.float_info.max
        below = within("sampling quiet below", self.below, -most, most, expected="a finite number")
        object.__setattr__(self, "below", below)
