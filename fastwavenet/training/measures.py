"""The measures of a trained network on held-out audio, which its file keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from pathlib import Path

from ..clips import Clip, excerpts
from ..ends import Sampling
from ..held_out import Recording, TooLittleAudio, recording_of
from ..instruction_sets import isa
from ..model import Model
from ..modelfile import load, record_precision_cost, record_sampling
from ..precision import AFFORDABLE, describe_precision_cost
from ..precision_cost import Comparison
from ..tuning import tune_on
from ..tuning_table import estimating, outcome, table
from .console import Console
from .data import Corpus

COST_SECONDS = 10  # of audio, which give a precision's cost to about 0.0001 nats
ROUNDING = (  # advice
    f"int8, the fastest, costs more than {AFFORDABLE} nats, so it is not the default: fastwavenet "
    "export --round-for-int8 makes it cost less"
)
LEAST_SECONDS, MOST_SECONDS = 10, 3600  # of an excerpt for the search of the sampling, and of all


def record_measures(
    path: Path, corpus: Corpus, tune: bool, console: Console, stopped: Callable[[], bool]
) -> Sampling:
    """Writes into a model file the sampling that sounds best, and the cost of smaller precisions.

    The cost is written last: with it the files of a run are complete.  Returns the sampling.
    """
    contents = load(path)
    comparison, rate = Comparison(contents.spec, contents.weights), contents.spec.sample_rate
    for piece in excerpts(corpus.validation, rate, COST_SECONDS * rate):
        comparison.add(piece.codes[:], frames=piece.frames, speaker=piece.speaker)
    cost = comparison.cost()
    if tune and not stopped():
        _record_best_sampling(path, cost, corpus, console, stopped)
    record_precision_cost(path, cost)
    console.say(f"against float32: {describe_precision_cost(cost)}")
    if cost["int8"] > AFFORDABLE:
        console.say(ROUNDING)
    return load(path).spec.sampling


def _record_best_sampling(
    path: Path,
    cost: Mapping[str, float],
    corpus: Corpus,
    console: Console,
    stopped: Callable[[], bool],
) -> None:
    """Searches with `tune`, and writes the best sampling into a model file.

    cost: of its smaller precisions, by which the precision of the search is chosen.
    Where too little audio is held out, all of it is compared with.  Nothing is written if `stopped`
    is true meanwhile, or if there is too little in all.
    """
    contents = load(path)
    model = Model(contents.spec, contents.weights, "auto", precision_cost=cost)
    estimate = estimating(console.say, time.monotonic)

    def progress(done: int, total: int) -> None:
        if stopped():
            raise CancelledError
        estimate(done, total)

    try:
        try:
            tuning = tune_on(model, _recordings(model, corpus.validation), progress=progress)
        except TooLittleAudio:
            everything = _recordings(model, corpus.train + corpus.validation)
            tuning = tune_on(model, everything, progress=progress)
            console.say("little audio is held out: the best sampling was searched on all of it")
    except CancelledError:
        console.say("the search for the best sampling was stopped: fastwavenet tune repeats it")
        return
    except TooLittleAudio as reason:
        console.say(f"no search for the best sampling: {reason}")
        return
    for line in (*table(tuning), outcome(tuning)):
        console.say(line)
    record_sampling(path, tuning.sampling)


def _recordings(model: Model, clips: list[Clip]) -> list[Recording]:
    rate = model.sample_rate
    return [
        recording_of(model.spec, clip.codes[:], clip.frames, clip.speaker, None, isa())
        for clip in excerpts(clips, least=rate * LEAST_SECONDS, most=rate * MOST_SECONDS)
    ]
