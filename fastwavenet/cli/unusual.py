"""The frames of `score`: its options, the threshold of normal recordings, and the files written.

Everything is written after the last recording: a CSV file of all frames, a picture, and for each
recording a text file of labels that Audacity reads.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..atomic import check_folder, check_target, is_special_file, replace_atomically
from ..audio_finding import Found
from ..checks import within
from ..model import Model
from ..mulaw import mu_law_decode
from ..plots import Timeline, check_picture, overview_db, save_timelines
from ..shown import shown
from ..types import Audio
from ..unusual import (
    QUANTILE,
    Surprise,
    SurpriseSums,
    check_smooth,
    check_threshold,
    surprise_segments,
    surprise_threshold,
)
from .arguments import AddOption, path
from .models import model_file

HOP_SECONDS = 0.05
MAX_HOP_SECONDS = 60
MAX_PLOTTED = 8  # recordings
COLUMNS = ("file", "begin_s", "end_s", "nats", "expected", "above")
MEASURES = ("excess", "nats")
LABELS_SUFFIX = ".txt"
OPTIONS = ("hop", "smooth", "by", "normal", "threshold", "quantile", "output", "plot", "labels")


def add_frame_options(option: AddOption) -> None:
    option(
        "--hop",
        type=float,
        metavar="SECONDS",
        help=f"length of a frame; this option and those below score frames ({HOP_SECONDS:g})",
    )
    option("--smooth", type=int, metavar="N", help="mean of N neighbouring frames, odd (1)")
    option(
        "--normal",
        type=path,
        metavar="SOURCE",
        help="normal recordings, file or folder: list the segments that surprise more than those",
    )
    option(
        "--by",
        choices=MEASURES,
        help=f"compare the nats, or their excess over those that the model expects ({MEASURES[0]})",
    )
    option(
        "--quantile",
        type=float,
        metavar="Q",
        help=f"share of the normal frames that the threshold is not below ({QUANTILE:g})",
    )
    option("--threshold", type=float, metavar="NATS", help="a known threshold, no --normal")
    option("-o", "--output", type=path, metavar="FILE", help="write all frames here, as CSV")
    option("--plot", type=path, metavar="PNG", help="picture of spectrum and frames")
    option(
        "--labels",
        type=path,
        metavar="FILE",
        help="write the segments as labels of Audacity; of several recordings, into a folder",
    )


# ---- recordings and segments -------------------------------------------------------------------


class Segment(NamedTuple):
    """Frames above the threshold.

    begin, end  seconds
    peak, mean  of the measure that is compared, nats per sample: highest frame, and mean of all
    """

    begin: float
    end: float
    peak: float
    mean: float


@dataclass(frozen=True)
class Heard:
    """A recording in frames.

    edges     float64 (frames + 1,), seconds: where the frames begin and the last one ends
    surprise  of the frames
    measure   float32 (frames,): excess or nats
    segments  None without a threshold
    overview  float (bins, columns), dB, for the picture; (0, 0) without one
    """

    file: Path
    edges: np.ndarray
    surprise: Surprise
    measure: Audio
    segments: list[Segment] | None
    overview: np.ndarray

    def lines(self, threshold: float | None) -> Iterator[tuple[str, ...]]:
        """Rows of the CSV file."""
        columns = (self.edges[:-1], self.edges[1:], self.surprise.nats, self.surprise.expected)
        for begin, end, nats, expected, measure in zip(*columns, self.measure, strict=True):
            above = "" if threshold is None else str(int(float(measure) > threshold))
            yield str(self.file), f"{begin:.6f}", f"{end:.6f}", str(nats), str(expected), above

    def labels(self) -> bytes:
        """Audacity's: begin, end and text of a segment, in a line with tabs between."""
        lines = [f"{s.begin:.6f}\t{s.end:.6f}\t{s.peak:.2f} nats\n" for s in self.segments or ()]
        return "".join(lines).encode()


