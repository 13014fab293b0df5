"""The conditioning of a network to train: mel frames, other frames, speakers.

Mel levels lie far from 0 and move together: a step of AdamW, which changes each weight alike, would
change their common projection eighty times.  So a network is trained on standardised frames, and
its model file takes the standardisation into its weights.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..frame_conditioning import PITCH_NETWORK, FrameConditioning
from ..recording_frames import recording_conditioning
from ..shown import shown
from ..spec import WaveNetSpec
from ..upsampling import UPSAMPLING, Stages, UpsamplingStage

UPSAMPLINGS = ("linear", "learned")
LEAST_HOP = 10  # samples of learned features: shorter ones cost more than the network around them
CONTEXT = 5  # frames of the convolution before the transposed one

WRONG_FRAMES, WRONG_SPEAKERS = "wrong_frames", "wrong_speakers"
SPEAKER_CHANNELS = 32  # of an embedding, unless a spec has speakers already
LEAST_DEVIATION = 1e-3  # of a channel; one that varies less is constant


def conditioned(spec: WaveNetSpec, end: FrameConditioning | None) -> WaveNetSpec:
    """The network with this conditioning.  Raises ValueError if its mel has another rate."""
    if end is not None and end.mel is not None and end.mel.sample_rate != spec.sample_rate:
        raise ValueError(
            f"sample_rate is {spec.sample_rate} Hz, expected the {end.mel.sample_rate} Hz of "
            f"mel {shown(str(end.mel))}"
        )
    return dataclasses.replace(spec, conditioning=end)


def with_mel(spec: WaveNetSpec, name: str) -> WaveNetSpec:
    """The network with the frames of a mel preset, with pitch or not, and the speakers that it has.

    Raises as `recording_conditioning` and `conditioned` do.
    """
    end, before = recording_conditioning(name), spec.conditioning
    if before is not None:
        count = before.speaker_channels
        end = dataclasses.replace(end, speakers=before.speakers, speaker_channels=count)
    return conditioned(spec, end)


def with_frames(spec: WaveNetSpec, channels: int, hop: int | None) -> WaveNetSpec:
    """The network with frames of no convention, interpolated linearly, or with those that it has.

    Raises ValueError if the network has frames of other channels or another hop, or hop is None and
    the network has no frames.
    """
    end = spec.conditioning
    if end is None or not end.channels:
        if hop is None:
            raise ValueError("frames need a hop, the samples of a frame (--hop, hop=)")
        frames: dict[str, Any] = {"channels": channels, "hop": hop, "interpolation": "linear"}
        end = FrameConditioning(**frames) if end is None else dataclasses.replace(end, **frames)
        return dataclasses.replace(spec, conditioning=end)
    if (channels, end.hop if hop is None else hop) != (end.channels, end.hop):
        raise ValueError(
            f"the spec has frames of {end.channels} channels with hop {end.hop}, but the given "
            f"ones have {channels} channels{'' if hop is None else f' with hop {hop}'}"
        )
    return spec


def with_speakers(spec: WaveNetSpec, names: tuple[str, ...]) -> WaveNetSpec:
    """The network with these speakers, or with those that it has."""
    end = spec.conditioning
    if not names or (end is not None and end.speakers):
        return spec
    if end is None:
        end = FrameConditioning(speakers=names, speaker_channels=SPEAKER_CHANNELS)
    else:
        end = dataclasses.replace(end, speakers=names, speaker_channels=SPEAKER_CHANNELS)
    return dataclasses.replace(spec, conditioning=end)


def with_upsampling(spec: WaveNetSpec, how: str) -> WaveNetSpec:
    """The network with one of UPSAMPLINGS: "learned" is between features of LEAST_HOP samples.

    Raises ValueError if it has no frames.
    """
    end = spec.conditioning
    if end is None or not end.channels:
        raise ValueError("upsample needs frames: those of mel, or frames from files")
    stages = learned_stages(end) if how == "learned" else ()
    end = dataclasses.replace(end, interpolation="linear", upsampling=stages, edges="held")
    return dataclasses.replace(spec, conditioning=end)


def learned_stages(end: FrameConditioning) -> Stages:
    """A centred convolution with ReLU over frames, and a centred transposed convolution.

    Features last LEAST_HOP samples or a few more.  They have as many channels as the frames.
    """
    hops = (hop for hop in range(LEAST_HOP, end.hop + 1) if end.hop % hop == 0)
    stride = end.hop // next(hops, end.hop)
    frames = UpsamplingStage(end.channels, CONTEXT, crop=CONTEXT // 2, activation="relu")
    if stride == 1:
        return (frames,)
    return frames, UpsamplingStage(end.channels, 2 * stride, stride, crop=stride // 2)


def upsampling_of(end: FrameConditioning | None) -> str:
    """The upsampling of frames as `--upsample` names it, or its description."""
    if end is None or not end.channels:
        return "not given"
    usual = end.interpolation == "linear" and end.edges == "held"
    names = {(): "linear", learned_stages(end): "learned"} if usual else {}
    return names.get(end.upsampling, "of another kind")


def wrong_losses(spec: WaveNetSpec) -> tuple[str, ...]:
    """The keys of a report's losses with wrong frames and with wrong speakers, where it has them.

    A network with a single speaker has no wrong one.
    """
    end = spec.conditioning
    frames = (WRONG_FRAMES,) if end is not None and end.channels else ()
    return (*frames, WRONG_SPEAKERS) if end is not None and len(end.speakers) > 1 else frames


class Standardisation(NamedTuple):
    """Mean and standard deviation of each channel of the frames, float64 (C,)."""

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]

    def inverse(self) -> Standardisation:
        """With which `for_raw_frames` makes weights for standardised frames of others."""
        return Standardisation(-self.mean / self.deviation, 1 / self.deviation)

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
    subtracted from the bias: each layer's or that of the first stage of the upsampling, whichever
    takes the frames, and that of the first convolution that predicts pitch.
    """
    changed = dict(weights)
    if spec.conditioning is not None and spec.conditioning.upsampling:
        _fold_stage(changed, spec.conditioning.upsampling[0], standardisation)
    else:
        for layer in range(spec.layers):
            bias = f"layers.{layer}.dilated.bias"
            _fold(changed, f"layers.{layer}.conditioning.weight", bias, *standardisation)
    first = f"{PITCH_NETWORK}.0.weight"
    if first in weights:
        mels = weights[first].shape[1]
        parts = (values[:mels] for values in standardisation)
        _fold(changed, first, f"{PITCH_NETWORK}.0.bias", *parts)
    return changed


def has_foldable_mean(spec: WaveNetSpec) -> bool:
    """Whether a bias can take the mean of the frames.

    With upsampling that is the first stage's bias.  A transposed convolution has taps of its own
    for each of an input's outputs, so the mean would need a bias for each of them, and zeros around
    the frames are not the mean.
    """
    end = spec.conditioning
    if end is None or not end.upsampling:
        return spec.bias
    first = end.upsampling[0]
    return spec.bias and first.bias and first.stride == 1 and end.edges == "held"


def _fold_stage(
    weights: dict[str, np.ndarray], stage: UpsamplingStage, standardisation: Standardisation
) -> None:
    """Takes the standardisation into the first stage of the upsampling."""
    name = f"{UPSAMPLING}.0.weight"
    if stage.stride == 1:
        _fold(weights, name, f"{UPSAMPLING}.0.bias", *standardisation)
    else:  # (in, out, k), and the mean is 0
        deviation = standardisation.deviation[:, None, None]
        weights[name] = (weights[name] / deviation).astype(np.float32)


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
