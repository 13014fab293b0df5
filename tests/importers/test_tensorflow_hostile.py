"""Hostile checkpoints of TensorFlow are refused in bounded time and memory."""

import contextlib
import os
import random
import shutil
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tensorflow_files as files
from c_build import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from mutated_bytes import mutant
from tensorflow_files import Options, entry, header, table_of, whole, write_bundle

from fastwavenet.importers.sorted_table import MAX_NAME, read_table, varint
from fastwavenet.importers.tensorflow_bundle import (
    MAX_INDEX_BYTES,
    MAX_SHARDS,
    MAX_TENSORS,
    read_bundle,
)
from fastwavenet.modelfile import ModelFormatError

GOLDEN = [
    ROOT / "tests/golden/peers/ibab_bias/model.ckpt-99999.index",
    ROOT / "tests/golden/peers/ibab_gc_nobias/model.ckpt-1999.index",
]
SECONDS = 30  # of processor time for one file


def refused(index: Path, match: str) -> None:
    """In one printable line, in bounded time and memory."""
    started = time.process_time()
    with pytest.raises(ModelFormatError, match=match) as raised:
        read_bundle(index)
    assert time.process_time() - started < SECONDS
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500


def bundle(folder: Path, entries: dict[bytes, bytes], shard: bytes = bytes(64)) -> Path:
    """An index with these entries, and one shard."""
    (folder / "m.data-00000-of-00001").write_bytes(shard)
    index = folder / "m.index"
    index.write_bytes(table_of({b"": header(), **entries}))
    return index


def zeros(shape=(4,), offset=0, size=16, **fields) -> bytes:
    """The entry of a tensor of zeros."""
    return entry(shape, offset, size, files.checksum(bytes(min(size, 2**20))), **fields)


# ---- the index ---------------------------------------------------------------------------------


def test_an_index_that_is_cut_off_is_refused(tmp_path):
    index = write_bundle(tmp_path / "m", {"a": np.ones(3, "f4"), "b": np.ones(2, "f4")})
    data = index.read_bytes()
    for length in range(len(data)):
        index.write_bytes(data[:length])
        refused(index, "cut off")


def test_every_changed_byte_of_a_block_is_found_by_its_checksum(tmp_path):
    index = write_bundle(tmp_path / "m", {"a": np.ones(3, "f4"), "b": np.ones(2, "f4")})
    data = index.read_bytes()
    empty = files.with_trailer(files.block([]))  # before the index, and never read
    unread = range(data.index(empty), data.index(empty) + len(empty))
    for at in set(range(len(data) - files.FOOTER)) - set(unread):
        index.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        refused(index, "has the checksum")


@pytest.mark.parametrize("number", [2**62, 2**64 - 1, 2**70 - 1])
@pytest.mark.parametrize("place", range(4))
def test_blocks_outside_of_the_index_are_refused(tmp_path, number, place):
    data = table_of({b"": header()})
    places = [0, 8, 0, 8]
    places[place] = number
    footer = b"".join(map(files.varint, places)).ljust(40, b"\0")[:40] + files.MAGIC
    (tmp_path / "m.index").write_bytes(data[:-48] + footer)
    if place >= 2:
        refused(tmp_path / "m.index", "is at bytes|no end|footer")
    else:  # of a block that nothing reads
        with contextlib.suppress(ModelFormatError):
            read_bundle(tmp_path / "m.index")


def test_a_block_that_is_listed_again_is_refused(tmp_path):
    """Else a table of a megabyte would hold a block of a megabyte a hundred thousand times."""
    one = files.block([(b"", header()), (b"a", zeros())])
    data, place = files.with_trailer(one), files.varint(0) + files.varint(len(one))
    listed = files.block([(b"%06d" % n, place) for n in range(50_000)])
    ends = files.varint(0) * 2 + files.varint(len(data)) + files.varint(len(listed))
    data += files.with_trailer(listed) + ends.ljust(40, b"\0") + files.MAGIC
    (tmp_path / "m.index").write_bytes(data)
    refused(tmp_path / "m.index", "begins at byte 0")


