"""fastwavenet generate: sound from a model file."""

from __future__ import annotations

import argparse
import math
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..activity import Activity, advice
from ..bundled_voices import INSTRUMENT, instrument
from ..checks import integer, whole
from ..generator import Generator
from ..instruction_sets import isa as resolve_isa
from ..model import Model
from ..piano_roll import has_piano_roll, melody
from ..plots import check_picture, save_sounds
from ..shown import shown
from ..spec import WaveNetSpec
from ..types import Audio
from .arguments import AddOption, add_command, add_sampling, add_speed, path
from .conditioning import add_frames, add_speaker, read_frames, speaker_of, takes_frames
from .models import MODEL, load_model, model_file
from .priming import GivenFrames, prime
from .report import Report, put
from .shards import add_shard, check_seed, report_empty
from .signals import ended_like_ctrl_c, exit_code
from .sound import STDOUT, Files, Recording, SoundStream, Taker, check_sound, is_streamed

MAX_SAMPLES = 2**31 - 64  # in a WAV file of 16 bits
MAX_RAW = 2**40
MAX_BATCH = 65536
MAX_PLOTTED = 16
FIRST_BLOCK, MAX_BLOCK = 32, 2**14  # samples
BLOCK_SECONDS = 0.02  # to compute a block, about: Ctrl-C loses no more than that


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "generate sound from a model file, or from an instrument that ships",
        "fastwavenet generate voice.safetensors -o out.wav --seconds 4 --seed 7",
        extra="plot",
    )
    option("model", type=path, nargs="?", help=f"{MODEL}; without it {INSTRUMENT}")
    _add_length(option)
    _add_voices(option)
    add_sampling(option)
    _add_files(option)
    add_speed(option)


def _add_length(option: AddOption) -> None:
    """The output and its length."""
    option(
        "-o",
        "--output",
        type=path,
        required=True,
        metavar="FILE",
        help=".wav or .flac; - writes WAV to standard output while it is generated",
    )
    option(
        "--seconds",
        type=float,
        help="length (that of the frames; without frames or --samples 4); inf: endless",
    )
    option("--samples", type=int, metavar="N", help="length in samples")


def _add_voices(option: AddOption) -> None:
    """Random numbers, and the number of voices."""
    option("--seed", type=int, help="same seed, same sound; without it, one is drawn and shown")
    option("--stream", type=int, default=0, metavar="I", help="number of the random stream (0)")
    option(
        "--batch",
        type=int,
        metavar="N",
        help="N voices at once, into out-0.wav, out-1.wav ...; voice i is that of --stream I+i",
    )
    add_shard(option, "voices of --batch")


def _add_files(option: AddOption) -> None:
    """Frames, the recording to continue, the format of the output, and a picture."""
    add_frames(option, "frames (frames, channels) for all voices, for a model with frames")
    option(
        "--notes",
        metavar="NOTES",
        help='melody for an instrument: "D5:0.5 F#5 - A5:1", names with durations in seconds '
        "(one is improvised by --seed)",
    )
    add_speaker(option)
    option(
        "--prime",
        type=path,
        metavar="FILE",
        help="recording to continue; not in the output.  A model of other frames than mel frames "
        "takes the first ones of --frames for it",
    )
    option("--convert", action="store_true", help="mix down and resample --prime if needed")
    option("--subtype", default="PCM_16", help="sample format of the file (%(default)s)")
    option("--raw", action="store_true", help="16-bit samples, little-endian, without a header")
    option("--plot", type=path, metavar="PNG", help="picture of waveform and spectrogram")


class Made(NamedTuple):
    """seconds: of computing, without the time for which a reader kept us waiting."""

    samples: int
    seconds: float
    activity: Activity
    interrupted: bool


def run(arguments: argparse.Namespace) -> int:
    if arguments.model is None:
        arguments.model = instrument()
    model = load_model(arguments.model, arguments.precision)
    outputs, streams = _outputs(arguments), _streams(arguments)
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    frames = _frames(arguments, model, seed)
    n = _length(arguments, model.spec, frames)
    if not outputs:
        return report_empty(arguments.shard, "voices", Report(arguments), output=[])
    check_sound(outputs, n, arguments.subtype, arguments.raw)
    _check_inputs_stay(arguments, outputs)
    _check_plot(arguments, outputs, n)
    report = Report(arguments, stdout_is_taken=is_streamed(outputs))
    voices = _voices(model, streams, seed, arguments)
    given = GivenFrames(frames)
    if arguments.prime is not None:
        given = prime(voices, frames, arguments, report)
        n = _length(arguments, model.spec, given.sound)
    sound = _sound(outputs, n, model.sample_rate, arguments, report)
    picture = Recording(len(outputs), int(n)) if arguments.plot is not None else None
    with ended_like_ctrl_c() as signals:
        sound.begin()
        takers = [sound] if picture is None else [sound, picture]
        made = _generate(voices, n, given, takers, report)
        interrupted = sound.finish() or made.interrupted
    made = made._replace(samples=sound.samples, interrupted=interrupted)
    if picture is not None:
        _plot(arguments.plot, outputs, picture.kept(), model.sample_rate)
    remedy = advice(voices.temperature, arguments.prime is not None)
    _remark(made.activity, outputs, remedy, report)
    _report(made, voices, outputs, streams, arguments, report)
    return exit_code(signals) if made.interrupted else 0


