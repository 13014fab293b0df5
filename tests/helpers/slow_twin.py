"""A slow twin of Generator, score and outputs: single voices, portable code, one step per call."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from engines import run

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.reference import bfloat16_weights
from fastwavenet.samples import to_codes as samples_to_codes
from fastwavenet.spec import WaveNetSpec
from fastwavenet.upsampling import continued

PORTABLE_MACS = 5_000  # of a step in portable code, whose multiply-adds are slow, at most
# Of the precisions whose bits numpy computes: the steps, and the projection of frames.
TWINS = {
    "int8": (reference.Int8Steps, reference.project_frames_int8),
    "int8x8": (reference.Int8x8Steps, reference.project_frames_int8),
    "bfloat16x16": (reference.Bfloat16x16Steps, reference.project_frames_bfloat16x16),
}
PROMISED = 1e-4  # of max(1, the largest logit), between float32 and the float64 reference


def isa_for(model: fw.Model) -> str:
    """Portable code for small networks, the best instruction set for others."""
    return "scalar" if model.spec.macs_per_sample <= PORTABLE_MACS else fw.available_isas()[-1]


@functools.lru_cache(maxsize=2)
def fed_once(model: fw.Model) -> fw.Model:
    """The model with a start code that is fed once: the twin feeds it the other times."""
    start = dataclasses.replace(model.spec.start, times=1)
    spec = dataclasses.replace(model.spec, start=start)
    return fw.Model(spec, model.weights, model.precision)


class SlowTwin:
    """What a generator of `rows` voices must do; no call of a voice takes more than one step.

    State is (rows,) bytes and whether the rows have begun.
    """

    def __init__(
        self,
        model: fw.Model,
        rows: int,
        seed: int,
        stream: int,
        speakers: list[int] | None = None,
    ):
        self.model, self.stream, self.begun, self.speakers = model, stream, False, speakers
        isa, each = isa_for(model), [None] * rows if speakers is None else speakers
        self.voices = [
            fw.Generator(
                fed_once(model), seed=seed, stream=stream + row, isa=isa, speaker=each[row]
            )
            for row in range(rows)
        ]

    def copy(self) -> "SlowTwin":
        twin = SlowTwin(self.model, len(self.voices), self.seed, self.stream, self.speakers)
        twin.set_state(self.get_state())
        twin.set_sampling(**self.voices[0]._given)
        return twin

    def set_sampling(
        self, temperature: float | None, top_k: int | None, min_p: float | None
    ) -> None:
        for voice in self.voices:
            voice.temperature, voice.top_k, voice.min_p = temperature, top_k, min_p

    def reset(self, seed: int) -> None:
        self.begun = False
        for voice in self.voices:
            voice.reset(seed)

    def get_state(self) -> tuple[list[bytes], bool]:
        return [voice.get_state() for voice in self.voices], self.begun

    def set_state(self, state: tuple[list[bytes], bool]) -> None:
        rows, self.begun = state
        for voice, row in zip(self.voices, rows, strict=True):
            voice.set_state(row)

    @property
    def seed(self) -> int:
        return self.voices[0].seed

    @property
    def position(self) -> int:
        (position,) = {voice.position for voice in self.voices}
        return position

    def generate(
        self, n: int, frames: np.ndarray | None = None, at: int = 0, **numbers
    ) -> np.ndarray:
        """float32 (rows, n); frames (frames, channels) or (rows, frames, channels)

        at: of the frames' samples, the number of the first that is generated
        numbers: temperature and min_p, (frames,) or (rows, frames)
        """
        audio = np.empty((len(self.voices), n), np.float32)
        for row, voice in enumerate(self.voices):
            own = frames_of_row(frames, row)
            for i, t in enumerate(range(at, at + n)):
                feed_start(voice, self.model, own, t)
                now = numbers_now(voice, own, t, numbers_of_row(numbers, row))
                audio[row, i] = run(voice, 1, frames=own, at=t, **now).audio[0, 0]
        self.begun |= n > 0
        return audio

    def prime(self, samples: np.ndarray, frames: np.ndarray | None = None) -> None:
        """samples (rows, n); frames as in `generate`"""
        for row, voice in enumerate(self.voices):
            own, begun = frames_of_row(frames, row), self.begun or self.model.spec.start.fed
            for t, sample in enumerate(samples[row]):
                feed_start(voice, self.model, own, t)
                prime_one(voice, sample, own, t, begun)
                begun = True
        self.begun |= samples.shape[1] > 0


def feed_start(
    voice: fw.Generator,
    model: fw.Model,
    frames: np.ndarray | None,
    t: int,
    sound: tuple[int, int] | None = None,
) -> None:
    """Feeds a fresh voice the start code, but the last time, with the features of sample t."""
    if voice._session.begun():
        return
    for _ in range(model.spec.start.times - 1):
        run(voice, 1, forced=model.spec.start.code, frames=frames, at=t, sound=sound)
    voice._session.set_last(np.zeros(1, np.float32))


def prime_one(
    voice: fw.Generator, sample: np.number, frames: np.ndarray | None, t: int, begun: bool
) -> None:
    """Sample t of the frames becomes the newest of the voice's past."""
    session, spec = voice._session, voice.model.spec
    known = samples_to_codes(np.array([sample]), spec, voice.isa, before=session.last())
    if begun:
        run(voice, 1, forced=known.codes, frames=frames, at=t)
    else:
        session.begin(known.codes[:, 0])
    if known.last is not None:
        session.set_last(known.last)


