"""Hostile files of torch are refused in bounded time and memory, and nothing in them runs."""

import contextlib
import io
import os
import pickle
import random
import struct
import time
import tracemalloc
import zipfile

import hypothesis
import numpy as np
import pytest
import torch
import torch_files as files
from c_build import ROOT
from hypothesis import given
from hypothesis import strategies as st
from mutated_bytes import mutant
from test_torch_file import Wave, saved

from fastwavenet.importers import pickle_reader
from fastwavenet.importers.torch_file import (
    Stub,
    TorchFileError,
    module_tensors,
    parse_torch_file,
    read_torch_file,
)

SECONDS = 30  # of processor time for one file: a million opcodes take less than one


def both(pickle: bytes) -> list[bytes]:
    return [files.zipped(pickle), files.plain(pickle)]


def refused(pickle: bytes, match: str) -> None:
    """In both containers, in bounded time."""
    for data in both(pickle):
        started = time.process_time()
        with pytest.raises(TorchFileError, match=match) as raised:
            parse_torch_file(data)
        assert time.process_time() - started < SECONDS
        assert str(raised.value).isprintable()
        assert len(str(raised.value)) < 500


# ---- calls -------------------------------------------------------------------------------------

RAN: list[object] = []


def run(*args: object) -> None:
    """A function of a foreign project that a pickle may name."""
    RAN.append(args)


