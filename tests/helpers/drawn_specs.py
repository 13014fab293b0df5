"""Networks that the adversary draws, from all that a spec admits."""

import dataclasses

from hypothesis import strategies as st

from fastwavenet.ends import (
    CodeInput,
    FrameConditioning,
    MuLawCodec,
    Pitch,
    QuietSampling,
    Sampling,
    Start,
    UpsamplingStage,
    VoicedSampling,
)
from fastwavenet.mel_conventions import Mel
from fastwavenet.spec import WaveNetSpec
from fastwavenet.upsampling import MAX_STAGES, rate

MACS = 8_000  # of a dilated convolution, about, at most
MOST_RATE = 60  # features of a frame, about

# Few choices each, the simplest first: that makes sequences fast to draw and to shrink.
CHANNELS = st.sampled_from([*range(1, 10)] * 4 + [*range(10, 71)] + [15, 16, 17, 32, 33, 64] * 2)
LEVELS = st.sampled_from([*range(2, 20), *range(2, 20), *range(20, 301, 7), 255, 256, 257])
DILATIONS = st.sampled_from([1, 2, 3, 4, 5, 6, 1, 15, 16, 17, 31, 32, 33, 40])
FED = st.sampled_from([False, False, True])
SAMPLINGS = st.sampled_from([Sampling(), Sampling(), Sampling(0.7, 2, 0.02), Sampling(0)])
QUIET = st.sampled_from([None, 0.0, -0.5, 1e300])
VOICED = st.sampled_from([None, (0.5, None), (None, 0.2), (0, 1), (1000, 0)])
RATES = st.sampled_from([8000, 8000, 1, 44100, 768_000])  # Hz
HOPS = st.sampled_from([1, 2, 3, 5, 6, 12, 16, 60, 200, 65536])
SPEAKERS = st.sampled_from([(), (), ("ann", "bob"), ("ann", "bob", "cid")])
TIMES = st.sampled_from([1, 1, 1, 2, 3, 17, 70])  # of a start code


@st.composite
def codecs(draw, levels: int) -> MuLawCodec:
    usual = MuLawCodec.symmetric(levels)
    if draw(st.booleans()):
        return usual
    return dataclasses.replace(
        usual,
        mu=draw(st.sampled_from([levels, 1, 255, 65536])),
        steps=draw(st.sampled_from([levels - 1, levels, levels / 2, 1])),
        encode_offset=draw(st.sampled_from([0.5, 0, 1, -0.25])),
        decode_divisor=draw(st.sampled_from([levels - 1, levels, 2 * levels])),
        decode_offset=draw(st.sampled_from([0, 0.125, -0.125])),
        pre_emphasis=draw(st.sampled_from([0, 0.85, 0.999])),
    )


@st.composite
def conditionings(draw, sample_rate: int) -> FrameConditioning | None:
    kind = draw(st.sampled_from([*["none"] * 4, *["frames"] * 3, "speakers", *["upsampling"] * 3]))
    if kind == "none":
        return None
    names = draw(SPEAKERS) if kind != "speakers" else ("ann", "bob", "cid")
    embedding = draw(st.sampled_from([2, 1, 5, 17])) if names else 0
    interpolation = draw(st.sampled_from(["held", "linear"]))
    if kind == "speakers":
        hop = draw(st.sampled_from([1, 7]))
        return FrameConditioning(0, hop, interpolation, names, embedding)
    stages = draw(upsamplings()) if kind == "upsampling" else ()
    hop = rate(stages) * draw(st.sampled_from([1, 2, 5])) if stages else draw(HOPS)
    channels = draw(st.sampled_from([1, 3, 4, 17]))
    return FrameConditioning(
        channels,
        hop,
        interpolation,
        names,
        embedding,
        *draw(conventions(channels, hop, sample_rate)),
        upsampling=stages,
        edges=draw(st.sampled_from(["held", "zeros"])) if stages else "held",
    )


