"""What the adversary draws: networks, generators, and the arguments of calls, right and wrong."""

import dataclasses
import itertools

import numpy as np
from hypothesis import strategies as st
from networks import random_codes, random_cond
from slow_twin import SlowTwin

import fastwavenet as fw
from fastwavenet.ends import CodeInput, MuLawCodec, RawRows, Sampling, Start
from fastwavenet.spec import WaveNetSpec

STEPS = 80  # of all rows together in one call, at most: the twin takes them one by one
MACS = 8_000  # of a dilated convolution, about, at most

# Few choices each, the simplest first: that makes sequences fast to draw and to shrink.
CHANNELS = st.sampled_from([*range(1, 10)] * 4 + [*range(10, 71)] + [15, 16, 17, 32, 33, 64] * 2)
LEVELS = st.sampled_from([*range(2, 20), *range(2, 20), *range(20, 301, 7), 255, 256, 257])
LENGTHS = st.sampled_from([*range(20), *range(20), 31, 32, 33, 63, 64, 65, STEPS])
DILATIONS = st.sampled_from([1, 2, 3, 4, 5, 6, 1, 15, 16, 17, 31, 32, 33, 40])
PIECES = st.integers(0, 99)
SEEDS = st.sampled_from([*range(8), 2**32 - 1, 2**32, 2**64 - 1])
STREAMS = st.sampled_from([0, 1, 2, 2**32 - 22])
SMALL = st.integers(0, 9)  # seeds of random arrays
ISAS = st.sampled_from(fw.available_isas())
TEMPERATURES = st.sampled_from([1.0, None, 0, 0.001, 0.7, 3, 1000])
BATCHES = st.sampled_from([None, None, 1, 2, None, 3, 2, 4, 17, 22])
TOP_K = st.sampled_from([None, 1, 2, 3, 7, 16, 17, None, 100, 300])
MIN_P = st.sampled_from([None, 0, 1e-3, 0.1, 0.5, 1])
FED = st.sampled_from([False, False, True])
SAMPLINGS = st.sampled_from([Sampling(), Sampling(), Sampling(0.7, 2, 0.02), Sampling(0)])
THREADS = st.sampled_from([1] * 29 + [2])  # two are measured first, which takes a while
PARTS = st.sampled_from([1, 2, 3])  # of a recording that are scored at the same time


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
        decode_offset=draw(st.sampled_from([0, 0.125])),
        pre_emphasis=draw(st.sampled_from([0, 0.85, 0.999])),
    )


