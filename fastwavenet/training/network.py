"""The arguments of `train` that choose a network.  See settings.py for the table."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .. import checks
from ..ends import MAX_PRE_EMPHASIS, Sampling
from ..mel_conventions import mel_presets
from ..recording_frames import DEFAULT_SAMPLE_RATE, WITH_PITCH, recording_conditioning
from ..spec import WaveNetSpec
from . import table
from .conditioning import UPSAMPLINGS, conditioned, with_mel
from .presets import PRESETS, preset_spec
from .table import one_of, positive_whole, setting

DEFAULT_PRESET = "small"
VOCODER_PRE_EMPHASIS = 0.85


@dataclass(frozen=True, kw_only=True)
class Network:
    """The arguments that choose a network; None for each that was not given."""

    preset: str | None = setting(
        None, f"size of the network: {', '.join(PRESETS)}", otherwise=DEFAULT_PRESET
    )
    sample_rate: int | None = setting(
        None,
        "sample rate of the recordings, in Hz",
        otherwise=f"{DEFAULT_SAMPLE_RATE}, or that of mel",
        metavar="HZ",
    )
    mel: str | None = setting(
        None,
        f"condition the network on frames of a mel preset: {', '.join(mel_presets())}; "
        f"with {WITH_PITCH} behind the name on the pitch too",
        otherwise="no conditioning",
        metavar="NAME",
    )
    hop: int | None = setting(
        None,
        "samples of a frame in the folder of frames",
        otherwise="that of spec",
        check=positive_whole,
        metavar="N",
    )
    speakers_from_folders: bool | None = setting(
        None,
        "condition the network on a speaker for each direct subfolder of the recordings",
        otherwise="no speakers",
        check=partial(one_of, values=(True, False)),
    )
    upsample: str | None = setting(
        None,
        "frames to features: linear interpolation, or learned convolutions before it: "
        "linear, learned",
        otherwise="linear, or that of spec",
        check=partial(one_of, values=UPSAMPLINGS),
        metavar="HOW",
    )
    pre_emphasis: float | None = setting(
        None,
        "a in y(t) = x(t) - a x(t-1), the audio that the network models; 0.85 moves the noise of 8 "
        "bits below 1 kHz, where speech is loud",
        otherwise="0.85 with mel, else 0 or that of spec",
        check=partial(checks.within, low=0, high=MAX_PRE_EMPHASIS),
        metavar="A",
    )
    from_: str | None = setting(
        None,
        "begin with the network and the weights of a model file or a voice, to fine-tune it",
        otherwise="random weights",
        kind=Path,
        metavar="MODEL",
    )
    spec: WaveNetSpec | None = setting(
        None,
        "a network of any size, in place of preset and sample_rate",
        otherwise="that of the preset",
        option=False,
    )

    def __post_init__(self) -> None:
        table.check(self)

    def choose(self, started: WaveNetSpec | None) -> WaveNetSpec:
        """The spec for a new run (None), or the spec to compare with that of a started run.

        Frames from files and speakers, which the recordings show, and their upsampling are not in
        the spec for a new run, but are in the other, where mel, hop, speakers_from_folders and
        upsample are those of the run.
        Raises ValueError for an unknown preset or mel, or for a spec beside preset or sample_rate.
        """
        if self.spec is not None:
            if self.preset is not None or self.sample_rate is not None:
                raise ValueError("give either spec, or preset and sample_rate, not both")
            chosen = self.spec
        else:
            chosen = self._choose_preset(started)
        emphasis = self._choose_pre_emphasis(started)
        if emphasis is not None:
            codec = dataclasses.replace(chosen.codec, pre_emphasis=emphasis)
            chosen = dataclasses.replace(chosen, codec=codec)
        if started is None:
            return chosen if self.mel is None else with_mel(chosen, self.mel)
        added = self.mel or self.hop or self.speakers_from_folders or self.upsample
        return conditioned(chosen, started.conditioning) if added else chosen

    def _choose_preset(self, started: WaveNetSpec | None) -> WaveNetSpec:
        """`choose` without a spec; conditioned as the started run is."""
        rate = self._known_rate(started) if self.sample_rate is None else self.sample_rate
        if started is not None and self.preset is None:
            sizes = dataclasses.replace(  # without rules of sampling, which need frames
                started, conditioning=None, sampling=Sampling(), sample_rate=rate
            )
        else:
            sizes = preset_spec(DEFAULT_PRESET if self.preset is None else self.preset, rate)
        if started is not None:
            sizes = dataclasses.replace(sizes, codec=started.codec)
        chosen = conditioned(sizes, None if started is None else started.conditioning)
        if started is not None and self.preset is None:
            return dataclasses.replace(chosen, sampling=started.sampling)
        return chosen

    def _choose_pre_emphasis(self, started: WaveNetSpec | None) -> float | None:
        """The given one, or that of a new vocoder; None to leave it as it is."""
        new = started is None and self.spec is None and self.mel is not None
        return VOCODER_PRE_EMPHASIS if self.pre_emphasis is None and new else self.pre_emphasis

    def _known_rate(self, started: WaveNetSpec | None) -> int:
        """Hz, where sample_rate was not given."""
        if started is not None:
            return started.sample_rate
        mel = None if self.mel is None else recording_conditioning(self.mel).mel
        return DEFAULT_SAMPLE_RATE if mel is None else mel.sample_rate
