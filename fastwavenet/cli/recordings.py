"""Recordings to score: those of a folder that can be used, or the one that is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..audio import AudioError, find_audio, read_audio
from .report import Report


def read_recordings(
    source: Path, sample_rate: int, convert: bool, report: Report
) -> Iterator[tuple[Path, np.ndarray]]:
    """Each usable file and its audio, float32 (n,), n > 1; says which ones are skipped.

    Raises AudioError or OSError if the source is a file that cannot be used, AudioError if none
    in a folder can.
    """
    found = False
    for file in find_audio(source):
        try:
            audio, _ = read_audio(file, sample_rate, convert)
            if len(audio) < 2:
                raise AudioError(f"{file}: has 1 sample, expected at least 2: nothing to predict")
        except (AudioError, OSError) as error:
            if file == source:
                raise
            report.warn(f"skipped {error}")
            continue
        found = True
        yield file, audio
    if not found:
        raise AudioError(f"{source}: expected audio files of {sample_rate} Hz, found none")
