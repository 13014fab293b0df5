"""Audio files: found, read as float32 mono, written as WAV or FLAC.

Nothing is resampled or mixed down unless the caller asks for it: a network trained on audio at a
rate that nobody chose is a silent, expensive mistake.  Nor is a damaged file taken for a short one.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

from . import files

READ_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3", "AIFF")  # their contents, in libsndfile's words
MAX_BYTES = 2**32  # of a file: what the sizes in a WAV can tell
MAX_SAMPLES = 2**30  # times channels, 4 GiB in float32; 18 hours of mono at 16 kHz
UNKNOWN = 2**63 - 1  # libsndfile's length of a FLAC that was written into a pipe
MAX_RATIO = 256  # between two sample rates; beyond it a header is wrong
MAX_PEAK = 2.0  # lossy coders overshoot full scale a little; what is far above was never scaled
STREAMED = 0x7FFFF000  # as a size and above it: the writer could not know how long it would be
REPAIR = "copy it again, or re-encode it to keep what is there"

WRITE_SUFFIXES = (".wav", ".flac")
# soundfile's names -> bytes per sample
SUBTYPES = {
    "WAV": {"PCM_16": 2, "PCM_24": 3, "PCM_U8": 1, "FLOAT": 4, "ULAW": 1},
    "FLAC": {"PCM_16": 2, "PCM_24": 3},
}
HEADER_BYTES = 128  # at most, for each channel
BITS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "ULAW": 16}  # what a sample is rounded to


class AudioError(ValueError):
    """An audio file or array cannot be used; says what was expected, what was found, what to do."""


# ---- reading ---------------------------------------------------------------------------------


def find_audio(path: str | os.PathLike) -> list[Path]:
    """A file itself, or all audio files below a folder, sorted, known by their suffix.

    Hidden files and folders are passed over, and so are links to folders.
    Raises FileNotFoundError if there is neither, OSError if a folder cannot be listed.
    """
    root = Path(path)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such file or folder")
    found = []
    for folder, below, names in os.walk(root, onerror=_raise):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(file for file in found if file.suffix.lower() in READ_SUFFIXES and file.is_file())


def read_audio(
    path: str | os.PathLike, sample_rate: int | None = None, convert: bool = False
) -> tuple[np.ndarray, int]:
    """Reads a file: float32 mono (n,), n > 0, and its rate in Hz.

    Full scale is 1.  A little more, up to 2, is kept as it is: lossy coders overshoot, and mu-law
    clips it.  The format is told by the content, not by the suffix.
    sample_rate: the rate expected, or None for the file's own.  convert: mix several channels
    to their mean and resample to `sample_rate`, both of which are refused otherwise.
    Raises AudioError naming the file if it is not audio, is empty, cut off, too long or too loud,
    holds NaN or infinity, or has another rate or more channels; OSError if it cannot be read.
    That an MP3 is cut off is known only if its header says how long it was.
    """
    try:
        data = _read_bytes(Path(path))
        _check_end(data)
        with _open(data) as file:
            rate = _check_header(file, sample_rate, convert)
            audio, found = _decode(file), file.samplerate
        _check_samples(audio)
        mono = audio[:, 0] if audio.shape[1] == 1 else audio.mean(axis=1)
        if found != rate:
            mono = _resample(mono, found, rate)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from None
    return np.ascontiguousarray(mono), rate


def _raise(error: OSError) -> None:
    raise error


def _read_bytes(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        found = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
        raise AudioError(f"is {found}, expected an audio file")
    if status.st_size > MAX_BYTES:
        raise AudioError(
            f"has {status.st_size} bytes, expected at most {MAX_BYTES}: split it into parts"
        )
    return path.read_bytes()


def _open(data: bytes) -> soundfile.SoundFile:
    expected = f"expected one of {' '.join(READ_SUFFIXES)}"
    try:
        file = soundfile.SoundFile(io.BytesIO(data))
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".") if data else "it is empty"
        raise AudioError(f"not a readable audio file ({reason}); {expected}") from None
    if file.format not in FORMATS:
        raise AudioError(f"holds {file.format} audio, {expected}: convert it first")
    return file


def _check_header(file: soundfile.SoundFile, wanted: int | None, convert: bool) -> int:
    """The rate in Hz that the samples are to have."""
    if file.channels != 1 and not convert:
        raise AudioError(
            f"has {file.channels} channels, expected 1 (mono): mix it down first, "
            f"or ask for it (--convert, convert=True)"
        )
    found = file.samplerate
    rate = found if wanted is None else wanted
    if found != rate and not convert:
        raise AudioError(
            f"has {found} Hz, expected {rate} Hz: resample it first, "
            f"or ask for it (--convert, convert=True)"
        )
    if max(found, rate) > MAX_RATIO * min(found, rate):
        raise AudioError(f"has {found} Hz, which is too far from {rate} Hz to be resampled")
    if file.frames == UNKNOWN:
        raise AudioError("does not say how long it is: re-encode it into a file")
    samples = max(file.frames * file.channels, file.frames * rate // found)
    if samples > MAX_SAMPLES:
        raise AudioError(
            f"claims to hold {samples} samples, expected at most {MAX_SAMPLES}: split it into parts"
        )
    return rate


def _decode(file: soundfile.SoundFile) -> np.ndarray:
    """All samples, (frames, channels) float32."""
    try:
        audio = file.read(file.frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        raise AudioError(f"is damaged or cut off: {REPAIR}") from None
    except MemoryError:
        raise AudioError(f"claims {file.frames} samples, more than memory holds") from None
    if len(audio) < file.frames:
        raise AudioError(f"is cut off after {len(audio)} samples, expected {file.frames}: {REPAIR}")
    if not len(audio):
        raise AudioError("holds no samples, expected audio")
    return audio


def _check_samples(audio: np.ndarray) -> None:
    peak = max(audio.max(), -audio.min())
    if not np.isfinite(peak):
        _check_finite(audio)
    if peak > MAX_PEAK:
        raise AudioError(f"peaks at {peak:g}, expected 1 (full scale): scale it to [-1, 1] first")


def _resample(mono: np.ndarray, found: int, wanted: int) -> np.ndarray:
    resampled = soxr.resample(mono, found, wanted, quality="HQ")
    if not len(resampled):
        raise AudioError(
            f"holds no samples at {wanted} Hz: {len(mono)} at {found} Hz are too short"
        )
    return resampled


def _check_finite(audio: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(audio))
    if len(bad):
        value = audio[tuple(bad[0])]
        raise AudioError(f"sample {bad[0][0]} is {value}, expected finite numbers")


# ---- files that end too early, which libsndfile takes for short ones ---------------------------


def _check_end(data: bytes) -> None:
    if data[:4] == b"OggS":
        if not _ogg_has_end(data):
            raise AudioError(f"is cut off, expected a last page that says so: {REPAIR}")
    elif missing := _bytes_missing(data):
        raise AudioError(f"is cut off, expected {missing} bytes more: {REPAIR}")


def _bytes_missing(data: bytes) -> int:
    """How far the sound chunk of a WAV or AIFF file reaches beyond the end of the file."""
    if data[:4] not in (b"RIFF", b"RIFX", b"FORM"):
        return 0
    order: Literal["little", "big"] = "little" if data[:4] == b"RIFF" else "big"
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], order)
        at += 8
        if name in (b"data", b"SSND"):
            return max(at + size - len(data), 0) if size < STREAMED else 0
        at += size + size % 2
    return 0


def _ogg_has_end(data: bytes) -> bool:
    """Whether the last page (RFC 3533, section 6) is whole and marked as the end of a stream."""
    page = data[data.rfind(b"OggS") :]
    if len(page) < 27 or not page[5] & 4:
        return False
    lacing = page[27 : 27 + page[26]]
    return len(page) >= 27 + page[26] + sum(lacing)


# ---- writing ---------------------------------------------------------------------------------


def write_audio(
    path: str | os.PathLike, audio: np.ndarray, sample_rate: int, subtype: str = "PCM_16"
) -> None:
    """Writes a file as its suffix says, .wav or .flac, whole or not at all.

    A device or pipe (/dev/stdout) is written to, as WAV.  Arguments as in `encode_audio`.
    Raises AudioError as `encode_audio` does and for another suffix, and OSError, with any existing
    file intact, if the file cannot be written.
    """
    check_output(path, subtype)
    try:
        data = encode_audio(audio, sample_rate, _container(path), subtype)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from None
    files.replace_atomically(path, data)


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
    _check_subtype(container, subtype)
    audio = np.asarray(audio)
    if audio.dtype.kind != "f" or audio.ndim not in (1, 2) or not audio.size:
        raise AudioError(
            f"audio must be floats of shape (n,) or (n, channels), n > 0, "
            f"not {audio.dtype} {audio.shape}"
        )
    _check_size(audio.size, 1 if audio.ndim == 1 else audio.shape[1], container, subtype)
    _check_finite(audio)
    samples = _to_float32(audio) if subtype == "FLOAT" else _round(audio, BITS[subtype])
    if subtype == "ULAW":  # libsndfile gives the lowest int32 the wrong sign
        samples = np.maximum(samples, 1 - 2**31)
    return _encode(samples, sample_rate, container, subtype)


def check_output(path: str | os.PathLike, subtype: str = "PCM_16", n_samples: int = 1) -> None:
    """Ask before long work: could `write_audio` write so many samples of mono there?

    Raises AudioError or OSError if it could not.
    """
    try:
        container = _container(path)
        _check_subtype(container, subtype)
        _check_size(n_samples, 1, container, subtype)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from None
    files.check_target(path)


def _container(path: str | os.PathLike) -> str:
    suffix = Path(path).suffix.lower()
    if suffix in WRITE_SUFFIXES:
        return suffix[1:].upper()
    if files.is_stream(path):
        return "WAV"
    raise AudioError(f"the name must end in {' or '.join(WRITE_SUFFIXES)}")


def _check_subtype(container: str, subtype: str) -> None:
    if container not in SUBTYPES:
        raise AudioError(f"container must be {' or '.join(SUBTYPES)}, not {container!r}")
    if subtype not in SUBTYPES[container]:
        names = ", ".join(SUBTYPES[container])
        raise AudioError(f"the subtype of a {container} must be one of {names}, not {subtype!r}")


def _to_float32(audio: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        samples = audio.astype(np.float32)
    _check_finite(samples)
    return samples


def _check_size(samples: int, channels: int, container: str, subtype: str) -> None:
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
    buffer = io.BytesIO()  # in memory, because libsndfile does not report a full disk
    try:
        soundfile.write(buffer, samples, sample_rate, format=container, subtype=subtype)
    except (soundfile.LibsndfileError, OverflowError, TypeError):
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        raise AudioError(
            f"cannot be written at {sample_rate} Hz with {channels} channel(s), "
            f"expected a whole number of Hz and what a {container} can hold"
        ) from None
    if subtype == "FLOAT":
        _forget_time(buffer.getbuffer())
    return buffer.getvalue()


def _forget_time(wav: memoryview) -> None:
    """The same audio is to give the same file, but libsndfile notes when a peak was measured."""
    at = wav[:HEADER_BYTES].tobytes().find(b"PEAK")
    if at >= 0:
        wav[at + 12 : at + 16] = bytes(4)
