"""Lossless compression by a network: compress, decompress, salvage; docs/compression.md.

Samples go through generators, block by block, so that files of any length take the memory of a few
groups of blocks.
"""

from __future__ import annotations

import io
import itertools
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from .arrays import refuse_masked
from .block_coding import BlockCoder, Decoded, Values
from .checks import integer
from .compressed_file import (
    DAMAGED,
    MAX_BLOCK,
    Block,
    Blocks,
    CompressionError,
    Header,
    Part,
    SalvagedBlocks,
    count_samples,
    end_of,
    header_of,
    read_header,
)
from .in_step import Entry, by_source, entries, groups, with_results
from .instruction_sets import isa as resolve_isa
from .model import Model, check_model
from .mulaw import code_dtype, mu_law_decode
from .samples import check_rate, to_codes
from .scoring import MAX_THREADS
from .session import Progress
from .types import Isa

BATCH = 16  # blocks in step
MAX_BATCH = 256
Group = TypeVar("Group")
Result = TypeVar("Result")


class Salvaged(NamedTuple):
    """The result of `salvage`.

    samples  as those of `decompress`, with silence in the place of lost blocks
    lost     first sample, and the one behind the last, of each run of lost blocks
    cut_off  whether the end of the file is missing, and perhaps blocks before it
    """

    samples: npt.NDArray[Any]
    lost: list[tuple[int, int]]
    cut_off: bool


