"""The network in a torch file, however it was saved."""

import numpy as np
import pytest
import torch_files
from torch_files import Instance, module_of, saved_value

from fastwavenet.importers.pickle_reader import TorchFileError
from fastwavenet.importers.torch_contents import read_torch

W, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(2, np.float32)
CONV = ("torch.nn.modules.conv", "Conv1d")


@pytest.fixture(params=[True, False], ids=["zip", "plain"])
def contents(request, tmp_path):
    """Writes a value and returns the tensors and values read from its file."""

    def read(value):
        path = tmp_path / "file"
        path.write_bytes(saved_value(value, as_zip=request.param))
        return read_torch(path)

    return read


def same(found: dict[str, np.ndarray], **expected: np.ndarray) -> bool:
    names = {name.replace("_", "."): array for name, array in expected.items()}
    return list(found) == list(names) and all(
        np.array_equal(found[name], array) for name, array in names.items()
    )


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"model": state, "optimizer": {"state": {}}, "iterations": 3},
        lambda state: {"state_dict": state, "global_step": 3},
        lambda state: {"model": {f"module.{name}": array for name, array in state.items()}},
    ],
    ids=["alone", "model", "state_dict", "several GPUs"],
)
def test_a_state_dict_is_found_in_a_checkpoint(contents, wrapped):
    tensors, _ = contents(wrapped({"conv.weight": W, "conv.bias": B}))
    assert same(tensors, conv_weight=W, conv_bias=B)


def test_a_pickled_module_has_the_attributes_of_its_modules_as_values(contents):
    conv = module_of(CONV, {"stride": (2,), "_hidden": 1}, {"weight": W, "bias": None}, {})
    root = module_of(("net", "Net"), {"layers": 3, "more": conv}, {}, {"conv": conv})
    tensors, values = contents({"model": root, "epoch": 1})
    assert same(tensors, conv_weight=W)
    assert values == {"layers": 3, "training": True, "conv.stride": (2,), "conv.training": True}


def test_lists_of_tensors_have_numbered_names_and_numbers_are_values(contents):
    tensors, values = contents({"weights": [W, B], "size": 4, "tanh": True, "inner": {"a": W}})
    assert same(tensors, **{"weights_0": W, "weights_1": B})
    assert values == {"size": 4, "tanh": True}


def test_settings_are_values(contents):
    tensors, values = contents(Instance("argparse", "Namespace", {"n_aux": 28, "name": "x"}))
    assert (tensors, values) == ({}, {"n_aux": 28, "name": "x"})


@pytest.mark.parametrize(("value", "found"), [(W, "one tensor"), ([W], "a list"), (3, "3")])
def test_anything_else_is_no_network(contents, value, found):
    with pytest.raises(TorchFileError, match=f"it holds {found}, expected a network"):
        contents(value)


def test_names_of_attributes_that_are_no_strings_are_left(tmp_path):
    state = b"}(K\x01K\x02" + torch_files.text("a") + b"K\x03u"
    opcodes = torch_files.named("argparse", "Namespace") + b")\x81" + state + b"b"
    path = tmp_path / "file"
    path.write_bytes(torch_files.zipped(torch_files.pickled(opcodes)))
    assert read_torch(path) == ({}, {"a": 3})
