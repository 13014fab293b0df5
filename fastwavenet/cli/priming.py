"""The recording that `generate --prime` continues, and its frames."""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

from ..frame_conditioning import FrameConditioning
from ..generator import Generator
from ..shown import shown
from ..types import Audio
from .recordings import CodedRecording, read_recording
from .report import Report


class GivenFrames(NamedTuple):
    """The frames of a sound, (frames, channels), after `before` ones that only affect it.

    None for a model without frames.
    """

    values: Audio | None = None
    before: int = 0

    @property
    def sound(self) -> Audio | None:
        """The frames of the sound itself."""
        return None if self.values is None else self.values[self.before :]

    def of_samples(self, end: FrameConditioning, start: int, n: int) -> tuple[Audio, int]:
        """The frames that samples start .. start + n - 1 depend on, and the first sample's place
        in them.
        """
        assert self.values is not None
        first, last = (self.before + sample // end.hop for sample in (start, start + n - 1))
        begin = max(first - end.reach[0], 0)
        return self.values[begin : last + 1 + end.reach[1]], start + (self.before - begin) * end.hop


def prime(
    voices: Generator, frames: Audio | None, arguments: argparse.Namespace, report: Report
) -> GivenFrames:
    """Primes with --prime; returns the frames of the sound behind it.

    frames: those of --frames; None for a model without frames.
    A model of mel frames takes those of the recording itself.  Of other frames the first ones are
    the recording's.  Samples behind its last whole frame are left out, and said.
    """
    spec, end = voices.model.spec, voices.model.spec.conditioning
    own = None if end is not None and end.mel is not None else frames
    known = read_recording(arguments.prime, spec, arguments.convert, report, own)
    if frames is None or known.frames is None or end is None:
        voices.prime(known.codes)
        return GivenFrames()
    codes = _whole(known, end.hop)
    count = len(codes) // end.hop
    behind = frames if own is None else frames[count:]
    if not len(behind):
        raise ValueError(f"all frames of {shown(arguments.frames)} belong to --prime: none is left")
    if left_out := known.left_out + len(known.codes) - len(codes):
        file = shown(known.file)
        report.warn(f"{file}: {left_out} samples behind its last whole frame are left out")
    before, after = end.reach
    of_prime = known.frames[:count]
    voices.prime(codes, frames=np.concatenate([of_prime, behind[: max(after, 1)]]))
    context = of_prime[max(count - before, 0) :]
    return GivenFrames(np.concatenate([context, behind]), len(context))


def _whole(known: CodedRecording, hop: int) -> np.ndarray:
    """The codes of a recording's whole frames.  Raises ValueError if it has none."""
    codes = known.codes[: len(known.codes) - len(known.codes) % hop]
    if not len(codes):
        found = len(known.codes) + known.left_out
        raise ValueError(
            f"{shown(known.file)}: has {found} samples, expected at least a frame of {hop}"
        )
    return codes
