"""A writer of small HDF5 files, as h5py lays them out: one group, datasets of floats."""

import struct

import numpy as np

UNDEFINED = b"\xff" * 8


def written(group: str, arrays: dict[str, np.ndarray], kind: str = "<f8", layout: int = 1) -> bytes:
    """A file with group/name of each array.  layout: class of all datasets' layout."""
    file = bytearray(96)
    members = {name: _dataset(file, array.astype(kind), layout) for name, array in arrays.items()}
    root = _group(file, {group: _group(file, members)})
    symbol = struct.pack("<QQII16x", 0, root, 0, 0)
    file[:56] = (
        b"\x89HDF\r\n\x1a\n" + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + struct.pack("<HHI", 4, 16, 0)
        + struct.pack("<Q", 0) + UNDEFINED + struct.pack("<Q", len(file)) + UNDEFINED
    )  # fmt: skip
    file[56:96] = symbol
    return bytes(file)


def _added(file: bytearray, data: bytes) -> int:
    at = len(file)
    file += data + b"\0" * (-len(data) % 8)
    return at


def _header(file: bytearray, messages: list[tuple[int, bytes]]) -> int:
    padded = [(kind, data + b"\0" * (-len(data) % 8)) for kind, data in messages]
    body = b"".join(struct.pack("<HHB3x", kind, len(data), 0) + data for kind, data in padded)
    return _added(file, struct.pack("<BxHII4x", 1, len(messages), 1, len(body)) + body)


def _dataset(file: bytearray, array: np.ndarray, layout: int) -> int:
    size, big = array.dtype.itemsize, array.dtype.byteorder == ">"
    parts = (0, 52, 11, 0, 52, 1023) if size == 8 else (0, 23, 8, 0, 23, 127)
    offset, exponent, exponent_bits, mantissa, mantissa_bits, bias = parts
    space = struct.pack("<BBB5x", 1, array.ndim, 0) + struct.pack(f"<{array.ndim}Q", *array.shape)
    properties = struct.pack(
        "<HHBBBBI", 0, 8 * size, exponent, exponent_bits, mantissa, mantissa_bits, bias
    )
    bits = bytes([0x11, 0x20 | big, 8 * size - 1, 0]) + struct.pack("<I", size)
    at = _added(file, array.tobytes())
    where = struct.pack("<BBQQ", 3, layout, at, array.nbytes)
    return _header(file, [(1, space), (3, bits + properties), (8, where)])


def _group(file: bytearray, members: dict[str, int]) -> int:
    names, offsets = bytearray(8), {}
    for name in members:
        offsets[name] = len(names)
        names += name.encode() + b"\0" * (8 - len(name) % 8)
    data = _added(file, bytes(names))
    heap = _added(file, b"HEAP" + bytes(4) + struct.pack("<QQQ", len(names), len(names), data))
    symbols = b"".join(
        struct.pack("<QQII16x", offsets[name], header, 0, 0) for name, header in members.items()
    )
    node = _added(file, b"SNOD" + struct.pack("<BxH", 1, len(members)) + symbols)
    tree = b"TREE" + struct.pack("<BBH", 0, 0, 1) + 2 * UNDEFINED + struct.pack("<QQQ", 0, node, 0)
    return _header(file, [(17, struct.pack("<QQ", _added(file, tree), heap))])
