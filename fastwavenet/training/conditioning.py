"""The conditioning that can be trained: frames of a mel convention, which make a vocoder."""

from __future__ import annotations

import dataclasses

from ..ends import FrameConditioning
from ..mel_conventions import Mel, as_mel
from ..shown import shown
from ..spec import WaveNetSpec


def mel_conditioning(preset: str) -> FrameConditioning:
    """The conditioning on frames of a mel preset, with linear interpolation.

    Raises ValueError for an unknown preset, TypeError for another type than str.
    """
    mel = as_mel(preset)
    return FrameConditioning(channels=mel.mels, hop=mel.hop, interpolation="linear", features=mel)


def conditioned(spec: WaveNetSpec, end: FrameConditioning | None) -> WaveNetSpec:
    """The network with this conditioning.  Raises ValueError if its mel has another rate."""
    if end is not None and end.mel is not None and end.mel.sample_rate != spec.sample_rate:
        raise ValueError(
            f"sample_rate is {spec.sample_rate} Hz, expected the {end.mel.sample_rate} Hz of "
            f"mel {shown(str(end.mel))}"
        )
    return dataclasses.replace(spec, conditioning=end)


def mel_of(spec: WaveNetSpec) -> Mel | None:
    """The convention of a network's frames; None for a network without conditioning.

    Raises ValueError if the network has another conditioning than frames of a mel convention.
    """
    end = spec.conditioning
    if end is None:
        return None
    if end.speakers or end.mel is None:
        found = "speakers" if end.speakers else "frames without a mel convention"
        raise ValueError(
            f"conditioning on {found} cannot be trained, only on frames of a mel (--mel, mel=)"
        )
    return end.mel
