"""Whether generated sound is alive: the share of its frames that are silent or constant."""

from __future__ import annotations

import numpy as np

FRAME_SECONDS = 0.02
FLOOR = 10 ** (-55 / 20)  # -55 dB of full scale
MOST = 0.9  # of the frames; speech has a quarter
LEAST_FRAMES = 10  # shorter sounds are not judged


def frame_size(sample_rate: int) -> int:
    """Samples of a frame."""
    return max(1, round(FRAME_SECONDS * sample_rate))


class Activity:
    """Counts the still frames of voices, which come in blocks of any size.

    A frame of 20 ms is still if its deviation from its own mean is below -55 dB of full scale: that
    covers silence, also beside a constant offset, and a voice that is stuck on one code.
    """

    def __init__(self, voices: int, sample_rate: int):
        self.size = frame_size(sample_rate)
        self.frames = 0
        self.still = np.zeros(voices, np.int64)
        self._rest = np.empty((voices, 0), np.float32)

    def add(self, block: np.ndarray) -> None:
        """block: float32 (voices, n); samples behind the last whole frame wait for the next."""
        joined = np.concatenate([self._rest, block], axis=1)
        n = joined.shape[1] // self.size
        frames = joined[:, : n * self.size].reshape(len(joined), n, self.size)
        self.frames += n
        self.still += (frames.std(axis=2, dtype=np.float64) < FLOOR).sum(axis=1)
        self._rest = joined[:, n * self.size :]

    def share(self) -> float:
        """Of the frames of all voices, the part that is still; 0 without frames."""
        return float(self.still.sum()) / max(1, self.frames * len(self.still))

    def still_voices(self) -> int:
        """How many voices are still in 90 % of their frames."""
        judged = self.frames >= LEAST_FRAMES
        return int((self.still >= MOST * self.frames).sum()) if judged else 0


def advice(temperature: float, primed: bool) -> str:
    """The settings to change when a result is silent."""
    prime = "a --prime that does not end in a pause" if primed else "--prime with a recording"
    draw = "--temperature 1, because lower ones favour silence, " if temperature < 1 else ""
    return f"try {draw}another --seed, {prime}, or longer training"