class Called:
    """Pickled as a call of a function with arguments, by each opcode that makes one."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "call",
    [
        Called(os.system, "true"),
        Called(eval, "1"),
        Called(exec, "1"),
        Called(getattr, "a", "b"),
        Called(__import__, "os"),
        Called(open, os.devnull),
        Called(run, 1),
        Called(torch.load, "x"),
        Called(torch.hub.load, "x"),
        Called(np.load, "x"),
        Called(map, len, ["a"]),
        Called(pickle.loads, b"x"),
    ],
    ids=lambda call: call.function.__name__,
)
def test_no_function_is_called(call, protocol):
    refused(pickle.dumps({"model": [call]}, protocol), "calls|names|arguments")
    assert not RAN


MARK_SYSTEM = files.named("os", "system") + files.text("true")


@pytest.mark.parametrize(
    "opcodes",
    {
        "REDUCE": files.named("os", "system") + b"(" + files.text("true") + b"tR",
        "INST": b"(" + files.text("true") + b"ios\nsystem\n",
        "OBJ": b"(" + MARK_SYSTEM + b"o",
        "NEWOBJ": files.named("os", "system") + files.text("true") + b"\x85\x81",
        "NEWOBJ_EX": files.named("os", "system") + files.text("true") + b"\x85}\x92",
        "STACK_GLOBAL": files.text("os") + files.text("system") + b"\x93)R",
        "a part of a module": files.text("os.path") + files.text("os.system") + b"\x93)R",
        "a function of a project": files.named("models", "run") + b")R",
        "a class with arguments": files.named("models", "Net") + b"N\x85\x81",
        "EXT1": b"\x82\x01)R",
        "EXT2": b"\x83\x01\x00)R",
        "EXT4": b"\x84\x01\x00\x00\x00)R",
        "PERSID": b"Pstorage\n",
        "BUILD": files.named("models", "Net") + b")\x81" + files.named("os", "system") + b"bb",
        "BUILD of a class": files.named("models", "Net") + b"}b",
        "a string called": files.text("os.system") + b")R",
        "a stub called": files.named("models", "Net") + b")\x81)R",
        "a result called": files.named("torch", "Size") + b")R)R",
        "a tensor of a subclass": files.named("torch._tensor", "_rebuild_from_type_v2")
        + b"(" + files.named("os", "system") + files.named("models", "T") + b")NtR",
        "a tensor of a tensor of a subclass": files.named("torch._tensor", "_rebuild_from_type_v2")
        + b"(" + files.named("torch._tensor", "_rebuild_from_type_v2") + b"N)NtR",
        "Python 2's modules": files.named("posix", "system") + b")R",
        "Python 2's built-ins": files.named("__builtin__", "eval") + b")R",
        "a loader of torch": files.named("torch.serialization", "load") + b")R",
        "too few arguments": files.named("torch._utils", "_rebuild_tensor_v2") + b")R",
        "NEXT_BUFFER": b"\x97",
        "READONLY_BUFFER": b"N\x98",
    }.items(),
    ids=lambda case: case[0],
)  # fmt: skip
def test_every_opcode_that_calls_is_refused(opcodes):
    refused(files.pickled(opcodes[1]), "calls|names|opcode|object|state|arguments|tensor|empty")


@pytest.mark.parametrize("opcode", b"FILSVgpdl0120iPo\x96\x97\x98\x82\x83\x84\xff\x00")
def test_opcodes_that_torch_does_not_write_are_refused(opcode):
    refused(files.pickled(bytes([opcode]) + b"0\n"), "opcode")


def test_a_class_of_a_foreign_project_becomes_a_stub_and_its_methods_do_not_run():
    found = parse_torch_file(files.zipped(pickle.dumps(Wave, 2)))
    assert found.name == "Wave"
    made = files.named("os_wavenet", "system") + b")\x81}" + files.text("a") + b"K\x01sb"
    stub = parse_torch_file(files.zipped(files.pickled(made)))
    assert isinstance(stub, Stub)
    assert stub.attributes == {"a": 1}


# ---- the machine -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opcodes", "match"),
    [
        (b"", "0 values"),
        (b"NN", "2 values"),
        (b"(N", "2 values|1 values"),
        (b"t", "mark"),
        (b"a", "empty stack"),
        (b"N(\x85", "empty stack"),
        (b"h\x05", "not kept"),
        (b"j\xff\xff\xff\xff", "not kept"),
        (b"q\x00", "empty stack"),
        (b"NNa", "appends"),
        (b"NNNs", "sets items"),
        (b"}(Nu", "sets items"),
        (b"}]Ns", "key"),
        (b"}" + files.whole(2**70) + b"Ns", "key"),
        (b"X\xff\xff\xff\xff", "more"),
        (b"\x8d" + b"\xff" * 8, "more"),
        (b"\x8e" + b"\xff" * 8, "more"),
        (b"\x8b\xff\xff\xff\xff", "bytes, expected at most"),
        (b"\x8b\x00\x00\x00\x80", "bytes, expected at most"),
        (b"\x95" + b"\xff" * 8 + b"N", "frame"),
        (b"X\x01\x00\x00\x00\xff", "UTF-8"),
        (b"c" + b"a" * 10000 + b"\nb\n", "longer than"),
        (b"ctorch\n", "longer than|names"),
        (b"X" + struct.pack("<I", 300) + b"m" * 300 + files.text("x") + b"\x93", "longer than"),
        (b"NN\x93", "no string"),
        (b"NQ", "outside"),
        (b"\x80\x01", "protocol 1"),
        (b"\x80\x06", "protocol 6"),
        (b"G\x00", "more"),
    ],
)
def test_a_pickle_that_is_no_data_is_refused(opcodes, match):
    refused(files.pickled(opcodes), match)


def test_a_pickle_without_an_end_is_refused():
    for data in both(b"\x80\x02}"):
        with pytest.raises(TorchFileError):
            parse_torch_file(data)


def refused_within(megabytes: int, opcodes: bytes, match: str) -> None:
    """In bounded memory."""
    data = files.zipped(files.pickled(opcodes))
    tracemalloc.start()
    with pytest.raises(TorchFileError, match=match):
        parse_torch_file(data)
    assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20
    tracemalloc.stop()


def test_a_million_memo_entries_are_refused():
    refused_within(100, b"]" + b"\x94" * 1_000_000, "keeps more than 262144 objects")
    opcodes = b"".join(b"]r" + struct.pack("<I", n << 8) for n in range(2**18 + 1))
    refused(files.pickled(opcodes), "keeps more than 262144 objects")


def test_a_million_opcodes_are_refused():
    refused_within(200, b"}" * (2**20 + 1), "more than 1048576 opcodes")


@pytest.mark.parametrize("opcode", [b"N", b"]", b"(", b")", b"\x88", b"K\x01"])
def test_no_opcode_is_read_without_end(opcode, monkeypatch):
    monkeypatch.setattr(pickle_reader, "MAX_OPCODES", 1000)
    refused(files.pickled(opcode * 1001), "more than 1000 opcodes")


@pytest.mark.parametrize("nest", [b"\x85", b"\x86\x85", b"tN\x86"], ids=["1", "2", "mark"])
def test_deep_nesting_is_refused(nest):
    begin = b"(" * 20_000 if nest[:1] == b"t" else b""
    inner = b"N" * (20_001 if nest[:2] == b"\x86\x85" else 1)
    refused(files.pickled(begin + inner + nest * 20_000), "deeper than 100 levels|empty stack")


def test_the_deepest_nesting_that_is_read_has_100_levels():
    found = parse_torch_file(files.zipped(files.pickled(b"]" + b"\x85" * 99)))
    for _ in range(99):
        (found,) = found
    assert found == []
    refused(files.pickled(b"]" + b"\x85" * 100), "deeper than 100 levels")


def test_a_path_that_is_deep_only_by_way_of_a_value_used_twice_is_refused():
    low = b"]" + b"\x85" * 60 + b"q\x01"  # 61 levels, visited first
    refused(files.pickled(b"(" + low + b"h\x01" + b"\x85" * 60 + b"t"), "deeper than 100 levels")


def test_values_that_hold_themselves_are_refused():
    refused(files.pickled(b"]q\x00h\x00a"), "holds itself")
    refused(files.pickled(b"}q\x00" + files.text("a") + b"h\x00s"), "holds itself")
    refused(files.pickled(b"]q\x00h\x00\x85a"), "holds itself")
    stub = files.named("models", "Net") + b")\x81q\x00}" + files.text("me") + b"h\x00sb"
    refused(files.pickled(stub), "holds itself")


def test_values_used_twice_at_each_level_cost_no_exponential_time():
    data = files.pickled(b"]q\x00" + b"h\x00\x86q\x00" * 60)
    started = time.process_time()
    assert len(parse_torch_file(files.zipped(data))) == 2
    refused(files.pickled(b"}]q\x00" + b"h\x00\x86q\x00" * 60 + b"Ns"), "key")
    call = files.named("models", "run") + b"]q\x00" + b"h\x00\x86q\x00" * 60 + b"\x85R"
    refused(files.pickled(call), "calls")
    assert time.process_time() - started < SECONDS


def test_modules_used_twice_at_each_level_cost_no_exponential_time():
    """2^40 modules by name, though the file has 40."""
    parts = b"(" + b"".join(files.text(f"_{kind}") + b"}" for kind in ("parameters", "buffers"))
    empty = files.named("models", "Net") + b")\x81}" + parts + files.text("_modules") + b"}ubq\x01"
    deep = empty
    for _ in range(30):
        children = b"}(" + files.text("a") + b"h\x01" + files.text("b") + b"h\x01u"
        deep += files.named("models", "Net") + b")\x81}" + parts
        deep += files.text("_modules") + children + b"ubq\x01"
    deep = b"(" + deep + b"t"
    found = parse_torch_file(files.zipped(files.pickled(deep)))
    started = time.process_time()
    with pytest.raises(TorchFileError, match="more than"):
        module_tensors(found[-1])
    assert time.process_time() - started < SECONDS


# ---- tensors -----------------------------------------------------------------------------------

BIG = 2**61


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((5,), (1,), 0),
        ((4,), (1,), 1),
        ((2, 2), (3, 1), 0),
        ((1,), (1,), 4),
        ((1,), (1,), BIG),
        ((BIG,), (0,), 0),
        ((65537,), (0,), 0),
        ((BIG, BIG, BIG), (0, 0, 0), 0),
        ((2,), (BIG,), 0),
        ((4,), (-1,), 3),
        ((-1,), (1,), 0),
        ((4,), (1,), -1),
        ((0, BIG), (1, 1), 0),
        ((0, 2**40, 2**40), (1, 1, 1), 0),
        ((4,), (1, 1), 0),
        ((4, 1), (1,), 0),
        ((1,) * 17, (1,) * 17, 0),
        ((2**70,), (1,), 0),
    ],
)
@pytest.mark.parametrize("kind", ["FloatStorage", "HalfStorage", "BFloat16Storage", "BoolStorage"])
def test_a_tensor_outside_of_its_storage_is_refused(shape, strides, offset, kind):
    size = {"FloatStorage": 4, "BoolStorage": 1}.get(kind, 2)
    data = bytes(4 * size)
    of = files.storage(kind, "0", 4)
    archive = files.zipped(files.pickled(files.tensor(of, shape, strides, offset)), {"0": data})
    with pytest.raises(TorchFileError, match="tensor"):
        parse_torch_file(archive)
    of = files.storage(kind, "0", 4, plain=True)
    pickled = files.pickled(files.tensor(of, shape, strides, offset))
    with pytest.raises(TorchFileError, match="tensor"):
        parse_torch_file(files.plain(pickled, {"0": (4, data)}))


@pytest.mark.parametrize(
    ("storage", "match"),
    [
        (files.storage("FloatStorage", "0", 5), "bytes, expected 20"),
        (files.storage("FloatStorage", "0", 2**61), "bytes, expected"),
        (files.storage("FloatStorage", "0", -1), "elements"),
        (files.storage("FloatStorage", "0", 2**100), "elements"),
        (files.storage("FloatStorage", "1", 4), "no record"),
        (files.storage("FloatStorage", "../data.pkl", 4), "no record"),
        (files.storage("QInt8Storage", "0", 16), "not supported"),
        (files.storage("ComplexFloatStorage", "0", 2), "not supported"),
        (files.storage("UntypedStorage", "0", 16), "no type"),
        (b"(" + files.text("storage") + b"NNNNtQ", "storage"),
        (b"(" + files.text("module") + b"NNNNtQ", "outside"),
        (b"]Q", "outside"),
        (b")Q", "outside"),
        (b"N", "storage"),
        (b"]", "storage"),
    ],
)
def test_a_storage_that_is_not_there_is_refused(storage, match):
    data = files.pickled(files.tensor(storage, (4,), (1,)))
    with pytest.raises(TorchFileError, match=match):
        parse_torch_file(files.zipped(data, {"0": bytes(16)}))


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("bfloat16", 2), ("int64", 8)])
def test_bytes_that_are_no_whole_elements_are_left(dtype, size):
    of = files.storage("UntypedStorage", "0", 2 * size + 1)
    args = of + files.whole(0) + files.numbers(2) + files.numbers(1) + b"\x89}"
    args += files.named("torch", dtype)
    data = files.named("torch._utils", "_rebuild_tensor_v3") + b"(" + args + b"tR"
    found = parse_torch_file(files.zipped(files.pickled(data), {"0": bytes(2 * size + 1)}))
    np.testing.assert_array_equal(found, [0, 0])


def test_a_storage_of_two_types_is_refused():
    tensors = [
        files.tensor(files.storage(kind, "0", 4), (4,), (1,))
        for kind in ("FloatStorage", "IntStorage")
    ]
    data = files.pickled(b"(" + b"".join(tensors) + b"t")
    with pytest.raises(TorchFileError, match="two types"):
        parse_torch_file(files.zipped(data, {"0": bytes(16)}))


def test_an_array_in_the_place_of_another_value_is_refused():
    """numpy compares arrays element by element."""
    array = files.tensor(files.storage("FloatStorage", "0", 4), (4,), (1,))
    places = [
        files.named("models", "Net") + array + b"\x81",
        array + b"Q",
        b"(" + array + b"NNNNtQ",
        files.named("torch", "Size") + array + b"R",
        array + b")R",
        b"}" + array + b"Ns",
        files.tensor(array, (1,), (1,)),
    ]
    for opcodes in places:
        with pytest.raises(TorchFileError):
            parse_torch_file(files.zipped(files.pickled(opcodes), {"0": bytes(16)}))


@pytest.mark.parametrize(
    ("stored", "match"),
    [
        ({}, "not that of the storages"),
        ({"1": (4, bytes(16))}, "not that of the storages"),
        ({"0": (5, bytes(20))}, "5 elements at its place, expected 4"),
        ({"0": (-1, b"")}, "elements at its place"),
        ({"0": (4, bytes(15))}, "more than are left"),
        ({"0": (4, bytes(16)), "1": (4, bytes(16))}, "used by nothing"),
    ],
)
def test_a_plain_file_with_other_storages_is_refused(stored, match):
    of = files.storage("FloatStorage", "0", 4, plain=True)
    data = files.pickled(files.tensor(of, (4,), (1,)))
    with pytest.raises(TorchFileError, match=match):
        parse_torch_file(files.plain(data, stored))


@pytest.mark.parametrize("view", [(2, 3), (5, 0), (-1, 2), (0, 2**62)])
def test_a_view_outside_of_a_storage_is_refused(view):
    of = files.storage("FloatStorage", "0", 4, plain=True)
    window = b"(" + files.text("v") + files.whole(view[0]) + files.whole(view[1]) + b"t"
    of = of.removesuffix(b"NtQ") + window + b"tQ"
    data = files.pickled(files.tensor(of, (1,), (1,)))
    with pytest.raises(TorchFileError, match="view"):
        parse_torch_file(files.plain(data, {"0": (4, bytes(16))}))


def test_a_view_of_a_storage_is_a_part_of_it():
    of = files.storage("FloatStorage", "0", 4, plain=True)
    of = of.removesuffix(b"NtQ") + b"(" + files.text("v") + b"K\x01K\x02ttQ"
    values = np.arange(4, dtype=np.float32).tobytes()
    found = parse_torch_file(
        files.plain(files.pickled(files.tensor(of, (2,), (1,))), {"0": (4, values)})
    )
    np.testing.assert_array_equal(found, [1, 2])
    with pytest.raises(TorchFileError, match="reaches element 2"):
        parse_torch_file(
            files.plain(files.pickled(files.tensor(of, (3,), (1,))), {"0": (4, values)})
        )


# ---- the zip archive ---------------------------------------------------------------------------

EMPTY = files.pickled(b"}")


def test_a_compressed_archive_is_refused_before_it_is_unpacked():
    """10 MB of zeros in each of 100 records."""
    bomb = {f"archive/data/{n}": bytes(10_000_000) for n in range(3)}
    data = files.zipped(EMPTY, extra=bomb, compression=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    with pytest.raises(TorchFileError, match="compressed"):
        parse_torch_file(data)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "archive/../../x",
        "/etc/x",
        "archive//x",
        "archive/./x",
        "archive\\x",
        "archive/",
        "",
        "archive/x\0y",
        "archive/..",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name):
    short = files.zipped(EMPTY, extra={"N" * max(len(name), 1): b"x"})
    data = short.replace(b"N" * max(len(name), 1), name.encode() or b"/")
    with pytest.raises(TorchFileError, match="name"):
        parse_torch_file(data)


def test_two_records_of_one_name_are_refused():
    data = files.zipped(EMPTY, extra={"archive/data.pkk": EMPTY})
    with pytest.raises(TorchFileError, match="two records"):
        parse_torch_file(data.replace(b"data.pkk", b"data.pkl"))


def test_a_record_with_two_names_is_refused():
    data = files.zipped(EMPTY)
    with pytest.raises(TorchFileError, match="two names"):
        parse_torch_file(data.replace(b"archive/version", b"archive/verzion", 1))


@pytest.mark.parametrize("extra", [{"other/data.pkl": EMPTY}, {"archive/constants.pkl": EMPTY}])
def test_an_archive_of_another_kind_is_refused(extra):
    with pytest.raises(TorchFileError, match="archive"):
        parse_torch_file(files.zipped(EMPTY, extra=extra))


def directory(data: bytes) -> int:
    return struct.unpack("<I", data[-6:-2])[0]


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize("at", [10, 20, 24, 28, 30, 32, 42])
@pytest.mark.parametrize("value", [1, 0x7FFF, 0xFFFF])
def test_a_directory_that_is_not_of_its_records_is_refused(at, value):
    data = files.zipped(EMPTY)
    damaged = patched(data, directory(data) + at, struct.pack("<H", value))
    with pytest.raises(TorchFileError):
        parse_torch_file(damaged)


@pytest.mark.parametrize("at", [-12, -10, -6])
@pytest.mark.parametrize("value", [0, 1, 0xFFFF])
def test_an_end_that_is_not_of_its_directory_is_refused(at, value):
    data = files.zipped(EMPTY)
    with pytest.raises(TorchFileError):
        parse_torch_file(patched(data, len(data) + at, struct.pack("<H", value)))


def test_records_over_each_other_are_refused():
    """Ten records with the bytes of one, as archives are made that unpack to petabytes."""
    data = files.zipped(EMPTY, extra={"archive/data/0": bytes(100), "archive/data/1": bytes(100)})
    begin = directory(data)
    entries = data[begin:-22].split(b"PK\x01\x02")[1:]
    last = entries[-2]
    count = len(entries) + 1
    doubled = b"".join(b"PK\x01\x02" + entry for entry in [*entries, last])
    end = struct.pack("<4s4HIIH", b"PK\x05\x06", 0, 0, count, count, len(doubled), begin, 0)
    with pytest.raises(TorchFileError, match="two records|overlaps"):
        parse_torch_file(data[:begin] + doubled + end)


def test_a_record_inside_another_is_refused():
    inner = files.zipped(EMPTY, extra={"archive/data/7": b"inner"})
    at = inner.index(b"archive/data/7") - 30
    header = inner[at : at + 30 + len(b"archive/data/7") + 5]
    data = files.zipped(EMPTY, extra={"archive/data/0": bytes(10) + header})
    begin = directory(data)
    entry = bytearray(inner[inner.rindex(b"PK\x01\x02", 0, inner.rindex(b"archive/data/7")) : -22])
    entry[42:46] = struct.pack("<I", data.index(header))
    grown = data[begin:-22] + bytes(entry)
    end = struct.pack("<4s4HIIH", b"PK\x05\x06", 0, 0, 4, 4, len(grown), begin, 0)
    with pytest.raises(TorchFileError, match="overlaps"):
        parse_torch_file(data[:begin] + grown + end)


def test_more_than_65536_records_are_refused():
    data = files.zipped(EMPTY)
    begin = directory(data)
    entries = data[begin:-22] * 40_000
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 0, 0, 0, 0, 80_000, 80_000,
                        len(entries), begin)  # fmt: skip
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, begin + len(entries), 1)
    end = struct.pack("<4s4HIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    with pytest.raises(TorchFileError, match="80000 records"):
        parse_torch_file(data[:begin] + entries + end64 + locator + end)


def test_a_changed_byte_of_a_record_is_found_by_its_checksum():
    data = bytearray(saved({"w": torch.arange(100.0)}, True))
    at = bytes(data).index(np.arange(100, dtype=np.float32).tobytes())
    data[at + 50] ^= 1
    with pytest.raises(TorchFileError, match="checksum"):
        parse_torch_file(bytes(data))


def test_a_larger_file_than_any_network_is_refused_unread(tmp_path):
    with open(tmp_path / "huge.pth", "wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(2**40)
    with pytest.raises(TorchFileError, match="1099511627776 bytes"):
        read_torch_file(tmp_path / "huge.pth")


def test_a_named_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TorchFileError, match="pipe"):
        read_torch_file(tmp_path / "pipe")


# ---- real files, mutated -----------------------------------------------------------------------


GOLDEN = (
    "nv_ckpt/wavenet_10000",
    "nv_export/model.pt",
    "vh_bias_k2/chaconne_model_2018-01-05_10-20-30",
    "vh_nobias_k3/snapshot_2018-02-11_01-02-03",
)


def real_files() -> list[bytes]:
    """Of known projects; and of both containers and any protocol a module, a state dict with an
    optimizer's state, and settings."""
    golden = [(ROOT / "tests/golden/peers" / name).read_bytes() for name in GOLDEN]
    module = torch.nn.Sequential(torch.nn.Conv1d(2, 2, 2), torch.nn.Conv1d(2, 1, 1))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 2, 4)).sum().backward()
    optimizer.step()
    values = [
        {"model": module, "iteration": 3},
        {"model": module.state_dict(), "optimizer": optimizer.state_dict()},
        {"half": torch.ones(3).half(), "brain": torch.ones(2, 2).bfloat16().t(), "n": [1, "a"]},
    ]
    cases = [(as_zip, protocol) for as_zip in (True, False) for protocol in (2, 4)]
    return golden + [saved(value, *case) for value in values for case in cases]


