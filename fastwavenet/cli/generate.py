"""fastwavenet generate: sound from a model file."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from pathlib import Path

import numpy as np

from ..audio import check_output, encode_audio, read_audio, write_audio
from ..engine import Generator
from ..files import is_stream
from ..isa import isa as resolve_isa
from ..model import Model
from ..plots import check_picture
from ..shown import shown
from .arguments import add_command, add_precision
from .models import load_model
from .report import Report, is_terminal

MAX_SAMPLES = 2**31 - 64  # what a WAV file of 16-bit samples holds
MAX_BATCH = 65536
MAX_PLOTTED = 16
STDOUT = Path("-")


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "generate sound from a model file",
        "fastwavenet generate voice.safetensors -o out.wav --seconds 4 --seed 7 --temperature 0.9",
        extra="plot",
    )
    option("model", type=Path, help="model file, or run folder: its best model")
    option(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help=".wav or .flac; - writes WAV to standard output",
    )
    option("--seconds", type=float, help="length (4, unless --samples is given)")
    option("--samples", type=int, metavar="N", help="length in samples")
    option("--seed", type=int, help="same seed, same sound; without it, one is drawn and shown")
    option("--stream", type=int, default=0, metavar="I", help="number of the random stream (0)")
    option(
        "--batch",
        type=int,
        metavar="N",
        help="N voices at once, into out-0.wav, out-1.wav ...; voice i is that of --stream I+i",
    )
    option("--temperature", type=float, default=1.0, help="below 1: more predictable (%(default)s)")
    option("--top-k", type=int, metavar="K", help="draw among the K most probable codes only")
    option("--prime", type=Path, metavar="FILE", help="recording to continue; not in the output")
    option("--convert", action="store_true", help="mix down and resample --prime if needed")
    option("--subtype", default="PCM_16", help="sample format of the file (%(default)s)")
    option("--plot", type=Path, metavar="PNG", help="picture of waveform and spectrogram")
    add_precision(option)
    option("--isa", help="instruction set to use; changes the speed only")
    option(
        "--threads",
        type=int,
        default=1,
        metavar="N",
        help="2: with a second thread, if that is faster; changes the speed only (%(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    model = load_model(arguments.model, arguments.precision)
    n = _length(arguments, model.sample_rate)
    outputs = _outputs(arguments)
    _check_outputs(arguments, outputs, n)
    report = Report(arguments, stdout_is_taken=outputs == [STDOUT] or is_stream(outputs[0]))
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    audio, seconds = _generate(model, n, seed, arguments, report)
    for path, voice in zip(outputs, audio, strict=True):
        _write(path, voice, model.sample_rate, arguments.subtype)
    if arguments.plot is not None:
        _plot(arguments.plot, outputs, audio, model.sample_rate)
    speed = audio.size / seconds
    report.result(
        {
            "output": [str(path) for path in outputs],
            "samples": n,
            "sample_rate": model.sample_rate,
            "seed": seed,
            "stream": arguments.stream,
            "precision": model.precision,
            "isa": resolve_isa(arguments.isa),
            "samples_per_second": speed,
            "times_real_time": speed / model.sample_rate,
        },
        f"{_joined(outputs)}: {n / model.sample_rate:g} s, seed {seed}, {model.precision}, "
        f"{speed:,.0f} samples/s, {speed / model.sample_rate:.1f} x real time",
    )
    return 0


def _generate(
    model: Model, n: int, seed: int, arguments: argparse.Namespace, report: Report
) -> tuple[np.ndarray, float]:
    """float32 (voices, n), and the seconds it took."""
    voices = Generator(
        model,
        seed=seed,
        stream=arguments.stream,
        batch=1 if arguments.batch is None else arguments.batch,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        isa=arguments.isa,
        threads=arguments.threads,
    )
    if arguments.prime is not None:
        voices.prime(read_audio(arguments.prime, model.sample_rate, arguments.convert)[0])
    began = time.perf_counter()
    with report.progress(model.sample_rate) as progress:
        audio = voices.generate(n, progress=progress)
    return audio, time.perf_counter() - began


def _length(arguments: argparse.Namespace, sample_rate: int) -> int:
    """--seconds or --samples, in samples."""
    if arguments.seconds is not None and arguments.samples is not None:
        raise ValueError("give either --seconds or --samples, not both")
    longest = MAX_SAMPLES / sample_rate
    if arguments.samples is not None:
        if not 1 <= arguments.samples <= MAX_SAMPLES:
            raise ValueError(f"--samples must be from 1 to {MAX_SAMPLES}, not {arguments.samples}")
        return arguments.samples
    seconds = 4.0 if arguments.seconds is None else arguments.seconds
    if not 1 / sample_rate <= seconds <= longest:  # neither is NaN
        raise ValueError(
            f"--seconds must be from {1 / sample_rate:g} to {longest:g}, not {seconds}"
        )
    return round(seconds * sample_rate)


def _outputs(arguments: argparse.Namespace) -> list[Path]:
    """A file for each voice."""
    path, batch = arguments.output, arguments.batch
    if batch is None:
        return [path]
    if not 1 <= batch <= MAX_BATCH:
        raise ValueError(f"--batch must be from 1 to {MAX_BATCH}, not {batch}")
    if path == STDOUT:
        raise ValueError("-o - holds one voice: leave out --batch, or name a file")
    digits = len(str(batch - 1))
    return [path.with_stem(f"{path.stem}-{i:0{digits}}") for i in range(batch)]


def _check_outputs(arguments: argparse.Namespace, outputs: list[Path], n: int) -> None:
    """Before the work: can n samples be written there?"""
    if outputs == [STDOUT]:
        if is_terminal(sys.stdout):
            raise ValueError("-o - writes a WAV file: send it to a file or a pipe, not a terminal")
        encode_audio(np.zeros(1), 1, "WAV", arguments.subtype)
    else:
        for path in outputs:
            check_output(path, arguments.subtype, n)
    if arguments.plot is not None:
        import matplotlib  # noqa: F401  a missing one is said now

        if len(outputs) > MAX_PLOTTED:
            raise ValueError(f"--plot draws up to {MAX_PLOTTED} voices, not {len(outputs)}")
        check_picture(arguments.plot)


def _write(path: Path, audio: np.ndarray, sample_rate: int, subtype: str) -> None:
    if path == STDOUT:
        sys.stdout.buffer.write(encode_audio(audio, sample_rate, "WAV", subtype))
        sys.stdout.buffer.flush()
    else:
        write_audio(path, audio, sample_rate, subtype)


def _plot(path: Path, outputs: list[Path], audio: np.ndarray, sample_rate: int) -> None:
    from ..plots import save_sounds

    titles = ["generated" if output == STDOUT else output.name for output in outputs]
    save_sounds(path, dict(zip(titles, audio, strict=True)), sample_rate)


def _joined(outputs: list[Path]) -> str:
    if outputs == [STDOUT]:
        return "standard output"
    last = f" ... {shown(Path(outputs[-1].name))}" if len(outputs) > 1 else ""
    return f"{shown(outputs[0])}{last}"
