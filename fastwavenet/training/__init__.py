"""Train a WaveNet, and export it for the engine.  Importing this imports torch."""

import os

# Before torch is imported: its threads are to wait for each other politely.  On two cores with
# one other busy process, GNU OpenMP's usual spinning makes a training step 40 times as long.  So
# many spins cost 5 % on an idle machine, and a factor of 3 on a busy one.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

from .export import export_model, load_model
from .model import WaveNet
from .presets import PRESETS
from .train import Summary, train

__all__ = ["PRESETS", "Summary", "WaveNet", "export_model", "load_model", "train"]