@st.composite
def conventions(draw, channels: int, hop: int, sample_rate: int) -> tuple:
    """Features and pitch of frames.  The constants of a Mel affect no call of a generator."""
    name = draw(st.sampled_from([None, None, "of my own", "mel", "mel+pitch"]))
    if name is None or not name.startswith("mel") or sample_rate < 8000:
        return name, None
    pitch = None
    if name == "mel+pitch" and channels > Pitch.channels:
        fmin, hidden = draw(st.sampled_from([60, 100])), draw(st.sampled_from([0, 1, 4]))
        pitch = Pitch(fmin, fmin * draw(st.sampled_from([2, 5])), hidden)
    mels, n_fft = channels - (pitch.channels if pitch else 0), max(2, hop + hop % 2)
    sizes = {"n_fft": n_fft, "hop": hop, "window": n_fft, "mels": mels}
    return Mel(sample_rate=sample_rate, fmin=0, fmax=sample_rate / 2, **sizes), pitch


@st.composite
def upsamplings(draw) -> tuple[UpsamplingStage, ...]:
    count = draw(st.sampled_from([*[1, 2, 3] * 8, MAX_STAGES]))
    stages: tuple[UpsamplingStage, ...] = ()
    longest = 40 if count < MAX_STAGES else 2
    for number in range(count):
        strides = [each for each in (1, 1, 2, 3, 5, 16) if each * rate(stages) <= MOST_RATE]
        stage = draw(upsampling_stages(strides, longest))
        stages += (stage if number else dataclasses.replace(stage, padding="none"),)
    return stages


@st.composite
def upsampling_stages(draw, strides: list[int], longest: int) -> UpsamplingStage:
    """Of a kernel that is at most so much longer than its stride."""
    stride, more = draw(st.sampled_from(strides)), draw(st.sampled_from([*range(9), 40]))
    more = min(more, longest)
    return UpsamplingStage(
        draw(st.sampled_from([1, 2, 3, 4, 16, 17])),
        stride + more,
        stride,
        draw(st.integers(0, more)),
        draw(st.sampled_from(["none", "relu"])),
        draw(st.booleans()),
        draw(st.sampled_from(["none", "zeros"])),
    )


@st.composite
def starts(draw, levels: int) -> Start:
    fed = draw(FED)
    code = draw(st.sampled_from([levels // 2, 0, 1, levels - 1]))
    return Start(code, fed, draw(TIMES) if fed else 1)


@st.composite
def specs(draw) -> WaveNetSpec:
    layers = draw(st.integers(1, 4))
    residual, dilation_channels = draw(CHANNELS), draw(CHANNELS)
    longest = min(32, max(2, MACS // (2 * residual * dilation_channels)))
    kernels = st.sampled_from([2, min(3, longest), *range(2, longest + 1)])
    levels, sample_rate = draw(LEVELS), draw(RATES)
    conditioning = draw(conditionings(sample_rate))
    return WaveNetSpec(
        sample_rate=sample_rate,
        levels=levels,
        residual=residual,
        dilation_channels=dilation_channels,
        skip=draw(CHANNELS),
        head=draw(CHANNELS),
        dilations=draw(st.lists(DILATIONS, min_size=layers, max_size=layers)),
        kernel=draw(st.lists(kernels, min_size=layers, max_size=layers)),
        input=CodeInput(
            draw(st.sampled_from([1, 2, 3, 5, 32])),
            draw(st.sampled_from(["none", "none", "tanh"])),
            draw(st.sampled_from(["zeros", "zeros", "start"])),
        ),
        bias=draw(st.booleans()),
        start=draw(starts(levels)),
        conditioning=conditioning,
        codec=draw(codecs(levels)),
        sampling=draw(samplings(conditioning)),
    )


@st.composite
def samplings(draw, conditioning: FrameConditioning | None) -> Sampling:
    """Where there are frames, also with rules for voicing and for quiet frames."""
    usual, channels = draw(SAMPLINGS), conditioning.channels if conditioning else 0
    if not channels:
        return usual
    voiced, quiet = draw(VOICED), draw(QUIET)
    channel = draw(st.sampled_from([0, channels - 1]))
    return dataclasses.replace(
        usual,
        voiced=None if voiced is None else VoicedSampling(channel, *voiced),
        quiet=None if quiet is None else QuietSampling(channel, quiet),
    )
