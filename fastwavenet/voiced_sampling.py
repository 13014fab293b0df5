"""Temperature and min_p of voiced frames, and the bounds of both numbers.

Vowels are nearly periodic and sound best at a low temperature, where noise such as "s" loses its
energy: one temperature for all samples suits one of them only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .checks import whole, within

MAX_CHANNEL = 4095  # of a frame
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 1e-3, 1e3


def check_temperature(value: object) -> float:
    """`value` as a temperature.  Raises TypeError if it is no number, ValueError out of bounds."""
    expected = "0 (always the most probable) or from 0.001 to 1000"
    low, high = LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE
    return within(
        "temperature", value, low, high, zero=True, expected=expected, wrong_type=TypeError
    )


def check_min_p(value: object) -> float:
    """`value` as a fraction of the largest probability.  Raises TypeError or ValueError."""
    return within("min_p", value, 0, 1, wrong_type=TypeError)


@dataclass(frozen=True)
class VoicedSampling:
    """Temperature and min_p of voiced frames, where those of `Sampling` are of unvoiced ones.

    channel      of the frames that holds voicing: 0 (noise) to 1 (periodic), numbers beyond are
                 clipped; from 0
    temperature  where voicing is 1; None: as in unvoiced frames
    min_p        where voicing is 1; None: as in unvoiced frames

    Where voicing is v, both numbers are (1 - v) x unvoiced + v x voiced.
    Raises ValueError out of bounds, TypeError for a number of another type.
    """

    channel: int
    temperature: float | None = None
    min_p: float | None = None

    def __post_init__(self) -> None:
        channel = whole("sampling voiced channel", self.channel, 0, MAX_CHANNEL)
        object.__setattr__(self, "channel", channel)
        for name, check in (("temperature", check_temperature), ("min_p", check_min_p)):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check(getattr(self, name)))
        if self.temperature is None and self.min_p is None:
            raise ValueError("sampling voiced needs a temperature or min_p, but has neither")

    def without(self, names: Collection[str]) -> VoicedSampling | None:
        """Without those of its numbers; None if no other one is left."""
        temperature = None if "temperature" in names else self.temperature
        min_p = None if "min_p" in names else self.min_p
        if temperature is None and min_p is None:
            return None
        return VoicedSampling(self.channel, temperature, min_p)
