"""The frames of a recording, for a model that is conditioned on mel and pitch: a vocoder."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from .ends import FrameConditioning, Pitch
from .features import MelStream, mel
from .mel_conventions import Mel, as_mel, mel_presets
from .pitch_tracking import pitch
from .shown import shown
from .types import Audio

DEFAULT_SAMPLE_RATE = 16000  # Hz, where neither a rate nor a mel is given
WITH_PITCH = "+pitch"  # behind the name of a mel preset
HIDDEN = 64  # channels of the network that predicts pitch from mel frames


def recording_conditioning(name: str) -> FrameConditioning:
    """The conditioning on the frames of a mel preset, or of one with pitch: "hifigan-16k+pitch".

    The frames are interpolated.  Raises ValueError for an unknown name, TypeError for another type
    than str.
    """
    if not isinstance(name, str):
        raise TypeError(f"mel must be a name, not {shown(name)}")
    preset = name.removesuffix(WITH_PITCH)
    if preset not in mel_presets():
        known = ", ".join(mel_presets())
        raise ValueError(
            f"unknown mel preset {shown(preset)}, expected one of {known}, "
            f"with {WITH_PITCH} behind it or not"
        )
    convention = as_mel(preset)
    with_pitch = Pitch(hidden=HIDDEN) if name.endswith(WITH_PITCH) else None
    channels = convention.mels + (with_pitch.channels if with_pitch else 0)
    return FrameConditioning(channels, convention.hop, "linear", (), 0, convention, with_pitch)


def recording_frames(
    end: FrameConditioning, audio: npt.ArrayLike, sample_rate: int | None = None
) -> Audio:
    """The frames of a recording as a model takes them: float32 (n // hop, channels).

    audio: float32 or float64 (n,), full scale 1.0.  sample_rate: Hz, to be compared with the
    model's; None: not checked.
    The channels are those of `fastwavenet.mel`, and behind them those of `fastwavenet.pitch` if the
    model has them.
    Raises ValueError if the model's frames are no mel frames, and as `mel` and `pitch` do.
    """
    if end.mel is None:
        raise ValueError("the model's frames are no mel frames of audio: give frames")
    return _with_pitch(end, mel(audio, end.mel, sample_rate=sample_rate), audio)


class FrameReader:
    """The frames of audio that is read block by block.

    Pitch needs all of a recording at once, so that its audio is kept.
    """

    def __init__(self, end: FrameConditioning):
        self.end, self.stream = end, MelStream(cast(Mel, end.mel))
        self.levels, self.audio = list[Audio](), list[Audio]()

    def feed(self, block: Audio) -> None:
        """Computes the mel frames that the next samples complete."""
        self.levels.append(self.stream.feed(block))
        if self.end.pitch is not None:
            self.audio.append(block.copy())

    def finish(self) -> Audio:
        """All frames, as `recording_frames` has them."""
        levels = np.concatenate([*self.levels, self.stream.finish()])
        return _with_pitch(self.end, levels, np.concatenate([np.empty(0, np.float32), *self.audio]))


def _with_pitch(end: FrameConditioning, levels: Audio, audio: npt.ArrayLike) -> Audio:
    """Mel frames (frames, mels) and the pitch of their audio, if the model has it."""
    if end.pitch is None or end.mel is None:
        return levels
    limits = {"fmin": end.pitch.fmin, "fmax": end.pitch.fmax}
    tracked = pitch(audio, end.mel.sample_rate, end.hop, **limits)
    return np.concatenate([levels, tracked], axis=1)
