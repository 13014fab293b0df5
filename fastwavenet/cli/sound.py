"""Where generated sound goes: files that are written at the end, or a stream of blocks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import select
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from ..atomic import check_target, is_special_file, replace_atomically
from ..audio import SUBTYPES, AudioError, check_output, check_size, check_subtype, write_audio
from ..shown import shown
from ..wav_stream import encode_wav, wav_block, wav_header, wav_tail
from .report import Report, is_terminal

STDOUT = Path("-")
DESCRIPTOR_1 = tuple(Path(name) for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"))
RAW = "PCM_16"  # the subtype of --raw


class Taker(Protocol):
    """Takes blocks, float32 (voices, m); `samples` counts those of one voice."""

    samples: int

    def add(self, block: np.ndarray) -> None: ...


class Recording:
    """Keeps all blocks in memory: float32 (voices, n)."""

    def __init__(self, voices: int, n: int):
        self.audio = np.empty((voices, n), np.float32)
        self.samples = 0

    def add(self, block: np.ndarray) -> None:
        end = self.samples + block.shape[1]
        self.audio[:, self.samples : end] = block
        self.samples = end

    def kept(self) -> np.ndarray:
        return self.audio[:, : self.samples]


class Files(Recording):
    """A file for each voice, WAV, FLAC or raw, written whole when `finish` is called."""

    def __init__(self, paths: list[Path], n: int, sample_rate: int, subtype: str, raw: bool):
        super().__init__(len(paths), n)
        self.paths, self.sample_rate, self.subtype, self.raw = paths, sample_rate, subtype, raw

    def begin(self) -> None:
        """Nothing is written before the end."""

    def finish(self) -> bool:
        """Saves; whether Ctrl-C came meanwhile: a first one does not stop it, a second one does."""
        try:
            self._save()
        except KeyboardInterrupt:
            self._save()
            return True
        return False

    def _save(self) -> None:
        for path, voice in zip(self.paths, self.kept(), strict=True):
            if self.raw:
                replace_atomically(path, wav_block(voice, RAW))
            else:
                save_voice(path, voice, self.sample_rate, self.subtype)


def save_voice(path: Path, voice: np.ndarray, sample_rate: int, subtype: str) -> None:
    """Writes a .wav, with the bytes that a stream has, or a .flac, whole or not at all."""
    if path.suffix.lower() == ".wav":
        replace_atomically(path, encode_wav(voice, sample_rate, subtype))
    else:
        write_audio(path, voice, sample_rate, subtype)


class SoundStream:
    """One voice as WAV or raw samples, written to standard output, a pipe or a device as it comes.

    n: samples that the header states, or math.inf for raw samples without an end.  `samples` counts
    blocks that were written whole: Ctrl-C may come within one.
    """

    def __init__(self, path: Path, n: float, sample_rate: int, subtype: str, raw: bool):
        self.path, self.n, self.sample_rate = path, n, sample_rate
        self.subtype, self.raw = subtype, raw
        self.samples = 0

    def open(self, report: Report) -> None:
        """Opens a device or a pipe; standard output is open already, under any of its names."""
        stdout = self.path in DESCRIPTOR_1
        self.file = sys.stdout.buffer if stdout else _append_to(self.path, report)
        self.file = getattr(self.file, "raw", self.file)  # no buffer, which Ctrl-C could leave full

    def begin(self) -> None:
        """Writes the header, before there are any samples."""
        self.at = self.file.tell() if self._can_be_mended() else 0
        if not self.raw:
            self._write(wav_header(int(self.n), self.sample_rate, self.subtype))

    def add(self, block: np.ndarray) -> None:
        self._write(wav_block(block[0], self.subtype))
        self.samples += block.shape[1]

    def finish(self) -> bool:
        """Ends the stream; where fewer samples came than the header states, mends it if it can."""
        if self.raw:
            return False
        mend = self.samples < self.n and self._can_be_mended()
        if mend:  # Ctrl-C may have come between writing a block and counting it
            header = wav_header(int(self.n), self.sample_rate, self.subtype)
            sound = self.file.tell() - self.at - len(header)
            self.samples = sound // SUBTYPES["WAV"][self.subtype]
        self._write(wav_tail(self.samples, self.subtype))
        if mend:
            self.file.seek(self.at)
            self._write(wav_header(self.samples, self.sample_rate, self.subtype))
            self.file.seek(0, os.SEEK_END)
        return False

    def _can_be_mended(self) -> bool:
        """Whether this is a file to which a shell has redirected us, not one that it appends to."""
        with contextlib.suppress(OSError, ValueError):
            flags = fcntl.fcntl(self.file.fileno(), fcntl.F_GETFL)
            regular = stat.S_ISREG(os.fstat(self.file.fileno()).st_mode)
            return regular and not flags & os.O_APPEND
        return False

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                written = self.file.write(left)
                if written is None:  # a pipe that does not wait, and is full
                    select.select([], [self.file], [])
                else:
                    left = left[written:]
        except OSError as error:
            name = "standard output" if self.path == STDOUT else os.fspath(self.path)
            raise OSError(error.errno, error.strerror, name) from None


def _append_to(path: Path, report: Report) -> BinaryIO:
    """Opens a device or a pipe; warns if there is no reader at the other end yet."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
        os.set_blocking(handle, True)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        report.warn(f"{shown(path)}: waiting for a program that reads from this pipe")
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
    return open(handle, "wb", buffering=0)


def is_streamed(paths: list[Path]) -> bool:
    return paths == [STDOUT] or is_special_file(paths[0])


def check_sound(paths: list[Path], n: float, subtype: str, raw: bool) -> None:
    """Before the work: can n samples, perhaps math.inf, be written there?

    Raises ValueError or OSError if not.
    """
    if raw and subtype != RAW:
        raise ValueError(f"--raw writes 16-bit samples, not {shown(subtype)}: leave out --subtype")
    if is_streamed(paths):
        _check_sound_stream(paths[0], n, subtype, raw)
        return
    if n == math.inf:
        raise ValueError(f"--seconds inf needs a pipe (-o -), not the file {shown(paths[0])}")
    for path in paths:
        if not raw:
            check_output(path, subtype, int(n))
        elif path.suffix.lower() in (".wav", ".flac", ".safetensors"):
            raise ValueError(f"{shown(path)}: --raw writes no header, expected a name like out.raw")
        else:
            check_target(path)


def _check_sound_stream(path: Path, n: float, subtype: str, raw: bool) -> None:
    if path in DESCRIPTOR_1 and sys.stdout is None:
        raise ValueError(f"-o {path}: standard output is closed, expected a file or a pipe")
    if path in DESCRIPTOR_1 and is_terminal(sys.stdout):
        raise ValueError(
            f"-o {path} writes sound, expected a file or a pipe behind it, not a terminal"
        )
    if raw:
        return
    if n == math.inf:
        raise ValueError(
            "--seconds inf does not fit a WAV header, which states a length: add --raw"
        )
    try:
        check_subtype("WAV", subtype)
        check_size(int(n), 1, "WAV", subtype)
    except AudioError as error:
        raise AudioError(f"-o {shown(path)}: {error}") from None
