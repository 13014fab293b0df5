"""wavenet-coding's own generator, which its authors wrote in numpy."""

from __future__ import annotations

import numpy as np
from wavenet_coding.configs import WaveNetCoderConfig
from wavenet_coding.model import IncrementalWaveNetEngine

from ..importers.folding import Convolution, scalar_kernel
from ..importers.parts import KERAS, disassembled, named_tensors
from ..importers.wavenet_coding import CONVOLUTIONS, SIZES
from ..mulaw import mu_law_decode
from ..spec import WaveNetSpec
from .bounds import spec_without_frames
from .conditions import Conditions
from .peer import NotAvailable, Peer, Weights


class WavenetCoding(Peer):
    """One voice, with the loop of its `synthesize_parametric`; amplitudes are looked up.

    Raises NotAvailable for a network that it cannot express.
    """

    normalised = True

    def __init__(
        self,
        spec: WaveNetSpec,
        weights: Weights,
        batch: int = 1,
        conditions: Conditions | None = None,
        seed: int = 0,
    ):
        self.spec, self.batch, self.rng = spec, batch, np.random.default_rng(seed)
        self.rows = None if conditions is None else conditions.rows[:, :, 0]  # (T, L, 2D)
        self.engine = IncrementalWaveNetEngine(_config(spec), _tensors(spec, weights))
        decoded = mu_law_decode(np.arange(spec.levels), spec.levels, codec=spec.codec)
        self.amplitudes = [float(amplitude) for amplitude in decoded]
        self.reset()

    def reset(self) -> None:
        self.engine.reset_state()
        self.time, self.code = 0, self.spec.start.code

    def step(self, codes: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(self._step(int(codes[0])))[None]

    def generate(self, n: int) -> np.ndarray:
        drawn = np.empty((1, n), np.int64)
        for i in range(n):
            log_p = np.log(np.maximum(self._step(self.code), 1e-12))
            log_p -= np.max(log_p)
            p = np.exp(log_p)
            p /= np.sum(p)
            self.code = drawn[0, i] = int(self.rng.choice(self.spec.levels, p=p))
        return drawn

    def _step(self, code: int) -> np.ndarray:
        """The distribution of the sample after `code`, (Q,)."""
        conds = None if self.rows is None else list(self.rows[self.time % len(self.rows)])
        self.time += 1
        return self.engine.step(self.amplitudes[code], conds)


def _config(spec: WaveNetSpec) -> WaveNetCoderConfig:
    """Raises NotAvailable for other sizes than it computes with."""
    in_block = next((n for n in range(1, spec.layers) if spec.dilations[n] == 1), spec.layers)
    blocks = spec.layers // in_block
    expected = {
        "kernel": (2,) * spec.layers,
        "head": spec.skip,
        "dilations": tuple(2**i for i in range(in_block)) * blocks,
    }
    for name, value in expected.items():
        if getattr(spec, name) != value:
            raise NotAvailable(f"wavenet-coding has no network with this {name}")
    sizes = {theirs: getattr(spec, ours) for theirs, ours in SIZES.items()}
    return WaveNetCoderConfig(
        num_blocks=blocks, layers_per_block=in_block, use_conditioning=False, **sizes
    )


def _tensors(spec: WaveNetSpec, weights: Weights) -> dict[str, np.ndarray]:
    """By its names, without those of frames.  Raises NotAvailable for a free table of codes."""
    kernel = scalar_kernel(weights["first.weight"], spec.codec)
    if kernel is None:
        raise NotAvailable("wavenet-coding takes amplitudes, and this network a table of codes")
    first = {"first": Convolution(kernel, weights.get("first.bias"))}
    parts = disassembled(spec_without_frames(spec), weights) | first
    return named_tensors(parts, CONVOLUTIONS, KERAS, spec.layers)
