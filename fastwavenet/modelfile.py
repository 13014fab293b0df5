"""One .safetensors file <-> spec, weights and precision cost.  Everything in it is checked here.

The file holds float32 tensors named by `WaveNetSpec.tensors()` and one metadata entry,
"fastwavenet": JSON {"version": 3, "spec": {...}, "precision_cost": {...}} (docs/model-file.md).  It
is data only: nothing in it names a path, a class or code.  The whole file is read into memory
before it is parsed, so that it cannot change between check and use.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import stat
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeGuard

import numpy as np
import safetensors.numpy

from .atomic import replace_atomically, without_waiting
from .bundled_voices import check_not_bundled, model_path
from .ends import Sampling
from .older_specs import upgraded_spec
from .shown import shown
from .spec import MAX_WEIGHT_BYTES, PRECISIONS, WaveNetSpec

VERSION = 3
MAX_HEADER_BYTES = 2**20
METADATA_KEY = "fastwavenet"
CHECKPOINT_KEY = "fastwavenet.training"  # of a run's checkpoint, which is no model


class ModelFormatError(ValueError):
    """A file or a set of weights is not a fastwavenet model: the expected and the found."""


class Contents(NamedTuple):
    """The contents of a model file.

    weights         name -> read-only float32 array, as in `spec.tensors()`
    precision_cost  precision -> nats per sample above float32, as far as recorded
    """

    spec: WaveNetSpec
    weights: dict[str, np.ndarray]
    precision_cost: dict[str, float]


def save(
    path: str | os.PathLike[str], spec: WaveNetSpec, weights: Mapping[str, np.ndarray]
) -> None:
    """Writes a model file, without a precision cost.  It replaces an existing file atomically.

    weights: name -> float32 array for exactly the names and shapes of `spec.tensors()`.
    Raises ModelFormatError if they differ, OSError if the file cannot be written.
    """
    replace_atomically(path, as_bytes(spec, weights))


def as_bytes(spec: WaveNetSpec, weights: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a model file.  Raises ModelFormatError if `spec` and `weights` differ."""
    checked = check_weights(spec, weights)
    about = json.dumps({"version": VERSION, "spec": spec.to_dict()})
    return safetensors.numpy.save(checked, metadata={METADATA_KEY: about})


def load(path: str | os.PathLike[str]) -> Contents:
    """Reads a model file, which is given by its path or a voice's name.

    Raises ModelFormatError, which names the file, the expected and the found, for anything that is
    not a model, and OSError if the file cannot be read.
    """
    path = model_path(path)
    with named_after(path):
        return parse(read(path))


