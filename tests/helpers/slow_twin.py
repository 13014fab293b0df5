"""A slow twin of Generator, score and outputs: single voices, portable code, one step per call."""

import numpy as np
from engines import run

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.reference import Int8Steps, bfloat16_weights
from fastwavenet.spec import WaveNetSpec

PORTABLE_MACS = 5_000  # of a step in portable code, whose multiply-adds are slow, at most
PROMISED = 1e-4  # of max(1, the largest logit), between float32 and the float64 reference


def isa_for(model: fw.Model) -> str:
    """Portable code for small networks, the best instruction set for others."""
    return "scalar" if model.spec.macs_per_sample <= PORTABLE_MACS else fw.available_isas()[-1]


class SlowTwin:
    """What a generator of `rows` voices must do; no call of a voice takes more than one step.

    State is (rows,) bytes and whether the rows have begun.
    """

    def __init__(self, model: fw.Model, rows: int, seed: int, stream: int):
        self.model, self.stream, self.begun = model, stream, False
        isa = isa_for(model)
        self.voices = [
            fw.Generator(model, seed=seed, stream=stream + row, isa=isa) for row in range(rows)
        ]

    def copy(self) -> "SlowTwin":
        twin = SlowTwin(self.model, len(self.voices), self.seed, self.stream)
        twin.set_state(self.get_state())
        voice = self.voices[0]
        twin.set_sampling(voice.temperature, voice.top_k, voice.min_p)
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

    def steps_of(self, samples: int) -> int:
        """Steps that priming so many samples takes: one that is the first input takes none."""
        fed = self.model.spec.start.fed
        return samples - (samples > 0 and not self.begun and not fed)

    def generate(self, n: int, cond: np.ndarray | None = None) -> np.ndarray:
        """float32 (rows, n); cond (n, rows, layers, 2D)"""
        audio = np.empty((len(self.voices), n), np.float32)
        for row, voice in enumerate(self.voices):
            for t in range(n):
                audio[row, t] = voice.generate(1, cond=frame(cond, t, row))[0]
        self.begun |= n > 0
        return audio

    def prime(self, samples: np.ndarray, cond: np.ndarray | None = None) -> None:
        """samples (rows, n); cond (steps, rows, layers, 2D)"""
        n = samples.shape[1]
        first = n - self.steps_of(n)
        for row, voice in enumerate(self.voices):
            for t in range(n):
                voice.prime(samples[row, t : t + 1], cond=frame(cond, max(t - first, 0), row))
        self.begun |= n > 0


def frame(cond: np.ndarray | None, t: int, row: int) -> np.ndarray | None:
    """One frame (1, layers, 2D) of cond (steps, rows, layers, 2D); zeros after the last step."""
    if cond is None:
        return None
    return cond[t : t + 1, row] if t < len(cond) else np.zeros((1, *cond.shape[2:]), np.float32)


def every_step(cond: np.ndarray | None, hop: int, steps: int, rows: int) -> np.ndarray | None:
    """cond as a call takes it, to one frame for each step: (steps, rows, layers, 2D)."""
    if cond is None:
        return None
    cond = cond[:, None] if cond.ndim == 3 else cond
    at = np.minimum(np.arange(steps) // hop, len(cond) - 1)
    return np.broadcast_to(cond[at], (steps, rows, *cond.shape[2:]))


def listen(
    model: fw.Model, samples: np.ndarray, cond: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """float32 logits (n, levels), and log-probabilities (n - 1,) of all inputs but the first.

    samples codes or audio; cond (n or n - 1, 1, layers, 2D).  n: the samples, and the start code if
    that is fed as one.
    """
    codes = to_codes(samples, model.spec)
    n, voice = len(codes), fw.Generator(model, seed=0, isa=isa_for(model))
    if not model.spec.start.fed:
        voice.prime(codes[:1], cond=frame(cond, 0, 0))
    taken = [
        run(voice, 1, forced=codes[(t + 1) % n : (t + 1) % n + 1], cond=frame(cond, t, 0))
        for t in range(n)
    ]
    logits = np.array([step.logits[0, 0] for step in taken], np.float32)
    logp = np.array([step.logp[0, 0] for step in taken[:-1]], np.float32)
    return logits.reshape(n, model.spec.levels), logp


def to_codes(samples: np.ndarray, spec: WaveNetSpec) -> np.ndarray:
    """The inputs of a network without a past."""
    is_audio = np.issubdtype(samples.dtype, np.floating)
    codes = samples
    if is_audio:
        codes = fw.mu_law_encode(samples, spec.levels, codec=spec.codec, isa="scalar")
    return np.append([spec.start.code], codes) if spec.start.fed else codes


def check_against_numpy(
    spec: WaveNetSpec,
    weights: dict[str, np.ndarray],
    precision: str,
    codes: np.ndarray,
    cond: np.ndarray | None,
    found: np.ndarray,
) -> None:
    """Logits (n, levels) of n codes: in int8 to the bit, else near those of the float64 network."""
    frames = None if cond is None else cond[:, 0]
    if precision == "int8":
        expected = reference.teacher_forced(spec, weights, codes, frames, Int8Steps)
        assert found.tobytes() == expected.tobytes()
        return
    if precision == "bfloat16":
        weights = bfloat16_weights(weights)
        samples = codes[spec.start.fed :]
        rounded = fw.outputs(fw.Model(spec, weights), samples, cond=frames, isa="scalar")
        assert found.tobytes() == rounded.tobytes()
    expected = reference.teacher_forced(spec, weights, codes, frames)
    assert np.abs(found - expected).max() <= PROMISED * max(1, np.abs(expected).max())