def compress(
    model: Model,
    samples: npt.ArrayLike,
    *,
    sample_rate: int | None = None,
    block: int | None = None,
    batch: int = BATCH,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> bytes:
    """A compressed file of samples (n,), which `decompress` gives back with the same model.

    samples: int16 audio, which comes back as it is (mode "pcm16"); or codes, uint8 or other
    integers, or float audio, of which the codes come back (mode "codes").
    sample_rate: Hz of the audio; another one than the model's is refused.
    block: samples that are decoded alone, 1 to 2**20; None: a second.
    batch, threads: blocks in step, and groups of them at the same time; isa: instruction set.  The
    bytes do not depend on these.
    progress(done, total) is called after each block, in samples.
    Raises ValueError for a model with conditioning, for int16 and a model with pre-emphasis, and
    for samples that are not finite or out of range; TypeError for another type.
    """
    check_rate(sample_rate, check_model(model).sample_rate)
    refuse_masked(samples, "samples")
    array = np.asarray(samples)
    mode = "pcm16" if array.dtype.kind == "i" and array.dtype.itemsize == 2 else "codes"
    coding = Coding(model, mode, isa, batch, threads)
    if mode == "codes":
        array = to_codes(array, model.spec, coding.isa).codes[0]
    elif array.ndim != 1:
        raise ValueError(f"samples must have shape (n,), not {array.shape}")
    report = None if progress is None else lambda done: progress(done, len(array))
    return b"".join(itertools.chain.from_iterable(coding.compressed([[array]], block, report)))


def decompress(
    model: Model,
    data: bytes,
    *,
    codes: bool = False,
    first: int = 0,
    n_samples: int | None = None,
    batch: int = BATCH,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> npt.NDArray[Any]:
    """The samples (n,) of a file of `compress`: int16 in mode "pcm16", else float32.

    codes: gives codes instead, uint8 up to 256 levels, uint16 above.
    first, n_samples: a part of the file's samples, n_samples of them from number `first` on; None:
    to the end.  Only the blocks that hold it are decoded, and looked at for damage, and those
    before it if the model has pre-emphasis, which adds up over all samples, unless codes are given.
    Other arguments as in `compress`; samples do not depend on them.
    Raises CompressionError for bytes that are damaged, or of another model, precision or version;
    ValueError for a part that is not in the file; TypeError for anything but bytes.
    """
    file, header, coding = _opened(model, data, batch, isa, threads)
    total = count_samples(file, header)
    first = integer("first", first, 0, total)
    end = total
    if n_samples is not None:
        end = first + integer("n_samples", n_samples, 0, total - first)
    part = Part(0 if coding.adds_up and not codes else first, end, total)
    blocks, done, pieces = Blocks(file, header), 0, []
    decoded = itertools.chain.from_iterable(coding.decoded([blocks.holding(part)]))
    for samples in coding.decompressed(decoded, blocks, part):
        pieces.append(samples)
        done += len(samples)
        if progress is not None:
            progress(done, part.end - part.first)
    return coding.output(pieces, codes)[first - part.first :]


def salvage(
    model: Model,
    data: bytes,
    *,
    codes: bool = False,
    batch: int = BATCH,
    isa: Isa | None = None,
    threads: int = 1,
) -> Salvaged:
    """The whole blocks of a damaged file of `compress`, and silence in the place of the others.

    Arguments as in `decompress`.
    Raises CompressionError for a file of another model, and for one without its header, of which a
    changed byte is corrected.
    """
    file, header, coding = _opened(model, data, batch, isa, threads, correct=True)
    lost, blocks = Lost(), SalvagedBlocks(file, header)
    decoded = itertools.chain.from_iterable(coding.decoded([blocks]))
    parts = [coding.or_silence(lost.added(block)) for block in decoded]
    return Salvaged(coding.output(parts, codes), lost.runs, blocks.cut_off)


def _opened(
    model: Model, data: bytes, batch: int, isa: Isa | None, threads: int, correct: bool = False
) -> tuple[BinaryIO, Header, Coding]:
    check_model(model)
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data must be bytes, as from compress, not {type(data).__name__}")
    file = io.BytesIO(data)
    header = read_header(file, correct)
    header.check_model(model)
    return file, header, Coding(model, header.mode, isa, batch, threads)


class Lost:
    """runs: first sample and the one behind the last of each run of lost blocks."""

    def __init__(self) -> None:
        self.at = 0  # samples of all blocks so far
        self.runs: list[tuple[int, int]] = []

    def added(self, decoded: Decoded) -> Decoded:
        """The next block, which is counted."""
        end = self.at + decoded.block.samples
        if decoded.samples is None and self.runs and self.runs[-1][1] == self.at:
            self.runs[-1] = (self.runs[-1][0], end)
        elif decoded.samples is None:
            self.runs.append((self.at, end))
        self.at = end
        return decoded


class Coding:
    """Compression with a model in one mode, "codes" or "pcm16".

    adds_up  whether the amplitude of a code depends on all codes before it: de-emphasis
    Raises ValueError if the model cannot compress in it.
    """

    def __init__(self, model: Model, mode: str, isa: Isa | None, batch: int, threads: int):
        spec = model.spec
        if spec.conditioning is not None:
            raise ValueError(
                "the model has conditioning, whose frames or speakers a compressed file does not "
                "hold: expected a model without"
            )
        if mode == "pcm16" and spec.codec.pre_emphasis:
            raise ValueError(
                "the model has pre-emphasis, so it cannot compress 16-bit samples without loss: "
                "compress codes (--mode codes, float audio)"
            )
        self.model, self.mode, self.isa = model, mode, resolve_isa(isa)
        self.values = Values(spec, mode)
        self.adds_up = bool(spec.codec.pre_emphasis)
        self.batch = integer("batch", batch, 1, MAX_BATCH)
        self.threads = integer("threads", threads, 1, MAX_THREADS)

    def compressed(
        self,
        recordings: Iterable[Iterable[np.ndarray]],
        block: int | None,
        progress: Callable[[int], object] | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """For each recording the parts of its file; its samples come in pieces of any length.

        progress: called with a recording's number of samples after each block.
        """
        if block is None:
            block = min(self.model.sample_rate, MAX_BLOCK)
        block = integer("block", block, 1, MAX_BLOCK)
        sources = (enumerate(_cut(pieces, block)) for pieces in recordings)
        for coded in self._in_step(_encode, sources):
            yield self._file(coded, block, progress)

    def _file(
        self,
        coded: Iterator[tuple[np.ndarray, Block]],
        block: int,
        progress: Callable[[int], object] | None,
    ) -> Iterator[bytes]:
        yield header_of(self.model, self.mode, block).to_bytes()
        blocks = done = last = check = 0
        for samples, encoded in coded:
            yield encoded.to_bytes()
            blocks, last, done = blocks + 1, len(samples), done + len(samples)
            check = self.values.check(samples, check)
            if progress is not None:
                progress(done)
        yield end_of(blocks, last, check)

    def decoded(self, files: Iterable[Iterable[Block]]) -> Iterator[Iterator[Decoded]]:
        """For each file its blocks, in order; those without data, or with wrong data, have no
        samples.
        """
        return self._in_step(BlockCoder.decode, files)

    def decompressed(
        self, decoded: Iterable[Decoded], blocks: Blocks, part: Part
    ) -> Iterator[np.ndarray]:
        """The samples of a part, in pieces of a block at most.  decoded: the blocks that hold it.

        Raises CompressionError for samples with a wrong checksum.
        """
        at, check = part.first // blocks.block * blocks.block, 0
        for samples in map(_whole, decoded):
            yield samples[max(part.first - at, 0) : part.end - at]
            at += len(samples)
            check = self.values.check(samples, check)
        if part.is_whole and check != blocks.check:
            raise CompressionError(f"the samples have a wrong checksum: {DAMAGED}")

    def or_silence(self, decoded: Decoded) -> np.ndarray:
        """A block's samples, or as much silence."""
        if decoded.samples is not None:
            return decoded.samples
        return np.full(decoded.block.samples, self.values.silence, self.values.dtype)

    def output(self, parts: list[np.ndarray], codes: bool) -> npt.NDArray[Any]:
        """The samples of all blocks in the form in which `decompress` returns them."""
        samples = np.concatenate([np.empty(0, self.values.dtype), *parts])
        spec = self.model.spec
        if codes:
            return self.values.split(samples)[0].astype(code_dtype(spec.levels), copy=False)
        if self.mode == "pcm16":
            return samples.astype(np.int16, copy=False)
        return mu_law_decode(samples, spec.levels, codec=spec.codec, isa=self.isa)

    def _in_step(
        self,
        call: Callable[[BlockCoder, list[Any]], list[Any]],
        sources: Iterable[Iterable[Any]],
    ) -> Iterator[Iterator[Any]]:
        """call(coder, items) of the items of each source, `batch` of them together."""

        def work(coder: BlockCoder, group: list[Entry]) -> list[Entry]:
            return with_results(lambda items: call(coder, items), group)

        done = self._mapped(work, groups(entries(sources), self.batch))
        return by_source(itertools.chain.from_iterable(done))

    def _mapped(
        self, call: Callable[[BlockCoder, Group], Result], groups: Iterable[Group]
    ) -> Iterator[Result]:
        """call(coder, group) of each group, in order, at most `threads` at the same time."""
        coders = [BlockCoder(self.model, self.values, self.isa) for _ in range(self.threads)]
        if self.threads == 1:
            for group in groups:
                yield call(coders[0], group)
            return
        free: queue.SimpleQueue[BlockCoder] = queue.SimpleQueue()
        for coder in coders:
            free.put(coder)

        def work(group: Group) -> Result:
            coder = free.get()
            try:
                return call(coder, group)
            finally:
                free.put(coder)

        pool, waiting = ThreadPoolExecutor(self.threads), deque[Future[Result]]()
        try:
            for group in groups:
                waiting.append(pool.submit(work, group))
                if len(waiting) > self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # after an error or Ctrl-C, some still run
            for coder in coders:
                coder.cancel()
            pool.shutdown(cancel_futures=True)


def _whole(decoded: Decoded) -> np.ndarray:
    """The samples of a block.  Raises CompressionError if its bytes are no encoder's."""
    if decoded.samples is None:
        raise CompressionError(
            f"block {decoded.block.number} gives other samples than it has: {DAMAGED}"
        )
    return decoded.samples


def _encode(
    coder: BlockCoder, group: list[tuple[int, np.ndarray]]
) -> list[tuple[np.ndarray, Block]]:
    return [
        (samples, block) for (_, samples), block in zip(group, coder.encode(group), strict=True)
    ]


def _cut(pieces: Iterable[np.ndarray], block: int) -> Iterator[np.ndarray]:
    """All samples of the pieces, `block` at a time."""
    kept: list[np.ndarray] = []
    n = 0
    for piece in pieces:
        while n + len(piece) >= block:
            yield np.concatenate([*kept, piece[: block - n]])
            kept, n, piece = [], 0, piece[block - n :]
        kept.append(piece)
        n += len(piece)
    if n:
        yield np.concatenate(kept)
