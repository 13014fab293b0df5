"""Models as the command line names them: a model file, or the run folder that holds one."""

from __future__ import annotations

from pathlib import Path

from ..model import Model, load
from ..shown import shown
from ..types import AskedPrecision

BEST, LATEST = "model.safetensors", "latest.safetensors"  # of a run folder


def model_file(path: Path, name: str = BEST) -> Path:
    """A path itself, or of a run folder the file of that name.

    Raises FileNotFoundError for a folder without it.
    """
    if not path.is_dir():
        return path
    if not (path / name).is_file():
        raise FileNotFoundError(
            f"{shown(path)}: expected a run folder of `fastwavenet train`, with {name}, "
            f"or a model file"
        )
    return path / name


def load_model(path: Path, precision: AskedPrecision = "auto") -> Model:
    """`load` of a model file or a run folder's best model."""
    return load(model_file(path), precision)
