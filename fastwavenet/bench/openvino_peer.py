"""One step as a graph for OpenVINO: in float32, in bfloat16, and with weights in int8."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from .one_step import OneStep
from .peer import NotAvailable, available

OPTIONS = {
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": "1",
    "INFERENCE_NUM_THREADS": 1,
    # Its own loops for chains of products are slower here than its library's, and for one thread
    # it crashes on making them (2026.4) if something follows the last product.
    "SNIPPETS_MODE": "DISABLE",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",  # activations in int8 as well: slower for one voice
}
FORMATS = {  # required capability of the CPU, and the format of the products
    "float32": ("FP32", "f32"),
    "bfloat16x16": ("BF16", "bf16"),
    "int8": ("FP32", "f32"),
}

TINY = np.finfo(np.float32).tiny  # a scale for outputs without weights
Node = Any  # an openvino.Node, or one of its outputs, or a tuple of them


class OpenVinoQueue(OneStep):
    """One input for all layers' past, one output for all layers' x: each costs a microsecond.

    Raises NotAvailable if the CPU, or this version, does not offer the precision.
    """

    def _compiled(self) -> Callable[[], object]:
        core, (capability, hint) = _core(), FORMATS[self.precision]
        if capability not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise NotAvailable(f"OpenVINO does not compute in {hint} on this CPU")
        with available():
            options = OPTIONS | {"INFERENCE_PRECISION_HINT": hint}
            compiled = core.compile_model(self._graph(), "CPU", options)
        request = compiled.create_infer_request()
        for index, array in enumerate(self._inputs()):
            request.set_input_tensor(index, openvino.Tensor(array, shared_memory=True))
        later = self.x[1:].reshape(-1, self.spec.residual)
        for index, array in enumerate((self.logit_rows, later)[: len(compiled.outputs)]):
            request.set_output_tensor(index, openvino.Tensor(array, shared_memory=True))
        return functools.partial(request.infer, share_outputs=True)

    def _inputs(self) -> list[np.ndarray]:
        """(L, B, (k-1) R), (B, R) and, with conditioning, (L, B, 2D)."""
        base = [] if self.base is None else [self.base]
        return [self.past_rows, self.x[0], *base]

    def _graph(self) -> openvino.Model:
        """The inputs to logits (B, Q) and, with several layers, ((L-1) B, R)."""
        inputs = [ops.parameter(a.shape, np.float32) for a in self._inputs()]
        (past, x, *base), z, xs = inputs, [], []
        for layer, before in enumerate(self._split(past, *base)):
            a, gate = ops.split(ops.tanh(self._gates(layer, before, x)), 1, 2).outputs()
            z.append(ops.add(a, ops.multiply(a, gate)))  # (B, D)
            if layer + 1 < self.spec.layers:
                x = ops.add(self._product(z[-1], self.residual[layer]), x)
                xs.append(x)
        logits = self._head(ops.concat(z, 1))
        return openvino.Model([logits, ops.concat(xs, 0)] if xs else [logits], inputs, "step")

    def _split(self, past: Node, base: Node | None = None) -> list[Node]:
        """The part of each layer's gates from past inputs and biases, or base: L x (B, 2D)."""
        bias = self.gate_bias[:, None] if base is None else base
        h = ops.add(ops.matmul(past, self.past, False, False), bias)
        return _layers(h, self.spec.layers)

    def _gates(self, layer: int, before: Node, x: Node) -> Node:
        return ops.add(self._product(x, self.now[layer]), before)

    def _head(self, z: Node) -> Node:
        s = ops.relu(ops.add(self._product(z, self.skip), self.skip_bias))
        y = ops.relu(ops.add(self._product(s, self.hidden), self.hidden_bias))
        return ops.add(self._product(y, self.output), self.output_bias)

    def _product(self, x: Node, w: np.ndarray) -> Node:
        """(B, in), (in, out) -> (B, out)"""
        return ops.matmul(x, w, False, False)

    def generate(self, n: int) -> np.ndarray:
        drawn, noisy = np.empty((n, self.batch), np.int64), np.empty_like(self.logit_rows)
        for row in drawn:
            self._step(self.codes)
            np.subtract(self.logit_rows, next(self.noise), out=noisy)
            row[:] = noisy.argmax(1, out=self.codes)
        return drawn.T


class OpenVinoBfloat16(OpenVinoQueue):
    """The same graph; weights and activations in bfloat16, whose products some CPUs have fast."""

    precision = "bfloat16x16"


class OpenVinoInt8(OpenVinoQueue):
    """Weights in int8 with a scale per output, widened inside its products, which are float32.

    There are such products of matrices only, so a layer's past and present are one.
    """

    precision = "int8"

    def _split(self, past: Node, base: Node | None = None) -> list[Node]:
        """The past inputs themselves, L x (B, (k-1) R), and each layer's bias or base."""
        layers = self.spec.layers
        biases = self.gate_bias if base is None else _layers(base, layers)
        return list(zip(_layers(past, layers), biases, strict=True))

    def _gates(self, layer: int, before: Node, x: Node) -> Node:
        past, bias = before
        w = np.concatenate([self.past[layer], self.now[layer]])
        return ops.add(self._product(ops.concat([past, x], 1), w), bias)

    def _product(self, x: Node, w: np.ndarray) -> Node:
        scale = np.abs(w).max(0)[:, None] / np.float32(127)  # (out, 1)
        codes = np.rint(w.T / np.maximum(scale, TINY)).astype(np.int8)  # (out, in)
        widened = ops.multiply(ops.convert(ops.constant(codes), np.float32), ops.constant(scale))
        return ops.matmul(x, widened, False, True)


@functools.cache
def _core() -> openvino.Core:
    """The only one: of two, each gives the thread a stack for signals to run on, and the first to
    go leaves the thread with memory that is gone (2026.4); the next Ctrl-C would end the process.
    """
    return openvino.Core()


def _layers(node: Node, layers: int) -> list[Node]:
    """(L, B, n) -> L x (B, n)"""
    return [ops.squeeze(part, np.array([0])) for part in ops.split(node, 0, layers).outputs()]
