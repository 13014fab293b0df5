"""Train a WaveNet in PyTorch, generate from it on a CPU many times faster than real time.

    import fastwavenet as fw

    model = fw.load("voice.safetensors")
    audio = fw.generate(model, seconds=4, seed=7)

Training is in `fastwavenet.training`, the only part that imports torch.
"""

from ._engine import BusyError, NotFiniteError, StateError
from .audio import AudioError, read_audio, write_audio
from .generator import Generator, generate
from .instruction_sets import available_isas, isa
from .model import Model, load
from .modelfile import ModelFormatError, record_precision_cost
from .mulaw import mu_law_decode, mu_law_encode
from .precision_cost import measure_precision
from .scoring import outputs, score
from .spec import WaveNetSpec

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "BusyError",
    "Generator",
    "Model",
    "ModelFormatError",
    "NotFiniteError",
    "StateError",
    "WaveNetSpec",
    "available_isas",
    "generate",
    "isa",
    "load",
    "measure_precision",
    "mu_law_decode",
    "mu_law_encode",
    "outputs",
    "read_audio",
    "record_precision_cost",
    "score",
    "write_audio",
]
