"""fastwavenet decompress: compressed files to WAV files."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import open_regular, written_at_end
from ..audio import check_size
from ..block_coding import Decoded
from ..checks import within
from ..compressed_file import (
    HEADER_BYTES,
    Block,
    Blocks,
    CompressionError,
    Header,
    Part,
    SalvagedBlocks,
    count_samples,
    read_header,
)
from ..compression import Coding, Lost
from ..model import Model
from ..mulaw import de_emphasised, mu_law_decode
from ..shown import shown
from ..types import Precision
from ..wav_stream import wav_block, wav_header, wav_tail
from .arguments import add_command, path
from .compress import add_coding, outputs_of, report_of
from .models import load_model
from .report import Report
from .signals import interruptible

SUBTYPE = "PCM_16"


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "the recordings that `compress` compressed, as WAV files of 16 bits",
        "fastwavenet decompress hello.fwz -m voice.safetensors -o copy.wav",
    )
    option("source", type=path, help="compressed file, or folder of .fwz files")
    add_coding(option, "WAV file, for a folder a folder of them")
    option(
        "--salvage",
        action="store_true",
        help="of a damaged file, keep the blocks that are whole: silence takes the others' place",
    )
    option(
        "--begin",
        type=float,
        metavar="S",
        help="second at which the output begins; the blocks before it are not decoded (0)",
    )
    option("--seconds", type=float, metavar="S", help="length of the output (all that follows)")


def run(arguments: argparse.Namespace) -> int:
    is_part = arguments.begin is not None or arguments.seconds is not None
    if arguments.salvage and is_part:
        raise ValueError("--salvage gives whole files: leave out --begin and --seconds")
    files = outputs_of(arguments, ".wav")
    report, models = report_of(arguments), Models(arguments.model)

    def work() -> int:
        began = time.perf_counter()
        opened = [_opened(*names, models, arguments) for names in files]
        done = []
        for _, same in itertools.groupby(opened, key=lambda file: file.header[:2]):
            done += _decompress([*same], arguments, report)
        samples, lost = sum(d["samples"] for d in done), sum(len(d["lost"]) for d in done)
        seconds, rate = time.perf_counter() - began, opened[0].model.sample_rate
        report.result(
            {"seconds": seconds, "files": done},
            f"{samples:,} samples in {len(done)} file{'s' * (len(done) != 1)}"
            + (f", {lost} gaps" if lost else "")
            + f", {samples / rate / seconds:.1f} x real time",
        )
        return 0

    return interruptible(work)


class Models:
    """A model in the precisions of compressed files, loaded when the first of them is opened."""

    def __init__(self, path: Path):
        self.path = path
        self.loaded: dict[Precision, Model] = {}

    def in_precision(self, precision: Precision) -> Model:
        if precision not in self.loaded:
            self.loaded[precision] = load_model(self.path, precision)
        return self.loaded[precision]


class _File:
    """A compressed file and its output.

    part, wanted  the samples that are decoded, and those of them that are written
    blocks        the file's blocks
    These are known when `read` has begun.
    """

    part: Part
    wanted: Part
    blocks: Blocks | SalvagedBlocks

    def __init__(self, source: Path, target: Path, header: Header, model: Model):
        self.source, self.target, self.header, self.model = source, target, header, model

    def read(self, arguments: argparse.Namespace) -> Iterator[Block]:
        """The blocks to be decoded."""
        with _errors_named(self.source), open_regular(self.source) as file:
            file.seek(HEADER_BYTES)
            if arguments.salvage:
                total = sum(block.samples for block in SalvagedBlocks(file, self.header))
                file.seek(HEADER_BYTES)
                self.part = self.wanted = Part(0, total, total)
                self.blocks = SalvagedBlocks(file, self.header)
                yield from self.blocks
                return
            total = count_samples(file, self.header)
            self.wanted = _part(arguments, total, self.model.sample_rate)
            adds_up = self.model.spec.codec.pre_emphasis
            self.part = self.wanted._replace(first=0) if adds_up else self.wanted
            self.blocks = Blocks(file, self.header)
            yield from self.blocks.holding(self.part)


def _opened(source: Path, target: Path, models: Models, arguments: argparse.Namespace) -> _File:
    with _errors_named(source), open_regular(source) as file:
        header = read_header(file, correct=arguments.salvage)
        model = models.in_precision(header.precision)
        header.check_model(model)
        return _File(source, target, header, model)


@contextlib.contextmanager
def _errors_named(source: Path) -> Iterator[None]:
    """Errors of a compressed file begin with its name."""
    try:
        yield
    except CompressionError as error:
        raise CompressionError(f"{shown(source)}: {error}") from None


def _part(arguments: argparse.Namespace, samples: int, rate: int) -> Part:
    """The samples of a file that are written.  Raises ValueError unless the file has them."""
    expected = f"from 0 to the file's {samples / rate:g} seconds"
    begin = arguments.begin or 0.0
    begin = within("--begin", begin, 0, samples / rate, expected=expected)
    first = min(round(begin * rate), samples)
    if arguments.seconds is None:
        return Part(first, samples, samples)
    left = (samples - first) / rate
    expected = f"from 0 to the {left:g} seconds of the file behind --begin"
    seconds = within("--seconds", arguments.seconds, 0, left, expected=expected)
    return Part(first, min(first + round(seconds * rate), samples), samples)


def _decompress(
    files: list[_File], arguments: argparse.Namespace, report: Report
) -> list[dict[str, Any]]:
    """Writes the recordings of files of one mode and precision: blocks are decoded in step."""
    first, given = files[0], arguments
    coding = Coding(first.model, first.header.mode, given.isa, given.batch, given.threads)
    each = coding.decoded(file.read(arguments) for file in files)
    return [_write(file, each, coding, report) for file in files]


def _write(
    file: _File, each: Iterator[Iterator[Decoded]], coding: Coding, report: Report
) -> dict[str, Any]:
    """Writes the recording of the next file of `each`."""
    rate, name, lost = coding.model.sample_rate, shown(file.source), Lost()
    with report.progress(rate, f"{shown(Path(file.source.name))} ") as progress:
        decoded = next(each)
        first, end, _ = file.wanted
        check_size(end - first, 1, "WAV", SUBTYPE)
        with written_at_end(file.target) as out, _errors_named(file.source):
            out.write(wav_header(end - first, rate, SUBTYPE))
            done = 0
            for samples in _samples(file, decoded, coding, lost):
                out.write(samples)
                done += len(samples) // 2
                progress(done, end - first)
            out.write(wav_tail(end - first, SUBTYPE))
    for begin, behind in lost.runs:
        report.warn(f"{name}: lost {begin / rate:.3f} s to {behind / rate:.3f} s")
    cut_off = isinstance(file.blocks, SalvagedBlocks) and file.blocks.cut_off
    if cut_off:
        report.warn(f"{name}: cut off; blocks behind {end / rate:.3f} s may be missing")
    report.part(f"{end - first:,} samples  {shown(file.target)}")
    return {"file": str(file.target), "samples": end - first, "lost": lost.runs, "cut_off": cut_off}


def _samples(
    file: _File, decoded: Iterator[Decoded], coding: Coding, lost: Lost
) -> Iterator[bytes]:
    """The 16-bit samples that are written, in pieces of a block at most.  lost: receives the lost
    blocks of a file that is salvaged.
    """
    last, left_out = np.zeros(1, np.float32), file.wanted.first - file.part.first
    if isinstance(file.blocks, Blocks):
        pieces = coding.decompressed(decoded, file.blocks, file.part)
    else:
        pieces = map(coding.or_silence, map(lost.added, decoded))
    for samples in pieces:
        yield _pcm16(coding, samples, last)[2 * left_out :]
        left_out = max(left_out - len(samples), 0)


def _pcm16(coding: Coding, samples: np.ndarray, last: np.ndarray) -> bytes:
    """last: float32 (1,), the amplitude before them, from which de-emphasis continues."""
    if coding.mode == "pcm16":
        return samples.tobytes()
    spec = coding.model.spec
    plain = replace(spec.codec, pre_emphasis=0.0)
    audio = mu_law_decode(samples, spec.levels, codec=plain, isa=coding.isa)
    if spec.codec.pre_emphasis:
        audio = de_emphasised(audio, spec.codec, last)
    return wav_block(audio, SUBTYPE)