def _frames(arguments: argparse.Namespace, model: Model, seed: int) -> Audio | None:
    """(frames, channels): given, of notes, or of an improvisation; None for a model without."""
    file, notes = arguments.frames, arguments.notes
    if file is not None and notes is not None:
        raise ValueError("give either --frames or --notes, not both")
    if file is not None:
        return read_frames(file, model.spec)
    if notes is not None:
        return melody(model, notes)
    if has_piano_roll(model.spec):
        return melody(model, seconds=_improvised_seconds(arguments, model.spec), seed=seed)
    if takes_frames(model.spec):
        raise ValueError(
            "the model makes the sound of frames: give --frames FILE.npy; of recordings, use "
            "fastwavenet vocode"
        )
    return None


def _improvised_seconds(arguments: argparse.Namespace, spec: WaveNetSpec) -> float:
    """Of whole frames, at least the length that was asked for."""
    n = _stated_length(arguments, spec.sample_rate)
    if n == math.inf:
        raise ValueError("an improvised melody has an end: --seconds must be a number")
    return spec.conditioning.frames(int(n)) * spec.conditioning.hop / spec.sample_rate  # type: ignore[union-attr]


def _streams(arguments: argparse.Namespace) -> range:
    """The random stream of each voice of the shard."""
    batch = 1 if arguments.batch is None else arguments.batch
    first = integer("stream", arguments.stream, 0, 2**32 - batch)
    return arguments.shard.of(range(first, first + batch))


def _voices(model: Model, streams: range, seed: int, arguments: argparse.Namespace) -> Generator:
    """Ready to generate (voices, n)."""
    return Generator(
        model,
        seed=seed,
        stream=streams.start,
        batch=len(streams),
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        min_p=arguments.min_p,
        speaker=speaker_of(model.spec, arguments.speaker),
        isa=arguments.isa,
        threads=arguments.threads,
    )


def _sound(
    outputs: list[Path], n: float, sample_rate: int, arguments: argparse.Namespace, report: Report
) -> Files | SoundStream:
    if not is_streamed(outputs):
        return Files(outputs, int(n), sample_rate, arguments.subtype, arguments.raw)
    stream = SoundStream(outputs[0], n, sample_rate, arguments.subtype, arguments.raw)
    stream.open(report)
    return stream


def _generate(
    voices: Generator,
    n: float,
    frames: GivenFrames,
    takers: Sequence[Taker],
    report: Report,
) -> Made:
    """Hands over blocks that begin small, so that a reader gets its first sound at once.

    Ctrl-C ends it with all complete blocks handed over, or is raised if there is none.
    """
    rate = voices.model.sample_rate
    activity, done, size, seconds = Activity(voices.batch or 1, rate), 0, FIRST_BLOCK, 0.0
    interrupted = False
    try:
        with report.progress(rate) as progress:
            while done < n:
                began = time.perf_counter()
                block = _block(voices, frames, done, size, n)
                took = time.perf_counter() - began
                for taker in takers:
                    taker.add(block)
                activity.add(block)
                done, seconds = done + block.shape[1], seconds + took
                progress(done, None if n == math.inf else int(n))
                size = _next_size(size, took)
    except KeyboardInterrupt:
        if not done:
            raise
        interrupted = True
    return Made(takers[0].samples, seconds, activity, interrupted)