@contextlib.contextmanager
def named_after(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within it, a ModelFormatError begins with the file's name."""
    try:
        yield
    except ModelFormatError as error:
        raise ModelFormatError(f"{shown(Path(path))}: {error}") from None


def read(path: str | os.PathLike[str]) -> bytes:
    """A file's bytes for `parse`; raises ModelFormatError if there are too many, OSError."""
    limit = 8 + MAX_HEADER_BYTES + MAX_WEIGHT_BYTES
    with open(path, "rb", opener=without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelFormatError("not a model file: it is a pipe or a device")
        head = file.read(8)
        if len(head) == 8 and int.from_bytes(head, "little") > MAX_HEADER_BYTES:
            raise ModelFormatError("not a model file: it does not begin with a safetensors header")
        if status.st_size > limit:
            raise ModelFormatError(f"the file is larger than {limit} bytes")
        file.seek(0)
        return file.read(status.st_size)


def parse(data: bytes) -> Contents:
    """`load` of a file's bytes, of which the weights are views."""
    header = _parse_header(data)
    about = _parse_about(header)
    spec, cost = _parse_spec(about), _parse_precision_cost(about)
    arrays = _parse_tensors(spec, header, memoryview(data)[_header_end(data) :])
    return Contents(spec, check_weights(spec, arrays), cost)


def record_precision_cost(path: str | os.PathLike[str], cost: Mapping[str, float]) -> None:
    """Writes the cost of a model's precisions into its file, in the place of an earlier one.

    cost: precision -> nats per sample above float32, as from `measure_precision`.  The network
    stays the same; the file is replaced whole or not at all, by one of the newest version.
    Raises ModelFormatError if it is no model or `cost` is not of that form, OSError, of which
    PermissionError for a file that ships with the package.
    """
    path = _to_be_changed(path)
    with named_after(path):
        data = read(path)
        parse(data)
        changed = with_precision_cost(data, cost)
    replace_atomically(path, changed)


def with_precision_cost(data: bytes, cost: Mapping[str, float]) -> bytes:
    """`record_precision_cost` of a file's bytes, which `parse` has accepted."""
    return _rewritten(data, _parse_spec(_parse_about(_parse_header(data))), cost, "precision cost")


def record_sampling(path: str | os.PathLike[str], sampling: Sampling) -> None:
    """Writes how codes are drawn into a model's file, in the place of what it held.

    sampling: as from `tune`; the default of `generate` and `vocode` from then on.  The tensors stay
    the same; the file is replaced whole or not at all, by one of the newest version.
    Raises ModelFormatError if it is no model, ValueError for a sampling that does not suit its
    sizes, TypeError for another type, OSError, of which PermissionError for a file that ships with
    the package.
    """
    if not isinstance(sampling, Sampling):
        raise TypeError(f"sampling must be a Sampling, not {type(sampling).__name__}")
    path = _to_be_changed(path)
    with named_after(path):
        data = read(path)
        parse(data)
        changed = with_sampling(data, sampling)
    replace_atomically(path, changed)


def replace_weights(path: str | os.PathLike[str], weights: Mapping[str, np.ndarray]) -> None:
    """Writes other weights of the same network into its file, without the costs of the former.

    Raises ModelFormatError if it is no model or the weights do not fit, OSError, of which
    PermissionError for a file that ships with the package.
    """
    path = _to_be_changed(path)
    save(path, load(path).spec, weights)


def _to_be_changed(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The path of the model, if it may be changed; raises PermissionError otherwise."""
    found = model_path(path)
    check_not_bundled(found, "change a copy, as `fastwavenet export` makes it")
    return found


def with_sampling(data: bytes, sampling: Sampling) -> bytes:
    """`record_sampling` of a file's bytes, which `parse` has accepted."""
    about = _parse_about(_parse_header(data))
    spec = dataclasses.replace(_parse_spec(about), sampling=sampling)
    return _rewritten(data, spec, _parse_precision_cost(about), "sampling")


def _rewritten(data: bytes, spec: WaveNetSpec, cost: Mapping[str, float], added: str) -> bytes:
    """A file's bytes with another entry of ours in the header, of the newest version.

    added: its new part, for the message.
    """
    header = _parse_header(data)
    about = _parse_about(header)
    checked = check_precision_cost(cost)
    about |= {"version": VERSION, "spec": spec.to_dict(), "precision_cost": checked}
    about.pop("loss", None)  # the name that version 2 gave it
    header["__metadata__"][METADATA_KEY] = json.dumps(about)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors stay aligned
    if len(text) > MAX_HEADER_BYTES:
        raise ModelFormatError(
            f"with the {added}, the header is longer than {MAX_HEADER_BYTES} bytes"
        )
    return len(text).to_bytes(8, "little") + text + data[_header_end(data) :]


def check_weights(spec: WaveNetSpec, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights in `spec.tensors()` order, C-contiguous, or ModelFormatError."""
    expected, checked = spec.tensors(), {}
    _check_names(weights, expected)
    for name, shape in expected.items():
        array = np.asarray(weights[name])
        if array.dtype != np.float32:
            raise ModelFormatError(f"tensor {name!r} must be float32, not {array.dtype}")
        if array.shape != shape:
            raise ModelFormatError(f"tensor {name!r} must have shape {shape}, not {array.shape}")
        if not (math.isfinite(array.min()) and math.isfinite(array.max())):  # NaN is both
            raise ModelFormatError(f"tensor {name!r} must be finite, but holds NaN or infinity")
        checked[name] = np.require(array, None, ("C", "A"))
    return checked


def _check_names(names: Collection[str], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Before anything is done for a tensor: a header has room for 14,000 of them."""
    for name in names:
        if name not in expected:
            raise ModelFormatError(f"unexpected tensor {shown(name)}: the spec has none")
    for name, shape in expected.items():
        if name not in names:
            raise ModelFormatError(f"tensor {name!r} of shape {shape} is missing")


def check_precision_cost(cost: object) -> dict[str, float]:
    """Costs by name in the order of PRECISIONS, or ModelFormatError."""
    if not isinstance(cost, Mapping):
        found = type(cost).__name__
        raise ModelFormatError(f"precision_cost must map precisions to numbers, not {found}")
    expected = [name for name in PRECISIONS if name != "float32"]  # the others cost more than it
    for name, nats in cost.items():
        if name not in expected:
            raise ModelFormatError(
                f"precision_cost of {shown(name)}: expected {' or '.join(expected)}"
            )
        number = isinstance(nats, (int, float)) and not isinstance(nats, bool)
        if not number or not abs(nats) <= sys.float_info.max:  # NaN fails the comparison
            raise ModelFormatError(
                f"precision_cost of {name} must be a finite number, not {shown(nats)}"
            )
    return {name: float(cost[name]) for name in expected if name in cost}


def _parse_header(data: bytes) -> dict:
    """The safetensors header."""
    if len(data) < 8 or _header_end(data) > min(8 + MAX_HEADER_BYTES, len(data)):
        raise ModelFormatError(
            f"not a model file, or a truncated one: {len(data)} bytes without a whole header"
        )
    return _json(data[8 : _header_end(data)], "header")


def _header_end(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


def _parse_about(header: dict) -> dict:
    """Our entry in the header, of a supported version."""
    metadata = header.get("__metadata__")
    if isinstance(metadata, dict) and CHECKPOINT_KEY in metadata:
        raise ModelFormatError(
            "a checkpoint of a training run, expected a model file: take model.safetensors, "
            "which lies beside it"
        )
    if not isinstance(metadata, dict) or METADATA_KEY not in metadata:
        raise ModelFormatError(
            f"the metadata has no {METADATA_KEY!r} entry: not a fastwavenet model"
        )
    if not all(isinstance(text, str) for text in metadata.values()):
        raise ModelFormatError("not a valid safetensors file: its metadata must be strings")
    about = _json(metadata[METADATA_KEY], f"{METADATA_KEY!r} metadata")
    version = about.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ModelFormatError(f"version must be a whole number from 1, not {shown(version)}")
    if version > VERSION:
        raise ModelFormatError(
            f"the file has format version {shown(version)}; "
            f"this fastwavenet reads up to {VERSION}: upgrade it"
        )
    return about


def _json(text: str | bytes, what: str) -> dict:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelFormatError(f"the {what} is not valid JSON") from None
    if not isinstance(value, dict):
        raise ModelFormatError(f"the {what} must be a JSON object, not {type(value).__name__}")
    return value


def _parse_spec(about: dict) -> WaveNetSpec:
    fields = about.get("spec")
    try:
        return WaveNetSpec.from_dict(upgraded_spec(fields) if about["version"] < 3 else fields)
    except ValueError as error:
        raise ModelFormatError(str(error)) from None


def _parse_precision_cost(about: dict) -> dict[str, float]:
    """Version 2 named it "loss"; version 1 had none, and its readers pass over that name."""
    if about["version"] == 1:
        return {}
    name = "loss" if about["version"] == 2 else "precision_cost"
    return check_precision_cost(about.get(name, {}))


def _parse_tensors(spec: WaveNetSpec, header: dict, tensors: memoryview) -> dict[str, np.ndarray]:
    """Read-only views of the tensors' bytes, after all names, dtypes, shapes and places."""
    expected = spec.tensors()
    _check_names({name: None for name in header if name != "__metadata__"}, expected)
    places = {name: _place(name, header[name], shape) for name, shape in expected.items()}
    at = 0
    for begin, end in sorted(places.values()):
        if begin != at:
            raise ModelFormatError(
                f"not a valid safetensors file: a tensor begins at byte {shown(begin)}, not at {at}"
            )
        at = end
    if at != len(tensors):
        raise ModelFormatError(
            f"not a valid safetensors file: {at} bytes of tensors expected, {len(tensors)} found"
        )
    numbers = np.require(np.frombuffer(tensors, "<f4"), requirements="A")  # a copy if unaligned
    numbers.flags.writeable = False
    return {
        name: numbers[begin // 4 : end // 4].reshape(expected[name])
        for name, (begin, end) in places.items()
    }


def _place(name: str, entry: object, shape: tuple[int, ...]) -> tuple[int, int]:
    """Begin and end of a tensor that is of this shape in float32."""
    fields = entry if isinstance(entry, dict) else {}
    dtype, sides, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if dtype != "F32":
        raise ModelFormatError(f"tensor {name!r} must be F32, not {shown(dtype)}")
    if not _integers(sides) or sides != list(shape):
        found = tuple(sides) if isinstance(sides, list) else sides
        raise ModelFormatError(f"tensor {name!r} must have shape {shape}, not {shown(found)}")
    size = 4 * math.prod(shape)
    if not _integers(offsets) or len(offsets) != 2 or offsets[1] - offsets[0] != size:
        raise ModelFormatError(f"tensor {name!r} must take {size} bytes, not {shown(offsets)}")
    return offsets[0], offsets[1]


def _integers(numbers: object) -> TypeGuard[list[int]]:
    """Whether they are a list of whole numbers; True is none."""
    return isinstance(numbers, list) and all(type(number) is int for number in numbers)
