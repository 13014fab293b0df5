"""fastwavenet export: a run's best weights as one file, with the measured cost of precisions; or
as the files of another project.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import modelfile
from ..atomic import check_target, is_named_pipe, is_special_file, replace_atomically
from ..bundled_voices import model_path
from ..importers import giving_back
from ..int8_rounding import Rounding
from ..precision import AUTO, describe_precision_cost, resolve_precision
from ..precision_cost import Comparison
from ..shown import shown
from .arguments import add_command, path
from .conditioning import add_frames, add_speaker, speaker_of
from .models import BEST, LATEST, model_file
from .recordings import frames_of_recordings, read_recordings, search_recordings
from .report import Report

SUFFIX = ".safetensors"


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "copy the best model of a run into one checked file",
        "fastwavenet export run/ -o voice.safetensors --measure held-out/",
    )
    option(
        "source",
        type=path,
        metavar="RUN",
        help="folder left by `train`, model file, or name of a voice",
    )
    option("-o", "--output", type=path, required=True, metavar="FILE")
    option(
        "--to",
        metavar="PROJECT",
        help=f"write another project's files into the folder FILE, if the network fits: "
        f"{', '.join(giving_back.PROJECTS)}",
    )
    option("--latest", action="store_true", help="the latest weights of RUN instead of the best")
    option(
        "--measure",
        type=path,
        metavar="SOURCE",
        help="audio file, or folder of them: the cost of smaller precisions on it is written into "
        "FILE, and decides which one is used",
    )
    option(
        "--round-for-int8",
        type=path,
        metavar="SOURCE",
        help="audio file, or folder of them, half a minute of what the network was trained on: "
        "weights of the output layer and of conditioning are rounded such that int8 costs less; "
        "measure on other recordings",
    )
    option("--convert", action="store_true", help="mix down and resample what needs it in SOURCE")
    add_frames(option, "frames of SOURCE, a file, instead of its own mel frames")
    add_speaker(option)


def run(arguments: argparse.Namespace) -> int:
    report, output, source = Report(arguments), arguments.output, _model_file(arguments)
    sources = [s for s in (arguments.round_for_int8, arguments.measure) if s is not None]
    if not sources and (arguments.frames or arguments.speaker):
        raise ValueError("--frames and --speaker belong to --measure: name a recording")
    if len(sources) > 1 and arguments.frames:
        raise ValueError(
            "--frames are those of one recording: round first, then measure in a call of its own"
        )
    if arguments.to is not None:
        return _give_back(arguments, source, report)
    check_model_name(output)
    with modelfile.named_after(source):
        data = modelfile.read(source)
        contents = modelfile.parse(data)
        if arguments.round_for_int8 is not None:
            data = _rounded(contents, arguments, report)
            contents = modelfile.parse(data)
        spec, cost = contents.spec, contents.precision_cost
        if arguments.measure is not None:
            cost = _measure(contents, arguments, report)
            data = modelfile.with_precision_cost(data, cost)
    if is_named_pipe(output):
        report.warn(f"{shown(output)}: waiting for a program that reads from this pipe")
    replace_atomically(output, data)
    precision = resolve_precision(AUTO, cost)
    report.result(
        {
            "output": str(output),
            "source": str(source),
            "bytes": len(data),
            "precision_cost": cost,
            "precision": precision,
        },
        f"{shown(output)}: {spec.layers} layers, {spec.sample_rate} Hz, {len(data):,} bytes, "
        f"{precision}",
    )
    return 0


def _model_file(arguments: argparse.Namespace) -> Path:
    """The file to copy."""
    given = Path(model_path(arguments.source))
    if arguments.latest and given.is_file():
        raise ValueError(f"{shown(given)} is a file, expected a run folder to take --latest from")
    return model_file(given, LATEST if arguments.latest else BEST)


def _give_back(arguments: argparse.Namespace, source: Path, report: Report) -> int:
    """--to: the network as another project's files."""
    if arguments.measure is not None:
        raise ValueError("--measure writes into a model file: leave out --to, or --measure")
    if arguments.round_for_int8 is not None:
        raise ValueError("--round-for-int8 makes a model file: leave out --to, or round first")
    folder = arguments.output
    contents = modelfile.load(source)
    if folder.is_dir() and folder.samefile(source.parent):
        raise ValueError(f"{shown(folder)} holds the model that is read: name another folder")
    files = giving_back.give_back(arguments.to, contents.spec, contents.weights, folder)
    report.result(
        {
            "output": str(folder),
            "source": str(source),
            "to": arguments.to,
            "files": [str(file) for file in files],
        },
        f"{shown(folder)}: {contents.spec.layers} layers as a network of {arguments.to}, "
        f"{' and '.join(file.name for file in files)}",
    )
    return 0


def check_model_name(path: Path) -> None:
    """Before the work: a model file, or a device or pipe."""
    if path.suffix.lower() != SUFFIX and not is_special_file(path):
        raise ValueError(f"{shown(path)}: the name must end in {SUFFIX}")
    check_target(path)


def _rounded(contents: modelfile.Contents, arguments: argparse.Namespace, report: Report) -> bytes:
    """--round-for-int8: the bytes of the model file with rounded weights."""
    spec, source = contents.spec, arguments.round_for_int8
    frames = frames_of_recordings(arguments.frames, spec, [source])
    speaker = speaker_of(spec, arguments.speaker)
    rounding = Rounding(spec, contents.weights)
    [search] = search_recordings([source])
    for recording in read_recordings(search, spec, arguments.convert, report, frames):
        with report.progress(spec.sample_rate, f"{shown(Path(recording.file.name))} ") as progress:
            rounding.add(recording.codes, progress, recording.frames, speaker)
    return modelfile.as_bytes(spec, rounding.weights())


def _measure(
    contents: modelfile.Contents, arguments: argparse.Namespace, report: Report
) -> dict[str, float]:
    """Measures the cost of each precision on the recordings, and reports it."""
    spec, source = contents.spec, arguments.measure
    frames = frames_of_recordings(arguments.frames, spec, [source])
    speaker, rate = speaker_of(spec, arguments.speaker), spec.sample_rate
    comparison = Comparison(spec, contents.weights)
    [search] = search_recordings([source])
    for recording in read_recordings(search, spec, arguments.convert, report, frames):
        with report.progress(rate, f"{shown(Path(recording.file.name))} ") as progress:
            comparison.add(recording.codes, progress, recording.frames, speaker)
    cost = comparison.cost()
    seconds = f"{comparison.samples / rate:.1f} s"
    report.line(f"against float32 on {seconds}: {describe_precision_cost(cost)}")
    return cost
