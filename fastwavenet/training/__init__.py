"""Train a WaveNet, and export it for the engine.

torch is imported with the first of the names below, not with this package: the command line reads
the table of settings without it.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

# Before torch is imported: its threads are to wait for each other politely.  On two cores with
# one other busy process, GNU OpenMP's usual spinning makes a training step 40 times as long.  So
# many spins cost 5 % on an idle machine, and a factor of 3 on a busy one.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
IMPORTED_IN = os.getpid()  # of the process that torch's threads belong to, see `host`

if TYPE_CHECKING:
    from .call import train
    from .export import export_model, load_model
    from .loop import Summary
    from .model import WaveNet
    from .presets import PRESETS

__all__ = ["PRESETS", "Summary", "WaveNet", "export_model", "load_model", "train"]

_MODULES = {
    "PRESETS": "presets",
    "Summary": "loop",
    "WaveNet": "model",
    "export_model": "export",
    "load_model": "export",
    "train": "call",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