def _block(voices: Generator, frames: GivenFrames, done: int, size: int, n: float) -> np.ndarray:
    """About `size` samples from sample `done` on; with frames, whole ones, except at the end."""
    if frames.values is None:
        return voices.generate(int(min(size, n - done)))
    end = voices.model.spec.conditioning
    assert end is not None  # it has frames
    count = int(min(max(size // end.hop, 1) * end.hop, n - done))
    values, at = frames.of_samples(end, done, count)
    return voices.generate(count, frames=values, at=at)


def _next_size(size: int, took: float) -> int:
    """Of a block, so that it takes about BLOCK_SECONDS; `took`: seconds for one of `size`."""
    if took > 2 * BLOCK_SECONDS:
        return max(1, size // 2)
    return min(2 * size, MAX_BLOCK) if took < BLOCK_SECONDS / 2 else size


def _remark(activity: Activity, outputs: list[Path], remedy: str, report: Report) -> None:
    """Warns of a result that is silent, or a single value."""
    if not (still := activity.still_voices()):
        return
    which = "" if len(outputs) == 1 else f"{still} of {len(outputs)} voices: "
    share = f"{activity.share():.0%}"
    report.warn(f"{which}{share} of the sound is silent (below -55 dB) or one value: {remedy}")


def _report(
    made: Made,
    voices: Generator,
    outputs: list[Path],
    streams: range,
    arguments: argparse.Namespace,
    report: Report,
) -> None:
    """Length, seed and speed; after Ctrl-C, length and seed on stderr."""
    rate, precision = voices.model.sample_rate, voices.model.precision
    speed = made.samples * len(outputs) / made.seconds
    about = f"{made.samples / rate:g} s, seed {voices.seed}"
    line = (
        f"{_joined(outputs)}: {about}, {precision}, "
        f"{speed:,.0f} samples/s, {speed / rate:.1f} x real time"
    )
    if made.interrupted:
        put(f"fastwavenet: interrupted: {_joined(outputs)} has {about}", sys.stderr)
    report.result(
        {
            "output": [str(path) for path in outputs],
            "samples": made.samples,
            "sample_rate": rate,
            "seed": voices.seed,
            "stream": streams.start,
            **({} if arguments.frames is None else {"frames": str(arguments.frames)}),
            **({} if arguments.speaker is None else {"speaker": arguments.speaker}),
            "precision": precision,
            "isa": resolve_isa(arguments.isa),
            "samples_per_second": speed,
            "times_real_time": speed / rate,
        },
        *([] if made.interrupted else [line]),
    )


def _length(arguments: argparse.Namespace, spec: WaveNetSpec, frames: Audio | None) -> float:
    """--seconds or --samples, in samples, or all frames; math.inf without an end."""
    if arguments.seconds is not None and arguments.samples is not None:
        raise ValueError("give either --seconds or --samples, not both")
    if frames is None or spec.conditioning is None:
        return _stated_length(arguments, spec.sample_rate)
    hop = spec.conditioning.hop
    if arguments.seconds is None and arguments.samples is None:
        return len(frames) * hop
    n = _stated_length(arguments, spec.sample_rate)
    if n > len(frames) * hop:
        stated = "--samples" if arguments.seconds is None else "--seconds"
        raise ValueError(
            f"{stated} is {n:,} samples, but the {len(frames)} frames, with hop {hop}, last "
            f"{len(frames) * hop:,}"
        )
    return n


def _stated_length(arguments: argparse.Namespace, sample_rate: int) -> float:
    """--seconds, 4 if it is left out, or --samples, in samples."""
    most = MAX_RAW if arguments.raw else MAX_SAMPLES
    if arguments.samples is not None:
        return whole("--samples", arguments.samples, 1, most, expected=f"from 1 to {most}")
    seconds = 4.0 if arguments.seconds is None else arguments.seconds
    if seconds == math.inf and arguments.raw:
        return math.inf
    if not 1 / sample_rate <= seconds <= most / sample_rate:  # neither is NaN
        raise ValueError(
            f"--seconds must be from {1 / sample_rate:g} to {most / sample_rate:g}, not {seconds}"
            + (": endless sound has no header, add --raw" if seconds == math.inf else "")
        )
    return round(seconds * sample_rate)


def _outputs(arguments: argparse.Namespace) -> list[Path]:
    """A file for each voice of the shard."""
    path, batch = arguments.output, arguments.batch
    check_seed(arguments.shard, arguments.seed)
    if batch is None and not arguments.shard.is_whole:
        raise ValueError(f"--shard {arguments.shard} needs --batch N, the voices of all shards")
    if batch is None:
        return [path]
    whole("--batch", batch, 1, MAX_BATCH, expected=f"from 1 to {MAX_BATCH}")
    if path == STDOUT:
        raise ValueError("-o - holds one voice: leave out --batch, or name a file")
    digits = len(str(batch - 1))
    own = arguments.shard.of(range(batch))
    return [path.with_stem(f"{path.stem}-{i:0{digits}}") for i in own]


def _check_inputs_stay(arguments: argparse.Namespace, outputs: list[Path]) -> None:
    """Raises ValueError if an output would replace the model, the prime or the frames."""
    optional = [given for given in (arguments.prime, arguments.frames) if given]
    inputs = [model_file(arguments.model), *optional]
    written = [*outputs, *([arguments.plot] if arguments.plot else [])]
    for output in (file for file in written if file.is_file()):
        for given in inputs:
            if given.exists() and output.samefile(given):
                raise ValueError(
                    f"{shown(output)} is read and would be replaced: name another output"
                )


def _check_plot(arguments: argparse.Namespace, outputs: list[Path], n: float) -> None:
    """Before the work."""
    if arguments.plot is None:
        return
    import matplotlib  # noqa: F401  a missing one is an error now

    if len(outputs) > MAX_PLOTTED:
        raise ValueError(f"--plot draws up to {MAX_PLOTTED} voices, not {len(outputs)}")
    if n == math.inf:
        raise ValueError("--plot draws a whole sound, expected a length, not --seconds inf")
    check_picture(arguments.plot)


def _plot(path: Path, outputs: list[Path], audio: np.ndarray, sample_rate: int) -> None:
    titles = ["generated" if output == STDOUT else output.name for output in outputs]
    save_sounds(path, dict(zip(titles, audio, strict=True)), sample_rate)


def _joined(outputs: list[Path]) -> str:
    if outputs == [STDOUT]:
        return "standard output"
    last = f" ... {shown(Path(outputs[-1].name))}" if len(outputs) > 1 else ""
    return f"{shown(outputs[0])}{last}"
