"""Features of given frames by the upsampling of a network, in pieces, as the steps of a call need
them.

How a call is cut changes no feature: each is computed from the frames within its reach alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from . import _engine
from .drawing import Drawing
from .ends import FrameConditioning
from .types import Audio, Isa
from .upsampling import context, continued, first_output, outside, rate


class UpsampledFrames:
    """The features of the frames of one call, of which the newest piece is kept.

    frames: float32 (frames, rows, channels)
    sounds: int64 (rows, 2), the numbers of the first frame of each row's sound, which may be below
    0, and of the one behind its last; None: the frames are the sound
    """

    def __init__(
        self,
        network: _engine.Network,
        isa: Isa,
        end: FrameConditioning,
        frames: Audio,
        sounds: npt.NDArray[np.int64] | None = None,
    ):
        self.network, self.isa, self.end, self.frames = network, isa, end, frames
        whole = np.tile(np.array([0, len(frames)]), (frames.shape[1], 1))
        self.sounds = whole if sounds is None else sounds
        self.first = 0  # the piece has the features of frames [first, first + ...)
        self.piece = np.empty((0, frames.shape[1], end.feature_channels), np.float32)

    def of_samples(self, at: int, n: int) -> tuple[Audio, int]:
        """Features (features, rows, channels) for samples [at, at + n) of the call, n above 0.

        Returns them, and the number of samples from the first feature's begin to sample `at`.
        """
        later = self.end.feature_hop if self.end.interpolation == "linear" else 0
        first, last = at // self.end.hop, (at + n - 1 + later) // self.end.hop
        self._move(first, last + 1)
        return self.piece, at - first * self.end.hop

    def drawing(self, drawing: Drawing) -> Drawing:
        """A drawing of the call's frames as one of the features that `of_samples` has returned.

        Each feature has the numbers of its frame, or of the last one.
        """
        numbers = self.first + np.arange(len(self.piece)) // rate(self.end.upsampling)
        frames = numbers.clip(max=len(self.frames) - 1)
        each = (drawing.temperature, drawing.min_p)
        temperature, min_p = (x[frames] if isinstance(x, np.ndarray) else x for x in each)
        return Drawing(temperature, drawing.top_k, min_p)

    def _move(self, first: int, end: int) -> None:
        """Makes the piece that of frames [first, end), of which it may have some already."""
        features, done = rate(self.end.upsampling), self.first
        done += len(self.piece) // features
        if not self.first <= first <= done:
            self.piece, self.first, done = self.piece[:0], first, first
        parts = [self.piece[(first - self.first) * features : (end - self.first) * features]]
        if end > done:
            parts.append(self._computed(done, end))
        self.piece, self.first = np.ascontiguousarray(np.concatenate(parts)), first

    def _computed(self, first: int, end: int) -> Audio:
        """The features of frames [first, end)."""
        stages = self.end.upsampling
        before, after = context(stages)
        numbers = np.arange(first - before, end + after)
        x = continued(self.frames, numbers, self.end.edges).transpose(1, 0, 2)
        for number, stage in enumerate(stages):
            if stage.padding == "zeros":
                at = first_output(stages[:number], first - before)
                x[outside(at, x.shape[1], self.sounds * rate(stages[:number]))] = 0
            shape = (len(x), (x.shape[1] - stage.taps + 1) * stage.stride, stage.channels)
            made = np.empty(shape, np.float32)
            self.network.upsample(self.isa, number, np.ascontiguousarray(x), made)
            x = made
        spare = first * rate(stages) - first_output(stages, first - before)
        return x[:, spare : spare + (end - first) * rate(stages)].transpose(1, 0, 2)
