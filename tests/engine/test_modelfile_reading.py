"""Reading a model file: without waiting, and with no more work or memory than it is worth."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from model_files import DATA, SPEC, WEIGHTS, assert_same_model, pack, unpack
from networks import small_spec, widths

from fastwavenet import modelfile
from fastwavenet.modelfile import ModelFormatError, load, parse

ABOUT = '{"version": 3, "spec": %s}'


def test_a_pipe_is_refused_at_once_though_nobody_writes_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(ModelFormatError, match=f"{path}: .* it is a pipe or a device"):
            load(path)


@pytest.mark.parametrize("count", [1, 14_000])
def test_a_header_of_tensors_that_the_spec_has_not_is_refused_before_they_are_looked_at(
    count, monkeypatch
):
    header, tensors = unpack(DATA)
    extra = {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(count)}
    looked_at, place = [], modelfile._place
    monkeypatch.setattr(modelfile, "_place", lambda *a: looked_at.append(a[0]) or place(*a))
    with pytest.raises(ModelFormatError, match="unexpected tensor 't0': the spec has none"):
        parse(pack(header | extra, tensors))
    assert looked_at == []
    parse(DATA)
    assert looked_at == list(WEIGHTS)


def test_a_header_of_any_length_leaves_the_weights_aligned():
    header, tensors = unpack(DATA)
    for padding in range(8):
        header["__metadata__"]["padding"] = "x" * padding
        found = parse(pack(header, tensors))
        assert_same_model(found, SPEC, WEIGHTS)
        assert all(a.flags.aligned and not a.flags.writeable for a in found.weights.values())


ODD_PLACES = {
    "gap": lambda places: [(b + 8, e + 8) for b, e in places],
    "first one twice": lambda places: [places[0], *places[:-1]],
    "overlap": lambda places: [places[0], *((b - 4, e - 4) for b, e in places[1:])],
}


@pytest.mark.parametrize("move", ODD_PLACES.values(), ids=ODD_PLACES)
def test_tensors_must_fill_the_file_without_gaps_or_overlaps(move):
    header, tensors = unpack(DATA)
    names = sorted(header.keys() - {"__metadata__"}, key=lambda n: header[n]["data_offsets"])
    places = move([tuple(header[name]["data_offsets"]) for name in names])
    for name, place in zip(names, places, strict=True):
        header[name]["data_offsets"] = place
    with pytest.raises(ModelFormatError, match="not a valid safetensors file|must take .* bytes"):
        parse(pack(header, tensors + bytes(8)))


LOADED = """
import sys
from fastwavenet import ModelFormatError, load

def peak():
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])

before = peak()
try:
    load(sys.argv[1])
    print("loaded", end=" ")
except ModelFormatError:
    print("refused", end=" ")
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
@pytest.mark.parametrize(("padding", "last"), [(0, 0.5), (1, 0.5), (1, float("nan"))])
def test_loading_takes_twice_the_memory_of_the_file_at_most(tmp_path, padding, last):
    spec = small_spec(**widths(64), levels=32768)
    weights = {name: np.full(shape, 0.5, np.float32) for name, shape in spec.tensors().items()}
    data = safetensors.numpy.save(weights, {"fastwavenet": ABOUT % json.dumps(spec.to_dict())})
    header, tensors = unpack(data)
    header["__metadata__"]["padding"] = "x" * padding
    tensors = tensors[:-4] + np.float32(last).tobytes()
    path = tmp_path / "m.safetensors"
    path.write_bytes(pack(header, tensors))
    command = [sys.executable, "-c", LOADED, str(path)]
    outcome, grown = subprocess.check_output(command, text=True).split()
    assert outcome == ("loaded" if last == 0.5 else "refused")
    assert len(data) > 1.5 * 2**24  # more than the room for modules and huge pages
    assert int(grown) < 2 * len(data) + 2**24
