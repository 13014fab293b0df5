"""Train a WaveNet, and export it for the engine.  Importing this imports torch."""

from .export import export_model, load_model
from .model import WaveNet
from .train import PRESETS, train

__all__ = ["PRESETS", "WaveNet", "export_model", "load_model", "train"]
