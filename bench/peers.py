"""What the engine is measured against: WaveNet generators as others write them, at batch 1.

`Naive` and `CleanQueue` are fastwavenet.training.generate, what a PyTorch user writes.
`TunedTorch` and `TunedNumpy` are queues made as fast as we could in eager PyTorch and in numpy;
`Packed` holds the algebra they share.  NOTES.md says what each trick brought.

Shapes in comments: L layers, Q levels, R residual, D dilation, S skip, H head channels, k kernel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from fastwavenet.spec import WaveNetSpec
from fastwavenet.training.generate import NaiveWaveNet, QueuedWaveNet, draw
from fastwavenet.training.model import WaveNet

NOISE_ROWS = 256  # random numbers are made for so many samples at once

# How many times faster than a clean queue an independent study made the same two queues, on one
# core of a Xeon with AVX-512.  Far below that, a peer is not what it claims to be.
KNOWN_RATIOS = {
    "PyTorch, tuned queue": {
        "C1": 4.42, "C1b": 3.19, "C2": 3.19, "C3": 2.81, "C4": 1.72, "C4x30": 1.78, "C5": 1.69,
    },
    "numpy, tuned queue": {
        "C1": 4.63, "C1b": 3.23, "C2": 3.62, "C3": 2.86, "C4": 1.83, "C4x30": 1.79, "C5": 1.74,
    },
}  # fmt: skip
TOLERATED = 0.8

Weights = Mapping[str, np.ndarray]


def miswritten(network: str, rates: Mapping[str, float]) -> list[str]:
    """Says which peers are too slow beside the clean queue to be compared with.

    network: a key of KNOWN_RATIOS.  rates: peer name -> samples per second, all of one run.
    """
    complaints = []
    for name, known in KNOWN_RATIOS.items():
        ratio, expected = rates[name] / rates[CleanQueue.name], known[network]
        if ratio < TOLERATED * expected:
            complaints.append(
                f"{network}: {name} is {ratio:.2f} times as fast as the clean queue, expected "
                f"about {expected:.2f}: it is written wrong, or this machine is not fit to time on"
            )
    return complaints


class Peer:
    """A generator of one voice; it continues where the last call stopped."""

    name: str

    def reset(self) -> None:
        """A silent past, and the start code next."""
        raise NotImplementedError

    def step(self, code: int) -> np.ndarray:
        """Feeds one code; returns the logits, float32 (Q,), of the next."""
        raise NotImplementedError

    def generate(self, n: int) -> np.ndarray:
        """Draws n codes at temperature 1, int64 (n,).  This is what is timed."""
        raise NotImplementedError

    def logits(self, codes: np.ndarray) -> np.ndarray:
        """Logits (n, Q) for codes (n,) fed to a fresh peer: row t predicts code t + 1."""
        self.reset()
        rows = [self.step(int(code)) for code in codes]
        self.reset()
        return np.array(rows)


class CleanQueue(Peer):
    """The queue of fastwavenet.training.generate: the yardstick for the others."""

    name = "PyTorch, clean queue"
    network = QueuedWaveNet

    def __init__(self, spec: WaveNetSpec, weights: Weights):
        self.module = WaveNet(spec)
        self.module.load_state_dict({name: torch.tensor(a) for name, a in weights.items()})
        self.reset()

    def reset(self) -> None:
        self.net = self.network(self.module)
        self.code = torch.tensor([self.module.spec.start_code])

    def step(self, code: int) -> np.ndarray:
        return self.net.step(torch.tensor([code]))[0].numpy()

    @torch.inference_mode()
    def generate(self, n: int) -> np.ndarray:
        codes = np.empty(n, np.int64)
        for i in range(n):
            self.code = draw(self.net.step(self.code), temperature=1.0)
            codes[i] = self.code.item()
        return codes


class Naive(CleanQueue):
    """The whole receptive field for every sample; `fill` makes it whole from the first one on."""

    name = "PyTorch, naive"
    network = NaiveWaveNet

    def fill(self) -> None:
        self.net.feed(self.code.expand(1, self.module.spec.receptive_field))


class Packed(Peer):
    """A network's weights, rearranged so that a step has few and fast operations.

    - sigmoid(b) = (1 + tanh(b / 2)) / 2, so that one tanh over all 2D serves both halves of the
      gate: 2 z = a + a b' with (a, b') = tanh(h).  The factors 1/2 go into the weights.
    - The residual biases in front of layer l add up to a constant c_l.  Its x is kept without it,
      so that nothing is left to add; what c_l does to h is in h's bias, and silence is -c_l.
    - Matrices are (inputs, outputs): a row times such a matrix is what BLAS does fastest here.
    - One ring holds all layers' past inputs: one gather and one scatter move them all.

    Raises ValueError for a spec with mixed kernels, first_kernel other than 2, or no biases.
    """

    def __init__(self, spec: WaveNetSpec, weights: Weights):
        if len(set(spec.kernel)) > 1 or spec.first_kernel != 2 or not spec.bias:
            raise ValueError("tuned peers need one kernel size, first_kernel 2 and biases")
        self.spec = spec
        self._weights = {name: np.asarray(a, np.float64) for name, a in weights.items()}
        self.tables = _float32(self._weights["first.weight"])  # (2, Q, R)
        self.tables[1] += weights["first.bias"]
        self._pack_gates()
        self._pack_outputs()
        self._lay_out_ring()

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
        half = np.repeat([1, 0.5], d)  # (2D,)
        taps = dilated.transpose(0, 3, 2, 1) * half  # (L, k, R, 2D)
        self.past = _float32(taps[:, :-1].reshape(layers, -1, 2 * d))  # (L, (k-1) R, 2D)
        self.now = _float32(taps[:, -1])  # (L, R, 2D)
        self.gate_bias = _float32(bias * half)  # (L, 2D)

    def _pack_outputs(self) -> None:
        w = self._weights
        skip = np.concatenate(self._layers("skip.weight"), axis=1)  # (S, L D, 1)
        self.residual = [_transposed(matrix / 2) for matrix in self._layers("residual.weight")]
        self.skip, self.skip_bias = _transposed(skip / 2), _float32(sum(self._layers("skip.bias")))
        self.hidden = _transposed(w["head.hidden.weight"])  # (S, H)
        self.hidden_bias = _float32(w["head.hidden.bias"])
        self.output = _transposed(w["head.output.weight"])  # (H, Q)
        self.output_bias = _float32(w["head.output.bias"])

    def _lay_out_ring(self) -> None:
        """The silent ring, and for each moment of its period the slots to read and to write.

        A layer has (k-1) d slots.  Its oldest input is read first and then overwritten.
        """
        taps, dilations = self.spec.kernel[0] - 1, np.array(self.spec.dilations)
        lengths = taps * dilations  # (L,)
        self.silence = _float32(np.repeat(-self.offsets, lengths, axis=0))  # (slots, R)
        first = np.cumsum(lengths) - lengths
        time = np.arange(math.lcm(*lengths.tolist()))[:, None, None]
        delay = np.arange(taps) * dilations[:, None]  # (L, k-1), oldest first
        self.reads = first[:, None] + (time + delay) % lengths[:, None]  # (period, L, k-1)
        self.writes = np.ascontiguousarray(self.reads[:, :, 0])  # (period, L)


def _float32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)


def _transposed(conv: np.ndarray) -> np.ndarray:  # (out, in, 1) -> (in, out)
    return _float32(conv[:, :, 0].T)


class TunedNumpy(Packed):
    """Preallocated buffers, six operations a layer.

    Biases are a last row of the matrices, behind inputs that end in a 1; the past inputs stand
    before the current one, so that one product serves all of the dilated convolution.
    """

    name = "numpy, tuned queue"

    def __init__(self, spec: WaveNetSpec, weights: Weights, seed: int = 0):
        super().__init__(spec, weights)
        self.rng = np.random.default_rng(seed)
        self.noise = self._noise_rows()
        self.change = np.empty(spec.residual, np.float32)
        self.noisy = np.empty(spec.levels, np.float32)
        self._make_layers()
        self._make_head()
        self.reset()

    def _make_layers(self) -> None:
        spec, (layers, inputs, _) = self.spec, self.past.shape
        seen = np.ones((layers, inputs + spec.residual + 1), np.float32)  # past, now, 1
        self.before = seen[:, :inputs].reshape(layers, -1, spec.residual)  # views: (L, k-1, R)
        self.x = seen[:, inputs:-1]  # (L, R)
        self.z_one = np.ones(layers * spec.dilation_channels + 1, np.float32)
        z = self.z_one[:-1].reshape(layers, -1)  # (L, D)
        w = np.concatenate([self.past, self.now, self.gate_bias[:, None]], axis=1)
        h = np.empty_like(self.gate_bias)  # (L, 2D)
        gates = list(zip(seen, w, h, *np.split(h, 2, axis=1), z, strict=True))
        self.last = gates.pop()
        residual = zip(gates, self.residual, self.x[:-1], self.x[1:], strict=True)
        self.inner = [(*a, *b) for a, *b in residual]

    def _make_head(self) -> None:
        self.skip_one = np.ones(self.spec.skip + 1, np.float32)
        self.hidden_one = np.ones(self.spec.head + 1, np.float32)
        self.logit_row = np.empty(self.spec.levels, np.float32)
        self.zeros = np.zeros(max(self.spec.skip, self.spec.head), np.float32)
        self.w_skip = np.vstack([self.skip, self.skip_bias])  # (L D + 1, S)
        self.w_hidden = np.vstack([self.hidden, self.hidden_bias])  # (S + 1, H)
        self.w_output = np.vstack([self.output, self.output_bias])  # (H + 1, Q)

    def reset(self) -> None:
        self.time, self.code, self.ring = 0, self.spec.start_code, self.silence.copy()
        self.older = np.zeros(self.spec.residual, np.float32)  # the previous code's part of x

    def step(self, code: int) -> np.ndarray:
        self._step(code)
        return self.logit_row.copy()

    def generate(self, n: int) -> np.ndarray:
        codes = np.empty(n, np.int64)
        for i in range(n):
            self._step(self.code)
            np.subtract(self.logit_row, next(self.noise), out=self.noisy)
            self.code = codes[i] = int(self.noisy.argmax())
        return codes

    def _step(self, code: int) -> None:
        dot, add, multiply, tanh = np.dot, np.add, np.multiply, np.tanh
        moment = self.time % len(self.reads)
        self.ring.take(self.reads[moment], 0, self.before, "clip")  # no bounds checks, no buffer
        add(self.older, self.tables[1, code], self.x[0])
        change = self.change
        for seen, w, h, a, b, z, w_residual, x, x_next in self.inner:
            dot(seen, w, h)
            tanh(h, h)
            multiply(a, b, z)
            add(a, z, z)
            dot(z, w_residual, change)
            add(x, change, x_next)
        seen, w, h, a, b, z = self.last
        dot(seen, w, h)
        tanh(h, h)
        multiply(a, b, z)
        add(a, z, z)
        self.ring[self.writes[moment]] = self.x
        self.older = self.tables[0, code]
        self.time += 1
        self._head()

    def _head(self) -> None:
        skip, hidden = self.skip_one[:-1], self.hidden_one[:-1]
        np.dot(self.z_one, self.w_skip, skip)
        np.maximum(skip, self.zeros[: len(skip)], out=skip)
        np.dot(self.skip_one, self.w_hidden, hidden)
        np.maximum(hidden, self.zeros[: len(hidden)], out=hidden)
        np.dot(self.hidden_one, self.w_output, self.logit_row)

    def _noise_rows(self) -> Iterator[np.ndarray]:
        """log E with E ~ Exp(1): argmax(logits - log E) is a draw from the softmax.  (Q,) each."""
        block = np.empty((NOISE_ROWS, self.spec.levels), np.float32)
        while True:
            self.rng.standard_exponential(dtype=np.float32, out=block)
            with np.errstate(divide="ignore"):  # E may round to 0: then its code wins
                np.log(block, out=block)
            yield from block


class TunedTorch(Packed):
    """Preallocated buffers, four operations a layer; all layers' past inputs in one baddbmm."""

    name = "PyTorch, tuned queue"

    @torch.inference_mode()
    def __init__(self, spec: WaveNetSpec, weights: Weights, seed: int = 0):
        super().__init__(spec, weights)
        self.random = torch.Generator().manual_seed(seed)
        self.noise = self._noise_rows()
        self.embed = [list(table) for table in torch.from_numpy(self.tables)]  # 2 x Q x (R,)
        self._make_past()
        self._make_layers()
        self._make_head()
        self.reset()

    def _make_past(self) -> None:
        layers, inputs, _ = self.past.shape
        self.read = [torch.from_numpy(slots.ravel()) for slots in self.reads]  # (L (k-1),) each
        self.write = [torch.from_numpy(slots) for slots in self.writes]  # (L,) each
        self.before = torch.empty(len(self.read[0]), self.spec.residual)  # (L (k-1), R)
        self.before_rows = self.before.view(layers, 1, inputs)
        self.w_past = torch.from_numpy(self.past)
        self.w_past_bias = torch.from_numpy(self.gate_bias)[:, None]  # (L, 1, 2D)
        self.h = torch.empty_like(self.w_past_bias)

    def _make_layers(self) -> None:
        self.x = torch.empty(self.spec.layers, self.spec.residual)
        self.z = torch.empty(self.spec.layers, self.spec.dilation_channels)
        h, w = self.h[:, 0], torch.from_numpy(self.now).mT  # addmv takes matrices as (out, in)
        gates = list(zip(self.x, w, h, *h.chunk(2, dim=1), self.z, strict=True))
        self.last = gates.pop()
        w_residual = [torch.from_numpy(matrix).T for matrix in self.residual]
        self.inner = [(*a, *b) for a, *b in zip(gates, w_residual, self.x[1:], strict=True)]

    def _make_head(self) -> None:
        spec = self.spec
        self.z_flat = self.z.view(-1)
        self.w_skip, self.b_skip = torch.from_numpy(self.skip).T, torch.from_numpy(self.skip_bias)
        self.w_hidden = torch.from_numpy(self.hidden).T
        self.b_hidden = torch.from_numpy(self.hidden_bias)
        self.w_output = torch.from_numpy(self.output).T
        self.b_output = torch.from_numpy(self.output_bias)
        self.s, self.y = torch.empty(spec.skip), torch.empty(spec.head)
        self.logit_row, self.noisy = torch.empty(2, spec.levels)

    @torch.inference_mode()
    def reset(self) -> None:
        self.time, self.code, self.ring = 0, self.spec.start_code, torch.tensor(self.silence)
        self.older = torch.zeros(self.spec.residual)  # the previous code's part of x

    @torch.inference_mode()
    def step(self, code: int) -> np.ndarray:
        self._step(code)
        return self.logit_row.numpy().copy()

    @torch.inference_mode()
    def generate(self, n: int) -> np.ndarray:
        codes = np.empty(n, np.int64)
        for i in range(n):
            self._step(self.code)
            torch.sub(self.logit_row, next(self.noise), out=self.noisy)
            self.code = codes[i] = self.noisy.argmax().item()
        return codes

    def _step(self, code: int) -> None:
        addmv, addcmul = torch.addmv, torch.addcmul
        moment = self.time % len(self.read)
        torch.index_select(self.ring, 0, self.read[moment], out=self.before)
        torch.baddbmm(self.w_past_bias, self.before_rows, self.w_past, out=self.h)
        torch.add(self.older, self.embed[1][code], out=self.x[0])
        for x, w, h, a, b, z, w_residual, x_next in self.inner:
            h.addmv_(w, x)
            h.tanh_()
            addcmul(a, a, b, out=z)
            addmv(x, w_residual, z, out=x_next)
        x, w, h, a, b, z = self.last
        h.addmv_(w, x)
        h.tanh_()
        addcmul(a, a, b, out=z)
        self.ring.index_copy_(0, self.write[moment], self.x)
        self.older = self.embed[0][code]
        self.time += 1
        addmv(self.b_skip, self.w_skip, self.z_flat, out=self.s).relu_()
        addmv(self.b_hidden, self.w_hidden, self.s, out=self.y).relu_()
        addmv(self.b_output, self.w_output, self.y, out=self.logit_row)

    def _noise_rows(self) -> Iterator[torch.Tensor]:
        """As TunedNumpy; torch's own exponential_ is five times slower than -log of uniform_."""
        block = torch.empty(NOISE_ROWS, self.spec.levels)
        while True:
            block.uniform_(generator=self.random).log_().neg_().log_()
            yield from block
