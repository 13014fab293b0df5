"""import_checkpoint: another project's network as a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..model import Model
from ..modelfile import ModelFormatError, named_after
from ..shown import shown
from ..spec import WaveNetSpec
from .hyperparameters import Hyperparameters
from .projects import PROJECTS, Project
from .reading import Checkpoint, configs_beside, read_checkpoint, read_config

AUTO = "auto"
NONE: Mapping[str, Any] = MappingProxyType({})
FORMATS = (AUTO, *(project.NAME for project in PROJECTS))


def import_checkpoint(
    path: str | os.PathLike[str],
    format: str = AUTO,
    config: str | os.PathLike[str] | None = None,
    **values: Any,
) -> Model:
    """A network of another WaveNet project as a model, in float32.

    path: its file, a folder that holds one, or the prefix of a TensorFlow checkpoint.  Nothing in
    it is executed.
    format: the project, "auto" for the one whose names the tensors have, or its name, see
    docs/importing.md
    config: its hyperparameter file; None: the one of the project's usual name beside the file
    values: hyperparameters that neither holds, by the project's own names

    Codec, start and recommended sampling are the project's; `Model` does everything else with
    them.  Raises ModelFormatError naming the file and the expected and found for anything that is
    not a network of a known project, ValueError for a hyperparameter that is missing or contradicts
    the tensors, OSError if a file cannot be read.
    """
    found = imported(Path(path), format, None if config is None else Path(config), values)
    return Model(found.spec, found.weights)


class Imported(NamedTuple):
    """A network of ours, the project that it is from, and the file that held it."""

    spec: WaveNetSpec
    weights: dict[str, np.ndarray]
    project: str
    file: Path


def imported(
    path: Path, format: str = AUTO, config: Path | None = None, values: Mapping[str, Any] = NONE
) -> Imported:
    """`import_checkpoint` before the weights are packed for the engine."""
    if format not in FORMATS:
        raise ValueError(f"format must be {' or '.join(FORMATS)}, not {shown(format)}")
    configs = {name for project in PROJECTS for name in project.CONFIG}
    checkpoint = read_checkpoint(path, configs)
    with named_after(checkpoint.path):
        project = _project(checkpoint, format)
        hyperparameters = _hyperparameters(checkpoint, project, config, values)
        spec, weights = project.convert(checkpoint.tensors, hyperparameters)
        return Imported(spec, weights, project.NAME, checkpoint.path)


def _project(checkpoint: Checkpoint, format: str) -> Project:
    """The project of a name, or the one whose names the tensors have.  Raises ModelFormatError."""
    named = [project for project in PROJECTS if format in (AUTO, project.NAME)]
    for project in named:
        if project.matches(checkpoint.tensors):
            return project
    if "head.output.weight" in checkpoint.tensors:
        raise ModelFormatError("a model file of fastwavenet already: use it as it is")
    known = " or ".join(project.NAME for project in named)
    names = ", ".join(shown(name) for name in sorted(checkpoint.tensors)[:3]) or "none"
    raise ModelFormatError(f"expected tensors of {known}, found {names}")


def _hyperparameters(
    checkpoint: Checkpoint, project: Project, config: Path | None, values: Mapping[str, Any]
) -> Hyperparameters:
    """A config that is named stands in the place of the first usual one beside the file."""
    held, source = checkpoint.values, checkpoint.path
    named = project.CONFIG[:1] if config is not None else ()
    usual = [name for name in project.CONFIG if name not in named]
    configs = configs_beside(checkpoint.path, usual)
    for each in configs if config is None else [config, *configs]:
        held = held | read_config(each)
        source = each if source == checkpoint.path else source
    return Hyperparameters(project.NAME, held, shown(source), values, project.HYPERPARAMETERS)