class Listening:
    """The frames of all recordings, and the files that are made of them.

    threshold  nats; None: unknown, so that there are no segments
    normal     (recordings, frames) that it was measured on, if it was
    """

    def __init__(self, arguments: argparse.Namespace, model: Model):
        """Raises ValueError for numbers out of bounds, or options that do not fit together."""
        self.arguments, self.model, rate = arguments, model, model.sample_rate
        seconds = HOP_SECONDS if arguments.hop is None else arguments.hop
        expected = f"from {2 / rate:g} to {MAX_HOP_SECONDS} seconds"
        seconds = within("--hop", seconds, 2 / rate, MAX_HOP_SECONDS, expected=expected)
        self.hop = max(2, round(seconds * rate))
        self.smooth = check_smooth(1 if arguments.smooth is None else arguments.smooth)
        self.by = arguments.by or MEASURES[0]
        self.quantile = QUANTILE
        if arguments.quantile is not None:
            self.quantile = within("--quantile", arguments.quantile, 0, 1)
        self.threshold = arguments.threshold
        if self.threshold is not None:
            self.threshold = check_threshold(self.threshold)
        self._check_options()
        self.normal: tuple[int, int] | None = None
        self.heard: list[Heard] = []
        self.places: dict[Path, Path] = {}  # recording -> file of its labels

    def _check_options(self) -> None:
        asked = self.arguments
        if asked.normal is not None and asked.threshold is not None:
            raise ValueError("--normal and --threshold each state a threshold: leave one out")
        if asked.normal is None and asked.quantile is not None:
            raise ValueError("--quantile belongs to --normal: name normal recordings")
        if asked.labels is not None and asked.normal is None and asked.threshold is None:
            raise ValueError("--labels needs a threshold: name --normal recordings, or --threshold")
        end = self.model.spec.conditioning
        if asked.normal is not None and end is not None and end.channels and end.mel is None:
            raise ValueError(
                "--normal: the model's frames are no mel frames of recordings: give --threshold"
            )
        if asked.normal is not None and asked.frames is not None:
            raise ValueError("--normal recordings have other frames than --frames: --threshold")

    def sums(self) -> SurpriseSums:
        """Of a recording, empty."""
        return SurpriseSums(self.model.spec, self.hop)

    def _measure(self, surprise: Surprise) -> Audio:
        return surprise.excess if self.by == "excess" else surprise.nats

    def learn(self, normal: Sequence[SurpriseSums]) -> None:
        """Sets the threshold by the frames of normal recordings.  Raises ValueError without one."""
        if not normal:
            seconds = self.hop / self.model.sample_rate
            raise ValueError(f"--normal: expected a recording of at least a frame, {seconds:g} s")
        each = [self._measure(sums.finish(self.smooth)) for sums in normal]
        self.normal = len(each), sum(map(len, each))
        self.threshold = surprise_threshold(each, self.quantile)

    def few(self) -> str | None:
        """A remark, if the threshold is the maximum of the normal frames and not meant as that."""
        if self.normal is None or self.quantile == 1:
            return None
        least = 1 / (1 - self.quantile)
        if self.normal[1] >= least * (1 - 1e-9):
            return None
        return (
            f"the threshold is the maximum of {self.normal[1]:,} normal frames: the quantile "
            f"{self.quantile:g} needs at least {least:,.0f}"
        )

    def add(self, file: Path, codes: np.ndarray, sums: SurpriseSums) -> None:
        """codes: (n,), as scored."""
        surprise, rate = sums.finish(self.smooth), self.model.sample_rate
        measure = self._measure(surprise)
        starts = np.arange(len(measure)) * self.hop
        edges = np.append(starts, len(codes)) / rate
        segments, overview = self._segments(measure, edges), self._overview(codes)
        self.heard.append(Heard(file, edges, surprise, measure, segments, overview))

    def _segments(self, measure: Audio, edges: np.ndarray) -> list[Segment] | None:
        if self.threshold is None:
            return None
        return [
            Segment(
                float(edges[first]),
                float(edges[end]),
                float(measure[first:end].max()),
                float(measure[first:end].mean(dtype=np.float64)),
            )
            for first, end in surprise_segments(measure, self.threshold)
        ]

    def _overview(self, codes: np.ndarray) -> np.ndarray:
        if self.arguments.plot is None:
            return np.empty((0, 0))
        spec = self.model.spec
        audio = mu_law_decode(codes, spec.levels, codec=spec.codec)
        return overview_db(audio, spec.sample_rate)

    # ---- reports ---------------------------------------------------------------------------

    def values(self) -> dict[str, object]:
        """For JSON, of all recordings."""
        recordings, frames = self.normal or (None, None)
        return {
            "hop_seconds": self.hop / self.model.sample_rate,
            "smooth": self.smooth,
            "by": self.by,
            "threshold": self.threshold,
            "quantile": None if self.normal is None else self.quantile,
            "normal_recordings": recordings,
            "normal_frames": frames,
            "written": [str(file) for file in self.written],
        }

    def values_of(self, heard: Heard) -> dict[str, object]:
        """For JSON, of a recording."""
        segments = None if heard.segments is None else [s._asdict() for s in heard.segments]
        return {"frames": len(heard.measure), "segments": segments}

    def table(self) -> list[str]:
        """Segments, for people."""
        if self.threshold is None:
            return []
        found = [(s, heard.file) for heard in self.heard for s in heard.segments or ()]
        above = sum(
            int((heard.measure.astype(float) > self.threshold).sum()) for heard in self.heard
        )
        frames = sum(len(heard.measure) for heard in self.heard)
        seconds = self.hop / self.model.sample_rate
        segments = f"{len(found):,} segment{'s' * (len(found) != 1)}"
        lines = [
            f"{segments} above {self.threshold:.4f} {self._unit()}, {above:,} of {frames:,} frames "
            f"of {seconds:g} s{self._source()}"
        ]
        if found:
            lines.append(f"{'begin, s':>10} {'end, s':>10} {'peak':>8} {'mean':>8}  file")
        lines += [
            f"{s.begin:10.3f} {s.end:10.3f} {s.peak:8.4f} {s.mean:8.4f}  {shown(file)}"
            for s, file in found
        ]
        return lines

    def _unit(self) -> str:
        return "nats of excess" if self.by == "excess" else "nats"

    def _source(self) -> str:
        """Of the threshold, for people."""
        if self.normal is None:
            return ""
        recordings, frames = self.normal
        return (
            f" (threshold: quantile {self.quantile:g} of {frames:,} frames of {recordings:,} "
            f"normal recording{'s' * (recordings > 1)})"
        )

    # ---- files -----------------------------------------------------------------------------

    def check_outputs(self, searches: Sequence[Found], normal: Sequence[Found]) -> None:
        """Before the work.  Raises ValueError or OSError for outputs that cannot be written."""
        asked = self.arguments
        files = [file for search in searches for file in search.files]
        if asked.output is not None:
            check_target(asked.output)
        if asked.plot is not None:
            _check_plot(asked.plot, len(files))
        if asked.labels is not None:
            self.places = label_files(asked.labels, searches)
            _check_labels(asked.labels, self.places)
        outputs = [file for file in (asked.output, asked.plot) if file is not None]
        others = [model_file(asked.model), *([asked.frames] if asked.frames else [])]
        normal_files = [file for search in normal for file in search.files]
        _check_apart([*outputs, *self.places.values()], [*files, *normal_files, *others])

    def write(self) -> None:
        """Each file whole or not at all.  Raises OSError."""
        asked = self.arguments
        for heard in self.heard:
            place = self.places.get(heard.file)
            if place is not None:
                if place != asked.labels:
                    place.parent.mkdir(parents=True, exist_ok=True)
                replace_atomically(place, heard.labels())
        if asked.output is not None:
            rows = (line for heard in self.heard for line in heard.lines(self.threshold))
            replace_atomically(asked.output, csv_bytes(rows))
        if asked.plot is not None:
            save_timelines(asked.plot, [self._timeline(heard) for heard in self.heard])

    @property
    def written(self) -> list[Path]:
        """Files and folder of outputs."""
        asked = (self.arguments.output, self.arguments.plot, self.arguments.labels)
        return [file for file in asked if file is not None]

    def _timeline(self, heard: Heard) -> Timeline:
        segments = [(s.begin, s.end) for s in heard.segments or ()]
        return Timeline(
            heard.file.name,
            heard.overview,
            self.model.sample_rate,
            heard.edges,
            heard.measure,
            f"{self._unit()}, per sample",
            self.threshold,
            segments,
        )


