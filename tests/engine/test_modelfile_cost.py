"""The precision cost in a model file, and files of older versions."""

import json

import pytest
from model_files import (
    COST,
    DATA,
    DATA_WITH_COST,
    OLD_SPEC,
    SPEC,
    WEIGHTS,
    assert_same_model,
    header_end,
    of_version,
    pack,
    unpack,
    with_metadata,
)
from recordings import full_disk

from fastwavenet.modelfile import (
    MAX_HEADER_BYTES,
    ModelFormatError,
    load,
    parse,
    record_precision_cost,
    with_precision_cost,
)

# ---- precision cost ----------------------------------------------------------------------------


def test_a_saved_model_has_no_precision_cost():
    assert unpack(DATA)[0]["__metadata__"]["fastwavenet"]["version"] == 3
    assert parse(DATA).precision_cost == {}


def test_recorded_costs_are_read_back_exactly(tmp_path):
    path = tmp_path / "m.safetensors"
    for cost in (COST, {"int8": 0.1 + 0.2}, {"bfloat16": 5e-324}, {"int8": 1}, {}):
        path.write_bytes(DATA)
        record_precision_cost(path, cost)
        assert load(path).precision_cost == cost
        assert_same_model(load(path), SPEC, WEIGHTS)


def test_recording_changes_nothing_else_in_the_file():
    header, tensors = unpack(DATA)
    header["__metadata__"]["author"] = "J\u00e9r\u00f4me"
    data = with_precision_cost(pack(header, tensors), COST)
    assert header_end(data) % 8 == 0
    assert data[header_end(data) :] == tensors
    expected = {"version": 3, "spec": SPEC.to_dict(), "precision_cost": COST}
    header["__metadata__"]["fastwavenet"] = json.loads(json.dumps(expected))
    assert unpack(data) == (header, tensors)


def test_recording_again_replaces_the_costs_and_is_the_same_file_again():
    assert parse(with_precision_cost(DATA_WITH_COST, {"int8": 1.0})).precision_cost == {"int8": 1.0}
    backwards = dict(reversed(COST.items()))
    assert (
        with_precision_cost(with_precision_cost(DATA, {"int8": 1.0}), backwards) == DATA_WITH_COST
    )


NOT_FINITE = [float("nan"), float("inf"), -float("inf"), 10**400]
BAD_COSTS = [
    (None, "precision_cost must map precisions to numbers, not NoneType"),
    ([], "precision_cost must map precisions to numbers, not list"),
    (
        {"float32": 0.0},
        "precision_cost of 'float32': expected bfloat16 or int8 or bfloat16x16 or int8x8",
    ),
    (
        {"int8": 0.1, "int4": 0.1},
        "precision_cost of 'int4': expected bfloat16 or int8 or bfloat16x16 or int8x8",
    ),
    ({"x\n\x1b" * 500: 0.1}, r"precision_cost of 'x\\n"),
    *(
        ({"int8": value}, "precision_cost of int8 must be a finite number, not ")
        for value in (*NOT_FINITE, None, True, "0.1", [0.1])
    ),
]


@pytest.mark.parametrize(("cost", "message"), BAD_COSTS)
def test_bad_costs_are_refused_by_name_and_not_recorded(cost, message, tmp_path):
    with pytest.raises(ModelFormatError, match=f"^{message}") as caught:
        parse(with_metadata(DATA_WITH_COST, precision_cost=cost))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300
    path = tmp_path / "m.safetensors"
    path.write_bytes(DATA)
    with pytest.raises(ModelFormatError, match=f"m.safetensors: {message}"):
        record_precision_cost(path, cost)
    assert path.read_bytes() == DATA


def test_costs_are_recorded_in_models_only(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(DATA[:-4])
    with pytest.raises(ModelFormatError, match=r"m\.safetensors: not a valid"):
        record_precision_cost(path, COST)
    assert path.read_bytes() == DATA[:-4]


def test_costs_for_which_the_header_has_no_room_are_refused():
    header, tensors = unpack(DATA)
    header["__metadata__"]["padding"] = ""
    room = 8 + MAX_HEADER_BYTES - header_end(with_precision_cost(pack(header, tensors), COST))
    header["__metadata__"]["padding"] = "x" * room
    full = with_precision_cost(pack(header, tensors), COST)
    assert header_end(full) == 8 + MAX_HEADER_BYTES
    assert parse(full).precision_cost == COST
    header["__metadata__"]["padding"] += "x" * 8
    assert_same_model(parse(pack(header, tensors)), SPEC, WEIGHTS)
    with pytest.raises(
        ModelFormatError, match="with the precision cost, the header is longer than 1048576"
    ):
        with_precision_cost(pack(header, tensors), COST)


def test_recording_that_stops_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(DATA)
    with full_disk(1000), pytest.raises(OSError, match="File too large"):
        record_precision_cost(path, COST)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [DATA]


# ---- older versions ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
def test_files_of_older_versions_are_read_for_ever(version):
    assert_same_model(parse(of_version(version)), SPEC, WEIGHTS)
    for name, bad in (("input", "scalar"), ("wavelets", 1), ("sampling", {})):
        with pytest.raises(ModelFormatError, match=name):
            parse(of_version(version, spec=OLD_SPEC | {name: bad}))


def test_version_1_had_no_precision_cost_and_its_readers_pass_over_the_name():
    assert parse(of_version(1, loss="none", precision_cost="none")).precision_cost == {}


def test_version_2_named_the_precision_cost_loss():
    assert parse(of_version(2)).precision_cost == {}
    assert parse(of_version(2, loss=COST, precision_cost="none")).precision_cost == COST
    assert parse(with_metadata(precision_cost=COST, loss="none")).precision_cost == COST


@pytest.mark.parametrize("version", [1, 2])
def test_recording_in_an_older_file_makes_it_the_newest(version):
    data = with_precision_cost(of_version(version, loss={"int8": 1.0}), COST)
    assert unpack(data) == unpack(DATA_WITH_COST)
