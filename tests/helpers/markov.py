"""Networks whose best sampling is known: Markov chains of codes, with given logits."""

import bisect

import numpy as np

from fastwavenet.ends import CodeInput, FrameConditioning
from fastwavenet.model import Model
from fastwavenet.mulaw import mu_law_decode
from fastwavenet.spec import WaveNetSpec

LEVELS, RATE, SILENT = 16, 8000, 7  # the code of silence


def chain_spec(**changes) -> WaveNetSpec:
    sizes = dict.fromkeys(("residual", "dilation_channels", "skip", "head"), LEVELS)
    fixed = {"sample_rate": RATE, "levels": LEVELS, "dilations": (1,), "input": CodeInput(1)}
    return WaveNetSpec(**sizes | fixed | changes)


def chain_weights(spec: WaveNetSpec, logits: np.ndarray) -> dict[str, np.ndarray]:
    """Of a network with the logits (code, next code): its gates hold the code as one of LEVELS."""
    weights = {name: np.zeros(shape, np.float32) for name, shape in spec.tensors().items()}
    one = np.eye(LEVELS, dtype=np.float32)
    weights["first.weight"][0] = 20 * one  # tanh of it is 1
    layer = next(name for name in weights if weights[name].shape[0] == 2 * LEVELS)
    weights[layer][:LEVELS, :, -1] = one
    weights[f"{layer.rsplit('.', 1)[0]}.bias"][LEVELS:] = 20  # the gates are open
    (skip,) = (n for n in weights if "skip" in n and n.endswith("weight"))
    weights[skip][:, :, 0] = one
    weights["head.hidden.weight"][:, :, 0] = one
    weights["head.output.weight"][:, :, 0] = logits.T
    return weights


def chain(spec: WaveNetSpec, logits: np.ndarray, precision="float32") -> Model:
    return Model(spec, chain_weights(spec, logits), precision)


def sound(transitions: np.ndarray, seconds: float, seed: int = 0) -> np.ndarray:
    """float32 (n,), drawn from the chain of these probabilities (code, next code)."""
    cumulative = np.cumsum(transitions, axis=1)[:, :-1].tolist()
    codes, code = [], SILENT
    for drawn in np.random.default_rng(seed).random(round(seconds * RATE)).tolist():
        code = bisect.bisect(cumulative[code], drawn)
        codes.append(code)
    return mu_law_decode(np.array(codes, np.uint8), LEVELS)


def bursts() -> np.ndarray:
    """Probabilities (code, next code): noise of changing sign, and silence, a tenth of a second."""
    code = np.arange(LEVELS)
    found = np.exp(-abs(code[None] - (LEVELS - 1 - code)[:, None]) / 2.0)
    found[:, SILENT] = 0
    found *= 0.999 / found.sum(axis=1, keepdims=True)
    found[:, SILENT] = 0.001
    found[SILENT] = 0.001 / (LEVELS - 1)
    found[SILENT, SILENT] = 0.999
    return found


def walk() -> np.ndarray:
    """Probabilities (code, next code) of steps by at most 3, of which small ones are likely."""
    step = abs(np.arange(LEVELS)[None] - np.arange(LEVELS)[:, None])
    found = np.where(step <= 3, np.exp(-0.8 * step), 0)
    return found / found.sum(axis=1, keepdims=True)


WITH_FRAMES = FrameConditioning(channels=2, hop=160)
