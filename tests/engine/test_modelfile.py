"""Model files: saved and loaded bit for bit, and refused if they are anything else."""

import contextlib
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from model_files import (
    DATA,
    HEADER_END,
    SPEC,
    WEIGHTS,
    assert_same_model,
    pack,
    unpack,
    with_metadata,
)
from networks import every_network, random_weights

from fastwavenet import modelfile
from fastwavenet.modelfile import MAX_HEADER_BYTES, ModelFormatError, load, parse, save


@contextlib.contextmanager
def traced_memory() -> Iterator[Callable[[], int]]:
    """Yields a function that returns the most bytes held at once since the beginning."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# ---- there and back --------------------------------------------------------------------------


@every_network
def test_a_saved_model_loads_bit_for_bit(spec, tmp_path):
    weights = random_weights(spec, 2)
    save(tmp_path / "m.safetensors", spec, weights)
    assert_same_model(load(tmp_path / "m.safetensors"), spec, weights)


def test_saving_a_loaded_model_gives_the_same_file(tmp_path):
    save(tmp_path / "again.safetensors", *parse(DATA)[:2])
    assert (tmp_path / "again.safetensors").read_bytes() == DATA


def test_denormals_signed_zeros_and_extremes_survive(tmp_path):
    extremes = np.array([-0.0, 1e-45, -1e-45, np.finfo(np.float32).max], np.float32).reshape(4, 1)
    weights = WEIGHTS | {"head.output.weight": np.stack([extremes, extremes[::-1]], axis=1)}
    save(tmp_path / "m.safetensors", SPEC, weights)
    assert_same_model(load(tmp_path / "m.safetensors"), SPEC, weights)


def test_any_memory_order_of_the_weights_saves_the_same_file(tmp_path):
    fortran = {name: np.asfortranarray(array) for name, array in reversed(WEIGHTS.items())}
    save(tmp_path / "m.safetensors", SPEC, fortran)
    assert (tmp_path / "m.safetensors").read_bytes() == DATA


def test_loaded_weights_cannot_be_written_to():
    for array in parse(DATA)[1].values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_loading_takes_memory_in_proportion_to_the_file(tmp_path):
    (tmp_path / "m.safetensors").write_bytes(DATA)
    load(tmp_path / "m.safetensors")  # imports modules
    with traced_memory() as peak:
        load(tmp_path / "m.safetensors")
        assert peak() < 2**20


# ---- tensors that do not fit the spec --------------------------------------------------------

FIRST_BIAS = WEIGHTS["first.bias"]


def without(name: str) -> dict[str, np.ndarray]:
    return {n: array for n, array in WEIGHTS.items() if n != name}


def instead(*values: float, dtype: str = "f4") -> dict[str, np.ndarray]:
    return WEIGHTS | {"first.bias": np.array(values, dtype)}


UNFIT = {
    "missing": (without("first.bias"), r"first.bias.* of shape \(2,\) is missing"),
    "extra": (WEIGHTS | {"first.gain": FIRST_BIAS}, "unexpected tensor .*first.gain"),
    "renamed": (without("first.bias") | {"First.bias": FIRST_BIAS}, "unexpected .*First.bias"),
    "long": (instead(1, 2, 3), r"first.bias.* shape \(2,\), not \(3,\)"),
    "empty": (instead(), r"first.bias.* shape \(2,\), not \(0,\)|cannot have shape"),
    "flat": (instead([1, 2]), r"first.bias.* shape \(2,\), not \(1, 2\)"),
    "float64": (instead(1, 2, dtype="f8"), "first.bias.* must be .*not '?[fF].*64"),
    "integer": (instead(1, 2, dtype="i4"), "first.bias.* must be .*not '?[iI].*32"),
    "nan": (instead(0, float("nan")), "first.bias.* must be finite"),
    "infinity": (instead(0, float("inf")), "first.bias.* must be finite"),
    "minus infinity": (instead(0, -float("inf")), "first.bias.* must be finite"),
}
unfit = pytest.mark.parametrize(("weights", "message"), UNFIT.values(), ids=UNFIT)


@unfit
def test_weights_that_do_not_fit_are_not_saved(weights, message, tmp_path):
    with pytest.raises(ModelFormatError, match=message):
        save(tmp_path / "m.safetensors", SPEC, weights)
    assert not list(tmp_path.iterdir())


@unfit
def test_weights_that_do_not_fit_are_not_loaded(weights, message, monkeypatch, tmp_path):
    path = tmp_path / "m.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(modelfile, "check_weights", lambda spec, unchecked: dict(unchecked))
        save(path, SPEC, weights)
    with pytest.raises(ModelFormatError, match=f"m.safetensors: .*{message}"):
        load(path)


ODD_ENTRIES = {
    "rank 65": {"dtype": "F32", "shape": [1] * 64 + [2]},
    "rank 60000": {"dtype": "F32", "shape": [1] * 60_000 + [2]},
    "nothing, hugely": {"dtype": "F32", "shape": [0, 2**63], "data_offsets": [0, 0]},
    "overflowing": {"dtype": "F32", "shape": [2**32, 2**32]},
    "negative": {"dtype": "F32", "shape": [-2]},
    "4 bits": {"dtype": "F4", "shape": [16]},
    "unknown dtype": {"dtype": "F\n\x1b[31m32"},
    "backwards": {"data_offsets": [8, 0]},
    "outside": {"data_offsets": [0, 2**40]},
}


@pytest.mark.parametrize("entry", ODD_ENTRIES.values(), ids=ODD_ENTRIES)
def test_a_tensor_of_an_impossible_shape_or_place_is_refused(entry):
    header, tensors = unpack(DATA)
    assert header["first.bias"] == {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    name = "nothing" if entry.get("data_offsets") == [0, 0] else "first.bias"
    header[name] = header.get(name, {}) | entry
    with pytest.raises(ModelFormatError):
        parse(pack(header, tensors))


# ---- files that are not models ---------------------------------------------------------------


def test_truncated_at_any_length_is_refused(tmp_path):
    edges = (HEADER_END - 1, HEADER_END, HEADER_END + 1, len(DATA) - 1)
    for length in (0, 1, 7, 8, 9, HEADER_END // 2, *edges):
        path = tmp_path / f"{length}.safetensors"
        path.write_bytes(DATA[:length])
        with pytest.raises(ModelFormatError, match=f"{length}.safetensors: not a (model|valid)"):
            load(path)


def test_bytes_after_the_last_tensor_are_refused():
    with pytest.raises(ModelFormatError):
        parse(DATA + b"\0")


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_refused(seed, tmp_path):
    rng = np.random.default_rng(seed)
    (tmp_path / "m.safetensors").write_bytes(rng.bytes(int(rng.integers(1, 10_000))))
    with pytest.raises(ModelFormatError, match=r"m\.safetensors: not a model file"):
        load(tmp_path / "m.safetensors")


def test_a_safetensors_file_of_another_program_is_refused_by_name():
    header, tensors = unpack(DATA)
    for metadata in ({}, {"format": "pt"}):
        with pytest.raises(ModelFormatError, match="no 'fastwavenet' entry"):
            parse(pack(header | {"__metadata__": metadata}, tensors))


def test_a_header_may_reach_its_bound_and_not_pass_it(tmp_path):
    path = tmp_path / "m.safetensors"
    for length in (MAX_HEADER_BYTES, MAX_HEADER_BYTES + 1):
        padded = DATA[8:HEADER_END].ljust(length)
        path.write_bytes(length.to_bytes(8, "little") + padded + DATA[HEADER_END:])
        if length == MAX_HEADER_BYTES:
            assert_same_model(load(path), SPEC, WEIGHTS)
    with pytest.raises(ModelFormatError, match=r"m\.safetensors: not a model file"):
        load(path)


def test_a_large_file_of_another_kind_is_refused_unread(tmp_path):
    with (tmp_path / "disk.img").open("wb") as file:
        file.write(b"\xff" * 8)
        file.truncate(2**26)
    with traced_memory() as peak:
        with pytest.raises(ModelFormatError, match=r"disk\.img: not a model file"):
            load(tmp_path / "disk.img")
        assert peak() < 2**20


def test_a_file_larger_than_any_model_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(modelfile, "MAX_WEIGHT_BYTES", 2**20)
    path = tmp_path / "m.safetensors"
    path.write_bytes(DATA.ljust(8 + MAX_HEADER_BYTES + 2**20 + 1))
    with pytest.raises(ModelFormatError, match=r"m\.safetensors: .* larger than 2097160 bytes"):
        load(path)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"a":' * 100_000, b"[]", b"1", b"\xff\xfe", b""]
)
def test_a_header_that_is_not_a_json_object_is_refused(text):
    with pytest.raises(ModelFormatError, match="header"):
        parse(len(text).to_bytes(8, "little") + text)


def test_a_newer_version_is_refused_by_name():
    with pytest.raises(ModelFormatError, match=r"version 4; .* reads up to 3: upgrade"):
        parse(with_metadata(version=4, spec="unknown yet"))


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None, []])
def test_a_version_that_is_not_a_whole_number_is_refused(version):
    with pytest.raises(ModelFormatError, match="version must be a whole number from 1, not"):
        parse(with_metadata(version=version))


def test_a_bad_spec_is_refused_naming_the_field():
    for field, value in (("residual", 0), ("input", "scalar"), ("wavelets", 1), ("codec", 5)):
        with pytest.raises(ModelFormatError, match=field):
            parse(with_metadata(spec=SPEC.to_dict() | {field: value}))


def test_a_file_that_cannot_be_read_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(tmp_path / "nowhere.safetensors")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


# ---- writing ---------------------------------------------------------------------------------


def test_a_write_that_stops_half_way_leaves_the_folder_as_it_was(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"the old model")
    limited = (
        "import resource, sys\n"
        "from fastwavenet import modelfile\n"
        "model = modelfile.parse(sys.stdin.buffer.read())\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "modelfile.save(sys.argv[1], model.spec, model.weights)\n"
    )
    command = [sys.executable, "-c", limited, str(path)]
    done = subprocess.run(command, input=DATA, capture_output=True)
    assert done.returncode == 1
    assert f"File too large: '{path}'" in done.stderr.decode()
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"the old model"]


def test_an_existing_file_is_replaced(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"the old model")
    save(path, SPEC, WEIGHTS)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == DATA


def test_saving_over_a_folder_is_refused_by_name(tmp_path):
    with pytest.raises(IsADirectoryError, match=f"{tmp_path} is a folder"):
        save(tmp_path, SPEC, WEIGHTS)


def test_saving_in_a_missing_folder_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        save(tmp_path / "nowhere" / "m.safetensors", SPEC, WEIGHTS)
