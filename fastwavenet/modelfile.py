"""One .safetensors file <-> (spec, weights).  Every name, dtype, shape and bound is checked here.

The file holds float32 tensors named by `WaveNetSpec.tensors()` and one metadata entry,
"fastwavenet": JSON {"version": 1, "spec": {...}}.  It is data only: nothing in it names a path,
a class or code.  The whole file is read into memory before it is looked at, so that it cannot
change between check and use.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from .files import replace_atomically
from .spec import MAX_WEIGHT_BYTES, WaveNetSpec

VERSION = 1
MAX_HEADER_BYTES = 2**20
MAX_RANK = 4
METADATA_KEY = "fastwavenet"


class ModelFormatError(ValueError):
    """A file or a set of weights is not a fastwavenet model; says what was expected and found."""


def save(path: str | os.PathLike, spec: WaveNetSpec, weights: Mapping[str, np.ndarray]) -> None:
    """Writes a model file.  An existing file is replaced whole or not at all.

    weights: name -> float32 array for exactly the names and shapes of `spec.tensors()`.
    Raises ModelFormatError if they differ, OSError if the file cannot be written.
    """
    checked = check_weights(spec, weights)
    header = json.dumps({"version": VERSION, "spec": spec.to_dict()})
    data = safetensors.numpy.save(checked, metadata={METADATA_KEY: header})
    replace_atomically(path, data)


def load(path: str | os.PathLike) -> tuple[WaveNetSpec, dict[str, np.ndarray]]:
    """Reads a model file: its spec, and name -> read-only float32 array.

    Raises ModelFormatError, which names the file and what was expected and found, for anything
    that is not a model, and OSError if the file cannot be read.
    """
    try:
        return parse(_read(path))
    except ModelFormatError as error:
        raise ModelFormatError(f"{os.fspath(path)}: {error}") from None


def parse(data: bytes) -> tuple[WaveNetSpec, dict[str, np.ndarray]]:
    """`load` of a file's bytes."""
    spec = _parse_spec(_parse_header(data))
    try:
        entries = dict(safetensors.deserialize(data))
    except (safetensors.SafetensorError, ValueError) as error:
        raise ModelFormatError(f"not a valid safetensors file: {_clip(error)}") from None
    return spec, check_weights(spec, {name: _array(name, e) for name, e in entries.items()})


def check_weights(spec: WaveNetSpec, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights in `spec.tensors()` order, C-contiguous, or ModelFormatError."""
    expected = spec.tensors()
    for name in weights:
        if name not in expected:
            raise ModelFormatError(f"unexpected tensor {_clip(name)}: the spec has none")
    checked = {}
    for name, shape in expected.items():
        if name not in weights:
            raise ModelFormatError(f"tensor {name!r} of shape {shape} is missing")
        array = np.asarray(weights[name])
        if array.dtype != np.float32:
            raise ModelFormatError(f"tensor {name!r} must be float32, not {array.dtype}")
        if array.shape != shape:
            raise ModelFormatError(f"tensor {name!r} must have shape {shape}, not {array.shape}")
        if not np.isfinite(array).all():
            raise ModelFormatError(f"tensor {name!r} must be finite, but holds NaN or infinity")
        checked[name] = np.ascontiguousarray(array)
    return checked


def _read(path: str | os.PathLike) -> bytes:
    limit = 8 + MAX_HEADER_BYTES + MAX_WEIGHT_BYTES
    with Path(path).open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelFormatError("not a regular file")
        head = file.read(8)
        if len(head) == 8 and int.from_bytes(head, "little") > MAX_HEADER_BYTES:
            raise ModelFormatError("not a model file: it does not begin with a safetensors header")
        if status.st_size > limit:
            raise ModelFormatError(f"the file is larger than {limit} bytes")
        return head + file.read(status.st_size)


def _parse_header(data: bytes) -> dict:
    """The fastwavenet entry of the safetensors header, as a dict of version 1."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(MAX_HEADER_BYTES, len(data) - 8):
        raise ModelFormatError(
            f"not a model file, or a truncated one: {len(data)} bytes without a whole header"
        )
    header = _json(data[8 : 8 + size], "header")
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get(METADATA_KEY), str):
        raise ModelFormatError(
            f"the metadata has no {METADATA_KEY!r} entry: not a fastwavenet model"
        )
    return _json(metadata[METADATA_KEY], f"{METADATA_KEY!r} metadata")


def _json(text: str | bytes, what: str) -> dict:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelFormatError(f"the {what} is not valid JSON") from None
    if not isinstance(value, dict):
        raise ModelFormatError(f"the {what} must be a JSON object, not {type(value).__name__}")
    return value


def _parse_spec(header: dict) -> WaveNetSpec:
    version = header.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ModelFormatError(f"version must be a whole number from 1, not {_clip(version)}")
    if version > VERSION:
        raise ModelFormatError(
            f"the file has format version {_clip(version)}; "
            f"this fastwavenet reads up to {VERSION}: upgrade it"
        )
    try:
        return WaveNetSpec.from_dict(header.get("spec"))
    except ValueError as error:
        raise ModelFormatError(str(error)) from None


def _array(name: str, entry: dict) -> np.ndarray:
    if entry["dtype"] != "F32":
        raise ModelFormatError(f"tensor {_clip(name)} must be F32, not {_clip(entry['dtype'])}")
    shape, array = entry["shape"], np.frombuffer(entry["data"], dtype="<f4")
    if len(shape) > MAX_RANK or array.size != math.prod(shape) or array.size == 0:
        raise ModelFormatError(f"tensor {_clip(name)} cannot have shape {_clip(shape)}")
    array.flags.writeable = False
    return array.reshape(shape)


def _clip(value: object) -> str:
    """At most 80 characters of a foreign file's text, on one line."""
    text = str(value)[:80]
    return text if text.isprintable() else ascii(text)
