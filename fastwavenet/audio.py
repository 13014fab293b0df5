"""Audio files: written as WAV or FLAC here, found and read in modules of their own."""

from __future__ import annotations

import errno
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from . import atomic
from .audio_finding import READ_SUFFIXES as READ_SUFFIXES
from .audio_finding import find_audio as find_audio
from .audio_reading import AudioFile, check_name, file_name
from .audio_reading import read_audio as read_audio
from .audio_reading import read_codes as read_codes
from .audio_source import AudioError as AudioError
from .shown import shown

MAX_BYTES = 2**32  # of a file: the largest size in a WAV's header
WRITE_SUFFIXES = (".wav", ".flac")
# soundfile's names -> bytes per sample
SUBTYPES = {
    "WAV": {"PCM_16": 2, "PCM_24": 3, "PCM_U8": 1, "FLOAT": 4, "ULAW": 1},
    "FLAC": {"PCM_16": 2, "PCM_24": 3},
}
HEADER_BYTES = 128  # at most, for each channel
BITS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "ULAW": 16}  # to which a sample is rounded


def _check_finite(audio: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(audio))
    if len(bad):
        value = audio[tuple(bad[0])]
        raise AudioError(f"sample {bad[0][0]} is {value}, expected finite numbers")


# ---- writing ---------------------------------------------------------------------------------


def write_audio(
    file: AudioFile, audio: npt.NDArray[np.floating], sample_rate: int, subtype: str = "PCM_16"
) -> None:
    """Writes a file in the format of its suffix, .wav or .flac, whole or not at all.

    file: a path; a device or pipe (/dev/stdout) gets a WAV.  Or an object that takes bytes, which
    stays open: it gets a FLAC if its name ends so, else a WAV, unless the name is that of other
    audio.  Other arguments as in `encode_audio`.
    Raises AudioError as `encode_audio` does and for another suffix, and OSError, with any existing
    file intact, if the file cannot be written, or if an object stops taking bytes.
    """
    if isinstance(file, (str, os.PathLike)):
        check_output(file, subtype)
        container = _container(file)
    elif hasattr(file, "write"):
        container = _container_of_object(file)
    else:
        raise TypeError(f"file must be a path, or an object that takes bytes, not {shown(file)}")
    try:
        data = encode_audio(audio, sample_rate, container, subtype)
    except AudioError as error:
        raise AudioError(f"{file_name(file)}: {error}") from None
    if isinstance(file, (str, os.PathLike)):
        atomic.replace_atomically(file, data)
    else:
        _write_whole(file, data)


def _container_of_object(file: BinaryIO) -> str:
    name = getattr(file, "name", None)
    suffix = ""
    if isinstance(name, (str, bytes, os.PathLike)):
        suffix = Path(os.fsdecode(name)).suffix.lower()
    if suffix in READ_SUFFIXES and suffix not in WRITE_SUFFIXES:
        raise AudioError(f"{file_name(file)}: the name must end in {' or '.join(WRITE_SUFFIXES)}")
    return "FLAC" if suffix == ".flac" else "WAV"


def _write_whole(file: BinaryIO, data: bytes) -> None:
    """An object without a buffer may take less than it is given, and then returns how much."""
    rest: bytes | memoryview = data
    while rest:
        count = file.write(rest)
        if count is None and not isinstance(file, io.RawIOBase):
            return  # not every object counts
        if not count:
            raise BlockingIOError(
                errno.EAGAIN, f"{file_name(file)}: took no more bytes, {len(rest)} are left"
            )
        rest = memoryview(rest)[count:]


def encode_audio(
    audio: np.ndarray, sample_rate: int, container: str = "WAV", subtype: str = "PCM_16"
) -> bytes:
    """The bytes of an audio file; the same for the same arguments.

    audio: float (n,) or (n, channels), n > 0; 1.0 is full scale.  container: WAV or FLAC.
    subtype: PCM_16, PCM_24, and in WAV also PCM_U8 and ULAW (G.711), which round to the nearest
    of 2**b steps and clip, clip(rint(2**(b - 1) x)), where ULAW codes 16 bits; or FLOAT, which
    keeps float32 as it is.
    Raises AudioError for another container, subtype, shape or rate, for values that are not finite
    and for more than the container holds.
    """
    check_subtype(container, subtype)
    audio = np.asarray(audio)
    if audio.dtype.kind != "f" or audio.ndim not in (1, 2) or not audio.size:
        raise AudioError(
            f"audio must be floats of shape (n,) or (n, channels), n > 0, "
            f"not {audio.dtype} {audio.shape}"
        )
    check_size(audio.size, 1 if audio.ndim == 1 else audio.shape[1], container, subtype)
    return _encode(stored_samples(audio, subtype), sample_rate, container, subtype)


