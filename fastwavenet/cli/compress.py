"""fastwavenet compress: recordings to compressed files, without loss."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import check_folder, check_target, is_special_file, written_at_end
from ..audio_finding import search_audio
from ..audio_reading import audio_blocks, encoded_blocks
from ..audio_source import AudioError
from ..checks import within
from ..compressed_file import MAX_BLOCK
from ..compression import BATCH, Coding
from ..shown import shown
from .arguments import AddOption, add_command, add_precision, path
from .models import MODEL, load_model, model_file
from .report import Report
from .signals import interruptible
from .sound import DESCRIPTOR_1, STDOUT

SUFFIX = ".fwz"
FULL_SCALE = 2**15


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "compress recordings without loss, by a model that predicts them",
        "fastwavenet compress hello.wav -m voice.safetensors -o hello.fwz",
    )
    option("source", type=path, help="audio file, or folder of them")
    add_coding(option, f"file, for a folder a folder of {SUFFIX} files")
    option(
        "--mode",
        choices=("pcm16", "codes"),
        default="pcm16",
        help="pcm16: 16-bit samples come back as they are; codes: the model's codes (%(default)s)",
    )
    option("--convert", action="store_true", help="mix down and resample, with --mode codes")
    option(
        "--block",
        type=float,
        default=1.0,
        metavar="S",
        help="seconds that are decompressed alone: damage stays within them (%(default)s)",
    )
    add_precision(option)


def add_coding(option: AddOption, output: str) -> None:
    """Options of both directions.  output: the help of -o."""
    option("-m", "--model", type=path, required=True, help=MODEL)
    option("-o", "--output", type=path, required=True, help=f"{output}; - is standard output")
    option("--isa", help="instruction set to use; changes the speed only")
    option(
        "--batch",
        type=int,
        default=BATCH,
        metavar="N",
        help="blocks in step; changes speed and memory only (%(default)s)",
    )
    option(
        "--threads",
        type=int,
        default=1,
        metavar="N",
        help="groups of blocks at the same time; changes the speed only (%(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.convert and arguments.mode == "pcm16":
        raise ValueError("--convert changes the samples: with --mode codes only")
    files = outputs_of(arguments, SUFFIX)
    report = report_of(arguments)
    model = load_model(arguments.model, arguments.precision)
    seconds = within("--block", arguments.block, 1 / model.sample_rate, MAX_BLOCK)
    block = min(round(seconds * model.sample_rate), MAX_BLOCK)
    coding = Coding(model, arguments.mode, arguments.isa, arguments.batch, arguments.threads)

    def work() -> int:
        began = time.perf_counter()
        done = _compress(coding, files, block, arguments.convert, report)
        samples, size = sum(d["samples"] for d in done), sum(d["bytes"] for d in done)
        seconds = time.perf_counter() - began
        values = {"mode": coding.mode, "precision": model.precision, "seconds": seconds}
        report.result(
            values | {"files": done},
            f"{samples:,} samples in {size:,} bytes, {8 * size / max(samples, 1):.3f} bits per "
            f"sample ({coding.mode}, {model.precision}), "
            f"{samples / model.sample_rate / seconds:.1f} x real time",
        )
        return 0

    return interruptible(work)


def report_of(arguments: argparse.Namespace) -> Report:
    """On stderr if the output goes to stdout."""
    return Report(arguments, stdout_is_taken=arguments.output in DESCRIPTOR_1)


def outputs_of(arguments: argparse.Namespace, suffix: str) -> list[tuple[Path, Path]]:
    """Each recording or compressed file with the name of its output.

    Raises ValueError or OSError if there are none, or if an output cannot be written or would
    replace an input.
    """
    files = _named(arguments.source, arguments.output, suffix)
    inputs = [*(source for source, _ in files), model_file(arguments.model)]
    read = {(s.st_dev, s.st_ino) for s in (file.stat() for file in inputs if file.exists())}
    for target in (target for _, target in files if target.is_file()):
        if (target.stat().st_dev, target.stat().st_ino) in read:
            raise ValueError(f"{shown(target)} is read and would be replaced: name another output")
    return files


def _named(source: Path, output: Path, suffix: str) -> list[tuple[Path, Path]]:
    if not source.is_dir():
        if output == STDOUT:
            output = Path("/dev/stdout")
        if output.suffix.lower() != suffix and not is_special_file(output):
            raise ValueError(f"-o {shown(output)}: the name must end in {suffix}")
        check_target(output)
        return [(source, output)]
    found = sorted(source.rglob(f"*{SUFFIX}")) if suffix != SUFFIX else search_audio(source).files
    if not found:
        kind = "audio" if suffix == SUFFIX else SUFFIX
        raise ValueError(f"{shown(source)}: expected {kind} files in the folder, found none")
    check_folder(output)
    sources: dict[Path, Path] = {}  # target -> source
    for file in found:
        target = (output / file.relative_to(source)).with_suffix(suffix)
        if target in sources:
            raise ValueError(
                f"{shown(sources[target])} and {shown(file)} would both become {shown(target)}: "
                f"rename one of them"
            )
        sources[target] = file
    for target in sources:
        target.parent.mkdir(parents=True, exist_ok=True)
        check_target(target)
    return [(file, target) for target, file in sources.items()]


def _compress(
    coding: Coding, files: list[tuple[Path, Path]], block: int, convert: bool, report: Report
) -> list[dict[str, Any]]:
    """Writes the compressed files of recordings, whose blocks are computed in step."""
    counted = 0

    def progress(samples: int) -> None:
        nonlocal counted
        counted = samples
        line(samples, None)

    recordings = (_pieces(coding, source, convert, report) for source, _ in files)
    compressed, done = coding.compressed(recordings, block, progress), []
    for source, target in files:
        counted = 0
        with report.progress(coding.model.sample_rate, f"{shown(Path(source.name))} ") as line:
            parts = next(compressed)
            with written_at_end(target) as file:
                size = sum(map(file.write, parts))
        report.part(f"{8 * size / max(counted, 1):.3f} bits per sample  {shown(target)}")
        done.append({"file": str(target), "samples": counted, "bytes": size})
    return done


def _pieces(coding: Coding, source: Path, convert: bool, report: Report) -> Iterator[np.ndarray]:
    """The samples of a recording, in the mode."""
    spec = coding.model.spec
    blocks = audio_blocks(source, spec.sample_rate, convert, report.warn)
    if coding.mode == "codes":
        yield from encoded_blocks(blocks, spec)
        return
    done = 0
    for block in blocks:
        yield _pcm16(block, source, done)
        done += len(block)


def _pcm16(block: np.ndarray, source: Path, done: int) -> np.ndarray:
    """int16 of float32 samples that are whole numbers of 16 bits."""
    scaled = block * np.float32(FULL_SCALE)
    whole = (scaled == np.rint(scaled)) & (scaled >= -FULL_SCALE) & (scaled < FULL_SCALE)
    if not whole.all():
        at = int(np.argmin(whole))
        raise AudioError(
            f"{shown(source)}: sample {done + at} is {block[at]}, expected 16 bits: "
            f"compress with --mode codes, or convert it first"
        )
    return scaled.astype(np.int16)
