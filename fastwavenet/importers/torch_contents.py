"""The network in a torch file, however it was saved: tensors by name, and plain values.

a state dict, also in a checkpoint with an optimizer's state, under "model" or "state_dict"
a whole pickled module, also in a checkpoint; values are the attributes of all its modules
a dict or lists of tensors, whose names are then "name.0", "name.1", ...
settings without a tensor, as an `argparse.Namespace`
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .pickle_reader import Stub, TorchFileError, described
from .torch_file import modules, read_torch_file

NETWORK = ("model", "state_dict")  # names in a checkpoint
PARALLEL = "module."  # before all names of a module that was trained by several GPUs

Tensors = dict[str, np.ndarray]
Values = dict[str, object]


def read_torch(path: Path) -> tuple[Tensors, Values]:
    """Tensors and values of a file.  Raises TorchFileError, OSError."""
    value = read_torch_file(path)
    if isinstance(value, dict):
        value = next((value[name] for name in NETWORK if _holds_more(value.get(name))), value)
    tensors, values = Tensors(), Values()
    if isinstance(value, Stub):
        _add_object(value, tensors, values)
    elif isinstance(value, dict):
        _add_items(value, tensors, values)
    else:
        found = "one tensor" if isinstance(value, np.ndarray) else described(value)
        raise TorchFileError(f"it holds {found}, expected a network")
    return _without_prefix(tensors), _without_prefix(values)


def _holds_more(value: object) -> bool:
    return isinstance(value, (dict, Stub))


def _add_object(stub: Stub, tensors: Tensors, values: Values) -> None:
    """Of a module those of all modules in it, of another object its attributes."""
    if "_modules" not in stub.attributes:
        values |= {name: each for name, each in stub.attributes.items() if _is_plain(each)}
        return
    for prefix, module in modules(stub):
        for name, value in module.attributes.items():
            if not name.startswith("_") and _is_plain(value):
                values[f"{prefix}{name}"] = value
        tensors |= module.tensors(prefix)


def _add_items(items: dict, tensors: Tensors, values: Values) -> None:
    for name, value in items.items():
        numbered = enumerate(value) if isinstance(value, (list, tuple)) else ()
        if isinstance(value, np.ndarray):
            tensors[str(name)] = value
        elif _is_plain(value):
            values[str(name)] = value
        for number, each in numbered:
            if isinstance(each, np.ndarray):
                tensors[f"{name}.{number}"] = each


def _is_plain(value: object) -> bool:
    """A number, a string, or a list of them."""
    if isinstance(value, (list, tuple)):
        return len(value) <= 1000 and all(
            isinstance(each, (bool, int, float, str)) for each in value
        )
    return isinstance(value, (bool, int, float, str))


def _without_prefix(named: dict) -> dict:
    if named and all(name.startswith(PARALLEL) for name in named):
        return {name.removeprefix(PARALLEL): value for name, value in named.items()}
    return named
