"""From clips to batches: windows of inputs and targets, with their frames and speakers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..clips import Clip
from ..ends import FrameConditioning
from ..upsampling import continued, has_padding

IGNORED = -100  # the target that cross_entropy ignores


class Batch(NamedTuple):
    """Windows of one length T, with their frames and speakers if the network has them.

    inputs, targets  int64 (B, T); targets that do not count are IGNORED
    frames           float16 or float32 (B, C, F), from the frame of input 0 on (of target 0 if
                     a start code is fed), or with upsampling from an earlier one; None: none
    at               the number, from the first frame's begin, of the sample that target 0 is
    speakers         int64 (B,), indices; None: none
    sounds           int64 (B, 2), the places of the clips' first frames in `frames`, and of those
                     behind their last, where upsampling has padding; None: none
    """

    inputs: np.ndarray
    targets: np.ndarray
    frames: np.ndarray | None = None
    at: int = 1
    speakers: np.ndarray | None = None
    sounds: np.ndarray | None = None


class Windows:
    """Cuts clips into network inputs (T,) int64 and targets (T,) int64, T = context + fresh.

    A target counts only if the window holds its whole receptive field.  The past of a clip's first
    sample is the model's own padding, so that all targets of a window at a beginning count.  Inside
    a clip the first `context` inputs serve as context only: their targets are IGNORED, as are
    targets beyond the clip's end.  T is shorter if no clip is that long.

    The frames of a window last to one behind its last target, towards which the features are
    interpolated; after a clip's last frame that frame is repeated, which holds its features.
    With upsampling, a window has all further frames on both sides that affect its features.

    end: the network's conditioning, if it has frames
    seed: of the order of `batch`
    start: the start code, if it is fed as a sample of its own: then input 0 of a clip is this code,
    and its target is sample 0
    """

    def __init__(
        self,
        clips: list[Clip],
        context: int,
        fresh: int,
        end: FrameConditioning | None = None,
        seed: int = 0,
        start: int | None = None,
    ):
        self.clips = clips
        self.start = start
        self.context = context
        self.fresh = fresh
        self.lengths = [len(clip.codes) + (start is not None) for clip in clips]
        self.length = min(context + fresh, max(self.lengths) - 1)
        self.hop = clips[0].hop
        self.order = PassOrder(self.lengths, self.length, fresh, self.hop, seed)
        self.before, after = (0, 1) if end is None else end.reach
        self.edges = "held" if end is None else end.edges
        self.padded = end is not None and has_padding(end.upsampling)
        own = (self.hop + self.length - 1) // self.hop + 1  # for any start
        self.frame_count = self.before + own + max(after, 1)

    def cut(self, clip: int, start: int) -> tuple[np.ndarray, np.ndarray]:
        """The window whose first input is number `start` of a clip's."""
        codes = self._codes(clip, start, start + self.length + 1)
        n = len(codes) - 1
        inputs = np.zeros(self.length, np.int64)
        targets = np.full(self.length, IGNORED, np.int64)
        inputs[:n] = codes[:-1]
        known = self.context if start else 0
        targets[known:n] = codes[known + 1 :]
        return inputs, targets

    def _codes(self, clip: int, first: int, end: int) -> np.ndarray:
        """Numbers first .. end - 1 of a clip's inputs."""
        codes = self.clips[clip].codes
        if self.start is None:
            return codes[first:end]
        known = codes[max(first - 1, 0) : end - 1]
        return known if first else np.concatenate([[self.start], known])

    def cut_frames(self, clip: int, start: int) -> np.ndarray | None:
        """(C, F): the frames of the window whose first input is number `start`."""
        frames = self.clips[clip].frames
        if frames is None:
            return None
        first = start // self.hop - self.before
        return continued(frames, np.arange(first, first + self.frame_count), self.edges).T

    def batch(self, number: int, size: int) -> Batch:
        """Batch `number` of `size` windows, in the order of passes over all audio."""
        return self._stack([self.order.place(number * size + i) for i in range(size)])

    def tiles(self, most: int) -> Iterator[Batch]:
        """Batches of one that together count every target once; at most `most`, evenly spaced."""
        places = []
        for number, length in enumerate(self.lengths):
            end = max(length - 1 - self.context, 1)
            places += [(number, start) for start in range(0, end, self.fresh)]
        for place in places[:: -(-len(places) // most)]:
            yield self._stack([place])

    def _stack(self, places: list[tuple[int, int]]) -> Batch:
        """The windows at these clips and starts, which are as far behind a frame's begin."""
        inputs, targets = zip(*(self.cut(*place) for place in places), strict=True)
        batch = Batch(np.stack(inputs), np.stack(targets))
        speakers = [s for clip, _ in places if (s := self.clips[clip].speaker) is not None]
        if speakers:
            batch = batch._replace(speakers=np.array(speakers, np.int64))
        frames = [f for place in places if (f := self.cut_frames(*place)) is not None]
        if not frames:
            return batch
        at = self.before * self.hop + places[0][1] % self.hop + (self.start is None)
        sounds = np.array([self._sound(*place) for place in places]) if self.padded else None
        return batch._replace(frames=np.stack(frames), at=at, sounds=sounds)

    def _sound(self, clip: int, start: int) -> tuple[int, int]:
        """The place of a clip's frames in those of the window whose first input is `start`."""
        frames = self.clips[clip].frames
        first = self.before - start // self.hop
        return first, first + (0 if frames is None else len(frames))


class PassOrder:
    """Windows in passes over all audio: each pass has every target, in an order of its own.

    A clip's windows lie `fresh` samples apart.  Its last one ends with the clip, so that it may
    repeat targets of the one before.  With frames each window begins with a frame, so that all have
    the same `at`; of windows shorter than a frame, a pass has one for each frame.

    lengths  samples of the clips
    length   inputs of a window
    ends     number of windows in all clips up to each
    """

    def __init__(self, lengths: list[int], length: int, fresh: int, hop: int, seed: int):
        self.apart, self.seed = max(fresh - fresh % hop, hop), seed
        samples, context = np.array(lengths), length - fresh
        last = -(-(samples - 1 - length) // hop) * hop  # ends with the clip, or within a frame
        most = (samples - 2 - context) // hop * hop  # has a target
        self.last = np.maximum(np.minimum(last, most), 0)  # start of each clip's last window
        self.ends = np.cumsum(-(-self.last // self.apart) + 1)
        self._pass, self._numbers = -1, np.zeros(0, np.int64)

    def place(self, number: int) -> tuple[int, int]:
        """The clip and the start of window `number`, counted over all passes."""
        count = int(self.ends[-1])
        if self._pass != number // count:
            self._pass = number // count
            rng = np.random.default_rng([self.seed, self._pass])
            self._numbers = rng.permutation(count)
        chosen = int(self._numbers[number % count])
        clip = int(np.searchsorted(self.ends, chosen, side="right"))
        own = chosen - (int(self.ends[clip - 1]) if clip else 0)
        return clip, min(own * self.apart, int(self.last[clip]))


def with_wrong_frames(batches: list[Batch]) -> list[Batch]:
    """Batches with frames, each with those of the batch half of all batches away.

    A single batch has its own, shifted by half of their number.
    """
    half = len(batches) // 2
    if not half:
        return [batch._replace(frames=_shifted(batch.frames)) for batch in batches]
    return [batch._replace(frames=batches[i - half].frames) for i, batch in enumerate(batches)]


def with_wrong_speakers(batches: list[Batch], count: int) -> list[Batch]:
    """Batches with speakers, each with the next one of `count` speakers in its place."""
    return [
        batch if batch.speakers is None else batch._replace(speakers=(batch.speakers + 1) % count)
        for batch in batches
    ]


def _shifted(frames: np.ndarray | None) -> np.ndarray | None:
    return None if frames is None else np.roll(frames, frames.shape[2] // 2, axis=2)
