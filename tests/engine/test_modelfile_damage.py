"""A model file that is mutated at random loads, or raises ModelFormatError."""

import copy
import time

import hypothesis
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from model_files import COST, DATA, DATA_WITH_COST, of_version, pack, unpack

from fastwavenet.modelfile import ModelFormatError, parse
from fastwavenet.spec import WaveNetSpec

SIZES = st.sampled_from([0, 1, -1, 2**20, 2**31, 2**32, 2**53, 2**63, 2**64, 10**40])
LEAVES = (
    st.none() | st.booleans() | SIZES | st.integers() | st.floats() | st.text(max_size=8)
) | st.sampled_from(["F32", "F64", "BF16", "F4", "codes", "x\n\x1b" * 500, [1] * 70])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def nodes(tree: object) -> list[tuple[dict | list, str | int]]:
    """(container, key) of everything inside a JSON value."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree) if type(tree) is list else 0)
    return [pair for key in keys for pair in [(tree, key), *nodes(tree[key])]]


@st.composite
def edited(draw) -> bytes:
    """Some values of the header and of the JSON inside it replaced, removed, repeated or added."""
    header, tensors = unpack(
        draw(st.sampled_from([DATA, DATA_WITH_COST, of_version(2, loss=COST)]))
    )
    for _ in range(draw(st.integers(1, 3))):
        places = nodes(header)
        container, key = places[draw(st.integers(0, len(places) - 1))]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        value = copy.deepcopy(draw(VALUES | st.just(container[key])))
        if action == "replace":
            container[key] = value
        elif action == "remove":
            del container[key]
        elif isinstance(container, dict):
            container[draw(st.text(max_size=8))] = value
        else:
            container.insert(key, value)
    return pack(header, tensors)


@st.composite
def damaged(draw) -> bytes:
    """Bytes changed, cut off, or replaced by noise or by another part of the file."""
    data = DATA
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(DATA))] * 2)))
        noise = draw(st.binary(min_size=1, max_size=16))
        elsewhere = draw(st.integers(0, len(DATA)))
        action = draw(st.sampled_from(["change", "cut", "splice", "move"]))
        if action == "change":
            data = data[:start] + noise[:1] + data[start + 1 :]
        elif action == "cut":
            data = data[:start]
        else:
            patch = noise if action == "splice" else data[elsewhere:][: end - start]
            data = data[:start] + patch + data[end:]
    return data


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
    assert time.process_time() - started < 1
    if isinstance(outcome, ModelFormatError):
        assert str(outcome).isprintable()
        assert len(str(outcome)) < 1000
    else:
        spec, weights, cost = outcome
        assert set(cost) <= set(COST) and np.isfinite(list(cost.values())).all()
        assert WaveNetSpec.from_dict(spec.to_dict()) == spec
        assert {name: array.shape for name, array in weights.items()} == spec.tensors()
        assert all(np.isfinite(array).all() for array in weights.values())
