"""Networks of ours in the files of another project."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

from ..atomic import check_target, replace_atomically
from ..checks import supported
from ..shown import shown
from ..spec import WaveNetSpec
from . import wavenet_coding

PROJECTS = (wavenet_coding.NAME,)
CONFIG, TENSORS = "config.json", "model.safetensors"
METADATA = {"format": "pt"}  # as the project's own files have it


def give_back(
    project: str, spec: WaveNetSpec, weights: Mapping[str, np.ndarray], folder: Path
) -> list[Path]:
    """Writes a network as a project's files into a folder, which is made; returns the files.

    Raises ValueError for another project, or naming what the project's networks cannot have;
    OSError if a file cannot be written.
    """
    supported("project", project, PROJECTS)
    tensors, config = wavenet_coding.given_back(spec, weights)
    data = {
        folder / TENSORS: safetensors.numpy.save(tensors, metadata=METADATA),
        folder / CONFIG: json.dumps(config, indent=2).encode() + b"\n",
    }
    check_folder(folder)
    folder.mkdir(exist_ok=True)
    for path, content in data.items():
        replace_atomically(path, content)
    return [*data]


def check_folder(folder: Path) -> None:
    """Raises OSError unless the folder can be made, or can take the files."""
    if folder.is_dir():
        for name in (TENSORS, CONFIG):
            check_target(folder / name)
    elif folder.exists():
        raise NotADirectoryError(f"{shown(folder)} is a file, expected the name of a folder")
    else:
        check_target(folder)
