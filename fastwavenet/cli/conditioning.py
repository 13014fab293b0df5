"""Frames and speakers as the command line names them."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..atomic import without_waiting
from ..session import check_frames_array, frames_of, speaker_rows
from ..shown import shown
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


def read_frames(file: Path, spec: WaveNetSpec) -> Audio:
    """The frames float32 (frames, channels) of a .npy file.  Raises ValueError naming the file."""
    _check_takes_frames(spec)
    try:
        with open(file, "rb", opener=without_waiting) as npy:
            _check_header(npy, spec)
            npy.seek(0)
            array = np.lib.format.read_array(npy)  # numpy.load could load a pickle
        return frames_of(spec, array, 1, array.shape[1])[0]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{shown(file)}: {error}") from None


def count_frames(file: Path, spec: WaveNetSpec) -> int:
    """The number of frames in a .npy file, by its header.  Raises ValueError naming the file."""
    _check_takes_frames(spec)
    try:
        with open(file, "rb", opener=without_waiting) as npy:
            return _check_header(npy, spec)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{shown(file)}: {error}") from None


def _check_takes_frames(spec: WaveNetSpec) -> None:
    if not takes_frames(spec):
        raise ValueError("the model takes no frames")


def _check_header(npy: BinaryIO, spec: WaveNetSpec) -> int:
    """Raises ValueError or TypeError unless the array can be frames; their number."""
    status = os.fstat(npy.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is a pipe or a device, expected a file")
    version = np.lib.format.read_magic(npy)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(npy)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(npy)
    else:
        raise ValueError(f"expected a .npy file of version 1.0 or 2.0, found {version}")
    if len(shape) != 2 or dtype.kind not in "fiu":
        raise ValueError(
            f"expected an array of real numbers (frames, channels), found {dtype} {shape}"
        )
    predicted_from = spec.conditioning and spec.conditioning.predicted_from
    check_frames_array(spec, shape, dtype, 1, shape[1] if shape[1] == predicted_from else None)
    found, expected = status.st_size - npy.tell(), math.prod(shape) * dtype.itemsize
    if found < expected:
        raise ValueError(f"is cut off: {found} bytes of numbers, expected {expected}")
    if not shape[0]:
        raise ValueError("holds no frames")
    return int(shape[0])
