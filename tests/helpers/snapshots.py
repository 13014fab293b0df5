"""States of runs that were never trained, for reporters."""

import dataclasses

from networks import random_weights
from recordings import tone
from runs import SPEC

from fastwavenet.clips import Clip
from fastwavenet.mulaw import mu_law_encode
from fastwavenet.training.data import Corpus
from fastwavenet.training.settings import Budget, Settings
from fastwavenet.training.snapshot import Snapshot


def rec(step, held_out=2.0, train=2.0, **more):
    numbers = {"step": step, "seconds": 10.0 * step, "train_loss": train}
    return numbers | {"validation_loss": held_out, "learning_rate": 0.01} | more


def clip(samples=4000, name="a"):
    return Clip(name, mu_law_encode(tone(samples), codec=SPEC.codec))


def snapshot(history, **changes):
    corpus = Corpus([clip(16000)], [clip(), clip(5000, "b")], [], [])
    steps = history[-1]["step"] if history else 0
    about = dict(steps=steps, samples=200 * steps, seconds=10.0 * steps, spent=0.5)
    now = Snapshot(
        Settings(spec=SPEC), Budget(10, None), corpus, history, **about,
        weights=random_weights(SPEC, seed=1),
    )  # fmt: skip
    return dataclasses.replace(now, **changes)
