"""The results of a run: the machine and the settings that they belong to, and their file.

A file is rewritten after each cell, and a run that was cut off goes on from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from .. import _engine
from .._version import __version__
from ..atomic import is_special_file, read_regular, replace_atomically
from ..instruction_sets import available_isas
from ..processor import cpu_name
from ..shown import shown

FORMAT = {"made_by": "fastwavenet bench", "format": 3}
EXPECTED = "expected a file of `fastwavenet bench -o`"


SUITES = ("instruction_sets", "cores", "latency", "mu_law")  # keys of rows, besides `cells`


def machine() -> dict:
    """The machine of the figures: cpu, isas, versions of all libraries that take part, and a digest
    of the engine, whose version alone does not change with each build."""
    versions = {"fastwavenet": __version__, "Python": platform.python_version()}
    for library in ("torch", "numpy", "onnxruntime", "openvino"):
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[library] = "missing"
    build = hashlib.sha256(Path(_engine.__file__).read_bytes()).hexdigest()[:16]
    return {"cpu": cpu_name(), "isas": available_isas(), "versions": versions, "engine": build}


def core_of(results: dict) -> str:
    """The beginning of a machine's line, equal for all runs whose figures replace one another."""
    return f"{results['machine']['cpu']}, one core"


def machine_line(results: dict) -> str:
    of = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in of["versions"].items())
    return f"{core_of(results)}, {'/'.join(of['isas'])}; {versions}"


def begun(suite: str, plan: Mapping[str, Sequence[int]], seconds: float) -> dict:
    """Results without any figures.

    machine; settings; cells, those of `generation.cells` with rows; refused: the reasons of what
    was measured and has no figures; and later rows for each key of SUITES, which is empty if the
    suite does not include it.
    """
    settings = {"suite": suite, "plan": dict(plan), "seconds_per_cell": seconds}
    unwanted: dict[str, list] = {key: [] for key in SUITES if suite not in ("all", suite_of(key))}
    new = {"machine": machine(), "settings": settings, "cells": [], "refused": []}
    return new | unwanted


def suite_of(key: str) -> str:
    return key.replace("_", "-")


def missing_cells(results: dict) -> dict[str, list[int]]:
    """Network -> numbers of voices that were not measured, or refused."""
    found = {(cell["network"], cell["batch"]) for cell in results["cells"]}
    settings = results["settings"]
    plan = settings["plan"] if settings["suite"] in ("all", "generation") else {}
    missing = {
        name: [b for b in batches if (name, b) not in found] for name, batches in plan.items()
    }
    return {name: batches for name, batches in missing.items() if batches}


def unfinished(results: dict) -> str:
    """The parts of a run that have no figures, in words; none for a whole run.

    Files of before runs could be continued have no settings, and are whole.
    """
    if "settings" not in results:
        return ""
    cells = [
        f"{name} with {', '.join(map(str, batches))}"
        for name, batches in missing_cells(results).items()
    ]
    suites = [suite_of(key) for key in SUITES if key not in results]
    return "; ".join([*cells, *suites])


def save(path: str | os.PathLike[str], results: dict) -> None:
    """results: as `begun` says."""
    replace_atomically(path, (json.dumps(FORMAT | results, indent=1) + "\n").encode())


def check_new(path: Path) -> None:
    """Raises ValueError if the file holds an unfinished run, which a new one would replace."""
    if is_special_file(path) or not path.exists():
        return
    try:
        missing = unfinished(load(path))
    except ValueError:
        return
    if missing:
        raise ValueError(
            f"{shown(path)} holds an unfinished run, without {missing}: --resume goes on with it; "
            f"remove it or choose another -o to begin anew"
        )


def resumed(path: Path, new: dict) -> dict:
    """The results in a file, to go on with, or `new` ones if there is no file yet.

    Raises ValueError if the file is of another machine, other versions or settings; as `load`.
    """
    if not path.exists():
        return new
    found = load(path)
    for part in ("machine", "settings"):
        was, expected = found.get(part) or {}, json.loads(json.dumps(new[part]))
        other = next((key for key in expected if was.get(key) != expected[key]), None)
        if other is not None:
            raise ValueError(
                f"{shown(path)}: expected results with the {other} {shown(expected[other])}, found "
                f"{shown(was.get(other))}: resume with the command, the machine and the versions "
                f"that it was begun with, or choose another -o"
            )
    return found | {"refused": []}


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
