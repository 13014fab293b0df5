"""A recording made again from its mel frames in several ways, for pages that compare them."""

from __future__ import annotations

from .features import mel
from .griffin_lim import griffin_lim
from .mel_conventions import Mel
from .mel_matching import matched_noise
from .mulaw import mu_law_decode, mu_law_encode
from .sound_page import Version
from .spec import WaveNetSpec
from .types import Audio

ITERATIONS = 60  # of Griffin-Lim


def convention_of(spec: WaveNetSpec) -> Mel:
    """Of a network's frames.  Raises ValueError if it takes no mel frames."""
    end = spec.conditioning
    if end is None or end.mel is None:
        raise ValueError("the model takes no mel frames, expected a vocoder")
    return end.mel


def whole_frames(audio: Audio, spec: WaveNetSpec) -> Audio:
    """The samples (n,) in whole frames, of which a vocoder makes as many.

    Raises ValueError for audio that is shorter than a frame.
    """
    hop = convention_of(spec).hop
    n = len(audio) // hop * hop
    if not n:
        raise ValueError(f"the audio has {len(audio)} samples, expected at least {hop}, a frame")
    return audio[:n]


def recording(audio: Audio, spec: WaveNetSpec) -> Version:
    return Version("recording", "The original.", audio, spec.sample_rate)


def codec_alone(audio: Audio, spec: WaveNetSpec) -> Version:
    codes = mu_law_encode(audio, spec.levels, codec=spec.codec)
    decoded = mu_law_decode(codes, spec.levels, codec=spec.codec)
    text = f"The recording in the network's {spec.levels} codes, the most that it could give back."
    return Version("codec alone", text, decoded, spec.sample_rate)


def without_network(audio: Audio, spec: WaveNetSpec) -> list[Version]:
    """By Griffin-Lim, and by mel matching of noise."""
    convention = convention_of(spec)
    frames = mel(audio, convention)
    found = griffin_lim(frames, convention, ITERATIONS)
    text = f"The same mel frames without a network: phases found in {ITERATIONS} iterations."
    matched = matched_noise(frames, convention)
    remark = "The same mel frames without a network: noise after the mel matching of the vocoder."
    return [
        Version("Griffin-Lim", text, found, spec.sample_rate),
        Version("matched noise", remark, matched, spec.sample_rate),
    ]
