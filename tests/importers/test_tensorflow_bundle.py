"""TensorFlow's checkpoints are read as they were written."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow_files as files
from c_build import ROOT
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow_files import Options, header, table_of, write_bundle

from fastwavenet.importers.crc32c import PIECE, crc32c, masked
from fastwavenet.importers.sorted_table import read_table
from fastwavenet.importers.tensorflow_bundle import (
    MAX_SHARDS,
    index_of,
    looks_like_index,
    read_bundle,
)

GOLDEN = [
    ROOT / "tests/golden/peers/ibab_bias/model.ckpt-99999.index",
    ROOT / "tests/golden/peers/ibab_gc_nobias/model.ckpt-1999.index",
]

# ---- checksums ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # this and the following ones: RFC 3720
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_the_checksum_is_crc32c(data, expected):
    assert crc32c(data) == expected == files.crc32c(data)


@pytest.mark.parametrize("base", [0, 64, 256, 1024, 4096, 5000, 70_000])
def test_the_checksum_of_any_length_is_that_of_a_loop(base):
    data = np.random.default_rng(base).bytes(base + 5)
    for length in {max(base + more, 0) for more in range(-5, 6)}:
        assert crc32c(data[:length]) == files.crc32c(data[:length])
    assert masked(crc32c(data)).to_bytes(4, "little") == files.checksum(data)


@pytest.mark.parametrize("more", [-1, 0, 3, 4, PIECE + 5])
def test_the_checksum_of_several_pieces_is_that_of_a_loop(more):
    data = np.random.default_rng(1).bytes(PIECE + more)
    assert crc32c(data) == files.crc32c(data)


# ---- whole checkpoints -------------------------------------------------------------------------

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=30)
ANY_BUNDLE = st.builds(
    Options,
    shards=st.integers(1, 5),
    block_size=st.sampled_from([1, 50, 2**18]),
    restart_interval=st.integers(1, 20),
    big_endian=st.booleans(),
)


@given(st.data(), ANY_BUNDLE)
def test_any_checkpoint_is_read_as_it_was_written(tmp_path_factory, data, options):
    shapes = arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)
    array = st.sampled_from(["f2", "f4", "f8", "i4", "i8"]).flatmap(
        lambda dtype: arrays.arrays(dtype, shapes)
    )
    tensors = data.draw(st.dictionaries(NAMES, array, max_size=20))
    prefix = tmp_path_factory.mktemp("any") / "model.ckpt-7"
    found = read_bundle(write_bundle(prefix, tensors, options))
    floats = {name: each for name, each in tensors.items() if each.dtype.kind == "f"}
    assert set(found) == set(floats)
    for name, expected in floats.items():
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)


def test_bfloat16_becomes_float32(tmp_path):
    values = np.array([1, -2.5, 0.15625, np.inf], np.float32)
    found = read_bundle(write_bundle(tmp_path / "m", {"a": values}, bfloat16=["a"]))["a"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(("index", "tensors"), [(GOLDEN[0], 85), (GOLDEN[1], 52)])
def test_all_of_a_real_shard_is_in_its_tensors(index, tensors):
    found = read_bundle(index)
    size = index.with_name(f"{index.stem}.data-00000-of-00001").stat().st_size
    assert len(found) == tensors
    assert sum(array.nbytes for array in found.values()) == size


@pytest.mark.parametrize("index", GOLDEN)
def test_the_writer_of_these_tests_writes_what_tensorflow_wrote(tmp_path, index):
    again = write_bundle(tmp_path / index.stem, read_bundle(index))
    assert list(read_table(again.read_bytes())) == list(read_table(index.read_bytes()))
    shard = f"{index.stem}.data-00000-of-00001"
    assert (tmp_path / shard).read_bytes() == index.with_name(shard).read_bytes()


def test_reading_needs_no_tensorflow_and_no_torch():
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from fastwavenet.importers.tensorflow_bundle import read_bundle\n"
        f"read_bundle(Path({str(GOLDEN[0])!r}))\n"
        "assert not {'tensorflow', 'google.protobuf', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_index_is_recognised_by_its_first_bytes():
    for index in GOLDEN:
        assert looks_like_index(index.read_bytes()[:512])
    assert looks_like_index(table_of({b"": header(MAX_SHARDS)}))
    for head in (b"", b"\0", bytes(512), b"\0\0\6", b"PK\3\4", b"\0\0\6\x0a", b"\0\0\x01\x08"):
        assert not looks_like_index(head)


def test_a_file_that_is_there_is_not_taken_for_a_prefix(tmp_path):
    (tmp_path / "voice").write_bytes(b"")
    (tmp_path / "voice.index").write_bytes(b"")
    assert index_of(tmp_path / "voice") == tmp_path / "voice"
    assert index_of(tmp_path / "other") == tmp_path / "other"
    assert index_of(tmp_path / "voice.meta") == tmp_path / "voice.index"
