"""Files as torch.save writes them, of our own making: pickles byte by byte, zip and plain."""

import io
import struct
import zipfile

import numpy as np

MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
VERSION = b"\x80\x02M\xe9\x03."
SIZES = b"\x80\x02}."


def text(value: str) -> bytes:
    """BINUNICODE."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def whole(value: int) -> bytes:
    """LONG1."""
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def named(module: str, name: str) -> bytes:
    """GLOBAL."""
    return b"c" + f"{module}\n{name}\n".encode()


def numbers(*values: int) -> bytes:
    """A tuple."""
    return b"(" + b"".join(map(whole, values)) + b"t"


def storage(kind: str, key: str, count: int, *, plain: bool = False) -> bytes:
    """A reference to a storage."""
    view = b"N" if plain else b""
    identity = text("storage") + named("torch", kind) + text(key) + text("cpu") + whole(count)
    return b"(" + identity + view + b"tQ"


def tensor(of: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    """_rebuild_tensor_v2 of a storage."""
    hooks = named("collections", "OrderedDict") + b")R"
    args = of + whole(offset) + numbers(*shape) + numbers(*strides) + b"\x89" + hooks
    return named("torch._utils", "_rebuild_tensor_v2") + b"(" + args + b"tR"


def pickled(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def zipped(
    pickle: bytes,
    storages: dict[str, bytes] | None = None,
    extra: dict[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """A zip archive with this pickle.  extra: names -> bytes of more records."""
    records = {"archive/data.pkl": pickle, "archive/version": b"3\n"}
    records |= {f"archive/data/{key}": data for key, data in (storages or {}).items()}
    records |= extra or {}
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", compression) as archive:
            for name, data in records.items():
                archive.writestr(name, data)
        return file.getvalue()


def plain(pickle: bytes, storages: dict[str, tuple[int, bytes]] | None = None) -> bytes:
    """A plain file with this pickle.  storages: key -> number of elements, bytes."""
    keys = b"]" + b"".join(text(key) + b"a" for key in storages or {})
    data = b"".join(struct.pack("<q", n) + data for n, data in (storages or {}).values())
    return MAGIC + VERSION + SIZES + pickle + pickled(keys) + data


# ---- any value ---------------------------------------------------------------------------------


class Instance:
    """An object of a class by its name, with a state."""

    def __init__(self, module: str, name: str, state: dict):
        self.module, self.name, self.state = module, name, state


def module_of(kind: tuple[str, str], attributes: dict, parts: dict, inner: dict) -> Instance:
    """A pickled torch module.  parts: name -> array or None; inner: name -> module."""
    state = {"_parameters": parts, "_buffers": {}, "_modules": inner, "training": True}
    return Instance(*kind, state | attributes)


def tree(tensors: dict[str, np.ndarray], kinds: dict[str, tuple[str, str]]) -> dict[str, Instance]:
    """Nested modules of tensors by dotted names.  kinds: first part of a name -> class."""
    inner: dict[str, dict] = {}
    for name, array in tensors.items():
        first, _, rest = name.partition(".")
        inner.setdefault(first, {})[rest] = array
    modules = {}
    for first, parts in inner.items():
        own = {name: array for name, array in parts.items() if "." not in name}
        deeper = {name: array for name, array in parts.items() if "." in name}
        kind = kinds.get(first, ("torch.nn.modules.conv", "Conv1d"))
        modules[first] = module_of(kind, {}, own, tree(deeper, kinds))
    return modules


class Writer:
    """Turns a value into opcodes, and its arrays into storages."""

    def __init__(self, *, plain: bool):
        self.plain, self.storages = plain, []

    def opcodes(self, value: object) -> bytes:
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, Instance):
            return named(value.module, value.name) + b")\x81" + self.opcodes(value.state) + b"b"
        if isinstance(value, dict):
            items = b"".join(self.opcodes(key) + self.opcodes(each) for key, each in value.items())
            return b"}(" + items + b"u"
        if isinstance(value, (list, tuple)):
            items = b"".join(map(self.opcodes, value))
            return b"](" + items + b"e" if isinstance(value, list) else b"(" + items + b"t"
        if isinstance(value, bool) or value is None:
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        return text(value) if isinstance(value, str) else whole(value)

    def _array(self, array: np.ndarray) -> bytes:
        """A parameter of a float32 tensor."""
        key = str(len(self.storages))
        self.storages.append(np.array(array, np.float32, order="C"))
        of = storage("FloatStorage", key, array.size, plain=self.plain)
        strides = tuple(stride // 4 for stride in self.storages[-1].strides)
        rebuilt = tensor(of, array.shape, strides)
        hooks = named("collections", "OrderedDict") + b")R"
        rebuild = named("torch._utils", "_rebuild_parameter")
        return rebuild + b"(" + rebuilt + b"\x88" + hooks + b"tR"


def saved_value(value: object, *, as_zip: bool) -> bytes:
    """The file that torch.save writes of a value, of either container."""
    writer = Writer(plain=not as_zip)
    data = pickled(writer.opcodes(value))
    arrays = {str(key): array for key, array in enumerate(writer.storages)}
    if as_zip:
        return zipped(data, {key: array.tobytes() for key, array in arrays.items()})
    return plain(data, {key: (array.size, array.tobytes()) for key, array in arrays.items()})
