"""CRC-32C, the checksum of TensorFlow's files, of many bytes at once.

A remainder that begins with 0 is linear in the bytes.  So a piece of them is cut into rows of equal
length, whose remainders are computed together, a word of each row at a step; then neighbours are
joined: the remainder of two rows is that of the first, moved over the length of the second, and
that of the second.  Pieces are joined in the same way.
"""

from __future__ import annotations

import functools

import numpy as np

POLYNOMIAL = 0x82F63B78  # bits in reverse, as bytes come: the lowest first
ALL = 0xFFFFFFFF
FEW = 64  # bytes, for which arrays take longer than a loop
WORDS = 256  # of a row, at most; a power of two
PIECE = 2**20  # bytes, for which memory is taken; a power of two

Table = np.ndarray  # uint32 (4, 256): the image of each byte of a remainder


def crc32c(data: memoryview | bytes) -> int:
    """The checksum of some bytes."""
    view = memoryview(data).cast("B")
    if len(view) < FEW:
        return _of_few(view)
    end = len(view) % PIECE
    end += PIECE if end < 4 else 0  # the initial remainder has four bytes
    remainder = _of_piece(view[:end], ALL)
    for begin in range(end, len(view), PIECE):
        moved = int(_image(_moved(PIECE), np.array([remainder], np.uint32))[0])
        remainder = moved ^ _of_piece(view[begin : begin + PIECE], 0)
    return remainder ^ ALL


def masked(checksum: int) -> int:
    """As TensorFlow stores it, for checksums of data that hold checksums."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & ALL


def _of_piece(data: memoryview, initial: int) -> int:
    """The remainder after some bytes."""
    words = _words(data, initial)
    length = 1
    while length < WORDS and length * length < len(words):
        length *= 2
    rows = np.zeros((-(-len(words) // length), length), np.uint32)
    rows.reshape(-1)[rows.size - len(words) :] = words  # zeros in front change nothing
    return _joined(_remainders(rows), 4 * length)


def _of_few(data: memoryview) -> int:
    remainder, table = ALL, _bytes_table()
    for byte in data:
        remainder = remainder >> 8 ^ table[(remainder ^ byte) & 255]
    return remainder ^ ALL


def _words(data: memoryview, initial: int) -> np.ndarray:
    """uint32, with zeros before the bytes; the initial remainder is added to the first four."""
    padded = np.zeros(-(-len(data) // 4) * 4, np.uint8)
    first = len(padded) - len(data)
    padded[first:] = np.frombuffer(data, np.uint8)
    padded[first : first + 4] ^= np.frombuffer(initial.to_bytes(4, "little"), np.uint8)
    return padded.view("<u4")


def _remainders(rows: np.ndarray) -> np.ndarray:
    """Of each row (n, words): uint32 (n,)."""
    low, high = _halves_tables()
    remainders = np.zeros(len(rows), np.uint32)
    for words in np.ascontiguousarray(rows.T):
        remainders ^= words
        remainders = low[remainders & 0xFFFF] ^ high[remainders >> 16]
    return remainders


def _joined(remainders: np.ndarray, length: int) -> int:
    """The remainder of rows behind each other, each of `length` bytes, a power of two."""
    while len(remainders) > 1:
        if len(remainders) % 2:
            remainders = np.concatenate([np.zeros(1, np.uint32), remainders])
        remainders = _image(_moved(length), remainders[::2]) ^ remainders[1::2]
        length *= 2
    return int(remainders[0])


def _image(table: Table, remainders: np.ndarray) -> np.ndarray:
    parts = (table[byte][remainders >> (8 * byte) & 255] for byte in range(4))
    return functools.reduce(np.bitwise_xor, parts)


@functools.cache
def _moved(length: int) -> Table:
    """Remainders moved over `length` zero bytes, a power of two."""
    if length > 1:
        half = _moved(length // 2)
        return _image(half, half.reshape(-1)).reshape(4, 256)
    remainders = np.arange(256, dtype=np.uint32) << (8 * np.arange(4, dtype=np.uint32)[:, None])
    return remainders >> 8 ^ np.array(_bytes_table(), np.uint32)[remainders & 255]


@functools.cache
def _bytes_table() -> list[int]:
    """The remainder of each byte."""
    table = []
    for byte in range(256):
        remainder = byte
        for _ in range(8):
            remainder = remainder >> 1 ^ POLYNOMIAL * (remainder & 1)
        table.append(remainder)
    return table


@functools.cache
def _halves_tables() -> tuple[np.ndarray, np.ndarray]:
    """The remainders of words with their upper or lower 16 bits 0: uint32 (65536,) each."""
    table = _moved(4)
    low = np.arange(65536, dtype=np.uint32)
    return _image(table, low), _image(table, low << 16)