def rewritten(data: bytes, change) -> bytes:
    """A zip archive with its pickle changed and the checksums right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in records if name.endswith("/data.pkl"))
    prefix = name.removesuffix("data.pkl")
    rest = {each: value for each, value in records.items() if each != name}
    extra = {"archive/" + each.removeprefix(prefix): value for each, value in rest.items()}
    return files.zipped(change(records[name]), extra=extra)


def read_or_refused(data: bytes) -> None:
    started = time.process_time()
    try:
        value = parse_torch_file(data)
    except TorchFileError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 1000
    else:
        model = value.get("model") if isinstance(value, dict) else value
        if isinstance(model, Stub):
            with contextlib.suppress(TorchFileError):
                module_tensors(model)
    assert time.process_time() - started < SECONDS


def fuzz(count: int, seed: int) -> None:
    originals = real_files()
    chance = random.Random(seed)
    for _ in range(count):
        data = chance.choice(originals)
        if data[:2] == b"PK" and chance.random() < 0.7:
            read_or_refused(rewritten(data, lambda pickle: mutant(pickle, chance)))
        elif data[:2] == b"PK":
            read_or_refused(mutant(data, chance))
        else:  # mostly the pickles at the beginning
            cut = chance.choice([len(data), 200, 2000, 40_000])
            read_or_refused(mutant(data[:cut], chance) + data[cut:])


def test_some_mutated_files_are_read_or_refused():
    fuzz(500, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_hundred_thousand_mutated_files_are_read_or_refused():
    fuzz(100_000, seed=2)


@hypothesis.settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_in_the_place_of_the_pickle_are_read_or_refused(noise):
    read_or_refused(files.zipped(noise))
    read_or_refused(files.plain(b"\x80\x02" + noise))
