"""Files of torch.save give the numbers that torch itself reads, without torch."""

import argparse
import io
import pathlib
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torch_files as files
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fastwavenet.importers.torch_file import (
    TorchFileError,
    module_tensors,
    parse_torch_file,
    read_torch_file,
)

CONTAINERS = pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "plain"])
FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
WHOLE = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


def saved(value: object, as_zip: bool, protocol: int = 2) -> bytes:
    with io.BytesIO() as file:
        options = {"_use_new_zipfile_serialization": as_zip}
        torch.save(value, file, pickle_protocol=protocol, **options)
        return file.getvalue()


def random(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 200 - 100).to(dtype)


@CONTAINERS
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_floats_of_every_size_become_float32(as_zip, dtype):
    tensor = random(3, 5, dtype=dtype)
    found = parse_torch_file(saved(tensor, as_zip))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, tensor.float().numpy())


@CONTAINERS
@pytest.mark.parametrize("dtype", WHOLE, ids=str)
def test_whole_numbers_keep_their_type(as_zip, dtype):
    tensor = random(7).to(dtype)
    found = parse_torch_file(saved(tensor, as_zip))
    assert found.dtype == tensor.numpy().dtype
    np.testing.assert_array_equal(found, tensor.numpy())


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64], ids=str)
def test_types_without_a_storage_class_of_their_own_are_read_too(dtype):
    tensor = torch.arange(6).to(dtype)
    found = parse_torch_file(saved(tensor, True))
    np.testing.assert_array_equal(found, tensor.numpy())


def test_float8_is_refused_by_its_name():
    with pytest.raises(TorchFileError, match="torch.float8_e5m2"):
        parse_torch_file(saved(torch.zeros(3).to(torch.float8_e5m2), True))


@st.composite
def views(draw) -> torch.Tensor:
    """A view of 24 elements: any shape, transposed, cut, with steps."""
    shape = draw(st.sampled_from([(24,), (2, 12), (4, 6), (2, 3, 4), (1, 24, 1), (2, 2, 2, 3)]))
    view = torch.arange(24, dtype=draw(st.sampled_from(FLOATS))).reshape(shape)
    view = view.permute(draw(st.permutations(range(len(shape)))))
    for axis in range(len(shape)):
        size = view.shape[axis]
        begin = draw(st.integers(0, size))
        cut = slice(begin, draw(st.integers(begin, size)), draw(st.integers(1, 3)))
        view = view[(slice(None),) * axis + (cut,)]
    return view


@given(views(), st.booleans(), st.sampled_from([2, 3, 4, 5]))
def test_any_view_has_the_offset_and_the_strides_of_torch(view, as_zip, protocol):
    found = parse_torch_file(saved(view, as_zip, protocol))
    assert found.shape == tuple(view.shape)
    np.testing.assert_array_equal(found, view.float().numpy())


@CONTAINERS
def test_tensors_of_one_storage_share_memory_and_cannot_be_written(as_zip):
    whole = random(10)
    found = parse_torch_file(saved([whole, whole[2:5], random(10)], as_zip))
    assert np.shares_memory(found[0], found[1])
    assert not np.shares_memory(found[0], found[2])
    assert not found[0].flags.writeable
    np.testing.assert_array_equal(found[1], whole[2:5].numpy())


def test_float32_is_a_view_of_the_file():
    data = saved(random(1000), True)
    assert np.shares_memory(parse_torch_file(data), np.frombuffer(data, np.uint8))


@CONTAINERS
def test_small_tensors_that_repeat_elements_are_read(as_zip):
    found = parse_torch_file(saved(torch.tensor([3.0]).expand(4, 5), as_zip))
    np.testing.assert_array_equal(found, np.full((4, 5), 3, np.float32))


@CONTAINERS
def test_tensors_without_elements_or_dimensions_are_read(as_zip):
    found = parse_torch_file(
        saved([torch.zeros(0), torch.zeros(3, 0, 2), torch.tensor(4.0)], as_zip)
    )
    assert [array.shape for array in found] == [(0,), (3, 0, 2), ()]
    assert found[2] == 4


