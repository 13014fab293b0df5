"""Generators that the adversary draws, and the arguments of calls, right and wrong."""

import dataclasses
import itertools

import numpy as np
from hypothesis import strategies as st
from networks import random_codes, random_frames
from slow_twin import SlowTwin

import fastwavenet as fw
from fastwavenet.spec import WaveNetSpec

STEPS = 80  # of all rows together in one call, at most: the twin takes them one by one

# Few choices each, the simplest first: that makes sequences fast to draw and to shrink.
LENGTHS = st.sampled_from([*range(20), *range(20), 31, 32, 33, 63, 64, 65, STEPS])
PIECES = st.integers(0, 99)
SEEDS = st.sampled_from([*range(8), 2**32 - 1, 2**32, 2**64 - 1])
STREAMS = st.sampled_from([0, 1, 2, 2**32 - 22])
SMALL = st.integers(0, 9)  # seeds of random arrays
ISAS = st.sampled_from(fw.available_isas())
TEMPERATURES = st.sampled_from([1.0, None, 0, 0.001, 0.7, 3, 1000])
BATCHES = st.sampled_from([None, None, 1, 2, None, 3, 2, 4, 5, 8, 17, 22])
TOP_K = st.sampled_from([None, 1, 2, 3, 7, 16, 17, None, 100, 300])
MIN_P = st.sampled_from([None, 0, 1e-3, 0.1, 0.5, 1])
THREADS = st.sampled_from([1] * 29 + [2])  # two are measured first, which takes a while
PARTS = st.sampled_from([1, 2, 3])  # of a recording that are scored at the same time
SURPRISE_HOPS = st.sampled_from([2, 3, 7, 16, 33, STEPS, STEPS + 1])
SMOOTH = st.sampled_from([1, 3, 5, 999])
STRETCHES = st.sampled_from([1 << 21, 1, 7, 16, 33])  # samples of a recording scored at a time


@dataclasses.dataclass
class Given:
    """The frames that a call is given, if its network needs some."""

    spare: int  # frames more than are needed
    shared: bool  # by all rows
    seed: int

    def frames(self, spec: WaveNetSpec, samples: int, rows: int) -> np.ndarray | None:
        """float32 (frames, channels) or (rows, frames, channels)"""
        if not has_frames(spec):
            return None
        more = samples + self.spare * spec.conditioning.hop
        if self.shared:
            return random_frames(spec, more, self.seed)
        return np.stack([random_frames(spec, more, self.seed + row) for row in range(rows)])


def has_frames(spec: WaveNetSpec) -> bool:
    return spec.conditioning is not None and spec.conditioning.channels > 0


VOCODED = 400  # samples of an utterance, at most
UTTERANCES = st.lists(st.sampled_from([3, 1, 0, 2, 7, 65]), max_size=7)  # frames of each


