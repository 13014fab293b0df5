"""The conditioning that can be trained: frames of a mel convention, which make a vocoder.

Mel levels lie far from 0 and move together: a step of AdamW, which changes each weight alike, would
change their common projection eighty times.  So a network is trained on standardised frames, and
its model file takes the standardisation into its weights.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..ends import PITCH_NETWORK, FrameConditioning
from ..shown import shown
from ..spec import WaveNetSpec

LEAST_DEVIATION = 1e-3  # of a channel; one that varies less is constant


def conditioned(spec: WaveNetSpec, end: FrameConditioning | None) -> WaveNetSpec:
    """The network with this conditioning.  Raises ValueError if its mel has another rate."""
    if end is not None and end.mel is not None and end.mel.sample_rate != spec.sample_rate:
        raise ValueError(
            f"sample_rate is {spec.sample_rate} Hz, expected the {end.mel.sample_rate} Hz of "
            f"mel {shown(str(end.mel))}"
        )
    return dataclasses.replace(spec, conditioning=end)


def check_trainable(spec: WaveNetSpec) -> None:
    """Raises ValueError if a network has another conditioning than frames of a mel convention."""
    end = spec.conditioning
    if end is not None and (end.speakers or end.mel is None):
        found = "speakers" if end.speakers else "frames without a mel convention"
        raise ValueError(
            f"conditioning on {found} cannot be trained, only on frames of a mel (--mel, mel=)"
        )


class Standardisation(NamedTuple):
    """Mean and standard deviation of each channel of the frames, float64 (C,)."""

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]

    @classmethod
    def of(cls, frames: list[np.ndarray], centred: bool) -> Standardisation:
        """That of arrays (F, C).  centred: False leaves the mean at 0, for a net without biases."""
        count = sum(map(len, frames))
        mean = sum(f.sum(axis=0, dtype=np.float64) for f in frames) / count
        squares = sum(((f - mean) ** 2).sum(axis=0) for f in frames) / count
        deviation = np.sqrt(squares if centred else squares + mean**2)
        constant = deviation < LEAST_DEVIATION
        return cls(mean if centred else np.zeros_like(mean), np.where(constant, 1.0, deviation))


def for_raw_frames(
    spec: WaveNetSpec, weights: dict[str, np.ndarray], standardisation: Standardisation
) -> dict[str, np.ndarray]:
    """The weights of the same network on frames that are not standardised.

    V (u - mean) / deviation = V' u - V' mean with V' = V / deviation, and the last term is
    subtracted from the bias: the layer's, or that of the first convolution that predicts pitch.
    """
    changed = dict(weights)
    for layer in range(spec.layers):
        bias = f"layers.{layer}.dilated.bias"
        _fold(changed, f"layers.{layer}.conditioning.weight", bias, *standardisation)
    first = f"{PITCH_NETWORK}.0.weight"
    if first in weights:
        mels = weights[first].shape[1]
        parts = (values[:mels] for values in standardisation)
        _fold(changed, first, f"{PITCH_NETWORK}.0.bias", *parts)
    return changed


def _fold(
    weights: dict[str, np.ndarray],
    name: str,
    bias: str,
    mean: npt.NDArray[np.float64],
    deviation: npt.NDArray[np.float64],
) -> None:
    """Takes the standardisation of the first inputs into weights (out, in, k) and their bias."""
    v = weights[name].astype(np.float64)
    v[:, : len(mean)] /= deviation[:, None]
    weights[name] = v.astype(np.float32)
    if bias in weights:
        shift = mean @ weights[name][:, : len(mean)].astype(np.float64).sum(axis=2).T
        weights[bias] = (weights[bias] - shift).astype(np.float32)
