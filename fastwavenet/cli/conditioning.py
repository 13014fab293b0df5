"""Frames and speakers as the command line names them."""

from __future__ import annotations

from pathlib import Path

from ..frame_files import FramesFile, opened_frames
from ..session import check_frames_array, frames_of, speaker_rows
from ..spec import WaveNetSpec
from ..types import Audio
from .arguments import AddOption, path


def add_speaker(option: AddOption) -> None:
    option("--speaker", metavar="NAME", help="name or number, for a model with speakers")


def add_frames(option: AddOption, description: str) -> None:
    option("--frames", type=path, metavar="FILE.npy", help=description)


def speaker_of(spec: WaveNetSpec, text: str | None) -> int | None:
    """The index of a speaker that is given by name or number; None for a model without speakers.

    Raises ValueError for one that is unknown, missing or not called for.
    """
    names = () if spec.conditioning is None else spec.conditioning.speakers
    numbered = text is not None and text.isdecimal() and text not in names
    rows = speaker_rows(spec, int(text) if text is not None and numbered else text, None)
    return None if rows is None else int(rows[0])


def takes_frames(spec: WaveNetSpec) -> bool:
    return spec.conditioning is not None and spec.conditioning.channels > 0


# ---- files of frames -----------------------------------------------------------------------------


def read_frames(file: Path, spec: WaveNetSpec, *, without_pitch: bool = False) -> Audio:
    """The frames float32 (frames, channels) of a .npy file.

    without_pitch: whether they may be mel frames alone if pitch is predicted from these.
    Raises ValueError naming the file.
    """
    _check_takes_frames(spec)
    with opened_frames(file) as frames:
        _check(frames, spec, without_pitch)
        return frames_of(spec, frames.read(), 1, frames.shape[1])[0]


def count_frames(file: Path, spec: WaveNetSpec) -> int:
    """The number of frames to vocode in a .npy file, by its header.

    Raises ValueError naming the file.
    """
    _check_takes_frames(spec)
    with opened_frames(file) as frames:
        return _check(frames, spec, without_pitch=True)


def _check_takes_frames(spec: WaveNetSpec) -> None:
    if not takes_frames(spec):
        raise ValueError("the model takes no frames")


def _check(frames: FramesFile, spec: WaveNetSpec, without_pitch: bool) -> int:
    """Raises ValueError or TypeError unless the array can be frames; their number."""
    end, channels = spec.conditioning, None
    if end is not None and without_pitch:
        channels = end.channels_given(frames.shape)
    check_frames_array(spec, frames.shape, frames.dtype, 1, channels)
    if not frames.shape[0]:
        raise ValueError("holds no frames, expected at least one")
    return frames.shape[0]
