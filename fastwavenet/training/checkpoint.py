"""checkpoint.safetensors: the whole state of a run, from which it resumes exactly.

It is checked like a model file, holds data only, has a checksum over all of it (seal.py), and is
the single source of a run: the other files of its folder are made from it.  Tensors, float32, with
the shapes of `spec.tensors()`:

    model.*                 the latest weights
    average.*               their exponential moving average, of which the model files are made
    optimizer.exp_avg.*     momenta of Muon, and AdamW's first moments; its step count is the run's
    optimizer.exp_avg_sq.*  AdamW's second moments; 0 where Muon is used
    best.*                  the average with the lowest validation loss, after the first report

Everything else is JSON in the metadata entry "fastwavenet.training".
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import safetensors

from ..atomic import replace_atomically
from ..modelfile import ModelFormatError, check_weights
from ..shown import shown
from ..spec import WaveNetSpec
from .computer import Computer
from .conditioning import wrong_losses
from .seal import check_seal, sealed
from .settings import Budget, Recordings, Settings
from .table import all_fields

VERSION, OLDER = 4, (1, 2, 3)
METADATA_KEY = "fastwavenet.training"
LATEST, AVERAGE, BEST = "model", "average", "best"
MOMENTS = ("optimizer.exp_avg", "optimizer.exp_avg_sq")
RECORD = ("step", "seconds", "train_loss", "validation_loss", "learning_rate")
LARGEST = 2**63  # above every number in a checkpoint
MAX_METADATA = 2**24  # characters; a report takes about 150

T = TypeVar("T")
Weights = dict[str, np.ndarray]  # the names and shapes of `WaveNetSpec.tensors()`, float32


@dataclass
class Progress:
    """The progress of a run.

    steps                 updates of the weights
    samples               predicted samples in these steps
    seconds               of training, over all processes
    loss_sum, loss_count  sum of the losses, in nats per sample, of the steps since the last report
    history               the reports: dicts with the keys of RECORD and of `wrong_losses`
    """

    steps: int = 0
    samples: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    history: list[dict] = field(default_factory=list)

    @property
    def losses(self) -> list[float]:
        """The validation losses, in nats per sample."""
        return [record["validation_loss"] for record in self.history]

    @property
    def best_loss(self) -> float:
        """The lowest validation loss, in nats per sample; infinity before the first report."""
        return min(self.losses, default=math.inf)


@dataclass
class Checkpoint:
    """The content of the file.

    corpus      `Corpus.fingerprint()` of the audio
    tensors     LATEST, AVERAGE, each of MOMENTS and, after the first report, BEST -> weights
    computer    the one that computed the last steps
    recordings  the paths of the audio and the frames; None in files of the first versions
    """

    settings: Settings
    budget: Budget
    corpus: dict
    progress: Progress
    tensors: dict[str, Weights]
    computer: Computer
    recordings: Recordings | None = None


def save(path: Path, checkpoint: Checkpoint, keep: Path | None = None) -> None:
    """Replaces a file atomically.  keep: a name for the replaced file, in the same folder.

    Raises OSError if it cannot be written, ModelFormatError if a tensor is not finite.
    """
    about = {
        "version": VERSION,
        "settings": checkpoint.settings.to_dict(),
        "budget": dataclasses.asdict(checkpoint.budget),
        "corpus": checkpoint.corpus,
        "progress": dataclasses.asdict(checkpoint.progress),
        "computer": dataclasses.asdict(checkpoint.computer),
    }
    if checkpoint.recordings is not None:
        about["recordings"] = dataclasses.asdict(checkpoint.recordings)
    tensors = {
        f"{group}.{name}": array
        for group, weights in checkpoint.tensors.items()
        for name, array in check_weights(checkpoint.settings.spec, weights).items()
    }
    text = json.dumps(about, allow_nan=False)
    replace_atomically(path, sealed(tensors, {METADATA_KEY: text}), keep)


def load(path: Path) -> Checkpoint:
    """Reads a checkpoint.

    Raises FileNotFoundError if the file is missing, ModelFormatError for a file that is no
    checkpoint, OSError if it cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{shown(path)}: no such file: expected a run folder that `train` left"
        )
    try:
        has_seal = check_seal(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            checkpoint = _parse(file.metadata() or {})
            if not has_seal:
                raise ValueError("its checksum is missing")
            checkpoint.tensors = _read_tensors(file, checkpoint)
            return checkpoint
    except (safetensors.SafetensorError, ValueError, TypeError, RecursionError) as error:
        ours = isinstance(error, ValueError)  # the others may quote unprintable text of the file
        reason = str(error) if ours else shown(str(error))
        raise ModelFormatError(f"{shown(path)}: not a whole checkpoint: {reason}") from None


def _parse(metadata: dict[str, str]) -> Checkpoint:
    """The checkpoint without its tensors."""
    text = metadata.get(METADATA_KEY, "")
    if not text or len(text) > MAX_METADATA:
        raise ValueError(f"expected at most {MAX_METADATA} characters of {METADATA_KEY!r} metadata")
    about = json.loads(text, parse_constant=_refuse_constant)
    keys = {"version", "settings", "budget", "corpus", "progress", "computer"}
    found = set(about) - {"recordings"} if isinstance(about, dict) else set()
    if isinstance(about, dict) and about.get("version") in OLDER:
        raise ValueError(
            f"version {about['version']} is of an older trainer, without which its run cannot go "
            f"on: train into another folder; model.safetensors beside it remains a model"
        )
    if found != keys or about["version"] != VERSION:
        raise ValueError(f"expected version {VERSION} with {', '.join(sorted(keys))}")
    settings = Settings.from_dict(about["settings"])
    if settings.bfloat16 is None:
        raise ValueError("bfloat16 must be True or False, not None")
    if settings.weight_decay is None:
        raise ValueError("weight_decay must be a number from 0, not None")
    return Checkpoint(
        settings=settings,
        budget=_make(Budget, "budget", about["budget"]),
        corpus=about["corpus"],
        progress=_parse_progress(about["progress"], settings.spec),
        tensors={},
        computer=_make(Computer, "computer", about["computer"]),
        recordings=_parse_recordings(about.get("recordings")),
    )


def _make(kind: type[T], name: str, fields: object) -> T:
    """A dataclass from its fields in a file.  Raises ValueError if they are not all there."""
    complete = all_fields(kind, fields)
    if complete is None:
        names = sorted(field.name for field in dataclasses.fields(kind))  # type: ignore[arg-type]
        raise ValueError(f"the {name} must have {', '.join(names)}, found {shown(fields)}")
    return kind(**complete)


def _parse_recordings(fields: object) -> Recordings | None:
    """The paths of audio and frames; None in a file of the first versions."""
    if fields is None:
        return None
    recordings = _make(Recordings, "recordings", fields)
    others = (recordings.validation, recordings.frames)
    if not isinstance(recordings.source, str) or not all(isinstance(p, str | None) for p in others):
        raise ValueError(f"the recordings must be paths, found {shown(fields)}")
    return recordings


def _parse_progress(fields: object, spec: WaveNetSpec) -> Progress:
    progress = _make(Progress, "progress", fields)
    _check_numbers(dataclasses.asdict(progress), ("steps", "samples", "loss_count"), "history")
    if not isinstance(progress.history, list):
        raise ValueError("history must be a list")
    keys = (*RECORD, *wrong_losses(spec))
    before = 0
    for record in progress.history:
        if not isinstance(record, dict) or set(record) != set(keys):
            raise ValueError(f"each report must have {', '.join(keys)}")
        _check_numbers(record, ("step",))
        if not before < record["step"] <= progress.steps:
            raise ValueError(f"a report of step {record['step']} is out of order")
        before = record["step"]
    return progress


def _check_numbers(fields: dict, whole: tuple[str, ...], *others: str) -> None:
    """Checks that all fields but `others` are numbers from 0, those in `whole` int."""
    for name, value in fields.items():
        kinds = (int,) if name in whole else (int, float)
        if name not in others and (type(value) not in kinds or not 0 <= value < LARGEST):
            kind = "whole number" if name in whole else "finite number"
            raise ValueError(f"{name} must be a {kind} from 0, not {shown(value)}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"numbers must be finite, found {name}")


def _read_tensors(file: safetensors.safe_open, checkpoint: Checkpoint) -> dict[str, Weights]:
    """All groups of tensors.  Names, dtypes and shapes are checked before any data is read."""
    spec = checkpoint.settings.spec
    groups = (LATEST, AVERAGE, *MOMENTS, *([BEST] if checkpoint.progress.history else []))
    expected = {f"{g}.{name}": shape for g in groups for name, shape in spec.tensors().items()}
    different = sorted(expected.keys() ^ set(file.keys()))
    if different:
        problem = "is missing" if different[0] in expected else "is unexpected"
        raise ValueError(f"tensor {shown(different[0])} {problem}")
    for name, shape in expected.items():
        entry = file.get_slice(name)
        found = (entry.get_dtype(), tuple(entry.get_shape()))
        if found != ("F32", shape):
            raise ValueError(
                f"tensor {name!r} must be F32 {shape}, not {found[0]} {shown(found[1])}"
            )
    return {group: _read_group(file, spec, group) for group in groups}


def _read_group(file: safetensors.safe_open, spec: WaveNetSpec, group: str) -> Weights:
    arrays = {name: file.get_tensor(f"{group}.{name}") for name in spec.tensors()}
    try:
        weights = check_weights(spec, arrays)
    except ModelFormatError as error:
        raise ValueError(f"{group}: {error}") from None
    for name, array in weights.items():
        if group == MOMENTS[1] and array.min() < 0:
            raise ValueError(f"{group}: tensor {name!r} holds a negative mean square")
    return weights
