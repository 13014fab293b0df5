"""The slow twins: every computation of the engine in numpy, written for reading.

network.py is the place to begin.  Tests compare the engine and the PyTorch model with these
modules, which import neither.
"""

from .bfloat16 import bfloat16_weights, round_to_bfloat16
from .bfloat16x16 import Bfloat16x16Steps, project_frames_bfloat16x16
from .int8 import Int8Steps, project_frames_int8
from .int8x8 import Int8x8Steps
from .mu_law import mu_law_decode, mu_law_encode
from .network import WaveNetSteps, project_frames, relu, sigmoid, teacher_forced
from .outputs import draw, draw_order, philox4x32, uniform
from .range_coder import (
    RangeDecoder,
    RangeEncoder,
    frequencies,
    part_of,
    part_of_code,
    sizes_of_places,
)
from .upsampling import upsample, upsample_float32

__all__ = [
    "Bfloat16x16Steps",
    "Int8Steps",
    "Int8x8Steps",
    "RangeDecoder",
    "RangeEncoder",
    "WaveNetSteps",
    "bfloat16_weights",
    "draw",
    "draw_order",
    "frequencies",
    "mu_law_decode",
    "mu_law_encode",
    "part_of",
    "part_of_code",
    "philox4x32",
    "project_frames",
    "project_frames_bfloat16x16",
    "project_frames_int8",
    "relu",
    "round_to_bfloat16",
    "sigmoid",
    "sizes_of_places",
    "teacher_forced",
    "uniform",
    "upsample",
    "upsample_float32",
]
