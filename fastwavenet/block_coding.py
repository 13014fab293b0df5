"""Blocks of samples to bytes and back, by a network and a range coder.

Each block begins at the network's start, so blocks go through it in step, as rows of a session.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np

from . import _engine
from .compressed_file import Block
from .model import Model
from .mulaw import code_dtype, mu_law_encode
from .session import Frames, Session
from .spec import WaveNetSpec
from .types import Isa

PCM16 = np.arange(-(2**15), 2**15).astype(np.int16)


class Values:
    """The samples of a mode: codes, or values of 16 bits, each a code and a place in it.

    dtype   of the samples, little-endian
    widths  uint32 (levels,), values of each code; None: samples are codes
    silence the sample that stands for a lost one
    """

    def __init__(self, spec: WaveNetSpec, mode: str):
        self.widths = None
        self.silence = spec.start.code
        self.dtype = np.dtype(code_dtype(spec.levels)).newbyteorder("<")
        if mode == "pcm16":
            self.codes = mu_law_encode(PCM16, spec.levels, codec=spec.codec)
            self.widths = np.bincount(self.codes, minlength=spec.levels).astype(np.uint32)
            self.first = np.cumsum(self.widths, dtype=np.int64) - self.widths - 2**15
            self.silence, self.dtype = 0, np.dtype("<i2")

    def split(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Codes and places, uint16 each."""
        if self.widths is None:
            return samples.astype(np.uint16), None
        codes = self.codes[samples.astype(np.int64) + 2**15]
        return codes.astype(np.uint16), (samples - self.first[codes]).astype(np.uint16)

    def join(self, codes: np.ndarray, places: np.ndarray | None) -> np.ndarray:
        """The inverse of `split`."""
        if places is None:
            return codes.astype(self.dtype)
        return (self.first[codes] + places).astype(self.dtype)

    def check(self, samples: np.ndarray, before: int = 0) -> int:
        """CRC-32 of samples after those that gave `before`."""
        return zlib.crc32(np.ascontiguousarray(samples, self.dtype).tobytes(), before)


class Decoded(NamedTuple):
    """samples: of the block; None: its bytes are no encoder's of this network."""

    block: Block
    samples: np.ndarray | None


class BlockCoder:
    """Codes up to `rows` blocks at a time; one call at a time."""

    def __init__(self, model: Model, values: Values, isa: Isa):
        self.model, self.values, self.isa = model, values, isa
        self.sessions: dict[int, Session] = {}  # by the number of rows: a full group, and the last

    def encode(self, group: list[tuple[int, np.ndarray]]) -> list[Block]:
        """The blocks of these numbers and samples."""
        counts = [len(samples) for _, samples in group]
        coders = _engine.Coders(counts)
        codes = np.full((len(group), max(counts)), self.model.spec.start.code, np.uint16)
        places = None if self.values.widths is None else np.zeros_like(codes)
        for row, (_, samples) in enumerate(group):
            codes[row, : counts[row]], own = self.values.split(samples)
            if places is not None and own is not None:
                places[row, : counts[row]] = own
        self._run(coders, codes, places, forced=True)
        return [
            Block(number, counts[row], coders.encoded(row), self.values.check(samples))
            for row, (number, samples) in enumerate(group)
        ]

    def decode(self, group: list[Block]) -> list[Decoded]:
        """The samples of blocks, of those that have data."""
        known = [block for block in group if block.data]
        samples = iter(self._decode(known) if known else [])
        return [Decoded(block, next(samples) if block.data else None) for block in group]

    def _decode(self, group: list[Block]) -> list[np.ndarray | None]:
        counts = [block.samples for block in group]
        coders = _engine.Coders(counts, [block.data or b"" for block in group])
        codes = np.empty((len(group), max(counts)), np.uint16)
        places = None if self.values.widths is None else np.empty_like(codes)
        self._run(coders, codes, places, forced=False)
        decoded: list[np.ndarray | None] = []
        for row, block in enumerate(group):
            own = None if places is None else places[row, : counts[row]]
            samples = self.values.join(codes[row, : counts[row]], own)
            whole = coders.whole(row) and self.values.check(samples) == block.check
            decoded.append(samples if whole else None)
        return decoded

    def _run(
        self, coders: _engine.Coders, codes: np.ndarray, places: np.ndarray | None, forced: bool
    ) -> None:
        """codes, places: uint16 (rows, n), read if forced, else written."""
        session = self._session(len(codes))
        session.reset(0, 0)
        with session.stream:
            for start, n in session.chunks(codes.shape[1]):
                now = slice(start, start + n)
                given: dict[str, Any] = {
                    "forced" if forced else "codes": np.ascontiguousarray(codes[:, now]),
                    "places": None if places is None else np.ascontiguousarray(places[:, now]),
                }
                session.run(start, n, Frames(), coders=coders, widths=self.values.widths, **given)
                if not forced:
                    codes[:, now] = given["codes"]
                if not forced and places is not None:
                    places[:, now] = given["places"]

    def _session(self, rows: int) -> Session:
        if rows not in self.sessions:
            self.sessions = {rows: Session(self.model, self.isa, rows)}
        return self.sessions[rows]

    def cancel(self) -> None:
        """Ends a call that runs in another thread, at its next chunk."""
        for session in self.sessions.values():
            session.cancel(wait=False)
