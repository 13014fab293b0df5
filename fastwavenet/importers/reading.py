"""Foreign files by their content: arrays by name and plain values, nothing of a project.

A container is recognised by its first bytes.  A reader of one takes the path and returns tensors
and values; it executes nothing that the file holds.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
from safetensors.numpy import load as tensors_of

from .. import modelfile
from ..atomic import read_regular, without_waiting
from ..frame_files import opened_frames
from ..modelfile import ModelFormatError
from ..shown import shown
from .hdf5_file import SIGNATURE, Hdf5Error, read_hdf5
from .pickle_reader import TorchFileError
from .tensorflow_bundle import index_of, latest_in, looks_like_index, read_bundle
from .torch_contents import read_torch
from .torch_file import looks_like_torch

MAX_CONFIG_BYTES = 2**22
MAX_HEADER_BYTES = 100_000_000  # of any safetensors file, by its format
FIRST_BYTES = 512  # by which a container is recognised


class Contents(NamedTuple):
    """The contents of one file.

    tensors  name -> array of any floating-point dtype, by the names that the file gives them
    values   name -> number, string, list or dict that stands beside them; {} in most containers
    """

    tensors: dict[str, np.ndarray]
    values: dict[str, object]


class Checkpoint(NamedTuple):
    """A network as it was found: the contents of its file, and the file."""

    path: Path
    tensors: dict[str, np.ndarray]
    values: dict[str, object]


def looks_like_safetensors(first: bytes) -> bool:
    """Whether a file begins with the length of a JSON header and the header's brace."""
    return first[8:9] == b"{" and int.from_bytes(first[:8], "little") <= MAX_HEADER_BYTES


def read_safetensors(path: Path) -> Contents:
    """The tensors of a .safetensors file; its metadata is left."""
    data = modelfile.read(path)
    try:
        return Contents(tensors_of(data), {})
    except (safetensors.SafetensorError, KeyError) as error:
        raise ModelFormatError(f"not a valid safetensors file: {error}") from None


def read_torch_contents(path: Path) -> Contents:
    """The network in a file of torch.save, in which nothing runs."""
    with _refused_as_model():
        return Contents(*read_torch(path))


def read_tensorflow(path: Path) -> Contents:
    """The tensors of a checkpoint of TensorFlow, by its index."""
    return Contents(read_bundle(path), {})


@contextlib.contextmanager
def _refused_as_model() -> Iterator[None]:
    """The errors of the reader of torch files as those of all readers."""
    try:
        yield
    except TorchFileError as error:
        raise ModelFormatError(str(error)) from None


class Container(NamedTuple):
    """A kind of file: its name in messages, a test of its first bytes, and its reader."""

    name: str
    recognises: Callable[[bytes], bool]
    read: Callable[[Path], Contents]


CONTAINERS = (
    Container("safetensors", looks_like_safetensors, read_safetensors),
    Container("a file of torch.save", looks_like_torch, read_torch_contents),
    Container("the index of a TensorFlow checkpoint", looks_like_index, read_tensorflow),
)


def read_checkpoint(path: Path, configs: Collection[str]) -> Checkpoint:
    """The network in a file, or in the only file of a folder that may hold one.

    A checkpoint of TensorFlow may be named by its prefix, and the last one by its folder.
    configs: names of hyperparameter files, which hold no network.
    Raises ModelFormatError naming the file for one of an unknown kind, or a folder with none or
    several; OSError.
    """
    file = latest_in(path) or _only_file(path, configs) if path.is_dir() else index_of(path)
    with modelfile.named_after(file):
        container = _container(file)
        if container is None:
            known = " or ".join(each.name for each in CONTAINERS)
            raise ModelFormatError(f"not a file of a known kind, expected {known}")
        contents = container.read(file)
        return Checkpoint(file, _floating(contents.tensors), contents.values)


def read_config(path: Path) -> dict[str, object]:
    """The values of a hyperparameter file, by its content.

    A JSON object and those of the objects in it; settings in a file of torch.save; the arrays of
    an HDF5 file.  Raises ModelFormatError naming the file, OSError.
    """
    with modelfile.named_after(path):
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ModelFormatError(f"a config is larger than {MAX_CONFIG_BYTES} bytes")
        first = _first_bytes(path)
        if looks_like_torch(first):
            return read_torch_contents(path).values
        if first.startswith(SIGNATURE):
            return {**_hdf5(path)}
        try:
            values = json.loads(read_regular(path))
        except (ValueError, RecursionError):
            raise ModelFormatError("not a config: expected a JSON object") from None
        if not isinstance(values, dict):
            found = type(values).__name__
            raise ModelFormatError(f"a config must be a JSON object, not {found}")
        sections = [section for section in values.values() if isinstance(section, dict)]
        return {name: each for section in sections for name, each in section.items()} | values


def read_statistics(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an HDF5 file, or `mean` and `scale`, the rows of a .npy file (2, channels).

    Raises ModelFormatError naming the file, OSError.
    """
    if _first_bytes(path).startswith(SIGNATURE):
        with modelfile.named_after(path):
            return _hdf5(path)
    try:
        with opened_frames(path) as file:
            rows = file.read().astype(np.float64)
    except ValueError as error:
        raise ModelFormatError(f"{error}; statistics are an .h5 or a .npy file") from None
    if len(rows) != 2:
        raise ModelFormatError(f"{shown(path)}: expected rows of mean and scale, not {rows.shape}")
    return {"mean": rows[0], "scale": rows[1]}


def _hdf5(path: Path) -> dict[str, np.ndarray]:
    try:
        return read_hdf5(path)
    except Hdf5Error as error:
        raise ModelFormatError(str(error)) from None


def configs_beside(file: Path, names: Collection[str]) -> list[Path]:
    """The files of these names in the folder of a file."""
    return [file.parent / name for name in names if (file.parent / name).is_file()]


def _only_file(folder: Path, configs: Collection[str]) -> Path:
    found = [
        entry
        for entry in sorted(folder.iterdir())
        if entry.is_file() and entry.name not in configs and _container(entry) is not None
    ]
    if len(found) != 1:
        known = " or ".join(each.name for each in CONTAINERS)
        names = ", ".join(shown(entry.name) for entry in found[:5]) or "none"
        raise ModelFormatError(
            f"{shown(folder)}: expected one file with a network ({known}), found {names}: name "
            f"the file"
        )
    return found[0]


def _container(path: Path) -> Container | None:
    """The kind of a file by its first bytes."""
    first = _first_bytes(path)
    return next((each for each in CONTAINERS if each.recognises(first)), None)


def _first_bytes(path: Path) -> bytes:
    with open(path, "rb", opener=without_waiting) as file:
        return os.read(file.fileno(), FIRST_BYTES)


def _floating(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of floating-point numbers; counters of steps and of batches are none."""
    return {name: array for name, array in tensors.items() if array.dtype.kind == "f"}
