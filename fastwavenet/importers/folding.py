"""All folds: foreign arithmetic in the form of our network, exact in algebra.

Folds compute in float64, and parts.py rounds each number once.  The layout is PyTorch's:
a convolution's weight is (out, in, taps), tap 0 belongs to the oldest sample; gates have the tanh
half first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..ends import MuLawCodec
from ..modelfile import ModelFormatError
from ..reference.mu_law import mu_law_decode


class Convolution(NamedTuple):
    """weight: float64 (out, in, taps); bias: float64 (out,), or None."""

    weight: np.ndarray
    bias: np.ndarray | None = None

    @property
    def bias_or_zeros(self) -> np.ndarray:
        return np.zeros(len(self.weight)) if self.bias is None else self.bias


def stacked(first: Convolution, second: Convolution) -> Convolution:
    """One convolution with the outputs of both: filter and gate as gates."""
    _expect_equal("filter and gate", first.weight.shape, second.weight.shape)
    bias = None
    if first.bias is not None or second.bias is not None:
        bias = np.concatenate([first.bias_or_zeros, second.bias_or_zeros])
    return Convolution(np.concatenate([first.weight, second.weight]), bias)


def side_by_side(first: Convolution, second: Convolution) -> Convolution:
    """The sum of both as one convolution of both inputs: features and speaker."""
    outputs = [(len(conv.weight), conv.weight.shape[2]) for conv in (first, second)]
    _expect_equal("projections of features and speaker", *outputs)
    weight = np.concatenate([first.weight, second.weight], axis=1)
    return Convolution(weight, added(first.bias, second.bias))


def added(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    """The sum of biases, of which either may be None."""
    if first is None or second is None:
        return second if first is None else first
    _expect_equal("biases", first.shape, second.shape)
    return first + second


def _expect_equal(parts: str, first: tuple[int, ...], second: tuple[int, ...]) -> None:
    if first != second:
        raise ModelFormatError(f"{parts} must have equal shapes, not {first} and {second}")


def scaled(conv: Convolution, weight: float = 1.0, bias: float = 1.0) -> Convolution:
    """With weight and bias multiplied by a number each."""
    return Convolution(weight * conv.weight, None if conv.bias is None else bias * conv.bias)


def normalised_before(conv: Convolution, mean: np.ndarray, scale: np.ndarray) -> Convolution:
    """A convolution (out, in, 1) of (x - mean) / scale as one of x; mean and scale are (in,)."""
    weight = conv.weight / scale[:, None]
    return Convolution(weight, conv.bias_or_zeros - weight[:, :, 0] @ mean)


def between_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """A kernel (rows, taps) over channels and time, as one of all channels: (in, out, taps).

    Its middle row is for each channel by itself, the first for the channel before it; channels
    beyond the first and the last one are zero.  The number of rows is odd.
    """
    middle, numbers = len(kernel) // 2, np.arange(channels)
    row = numbers[:, None] - numbers + middle  # of in and out
    inside = (row >= 0) & (row < len(kernel))
    return np.where(inside[:, :, None], kernel[row.clip(0, len(kernel) - 1)], 0)


def stretched(kernel: np.ndarray) -> np.ndarray:
    """A convolution (rows, 2 scale + 1) after each input was repeated `scale` times, padded by
    `scale`, as a transposed one of that stride, from whose outputs the first `scale` are left out.
    """
    scale = kernel.shape[1] // 2
    sums = np.zeros((len(kernel), 3 * scale))
    for repeat in range(scale):
        sums[:, repeat : repeat + 2 * scale + 1] += kernel[:, ::-1]
    return sums


def plain(transposed: Convolution) -> Convolution:
    """A transposed convolution (in, out, taps) with stride 1 as a plain one (out, in, taps)."""
    return Convolution(transposed.weight.transpose(1, 0, 2)[:, :, ::-1], transposed.bias)


def weight_normed(g: np.ndarray, v: np.ndarray) -> np.ndarray:
    """g v / |v|, the norm of each output channel (dimension 0) over all other dimensions."""
    g, v = np.asarray(g, np.float64), np.asarray(v, np.float64)
    norm = np.sqrt(np.square(v).sum(axis=tuple(range(1, v.ndim)), keepdims=True))
    return g.reshape(norm.shape) * v / norm


def scalar_table(weight: np.ndarray, levels: int, codec: MuLawCodec) -> np.ndarray:
    """The tables of a convolution (R, 1, taps) on amplitudes: (taps, levels, R) rows for codes.

    A row is kernel x amplitude of the code, rounded as the product of two float32 numbers.
    """
    amplitudes = mu_law_decode(np.arange(levels), levels, codec).astype(np.float32)
    kernel = weight[:, 0, :].T.astype(np.float32)  # (taps, R)
    return kernel[:, None, :] * amplitudes[None, :, None]


def scalar_kernel(table: np.ndarray, codec: MuLawCodec) -> np.ndarray | None:
    """The inverse of `scalar_table`: (R, 1, taps) float32, or None if no kernel has these rows.

    It is read from the row of an amplitude of -1 or 1, which the codec must have.
    """
    levels = table.shape[1]
    amplitudes = mu_law_decode(np.arange(levels), levels, codec).astype(np.float32)
    full = np.flatnonzero(abs(amplitudes) == 1)
    if not len(full):
        return None
    kernel = (table[:, full[0]] * amplitudes[full[0]]).T[:, None, :]
    return kernel if np.array_equal(scalar_table(kernel, levels, codec), table) else None


def code_tables(weight: np.ndarray) -> np.ndarray:
    """The tables of a convolution (R, levels, taps) on one-hot codes: (taps, levels, R)."""
    return weight.transpose(2, 1, 0)
