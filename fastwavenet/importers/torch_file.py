"""Files of torch.save as plain data, without torch and without running anything in them.

    read_torch_file("checkpoint.pth")  ->  dicts, lists, numbers, strings, numpy arrays, stubs

Three containers are read: the zip archive of torch 1.6 and later, the plain file of earlier ones
(`_use_new_zipfile_serialization=False`), and in both a state dict, any nested data, or a whole
pickled module, of which `module_tensors` lists the parameters.

    zip     NAME/data.pkl     a pickle in which a tensor refers to a storage by its key
            NAME/data/KEY     the storage's bytes
            NAME/byteorder    "little" or "big"; absent: little
    plain   five pickles      a magic number, the version 1001, sizes of C's types, the data, the
                              storages' keys
            for each key      the number of elements (8 bytes), and their bytes

The pickle is read by pickle_reader.py, which calls nothing; torch_tensors.py makes the arrays.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeGuard

import numpy as np

from ..atomic import without_waiting
from ..shown import shown
from .pickle_reader import Global, Maker, PlainData, Stub, TorchFileError, described, read_pickle
from .torch_tensors import Storage, StoragePart, call, element_bytes, storage_kind
from .torch_zip import Record, checked, read_records

MAX_FILE_BYTES = 2**33  # four times the weights of the largest network
MAX_MODULES = 65536  # in a module
MAGIC = 0x1950A86A20F9469CFC6C
PLAIN_VERSION = 1001
NEITHER = "not a file of torch.save: it begins with neither a zip archive nor a magic number"
PLAIN_MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # as a pickle has it


def read_torch_file(path: str | os.PathLike[str]) -> object:
    """The data of a file that torch.save wrote.

    Tensors are read-only numpy arrays: float32 for floats of every size, else of the file's type.
    Objects of classes are `Stub`s, classes and functions `Global`s.
    Raises TorchFileError for anything else, OSError if it cannot be read.
    """
    return parse_torch_file(read_file(path))


def parse_torch_file(data: bytes) -> object:
    """`read_torch_file` of a file's bytes, of which float32 arrays are views."""
    view = memoryview(data).toreadonly()
    if data[:4] == b"PK\x03\x04":
        return _parse_zip(view)
    if PLAIN_MAGIC in data[:32]:
        return _parse_plain(view)
    raise TorchFileError(NEITHER)


def looks_like_torch(head: bytes) -> bool:
    """Whether a file that begins with these bytes, some hundreds, may be one of torch.save.

    Other zip archives, as those of numpy, begin with a record in no folder.
    """
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return PLAIN_MAGIC in head[:32] or (head[:4] == b"PK\x03\x04" and b"/" in name)


class Module(NamedTuple):
    """A pickled module: attributes, and name -> value of its own parameters and buffers."""

    attributes: Mapping[str, object]
    parts: Mapping[str, object]

    def tensors(self, prefix: str) -> dict[str, np.ndarray]:
        """By names with a prefix.  A missing bias, for example, is None and no tensor."""
        arrays = {f"{prefix}{name}": each for name, each in self.parts.items()}
        return {name: each for name, each in arrays.items() if isinstance(each, np.ndarray)}


def modules(root: object) -> Iterator[tuple[str, Module]]:
    """A pickled module and all modules in it, each with the prefix of its tensors' names.

    Raises TorchFileError for anything else in the place of a module.
    """
    pending: list[tuple[str, object]] = [("", root)]
    for _ in range(MAX_MODULES):
        if not pending:
            return
        prefix, stub = pending.pop()
        parts, inner = _parts(stub, "_parameters", "_buffers"), _parts(stub, "_modules")
        assert isinstance(stub, Stub)
        yield prefix, Module(stub.attributes, parts)
        named = [(f"{prefix}{name}.", each) for name, each in inner.items() if each is not None]
        pending += reversed(named)
    raise TorchFileError(f"a module has more than {MAX_MODULES} modules in it")


