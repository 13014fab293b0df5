"""PyTorch module to model file and back: both hold the same tensors."""

from __future__ import annotations

import os

import torch

from .. import modelfile
from .host import own_settings
from .model import GATE, WaveNet


def export_model(module: WaveNet, path: str | os.PathLike[str]) -> None:
    """Writes the module's spec and weights as a model file, atomically.

    Raises ModelFormatError if a weight is not finite, OSError if the file cannot be written,
    ValueError for a network without gates.
    """
    if module.activation != GATE:
        raise ValueError(
            f"expected a network with gates, found activation {module.activation!r}, which model "
            f"files do not have: make and train it as WaveNet(spec), or keep its state_dict()"
        )
    weights = {
        name: tensor.detach().cpu().float().numpy() for name, tensor in module.state_dict().items()
    }
    modelfile.save(path, module.spec, weights)


def load_model(path: str | os.PathLike[str]) -> WaveNet:
    """The module of a model file.

    It is float32, on the CPU and has gradients, whatever PyTorch's defaults are; the state of the
    random number generators is kept.
    Raises ModelFormatError for a file that is no model, OSError if it cannot be read.
    """
    spec, weights, _ = modelfile.load(path)
    with own_settings(), torch.random.fork_rng(devices=[]):
        module = WaveNet(spec)
        module.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    return module
