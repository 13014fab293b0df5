"""A small model file, taken to pieces and put together again."""

import json
import tempfile
from pathlib import Path

import numpy as np
from networks import random_weights, small_spec, widths

from fastwavenet.modelfile import save, with_precision_cost
from fastwavenet.spec import WaveNetSpec

SPEC = small_spec(**widths(2), levels=4, dilations=(1, 2))
WEIGHTS = random_weights(SPEC, 1)


def saved(spec: WaveNetSpec, weights: dict[str, np.ndarray]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save(f"{folder}/m.safetensors", spec, weights)
        return Path(folder, "m.safetensors").read_bytes()


def header_end(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


DATA = saved(SPEC, WEIGHTS)
HEADER_END = header_end(DATA)


def unpack(data: bytes) -> tuple[dict, bytes]:
    """A file's header, with the JSON inside its metadata parsed in place, and the tensors."""
    header = json.loads(data[8 : header_end(data)])
    header["__metadata__"]["fastwavenet"] = json.loads(header["__metadata__"]["fastwavenet"])
    return header, data[header_end(data) :]


def pack(header: dict, tensors: bytes) -> bytes:
    metadata = header.get("__metadata__")
    if isinstance(metadata, dict) and "fastwavenet" in metadata:
        ours = json.dumps(metadata["fastwavenet"])
        header = header | {"__metadata__": metadata | {"fastwavenet": ours}}
    text = json.dumps(header, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def with_metadata(data: bytes = DATA, **changes) -> bytes:
    header, tensors = unpack(data)
    header["__metadata__"]["fastwavenet"] |= changes
    return pack(header, tensors)


def assert_same_model(found, spec, weights) -> None:
    assert found[0] == spec
    assert list(found[1]) == list(weights)
    for name, array in weights.items():
        assert found[1][name].tobytes() == array.tobytes()
        assert (found[1][name].shape, found[1][name].dtype) == (array.shape, np.float32)


# ---- with a precision cost, and of older versions ----------------------------------------------

COST = {"bfloat16": -0.00003, "int8": 0.00014}
DATA_WITH_COST = with_precision_cost(DATA, COST)

OLD_SPEC = {
    "sample_rate": 8000, "levels": 4, "residual": 2, "dilation_channels": 2, "skip": 2, "head": 2,
    "dilations": [1, 2], "kernel": [2, 2], "first_kernel": 2, "bias": True,
    "input": "codes", "output": "softmax",
    "codec": {"mu": 3, "encode_offset": 0.5, "decode_offset": 0.0, "decode_divisor": 3},
    "start_code": 2, "start_state": "zeros", "conditioning": None,
}  # fmt: skip


def of_version(version: int, **changes) -> bytes:
    """The model as fastwavenet wrote it in an older format."""
    header, tensors = unpack(DATA)
    about = {"version": version, "spec": OLD_SPEC}
    header["__metadata__"]["fastwavenet"] = about | changes
    return pack(header, tensors)
