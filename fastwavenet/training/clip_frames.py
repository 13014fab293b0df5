"""The frames of a clip: their type, their number, and frames from a file beside the recording."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from ..audio_source import AudioError
from ..clips import FEWEST
from ..frame_files import compact, opened_frames
from ..shown import shown

TOLERANCE = 1  # frames: other front ends pad their audio, or drop its end


class FrameSource(Protocol):
    """The frames of a recording, which is read block by block."""

    def feed(self, block: np.ndarray) -> None:
        """Takes the next samples, float32 (n,)."""

    def finish(self) -> np.ndarray:
        """All frames (frames, channels), of any real type."""


class GivenFrames:
    """A `FrameSource` that does not depend on the samples."""

    def __init__(self, frames: np.ndarray):
        self.frames = frames

    def feed(self, block: np.ndarray) -> None:
        """Does nothing."""

    def finish(self) -> np.ndarray:
        """All frames."""
        return self.frames


class SavedFrames:
    """The frames of the recordings that are read from files.

    files     recording -> file of its frames
    channels  that each file must have
    """

    def __init__(self, files: dict[Path, Path], channels: int):
        self.files, self.channels = files, channels
        self.first: Path | None = None

    def read(self, recording: Path) -> np.ndarray:
        """float16 or float32 (frames, channels).

        Raises AudioError for a file that cannot be used, ValueError for another number of channels,
        which is a mistake of all files.
        """
        file = self.files[recording]
        if not file.exists():
            raise AudioError(_missing(file, recording))
        try:
            with opened_frames(file) as opened:
                frames = compact(opened.read())
        except ValueError as error:
            raise AudioError(str(error)) from None
        self._check_channels(file, frames.shape)
        self.first = self.first or file
        return frames

    def _check_channels(self, file: Path, shape: tuple[int, ...]) -> None:
        if shape[1] != self.channels:
            like = f", as {shown(self.first)} has" if self.first else ""
            turned = ": transposed?" if shape[0] == self.channels else ""
            raise ValueError(
                f"{shown(file)}: expected frames of {self.channels} channels{like}, "
                f"found shape {shape}{turned}"
            )


def channels_of(files: dict[Path, Path]) -> int:
    """The channels of the first file of frames whose header can be read.

    files: recording -> file.  Raises ValueError naming the first one if there is none.
    """
    first = ""
    for recording, file in files.items():
        try:
            with opened_frames(file) as frames:
                return frames.shape[1]
        except FileNotFoundError:
            first = first or _missing(file, recording)
        except (ValueError, OSError) as error:
            first = first or str(error)
    raise ValueError(f"none of {len(files)} files of frames can be used, the first: {first}")


def _missing(file: Path, recording: Path) -> str:
    return f"{shown(file)}: no such file, expected the frames of {shown(recording)}"


def count_frames(recording: Path, samples: int, frames: np.ndarray, hop: int) -> int:
    """The number of frames to use, for the whole spans of hop samples in a recording.

    One frame more is dropped; with one frame fewer the audio ends with the last frame.
    Raises AudioError for any other number, and for less than FEWEST.
    """
    whole, given = samples // hop, len(frames)
    if abs(given - whole) <= TOLERANCE and given >= FEWEST:
        return min(whole, given)
    raise AudioError(
        f"{shown(recording)}: has {samples} samples, {whole} frames with hop {hop}, but its file "
        f"of frames holds {given}{_hint(samples, frames.shape, hop)}"
    )


def _hint(samples: int, shape: tuple[int, ...], hop: int) -> str:
    """The likely mistake, for the message about a wrong number of frames."""
    given, channels = shape
    if abs(channels - samples // hop) <= TOLERANCE:
        return ": transposed?"
    other = round(samples / max(given, 1))
    fits = 0 < other != hop and abs(samples // other - given) <= TOLERANCE
    return f"; a hop of {other} would give as many" if fits else ""
