"""fastwavenet vocode: sound from frames, or from recordings by way of their mel frames."""

from __future__ import annotations

import argparse
import functools
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..activity import Activity
from ..audio import check_output
from ..audio_finding import search_audio
from ..audio_reading import read_audio, stated_length
from ..mel_matching import PASSES
from ..model import Model
from ..recording_frames import recording_conditioning
from ..session import Progress
from ..shown import shown
from ..types import Audio
from ..vocoding import Utterance, frames_of_sound, vocode_each
from .arguments import add_command, add_sampling, add_speed, path
from .conditioning import add_speaker, count_frames, read_frames, speaker_of
from .models import MODEL, load_model, model_file
from .report import Report, put
from .shards import add_shard, check_seed, report_empty
from .signals import ended_like_ctrl_c, exit_code
from .sound import save_voice

SOUND_SUFFIXES = (".wav", ".flac")


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "make the sound of mel frames, or of recordings by way of their mel frames",
        "fastwavenet vocode hello.wav -m voice.safetensors -o again.wav",
    )
    option(
        "sources",
        type=path,
        nargs="+",
        metavar="SOURCE",
        help=".npy file of frames (frames, channels), audio file, or folder of either",
    )
    option("-m", "--model", type=path, required=True, help=MODEL)
    option(
        "-o",
        "--output",
        type=path,
        required=True,
        metavar="FILE",
        help=".wav or .flac for one source; else a folder, which gets a .wav for each",
    )
    option("--mel", metavar="NAME", help="convention of .npy frames, to be checked")
    add_speaker(option)
    option("--convert", action="store_true", help="mix down and resample audio if needed")
    option("--seed", type=int, help="same seed, same sound; without it, one is drawn and shown")
    option("--batch", type=int, default=16, metavar="N", help="sounds in step (%(default)s)")
    add_shard(option, "sources' files")
    option("--subtype", default="PCM_16", help="sample format of the files (%(default)s)")
    option(
        "--match",
        type=int,
        metavar="N",
        help=f"passes of mel matching ({PASSES} for mel frames; 0: the network's own samples)",
    )
    add_sampling(option)
    add_speed(option)


def run(arguments: argparse.Namespace) -> int:
    model, report = load_model(arguments.model, arguments.precision), Report(arguments)
    _check_mel(model, arguments.mel)
    check_seed(arguments.shard, arguments.seed)
    files = [file for source in arguments.sources for file in _files(source)]
    outputs = _outputs(files, arguments)
    files = arguments.shard.of(files)
    if not files:
        return report_empty(arguments.shard, "sounds", report, output=[])
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    sources = Sources(model, files, arguments.convert)
    written = Written(outputs, model.sample_rate, arguments.subtype)
    with ended_like_ctrl_c() as signals:
        interrupted = _vocode(model, sources, written, seed, arguments, report)
    for line in written.remarks:
        report.warn(line)
    if interrupted:
        put(f"fastwavenet: interrupted: {written.count()} are written, seed {seed}", sys.stderr)
    _report(model, written, seed, interrupted, report)
    return exit_code(signals) if interrupted else 0


def _vocode(
    model: Model,
    sources: Sources,
    written: Written,
    seed: int,
    arguments: argparse.Namespace,
    report: Report,
) -> bool:
    """Writes each sound when it ends; whether Ctrl-C came before the last one."""
    began = time.perf_counter()
    try:
        with report.progress(model.sample_rate) as progress:
            for number, audio in _sounds(model, sources, seed, arguments, progress):
                written.add(number, audio)
    except KeyboardInterrupt:
        return True
    except (ValueError, ArithmeticError, OSError, MemoryError):
        if written.paths:
            report.warn(f"{written.count()} were written before an error")
        raise
    finally:
        other = sources.seconds + written.seconds
        written.vocoding = max(time.perf_counter() - began - other, 1e-9)
    return False


def _sounds(
    model: Model,
    sources: Sources,
    seed: int,
    arguments: argparse.Namespace,
    progress: Progress,
) -> Iterator[tuple[int, Audio]]:
    """The number and audio of each source, when it ends."""
    speaker, count = speaker_of(model.spec, arguments.speaker), len(sources.files)
    return vocode_each(
        model,
        sources.utterances(),
        speakers=None if speaker is None else np.full(count, speaker, np.uint32),
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        min_p=arguments.min_p,
        match=arguments.match,
        seed=seed,
        batch=arguments.batch,
        isa=arguments.isa,
        threads=arguments.threads,
        progress=progress,
    )


# ---- input -----------------------------------------------------------------------------------


def _check_mel(model: Model, name: str | None) -> None:
    """Raises ValueError if frames of that convention are not the model's."""
    if name is None:
        return
    given, end = recording_conditioning(name), model.spec.conditioning
    if end is None or end.described != given.described:
        expected = "no mel frames" if end is None or end.mel is None else end.described
        raise ValueError(f"the model takes {expected}, but --mel is {name}")


def _files(source: Path) -> list[Path]:
    """A file itself, or all .npy files of a folder, or all audio files below it."""
    if not source.is_dir():
        return search_audio(source).files
    files = sorted(source.glob("*.npy")) or search_audio(source).files
    if not files:
        raise ValueError(f"{shown(source)}: expected .npy or audio files in the folder, found none")
    return files


