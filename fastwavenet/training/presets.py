"""Sizes of networks to start from."""

from __future__ import annotations

import dataclasses

from ..ends import Sampling
from ..shown import shown
from ..spec import WaveNetSpec

# The sizes of a WaveNetSpec; its sample rate is the recordings'.
PRESETS: dict[str, dict] = {
    "tiny": {  # for a minute of training, as a first test
        "residual": 32,
        "dilation_channels": 32,
        "skip": 64,
        "head": 64,
        "dilations": tuple(2**i for i in range(8)) * 2,
    },
    "small": {  # for ten minutes to an hour on a CPU: a voice that babbles
        "residual": 32,
        "dilation_channels": 32,
        "skip": 128,
        "head": 128,
        "dilations": tuple(2**i for i in range(10)) * 2,
    },
    "base": {  # for hours on a CPU, and hours of audio: the usual size
        "residual": 64,
        "dilation_channels": 64,
        "skip": 256,
        "head": 256,
        "dilations": tuple(2**i for i in range(10)) * 2,
    },
    "ibab": {  # the size of ibab/tensorflow-wavenet, to compare: a third of the speed of base
        "residual": 32,
        "dilation_channels": 32,
        "skip": 512,
        "head": 512,
        "dilations": tuple(2**i for i in range(10)) * 5,
    },
}


def preset_spec(preset: str, sample_rate: int) -> WaveNetSpec:
    """A preset's network for audio of `sample_rate` Hz.  Raises ValueError for an unknown name."""
    if not isinstance(preset, str) or preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, not {shown(preset)}")
    return WaveNetSpec(sample_rate=sample_rate, **PRESETS[preset])


def preset_name(spec: WaveNetSpec) -> str | None:
    """The name of the preset with these sizes, of any codec and sampling; None if there is none."""
    sizes = dataclasses.replace(spec, conditioning=None, codec=None, sampling=Sampling())
    names = (name for name in PRESETS if preset_spec(name, spec.sample_rate) == sizes)
    return next(names, None)
