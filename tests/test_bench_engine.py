"""The benchmark's tables of the engine alone."""

import pytest
from networks import NETWORKS as SMALL
from networks import random_weights

from fastwavenet import Model, available_isas
from fastwavenet.bench import instruction_sets
from fastwavenet.bench.contenders import PRECISIONS
from fastwavenet.bench.engine_peer import Engine
from fastwavenet.bench.measure import Refused
from fastwavenet.bench.networks import NETWORKS

SECONDS = 0.02
TINY = SMALL["kernel_3"]
each_precision = pytest.mark.parametrize("precision", PRECISIONS)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A small network that the tables know by name."""
    monkeypatch.setitem(NETWORKS, "tiny", TINY)


def test_each_instruction_set_is_timed_in_each_precision_and_number_of_voices():
    found = instruction_sets.rows("tiny", [1, 3], SECONDS)
    rows = [(row["batch"], row["isa"], row["precision"]) for row in found]
    assert rows == [(b, isa, p) for b in (1, 3) for isa in available_isas() for p in PRECISIONS]
    assert min(row["samples_per_second"] for row in found) > 0


@each_precision
def test_an_instruction_set_that_draws_other_samples_is_refused(precision):
    isa = available_isas()[-1]
    models = [Model(TINY, random_weights(TINY, seed), precision=precision) for seed in (1, 2)]
    instruction_sets.check_same_samples("tiny", [Engine(models[0], i) for i in available_isas()])
    with pytest.raises(Refused, match=f"tiny, {precision}: {isa} draws other samples than {isa}"):
        instruction_sets.check_same_samples("tiny", [Engine(model, isa) for model in models])