def test_names_that_grow_with_each_entry_are_refused(tmp_path):
    """Each has all bytes of the one before, so that a small file would hold gigabytes of names."""
    data = files.varint(0) * 2 + files.varint(len(header())) + header()
    for length in range(100_000):
        data += files.varint(length) + b"\x01\x00a"
    data += bytes(4) + (1).to_bytes(4, "little")
    (tmp_path / "m.index").write_bytes(files.table([(b"b", data)]))
    refused(tmp_path / "m.index", f"expected at most {MAX_NAME}")


def test_more_tensors_than_any_network_has_are_refused(tmp_path):
    entries = [(b"%06d" % n, b"") for n in range(MAX_TENSORS + 1)]
    data = files.block([(b"", header()), *entries], 1)
    (tmp_path / "m.index").write_bytes(files.table([(b"9", data)]))
    refused(tmp_path / "m.index", f"more than {MAX_TENSORS} tensors")


@pytest.mark.parametrize("names", [(b"b", b"a"), (b"a", b"a"), (b"", b"")])
def test_names_must_ascend(tmp_path, names):
    entries = [(b"", header()), *((name, zeros()) for name in names)]
    (tmp_path / "m.index").write_bytes(files.table([(b"z", files.block(entries))]))
    refused(tmp_path / "m.index", "ascending")


@pytest.mark.parametrize(
    ("block", "match"),
    [
        (b"", "0 restarts in 0 bytes"),
        (bytes(4), "0 restarts"),
        (bytes(4) + b"\xff\xff\xff\xff", "4294967295 restarts"),
        (b"\x01\x00\x00" + bytes(4) + b"\x01\0\0\0", "out of its block"),
        (b"\x00\x05\x00a" + bytes(4) + b"\x01\0\0\0", "out of its block"),
        (b"\x00\x01\x7fa" + bytes(4) + b"\x01\0\0\0", "out of its block"),
        (b"\x80" * 20 + bytes(4) + b"\x01\0\0\0", "no end"),
        (b"\x00\x00" + b"\x80" * 9 + b"\x01" + bytes(4) + b"\x01\0\0\0", "out of its block"),
    ],
)
def test_a_damaged_block_is_refused(tmp_path, block, match):
    (tmp_path / "m.index").write_bytes(files.table([(b"z", block)]))
    refused(tmp_path / "m.index", match)


def test_empty_blocks_and_endless_entries_are_refused(tmp_path):
    """Blocks without entries take time that no number of tensors bounds."""
    first = (b"", files.block([(b"", header())]))
    blocks = [first, *((b"%06d" % n, files.block([])) for n in range(1000))]
    (tmp_path / "m.index").write_bytes(files.table(blocks))
    refused(tmp_path / "m.index", "is empty")
    refused(bundle(tmp_path, {b"a": zeros() + b"\x48\x01" * 100_000}), "bytes, expected at most")


def test_a_compressed_index_is_refused_by_name(tmp_path):
    (tmp_path / "m.index").write_bytes(files.table([(b"z", b"snappy")], compression=1))
    refused(tmp_path / "m.index", "compressed")


def test_a_number_ends_after_ten_bytes():
    assert varint(b"\xff" * 9 + b"\x01", 0) == (2**64 - 1, 10)
    for data in (b"", b"\x80", b"\xff" * 10 + b"\x01"):
        with pytest.raises(ModelFormatError, match="no end"):
            varint(data, 0)


def test_a_larger_index_than_any_is_refused_unread(tmp_path):
    with open(tmp_path / "m.index", "wb") as file:
        file.truncate(2**40)
    refused(tmp_path / "m.index", f"larger than {MAX_INDEX_BYTES}")


