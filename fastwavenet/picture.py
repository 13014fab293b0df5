"""PNG pictures of spectrograms by numpy and zlib alone."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

from .plots import FLOOR_DB, spectrogram_db
from .types import Audio

TOP_DB = -20.0
COLUMNS, ROWS = 480, 128  # of a picture, at most
SHADES = 64
# Colours of matplotlib's magma at equal distances, from dark to bright.
MAGMA = (0x000004, 0x1D1147, 0x51127C, 0x832681, 0xB73779, 0xE75263, 0xFC8961, 0xFEC488, 0xFCFDBF)

Pixels = npt.NDArray[np.uint8]


def spectrogram_pixels(audio: Audio, sample_rate: int) -> Pixels:
    """Shades 0 to SHADES - 1 of FLOOR_DB to TOP_DB: (rows, columns), low frequencies at the bottom.

    audio: float (n,)
    """
    levels = spectrogram_db(audio, sample_rate)
    levels = _reduced(_reduced(levels, ROWS).T, COLUMNS).T
    shades = (levels - FLOOR_DB) / (TOP_DB - FLOOR_DB) * (SHADES - 1)
    return np.rint(shades.clip(0, SHADES - 1)).astype(np.uint8)[::-1]


def _reduced(array: np.ndarray, most: int) -> np.ndarray:
    """Means of neighbouring rows, so that at most `most` are left."""
    starts = np.linspace(0, len(array), min(most, len(array)), endpoint=False).astype(int)
    counts = np.diff([*starts, len(array)])
    return np.add.reduceat(array, starts, axis=0) / counts[:, None]


def palette() -> Pixels:
    """RGB of each shade: (SHADES, 3)."""
    anchors = np.array([[c >> 16, c >> 8 & 255, c & 255] for c in MAGMA], float)
    at = np.linspace(0, len(anchors) - 1, SHADES)
    channels = [np.interp(at, range(len(anchors)), channel) for channel in anchors.T]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def encode_png(pixels: Pixels, colours: Pixels) -> bytes:
    """A PNG of palette entries.  pixels: (rows, columns); colours: (n, 3), n from 1 to 256."""
    rows, columns = pixels.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)  # 8 bits, palette
    lines = np.pad(pixels, ((0, 0), (1, 0)))  # each line begins with its filter: 0, none
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", colours.tobytes()),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def spectrogram_png(audio: Audio, sample_rate: int) -> bytes:
    """The spectrogram of audio, float (n,), as a PNG."""
    return encode_png(spectrogram_pixels(audio, sample_rate), palette())
