"""The command line: train, export, generate, demo."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from . import modelfile
from .audio import check_output, write_audio
from .engine import generate, load
from .files import replace_atomically

MAX_SAMPLES = 2**31 - 64  # what a WAV file of 16-bit samples holds
EXTRAS = {"torch": "train", "tqdm": "train", "matplotlib": "plot"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code: 0, 2 after an error, 130 after Ctrl-C.

    Whatever is wrong with the input becomes one line on stderr.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except KeyboardInterrupt:
        print("fastwavenet: interrupted", file=sys.stderr)
        return 130
    except (ValueError, ArithmeticError, OSError, MemoryError, ImportError) as error:
        print(f"fastwavenet: error: {_one_line(error)}", file=sys.stderr)
        return 2


def train_command(arguments: argparse.Namespace) -> int:
    _share_the_cores()
    from .training import train

    summary = train(
        arguments.source,
        arguments.output,
        preset=arguments.preset,
        sample_rate=arguments.sample_rate,
        minutes=arguments.minutes,
        steps=arguments.steps,
        seed=arguments.seed,
        convert=arguments.convert,
        validation=arguments.validation,
    )
    print(
        f"{'interrupted' if summary.interrupted else 'done'} after {summary.steps} steps and "
        f"{summary.seconds:.0f} s; the best model has {summary.validation_loss:.3f} nats per "
        f"sample on held-out audio: {summary.model}"
    )
    return 130 if summary.interrupted else 0


def export_command(arguments: argparse.Namespace) -> int:
    source = arguments.run / ("latest.safetensors" if arguments.latest else "model.safetensors")
    if not source.is_file():
        raise FileNotFoundError(
            f"{arguments.run}: expected a run folder of `fastwavenet train`, with {source.name}"
        )
    spec, _ = modelfile.load(source)
    replace_atomically(arguments.output, source.read_bytes())
    print(f"{arguments.output}: {spec.layers} layers, {spec.sample_rate} Hz")
    return 0


def generate_command(arguments: argparse.Namespace) -> int:
    check_output(arguments.output)
    model = load(arguments.model)
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    n = _length(arguments, model.sample_rate)
    began = time.perf_counter()
    audio = generate(
        model,
        n_samples=n,
        seed=seed,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        isa=arguments.isa,
        progress=_show_progress if sys.stderr.isatty() else None,
    )
    speed = n / (time.perf_counter() - began)
    write_audio(arguments.output, audio, model.sample_rate)
    print(
        f"{arguments.output}: {n / model.sample_rate:g} s, seed {seed}, "
        f"{speed:,.0f} samples/s, {speed / model.sample_rate:.1f} x real time"
    )
    return 0


def demo_command(arguments: argparse.Namespace) -> int:
    _share_the_cores()
    from .demo import run_demo

    run_demo(arguments.output, arguments.minutes)
    return 0


def _share_the_cores() -> None:
    """Before torch is imported: its threads are to wait for each other politely.

    On two cores with one other busy process, GNU OpenMP's usual spinning makes a training step 40
    times as long.  So many spins cost 5 % on an idle machine, and a factor of 3 on a busy one.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


# ---- arguments -------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:  # one line, like every other error
        self.exit(2, f"fastwavenet: error: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fastwavenet", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(commands)
    _add_export(commands)
    _add_generate(commands)
    _add_demo(commands)
    return parser


def _add_train(commands: argparse._SubParsersAction) -> None:
    add = _command(
        commands,
        "train",
        train_command,
        "train a WaveNet on recordings; Ctrl-C stops early and keeps what was learnt",
        "fastwavenet train recordings/ -o run/ --preset small --minutes 10",
    )
    add("source", type=Path, help="an audio file, or a folder of them")
    add("-o", "--output", type=Path, required=True, metavar="RUN", help="folder for the run")
    add("--preset", default="small", help="size of the network: tiny or small (%(default)s)")
    add("--minutes", type=float, help="how long to train (10, unless --steps is given)")
    add("--steps", type=int, help="how many steps to train")
    add("--seed", type=int, default=0, help="of weights and windows (%(default)s)")
    add("--sample-rate", type=int, default=16000, metavar="HZ", help="(%(default)s)")
    add("--convert", action="store_true", help="mix down and resample what needs it")
    add(
        "--validation",
        type=Path,
        metavar="SOURCE",
        help="audio to validate on (default: every 20th file)",
    )


def _add_export(commands: argparse._SubParsersAction) -> None:
    add = _command(
        commands,
        "export",
        export_command,
        "copy the best model of a run into one checked file",
        "fastwavenet export run/ -o voice.safetensors",
    )
    add("run", type=Path, help="folder left by `fastwavenet train`")
    add("-o", "--output", type=Path, required=True, metavar="FILE")
    add("--latest", action="store_true", help="the latest weights instead of the best")


def _add_generate(commands: argparse._SubParsersAction) -> None:
    add = _command(
        commands,
        "generate",
        generate_command,
        "generate sound from a model file",
        "fastwavenet generate voice.safetensors -o out.wav --seconds 4 --seed 7 --temperature 0.9",
    )
    add("model", type=Path, help="model file")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help=".wav or .flac")
    add("--seconds", type=float, help="length (4, unless --samples is given)")
    add("--samples", type=int, metavar="N", help="length in samples")
    add("--seed", type=int, help="same seed, same sound; without it, one is drawn and shown")
    add("--temperature", type=float, default=1.0, help="below 1: more predictable (%(default)s)")
    add("--top-k", type=int, metavar="K", help="draw among the K most probable codes only")
    add("--isa", help="instruction set to use; changes the speed only")


def _add_demo(commands: argparse._SubParsersAction) -> None:
    add = _command(
        commands,
        "demo",
        demo_command,
        "train on the bundled clip for a minute, generate, and compare speeds",
        "fastwavenet demo -o demo/",
    )
    add("-o", "--output", type=Path, default=Path("demo"), metavar="FOLDER", help="(%(default)s)")
    add("--minutes", type=float, default=1.0, help="how long to train (%(default)s)")


def _command(
    commands: argparse._SubParsersAction,
    name: str,
    function: Callable[[argparse.Namespace], int],
    description: str,
    example: str,
) -> Callable[..., argparse.Action]:
    """Adds a command; returns the `add_argument` of its parser."""
    parser = commands.add_parser(
        name,
        help=description,
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # keeps the example in one line
    )
    parser.set_defaults(command=function)
    return parser.add_argument


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


# ---- output ----------------------------------------------------------------------------------


def _show_progress(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{100 * done // total} %", end=end, file=sys.stderr, flush=True)


def _one_line(error: Exception) -> str:
    if isinstance(error, ImportError) and error.name in EXTRAS:
        return f"{error.name} is missing: pip install 'fastwavenet[{EXTRAS[error.name]}]'"
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}".rstrip(": ")
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
