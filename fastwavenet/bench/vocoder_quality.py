"""`fastwavenet bench --vocoder`: a vocoder on recordings, beside Griffin-Lim and the codec alone.

Each recording is cut to whole frames and made again: by the model's codec, by Griffin-Lim from its
mel frames, and by the model in each precision and sampling given.  sound_quality.py and
sound_measures.py measure the results.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio_finding import search_audio
from ..audio_reading import read_audio
from ..checks import whole
from ..cli.models import load_model, model_file
from ..features import mel
from ..mel_conventions import Mel
from ..model import Model
from ..mulaw import mu_law_decode, mu_law_encode
from ..scoring import score
from ..shown import shown
from ..sound_measures import flatness, log_mel_distance, mean, silent_share
from ..spec import WaveNetSpec
from ..types import Audio
from ..vocoding import frames_of_sound, vocode
from ..voiced_sampling import check_min_p, check_temperature
from . import sound_quality as quality
from .griffin_lim import ITERATIONS, griffin_lim
from .results import machine

FORMAT = {"made_by": "fastwavenet bench --vocoder", "format": 1}
BATCH = 16  # recordings that the model makes in step
COUNT = 30
COLUMNS = {  # key of a row -> head and format
    "log_mel_l1": ("log-mel L1", ".2f"),
    "log_stft_l1": ("log-STFT L1", ".2f"),
    "high_band_db": ("LSD above 4 kHz, dB", ".1f"),
    "estoi": ("ESTOI", ".3f"),
    "pesq_wb": ("PESQ-WB", ".2f"),
    "pitch_cents": ("pitch, median cents", ".0f"),
    "above_50_cents": ("above 50 cents", ".3f"),
    "voicing_error": ("voicing errors", ".3f"),
    "silent_share": ("silent", ".3f"),
    "flatness": ("flatness, loud", ".4f"),
    "nats_per_sample": ("nats", ".3f"),
    "times_real_time": ("x real time", ".1f"),
}
OPTIONS = ("recordings", "count", "precisions", "temperature", "min_p", "seed")


# ---- the command -------------------------------------------------------------------------------


def add_arguments(add: Callable[..., argparse.Action]) -> None:
    """add: the `add_argument` of a parser.  `given` needs options without a default."""
    add("--vocoder", type=Path, metavar="MODEL", help="judge this vocoder's sound instead")
    add("--recordings", type=Path, nargs="+", metavar="SOURCE", help="files or folders, held out")
    add("--count", type=int, metavar="N", help=f"the first N of them ({COUNT})")
    add("--precisions", type=_words, metavar="int8,...", help="a row for each (auto)")
    add("--temperature", type=_numbers(check_temperature), metavar="1,0.8", help="a row for each")
    add("--min-p", type=_numbers(check_min_p), metavar="0,0.05", help="a row for each")
    add("--seed", type=int, help="of the model's samples and Griffin-Lim's phases (0)")


def given(arguments: argparse.Namespace) -> list[str]:
    """The options of this file, but --vocoder, that were given."""
    names = [name for name in OPTIONS if getattr(arguments, name) is not None]
    return [f"--{name.replace('_', '-')}" for name in names]


def results_of(arguments: argparse.Namespace) -> dict:
    """Measures and prints the table; returns its rows and their circumstances, for JSON.

    Raises ValueError or OSError for the model and the recordings; ImportError if pystoi is missing.
    """
    import pystoi  # noqa: F401  a missing one is an error now

    if arguments.recordings is None:
        raise ValueError("--vocoder needs --recordings: files or folders that are held out")
    count = COUNT if arguments.count is None else whole("--count", arguments.count, 1, 10**6)
    seed = whole("--seed", arguments.seed or 0, 0, 2**64 - 1)
    models = [load_model(arguments.vocoder, name) for name in arguments.precisions or ["auto"]]
    convention = convention_of(models[0])
    files = [file for source in arguments.recordings for file in found_files(source)][:count]
    check_output(arguments.output, [model_file(arguments.vocoder), *files])
    recordings = [read_recording(file, convention) for file in files]
    about = machine()
    print(f"{about['cpu']}; the model makes up to {BATCH} recordings in step, on one thread")
    samplings = samplings_of(arguments.temperature, arguments.min_p)
    rows = print_rows(contenders(models, recordings, samplings, seed), recordings, convention)
    names = {"model": str(arguments.vocoder), "recordings": [str(file) for file in files]}
    return FORMAT | {"machine": about, **names, "seed": seed, "rows": rows}


def convention_of(model: Model) -> Mel:
    """Of the model's frames.  Raises ValueError if it takes none, or speakers."""
    end = model.spec.conditioning
    if end is None or end.mel is None or end.speakers:
        raise ValueError("--vocoder must be a model of mel frames, without speakers")
    return end.mel


def found_files(source: Path) -> list[Path]:
    """A file itself, or the audio files of a folder, sorted.  Raises ValueError without any."""
    search = search_audio(source)
    if not search.files:
        raise ValueError(f"{shown(source)}: expected audio files, found {search.unusable()}")
    return search.files


def check_output(output: Path | None, inputs: Sequence[Path]) -> None:
    """Raises ValueError if the output would replace a file that is read."""
    if output is not None and output.is_file() and any(map(output.samefile, inputs)):
        raise ValueError(f"{shown(output)} is read and would be replaced: name another output")


def read_recording(file: Path, convention: Mel) -> Audio:
    """Its whole frames.  Raises ValueError for another rate, and if it has no frame."""
    audio = read_audio(file, convention.sample_rate)[0]
    n = len(audio) // convention.hop * convention.hop
    if not n:
        raise ValueError(
            f"{shown(file)}: has {len(audio)} samples, expected at least {convention.hop}, a frame"
        )
    return audio[:n]


