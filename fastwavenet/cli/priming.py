"""The recording that `generate --prime` continues, and its frames."""

from __future__ import annotations

import argparse

import numpy as np

from ..generator import Generator
from ..shown import shown
from ..types import Audio
from .recordings import CodedRecording, read_recording
from .report import Report


def prime(
    voices: Generator, frames: Audio | None, arguments: argparse.Namespace, report: Report
) -> Audio | None:
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
        return None
    codes = _whole(known, end.hop)
    count = len(codes) // end.hop
    behind = frames if own is None else frames[count:]
    if not len(behind):
        raise ValueError(f"all frames of {shown(arguments.frames)} belong to --prime: none is left")
    if left_out := known.left_out + len(known.codes) - len(codes):
        file = shown(known.file)
        report.warn(f"{file}: {left_out} samples behind its last whole frame are left out")
    of_prime = [known.frames[:count], behind[:1]]  # with the next one, for linear interpolation
    voices.prime(codes, frames=np.concatenate(of_prime))
    return behind


def _whole(known: CodedRecording, hop: int) -> np.ndarray:
    """The codes of a recording's whole frames.  Raises ValueError if it has none."""
    codes = known.codes[: len(known.codes) - len(known.codes) % hop]
    if not len(codes):
        found = len(known.codes) + known.left_out
        raise ValueError(
            f"{shown(known.file)}: has {found} samples, expected at least a frame of {hop}"
        )
    return codes
