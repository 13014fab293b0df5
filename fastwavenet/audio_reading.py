"""Audio files read block by block: as float32 mono, or as mu-law codes.

Nothing is resampled or mixed down without `convert`: a network trained on audio at a rate that
nobody chose is a silent, expensive mistake.  Nor is a damaged file taken for a short one.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from . import containers
from .audio_finding import READ_SUFFIXES
from .audio_source import REPAIR, AudioError, Part, Source, Spliced
from .checks import whole
from .mulaw import code_dtype, mu_law_encode, pre_emphasised
from .shown import shown
from .spec import WaveNetSpec

FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF")  # contents, in libsndfile's words
MAX_FILE = 2**38  # bytes
MAX_SAMPLES = 2**30  # of the result, 4 GiB in float32; 18 hours at 16 kHz
UNKNOWN = 2**63 - 1  # libsndfile's length of a FLAC that was written into a pipe
MAX_HZ = 2**31 - 1
MAX_RATIO = 256  # between two sample rates; beyond it a header is wrong
MAX_PEAK = 2.0  # lossy coders overshoot full scale a little; far above, a file was never scaled
BLOCK = 1 << 18  # samples of all channels that are decoded at a time
EXPECTED = f"expected one of {' '.join(READ_SUFFIXES)}"
NO_SAMPLES = "holds no samples, expected audio"
A = TypeVar("A")
T = TypeVar("T")
AudioFile = str | os.PathLike[str] | BinaryIO


def read_audio(
    file: AudioFile, sample_rate: int | None = None, convert: bool = False
) -> tuple[npt.NDArray[np.float32], int]:
    """Reads a file: float32 mono (n,), n > 0, and its rate in Hz.

    Full scale is 1.  A little more, up to 2, is kept as it is: lossy coders overshoot, and mu-law
    clips it.  The content decides on the format, not the suffix.
    file: a path, or an object that reads bytes and can seek; it is read from its beginning, and
    stays open.  sample_rate: the rate expected, or None for the file's own.  convert: mix several
    channels to their mean and resample to `sample_rate`, both of which are refused otherwise.
    Raises AudioError naming the file if it is not audio, is empty, cut off, too long or too loud,
    holds NaN or infinity, or has another rate or more channels; OSError if it cannot be read.
    A header that is wrong by so little that nothing is missing is a UserWarning.
    An MP3 can be cut off unnoticed, unless its first frame states how long it was.
    """
    with _opened(file, sample_rate, convert) as reading:
        audio = _collect(reading.mono(), np.dtype(np.float32), reading.length)
    for remark in reading.remarks:
        warnings.warn(remark, stacklevel=2)
    return audio, reading.rate


def stated_length(file: AudioFile, sample_rate: int | None = None, convert: bool = False) -> int:
    """The number of samples that `read_audio` should give, by the file's header.

    0: it states none, or is that of the first of several streams.
    Arguments and errors as those of `read_audio`, for what is found without decoding.
    """
    with _opened(file, sample_rate, convert) as reading:
        return reading.length if len(reading.parts) == 1 else 0


class Codes(NamedTuple):
    """A recording in mu-law.

    codes    (n,), uint8, or above 256 levels uint16
    peak     the largest amplitude; 1 is full scale
    remarks  a line for each oddity of the file that is no error, with its name
    """

    codes: np.ndarray
    peak: float
    remarks: list[str]


def read_codes(
    file: AudioFile,
    spec: WaveNetSpec,
    convert: bool = False,
    watch: Callable[[npt.NDArray[np.float32]], None] | None = None,
) -> Codes:
    """Reads a file as the codes that `mu_law_encode` gives of `read_audio`, by the spec's codec.

    The floats are never in memory as a whole: `watch` is called with each block of them, float32
    (n,), in order.  Other arguments and errors as those of `read_audio`.
    """
    peak = 0.0

    def watched(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        nonlocal peak
        for block in blocks:
            peak = max(peak, float(np.abs(block).max()))
            if watch is not None:
                watch(block)
            yield block

    with _opened(file, spec.sample_rate, convert) as reading:
        dtype = np.dtype(code_dtype(spec.levels))
        codes = _collect(encoded_blocks(watched(reading.mono()), spec), dtype, reading.length)
    return Codes(codes, peak, reading.remarks)


def encoded_blocks(blocks: Iterator[np.ndarray], spec: WaveNetSpec) -> Iterator[np.ndarray]:
    """The codes of each block of a recording, float32 (n,), by the spec's codec."""
    before = np.zeros(1, np.float32)
    plain = replace(spec.codec, pre_emphasis=0.0)
    for block in blocks:
        if spec.codec.pre_emphasis:
            block = pre_emphasised(block, spec.codec, before)
        yield mu_law_encode(block, spec.levels, codec=plain)


