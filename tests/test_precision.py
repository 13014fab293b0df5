"""Which precision a model computes in, and what each costs: measured, recorded, decided by."""

import math

import conftest
import pytest
from engines import model_of, weights_of
from networks import random_codes, small_spec

import fastwavenet as fw
from fastwavenet.precision import AFFORDABLE
from fastwavenet.spec import PRECISIONS

SPEC = small_spec(levels=64, residual=16, dilation_channels=16, skip=32, head=32)
SMALLER = ["bfloat16", "int8"]
every_smaller_one = pytest.mark.parametrize("smaller", SMALLER)
CODES = random_codes(SPEC, 300, seed=2)


@pytest.fixture
def path(tmp_path):
    fw.modelfile.save(tmp_path / "m.safetensors", SPEC, weights_of(SPEC))
    return tmp_path / "m.safetensors"


def test_these_tests_know_every_precision():
    assert list(PRECISIONS) == conftest.PRECISIONS == ["float32", *SMALLER]


# ---- what is asked for -----------------------------------------------------------------------


def test_a_model_computes_in_the_precision_that_is_asked_for(path, precision):
    model = fw.load(path, precision)
    assert model.precision == precision
    assert repr(model).endswith(f", {precision})")
    same = model_of(SPEC, precision=precision)
    assert fw.outputs(model, CODES).tobytes() == fw.outputs(same, CODES).tobytes()


def test_a_model_that_is_made_of_weights_is_float32_unless_asked():
    model = fw.Model(SPEC, weights_of(SPEC), losses={"int8": 0.0})
    assert (model.precision, model.losses) == ("float32", {"int8": 0.0})


@every_smaller_one
def test_a_smaller_precision_computes_something_else(smaller):
    outputs = [fw.outputs(model_of(SPEC, precision=p), CODES) for p in ("float32", smaller)]
    assert outputs[0].tobytes() != outputs[1].tobytes()


def test_a_smaller_precision_reads_fewer_bytes():
    read = [model_of(SPEC, precision=name).info()["step_bytes"] for name in PRECISIONS]
    assert read[0] > read[1] > read[2]


@pytest.mark.parametrize("name", ["float16", "INT8", "", None, 8])
def test_an_unknown_precision_is_refused_and_the_known_ones_are_listed(path, name):
    expected = f"^precision must be one of auto, float32, bfloat16, int8, not {name!r}$"
    with pytest.raises(ValueError, match=expected):
        fw.load(path, name)
    with pytest.raises(ValueError, match=expected):
        fw.Model(SPEC, weights_of(SPEC), name)


def test_losses_that_are_none_are_refused():
    with pytest.raises(fw.ModelFormatError, match="loss of int8 must be a finite number, not nan"):
        fw.Model(SPEC, weights_of(SPEC), "auto", losses={"int8": math.nan})
    with pytest.raises(fw.ModelFormatError, match="loss must map precisions to numbers, not list"):
        fw.Model(SPEC, weights_of(SPEC), losses=[])


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
    ({"int8": -1.0}, "int8"),  # it predicted those recordings better
]


def test_up_to_two_thousandths_of_a_nat_are_affordable():
    assert AFFORDABLE == 0.002


@pytest.mark.parametrize(("losses", "expected"), DECISIONS)
def test_auto_is_the_smallest_precision_that_loses_little(path, losses, expected):
    fw.record_losses(path, losses)
    model = fw.load(path)
    assert (model.precision, model.losses) == (expected, losses)
    assert fw.load(path, "auto").precision == expected
    assert fw.Model(SPEC, weights_of(SPEC), "auto", losses=losses).precision == expected


def test_what_is_asked_for_counts_more_than_what_is_recorded(path, precision):
    for losses in ({"int8": 0.0}, {"bfloat16": 5.0, "int8": 5.0}):
        fw.record_losses(path, losses)
        assert fw.load(path, precision).precision == precision


def test_auto_does_not_depend_on_the_cpu(path, isa, monkeypatch):
    monkeypatch.setattr("fastwavenet._engine.supported_isas", lambda: [isa])
    for losses, expected in DECISIONS:
        fw.record_losses(path, losses)
        assert fw.load(path).precision == expected


def test_changing_the_losses_one_was_told_changes_no_model(path):
    fw.record_losses(path, {"int8": 0.0})
    model = fw.load(path)
    model.losses["int8"] = 9.0
    assert model.losses == {"int8": 0.0}