class Sources:
    """Files of frames or audio, read one by one; `seconds` that this took."""

    def __init__(self, model: Model, files: list[Path], convert: bool):
        """Raises ValueError or OSError naming a file whose header is wrong."""
        self.model, self.files, self.convert = model, files, convert
        self.seconds = 0.0
        self.counts = [self._count(file) for file in files]

    def utterances(self) -> list[Utterance]:
        pairs = zip(self.files, self.counts, strict=True)
        return [Utterance(count, functools.partial(self._read, file)) for file, count in pairs]

    def _count(self, file: Path) -> int:
        """Frames by the file's header; 0: not stated."""
        if file.suffix.lower() == ".npy":
            return count_frames(file, self.model.spec)
        hop = self._hop(file)
        samples = stated_length(file, self.model.sample_rate, self.convert)
        if samples:
            _check_length(file, samples, hop)
        return samples // hop

    def _read(self, file: Path) -> Audio:
        """Frames float32 (frames, channels).  Raises ValueError or OSError naming the file."""
        began = time.perf_counter()
        if file.suffix.lower() == ".npy":
            frames = read_frames(file, self.model.spec, without_pitch=True)
            frames = frames_of_sound(self.model, frames)
        else:
            audio, _ = read_audio(file, self.model.sample_rate, self.convert)
            _check_length(file, len(audio), self._hop(file))
            frames = frames_of_sound(self.model, audio)
        self.seconds += time.perf_counter() - began
        return frames

    def _hop(self, file: Path) -> int:
        """Samples of a frame.  Raises ValueError unless frames are made of recordings."""
        end = self.model.spec.conditioning
        if end is None or not end.channels:
            raise ValueError("the model takes no frames")
        if end.mel is None:
            raise ValueError(
                f"{shown(file)}: the model's frames are no mel frames of audio: give .npy files"
            )
        return end.hop


def _check_length(file: Path, samples: int, hop: int) -> None:
    if samples < hop:
        raise ValueError(
            f"{shown(file)}: has {samples} samples, expected at least a frame of {hop}"
        )


# ---- output ----------------------------------------------------------------------------------


def _outputs(sources: list[Path], arguments: argparse.Namespace) -> list[Path]:
    """A file for each source of the shard, checked before the work; sources: of all shards."""
    folder = arguments.output
    outputs = [folder / f"{file.stem}.wav" for file in sources]
    if folder.suffix.lower() in SOUND_SUFFIXES:
        if len(sources) > 1:
            raise ValueError(
                f"-o {shown(folder)} holds one sound, but there are {len(sources)} sources: "
                "name a folder"
            )
        outputs = [folder]
    elif not folder.parent.is_dir() or folder.is_file():
        raise ValueError(f"-o {shown(folder)}: expected a .wav, a .flac or a folder")
    twice = {output.name for output in outputs if outputs.count(output) > 1}
    if twice:
        raise ValueError(f"{len(twice)} names are those of several sources, as {min(twice)!r}")
    outputs = arguments.shard.of(outputs)
    _check_files(outputs, [*sources, model_file(arguments.model)], arguments.subtype)
    return outputs


def _check_files(outputs: list[Path], inputs: list[Path], subtype: str) -> None:
    for output in outputs:
        if output.parent.is_dir():
            check_output(output, subtype)
        if output.is_file() and any(output.samefile(file) for file in inputs):
            raise ValueError(f"{shown(output)} is read and would be replaced: name another output")


class Written:
    """Sounds, each of which is written when it is complete.

    paths     number of a sound -> its file, of those that are written
    samples   of all of them
    remarks   a line for each one that is silent, or a single value
    seconds   that writing took
    vocoding  seconds that vocoding took
    """

    def __init__(self, outputs: list[Path], sample_rate: int, subtype: str):
        self.outputs, self.sample_rate, self.subtype = outputs, sample_rate, subtype
        self.paths: dict[int, Path] = {}
        self.samples, self.seconds, self.vocoding = 0, 0.0, 0.0
        self.remarks: list[str] = []

    def add(self, number: int, audio: Audio) -> None:
        """Raises OSError, or AudioError for more samples than the file's format holds."""
        began, output = time.perf_counter(), self.outputs[number]
        output.parent.mkdir(exist_ok=True)
        save_voice(output, audio, self.sample_rate, self.subtype)
        self.paths[number] = output
        self.samples += len(audio)
        self._remark(output, audio)
        self.seconds += time.perf_counter() - began

    def _remark(self, output: Path, audio: Audio) -> None:
        activity = Activity(1, self.sample_rate)
        activity.add(audio[None])
        if activity.still_voices():
            share = f"{activity.share():.0%}"
            self.remarks.append(f"{shown(output)}: {share} is silent (below -55 dB)")

    def count(self) -> str:
        return f"{len(self.paths)} of {len(self.outputs)} sounds"


def _report(model: Model, written: Written, seed: int, interrupted: bool, report: Report) -> None:
    rate, speed = model.sample_rate, written.samples / written.vocoding
    paths = [written.paths[i] for i in sorted(written.paths)]
    several = f" ... {shown(Path(paths[-1].name))}" if len(paths) > 1 else ""
    lines = [
        f"{shown(path)}{several}: {written.samples / rate:g} s, seed {seed}, {model.precision}, "
        f"{speed:,.0f} samples/s, {speed / rate:.1f} x real time"
        for path in paths[:1]
    ]
    report.result(
        {
            "output": [str(path) for path in paths],
            "samples": written.samples,
            "sample_rate": rate,
            "seed": seed,
            "precision": model.precision,
            "samples_per_second": speed,
            "times_real_time": speed / rate,
        },
        *([] if interrupted else lines),
    )