@st.composite
def specs(draw) -> WaveNetSpec:
    layers = draw(st.integers(1, 4))
    residual, dilation_channels = draw(CHANNELS), draw(CHANNELS)
    longest = min(32, max(2, MACS // (2 * residual * dilation_channels)))
    kernels = st.sampled_from([2, min(3, longest), *range(2, longest + 1)])
    levels = draw(LEVELS)
    return WaveNetSpec(
        sample_rate=8000,
        levels=levels,
        residual=residual,
        dilation_channels=dilation_channels,
        skip=draw(CHANNELS),
        head=draw(CHANNELS),
        dilations=draw(st.lists(DILATIONS, min_size=layers, max_size=layers)),
        kernel=draw(st.lists(kernels, min_size=layers, max_size=layers)),
        input=CodeInput(draw(st.sampled_from([1, 2, 3, 5, 32]))),
        bias=draw(st.booleans()),
        start=Start(draw(st.sampled_from([levels // 2, 0, levels - 1])), draw(FED)),
        conditioning=draw(st.sampled_from([None, RawRows()])),
        codec=draw(codecs(levels)),
        sampling=draw(SAMPLINGS),
    )


@dataclasses.dataclass
class Conditioning:
    """How a call is conditioned, if its network is."""

    hop: int
    spare: int  # frames more than are needed
    single: bool  # one frame for all steps
    shared: bool  # by all rows
    seed: int

    def frames(self, spec: WaveNetSpec, steps: int, rows: int) -> np.ndarray | None:
        """float32 (frames, layers, 2D) or (frames, rows, layers, 2D)"""
        if spec.conditioning is None:
            return None
        n = 1 if self.single else -(-steps // self.hop) + self.spare
        if self.shared:
            return random_cond(spec, n, self.seed)
        one_row = (spec.layers, 2 * spec.dilation_channels)
        return random_cond(spec, n * rows, self.seed).reshape(n, rows, *one_row)


HOPS = [1, 2, 3, 4, 5, 6, 7, 15, 16, 17, 40, 80, 2**32 - 1, 2**32, 2**40]
CONDITIONINGS = st.sampled_from(
    [
        Conditioning(hop, spare, single, shared, seed=hop % 7)
        for single, shared, spare, hop in itertools.product(
            (False, True), (True, False), (0, 1), HOPS
        )
    ]
)


@dataclasses.dataclass
class Samples:
    """Samples that a call is given."""

    kind: str  # codes, or a dtype of audio
    shared: bool  # by all rows
    seed: int

    def array(self, spec: WaveNetSpec, n: int, rows: int, batch: int | None) -> np.ndarray:
        """(n,) or (batch, n)"""
        shape = (n,) if self.shared or batch is None else (rows, n)
        size = int(np.prod(shape))
        if self.kind == "codes":
            return random_codes(spec, size, self.seed).reshape(shape)
        return np.random.default_rng(self.seed).uniform(-1.1, 1.1, shape).astype(self.kind)


SAMPLES = st.sampled_from(
    [
        Samples(kind, shared, seed)
        for seed, kind, shared in itertools.product(
            range(9), ("codes", "float32", "float64"), (True, False)
        )
    ]
)


@dataclasses.dataclass
class Arguments:
    """Of a generator."""

    seed: int
    stream: int
    batch: int | None
    temperature: float | None
    top_k: int | None
    min_p: float | None
    isa: str
    threads: int

    def within(self, levels: int) -> dict:
        """As keywords, for a model of so many levels."""
        return vars(self) | {"top_k": self.top_k and min(self.top_k, levels)}

    def twin(self, model: fw.Model) -> SlowTwin:
        twin = SlowTwin(model, self.batch or 1, self.seed, self.stream)
        within = self.within(model.spec.levels)
        twin.set_sampling(self.temperature, within["top_k"], self.min_p)
        return twin


ARGUMENTS = st.builds(
    Arguments,
    SEEDS,
    STREAMS,
    BATCHES,
    TEMPERATURES,
    TOP_K,
    MIN_P,
    ISAS,
    THREADS,
)


def no_out(shape: tuple[int, ...]) -> None:
    return None


def dense(shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, 9, np.float32)


def strided(shape: tuple[int, ...]) -> np.ndarray:
    return np.full((*shape, 2), 9, np.float32)[..., 1]


OUTS = st.sampled_from([no_out, dense, strided])


# ---- what is refused ---------------------------------------------------------------------------

NAN = float("nan")
REFUSED = {
    "a negative length": lambda gen, cond: gen.generate(-1, cond=cond),
    "a length that is not whole": lambda gen, cond: gen.generate(1.0, cond=cond),
    "no hop": lambda gen, cond: gen.generate(1, cond=cond, hop=0),
    "cond or none": lambda gen, cond: gen.generate(1, cond=[] if cond is None else None),
    "no frames": lambda gen, cond: gen.generate(1, cond=cond[:0] if cond is not None else []),
    "cond of other layers": lambda gen, cond: gen.generate(1, cond=np.zeros((1, 9, 2))),
    "cond that is not finite": lambda gen, cond: gen.generate(
        1, cond=NAN if cond is None else cond * NAN
    ),
    "too few frames": lambda gen, cond: gen.generate(
        9, cond=[] if cond is None else cond.repeat(2, axis=0), hop=4
    ),
    "too large a code": lambda gen, cond: gen.prime([0, gen.model.spec.levels], cond=cond),
    "a negative code": lambda gen, cond: gen.prime([0, -1], cond=cond),
    "audio that is not finite": lambda gen, cond: gen.prime([0.5, NAN], cond=cond),
    "int16": lambda gen, cond: gen.prime(np.zeros(2, np.int16), cond=cond),
    "a row too many": lambda gen, cond: gen.prime(
        np.zeros(((gen.batch or 1) + 1, 2), int), cond=cond
    ),
    "samples for too few frames": lambda gen, cond: gen.prime(
        [0] * 10, cond=[] if cond is None else cond.repeat(2, axis=0), hop=4
    ),
    "a negative seed": lambda gen, cond: gen.reset(-1),
    "too large a seed": lambda gen, cond: gen.reset(2**64),
    "a negative temperature": lambda gen, cond: setattr(gen, "temperature", -1),
    "too low a temperature": lambda gen, cond: setattr(gen, "temperature", 1e-4),
    "no top_k": lambda gen, cond: setattr(gen, "top_k", 0),
    "too large a top_k": lambda gen, cond: setattr(gen, "top_k", gen.model.spec.levels + 1),
    "too large a min_p": lambda gen, cond: setattr(gen, "min_p", 1.5),
    "no number as min_p": lambda gen, cond: setattr(gen, "min_p", "0.1"),
    "no chunk": lambda gen, cond: gen.stream(0),
    "a negative stream": lambda gen, cond: gen.stream(1, -1),
    "no state": lambda gen, cond: gen.set_state(b""),
    "a short state": lambda gen, cond: gen.set_state(gen.get_state()[:-1]),
    "a state of more rows": lambda gen, cond: gen.set_state(gen.get_state() * 2),
    "a state whose last row is damaged": lambda gen, cond: gen.set_state(
        gen.get_state()[:-1] + bytes([gen.get_state()[-1] ^ 1])
    ),
    "a score of too large a code": lambda gen, cond: fw.score(
        gen.model, [0, gen.model.spec.levels], cond=cond
    ),
    "outputs for rows": lambda gen, cond: fw.outputs(gen.model, np.zeros((2, 2), int), cond=cond),
    "audio of another rate": lambda gen, cond: gen.prime([0.5], sample_rate=8001, cond=cond),
    "out of another length": lambda gen, cond: gen.generate(
        1, cond=cond, out=np.empty((gen.batch or 1, 2), np.float32)
    ),
    "no length": lambda gen, cond: fw.generate(gen.model, cond=cond),
}
