"""fastwavenet tune: the sampling with which a model sounds most like recordings, into its file."""

from __future__ import annotations

import argparse
import math
import stat
import time
from pathlib import Path

from .. import modelfile
from ..atomic import check_target, replace_atomically
from ..bundled_voices import check_not_bundled
from ..checks import integer
from ..held_out import Recording, recording_of
from ..instruction_sets import isa
from ..model import Model
from ..session import Progress
from ..shown import shown
from ..spec import WaveNetSpec
from ..tuning import MAX_THREADS, Candidate, Tuning, check_seconds, tune_on
from ..tuning_table import estimating, outcome, table
from .arguments import add_command, add_precision, path
from .conditioning import add_frames, add_speaker, speaker_of
from .export import SUFFIX
from .models import MODEL, model_file
from .recordings import frames_of_recordings, read_recordings, search_recordings
from .report import Report


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "measure which temperature, top_k and min_p sound best, and write them into a model file",
        "fastwavenet tune voice.safetensors held-out/",
    )
    option("model", type=path, help=f"{MODEL}; a voice needs -o")
    option(
        "sources",
        type=path,
        nargs="+",
        metavar="SOURCE",
        help="audio file, or folder of them, that the model was not trained on; a minute is good",
    )
    option(
        "-o", "--output", type=path, metavar="FILE", help="write here; MODEL stays (it is replaced)"
    )
    option(
        "--seconds",
        type=float,
        metavar="N",
        help="sound that each of the best candidates makes, from 4; the search takes in proportion "
        "(by the size of the model, half a minute in all for `small`)",
    )
    option("--convert", action="store_true", help="mix down and resample what needs it")
    add_frames(option, "frames (frames, channels) of one recording, instead of its own mel frames")
    add_speaker(option)
    add_precision(option)
    option(
        "--threads",
        type=int,
        default=1,
        metavar="N",
        help="cores to use; changes the speed only (%(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    report, source = Report(arguments), model_file(arguments.model)
    threads = integer("--threads", arguments.threads, 1, MAX_THREADS)
    seconds = None if arguments.seconds is None else check_seconds(arguments.seconds)
    output = source if arguments.output is None else arguments.output
    with modelfile.named_after(source):
        data = modelfile.read(source)
        contents = modelfile.parse(data)
    _check_output(output, source)
    cost = contents.precision_cost
    model = Model(contents.spec, contents.weights, arguments.precision, precision_cost=cost)
    recordings = _recordings(contents.spec, arguments, report)
    with report.progress(model.sample_rate, "sampling ") as line:
        progress = _both(estimating(report.line, time.monotonic), line)
        tuning = tune_on(model, recordings, seconds=seconds, threads=threads, progress=progress)
    with modelfile.named_after(source):
        changed = modelfile.with_sampling(data, tuning.sampling)
    if output == source and modelfile.read(source) != data:
        raise ValueError(f"{shown(source)} was changed during the search: start it again")
    replace_atomically(output, changed)
    report.result(
        {"output": str(output), "precision": model.precision, **_values(tuning)},
        *table(tuning),
        outcome(tuning),
        f"{shown(output)}: generate and vocode draw so from now on, unless told otherwise",
    )
    return 0


def _check_output(output: Path, source: Path) -> None:
    """Before the work.  Raises ValueError or OSError for a file that cannot be written."""
    if output.suffix.lower() != SUFFIX:
        raise ValueError(f"{shown(output)}: the name must end in {SUFFIX}")
    check_not_bundled(output, "name another file with -o")
    check_target(output)
    writable = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    if output == source and not source.stat().st_mode & writable:
        raise PermissionError(f"{shown(source)} is read-only: name another file with -o")


def _recordings(
    spec: WaveNetSpec, arguments: argparse.Namespace, report: Report
) -> list[Recording]:
    frames = frames_of_recordings(arguments.frames, spec, arguments.sources)
    speaker = speaker_of(spec, arguments.speaker)
    return [
        recording_of(spec, found.codes, found.frames, speaker, None, isa())
        for search in search_recordings(arguments.sources)
        for found in read_recordings(search, spec, arguments.convert, report, frames)
    ]


def _both(first: Progress, second: Progress) -> Progress:
    def progress(done: int, total: int) -> None:
        first(done, total)
        second(done, total)

    return progress


def _values(tuning: Tuning) -> dict:
    """For JSON."""
    silent, flatness = tuning.recordings
    return {
        "sampling": tuning.sampling.to_dict(),
        "fresh": dict(zip(("plain", "other"), tuning.fresh, strict=True)),
        "recordings": {"silent": silent, "flatness": flatness},
        "candidates": [_candidate(each) for each in tuning.candidates],
    }


def _candidate(candidate: Candidate) -> dict:
    measures = vars(candidate.likeness).items()
    numbers = {name: None if math.isnan(value) else value for name, value in measures}
    return {"sampling": candidate.sampling.to_dict(), "seconds": candidate.seconds, **numbers}
