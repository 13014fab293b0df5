"""Storages and tensors of a torch file as numpy arrays, and the calls by which a file makes them.

Floats of every size become float32; whole numbers and booleans keep their type.  Tensors of one
storage are views of the same memory, with the offset and the strides of the file, and read-only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..shown import shown
from .pickle_reader import Global, Stub, TorchFileError, described, plain_key

MAX_DIMENSIONS = 16
MAX_REPEATED = 65536  # elements of a tensor that are more than its storage has
MAX_EMPTY = 2**40  # product of the other sizes of a tensor without elements

# The class of a storage, or the dtype of a tensor -> numpy's type of its elements in the file.
_TYPES = {
    "Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": "bfloat16",
    "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "bool",
}  # fmt: skip
STORAGES = {f"{name}Storage": kind for name, kind in _TYPES.items()} | {"UntypedStorage": "bytes"}
DTYPES = {
    "float32": "f4", "float": "f4", "float64": "f8", "double": "f8", "float16": "f2", "half": "f2",
    "bfloat16": "bfloat16", "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1",
    "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8", "bool": "bool",
}  # fmt: skip
FLOATS = ("f4", "f8", "f2", "bfloat16")  # in the file; float32 in arrays
STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")


@dataclass(eq=False)
class Storage:
    """Bytes of a file, and the type that its class gives to the elements.

    order  of the bytes of an element: "<" or ">"
    """

    data: memoryview
    kind: str
    order: str = "<"
    _converted: tuple[str, np.ndarray] | None = None

    def __len__(self) -> int:
        """Number of elements of its own type."""
        return len(self.data) // element_bytes(self.kind)

    def elements(self, kind: str) -> np.ndarray:
        """All elements, as of a type in `DTYPES`; floats become float32.

        Raises TorchFileError for a second type: each could take memory of its own.
        """
        if self._converted is None:
            self._converted = kind, self._convert(kind)
        if self._converted[0] != kind:
            raise TorchFileError(f"a storage has the types {self._converted[0]} and {kind}")
        return self._converted[1]

    def _convert(self, kind: str) -> np.ndarray:
        size = element_bytes(kind)
        data = self.data[: len(self.data) // size * size]
        if kind == "bfloat16":  # the upper half of a float32
            upper = np.frombuffer(data, f"{self.order}u2").astype(np.uint32)
            return (upper << 16).view(np.float32)
        if kind == "bool":  # any byte but 0 is true
            return np.frombuffer(data, np.uint8) != 0
        found = np.frombuffer(data, np.dtype(self.order + kind))
        wanted = np.dtype(np.float32 if found.dtype.kind == "f" else kind)
        with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite
            return found.astype(wanted, copy=False)


@dataclass(eq=False)
class StoragePart:
    """Elements [first, first + count) of a storage."""

    whole: Storage
    first: int
    count: int


def element_bytes(kind: str) -> int:
    """Of an element in the file."""
    return {"bfloat16": 2, "bool": 1, "bytes": 1}.get(kind) or np.dtype(kind).itemsize


def storage_kind(cls: object) -> str:
    """The type of the elements of a storage of this class.  Raises TorchFileError."""
    if isinstance(cls, Global) and cls.module in STORAGE_MODULES and cls.name in STORAGES:
        return STORAGES[cls.name]
    raise TorchFileError(f"its storages of {described(cls)} are not supported")


def call(function: Global, args: tuple) -> object:
    """The value of a call in a torch file: `Maker.call`.  Nothing is called but what is here."""
    if str(function) in _CALLS:
        make, fewest, most = _CALLS[str(function)]
        if not fewest <= len(args) <= most:
            raise TorchFileError(f"it calls {shown(str(function))} with {len(args)} arguments")
        return make(*args)
    if str(function) in _INERT or function.module in _INERT_MODULES:
        return Stub(function, args)
    raise TorchFileError(
        f"it calls {shown(str(function))}, expected only the functions that make tensors"
    )


# ---- tensors -----------------------------------------------------------------------------------


def tensor(
    storage: object, offset: object, shape: object, strides: object, kind: str | None = None
) -> np.ndarray:
    """A tensor over a storage.  Raises TorchFileError unless all of it lies inside."""
    sizes, steps = _whole_numbers("shape", shape), _whole_numbers("strides", strides)
    start = _whole_numbers("offset", (offset,))[0]
    if len(sizes) != len(steps):
        raise TorchFileError(f"a tensor has {len(sizes)} sizes and {len(steps)} strides")
    if isinstance(storage, StoragePart):
        _check_bounds(storage.count, start, sizes, steps)
        start, storage = start + storage.first, storage.whole
    if not isinstance(storage, Storage):
        raise TorchFileError(f"a tensor's storage is {described(storage)}")
    kind = kind or storage.kind
    if kind == "bytes":
        raise TorchFileError("a tensor has no type")
    _check_bounds(len(storage.data) // element_bytes(kind), start, sizes, steps)
    if not math.prod(sizes):
        return np.zeros(sizes, np.dtype("f4" if kind in FLOATS else kind))
    elements = storage.elements(kind)
    strides_in_bytes = [
        step * elements.itemsize if size > 1 else 0 for size, step in zip(sizes, steps, strict=True)
    ]
    return as_strided(elements[start:], sizes, strides_in_bytes, writeable=False)


def _check_bounds(count: int, start: int, sizes: tuple[int, ...], steps: tuple[int, ...]) -> None:
    """Raises TorchFileError unless the tensor lies inside of a storage of `count` elements."""
    elements, shape = math.prod(sizes), " x ".join(map(str, sizes))
    if not elements:
        if math.prod(size for size in sizes if size) > MAX_EMPTY:
            raise TorchFileError(f"a tensor has the shape {shape}")
        return
    last = start + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    if last >= count:
        raise TorchFileError(
            f"a tensor of shape {shape} reaches element {last} of a storage of {count}"
        )
    if elements > max(count, MAX_REPEATED):
        raise TorchFileError(
            f"a tensor of shape {shape} repeats the elements of a storage of {count}"
        )


def _whole_numbers(name: str, given: object) -> tuple[int, ...]:
    if not isinstance(given, (tuple, list)) or len(given) > MAX_DIMENSIONS:
        raise TorchFileError(f"a tensor's {name} is {described(given)}")
    for number in given:
        if type(number) is not int or not 0 <= number < 2**62:
            raise TorchFileError(f"a tensor's {name} is {described(given)}, expected whole numbers")
    return tuple(given)


# ---- the functions that a file calls -----------------------------------------------------------


def _rebuild_tensor(
    storage: object, offset: object, shape: object, strides: object, *_: object
) -> np.ndarray:
    return tensor(storage, offset, shape, strides)


def _rebuild_typed(
    storage: object,
    offset: object,
    shape: object,
    strides: object,
    grad: object,
    hooks: object,
    dtype: object,
    *_: object,
) -> np.ndarray:
    """Of a storage of bytes, with the type of the elements."""
    if not isinstance(dtype, Global) or dtype.module != "torch" or dtype.name not in DTYPES:
        raise TorchFileError(f"its tensors of {described(dtype)} are not supported")
    return tensor(storage, offset, shape, strides, DTYPES[dtype.name])


def _parameter(data: object = None, *_: object) -> object:
    """A Parameter or a Variable is its tensor."""
    if not isinstance(data, np.ndarray):
        raise TorchFileError(f"a parameter's data is {described(data)}, expected a tensor")
    return data


def _from_type(function: object, cls: object, args: object, state: object) -> object:
    """A tensor of a subclass, or with attributes."""
    if not isinstance(function, Global) or not isinstance(args, tuple):
        raise TorchFileError(f"a tensor is made by {described(function)}")
    if function.name == "_rebuild_from_type_v2":
        raise TorchFileError("a tensor of a subclass is made of one of another subclass")
    return _parameter(call(function, args))


def _ordered_dict(pairs: object = ()) -> dict:
    """Empty, or in files of Python 2 of pairs."""
    if isinstance(pairs, Stub):
        pairs = pairs.elements
    found = {}
    for pair in pairs if isinstance(pairs, (list, tuple)) else [None]:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise TorchFileError("an OrderedDict is made of something that is no pairs")
        found[plain_key(pair[0])] = pair[1]
    return found


def _size(sizes: object = ()) -> tuple:
    return _whole_numbers("shape", sizes)


def _object(cls: object, base: object = None, state: object = None) -> Stub:
    """An object in the way of protocol 1."""
    if not isinstance(cls, Global):
        raise TorchFileError(f"an object's class is {described(cls)}")
    return Stub(cls)


# Name -> function, fewest and most arguments.
_CALLS: dict[str, tuple[Callable, int, int]] = {
    "torch._utils._rebuild_tensor": (_rebuild_tensor, 4, 4),
    "torch._utils._rebuild_tensor_v2": (_rebuild_tensor, 4, 7),
    "torch._utils._rebuild_tensor_v3": (_rebuild_typed, 7, 8),
    "torch._utils._rebuild_parameter": (_parameter, 1, 3),
    "torch._utils._rebuild_parameter_with_state": (_parameter, 1, 4),
    "torch._tensor._rebuild_from_type_v2": (_from_type, 4, 4),
    "torch.nn.parameter.Parameter": (_parameter, 1, 2),
    "torch.autograd.variable.Variable": (_parameter, 1, 3),
    "torch.Size": (_size, 0, 1),
    "collections.OrderedDict": (_ordered_dict, 0, 1),
    "copy_reg._reconstructor": (_object, 1, 3),
    "copyreg._reconstructor": (_object, 1, 3),
}

# Calls that a file of plain settings has beside its tensors: they become stubs with arguments.
_INERT = {
    "_codecs.encode",
    "argparse.Namespace",
    "collections.Counter",
    "collections.defaultdict",
    "collections.deque",
    "torch.device",
    "torch.nn.backends.thnn._get_thnn_function_backend",
    "numpy.dtype",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
}
_INERT_MODULES = ("__builtin__", "builtins", "datetime", "pathlib")  # see NAMED
