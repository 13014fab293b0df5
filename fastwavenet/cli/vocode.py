"""fastwavenet vocode: sound from frames, or from recordings by way of their mel frames."""

from __future__ import annotations

import argparse
import secrets
import time
from pathlib import Path

import numpy as np

from ..activity import Activity
from ..audio import check_output
from ..audio_finding import search_audio
from ..audio_reading import read_audio
from ..ends import FrameConditioning
from ..model import Model
from ..recording_frames import recording_conditioning
from ..shown import shown
from ..vocoding import vocode
from .arguments import add_command, add_sampling, add_speed, path
from .models import load_model, model_file
from .report import Report
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
    option("-m", "--model", type=path, required=True, help="model file, or run folder")
    option(
        "-o",
        "--output",
        type=path,
        required=True,
        metavar="FILE",
        help=".wav or .flac for one source; else a folder, which gets a .wav for each",
    )
    option("--mel", metavar="NAME", help="convention of .npy frames, to be checked")
    option("--speaker", help="name or number, for a model with speakers")
    option("--convert", action="store_true", help="mix down and resample audio if needed")
    option("--seed", type=int, help="same seed, same sound; without it, one is drawn and shown")
    option("--batch", type=int, default=16, metavar="N", help="sounds in step (%(default)s)")
    option("--subtype", default="PCM_16", help="sample format of the files (%(default)s)")
    add_sampling(option)
    add_speed(option)


def run(arguments: argparse.Namespace) -> int:
    model, report = load_model(arguments.model, arguments.precision), Report(arguments)
    _check_mel(model, arguments.mel)
    sources = [file for source in arguments.sources for file in _files(source)]
    outputs = _outputs(sources, arguments)
    sounds = [_read(model, file, arguments.convert) for file in sources]
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    began = time.perf_counter()
    with report.progress(model.sample_rate) as progress:
        made = vocode(
            model,
            sounds,
            seed=seed,
            speaker=_speaker(model, arguments.speaker),
            temperature=arguments.temperature,
            top_k=arguments.top_k,
            min_p=arguments.min_p,
            batch=arguments.batch,
            isa=arguments.isa,
            threads=arguments.threads,
            progress=progress,
        )
    seconds = time.perf_counter() - began
    for output, audio in zip(outputs, made, strict=True):
        output.parent.mkdir(exist_ok=True)
        save_voice(output, audio, model.sample_rate, arguments.subtype)
        _remark(output, audio, model.sample_rate, report)
    _report(model, outputs, sum(map(len, made)), seconds, seed, report)
    return 0


# ---- input -----------------------------------------------------------------------------------


def _check_mel(model: Model, name: str | None) -> None:
    """Raises ValueError if frames of that convention are not the model's."""
    if name is None:
        return
    given, end = recording_conditioning(name), model.spec.conditioning
    if end is None or (end.mel, end.pitch) != (given.mel, given.pitch):
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


def _read(model: Model, file: Path, convert: bool) -> np.ndarray:
    """Frames (frames, channels), or audio (n,).  Raises ValueError naming the file."""
    end = model.spec.conditioning
    try:
        if file.suffix.lower() == ".npy":
            with open(file, "rb") as npy:  # numpy.load could load a pickle
                return _checked(np.lib.format.read_array(npy), end)
        return read_audio(file, model.sample_rate, convert)[0]
    except ValueError as error:
        raise ValueError(f"{shown(file)}: {str(error).removeprefix(f'{shown(file)}: ')}") from None


def _checked(frames: np.ndarray, end: FrameConditioning | None) -> np.ndarray:
    if frames.dtype.kind not in "fiu" or frames.ndim != 2:
        raise ValueError("expected an array of real numbers (frames, channels)")
    if end is not None and frames.shape[1] != end.channels:
        turned = ": transposed?" if frames.shape[0] == end.channels else ""
        raise ValueError(
            f"expected frames of {end.channels} channels, found shape {frames.shape}{turned}"
        )
    return frames


def _speaker(model: Model, text: str | None) -> int | None:
    """The index of a speaker that is given by name or number."""
    end = model.spec.conditioning
    if text is None or end is None:
        return None
    return end.speaker(int(text) if text.isdecimal() and text not in end.speakers else text)


# ---- output ----------------------------------------------------------------------------------


def _outputs(sources: list[Path], arguments: argparse.Namespace) -> list[Path]:
    """A file for each source, checked before the work."""
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
    _check_files(outputs, [*sources, model_file(arguments.model)], arguments.subtype)
    return outputs


def _check_files(outputs: list[Path], inputs: list[Path], subtype: str) -> None:
    for output in outputs:
        if output.parent.is_dir():
            check_output(output, subtype)
        if output.is_file() and any(output.samefile(file) for file in inputs):
            raise ValueError(f"{shown(output)} is read and would be replaced: name another output")


def _remark(output: Path, audio: np.ndarray, sample_rate: int, report: Report) -> None:
    """Warns of a sound that is silent, or a single value."""
    activity = Activity(1, sample_rate)
    activity.add(audio[None])
    if activity.still_voices():
        report.warn(f"{shown(output)}: {activity.share():.0%} is silent (below -55 dB)")


def _report(
    model: Model, outputs: list[Path], samples: int, seconds: float, seed: int, report: Report
) -> None:
    rate, speed = model.sample_rate, samples / seconds
    several = f" ... {shown(Path(outputs[-1].name))}" if len(outputs) > 1 else ""
    report.result(
        {
            "output": [str(path) for path in outputs],
            "samples": samples,
            "sample_rate": rate,
            "seed": seed,
            "precision": model.precision,
            "samples_per_second": speed,
            "times_real_time": speed / rate,
        },
        f"{shown(outputs[0])}{several}: {samples / rate:g} s, seed {seed}, {model.precision}, "
        f"{speed:,.0f} samples/s, {speed / rate:.1f} x real time",
    )
