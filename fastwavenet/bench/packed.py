"""A network's weights, rearranged so that one step has few and fast operations."""

from __future__ import annotations

import math

import numpy as np

from ..ends import CodeInput
from ..spec import WaveNetSpec
from .conditions import Conditions
from .peer import Peer, Weights

NOISE_NUMBERS = 2**16  # random numbers are made so many at once


class Packed(Peer):
    """The algebra that the tuned peers share.  ../../bench/NOTES.md has the gain of each trick.

    - sigmoid(b) = (1 + tanh(b / 2)) / 2, so that one tanh over all 2D serves both halves of the
      gate: 2 z = a + a b' with (a, b') = tanh(h).  The factors 1/2 go into the weights.
    - The residual biases in front of layer l add up to a constant c_l.  Its x is kept without it,
      so that nothing is left to add; the effect of c_l on h is in h's bias, and silence is -c_l.
    - Matrices are (inputs, outputs): a row times such a matrix is fastest in BLAS here.
    - One ring holds all layers' past inputs: one gather and one scatter move them all.
    - Conditioning is known ahead: rows and h's bias are added up before the timing.  `bases`,
      (T, L, B, 2D), takes the place of the bias, and repeats after T steps.

    Raises ValueError for a spec with mixed kernels, an input that is not plain or has
    other than 2 taps, or no biases.
    """

    def __init__(
        self,
        spec: WaveNetSpec,
        weights: Weights,
        batch: int = 1,
        conditions: Conditions | None = None,
    ):
        if len(set(spec.kernel)) > 1 or spec.input != CodeInput(2) or not spec.bias:
            raise ValueError("tuned peers need one kernel size, a plain input of 2 taps and biases")
        self.spec, self.batch = spec, batch
        self.noise_rows = max(1, NOISE_NUMBERS // (batch * spec.levels))
        self._weights = {name: np.asarray(a, np.float64) for name, a in weights.items()}
        self.tables = _float32(self._weights["first.weight"])  # (2, Q, R)
        self.tables[1] += weights["first.bias"]
        self._pack_gates()
        self.bases = None if conditions is None else conditions.bases(self.half, self.gate_bias)
        self._pack_outputs()
        self._lay_out_ring()
        del self._weights

    def _layers(self, tensor: str) -> list[np.ndarray]:
        names = [f"layers.{layer}.{tensor}" for layer in range(self.spec.layers)]
        return [self._weights[name] for name in names if name in self._weights]

    def _pack_gates(self) -> None:
        layers, d = self.spec.layers, self.spec.dilation_channels
        silent = np.zeros((1, self.spec.residual))
        self.offsets = np.cumsum([*silent, *self._layers("residual.bias")], axis=0)  # c: (L, R)
        dilated = np.array(self._layers("dilated.weight"))  # (L, 2D, R, k)
        bias = np.array(self._layers("dilated.bias"))  # (L, 2D)
        bias += np.einsum("lork,lr->lo", dilated, self.offsets)
        self.half = np.repeat([1, 0.5], d)  # (2D,)
        taps = dilated.transpose(0, 3, 2, 1) * self.half  # (L, k, R, 2D)
        self.past = _float32(taps[:, :-1].reshape(layers, -1, 2 * d))  # (L, (k-1) R, 2D)
        self.now = _float32(taps[:, -1])  # (L, R, 2D)
        self.gate_bias = _float32(bias * self.half)  # (L, 2D)

    def _pack_outputs(self) -> None:
        w = self._weights
        skip = np.concatenate(self._layers("skip.weight"), axis=1)  # (S, L D, 1)
        self.residual = [_transposed(matrix / 2) for matrix in self._layers("residual.weight")]
        self.skip = _transposed(skip / 2)
        self.skip_bias = _float32(np.sum(self._layers("skip.bias"), axis=0))
        self.hidden = _transposed(w["head.hidden.weight"])  # (S, H)
        self.hidden_bias = _float32(w["head.hidden.bias"])
        self.output = _transposed(w["head.output.weight"])  # (H, Q)
        self.output_bias = _float32(w["head.output.bias"])

    def _lay_out_ring(self) -> None:
        """The silent ring, and for each moment of its period the rows to read and to write.

        A layer has (k-1) d slots of B rows.  Its oldest inputs are read first and then overwritten.
        """
        taps, dilations = self.spec.kernel[0] - 1, np.array(self.spec.dilations)
        lengths = taps * dilations  # (L,)
        self.silence = _float32(np.repeat(-self.offsets, lengths * self.batch, axis=0))
        first = np.cumsum(lengths) - lengths
        time = np.arange(math.lcm(*lengths.tolist()))[:, None, None]
        delay = np.arange(taps) * dilations[:, None]  # (L, k-1), oldest first
        slots = first[:, None] + (time + delay) % lengths[:, None]  # (period, L, k-1)
        voices = np.arange(self.batch)[:, None]
        self.reads = slots[:, :, None] * self.batch + voices  # (period, L, B, k-1)
        self.writes = np.ascontiguousarray(self.reads[..., 0])  # (period, L, B)


def _float32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)


def _transposed(conv: np.ndarray) -> np.ndarray:  # (out, in, 1) -> (in, out)
    return _float32(conv[:, :, 0].T)
