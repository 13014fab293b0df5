"""Which precision a model computes in, and what each costs: measured, recorded, decided by."""

import math

import networks
import numpy as np
import pytest
from engines import model_of, weights_of
from networks import random_codes, small_spec

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.ends import FrameConditioning
from fastwavenet.precision import AFFORDABLE, describe_precision_cost
from fastwavenet.precision_cost import Comparison
from fastwavenet.spec import ONLY_BY_NAME, PRECISIONS

SPEC = small_spec(levels=64, residual=16, dilation_channels=16, skip=32, head=32)
SMALLER = ["bfloat16", "int8", "bfloat16x16", "int8x8"]
every_smaller_one = pytest.mark.parametrize("smaller", SMALLER)
CODES = random_codes(SPEC, 300, seed=2)
MORE_CODES = random_codes(SPEC, 40, seed=3)


@pytest.fixture
def path(tmp_path):
    modelfile.save(tmp_path / "m.safetensors", SPEC, weights_of(SPEC))
    return tmp_path / "m.safetensors"


def mean_nats(precision: str, *recordings: np.ndarray) -> float:
    """float64, over all samples of all recordings."""
    model = model_of(SPEC, precision=precision)
    return np.concatenate([fw.score(model, codes) for codes in recordings]).mean(dtype=np.float64)


def test_these_tests_know_every_precision():
    assert list(PRECISIONS) == networks.PRECISIONS == ["float32", *SMALLER]


# ---- what is asked for -----------------------------------------------------------------------


def test_a_model_computes_in_the_precision_that_is_asked_for(path, precision):
    model = fw.load(path, precision)
    assert model.precision == precision
    assert repr(model).endswith(f", {precision})")
    same = model_of(SPEC, precision=precision)
    assert fw.outputs(model, CODES).tobytes() == fw.outputs(same, CODES).tobytes()


def test_a_model_that_is_made_of_weights_is_float32_unless_asked():
    model = fw.Model(SPEC, weights_of(SPEC), precision_cost={"int8": 0.0})
    assert (model.precision, model.precision_cost) == ("float32", {"int8": 0.0})


@every_smaller_one
def test_a_smaller_precision_computes_something_else(smaller):
    outputs = [fw.outputs(model_of(SPEC, precision=p), CODES) for p in ("float32", smaller)]
    assert outputs[0].tobytes() != outputs[1].tobytes()


def test_a_smaller_precision_reads_fewer_bytes():
    read = [model_of(SPEC, precision=name).info()["step_bytes"] for name in PRECISIONS]
    assert read[0] > read[1] > read[2]


@pytest.mark.parametrize("name", ["float16", "INT8", "", None, 8])
def test_an_unknown_precision_is_refused_and_the_known_ones_are_listed(path, name):
    expected = (
        "^precision must be one of auto, float32, bfloat16, int8, bfloat16x16, int8x8, "
        f"not {name!r}$"
    )
    with pytest.raises(ValueError, match=expected):
        fw.load(path, name)
    with pytest.raises(ValueError, match=expected):
        fw.Model(SPEC, weights_of(SPEC), name)


def test_a_precision_cost_that_is_none_is_refused():
    with pytest.raises(
        fw.ModelFormatError, match="precision_cost of int8 must be a finite number, not nan"
    ):
        fw.Model(SPEC, weights_of(SPEC), "auto", precision_cost={"int8": math.nan})
    with pytest.raises(
        fw.ModelFormatError, match="precision_cost must map precisions to numbers, not list"
    ):
        fw.Model(SPEC, weights_of(SPEC), precision_cost=[])


# ---- auto ------------------------------------------------------------------------------------

TOO_MUCH = math.nextafter(AFFORDABLE, 1)
DECISIONS = [
    ({}, "float32"),
    ({"int8": AFFORDABLE}, "int8"),
    ({"int8": TOO_MUCH}, "float32"),
    ({"bfloat16": AFFORDABLE}, "bfloat16"),
    ({"bfloat16": TOO_MUCH}, "float32"),
    ({"bfloat16": TOO_MUCH, "int8": AFFORDABLE}, "int8"),
    ({"bfloat16": AFFORDABLE, "int8": TOO_MUCH}, "bfloat16"),
    ({"bfloat16": AFFORDABLE, "int8": AFFORDABLE}, "int8"),
    ({"bfloat16": TOO_MUCH, "int8": TOO_MUCH}, "float32"),
    ({"bfloat16x16": -1.0}, "float32"),  # a draft
    ({"bfloat16": TOO_MUCH, "int8": TOO_MUCH, "bfloat16x16": 0.0}, "float32"),
    ({"bfloat16": 0.0, "bfloat16x16": 0.0}, "bfloat16"),
    ({"int8x8": -1.0}, "float32"),  # only by name
    ({"int8": AFFORDABLE, "int8x8": 0.0}, "int8"),
    ({"int8": -1.0}, "int8"),  # it predicted those recordings better
]


