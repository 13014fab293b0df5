"""Audio files: found, read as float32 mono, written as 16-bit PCM.

Nothing is resampled or mixed down unless the caller asks for it: a network trained on audio at a
rate that nobody chose is a silent, expensive mistake.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import soundfile
import soxr

from .files import replace_atomically

READ_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
WRITE_SUFFIXES = (".wav", ".flac")
MAX_RATIO = 256  # between two sample rates; beyond it a header is wrong, and memory would run out


class AudioError(ValueError):
    """An audio file or array cannot be used; says what was expected, what was found, what to do."""


def find_audio(path: str | os.PathLike) -> list[Path]:
    """A file itself, or all audio files below a folder, sorted, known by their suffix.

    Raises FileNotFoundError if there is neither.
    """
    root = Path(path)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such file or folder")
    files = (file for file in root.rglob("*") if file.suffix.lower() in READ_SUFFIXES)
    return sorted(file for file in files if file.is_file())


def read_audio(
    path: str | os.PathLike, sample_rate: int | None = None, convert: bool = False
) -> tuple[np.ndarray, int]:
    """Reads a file: float32 mono (n,), nominally in [-1, 1] but not clipped, and its rate in Hz.

    sample_rate: the rate expected, or None for the file's own.  convert: mix several channels
    to their mean and resample to `sample_rate`, both of which are refused otherwise.
    Raises AudioError naming the file if it is not audio, is empty, holds NaN or infinity, or has
    another rate or more channels; OSError if it cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        audio = _convert(*_decode(data), sample_rate, convert)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from None
    return audio


def write_audio(path: str | os.PathLike, audio: np.ndarray, sample_rate: int) -> None:
    """Writes 16-bit PCM as the suffix says, .wav or .flac, whole or not at all.

    audio: float (n,) or (n, channels); 1.0 is full scale, louder samples are clipped.
    Raises AudioError for another suffix, shape or rate or for values that are not finite, and
    OSError, with any existing file intact, if the file cannot be written.
    """
    check_output(path)
    audio = np.asarray(audio)
    if audio.dtype.kind != "f" or audio.ndim not in (1, 2) or not audio.size:
        raise AudioError(
            f"audio must be floats of shape (n,) or (n, channels), n > 0, "
            f"not {audio.dtype} {audio.shape}"
        )
    _check_finite(audio)
    pcm = np.clip(np.rint(audio * 32768.0), -32768, 32767).astype(np.int16)
    buffer = io.BytesIO()  # encoded in memory, because libsndfile does not report a full disk
    try:
        container = Path(path).suffix[1:].upper()
        soundfile.write(buffer, pcm, sample_rate, format=container, subtype="PCM_16")
    except (soundfile.LibsndfileError, OverflowError, TypeError) as error:
        raise AudioError(f"{path}: cannot be written at {sample_rate} Hz: {error}") from None
    replace_atomically(path, buffer.getvalue())


def check_output(path: str | os.PathLike) -> None:
    """Raises AudioError or OSError if `write_audio` could not write there: ask before long work."""
    path = Path(path)
    if path.suffix.lower() not in WRITE_SUFFIXES:
        raise AudioError(f"{path}: the name must end in {' or '.join(WRITE_SUFFIXES)}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected a file name")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist")


def _decode(data: bytes) -> tuple[np.ndarray, int]:
    """A file's bytes to (frames, channels) float32 and the rate."""
    try:
        return soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"not a readable audio file ({error.error_string.rstrip('.')}); "
            f"expected one of {' '.join(READ_SUFFIXES)}"
        ) from None
    except MemoryError:
        raise AudioError("the header claims more samples than memory holds") from None


def _convert(
    audio: np.ndarray, found: int, wanted: int | None, convert: bool
) -> tuple[np.ndarray, int]:
    """(frames, channels) to checked mono (n,)."""
    _check_finite(audio)
    channels = audio.shape[1]
    if channels != 1 and not convert:
        raise AudioError(
            f"has {channels} channels, expected 1 (mono): mix it down first, "
            f"or ask for it (--convert, convert=True)"
        )
    mono = audio[:, 0] if channels == 1 else audio.mean(axis=1)
    rate = found if wanted is None else wanted
    if found != rate and not convert:
        raise AudioError(
            f"has {found} Hz, expected {rate} Hz: resample it first, "
            f"or ask for it (--convert, convert=True)"
        )
    if found != rate:
        mono = _resample(mono, found, rate)
    if not len(mono):
        raise AudioError("holds no samples, expected audio")
    return np.ascontiguousarray(mono), rate


def _resample(mono: np.ndarray, found: int, wanted: int) -> np.ndarray:
    if max(found, wanted) > MAX_RATIO * min(found, wanted):
        raise AudioError(f"has {found} Hz, which is too far from {wanted} Hz to be resampled")
    return soxr.resample(mono, found, wanted, quality="HQ")


def _check_finite(audio: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(audio))
    if len(bad):
        value = audio[tuple(bad[0])]
        raise AudioError(f"sample {bad[0][0]} is {value}, expected finite numbers")
