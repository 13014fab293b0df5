"""Models as the command line names them: a model file, a run folder that holds one, or a voice."""

from __future__ import annotations

from pathlib import Path

from ..bundled_voices import model_path
from ..model import Model, load
from ..shown import shown
from ..types import AskedPrecision

MODEL = "model file, run folder (its best model), or name of a voice, as in `fastwavenet voices`"
BEST, LATEST = "model.safetensors", "latest.safetensors"  # of a run folder


def model_file(path: Path, name: str = BEST) -> Path:
    """A path itself, of a run folder the file of that name, or the model file of a voice.

    Raises FileNotFoundError for a folder without it, and for an unknown name.
    """
    path = Path(model_path(path))
    if not path.is_dir():
        return path
    if not (path / name).is_file():
        raise FileNotFoundError(
            f"{shown(path)}: expected a run folder of `fastwavenet train`, with {name}, "
            f"or a model file"
        )
    return path / name


def load_model(path: Path, precision: AskedPrecision = "auto") -> Model:
    """`load` of a model file, a run folder's best model or a voice."""
    return load(model_file(path), precision)