# ---- entries -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "match"),
    [
        (b"", "0 shards"),
        (header(0), "0 shards"),
        (header(MAX_SHARDS + 1), "1001 shards"),
        (header(2**63), "shards"),
        (header(1, 2), "byte order 2"),
        (files.nested(1, b""), "no number"),
    ],
)
def test_a_header_of_another_kind_is_refused(tmp_path, first, match):
    (tmp_path / "m.index").write_bytes(table_of({b"": first}))
    refused(tmp_path / "m.index", match)


def test_an_index_without_a_header_is_refused(tmp_path):
    (tmp_path / "m.index").write_bytes(table_of({b"a": zeros()}))
    refused(tmp_path / "m.index", "no header")


@pytest.mark.parametrize(
    ("message", "match"),
    [
        (zeros(offset=49), "ends at byte 65, but shard .* has 64"),
        (zeros(offset=2**63), "ends at byte"),
        (zeros(offset=2**64 - 16), "ends at byte"),
        (zeros(shape=(17,), size=68), "ends at byte 68"),
        (zeros(shape=(2**40,), size=2**42), "expected"),
        (zeros(shape=(2**30,), size=2**32), "ends at byte"),
        (zeros(shape=(2**31,), size=2**33 + 1), "expected 8589934592"),
        (zeros(shape=(5,)), "of shape .5,. has 16 bytes, expected 20"),
        (zeros(shape=(-1,)), "expected"),
        (zeros(shape=(2**32, 2**32)), "expected"),
        (zeros(shape=(0, 2**62, 2**62), size=0), "expected 0"),
        (zeros(shape=(1,) * 9, size=4), "9 axes"),
        (zeros(shard=1), "in shard 1, but there are 1"),
        (zeros(shard=-1), "in shard 18446744073709551615"),
        (zeros() + files.nested(7, b""), "in slices"),
        (zeros() + files.nested(2, whole(3, 1)), "unknown number"),
        (zeros()[:-4] + b"abcd", "has the checksum .*, expected 64636261"),
        (zeros()[:-1], "no end"),
        (zeros() + b"\x0a", "no end"),
        (zeros() + b"\x0a\xff\xff\xff\xff\x0f", "no end"),
        (zeros() + b"\x0b", "no end"),
        (zeros() + files.varint(6 << 3 | 1) + bytes(8), "no 4 bytes"),
        (zeros() + whole(6, 7), "is a number"),
        (zeros() + files.nested(4, b""), "no number"),
        (zeros() + files.nested(2, files.nested(2, files.nested(1, b""))), "no number"),
    ],
)
def test_an_entry_that_is_not_of_its_shard_is_refused(tmp_path, message, match):
    refused(bundle(tmp_path, {b"a": message}), match)


@pytest.mark.parametrize("offset", [0, 4, 15])
def test_tensors_over_each_other_are_refused(tmp_path, offset):
    entries = {b"a": zeros(), b"b": zeros(offset=offset)}
    refused(bundle(tmp_path, entries), "tensors 'a' and 'b' lie over each other")
    entries[b"b"] = zeros(offset=16)
    assert len(read_bundle(bundle(tmp_path, entries))) == 2


def test_sixty_thousand_tensors_of_the_same_bytes_are_refused(tmp_path):
    """Else a file of 8 MB would become 500 GB of arrays."""
    message = zeros(shape=(2**21,), size=2**23)
    entries = {b"%05d" % n: message for n in range(2000)}
    tracemalloc.start()
    refused(bundle(tmp_path, entries, bytes(2**23)), "over each other|at most")
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize("dtype", [0, 3, files.INT64, files.STRING, 21, 1000])
def test_tensors_of_other_types_are_left_but_must_lie_in_their_shard(tmp_path, dtype):
    entries = {b"a": zeros(), b"b": zeros(offset=16, size=5, dtype=dtype)}
    assert list(read_bundle(bundle(tmp_path, entries))) == ["a"]
    entries[b"b"] = zeros(offset=60, size=5, dtype=dtype)
    refused(bundle(tmp_path, entries), "ends at byte 65")