def test_up_to_two_thousandths_of_a_nat_are_affordable():
    assert AFFORDABLE == 0.002


@pytest.mark.parametrize(("cost", "expected"), DECISIONS)
def test_auto_is_the_smallest_precision_that_loses_little(path, cost, expected):
    fw.record_precision_cost(path, cost)
    model = fw.load(path)
    assert (model.precision, model.precision_cost) == (expected, cost)
    assert fw.load(path, "auto").precision == expected
    assert fw.Model(SPEC, weights_of(SPEC), "auto", precision_cost=cost).precision == expected


def test_what_is_asked_for_counts_more_than_what_is_recorded(path, precision):
    for cost in ({"int8": 0.0}, {"bfloat16": 5.0, "int8": 5.0}):
        fw.record_precision_cost(path, cost)
        assert fw.load(path, precision).precision == precision


def test_auto_does_not_depend_on_the_cpu(path, isa, monkeypatch):
    monkeypatch.setattr("fastwavenet._engine.supported_isas", lambda: [isa])
    for cost, expected in DECISIONS:
        fw.record_precision_cost(path, cost)
        assert fw.load(path).precision == expected


def test_changing_the_losses_one_was_told_changes_no_model(path):
    fw.record_precision_cost(path, {"int8": 0.0})
    model = fw.load(path)
    model.precision_cost["int8"] = 9.0
    assert model.precision_cost == {"int8": 0.0}


# ---- measured --------------------------------------------------------------------------------


@every_smaller_one
def test_the_loss_is_how_much_more_a_sample_costs_than_in_float32(path, smaller):
    cost = fw.measure_precision(path, CODES)
    assert list(cost) == SMALLER
    expected = mean_nats(smaller, CODES) - mean_nats("float32", CODES)
    assert cost[smaller] == pytest.approx(expected, abs=1e-12)
    assert cost[smaller] != 0


@every_smaller_one
def test_every_sample_of_several_recordings_counts_as_much(path, smaller):
    cost = fw.measure_precision(path, CODES, MORE_CODES)
    expected = mean_nats(smaller, CODES, MORE_CODES) - mean_nats("float32", CODES, MORE_CODES)
    assert cost[smaller] == pytest.approx(expected, abs=1e-12)


def test_a_loss_of_these_precisions_is_small(path):
    cost = fw.measure_precision(path, random_codes(SPEC, 3000, seed=4))
    assert abs(cost["bfloat16"]) < 0.005
    assert abs(cost["int8"]) < 0.02
    assert abs(cost["bfloat16x16"]) < 0.02
    assert abs(cost["int8x8"]) < 0.02


def test_audio_is_measured_like_its_codes(path):
    audio = fw.mu_law_decode(CODES, SPEC.levels)
    assert fw.measure_precision(path, audio) == fw.measure_precision(path, CODES)


def test_measuring_changes_no_file_and_does_not_see_what_was_recorded(path):
    measured = fw.measure_precision(path, CODES)
    fw.record_precision_cost(path, {"int8": 7.0})
    before = path.read_bytes()
    assert fw.measure_precision(path, CODES) == measured
    assert path.read_bytes() == before


def test_what_was_measured_is_recorded_and_decides(path):
    cost = fw.measure_precision(path, CODES)
    fw.record_precision_cost(path, cost)
    model = fw.load(path)
    assert model.precision_cost == cost
    affordable = [name for name in SMALLER if name not in ONLY_BY_NAME and cost[name] <= AFFORDABLE]
    assert model.precision == ["float32", *affordable][-1]


@pytest.mark.parametrize("recordings", [[], [CODES[:0]], [CODES[:1]], [CODES[:1], CODES[:1]]])
def test_nothing_is_measured_where_nothing_is_predicted(path, recordings):
    with pytest.raises(ValueError, match="expected a recording of at least 2 samples"):
        fw.measure_precision(path, *recordings)
    fw.measure_precision(path, *recordings, CODES[:2])


def test_a_model_that_needs_cond_is_not_measured(tmp_path):
    spec = small_spec(conditioning=FrameConditioning(channels=3))
    modelfile.save(tmp_path / "m.safetensors", spec, weights_of(spec))
    with pytest.raises(ValueError, match="the model needs frames of 3 channels"):
        fw.measure_precision(tmp_path / "m.safetensors", [1, 2, 3])


def test_progress_goes_once_from_nothing_to_all(path):
    said = []
    comparison = Comparison(SPEC, weights_of(SPEC))
    comparison.add(CODES, progress=lambda done, total: said.append((done, total)))
    steps = len(CODES) - 1
    assert said == sorted(said) and said[-1] == (5 * steps, 5 * steps)
    assert {total for _, total in said} == {5 * steps}


def test_losses_are_said_to_a_hundred_thousandth():
    said = describe_precision_cost({"bfloat16": -0.00003, "int8": 0.000141})
    assert said == "bfloat16 -0.00003, int8 +0.00014 nats per sample"
