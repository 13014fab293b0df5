"""Train a WaveNet in PyTorch, generate from it on a CPU many times faster than real time.

    import fastwavenet as fw

    model = fw.load("voice.safetensors")  # or one of fw.voices(), by its name
    audio = fw.generate(model, seconds=4, seed=7)

Each name is imported with its first use, so that a program loads the audio libraries or the engine
only if it needs them.  Training is in `fastwavenet.training`, the only part that imports torch.
"""

from ._version import __version__ as __version__

TYPE_CHECKING = False  # for type checkers, as in typing, whose import would take 5 ms

__all__ = [
    "AudioError",
    "BusyError",
    "CompressionError",
    "Evaluation",
    "Generator",
    "Mel",
    "MelStream",
    "Model",
    "ModelFormatError",
    "NotFiniteError",
    "Prepared",
    "Quality",
    "Salvaged",
    "StateError",
    "Surprise",
    "Tuning",
    "Voice",
    "WaveNetSpec",
    "available_isas",
    "compress",
    "decompress",
    "evaluate",
    "generate",
    "import_checkpoint",
    "isa",
    "load",
    "match_mel",
    "measure_precision",
    "mel",
    "mel_presets",
    "melody",
    "mu_law_decode",
    "mu_law_encode",
    "outputs",
    "pitch",
    "prepare",
    "read_audio",
    "record_precision_cost",
    "record_sampling",
    "round_for_int8",
    "salvage",
    "score",
    "surprise",
    "surprise_segments",
    "surprise_threshold",
    "tune",
    "vocode",
    "voices",
    "write_audio",
]

if TYPE_CHECKING:
    from ._engine import BusyError, NotFiniteError, StateError
    from .audio import read_audio, write_audio
    from .audio_source import AudioError
    from .bundled_voices import Voice, voices
    from .compressed_file import CompressionError
    from .compression import Salvaged, compress, decompress, salvage
    from .evaluation import Evaluation, Quality, evaluate
    from .features import MelStream, mel
    from .generator import Generator, generate
    from .importers.call import import_checkpoint
    from .instruction_sets import available_isas, isa
    from .int8_rounding import round_for_int8
    from .mel_conventions import Mel, mel_presets
    from .mel_matching import match_mel
    from .model import Model, load
    from .modelfile import ModelFormatError, record_precision_cost, record_sampling
    from .mulaw import mu_law_decode, mu_law_encode
    from .piano_roll import melody
    from .pitch_tracking import pitch
    from .precision_cost import measure_precision
    from .preparing import Prepared, prepare
    from .scoring import outputs, score
    from .spec import WaveNetSpec
    from .tuning import Tuning, tune
    from .unusual import Surprise, surprise, surprise_segments, surprise_threshold
    from .vocoding import vocode
else:
    _MODULES = {
        "_engine": "BusyError NotFiniteError StateError",
        "audio": "read_audio write_audio",
        "audio_source": "AudioError",
        "bundled_voices": "Voice voices",
        "compressed_file": "CompressionError",
        "compression": "Salvaged compress decompress salvage",
        "evaluation": "Evaluation Quality evaluate",
        "features": "MelStream mel",
        "generator": "Generator generate",
        "importers.call": "import_checkpoint",
        "instruction_sets": "available_isas isa",
        "int8_rounding": "round_for_int8",
        "mel_conventions": "Mel mel_presets",
        "mel_matching": "match_mel",
        "piano_roll": "melody",
        "model": "Model load",
        "modelfile": "ModelFormatError record_precision_cost record_sampling",
        "mulaw": "mu_law_decode mu_law_encode",
        "pitch_tracking": "pitch",
        "precision_cost": "measure_precision",
        "preparing": "Prepared prepare",
        "scoring": "outputs score",
        "spec": "WaveNetSpec",
        "tuning": "Tuning tune",
        "unusual": "Surprise surprise surprise_segments surprise_threshold",
        "vocoding": "vocode",
    }
    _MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

    def __getattr__(name):
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(f".{_MODULE_OF[name]}", __name__)
        globals()[name] = value = getattr(module, name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