def read_blocks(
    file: AudioFile,
    sample_rate: int,
    convert: bool,
    take: Callable[[npt.NDArray[np.float32]], None],
) -> list[str]:
    """Calls `take` with each block of a file, float32 (n,), in order; the remarks, as in `Codes`.

    Other arguments and errors as those of `read_audio`.
    """
    remarks: list[str] = []
    for block in audio_blocks(file, sample_rate, convert, remarks.append):
        take(block)
    return remarks


def audio_blocks(
    file: AudioFile, sample_rate: int, convert: bool, remark: Callable[[str], object]
) -> Iterator[npt.NDArray[np.float32]]:
    """Each block of a file, float32 (n,), in order; `remark` is called with each remark.

    Other arguments and errors as those of `read_audio`.
    """
    n = 0
    with _opened(file, sample_rate, convert) as reading:
        for line in reading.remarks:
            remark(line)
        for block in reading.mono():
            n += len(block)
            _check_size(n)
            yield block


def _check_size(samples: int) -> None:
    if samples > MAX_SAMPLES:
        raise AudioError(f"holds more than {MAX_SAMPLES} samples: split it into parts")


def _collect(blocks: Iterator[np.ndarray], dtype: np.dtype, length: int) -> np.ndarray:
    """All blocks in one array.  length: as many samples as are expected."""
    try:
        result, n = np.empty(length, dtype), 0
        for block in blocks:
            end = n + len(block)
            _check_size(end)
            if end > len(result):
                result.resize(end + end // 8, refcheck=False)
            result[n:end] = block
            n = end
        result.resize(n, refcheck=False)
    except MemoryError:
        raise AudioError(f"claims {length} samples, more than memory holds") from None
    return result


# ---- opening -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(file: AudioFile, sample_rate: int | None, convert: bool) -> Iterator[_Reading]:
    """The file's name is put in front of errors and remarks."""
    name = file_name(file)
    if sample_rate is not None:
        whole("sample_rate", sample_rate, 1, MAX_HZ, expected="a whole number of Hz")
    try:
        with contextlib.ExitStack() as stack:
            source = _source(file, stack)
            worker = stack.enter_context(ThreadPoolExecutor(1))
            reading = _Reading(source, worker, sample_rate, convert)
            reading.remarks = [f"{name}: {part.remark}" for part in reading.parts if part.remark]
            yield reading
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from None


def file_name(file: AudioFile) -> str:
    """For messages."""
    path = file if isinstance(file, (str, os.PathLike)) else getattr(file, "name", None)
    if not isinstance(path, (str, bytes, os.PathLike)):
        return "the file object"
    return shown(Path(os.fsdecode(path)))


def check_name(path: str | os.PathLike[str]) -> None:
    """Raises AudioError if no file can have this name."""
    if "\0" in os.fspath(path):
        raise AudioError("the name holds a zero byte, expected the name of a file")


def _source(file: AudioFile, stack: contextlib.ExitStack) -> Source:
    if isinstance(file, (str, os.PathLike)):
        check_name(file)
        file = stack.enter_context(_open_regular(file))
    elif not (hasattr(file, "read") and hasattr(file, "seek")) or isinstance(file, io.TextIOBase):
        raise TypeError(
            f"file must be a path, or an object that reads bytes and can seek, not {shown(file)}"
        )
    elif hasattr(file, "seekable") and not file.seekable():
        raise AudioError("cannot seek, expected an object that can: read it into io.BytesIO first")
    source = Source(file)
    if source.size > MAX_FILE:
        raise AudioError(
            f"has {source.size} bytes, expected at most {MAX_FILE}: split it into parts"
        )
    return source


def _open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a file; a pipe without a writer, which would block, is refused like any other."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        found = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
        raise AudioError(f"is {found}, expected an audio file")
    return open(descriptor, "rb")


# ---- decoding ----------------------------------------------------------------------------------


class _Decoder(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """Decodes from the beginning to the end; soundfile would seek after each block.

    A Ctrl-C leaves the worker in a block, so closing waits for the end of it.
    """

    def __init__(self, spliced: Spliced):
        self.spliced, self.busy = spliced, threading.Lock()
        try:
            super().__init__(spliced)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.rstrip(".") if spliced.size else "it is empty"
            raise AudioError(f"not a readable audio file ({reason}); {EXPECTED}") from None

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        with self.busy:
            super().close()

    def block(self, frames: int) -> np.ndarray:
        """The next samples, float32 (frames, channels); fewer at the end."""
        try:
            with self.busy:
                return self.read(frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            raise AudioError(f"is damaged or cut off: {REPAIR}") from None


class _Reading:
    """The sound of an open file.

    libsndfile runs in `worker`, a thread: a Ctrl-C in the main thread while libsndfile called back
    for bytes would be printed and lost.

    rate      Hz, of the result
    length    samples that the result should have
    """

    remarks: list[str]

    def __init__(
        self, source: Source, worker: ThreadPoolExecutor, sample_rate: int | None, convert: bool
    ):
        self.source, self.worker = source, worker
        self.parts = containers.parts(source)
        if not self.parts:
            raise AudioError(NO_SAMPLES)
        with self._decoder(self.parts[0]) as first:
            self.channels, self.found = first.channels, first.samplerate
            self.rate = self.found if sample_rate is None else sample_rate
            self._check_rate(convert)
            frames = self.parts[0].frames or first.frames
        self.length = 0 if frames == UNKNOWN else _check_length(frames, self.found, self.rate)

    def _check_rate(self, convert: bool) -> None:
        found, rate = self.found, self.rate
        if self.channels != 1 and not convert:
            raise AudioError(
                f"has {self.channels} channels, expected 1 (mono): mix it down first, "
                f"or ask for it (--convert, convert=True)"
            )
        if found != rate and not convert:
            raise AudioError(
                f"has {found} Hz, expected {rate} Hz: resample it first, "
                f"or ask for it (--convert, convert=True)"
            )
        if max(found, rate) > MAX_RATIO * min(found, rate):
            raise AudioError(f"has {found} Hz, which is too far from {rate} Hz to be resampled")

    def mono(self) -> Iterator[np.ndarray]:
        """The result block by block, float32 (n,), n > 0."""
        mixed = (b[:, 0] if self.channels == 1 else b.mean(axis=1) for b in self._blocks())
        return mixed if self.found == self.rate else _resampled(mixed, self.found, self.rate)

    def _blocks(self) -> Iterator[np.ndarray]:
        """All that is decoded, float32 (n, channels), n > 0."""
        done = 0
        for part in self.parts:
            for block in self._decoded(part):
                _check_samples(block, done)
                done += len(block)
                yield block
        if not done:
            raise AudioError(NO_SAMPLES)

    def _decoded(self, part: Part) -> Iterator[np.ndarray]:
        with self._decoder(part) as decoder:
            _check_alike(decoder, self.found, self.channels)
            expected, done = part.frames or decoder.frames, 0
            longer = max(self.rate // self.found, 1)  # of which resampling makes more
            step = max(BLOCK // (self.channels * longer), 1)
            while done < expected:
                block = self._call(decoder.spliced, decoder.block, min(step, expected - done))
                if not len(block):
                    break
                done += len(block)
                yield block
        if done < expected != UNKNOWN:
            raise AudioError(f"is cut off after {done} samples, expected {expected}: {REPAIR}")

    def _decoder(self, part: Part) -> _Decoder:
        spliced = Spliced(self.source, part.pieces)
        decoder: _Decoder = self._call(spliced, _Decoder, spliced)
        if decoder.format not in FORMATS:
            raise AudioError(f"holds {decoder.format} audio, {EXPECTED}: convert it first")
        if decoder.format != "MP3" and decoder.subtype == "MPEG_LAYER_III":
            raise AudioError(
                f"holds MP3 in {decoder.format}, which cannot be read: convert it first"
            )
        return decoder

    def _call(self, spliced: Spliced, function: Callable[[A], T], argument: A) -> T:
        """The result of libsndfile; an error of reading the bytes comes before its own."""
        try:
            return self.worker.submit(function, argument).result()
        finally:
            if spliced.error is not None:
                raise spliced.error


def _check_alike(decoder: _Decoder, rate: int, channels: int) -> None:
    if (decoder.samplerate, decoder.channels) != (rate, channels):
        raise AudioError(
            f"holds several streams, one of {rate} Hz with {channels} channel(s), another of "
            f"{decoder.samplerate} Hz with {decoder.channels}: split it into files"
        )


def _check_length(frames: int, found: int, rate: int) -> int:
    """Samples of the result, from frames in the file."""
    samples = max(frames, frames * rate // found)
    if samples > MAX_SAMPLES:
        raise AudioError(
            f"claims to hold {samples} samples, expected at most {MAX_SAMPLES}: split it into parts"
        )
    return -(-frames * rate // found)


def _check_samples(block: np.ndarray, done: int) -> None:
    """done: samples before the block."""
    peak = max(block.max(), -block.min())
    if not np.isfinite(peak):
        at, channel = np.argwhere(~np.isfinite(block))[0]
        raise AudioError(f"sample {done + at} is {block[at, channel]}, expected finite numbers")
    if peak > MAX_PEAK:
        raise AudioError(f"peaks at {peak:g}, expected 1 (full scale): scale it to [-1, 1] first")


def _resampled(blocks: Iterator[np.ndarray], found: int, rate: int) -> Iterator[np.ndarray]:
    """The blocks that resampling all of them at once would give together, to the last bit."""
    stream = soxr.ResampleStream(found, rate, 1, dtype="float32", quality="HQ")
    given = made = 0
    for block in itertools.chain(blocks, [None]):
        last = block is None
        block = np.empty(0, np.float32) if block is None else np.ascontiguousarray(block)
        resampled = stream.resample_chunk(block, last=last)
        given, made = given + len(block), made + len(resampled)
        if len(resampled):
            yield resampled
    if not made:
        raise AudioError(f"holds no samples at {rate} Hz: {given} at {found} Hz are too short")