def some_frames(spec: WaveNetSpec, count: int, seed: int) -> np.ndarray:
    """float32 (frames, channels): `count` of them, or of longer ones fewer."""
    hop = spec.conditioning.hop
    count = min(count, VOCODED // hop)
    return random_frames(spec, count * hop, seed)[:count]


GIVEN = st.sampled_from(
    [
        Given(spare, shared, seed)
        for shared, spare, seed in itertools.product((True, False), (0, 1, 3), range(5))
    ]
)


PLACES = st.sampled_from([0, 0, 0, 1, 7, 100])  # of a call in its frames


@dataclasses.dataclass
class Numbers:
    """Temperature and min_p of frames that a call is given."""

    names: tuple[str, ...]
    shared: bool  # by all rows
    seed: int

    def of(self, frames: np.ndarray | None, rows: int) -> dict[str, np.ndarray]:
        """Name -> (frames,) or (rows, frames); none without frames."""
        if frames is None:
            return {}
        rng, count = np.random.default_rng(self.seed), frames.shape[-2]
        shape = (count,) if self.shared else (rows, count)
        return {name: rng.choice(CHOICES[name], shape) for name in self.names}


CHOICES = {"temperature": [0, 0.001, 0.5, 1, 1000], "min_p": [0, 0.1, 1]}
NUMBERS = st.sampled_from(
    [Numbers((), True, 0)] * 4
    + [
        Numbers(names, shared, seed)
        for names, shared, seed in itertools.product(
            [("temperature",), ("min_p",), ("temperature", "min_p")], (True, False), range(3)
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
    speaker: int

    def within(self, spec: WaveNetSpec) -> dict:
        """As keywords, for a model of this spec."""
        top_k, speakers = self.top_k and min(self.top_k, spec.levels), self.speakers(spec)
        if speakers is not None and (self.batch is None or self.speaker % 2):
            speakers = speakers[0]
        return vars(self) | {"top_k": top_k, "speaker": speakers}

    def speakers(self, spec: WaveNetSpec) -> list[int] | None:
        """Of each row: all alike, or other ones."""
        if spec.conditioning is None or not spec.conditioning.speakers:
            return None
        count, alike = len(spec.conditioning.speakers), self.speaker % 2
        return [(self.speaker + row * (not alike)) % count for row in range(self.batch or 1)]

    def twin(self, model: fw.Model) -> SlowTwin:
        speakers = self.speakers(model.spec)
        twin = SlowTwin(model, self.batch or 1, self.seed, self.stream, speakers)
        within = self.within(model.spec)
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
    SMALL,
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


def first(speaker: int | list[int] | None) -> int | None:
    return speaker[0] if isinstance(speaker, list) else speaker


REFUSED = {
    "a negative length": lambda gen, frames: gen.generate(-1, frames=frames),
    "a length that is not whole": lambda gen, frames: gen.generate(1.0, frames=frames),
    "frames or none": lambda gen, frames: gen.generate(1, frames=[] if frames is None else None),
    "no frames": lambda gen, frames: gen.generate(
        1, frames=frames[:0] if frames is not None else []
    ),
    "frames of other channels": lambda gen, frames: gen.generate(1, frames=np.zeros((1, 99))),
    "frames that are not finite": lambda gen, frames: gen.generate(
        1, frames=NAN if frames is None else frames * NAN
    ),
    "too few frames": lambda gen, frames: gen.generate(
        10**6, frames=[] if frames is None else frames
    ),
    "too large a code": lambda gen, frames: gen.prime([0, gen.model.spec.levels], frames=frames),
    "a negative code": lambda gen, frames: gen.prime([0, -1], frames=frames),
    "audio that is not finite": lambda gen, frames: gen.prime([0.5, NAN], frames=frames),
    "int16": lambda gen, frames: gen.prime(np.zeros(2, np.int16), frames=frames),
    "a row too many": lambda gen, frames: gen.prime(
        np.zeros(((gen.batch or 1) + 1, 2), int), frames=frames
    ),
    "samples for too few frames": lambda gen, frames: gen.prime(
        np.zeros(10**5, int), frames=[] if frames is None else frames
    ),
    "an unknown speaker": lambda gen, frames: fw.Generator(gen.model, speaker="nobody"),
    "a negative seed": lambda gen, frames: gen.reset(-1),
    "too large a seed": lambda gen, frames: gen.reset(2**64),
    "a negative temperature": lambda gen, frames: setattr(gen, "temperature", -1),
    "too low a temperature": lambda gen, frames: setattr(gen, "temperature", 1e-4),
    "no top_k": lambda gen, frames: setattr(gen, "top_k", 0),
    "too large a top_k": lambda gen, frames: setattr(gen, "top_k", gen.model.spec.levels + 1),
    "too large a min_p": lambda gen, frames: setattr(gen, "min_p", 1.5),
    "a temperature of no frame": lambda gen, frames: gen.generate(1, frames=frames, temperature=[]),
    "a temperature of too many frames": lambda gen, frames: gen.generate(
        1, frames=frames, temperature=np.ones(1 if frames is None else len(frames) + 1)
    ),
    "a frame's temperature that is not finite": lambda gen, frames: gen.generate(
        1, frames=frames, temperature=[NAN]
    ),
    "a frame's min_p that is too large": lambda gen, frames: gen.generate(
        1, frames=frames, min_p=[1.5]
    ),
    "no number as a frame's min_p": lambda gen, frames: gen.generate(
        1, frames=frames, min_p=["0.1"]
    ),
    "no number as min_p": lambda gen, frames: setattr(gen, "min_p", "0.1"),
    "no chunk": lambda gen, frames: gen.stream(0),
    "a negative stream": lambda gen, frames: gen.stream(1, -1),
    "no state": lambda gen, frames: gen.set_state(b""),
    "a short state": lambda gen, frames: gen.set_state(gen.get_state()[:-1]),
    "a state of more rows": lambda gen, frames: gen.set_state(gen.get_state() * 2),
    "a state whose last row is damaged": lambda gen, frames: gen.set_state(
        gen.get_state()[:-1] + bytes([gen.get_state()[-1] ^ 1])
    ),
    "a score of too large a code": lambda gen, frames: fw.score(
        gen.model, [0, gen.model.spec.levels], frames=frames, speaker=first(gen.speaker)
    ),
    "outputs for rows": lambda gen, frames: fw.outputs(
        gen.model, np.zeros((2, 2), int), frames=frames, speaker=first(gen.speaker)
    ),
    "audio of another rate": lambda gen, frames: gen.prime([0.5], sample_rate=8001, frames=frames),
    "out of another length": lambda gen, frames: gen.generate(
        1, frames=frames, out=np.empty((gen.batch or 1, 2), np.float32)
    ),
    "no length": lambda gen, frames: fw.generate(gen.model),
}