def test_a_name_that_is_no_text_is_refused(tmp_path):
    refused(bundle(tmp_path, {b"a\xff\n": zeros()}), "no text")


def test_a_changed_byte_of_a_shard_is_found_by_its_checksum(tmp_path):
    index = bundle(tmp_path, {b"a": zeros()}, bytes(15) + b"\x01")
    refused(index, "tensor 'a' has the checksum .* damaged")


# ---- shards ------------------------------------------------------------------------------------


def test_a_shard_that_is_missing_cut_off_or_no_file_is_refused(tmp_path):
    tensors = {name: np.ones(30, "f4") for name in "abcd"}
    index = write_bundle(tmp_path / "m", tensors, Options(shards=3))
    shard = tmp_path / "m.data-00001-of-00003"
    shard.write_bytes(shard.read_bytes()[:-1])
    refused(index, "'b' ends at byte 120, but shard 'm.data-00001-of-00003' has 119")
    shard.unlink()
    refused(index, "shard 'm.data-00001-of-00003' is missing")
    os.mkfifo(shard)
    refused(index, "is a pipe")


def test_no_path_in_an_index_leads_out_of_its_folder(tmp_path):
    """Shards are named after the index, whatever is in it."""
    name = b"../../etc/passwd"
    found = read_bundle(bundle(tmp_path, {name: zeros()}))
    assert list(found) == [name.decode()]


# ---- real files, mutated -----------------------------------------------------------------------


def changed_index(data: bytes, chance: random.Random) -> bytes:
    """As it is, or with the checksums right: a block of entries, or one entry."""
    kind = chance.random()
    if kind < 0.3:
        return mutant(data, chance)
    entries = list(read_table(data))
    if kind < 0.6:
        return files.table([(b"x", mutant(files.block(entries), chance))])
    at = chance.randrange(len(entries))
    name, value = entries[at]
    if chance.random() < 0.2:
        entries[at] = mutant(name, chance), value
    else:
        entries[at] = name, mutant(value, chance)
    return files.table([(b"x", files.block(entries))])


def read_or_refused(index: Path) -> None:
    started = time.process_time()
    try:
        found = read_bundle(index)
    except ModelFormatError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 1000
    else:
        assert all(array.dtype.kind == "f" for array in found.values())
    assert time.process_time() - started < SECONDS


def fuzz(folder: Path, count: int, seed: int) -> None:
    """Of real checkpoints, and of a small one, the index or a shard is changed."""
    chance, indices = random.Random(seed), []
    for golden in GOLDEN:
        for file in golden.parent.glob("model.ckpt*"):
            shutil.copy(file, folder)
        indices.append(folder / golden.name)
    tensors = {f"layer{n}/{kind}": np.ones((n, 3), kind) for n in range(4) for kind in ("f4", "i8")}
    indices.append(write_bundle(folder / "small", tensors, Options(shards=2, block_size=50)))
    originals = {file: file.read_bytes() for file in folder.iterdir()}
    for _ in range(count):
        index = chance.choice(indices)
        changed = index
        if chance.random() < 0.2:
            changed = chance.choice(sorted(folder.glob(f"{index.stem}.data*")))
            changed.write_bytes(mutant(originals[changed], chance))
        else:
            changed.write_bytes(changed_index(originals[changed], chance))
        read_or_refused(index)
        changed.write_bytes(originals[changed])


def test_some_mutated_files_are_read_or_refused(tmp_path):
    fuzz(tmp_path, 300, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(6000)
def test_a_hundred_thousand_mutated_files_are_read_or_refused(tmp_path):
    fuzz(tmp_path, 100_000, seed=2)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_in_the_place_of_a_block_are_read_or_refused(tmp_path_factory, noise):
    folder = tmp_path_factory.mktemp("noise")
    (folder / "m.index").write_bytes(files.table([(b"x", noise)]))
    read_or_refused(folder / "m.index")
    read_or_refused(bundle(folder, {b"a": noise}))