def csv_bytes(rows: Iterable[tuple[str, ...]]) -> bytes:
    """A CSV file with a head; names of files have the bytes that they have on disk."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def label_files(labels: Path, searches: Sequence[Found]) -> dict[Path, Path]:
    """Recording -> file of its labels: `labels` itself for a source that is a file and the only
    one, else in the folder `labels`, at the recording's place in its own folder.

    Raises ValueError if two recordings have the same file.
    """
    if len(searches) == 1 and searches[0].root.is_file():
        return {file: labels for file in searches[0].files}
    places: dict[Path, Path] = {}  # file of labels -> recording
    for search in searches:
        folder = search.root.parent if search.root.is_file() else search.root
        for file in search.files:
            place = labels / file.relative_to(folder).with_suffix(LABELS_SUFFIX)
            if place in places and places[place] != file:
                raise ValueError(
                    f"{shown(place)}: would hold the labels of both {shown(places[place])} and "
                    f"{shown(file)}: score them apart"
                )
            places[place] = file
    return {file: place for place, file in places.items()}


def _check_plot(picture: Path, recordings: int) -> None:
    import matplotlib  # noqa: F401  a missing one is an error now

    if recordings > MAX_PLOTTED:
        raise ValueError(
            f"--plot draws up to {MAX_PLOTTED} recordings, not {recordings}: name fewer, or see "
            "the CSV file of -o"
        )
    check_picture(picture)


def _check_labels(labels: Path, places: dict[Path, Path]) -> None:
    """labels: a file, or a folder for those of `places`."""
    if any(place != labels for place in places.values()):
        check_folder(labels)
    for place in places.values():
        if place.parent.is_dir() or place == labels:
            check_target(place)


def _check_apart(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Raises ValueError if an output would replace an input or another output."""
    named = [Path(os.path.realpath(file)) for file in outputs if not is_special_file(file)]
    twice = {file for file in named if named.count(file) > 1}
    if twice:
        raise ValueError(f"{shown(min(twice))} would be written twice: name another output")
    for output in (file for file in outputs if file.is_file()):
        if any(file.exists() and output.samefile(file) for file in inputs):
            raise ValueError(f"{shown(output)} is read and would be replaced: name another output")
