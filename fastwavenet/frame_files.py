"""Frames of features: .npy files, and the type in which the frames of a recording are kept."""

from __future__ import annotations

import contextlib
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .atomic import without_waiting
from .shown import shown

SUFFIX = ".npy"
SMALLEST, LARGEST = (float(x) for x in (np.finfo(np.float16).tiny, np.finfo(np.float16).max))


class FramesFile:
    """An opened file of real numbers (frames, channels), whose header was checked."""

    def __init__(self, npy: BinaryIO):
        """Raises ValueError for another content, a pickled or structured one among them."""
        self.npy = npy
        status = os.fstat(npy.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is a pipe or a device, expected a file")
        version = np.lib.format.read_magic(npy)
        if version == (1, 0):
            self.shape, _, self.dtype = np.lib.format.read_array_header_1_0(npy)
        elif version == (2, 0):
            self.shape, _, self.dtype = np.lib.format.read_array_header_2_0(npy)
        else:
            raise ValueError(f"expected a .npy file of version 1.0 or 2.0, found {version}")
        if len(self.shape) != 2 or self.dtype.kind not in "fiu":
            raise ValueError(
                f"expected an array of real numbers (frames, channels), "
                f"found {self.dtype} {self.shape}"
            )
        found = status.st_size - npy.tell()
        expected = math.prod(self.shape) * self.dtype.itemsize
        if found < expected:
            raise ValueError(f"is cut off: {found} bytes of numbers, expected {expected}")

    def read(self) -> np.ndarray:
        """The numbers (frames, channels), of the file's type."""
        self.npy.seek(0)
        return np.lib.format.read_array(self.npy)  # numpy.load could load a pickle


@contextlib.contextmanager
def opened_frames(file: Path) -> Iterator[FramesFile]:
    """A file of frames, to be checked and read in the context.

    Raises OSError if it cannot be read, ValueError naming the file for another content, and for any
    other error in the context.
    """
    with open(file, "rb", opener=without_waiting) as npy:
        try:
            yield FramesFile(npy)
        except OSError:
            raise
        except Exception as error:  # numpy's parsing of a damaged header has no list of them
            reason = " ".join(str(error).split())
            raise ValueError(f"{shown(file)}: {reason}") from None


def compact(frames: np.ndarray) -> np.ndarray:
    """Frames as float16 if their largest magnitude is a normal number of it, or 0; else float32.

    Raises ValueError if a number is NaN, infinite or beyond float32.
    """
    if frames.dtype.kind == "f" and not np.isfinite(frames).all():
        raise ValueError("frames must be finite, but hold NaN or infinity")
    with np.errstate(over="ignore"):
        exact = frames.astype(np.float32)
    most = float(np.abs(exact).max(initial=0))
    if most == np.inf:
        raise ValueError("frames hold numbers beyond float32: scale them")
    fits = most == 0 or SMALLEST <= most <= LARGEST
    return exact.astype(np.float16) if fits else exact