def check_output(path: str | os.PathLike[str], subtype: str = "PCM_16", n_samples: int = 1) -> None:
    """Checks before long work that `write_audio` can write so many samples of mono there.

    Raises AudioError or OSError if it cannot.
    """
    try:
        check_name(path)
        container = _container(path)
        check_subtype(container, subtype)
        check_size(n_samples, 1, container, subtype)
    except AudioError as error:
        raise AudioError(f"{shown(Path(path))}: {error}") from None
    atomic.check_target(path)


def _container(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix in WRITE_SUFFIXES:
        return suffix[1:].upper()
    if atomic.is_special_file(path):
        return "WAV"
    raise AudioError(f"the name must end in {' or '.join(WRITE_SUFFIXES)}")


def check_subtype(container: str, subtype: str) -> None:
    if not isinstance(container, str) or container not in SUBTYPES:
        raise AudioError(f"container must be {' or '.join(SUBTYPES)}, not {shown(container)}")
    if not isinstance(subtype, str) or subtype not in SUBTYPES[container]:
        names = ", ".join(SUBTYPES[container])
        raise AudioError(
            f"the subtype of a {container} must be one of {names}, not {shown(subtype)}"
        )


def stored_samples(audio: np.ndarray, subtype: str) -> np.ndarray:
    """Floats in the form that libsndfile stores exactly: float32, or the upper bits of int32.

    Raises AudioError for values that are not finite.
    """
    _check_finite(audio)
    samples = _to_float32(audio) if subtype == "FLOAT" else _round(audio, BITS[subtype])
    if subtype == "ULAW":  # libsndfile gives the lowest int32 the wrong sign
        samples = np.maximum(samples, 1 - 2**31)
    return samples


def _to_float32(audio: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        samples = audio.astype(np.float32)
    _check_finite(samples)
    return samples


def check_size(samples: int, channels: int, container: str, subtype: str) -> None:
    most = (MAX_BYTES - HEADER_BYTES * channels) // SUBTYPES[container][subtype]
    if samples > most:
        raise AudioError(f"{samples} samples are too many, a {container} of {subtype} holds {most}")


def _round(audio: np.ndarray, bits: int) -> np.ndarray:
    """To signed steps in the upper bits of int32, which libsndfile takes over exactly."""
    scale = 2.0 ** (bits - 1)
    clipped = np.clip(audio, -1, 1).astype(np.promote_types(audio.dtype, np.float32))
    steps = np.minimum(np.rint(clipped * scale), scale - 1)
    return steps.astype(np.int32) << (32 - bits)


def _encode(samples: np.ndarray, sample_rate: int, container: str, subtype: str) -> bytes:
    try:
        if isinstance(sample_rate, bool):
            raise TypeError
        buffer = encoded(samples, sample_rate, format=container, subtype=subtype)
    except (soundfile.LibsndfileError, OverflowError, TypeError):
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        rate = shown(sample_rate).strip("'")
        raise AudioError(
            f"cannot be written at {rate} Hz with {channels} channel(s), "
            f"expected a whole number of Hz and what a {container} can hold"
        ) from None
    if subtype == "FLOAT":
        _forget_time(buffer.getbuffer())
    return buffer.getvalue()


def encoded(samples: np.ndarray, sample_rate: int, **kind: str) -> io.BytesIO:
    """The bytes that soundfile writes.

    They are collected in memory, because libsndfile does not report a full disk, and in a thread: a
    Ctrl-C in the main thread while libsndfile called back to write would be printed and lost.
    """
    buffer = io.BytesIO()
    with ThreadPoolExecutor(1) as worker:
        worker.submit(soundfile.write, buffer, samples, sample_rate, **kind).result()
    return buffer


def _forget_time(wav: memoryview) -> None:
    """The same audio is to give the same file, but libsndfile notes when a peak was measured."""
    at = wav[:HEADER_BYTES].tobytes().find(b"PEAK")
    if at >= 0:
        wav[at + 12 : at + 16] = bytes(4)
