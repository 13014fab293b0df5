"""Errors of a run: the message names the checkpoint that remains, and a remedy."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..modelfile import ModelFormatError
from ..shown import shown
from .learner import TrainingError
from .settings import Settings

if TYPE_CHECKING:
    from .loop import Run

# In a RuntimeError of PyTorch, for the CPU and for a GPU.
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")
GIB = 2**30
REMEDY = "lower --window first, then --batch, or take a smaller --preset"


@contextlib.contextmanager
def explained(run: Run) -> Iterator[None]:
    """Within it, the message of an error that ends the run has its last checkpoint and a remedy."""
    try:
        yield
    except TrainingError as error:
        raise TrainingError(_joined(error, _lower_rate(run))) from None
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise MemoryError(_memory_needed(run.learner.settings, run.kept)) from None
    except OSError as error:
        if run.kept is None or isinstance(error, BlockingIOError):
            raise
        remedy = f"the checkpoint of step {run.kept} remains, and --resume goes on from it"
        raise _with_remedy(error, remedy) from None


@contextlib.contextmanager
def written_later(run: Run, seconds: float) -> Iterator[None]:
    """Within it, a file that cannot be written is remarked, and due again in `seconds`.

    It is an error only before the first step and after the last one.  Raises TrainingError for
    weights that are not finite, which no file gets.
    """
    steps = run.learner.steps
    try:
        yield
    except ModelFormatError as error:
        raise TrainingError(
            f"training diverged at step {steps} ({error}): lower the learning rate of "
            f"{run.learner.settings.learning_rate:g}"
        ) from None
    except OSError as error:
        if run.must_write or isinstance(error, BlockingIOError):  # the folder is another run's
            raise
        run.put_off()
        run.console.remark(
            f"not all files of step {steps} are written ({_reason(error)}), which is tried again "
            f"within {seconds:.0f} s; the last checkpoint is of step {run.kept}"
        )


def step_bytes(settings: Settings) -> float:
    """About the memory of a step beyond the weights, in bytes; measured within a fifth."""
    spec, size = settings.spec, 2 if settings.bfloat16 else 4
    rows = settings.batch * (settings.window + spec.receptive_field - 1)
    targets = settings.batch * settings.window
    layer = size * (spec.residual + 4 * spec.dilation_channels)  # x, value, gate, z and d_z
    head = size * 2 * (spec.skip + spec.head) + (size + 12) * spec.levels  # the loss is in float32
    return rows * (len(spec.dilations) * layer + size * 2 * spec.skip) + targets * head


def lacking_memory(settings: Settings, free: int | None) -> str | None:
    """A line if a step takes more than the `free` bytes; None if not, or if that is not known.

    Linux grants memory that it lacks, and later ends the process without an error.
    """
    needed = step_bytes(settings)
    if free is None or needed < free:
        return None
    return (
        f"a step takes about {needed / GIB:.2g} GiB of memory, of which {free / GIB:.2g} GiB are "
        f"free: the system may end this process; {REMEDY}"
    )


def free_memory(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """The bytes that a process can get without swapping; None where Linux does not list them."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if found is None else 1024 * int(found[1])


def _lower_rate(run: Run) -> str:
    if run.kept is None:
        return ""
    remedy = f"--resume with a lower --learning-rate goes on from the checkpoint of step {run.kept}"
    if not run.progress.history:
        return remedy
    best = f"{run.kept_loss:.3f} nats per sample on held-out audio"
    return f"{remedy}; {shown(run.folder.model)} has the best weights, with {best}"


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error)
    return isinstance(error, MemoryError) or any(phrase in text for phrase in OUT_OF_MEMORY)


def _memory_needed(settings: Settings, kept: int | None) -> str:
    remedy = (
        f"a step of --batch {settings.batch} with --window {settings.window} takes about "
        f"{step_bytes(settings) / GIB:.2g} GiB beyond the weights: {REMEDY}"
    )
    if kept is None:
        return remedy
    return (
        f"{remedy}, in another run; the checkpoint of step {kept} remains, and --resume goes on "
        f"from it where there is more memory"
    )


def _joined(error: Exception, remedy: str) -> str:
    return f"{error}; {remedy}" if remedy else str(error)


def _reason(error: OSError) -> str:
    if error.filename is None:
        return str(error)
    return f"{shown(Path(os.fsdecode(error.filename)))}: {error.strerror}"


def _with_remedy(error: OSError, remedy: str) -> OSError:
    """The same error with a remedy behind its reason."""
    if error.errno is None:
        return type(error)(_joined(error, remedy))
    return OSError(error.errno, f"{error.strerror}; {remedy}", error.filename)