def module_tensors(root: object) -> dict[str, np.ndarray]:
    """Name -> tensor of a pickled module, as its `state_dict()` has them: see `modules`."""
    return {
        name: tensor
        for prefix, module in modules(root)
        for name, tensor in module.tensors(prefix).items()
    }


def _parts(module: object, *kinds: str) -> dict[str, object]:
    """A pickled module's parameters, buffers or modules."""
    held = module.attributes if isinstance(module, Stub) else {}
    found: dict[str, object] = {}
    for kind in kinds:
        inner = held.get(kind)
        if not isinstance(inner, dict):
            raise TorchFileError(f"it has {described(module)} where a module is expected")
        found |= {str(name): value for name, value in inner.items()}
    return found


def read_file(path: str | os.PathLike[str]) -> bytes:
    """A file's bytes.  Raises TorchFileError if its size or beginning is none of torch.save."""
    with open(path, "rb", opener=without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise TorchFileError("not a file of torch.save: it is a pipe or a device")
        if status.st_size > MAX_FILE_BYTES:
            raise TorchFileError(
                f"it has {status.st_size} bytes, expected at most {MAX_FILE_BYTES}"
            )
        if not looks_like_torch(file.read(512)):
            raise TorchFileError(NEITHER)
        file.seek(0)
        return file.read(status.st_size)


# ---- zip ---------------------------------------------------------------------------------------


def _parse_zip(data: memoryview) -> object:
    records = read_records(data)
    names = [name for name in records if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(names) != 1:
        raise TorchFileError(
            f"its zip archive has {len(names)} records NAME/data.pkl, expected one"
        )
    prefix = names[0].removesuffix("data.pkl")
    if f"{prefix}constants.pkl" in records:
        raise TorchFileError("it is a TorchScript archive: save the model's state_dict() instead")
    maker = _ZipMaker(records, prefix)
    return read_pickle(maker.record("data.pkl"), 0, maker)[0]


class _ZipMaker(Maker):
    """Storages are records of the archive."""

    def __init__(self, records: Mapping[str, Record], prefix: str):
        self.records, self.prefix = records, prefix
        self.storages: dict[str, Storage] = {}
        self.order = self._byte_order() if f"{prefix}byteorder" in records else "<"

    def _byte_order(self) -> str:
        found = bytes(self.record("byteorder")[:8])
        if found not in (b"little", b"big"):
            raise TorchFileError(f"its byteorder is {shown(found)}, expected little or big")
        return "<" if found == b"little" else ">"

    def record(self, name: str) -> memoryview:
        name = self.prefix + name
        if name not in self.records:
            raise TorchFileError(f"its zip archive has no record {shown(name)}")
        return checked(self.records[name])

    def call(self, function: Global, args: tuple) -> object:
        return call(function, args)

    def persistent(self, identity: object) -> object:
        kind, key, count = _storage_identity(identity, 5)
        if key not in self.storages:
            data = self.record(f"data/{key}")
            _check_count(key, len(data), count, kind)
            self.storages[key] = Storage(data, kind, self.order)
        if self.storages[key].kind != kind:
            raise TorchFileError(f"storage {shown(key)} has two types")
        return self.storages[key]


# ---- plain -------------------------------------------------------------------------------------


def _parse_plain(data: memoryview) -> object:
    plain = PlainData()
    magic, at = read_pickle(data, 0, plain)
    version, at = read_pickle(data, at, plain)
    if magic != MAGIC or version != PLAIN_VERSION:
        raise TorchFileError(f"its version is {described(version)}, expected {PLAIN_VERSION}")
    about, begin = read_pickle(data, at, plain)
    if not isinstance(about, dict) or about.get("little_endian", True) is not True:
        raise TorchFileError("it was written by a machine with big-endian numbers")
    first = _Survey()  # the storages stand behind the data that refers to them
    _, at = read_pickle(data, begin, first)
    keys, at = read_pickle(data, at, plain)
    maker = _PlainMaker(_storages(data, at, keys, first.sizes))
    return read_pickle(data, begin, maker)[0]


class _Survey(Maker):
    """Collects the types and the sizes of the storages; makes no tensor."""

    def __init__(self) -> None:
        self.sizes: dict[str, tuple[str, int]] = {}

    def call(self, function: Global, args: tuple) -> object:
        return Stub(function, args)

    def persistent(self, identity: object) -> object:
        module = _module_identity(identity)
        if module is None:
            kind, key, count = _storage_identity(identity, 6)
            if self.sizes.setdefault(key, (kind, count)) != (kind, count):
                raise TorchFileError(f"storage {shown(key)} has two types or sizes")
        return module


class _PlainMaker(Maker):
    """Storages are those that stand behind the data; a module's class comes with its source."""

    def __init__(self, storages: Mapping[str, Storage]):
        self.storages = storages

    def call(self, function: Global, args: tuple) -> object:
        return call(function, args)

    def persistent(self, identity: object) -> object:
        module = _module_identity(identity)
        if module is not None:
            return module
        _, key, _ = _storage_identity(identity, 6)
        assert isinstance(identity, tuple)
        return _part(self.storages[key], identity[5])


def _storages(
    data: memoryview, at: int, keys: object, sizes: Mapping[str, tuple[str, int]]
) -> dict[str, Storage]:
    """The storages that begin at `at`, in the order of `keys`."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise TorchFileError("its list of storages is no list of keys")
    if len(set(keys)) != len(keys) or not set(sizes) <= set(keys):
        raise TorchFileError("its list of storages is not that of the storages in use")
    found = {}
    for key in keys:
        if key not in sizes:
            raise TorchFileError(f"its storage {shown(key)} is used by nothing")
        kind, expected = sizes[key]
        count = int.from_bytes(data[at : at + 8], "little", signed=True)
        if count != expected or at + 8 > len(data):
            raise TorchFileError(
                f"storage {shown(key)} has {count} elements at its place, expected {expected}"
            )
        size = count * element_bytes(kind)
        if size > len(data) - at - 8:
            raise TorchFileError(
                f"storage {shown(key)} has {size} bytes, more than are left in the file"
            )
        found[key] = Storage(data[at + 8 : at + 8 + size], kind)
        at += 8 + size
    return found


def _part(storage: Storage, view: object) -> Storage | StoragePart:
    """A storage, or a part of it: view is None or (key, first, count)."""
    if view is None:
        return storage
    if not isinstance(view, tuple) or len(view) != 3:
        raise TorchFileError(f"a view of a storage is {described(view)}")
    _, first, count = view
    if type(first) is not int or type(count) is not int:
        raise TorchFileError(f"a view of a storage begins at {described(first)}")
    if not 0 <= first <= first + count <= len(storage):
        raise TorchFileError(f"a view of {len(storage)} elements begins at {described(first)}")
    return StoragePart(storage, first, count)


# ---- identities --------------------------------------------------------------------------------


def _storage_identity(identity: object, length: int) -> tuple[str, str, int]:
    """Type, key and number of elements of ("storage", class, key, device, elements, ...)."""
    if not _is_identity(identity, "storage", length):
        raise TorchFileError("it refers to something outside that is no storage")
    _, cls, key, _, count = identity[:5]
    if not isinstance(key, str) or type(count) is not int or not 0 <= count < 2**62:
        raise TorchFileError(
            f"a storage has the key {described(key)} and {described(count)} elements"
        )
    return storage_kind(cls), key, count


def _module_identity(identity: object) -> Global | None:
    """The class of ("module", class, source file, source text), which a plain file has."""
    if not _is_identity(identity, "module", 4):
        return None
    if not isinstance(identity[1], Global):
        raise TorchFileError(f"a module's class is {described(identity[1])}")
    return identity[1]


def _is_identity(value: object, kind: str, length: int) -> TypeGuard[tuple]:
    if not isinstance(value, tuple) or len(value) != length:
        return False
    return isinstance(value[0], str) and value[0] == kind


def _check_count(key: str, found: int, count: int, kind: str) -> None:
    expected = count * element_bytes(kind)
    if found != expected:
        raise TorchFileError(f"storage {shown(key)} has {found} bytes, expected {expected}")
