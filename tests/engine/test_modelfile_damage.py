"""A model file that is mutated at random loads, or raises ModelFormatError."""

import time

import hypothesis
import numpy as np
from damaged_models import damaged, edited
from hypothesis import given
from model_files import COST

from fastwavenet.modelfile import ModelFormatError, parse
from fastwavenet.spec import WaveNetSpec


def parsed_or_refused(data: bytes) -> tuple | ModelFormatError:
    try:
        return parse(data)
    except ModelFormatError as error:
        return error


@hypothesis.settings(max_examples=500)
@given(edited() | damaged())
def test_a_mutated_file_loads_or_raises_a_model_format_error(mutant):
    started = time.process_time()
    outcome = parsed_or_refused(mutant)
    assert time.process_time() - started < 10  # it takes milliseconds
    if isinstance(outcome, ModelFormatError):
        assert str(outcome).isprintable()
        assert len(str(outcome)) < 1000
    else:
        spec, weights, cost = outcome
        assert set(cost) <= set(COST) and np.isfinite(list(cost.values())).all()
        assert WaveNetSpec.from_dict(spec.to_dict()) == spec
        assert {name: array.shape for name, array in weights.items()} == spec.tensors()
        assert all(np.isfinite(array).all() for array in weights.values())
