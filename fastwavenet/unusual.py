"""Listening for the unusual: surprise per frame, thresholds of normal recordings, segments above.

The nats of a frame follow its sound: a hissing consonant costs more than a vowel, silence costs
almost nothing, and the model knows so beforehand.  The excess over the nats that it expects, the
entropies of its predictions, is 0 on average for any sound that is as the model has learnt it.

Frame f of a recording has its samples [f hop, (f + 1) hop); the last frame has the samples behind
the last whole one too, so that no frame has fewer than hop of them, unless the recording has.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .arrays import refuse_masked
from .checks import integer, whole, within
from .instruction_sets import isa as resolve_isa
from .model import Model, check_model
from .samples import check_rate, to_codes
from .scoring import Scores, scores_in_stretches
from .session import MAX_SAMPLES, Progress
from .spec import WaveNetSpec
from .types import Audio, Isa, Speaker

QUANTILE = 0.999
MAX_SMOOTH = 999


@dataclass(frozen=True, eq=False)
class Surprise:
    """The frames of a recording under a model.

    nats      float32 (frames,), per sample: the mean of `score`
    expected  float32 (frames,), per sample: the mean entropy of the predictions, to which the nats
              of the model's own samples come on average
    """

    nats: Audio
    expected: Audio

    @property
    def excess(self) -> Audio:
        """nats - expected, float32 (frames,): the measure that finds most."""
        return self.nats - self.expected


def surprise(
    model: Model,
    audio: npt.ArrayLike,
    hop: int,
    *,
    smooth: int = 1,
    sample_rate: int | None = None,
    frames: npt.ArrayLike | None = None,
    speaker: Speaker | None = None,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Surprise:
    """Nats per sample of each frame of a recording, and those that the model expects.

    audio: (n,), audio or codes.  hop: samples of a frame, at least 2.  There are n // hop frames,
    but at least 1; frame f begins at sample f * hop, and the last one ends with the recording.  The
    first sample has no prediction, and counts in no mean, unless the model's start code is fed as a
    sample of its own; without a predicted sample there are no frames.
    smooth: odd number of frames, at most 999, whose samples' mean each frame gets, itself in the
    middle; at the ends, of those that there are.
    Other arguments as in `score`.  isa and threads do not change the nats; numpy computes the
    entropies, and may round them otherwise on another processor.
    Raises ValueError for numbers out of bounds, for audio of another rate or that is not finite,
    and for frames that do not fit; TypeError for other types.
    """
    spec = check_model(model).spec
    check_rate(sample_rate, spec.sample_rate)
    hop, smooth = integer("hop", hop, 2, MAX_SAMPLES), check_smooth(smooth)
    isa = resolve_isa(isa)
    stretches = scores_in_stretches(
        model,
        to_codes(audio, spec, isa).codes[0],
        frames=frames,
        speaker=speaker,
        isa=isa,
        threads=threads,
        progress=progress,
        expected=True,
    )
    sums = SurpriseSums(spec, hop)
    for scores in stretches:
        sums.add(scores)
    return sums.finish(smooth)


def surprise_threshold(
    normal: npt.NDArray[np.floating] | Iterable[npt.ArrayLike], quantile: float = QUANTILE
) -> float:
    """The lowest number that a share `quantile` of the frames of normal recordings do not exceed.

    So at most a share 1 - quantile of these frames is above.
    normal: `surprise(...).excess` or `.nats` of a recording, (frames,), or of several, with the hop
    and smoothing of the recordings to compare.  quantile: from 0 to 1, the maximum.
    Raises ValueError without a frame, for NaN or infinity, and for a quantile out of bounds;
    TypeError for other types.
    """
    quantile = within("quantile", quantile, 0, 1, wrong_type=TypeError)
    if isinstance(normal, np.ndarray) and normal.ndim == 1:
        normal = [normal]
    each: Iterable[npt.ArrayLike] = normal
    pooled = np.concatenate([np.empty(0), *(_checked("normal", nats) for nats in each)])
    if not len(pooled):
        raise ValueError("normal must hold at least a frame, not none")
    return float(np.quantile(pooled, quantile, method="inverted_cdf"))


def surprise_segments(nats: npt.ArrayLike, threshold: float) -> npt.NDArray[np.int64]:
    """The runs of frames above a threshold: int64 (segments, 2), in order.

    A row is the number of a run's first frame, and of the one behind its last.
    nats: (frames,), as those of `surprise_threshold`.
    Raises ValueError for NaN or infinity, TypeError for other types than numbers.
    """
    threshold = check_threshold(threshold)
    above = _checked("nats", nats) > threshold
    edges = np.flatnonzero(np.diff(above, prepend=False, append=False))
    return edges.reshape(-1, 2).astype(np.int64)


def check_smooth(smooth: int) -> int:
    """Raises ValueError for an even number or one out of bounds, TypeError for no integer."""
    expected = f"an odd whole number of frames from 1 to {MAX_SMOOTH}"
    smooth = whole("smooth", smooth, 1, MAX_SMOOTH, expected=expected, wrong_type=TypeError)
    if smooth % 2 == 0:
        raise ValueError(f"smooth must be {expected}, not {smooth}")
    return smooth


def check_threshold(threshold: float) -> float:
    """Raises ValueError for NaN or infinity, TypeError for no number."""
    most = sys.float_info.max
    return within(
        "threshold", threshold, -most, most, expected="a finite number", wrong_type=TypeError
    )


def _checked(name: str, nats: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Frames (frames,) as float64.  Raises ValueError or TypeError."""
    refuse_masked(nats, name)
    array = np.asarray(nats)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be numbers, not {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (frames,), not {array.shape}")
    finite = np.isfinite(array)
    if not finite.all():
        i = int(np.argmin(finite))
        raise ValueError(f"{name} must be finite: {array[i]} at index {i}")
    return array.astype(np.float64)


# ---- frames ------------------------------------------------------------------------------------


class SurpriseSums:
    """The frames of a recording whose scores arrive in pieces; the pieces change no bit."""

    def __init__(self, spec: WaveNetSpec, hop: int):
        self.nats, self.expected = FrameSums(spec, hop), FrameSums(spec, hop)

    def add(self, scores: Scores) -> None:
        """scores: of the next samples, with entropies."""
        self.nats.add(scores.nats)
        if scores.expected is not None:
            self.expected.add(scores.expected)

    def finish(self, smooth: int) -> Surprise:
        return Surprise(self.nats.finish(smooth), self.expected.finish(smooth))


class FrameSums:
    """Sums over the frames of numbers that arrive in pieces.

    hop      samples of a frame
    at       samples without prediction, 0 or 1, at the begin
    pending  numbers of samples that are in no sum yet: a frame at least is kept for the last one
    waiting  samples of them
    samples  of the recording up to here
    sums     float64 (frames,) of whole frames
    """

    def __init__(self, spec: WaveNetSpec, hop: int):
        self.hop, self.at = hop, int(not spec.start.fed)
        self.pending: list[np.ndarray] = [np.zeros(self.at)]
        self.waiting = self.samples = self.at
        self.sums: list[npt.NDArray[np.float64]] = []

    def add(self, numbers: np.ndarray) -> None:
        """numbers: (n,), of the next n samples."""
        self.pending.append(numbers)
        self.waiting += len(numbers)
        self.samples += len(numbers)
        whole_frames = self.waiting // self.hop - 1
        if whole_frames > 0:
            self._sum(whole_frames)

    def _sum(self, whole_frames: int) -> None:
        waiting = np.concatenate(self.pending).astype(np.float64)
        now, rest = np.split(waiting, [whole_frames * self.hop])
        self.sums.append(now.reshape(whole_frames, self.hop).sum(axis=1))
        self.pending, self.waiting = [rest.copy()], len(rest)

    def finish(self, smooth: int) -> Audio:
        """The means of each frame and its neighbours, `smooth` in all: float32 (frames,)."""
        if self.samples == self.at:
            return np.empty(0, np.float32)
        rest = np.concatenate(self.pending).astype(np.float64)
        sums = np.concatenate([*self.sums, rest.sum(keepdims=True)])
        counts = np.full(len(sums), self.hop)
        counts[-1] = self.samples - (len(sums) - 1) * self.hop
        counts[0] -= self.at
        means = _window_sums(sums, smooth) / _window_sums(counts, smooth)
        return means.astype(np.float32)


def _window_sums(values: np.ndarray, smooth: int) -> np.ndarray:
    """Sums of `smooth` neighbours, added in their order: they depend on nothing else."""
    padded = np.pad(values, smooth // 2)
    total = np.zeros_like(values)
    for first in range(smooth):
        total += padded[first : first + len(values)]
    return total
