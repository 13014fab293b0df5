"""Which instruction set runs is the best there is, the environment's, or the caller's."""

import pytest
from c_build import setup_names
from engines import model_of
from networks import small_spec

import fastwavenet as fw
from fastwavenet import _engine

ENVIRONMENT = "FASTWAVENET_ISA"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)


def test_scalar_is_always_there_and_the_last_one_is_taken():
    assert fw.available_isas()[0] == "scalar"
    assert fw.isa() == fw.available_isas()[-1]


def test_the_environment_chooses_and_the_argument_overrules_it(isa, monkeypatch):
    model = model_of(small_spec())
    monkeypatch.setenv(ENVIRONMENT, isa)
    assert fw.isa() == isa
    assert fw.Generator(model).isa == isa
    assert fw.Generator(model, isa="scalar").isa == "scalar"


def test_an_empty_environment_is_none(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "")
    assert fw.isa() == fw.available_isas()[-1]


def test_an_unknown_isa_is_refused_and_the_available_ones_are_listed(monkeypatch):
    listed = ", ".join(fw.available_isas())
    with pytest.raises(ValueError, match=f"^isa 'mmx' is unknown; available: {listed}$"):
        fw.Generator(model_of(small_spec()), isa="mmx")
    monkeypatch.setenv(ENVIRONMENT, "mmx")
    with pytest.raises(ValueError, match=f"^{ENVIRONMENT} 'mmx' is unknown; available: {listed}$"):
        fw.mu_law_encode([0.5])


@pytest.mark.parametrize("name", _engine.isa_names()[1:])
def test_an_isa_that_this_machine_lacks_is_refused(name, monkeypatch):
    monkeypatch.setattr("fastwavenet._engine.supported_isas", lambda: ["scalar"])
    expected = f"^isa '{name}' is not available on this machine; available: scalar$"
    with pytest.raises(ValueError, match=expected):
        fw.isa(name)


def test_only_the_instruction_sets_of_this_kind_of_cpu_are_available():
    assert set(fw.available_isas()) <= set(setup_names()["ISA_FLAGS"])
