"""fastwavenet decompress: compressed files to WAV files."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..atomic import open_regular, written_at_end
from ..audio import check_size
from ..checks import within
from ..compressed_file import (
    HEADER_BYTES,
    Blocks,
    CompressionError,
    Header,
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
        done = [_decompress(source, target, models, arguments, report) for source, target in files]
        samples, lost = sum(d["samples"] for d in done), sum(len(d["lost"]) for d in done)
        report.result(
            {"files": done},
            f"{samples:,} samples in {len(done)} file{'s' * (len(done) != 1)}"
            + (f", {lost} gaps" if lost else ""),
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


def _decompress(
    source: Path, target: Path, models: Models, arguments: argparse.Namespace, report: Report
) -> dict[str, Any]:
    try:
        with open_regular(source) as file:
            return _write(file, source, target, models, arguments, report)
    except CompressionError as error:
        raise CompressionError(f"{shown(source)}: {error}") from None


def _write(
    file: BinaryIO,
    source: Path,
    target: Path,
    models: Models,
    arguments: argparse.Namespace,
    report: Report,
) -> dict[str, Any]:
    began, lost = time.perf_counter(), Lost()
    header = read_header(file, correct=arguments.salvage)
    model = models.in_precision(header.precision)
    header.check_model(model)
    coding = Coding(model, header.mode, arguments.isa, arguments.batch, arguments.threads)
    of_file, cut_off = _count(file, header, arguments.salvage)
    first, end = _part(arguments, of_file, model.sample_rate)
    total = end - first
    check_size(total, 1, "WAV", SUBTYPE)
    if arguments.salvage:
        pieces = _salvaged(coding, file, header, lost)
    else:
        pieces = _samples(coding, Blocks(file, header), of_file, first, end)
    with (
        report.progress(model.sample_rate, f"{shown(Path(source.name))} ") as progress,
        written_at_end(target) as out,
    ):
        out.write(wav_header(total, model.sample_rate, SUBTYPE))
        done = 0
        for samples in pieces:
            out.write(samples)
            done += len(samples) // 2
            progress(done, total)
        out.write(wav_tail(total, SUBTYPE))
    seconds, rate = time.perf_counter() - began, model.sample_rate
    for first, end in lost.runs:
        report.warn(f"{shown(source)}: lost {first / rate:.3f} s to {end / rate:.3f} s")
    if cut_off:
        report.warn(f"{shown(source)}: cut off; blocks behind {total / rate:.3f} s may be missing")
    report.part(f"{total / rate / seconds:.1f} x real time  {shown(target)}")
    return {
        "file": str(target),
        "samples": total,
        "lost": lost.runs,
        "cut_off": cut_off,
        "seconds": seconds,
    }


def _count(file: BinaryIO, header: Header, salvaging: bool) -> tuple[int, bool]:
    """Samples of the file, and whether its end is missing."""
    if not salvaging:
        return count_samples(file, header), False
    blocks = SalvagedBlocks(file, header)
    total = sum(block.samples for block in blocks)
    file.seek(HEADER_BYTES)
    return total, blocks.cut_off


def _part(arguments: argparse.Namespace, samples: int, rate: int) -> tuple[int, int]:
    """The first sample of the output, and the one behind its last.

    Raises ValueError unless the file has them.
    """
    expected = f"from 0 to the file's {samples / rate:g} seconds"
    begin = arguments.begin or 0.0
    begin = within("--begin", begin, 0, samples / rate, expected=expected)
    first = min(round(begin * rate), samples)
    if arguments.seconds is None:
        return first, samples
    left = (samples - first) / rate
    expected = f"from 0 to the {left:g} seconds of the file behind --begin"
    seconds = within("--seconds", arguments.seconds, 0, left, expected=expected)
    return first, min(first + round(seconds * rate), samples)


def _samples(coding: Coding, blocks: Blocks, total: int, first: int, end: int) -> Iterator[bytes]:
    """16-bit samples [first, end) of a file of `total`, in pieces of a block at most."""
    begin = 0 if coding.adds_up else first
    last, left_out = np.zeros(1, np.float32), first - begin
    for samples in coding.decompressed(blocks, total, begin, end):
        yield _pcm16(coding, samples, last)[2 * left_out :]
        left_out = max(left_out - len(samples), 0)


def _salvaged(coding: Coding, file: BinaryIO, header: Header, lost: Lost) -> Iterator[bytes]:
    """16-bit samples, block by block.  lost: receives the lost blocks."""
    last = np.zeros(1, np.float32)
    for decoded in coding.decoded(SalvagedBlocks(file, header)):
        lost.add(decoded)
        yield _pcm16(coding, coding.or_silence(decoded), last)


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
