"""Recordings to score or continue: their codes, and frames where the model has frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..audio_finding import READ_SUFFIXES, Found, search_audio
from ..audio_reading import read_codes
from ..audio_source import AudioError
from ..recording_frames import FrameReader
from ..shown import shown
from ..spec import WaveNetSpec
from ..types import Audio
from .conditioning import read_frames, takes_frames
from .report import Report
from .shards import WHOLE, Shard


class CodedRecording(NamedTuple):
    """A file as a model takes it.

    codes     (n,), mu-law
    frames    float32 (frames, channels), which cover all of them; None for a model without frames
    left_out  samples of the file behind the last whole frame, which have no code here
    """

    file: Path
    codes: np.ndarray
    frames: Audio | None
    left_out: int


def search_recordings(sources: list[Path], shard: Shard = WHOLE) -> list[Found]:
    """The search of each source, with those of its files that are in the shard of all files."""
    searches = [search_audio(source) for source in sources]
    each = [(n, file) for n, search in enumerate(searches) for file in search.files]
    own = shard.of(each)
    return [
        dataclasses.replace(search, files=[file for number, file in own if number == n])
        for n, search in enumerate(searches)
    ]


def read_recordings(
    search: Found,
    spec: WaveNetSpec,
    convert: bool,
    report: Report,
    frames: Audio | None = None,
    none_is_wrong: bool = True,
) -> Iterator[CodedRecording]:
    """Each usable file, of at least 2 samples; warns of those that are skipped.

    frames: as `frames_of_recordings` returns them.
    Raises AudioError or OSError if the source is a file that cannot be used, AudioError if none
    in a folder can, unless another shard may have such files (`none_is_wrong` is false).
    """
    found = False
    for line in search.remarks():
        report.warn(line)
    for file in search.files:
        try:
            recording = read_recording(file, spec, convert, report, frames)
            _check_length(recording)
        except (AudioError, OSError) as error:
            if file == search.root:
                raise
            report.warn(f"skipped {error}")
            continue
        found = True
        yield recording
    if none_is_wrong and not found:
        raise AudioError(
            f"{shown(search.root)}: expected audio files ({' '.join(READ_SUFFIXES)}) "
            f"of {spec.sample_rate} Hz, found {search.unusable()}"
        )


def frames_of_recordings(
    file: Path | None, spec: WaveNetSpec, sources: list[Path], *, without_pitch: bool = False
) -> Audio | None:
    """The frames that --frames names; None: the mel frames of each recording, or no frames.

    without_pitch: as in `read_frames`.
    Raises ValueError if the model takes others, or if there is more than one recording.
    """
    end = spec.conditioning
    if file is None:
        if end is not None and takes_frames(spec) and end.mel is None:
            raise ValueError(
                "the model's frames are no mel frames of recordings: give a recording's with "
                "--frames"
            )
        return None
    if len(sources) > 1 or sources[0].is_dir():
        found = "a folder" if len(sources) == 1 else f"{len(sources)} sources"
        raise ValueError(f"--frames {shown(file)} belongs to one recording, found {found}")
    return read_frames(file, spec, without_pitch=without_pitch)


def read_recording(
    file: Path, spec: WaveNetSpec, convert: bool, report: Report, frames: Audio | None = None
) -> CodedRecording:
    """A file of any length; warns of an odd header.

    frames: of its samples; None: its mel frames, if the model takes those.
    Raises AudioError if a frame or more is missing for its samples.
    """
    end = spec.conditioning
    reader = FrameReader(end) if frames is None and end is not None and end.mel else None
    watch = None if reader is None else reader.feed
    codes, _, remarks = read_codes(file, spec, convert, watch)
    for line in remarks:
        report.warn(line)
    if reader is not None:
        frames = reader.finish()
    if frames is None or end is None:
        return CodedRecording(file, codes, None, 0)
    n = min(len(codes), len(frames) * end.hop)
    if len(codes) - n >= end.hop:
        raise AudioError(
            f"{shown(file)}: {len(codes)} samples with hop {end.hop} need at least "
            f"{len(codes) // end.hop} frames, not {len(frames)}"
        )
    return CodedRecording(file, codes[:n], frames, len(codes) - n)


def _check_length(recording: CodedRecording) -> None:
    n, left_out = len(recording.codes), recording.left_out
    if n < 2:
        of_frames = f", {left_out} behind the last whole frame" if left_out else ""
        raise AudioError(
            f"{shown(recording.file)}: has {n} sample{'s' * (n != 1)}{of_frames}, expected at "
            f"least 2: nothing to predict"
        )