def frames_of_row(frames: np.ndarray | None, row: int) -> np.ndarray | None:
    return frames if frames is None or frames.ndim == 2 else frames[row]


def numbers_of_row(numbers: dict[str, np.ndarray], row: int) -> dict[str, np.ndarray]:
    """Name -> (frames,)"""
    return {name: each if each.ndim == 1 else each[row] for name, each in numbers.items()}


def numbers_now(
    voice: fw.Generator, frames: np.ndarray | None, t: int, numbers: dict[str, np.ndarray]
) -> dict[str, float]:
    """Temperature and min_p of sample t of the frames: given ones, or by the model's rules."""
    sampling, now = voice._sampling, {"temperature": voice.temperature, "min_p": voice.min_p}
    if frames is None:
        return now
    frame = min(t // voice.model.spec.conditioning.hop, len(frames) - 1)
    for name in now:
        voiced = sampling.voiced and getattr(sampling.voiced, name)
        if name in numbers:
            now[name] = float(numbers[name][frame])
        elif voiced is not None:
            voicing = min(max(float(frames[frame, sampling.voiced.channel]), 0.0), 1.0)
            mixed = np.float32((1 - voicing) * now[name] + voicing * voiced)
            too_low = name == "temperature" and mixed < np.float32(0.001)
            now[name] = 0.0 if too_low else float(mixed)
    quiet = None if "temperature" in numbers else sampling.quiet
    if quiet is not None and float(frames[frame, quiet.channel]) < quiet.below:
        now["temperature"] = 0.0
    return now


def listen(
    model: fw.Model, samples: np.ndarray, frames: np.ndarray | None, speaker: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """float32 logits (n, levels), and log-probabilities (n - 1,) of all inputs but the first.

    samples codes or audio; frames (frames, channels).  n: the samples, and the start code if that
    is fed as one.
    """
    codes, fed = to_codes(samples, model.spec), model.spec.start.fed
    n, isa, sound = len(codes), isa_for(model), None
    voice = fw.Generator(fed_once(model), seed=0, isa=isa, speaker=speaker)
    frames = frames_of_row(frames, 0)
    if frames is not None:  # the last output is of a sample after them
        numbers, sound = np.arange(len(frames) + 1), (0, len(frames))
        frames = continued(frames, numbers, model.spec.conditioning.edges)
    if n and not fed:
        voice._session.begin(codes[:1])
    elif n:
        feed_start(voice, model, frames, 0, sound)
    taken = []
    for t in range(n):
        following = codes[(t + 1) % n : (t + 1) % n + 1]
        at = t + (not fed)
        taken.append(run(voice, 1, forced=following, frames=frames, at=at, sound=sound))
    logits = np.array([step.logits[0, 0] for step in taken], np.float32)
    logp = np.array([step.logp[0, 0] for step in taken[:-1]], np.float32)
    return logits.reshape(n, model.spec.levels), logp


def slow_entropies(logits: np.ndarray) -> np.ndarray:
    """Of the distribution of each row, in nats: float64 (n,)."""
    logits = logits.astype(np.float64)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)


def frame_means(values: np.ndarray, n: int, hop: int, at: int, smooth: int) -> list[float]:
    """The mean of each frame of n samples and its neighbours; values: of samples from `at` on."""
    count = max(1, n // hop)
    bounds = [(f * hop, n if f == count - 1 else (f + 1) * hop) for f in range(count)]
    reach = smooth // 2
    means = []
    for f in range(count):
        first, last = bounds[max(0, f - reach)], bounds[min(count - 1, f + reach)]
        means.append(values[max(0, first[0] - at) : last[1] - at].mean(dtype=float))
    return means


def to_codes(samples: np.ndarray, spec: WaveNetSpec) -> np.ndarray:
    """The inputs of a network without a past."""
    is_audio = np.issubdtype(samples.dtype, np.floating)
    codes = samples
    if is_audio:
        codes = fw.mu_law_encode(samples, spec.levels, codec=spec.codec, isa="scalar")
    return np.append([spec.start.code], codes) if spec.start.fed else codes


def logits_of_twin(
    spec: WaveNetSpec,
    weights: dict[str, np.ndarray],
    precision: str,
    codes: np.ndarray,
    frames: np.ndarray | None = None,
    speaker: int | None = None,
    samples: Sequence[int] | None = None,
) -> np.ndarray:
    """float32 (n, levels) of n codes, by the numpy twin of a precision of TWINS.

    samples: that each code leads to, whose frame counts; None: 1 to n.
    """
    network, project = TWINS[precision]
    rows = None
    if spec.conditioning is not None:
        reached = range(1, len(codes) + 1) if samples is None else samples
        rows = project(spec, weights, frames, speaker, reached)
    return reference.teacher_forced(spec, weights, codes, rows, network)


def check_against_numpy(
    spec: WaveNetSpec,
    weights: dict[str, np.ndarray],
    precision: str,
    codes: np.ndarray,
    frames: np.ndarray | None,
    speaker: int | None,
    found: np.ndarray,
) -> None:
    """Logits (n, levels) of n codes: a twin's to the bit, else near the float64 network's."""
    at, more = int(not spec.start.fed), spec.start.times - 1  # codes that yield no output
    frames = frames_of_row(frames, 0)
    given, samples = (frames, speaker), [*[at] * more, *range(at, at + len(codes))]
    fed = np.append(np.full(more, spec.start.code), codes)
    if precision in TWINS:
        expected = logits_of_twin(spec, weights, precision, fed, *given, samples)[more:]
        assert found.tobytes() == expected.tobytes()
        return
    if precision == "bfloat16":
        weights = bfloat16_weights(weights)
        known, model = codes[spec.start.fed :], fw.Model(spec, weights)
        rounded = fw.outputs(model, known, frames=frames, speaker=speaker, isa="scalar")
        assert found.tobytes() == rounded.tobytes()
    rows = None
    if spec.conditioning is not None:
        rows = reference.project_frames(spec, weights, *given, samples)
    expected = reference.teacher_forced(spec, weights, fed, rows)[more:]
    assert np.abs(found - expected).max() <= PROMISED * max(1, np.abs(expected).max())