@CONTAINERS
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_data_is_itself(as_zip, protocol):
    value = {
        "numbers": [0, 1, -1, 255, 256, 65536, -(2**31), 2**40, 2**100, 0.5, float("inf")],
        "text": ["", "é", "x" * 300, "\ud800"],
        "others": (None, True, False, (), [[]], {}, (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        7: {0.5: "half", None: "none", True: "true"},
        "again": [same := ["same"], same],
    }
    found = parse_torch_file(saved(value, as_zip, protocol))
    assert found == value
    assert found["again"][0] is found["again"][1]


class Wave(nn.Module):
    """With all kinds of parts."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(4, 3)
        self.layers = nn.ModuleList([nn.Conv1d(3, 3, 2), nn.Conv1d(3, 3, 1, bias=False)])
        self.norm = nn.BatchNorm1d(3)
        self.head = nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.ones(2))
        self.absent = None
        self.sizes = {"layers": 2}
        self.kind = torch.FloatTensor
        self.type = torch.float32
        self.device = torch.device("cpu")


@CONTAINERS
def test_a_pickled_module_is_a_stub_with_the_tensors_of_its_state_dict(as_zip):
    module = Wave()
    module.extra = nn.Parameter(torch.zeros(2))
    module.extra.note = "a parameter with an attribute"
    found = parse_torch_file(saved({"model": module, "step": 3}, as_zip))
    stub = found["model"]
    assert str(stub.kind).endswith("test_torch_file.Wave")
    assert stub.attributes["sizes"] == {"layers": 2}
    expected = module.state_dict()
    tensors = module_tensors(stub)
    assert set(tensors) == set(expected)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(tensors[name], tensor.numpy())


@CONTAINERS
def test_a_state_dict_and_the_state_of_an_optimizer_are_dicts(as_zip):
    module = Wave()
    optimizer = torch.optim.Adam(module.parameters())
    module.layers[0](torch.rand(1, 3, 5)).sum().backward()
    optimizer.step()
    value = {"model": module.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 4}
    found = parse_torch_file(saved(value, as_zip))
    assert list(found["model"]) == list(module.state_dict())
    assert found["epoch"] == 4
    assert found["optimizer"]["param_groups"][0]["lr"] == 0.001


@CONTAINERS
def test_a_namespace_is_a_stub_with_its_attributes(as_zip):
    found = parse_torch_file(saved(argparse.Namespace(n_aux=28, name="x", flag=True), as_zip))
    assert str(found.kind) == "argparse.Namespace"
    assert found.attributes == {"n_aux": 28, "name": "x", "flag": True}


class Settings(dict):
    """A dict with a class of its own."""


class Names(list):
    """A list with a class of its own."""


@CONTAINERS
def test_objects_that_are_dicts_lists_or_sets_keep_their_items(as_zip):
    found = parse_torch_file(saved([Settings(a=1), Names([1, 2]), {3}], as_zip, protocol=4))
    assert found[0].items == {"a": 1}
    assert found[1].elements == [1, 2]
    assert found[2].elements == [3]


@CONTAINERS
def test_numbers_of_numpy_and_paths_are_stubs_that_harm_nothing(as_zip):
    value = OrderedDict(loss=np.float64(0.5), path=pathlib.PurePosixPath("a/b"), w=random(3))
    found = parse_torch_file(saved(value, as_zip))
    assert str(found["path"].kind) == "pathlib.PurePosixPath"
    np.testing.assert_array_equal(found["w"], value["w"].numpy())


def test_big_endian_storages_are_swapped():
    values = np.arange(5, dtype=np.float32)
    data = files.pickled(files.tensor(files.storage("FloatStorage", "0", 5), (5,), (1,)))
    archive = files.zipped(
        data, {"0": values.astype(">f4").tobytes()}, {"archive/byteorder": b"big"}
    )
    np.testing.assert_array_equal(parse_torch_file(archive), values)


def test_parameters_and_tensors_of_torch_0_3_are_read():
    """Variables of a tensor with a state, `_rebuild_tensor`, strings of Python 2."""
    storage = files.storage("FloatStorage", "0", 6, plain=True)
    tensor = (
        files.named("torch._utils", "_rebuild_tensor")
        + b"(" + storage + files.whole(1) + files.numbers(2, 2) + files.numbers(2, 1) + b"tR"
    )  # fmt: skip
    parameter = (
        files.named("torch.nn.parameter", "Parameter") + b"(" + tensor + b"tR"
        + b"(\x88\x89" + files.named("collections", "OrderedDict") + b")Rtb"
    )  # fmt: skip
    ordered = (
        files.named("collections", "OrderedDict")
        + b"(]]" + b"(U\x06weight" + parameter + b"e" + b"atR"
    )  # fmt: skip
    values = np.arange(6, dtype=np.float32)
    found = parse_torch_file(files.plain(files.pickled(ordered), {"0": (6, values.tobytes())}))
    np.testing.assert_array_equal(found["weight"], [[1, 2], [3, 4]])


@CONTAINERS
def test_a_file_that_is_cut_off_is_an_error(as_zip, tmp_path):
    path = tmp_path / "cut.pth"
    path.write_bytes(saved(random(1000), as_zip)[:-100])
    with pytest.raises(TorchFileError, match="cut off|more than are left"):
        read_torch_file(path)


@pytest.mark.parametrize("data", [b"", b"x", b"PK\x03\x04", b"\x80\x02}.", b"fLaC" * 20])
def test_a_file_of_another_kind_is_an_error(data, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(TorchFileError):
        read_torch_file(path)


WITHOUT = """
import sys
import numpy  # which imports pickle for itself
sys.modules["torch"] = None
sys.modules["pickle"] = None
from fastwavenet.importers.torch_file import read_torch_file

assert read_torch_file(sys.argv[1])["w"].sum() == 6
"""


def test_reading_needs_neither_torch_nor_pickle(tmp_path):
    torch.save({"w": torch.arange(4.0)}, tmp_path / "w.pth")
    command = [sys.executable, "-c", WITHOUT, str(tmp_path / "w.pth")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
