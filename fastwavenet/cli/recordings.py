"""Recordings to score: those of a folder that can be used, or the one that is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..audio_finding import READ_SUFFIXES, search_audio
from ..audio_reading import read_codes
from ..audio_source import AudioError
from ..shown import shown
from ..spec import WaveNetSpec
from .report import Report


def read_recordings(
    source: Path, spec: WaveNetSpec, convert: bool, report: Report
) -> Iterator[tuple[Path, np.ndarray]]:
    """Each usable file and its mu-law codes (n,), n > 1; warns of those that are skipped.

    Raises AudioError or OSError if the source is a file that cannot be used, AudioError if none
    in a folder can.
    """
    search, found = search_audio(source), False
    for line in search.remarks():
        report.warn(line)
    for file in search.files:
        try:
            codes = _read(file, spec, convert, report)
        except (AudioError, OSError) as error:
            if file == source:
                raise
            report.warn(f"skipped {error}")
            continue
        found = True
        yield file, codes
    if not found:
        raise AudioError(
            f"{shown(source)}: expected audio files ({' '.join(READ_SUFFIXES)}) "
            f"of {spec.sample_rate} Hz, found {search.unusable()}"
        )


def _read(file: Path, spec: WaveNetSpec, convert: bool, report: Report) -> np.ndarray:
    codes = read_prime(file, spec, convert, report)
    if len(codes) < 2:
        raise AudioError(f"{shown(file)}: has 1 sample, expected at least 2: nothing to predict")
    return codes


def read_prime(file: Path, spec: WaveNetSpec, convert: bool, report: Report) -> np.ndarray:
    """A file's mu-law codes (n,), n > 0; warns of an odd header."""
    codes, _, remarks = read_codes(file, spec, convert)
    for line in remarks:
        report.warn(line)
    return codes
