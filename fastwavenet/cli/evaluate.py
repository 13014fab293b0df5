"""fastwavenet evaluate: how near a vocoder's sound comes to held-out recordings, as a table."""

from __future__ import annotations

import argparse
import itertools
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .._version import __version__
from ..atomic import check_target, replace_atomically
from ..audio_finding import READ_SUFFIXES, Found
from ..audio_reading import read_audio
from ..audio_source import AudioError
from ..checks import whole
from ..evaluation import ITERATIONS, MAX_ITERATIONS, Evaluation, evaluate
from ..listing import Listing, Part
from ..mel_matching import MAX_PASSES, PASSES
from ..model import Model
from ..precision import resolve_precision
from ..processor import cpu_name
from ..resynthesis import check_takes_frames
from ..shown import shown
from ..sound_quality import PACKAGES, missing_packages
from ..types import Audio
from ..voiced_sampling import check_min_p, check_temperature
from .arguments import add_command, path
from .conditioning import add_speaker, read_frames, speaker_of
from .kept_sounds import KeptSounds, check_kept
from .models import MODEL, load_model, model_file
from .recordings import frames_of_recordings, search_recordings
from .report import Report

FORMAT = {"made_by": "fastwavenet evaluate", "format": 1}
COUNT = 30
COLUMNS = {  # key of a row in JSON -> head and format
    "nats_per_sample": ("nats", ".3f"),
    "log_spectral_db": ("LSD, dB", ".1f"),
    "log_mel": ("log-mel", ".2f"),
    "high_band_db": ("above 4 kHz, dB", ".1f"),
    "pitch_cents": ("cents", ".0f"),
    "above_50_cents": ("above 50", ".3f"),
    "voicing_error": ("voicing", ".3f"),
    "estoi": ("ESTOI", ".3f"),
    "pesq_wb": ("PESQ-WB", ".2f"),
    "silent_share": ("silent", ".3f"),
    "flatness": ("flatness", ".4f"),
    "times_real_time": ("x real time", ".1f"),
}
NAME_WIDTH = 59  # of speech-16k with its sampling, matched


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "measure how near a vocoder's sound comes to held-out recordings",
        "fastwavenet evaluate -m voice.safetensors held-out/",
    )
    option("sources", type=path, nargs="+", metavar="AUDIO", help="audio file, or folder of them")
    option("-m", "--model", type=path, required=True, help=MODEL)
    option("-o", "--output", type=path, metavar="FILE", help="write the figures here, as JSON")
    option("--keep", type=path, metavar="DIR", help="write all sounds here, in a folder per row")
    option("--count", type=int, default=COUNT, metavar="N", help="the first N (%(default)s)")
    option("--convert", action="store_true", help="mix down and resample what needs it")
    option(
        "--frames",
        type=path,
        metavar="DIR",
        help="frames, a .npy file for each recording, or that of the one recording",
    )
    add_speaker(option)
    option("--precisions", type=_words, metavar="int8,...", help="a row for each (auto)")
    option(
        "--temperature",
        type=_numbers(check_temperature),
        metavar="1,0.8",
        help="a row for each (the model's own)",
    )
    option(
        "--min-p",
        type=_numbers(check_min_p),
        metavar="0,0.05",
        help="a row for each (the model's own)",
    )
    option(
        "--griffin-lim",
        type=_iterations,
        default=list(ITERATIONS),
        metavar="32,200",
        help="iterations, a row for each; none: no such row",
    )
    option(
        "--match",
        type=_passes,
        metavar=f"0,{PASSES}",
        help="passes of mel matching, rows for each (0 and those of vocode)",
    )
    option("--seed", type=int, default=0, help="of all sounds (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    report = Report(arguments)
    model = load_model(arguments.model)
    _check(arguments, model)
    searches = search_recordings(arguments.sources)
    frames = _Frames(model, arguments, searches)
    _check_outputs(arguments, [file for search in searches for file in search.files])
    recordings = _read(model, searches, frames, arguments.count, arguments.convert, report)
    names = [recording.file.stem for recording in recordings]
    with KeptSounds(arguments.keep, names, model.sample_rate) as kept:
        rows = _rows(model, recordings, arguments, kept, report)
    values = _values(model, recordings, rows, arguments)
    if arguments.output is not None:
        replace_atomically(arguments.output, (json.dumps(values, indent=1) + "\n").encode())
    written = [place for place in (arguments.output, arguments.keep) if place is not None]
    report.result(values, *(f"{shown(place)}: written" for place in written))
    return 0


def _rows(
    model: Model,
    recordings: Sequence[Recording],
    arguments: argparse.Namespace,
    kept: KeptSounds,
    report: Report,
) -> list[Evaluation]:
    """Measures; prints and keeps row by row."""
    heads = _heads(recordings, model.sample_rate)
    _warn_of_missing(report)
    with report.progress(model.sample_rate) as progress:

        def row_done(row: Evaluation, sounds: list[Audio]) -> None:
            kept.add(row.name, sounds)
            progress.clear()
            while heads:
                report.line(heads.pop(0))
            report.line(_line([row.name, *cells(row)]))

        return evaluate(
            model,
            [each.audio for each in recordings],
            frames=_given(recordings),
            speaker=speaker_of(model.spec, arguments.speaker),
            precisions=arguments.precisions,
            temperature=arguments.temperature,
            min_p=arguments.min_p,
            griffin_lim=arguments.griffin_lim,
            match=arguments.match,
            seed=arguments.seed,
            progress=progress,
            row_done=row_done,
        )


def _warn_of_missing(report: Report) -> None:
    missing = missing_packages()
    if missing:
        columns = " and ".join(PACKAGES[name] for name in missing)
        report.warn(
            f"no {columns}: {' and '.join(missing)} missing, pip install 'fastwavenet[evaluate]'"
        )


def _values(
    model: Model,
    recordings: Sequence[Recording],
    rows: Sequence[Evaluation],
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """For JSON."""
    rate = model.sample_rate
    each = [{"file": str(r.file), "seconds": len(r.audio) / rate} for r in recordings]
    return FORMAT | {
        "version": __version__,
        "cpu": cpu_name(),
        "missing": missing_packages(),
        "model": str(arguments.model),
        "seed": arguments.seed,
        "recordings": each,
        "rows": [row.to_dict() for row in rows],
    }


# ---- recordings --------------------------------------------------------------------------------


class Recording(NamedTuple):
    """A file: audio float32 (n,), and frames (frames, channels) unless they are its mel frames."""

    file: Path
    audio: Audio
    frames: Audio | None


class _Frames:
    """The frames that --frames names: of one recording, or in a folder that of each."""

    def __init__(self, model: Model, arguments: argparse.Namespace, searches: Sequence[Found]):
        """Raises ValueError for a model of other frames than mel without --frames."""
        self.spec, place = model.spec, arguments.frames
        self.files: dict[Path, Path] | None = None
        self.one: Audio | None = None
        if place is None or not place.is_dir():
            self.one = frames_of_recordings(
                place, model.spec, arguments.sources, without_pitch=True
            )
            return
        self.files = {}
        for search in searches:
            listed = Listing(Part(search, search.files)).frames_files(place)
            others = {at for file, at in self.files.items() if file not in listed}
            twice = others & set(listed.values())
            if twice:
                raise ValueError(f"{shown(min(twice))}: would hold the frames of two recordings")
            self.files |= listed

    def of(self, recording: Path) -> Audio | None:
        """None: its mel frames."""
        if self.files is None:
            return self.one
        return read_frames(self.files[recording], self.spec, without_pitch=True)


def _read(
    model: Model,
    searches: Sequence[Found],
    frames: _Frames,
    count: int,
    convert: bool,
    report: Report,
) -> list[Recording]:
    """The first `count` usable recordings; warns of others.

    Raises AudioError or OSError if a source is a file that cannot be used, AudioError if none in a
    folder can.
    """
    found: list[Recording] = []
    for search in searches:
        usable = itertools.islice(
            _usable(model, search, frames, convert, report), count - len(found)
        )
        found += usable
    total = sum(len(search.files) for search in searches)
    if len(found) == count and count < total:
        report.warn(f"took the first {count} of {total} recordings: --count {total} takes all")
    return found


def _usable(
    model: Model, search: Found, frames: _Frames, convert: bool, report: Report
) -> Iterator[Recording]:
    used = False
    for line in search.remarks():
        report.warn(line)
    for file in search.files:
        try:
            recording = _recording(model, file, frames, convert, report)
        except (AudioError, OSError) as error:
            if file == search.root:
                raise
            report.warn(f"skipped {error}")
            continue
        used = True
        yield recording
    if not used:
        raise AudioError(
            f"{shown(search.root)}: expected audio files ({' '.join(READ_SUFFIXES)}) "
            f"of {model.sample_rate} Hz, found {search.unusable()}"
        )


def _recording(
    model: Model, file: Path, frames: _Frames, convert: bool, report: Report
) -> Recording:
    """Raises AudioError or OSError for a file that cannot be used."""
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        audio, _ = read_audio(file, model.sample_rate, convert)
    for remark in remarks:
        report.warn(str(remark.message))
    hop, given = check_takes_frames(model.spec).hop, frames.of(file)
    whole_frames = len(audio) // hop
    if not whole_frames:
        raise AudioError(
            f"{shown(file)}: has {len(audio)} samples, expected at least a frame of {hop}"
        )
    if given is not None and len(given) < whole_frames:
        raise AudioError(
            f"{shown(file)}: {len(audio)} samples with hop {hop} need at least {whole_frames} "
            f"frames, not {len(given)}"
        )
    return Recording(file, audio, given)


def _given(recordings: Sequence[Recording]) -> list[Audio] | None:
    """The frames of all, or None for their mel frames."""
    given = [each.frames for each in recordings if each.frames is not None]
    return given or None


# ---- arguments and outputs ---------------------------------------------------------------------


def _check(arguments: argparse.Namespace, model: Model) -> None:
    """Raises ValueError for a model or numbers that cannot be measured."""
    whole("--count", arguments.count, 1, 10**6)
    whole("--seed", arguments.seed, 0, 2**64 - 1)
    check_takes_frames(model.spec)
    speaker_of(model.spec, arguments.speaker)
    for name in arguments.precisions or ():
        resolve_precision(name, model.precision_cost)


def _check_outputs(arguments: argparse.Namespace, recordings: Sequence[Path]) -> None:
    """Before the work.  Raises ValueError or OSError for outputs that cannot be written."""
    output = arguments.output
    if arguments.keep is not None:
        check_kept(arguments.keep)
    if output is None:
        return
    check_target(output)
    inputs = [model_file(arguments.model), arguments.frames, *recordings]
    there = [file for file in inputs if file is not None and file.exists()]
    if output.is_file() and any(map(output.samefile, there)):
        raise ValueError(f"{shown(output)} is read and would be replaced: name another output")


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(check: Callable[[object], float]) -> Callable[[str], list[float]]:
    def parse(text: str) -> list[float]:
        try:
            return [check(float(part)) for part in text.split(",")]
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def _iterations(text: str) -> list[int]:
    parts = [] if text == "none" else text.split(",")
    numbers = [int(part) if part.isdecimal() else 0 for part in parts]
    if not all(1 <= number <= MAX_ITERATIONS for number in numbers):
        raise argparse.ArgumentTypeError(
            f"must be none or numbers from 1 to {MAX_ITERATIONS}, as 32,200, not {shown(text)}"
        )
    return numbers


def _passes(text: str) -> list[int]:
    numbers = [int(part) if part.isdecimal() else -1 for part in text.split(",")]
    if not all(0 <= number <= MAX_PASSES for number in numbers):
        raise argparse.ArgumentTypeError(
            f"must be numbers from 0 to {MAX_PASSES}, as 0,{PASSES}, not {shown(text)}"
        )
    return numbers


# ---- table -------------------------------------------------------------------------------------


def cells(row: Evaluation) -> Iterator[str]:
    """The text of each column."""
    values = row.to_dict()
    for key, (_, form) in COLUMNS.items():
        yield "-" if values[key] is None else format(values[key], form)


def _heads(recordings: Sequence[Recording], rate: int) -> list[str]:
    """The first two lines."""
    seconds = sum(len(each.audio) for each in recordings) / rate
    title = f"{len(recordings)} recording{'s' * (len(recordings) > 1)}, {seconds:.1f} s"
    heads = _line([title, *(head for head, _ in COLUMNS.values())])
    return [heads, _line(["-" * width for width in _widths()])]


def _widths() -> list[int]:
    return [NAME_WIDTH, *(max(6, len(head)) for head, _ in COLUMNS.values())]


def _line(texts: Sequence[str]) -> str:
    """A row of a Markdown table."""
    first, *others = texts
    width, *widths = _widths()
    return "| " + " | ".join([first.ljust(width), *map(str.rjust, others, widths)]) + " |"
