"""Frames for a conditioned network, and the rows that they add to each layer's gates.

The engine is given the frames.  Peers are given the rows V_l u, which is work that they are spared.
Frames repeat after a bounded stretch, and so do the rows, so that a run of any length has both.
"""

from __future__ import annotations

import numpy as np

from ..reference.network import project_frames
from ..spec import WaveNetSpec
from .peer import Weights

STRETCH = 4096  # samples of all voices before frames repeat, but at least two frames of each
MAX_BYTES = 2**30  # of the rows


class Conditions:
    """The conditioning of `batch` voices, each with frames of its own.

    frames: float32 (B, F, C).  Sample t belongs to frame t // hop, modulo F, from a reset on.
    rows: float32 (F hop, L, B, 2D); [t] is added to the inputs of the gates in the step that
    predicts sample t, modulo F hop.
    """

    def __init__(self, frames: np.ndarray, rows: np.ndarray):
        self.frames, self.rows = frames, rows
        self._bases: np.ndarray | None = None

    def of(self, batch: int) -> Conditions:
        """Those of the first voices."""
        return Conditions(self.frames[:batch], np.ascontiguousarray(self.rows[:, :, :batch]))

    def repeated(self, frames: int) -> np.ndarray:
        """(B, frames, C): the frames again and again."""
        return self.frames[:, np.arange(frames) % self.frames.shape[1]]

    def voice(self, voice: int, n: int) -> np.ndarray:
        """Rows (n, L, 2D) of a voice's first n samples."""
        return self.rows[np.arange(n) % len(self.rows), :, voice]

    def bases(self, scale: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """rows * scale + bias, float32 (F hop, L, B, 2D), for scale (2D,) and bias (L, 2D).

        Made once for all tuned peers, whose scale and bias are the same.
        """
        if self._bases is None:
            self._bases = (self.rows * scale.astype(np.float32) + bias[:, None]).astype(np.float32)
        return self._bases


def conditions_for(
    spec: WaveNetSpec, weights: Weights, voices: int, sound: np.ndarray | None = None
) -> Conditions | None:
    """Frames for each voice and their rows; None for a network without conditioning.

    sound: frames (F, C) of a sound, of which each voice takes a part; None: frames are random.

    Raises ValueError as `check_voices`, and for a network with speakers.
    """
    end = spec.conditioning
    if end is None:
        return None
    if end.speakers:
        raise ValueError("the benchmark has networks with frames only, not with speakers")
    check_voices(spec, voices)
    count = _frames(spec, voices)
    if sound is None:
        shape = (voices, count, end.channels)
        frames = np.random.default_rng(2).standard_normal(shape, dtype=np.float32)
    else:
        frames = np.stack([_part(sound, voice, voices, count) for voice in range(voices)])
    rows = [_rows(spec, weights, of_voice) for of_voice in frames]
    return Conditions(frames, np.stack(rows, axis=2))


def check_voices(spec: WaveNetSpec, voices: int) -> None:
    """Raises ValueError if the rows of so many voices would take more than MAX_BYTES."""
    if spec.conditioning is None:
        return
    samples = _frames(spec, voices) * spec.conditioning.hop
    size = 4 * samples * spec.layers * voices * 2 * spec.dilation_channels
    if size > MAX_BYTES:
        raise ValueError(
            f"the peers' rows of {voices} conditioned voices would take {size} bytes, expected at "
            f"most {MAX_BYTES}: fewer voices are needed (--batches)"
        )


def _part(sound: np.ndarray, voice: int, voices: int, count: int) -> np.ndarray:
    """`count` frames of a sound that repeats; the voices' parts are spread over its middle half."""
    first = len(sound) // 4 + voice * len(sound) // (2 * voices)
    return sound[np.arange(first, first + count) % len(sound)]


def _frames(spec: WaveNetSpec, voices: int) -> int:
    """Number of a voice's frames before they repeat."""
    assert spec.conditioning is not None
    return max(2, STRETCH // (spec.conditioning.hop * voices))


def _rows(spec: WaveNetSpec, weights: Weights, frames: np.ndarray) -> np.ndarray:
    """Of frames (F, C) that repeat: float32 (F hop, L, 2D)."""
    assert spec.conditioning is not None
    around = np.vstack([frames, frames[:1]])  # the last frame is interpolated with the first
    samples = range(len(frames) * spec.conditioning.hop)
    return project_frames(spec, weights, around, None, samples).astype(np.float32)
