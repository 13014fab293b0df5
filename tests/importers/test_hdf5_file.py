"""HDF5 files: arrays as h5py writes them, and nothing followed out of a damaged file."""

import struct

import hdf5_files
import numpy as np
import pytest
from c_build import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from fastwavenet.importers.hdf5_file import Hdf5Error, read_hdf5

H5PYS = ROOT / "tests/golden/peers/kb_repeat/stats.h5"


def read(folder, data: bytes) -> dict[str, np.ndarray]:
    (folder / "file.h5").write_bytes(data)
    return read_hdf5(folder / "file.h5")


def test_a_file_of_h5py_has_its_arrays():
    arrays = read_hdf5(H5PYS)
    assert {name: array.shape for name, array in arrays.items()} == {
        "world/mean": (28,),
        "world/scale": (28,),
    }
    assert arrays["world/scale"].min() > 0


@pytest.mark.parametrize("kind", ["<f8", "<f4", ">f8", ">f4"])
@pytest.mark.parametrize("shape", [(0,), (1,), (5,), (2, 3)])
def test_arrays_come_back(tmp_path, kind, shape):
    array = np.arange(np.prod(shape)).reshape(shape) - 1.5
    found = read(tmp_path, hdf5_files.written("melspc", {"mean": array, "scale": -array}, kind))
    np.testing.assert_array_equal(found["melspc/mean"], array)
    np.testing.assert_array_equal(found["melspc/scale"], -array)
    assert found["melspc/mean"].dtype == np.float64


@pytest.mark.parametrize("kind", ["<i8", "<f2"])
def test_other_numbers_are_refused(tmp_path, kind):
    data = bytearray(hdf5_files.written("world", {"mean": np.zeros(3)}, "<f8"))
    at = data.index(bytes([0x11, 0x20, 63, 0]))
    data[at : at + 8] = {"<i8": b"\x10\x08\0\0\x08\0\0\0", "<f2": b"\x11\x20\x0f\0\x02\0\0\0"}[kind]
    with pytest.raises(Hdf5Error, match=r"world/mean of an HDF5 file is no array of floats"):
        read(tmp_path, bytes(data))


def test_chunked_datasets_and_other_versions_are_refused(tmp_path):
    data = hdf5_files.written("world", {"mean": np.zeros(3)}, layout=2)
    with pytest.raises(Hdf5Error, match=r"world/mean .* save mean and scale as \.npy"):
        read(tmp_path, data)
    with pytest.raises(Hdf5Error, match="found superblock 2"):
        read(tmp_path, data[:8] + b"\x02" + data[9:])
    with pytest.raises(Hdf5Error, match="not an HDF5 file"):
        read(tmp_path, b"RIFF" + data)


@pytest.mark.parametrize("n", [0, 1, 8, 95, 96, 500])
def test_a_file_that_is_cut_off_is_refused(tmp_path, n):
    data = hdf5_files.written("world", {"mean": np.zeros(3)})
    with pytest.raises(Hdf5Error):
        read(tmp_path, data[:n])


@pytest.mark.parametrize("shape", [(2**40, 3), (0, 2**63), (2**64 - 1, 2**64 - 1), (2**20, 3)])
def test_an_array_larger_than_the_file_is_refused(tmp_path, shape):
    data = hdf5_files.written("world", {"mean": np.zeros((1, 3))})
    damaged = data.replace(struct.pack("<QQ", 1, 3), struct.pack("<QQ", *shape))
    assert damaged != data
    with pytest.raises(Hdf5Error, match="more than its bytes|ends at"):
        read(tmp_path, damaged)


def test_a_group_that_holds_itself_is_refused(tmp_path):
    data = bytearray(hdf5_files.written("world", {"mean": np.zeros(3)}))
    root = data[64:72]
    node = data.rindex(b"SNOD")  # of the root
    data[node + 16 : node + 24] = root
    with pytest.raises(Hdf5Error, match="deeper than 8"):
        read(tmp_path, bytes(data))


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_file_is_refused_or_read(tmp_path_factory, data):
    """In bounded time, without another error."""
    file = bytearray(H5PYS.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(file) - 1))
        file[at] = data.draw(st.integers(0, 255))
    try:
        arrays = read(tmp_path_factory.getbasetemp(), bytes(file))
    except Hdf5Error:
        return
    assert all(array.dtype == np.float64 for array in arrays.values())
