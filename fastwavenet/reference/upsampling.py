"""Learned upsampling in numpy: in float64 as it is defined, in float32 to the engine's last bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

import numpy as np

from ..ends import FrameConditioning
from ..spec import WaveNetSpec
from ..upsampling import UPSAMPLING, UpsamplingStage, context, first_output, rate

StageFunction = Callable[[UpsamplingStage, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def fused(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """float32 a b + c of float32 numbers, rounded once."""
    p = np.asarray(a, np.float64) * b  # exact
    s = np.asarray(p + c)
    half_way = s.view(np.uint64) & np.uint64(0x1FFFFFFF) == 0x10000000  # between two floats
    tiny = (np.abs(s) < 2.0**-126) & (s != 0)
    return (_rounded_to_odd(p, c, s) if (half_way | tiny).any() else s).astype(np.float32)


@np.errstate(invalid="ignore")
def _rounded_to_odd(p: np.ndarray, c: np.ndarray, s: np.ndarray) -> np.ndarray:
    """s = p + c, or its odd neighbour if the sum is not exact (docs/arithmetic.md)."""
    t = s - p
    error = (p - (s - t)) + (c - t)
    inexact = ((error < 0) | (error > 0)).astype(np.uint64)
    beyond = inexact * (np.signbit(s) != np.signbit(error))  # the sum lies nearer to zero
    return (s.view(np.uint64) - beyond | inexact).view(np.float64)


def upsample(
    spec: WaveNetSpec, weights: Mapping[str, np.ndarray], frames: np.ndarray
) -> np.ndarray:
    """The features of frames (frames, channels) and of one frame after them, float64.

    Without upsampling the frames themselves.
    """
    return _through_stages(spec, weights, np.asarray(frames, np.float64), full_convolution)


def upsample_float32(
    spec: WaveNetSpec, weights: Mapping[str, np.ndarray], frames: np.ndarray
) -> np.ndarray:
    """`upsample` as the engine computes it in every precision, float32, to the last bit."""
    return _through_stages(spec, weights, np.asarray(frames, np.float32), sums_in_order)


def _through_stages(
    spec: WaveNetSpec,
    weights: Mapping[str, np.ndarray],
    frames: np.ndarray,
    compute: StageFunction,
) -> np.ndarray:
    end = spec.conditioning
    assert end is not None
    if not end.upsampling:
        return frames
    count, x = len(frames) + 1, continued(end, frames)
    first = -context(end.upsampling)[0]
    for number, stage in enumerate(end.upsampling):
        if stage.padding == "zeros":
            x = _zeros_outside(x, first_output(end.upsampling[:number], first), end, number, count)
        name = f"{UPSAMPLING}.{number}"
        zero = np.zeros(stage.channels, np.float32)
        x = compute(stage, weights[f"{name}.weight"], weights.get(f"{name}.bias", zero), x)
        x = np.maximum(x, 0) if stage.activation == "relu" else x
    begin = -first_output(end.upsampling, first)
    return x[begin : begin + count * rate(end.upsampling)]


def _zeros_outside(
    x: np.ndarray, at: int, end: FrameConditioning, number: int, count: int
) -> np.ndarray:
    """Inputs of a stage, the first of them number `at`, with zeros outside of count - 1 frames."""
    of_frame = rate(end.upsampling[:number])
    numbers = at + np.arange(len(x))
    return np.where(((numbers >= 0) & (numbers < (count - 1) * of_frame))[:, None], x, 0)


def continued(end: FrameConditioning, frames: np.ndarray) -> np.ndarray:
    """The frames with all that their features and those of one more frame depend on."""
    before, after = context(end.upsampling)
    how = {"mode": "edge"} if end.edges == "held" else {"mode": "constant"}
    return np.pad(frames, ((before, after + 1), (0, 0)), **how)  # type: ignore[call-overload]


def full_convolution(
    stage: UpsamplingStage, weight: np.ndarray, bias: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """A stage of x (n, in): each input adds to `kernel` outputs, from `stride` times its number on.

    Of these outputs only those are kept that have all their inputs, (n - before - after) stride.
    """
    n, stride = len(x), stage.stride
    (before, after) = stage.reach
    full = np.zeros(((n - 1) * stride + stage.kernel, stage.channels))
    for tap in range(stage.kernel):
        full[tap : tap + (n - 1) * stride + 1 : stride] += x @ _matrix(stage, weight, tap).T
    first = stage.crop + before * stride
    return full[first : first + (n - before - after) * stride] + bias


def sums_in_order(
    stage: UpsamplingStage, weight: np.ndarray, bias: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """The same as a product for each input: four partial sums over taps and channels."""
    taps, (before, _) = stage.taps, stage.reach
    rows = np.hstack([x[tap : len(x) - taps + 1 + tap] for tap in range(taps)])  # oldest first
    phases = []  # (out, taps * in) of each of `stride` outputs
    for phase in range(stage.stride):
        numbers = [stage.crop + phase + (before - tap) * stage.stride for tap in range(taps)]
        phases.append(np.hstack([_matrix(stage, weight, number) for number in numbers]))
    matrix = np.vstack(phases).astype(np.float32)
    sums = [np.zeros((len(rows), len(matrix)), np.float32) for _ in range(4)]
    for k in range(rows.shape[1]):
        sums[k % 4] = fused(rows[:, k, None], matrix[:, k], sums[k % 4])
    start = np.tile(np.asarray(bias, np.float32), stage.stride)
    y = reduce(np.add, sums, np.broadcast_to(start, sums[0].shape))
    return y.reshape(-1, stage.channels)


def _matrix(stage: UpsamplingStage, weight: np.ndarray, tap: int) -> np.ndarray:
    """(out, in) of a tap of the full convolution; zeros outside its kernel."""
    # the first tap of PyTorch's convolutions is that of the earliest input
    weight = weight.transpose(1, 0, 2) if stage.stride > 1 else weight[:, :, ::-1]
    return weight[:, :, tap] if 0 <= tap < stage.kernel else np.zeros(weight.shape[:2])