def samplings_of(
    temperatures: Sequence[float] | None, min_ps: Sequence[float] | None
) -> list[dict[str, float]]:
    """Keywords of `vocode`: all combinations of what is given."""
    lists = {"temperature": temperatures, "min_p": min_ps}
    named = [[(key, value) for value in values] for key, values in lists.items() if values]
    return [dict(pairs) for pairs in itertools.product(*named)]


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(check: Callable[[object], float]) -> Callable[[str], list[float]]:
    def parse(text: str) -> list[float]:
        try:
            return [check(float(part)) for part in text.split(",")]
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


# ---- contenders --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contender:
    """A way to make recordings again.

    make   recordings to results of the same lengths
    nats   the mean surprise of a sample; None: it predicts none
    timed  whether its duration counts
    """

    name: str
    make: Callable[[list[Audio]], list[Audio]]
    nats: Callable[[], float] | None = None
    timed: bool = True


def contenders(
    models: Sequence[Model],
    recordings: list[Audio],
    samplings: Sequence[dict[str, float]],
    seed: int,
) -> list[Contender]:
    """The rows of the table.  models: of one file, in different precisions."""
    spec, convention = models[0].spec, convention_of(models[0])
    found = [
        Contender("the recording itself", list, timed=False),
        Contender(_codec_name(spec), functools.partial(_by_codec, spec), timed=False),
        Contender(
            f"Griffin-Lim (fast, {ITERATIONS} iterations)",
            lambda audio: [griffin_lim(mel(each, convention), convention, seed) for each in audio],
        ),
    ]
    for model in models:
        nats = functools.cache(functools.partial(nats_per_sample, model, recordings))
        for sampling in samplings:
            name = ", ".join([model.precision, *(f"{k} {v:g}" for k, v in sampling.items())])
            make = functools.partial(vocode, model, seed=seed, batch=BATCH, **sampling)
            found.append(Contender(name, make, nats))
    return found


def _codec_name(spec: WaveNetSpec) -> str:
    emphasis = spec.codec.pre_emphasis
    with_it = f", pre-emphasis {emphasis:g}" if emphasis else ""
    return f"codec alone ({spec.levels} levels{with_it})"


def _by_codec(spec: WaveNetSpec, recordings: list[Audio]) -> list[Audio]:
    codes = [mu_law_encode(audio, spec.levels, codec=spec.codec) for audio in recordings]
    return [mu_law_decode(each, spec.levels, codec=spec.codec) for each in codes]


def nats_per_sample(model: Model, recordings: Sequence[Audio]) -> float:
    """The mean of `score` over all samples that it predicts, with the recordings' own frames."""
    parts = [score(model, x, frames=frames_of_sound(model, x)) for x in recordings]
    return mean(np.concatenate(parts))


# ---- rows --------------------------------------------------------------------------------------


def measured(contender: Contender, recordings: list[Audio], convention: Mel) -> dict:
    """A row: its name, and a number or None for each key of COLUMNS."""
    began = time.perf_counter()
    results = contender.make(recordings)
    seconds = time.perf_counter() - began
    row = measures(recordings, results, convention)
    row["nats_per_sample"] = contender.nats() if contender.nats else math.nan
    total = sum(map(len, recordings)) / convention.sample_rate
    row["times_real_time"] = total / seconds if contender.timed else math.nan
    numbers = {key: None if math.isnan(row[key]) else row[key] for key in COLUMNS}
    return {"name": contender.name, **numbers}


def measures(
    originals: Sequence[Audio], results: Sequence[Audio], convention: Mel
) -> dict[str, float]:
    """The mean of each measure over recordings; of pitch errors, over the frames of all."""
    rate, hop = convention.sample_rate, convention.hop
    each, cents = [], []
    for original, result in zip(originals, results, strict=True):
        errors, voicing_error = quality.pitch_errors(original, result, rate, hop)
        cents.append(errors)
        each.append(
            {
                "log_mel_l1": log_mel_distance(original, result, convention),
                "log_stft_l1": quality.log_stft_distance(original, result),
                "high_band_db": quality.high_band_distance(original, result, rate),
                "estoi": quality.estoi(original, result, rate),
                "pesq_wb": quality.pesq_wb(original, result, rate),
                "voicing_error": voicing_error,
                "silent_share": silent_share(result, rate),
                "flatness": flatness(result),
            }
        )
    found = {key: mean([of[key] for of in each]) for key in each[0]}
    all_cents = np.concatenate(cents)
    found["pitch_cents"] = float(np.median(all_cents)) if len(all_cents) else math.nan
    found["above_50_cents"] = mean(all_cents > 50)
    return found


def print_rows(found: Sequence[Contender], recordings: list[Audio], convention: Mel) -> list[dict]:
    """Measures and prints row by row, as a Markdown table whose columns are aligned."""
    seconds = sum(map(len, recordings)) / convention.sample_rate
    title = f"{len(recordings)} recordings, {seconds:.0f} s"
    heads = [head for head, _ in COLUMNS.values()]
    widths = [
        max(len(title), *(len(c.name) for c in found)),
        *(max(6, len(head)) for head in heads),
    ]
    rows = []
    print("\n" + _line([title, *heads], widths))
    print(_line(["-" * width for width in widths], widths), flush=True)
    for contender in found:
        rows.append(measured(contender, recordings, convention))
        print(_line([contender.name, *cells(rows[-1])], widths), flush=True)
    return rows


def cells(row: dict) -> Iterator[str]:
    for key, (_, form) in COLUMNS.items():
        yield "-" if row[key] is None else format(row[key], form)


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    first = texts[0].ljust(widths[0])
    return "| " + " | ".join([first, *map(str.rjust, texts[1:], widths[1:])]) + " |"
