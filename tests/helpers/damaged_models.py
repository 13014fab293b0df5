"""Model files that are damaged at random, as bytes and as JSON."""

import copy

from hypothesis import strategies as st
from model_files import COST, DATA, DATA_WITH_COST, of_version, pack, unpack

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
