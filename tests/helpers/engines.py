"""The C engine as tests see it: models of small networks, and steps with all that they yield."""

import contextlib
import ctypes
import ctypes.util
import functools
import platform
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from networks import random_frames, random_weights, small_spec

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.drawing import drawing_of
from fastwavenet.session import check_frames
from fastwavenet.spec import WaveNetSpec


@functools.cache
def weights_of(spec: WaveNetSpec, seed: int = 1) -> dict[str, np.ndarray]:
    return random_weights(spec, seed)


@functools.cache
def model_of(spec: WaveNetSpec, seed: int = 1, precision: str = "float32") -> fw.Model:
    return fw.Model(spec, weights_of(spec, seed), precision)


def changed_model(spec: WaveNetSpec, precision: str = "float32", **tensors) -> fw.Model:
    """A model of `spec` with some tensors filled by other values; `_` stands for a dot."""
    weights = {name: array.copy() for name, array in weights_of(spec).items()}
    for name in spec.tensors():
        if name.replace(".", "_") in tensors:
            weights[name][...] = tensors.pop(name.replace(".", "_"))
    assert not tensors
    return fw.Model(spec, weights, precision)


def frames_of(spec: WaveNetSpec, n: int, seed: int = 3) -> np.ndarray | None:
    """float32 (frames, channels) for n samples of a network that needs them."""
    has_frames = spec.conditioning is not None and spec.conditioning.channels
    return random_frames(spec, n, seed) if has_frames else None


class Steps(NamedTuple):
    codes: np.ndarray  # uint16 (rows, n)
    audio: np.ndarray  # float32 (rows, n)
    logp: np.ndarray  # float32 (rows, n)
    logits: np.ndarray  # float32 (rows, n, levels)

    def row(self, i: int) -> "Steps":
        return Steps(*(array[i : i + 1] for array in self))

    def bits(self) -> list[bytes]:
        return [array.tobytes() for array in self]


def run(
    gen: fw.Generator, n: int, *, forced=None, frames=None, at: int = 0, sound=None, **numbers
) -> Steps:
    """n steps of a generator; a network that needs frames and is given none gets `frames_of`'s.

    forced: (n,) or (rows, n); frames: (frames, channels) or (rows, frames, channels), of which the
    first one begins `at` samples before the first step's; sound: the numbers of a sound's first
    frame and of the one behind its last, if the frames are not the sound; numbers: temperature and
    min_p, as in `Generator.generate`.
    """
    if frames is None:
        frames = frames_of(gen.model.spec, n)
    session, spec = gen._session, gen.model.spec
    shapes = ((np.uint16, ()), (np.float32, ()), (np.float32, ()), (np.float32, (spec.levels,)))
    steps = Steps(*(np.empty((session.rows, n, *shape), dtype) for dtype, shape in shapes))
    if forced is not None:
        forced = np.ascontiguousarray(np.broadcast_to(forced, (session.rows, n)), np.uint16)
    given = check_frames(spec, frames, gen._speakers, samples=n, at=at, rows=session.rows)
    if sound is not None:
        given = given._replace(sounds=np.tile(np.array(sound), (session.rows, 1)))
    session.run(
        0,
        n,
        given,
        drawing=drawing_of(gen._sampling, given.values, **numbers),
        forced=forced,
        **steps._asdict(),
    )
    return steps


def joined(parts: list[Steps]) -> Steps:
    return Steps(*(np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True)))


def run_in_chunks(
    gen: fw.Generator, n: int, chunk: int, *, forced=None, frames=None, **numbers
) -> Steps:
    """`run`, `chunk` steps at a time.  forced: (n,); frames, numbers: of all n samples."""
    if frames is None:
        frames = frames_of(gen.model.spec, n)
    parts = []
    for t in range(0, n, chunk):
        now = None if forced is None else forced[t : t + chunk]
        parts.append(run(gen, min(chunk, n - t), forced=now, frames=frames, at=t, **numbers))
    return joined(parts)


def projected(spec: WaveNetSpec, weights: dict, frames, n: int, speaker=None, at: int = 1):
    """What conditions the prediction of samples at .. at + n - 1, for the reference; or None."""
    if spec.conditioning is None:
        return None
    return reference.project_frames(spec, weights, frames, speaker, range(at, at + n))


# ---- the host's floating-point mode ----------------------------------------------------------

# Bits of the register MXCSR.
ROUND_DOWN, ROUND_UP, ROUND_TO_ZERO = 0x2000, 0x4000, 0x6000
NO_DENORMALS = 0x8040  # flush results to zero, read operands as zero
MODE_BITS = ROUND_DOWN | ROUND_UP | NO_DENORMALS
MODES = {
    "round_down": ROUND_DOWN,
    "round_up": ROUND_UP,
    "round_to_zero": ROUND_TO_ZERO,
    "no_denormals": NO_DENORMALS,
    "round_up_no_denormals": ROUND_UP | NO_DENORMALS,
}
every_float_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


class _Environment(ctypes.Structure):
    """glibc's fenv_t on x86-64."""

    _fields_ = (("x87", ctypes.c_uint32 * 7), ("mxcsr", ctypes.c_uint32))


def float_mode() -> int:
    """The calling thread's rounding and denormal bits."""
    return _environment().mxcsr & MODE_BITS


@contextlib.contextmanager
def host_float_mode(mode: int) -> Iterator[None]:
    """Sets the calling thread's rounding and denormal bits, as a host program may have."""
    before = _environment()
    changed = _environment()
    changed.mxcsr = changed.mxcsr & ~MODE_BITS | mode
    _libm().fesetenv(ctypes.byref(changed))
    try:
        yield
    finally:
        _libm().fesetenv(ctypes.byref(before))


def _environment() -> _Environment:
    environment = _Environment()
    _libm().fegetenv(ctypes.byref(environment))
    return environment


@functools.cache
def _libm() -> ctypes.CDLL:
    if platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc":
        pytest.skip("the layout of fenv_t is known here for glibc on x86-64 only")
    return ctypes.CDLL(ctypes.util.find_library("m"))


SPEC = small_spec(levels=32)


def generator(spec: WaveNetSpec = SPEC, *, precision: str = "float32", **arguments) -> fw.Generator:
    return fw.Generator(model_of(spec, precision=precision), **{"seed": 5} | arguments)


@functools.cache
def one_shot(
    spec: WaveNetSpec, n: int, precision: str, temperature: float = 1.0, top_k: int | None = None
) -> Steps:
    """n samples drawn in one call by the portable code."""
    given = {"isa": "scalar", "temperature": temperature, "top_k": top_k}
    return run(generator(spec, precision=precision, **given), n)


def dice(logits) -> fw.Model:
    """A model whose logits are these at every step."""
    spec = small_spec(levels=len(logits))
    return changed_model(spec, head_output_weight=0, head_output_bias=logits)
