"""The results of a run: the machine that they belong to, and their file."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path

from .._version import __version__
from ..atomic import read_regular, replace_atomically
from ..instruction_sets import available_isas
from ..processor import cpu_name
from ..shown import shown

FORMAT = {"made_by": "fastwavenet bench", "format": 3}
EXPECTED = "expected a file of `fastwavenet bench -o`"


def machine() -> dict:
    """The machine of the figures: cpu, isas, and versions of all libraries that take part."""
    versions = {"fastwavenet": __version__, "Python": platform.python_version()}
    for library in ("torch", "numpy", "onnxruntime", "openvino"):
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[library] = "missing"
    return {"cpu": cpu_name(), "isas": available_isas(), "versions": versions}


def machine_line(results: dict) -> str:
    of = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in of["versions"].items())
    return f"{of['cpu']}, one core, {'/'.join(of['isas'])}; {versions}"


def save(path: str | os.PathLike[str], results: dict) -> None:
    """results: machine, seconds_per_cell, cells, and rows for each key of table.TABLES."""
    replace_atomically(path, (json.dumps(FORMAT | results, indent=1) + "\n").encode())


def load(path: str | os.PathLike[str]) -> dict:
    """Raises ValueError if the file is not one of `save`, OSError if it cannot be read."""
    data = read_regular(path)
    try:
        results = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError(f"{shown(Path(path))}: not JSON: {EXPECTED}") from None
    found = {key: results.get(key) for key in FORMAT} if isinstance(results, dict) else None
    if found != FORMAT:
        raise ValueError(f"{shown(Path(path))}: {EXPECTED}, found {shown(found)}")
    return results
