"""The sampling that suits a trained network, searched on its held-out audio."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path

from ..clips import Clip, excerpts
from ..held_out import TooLittleAudio, recording_of
from ..instruction_sets import isa
from ..model import Model
from ..modelfile import load, record_sampling
from ..tuning import tune_on
from ..tuning_table import estimating, outcome, table
from .console import Console

LEAST_SECONDS, MOST_SECONDS = 10, 3600  # of an excerpt of held-out audio, and of all


def record_best_sampling(
    path: Path,
    cost: Mapping[str, float],
    held_out: Sequence[Clip],
    console: Console,
    stopped: Callable[[], bool],
) -> None:
    """Searches with `tune`, and writes the best sampling into a model file.

    cost: of its smaller precisions, by which the precision of the search is chosen.
    Nothing is written if `stopped` is true meanwhile, or if there is too little audio.
    """
    contents = load(path)
    rate = contents.spec.sample_rate
    model = Model(contents.spec, contents.weights, "auto", precision_cost=cost)
    recordings = [
        recording_of(model.spec, clip.codes[:], clip.frames, clip.speaker, None, isa())
        for clip in excerpts(list(held_out), least=rate * LEAST_SECONDS, most=rate * MOST_SECONDS)
    ]
    estimate = estimating(console.say, time.monotonic)

    def progress(done: int, total: int) -> None:
        if stopped():
            raise CancelledError
        estimate(done, total)

    try:
        tuning = tune_on(model, recordings, progress=progress)
    except CancelledError:
        console.say("the search for the best sampling was stopped: fastwavenet tune repeats it")
        return
    except TooLittleAudio as reason:
        console.say(f"no search for the best sampling on the held-out audio: {reason}")
        return
    for line in (*table(tuning), outcome(tuning)):
        console.say(line)
    record_sampling(path, tuning.sampling)
