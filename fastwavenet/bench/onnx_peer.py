"""One step as an ONNX graph for ONNX Runtime."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from .one_step import OneStep

OPSET = 18
IR_VERSION = 10  # any onnxruntime since 1.18 reads it


class Graph:
    """Nodes, constants, inputs and outputs, each added by a line."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def add(
        self, operator: str, *inputs: str | np.ndarray, outputs: int = 1, **attributes: Any
    ) -> Any:
        """A node; arrays among its inputs are constants.  Returns its output's name or names."""
        names = [i if isinstance(i, str) else self._constant(i) for i in inputs]
        made = [f"n{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, names, made, **attributes))
        return made[0] if outputs == 1 else made

    def input(self, name: str, shape: Sequence[int]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def output(self, name: str, shape: Sequence[int], kind: int = TensorProto.FLOAT) -> str:
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def _constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def serialized(self) -> bytes:
        graph = helper.make_graph(self.nodes, "step", self.inputs, self.outputs, self.constants)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model.SerializeToString()


class OnnxQueue(OneStep):
    """The draw is in the graph; an input and an output for each layer."""

    def _compiled(self) -> Callable[[], object]:
        self.noise_now = np.zeros((self.batch, self.spec.levels), np.float32)
        session = onnxruntime.InferenceSession(
            self._graph(), _one_thread(), providers=["CPUExecutionProvider"]
        )
        return functools.partial(session.run_with_iobinding, self._bound(session))

    def _graph(self) -> bytes:
        """Inputs: x, past_l, base_l, noise.  Outputs: the x of later layers, logits, codes."""
        graph, spec, b = Graph(), self.spec, self.batch
        x, z, self.names = graph.input("x", self.x[0].shape), [], []
        bases = self.gate_bias if self.base is None else self._bases_of(graph, self.base)
        for layer, past in enumerate(self.past_rows):
            w = np.concatenate([self.past[layer], self.now[layer]])
            seen = graph.add("Concat", graph.input(f"past_{layer}", past.shape), x, axis=1)
            t = graph.add("Tanh", graph.add("Gemm", seen, w, bases[layer]))
            a, gate = graph.add("Split", t, outputs=2, axis=1, num_outputs=2)
            z.append(graph.add("Add", a, graph.add("Mul", a, gate)))
            if layer + 1 < spec.layers:
                x = graph.add("Gemm", z[-1], self.residual[layer], x)
                self.names.append(graph.output(x, (b, spec.residual)))
        logits = graph.output(self._head(graph, z), (b, spec.levels))
        noisy = graph.add("Sub", logits, graph.input("noise", (b, spec.levels)))
        codes = graph.add("ArgMax", noisy, axis=1, keepdims=0)
        self.names += [logits, graph.output(codes, (b,), TensorProto.INT64)]
        return graph.serialized()

    def _bases_of(self, graph: Graph, base: np.ndarray) -> list[str]:
        """L inputs (B, 2D), with conditioning."""
        return [graph.input(f"base_{layer}", part.shape) for layer, part in enumerate(base)]

    def _head(self, graph: Graph, z: list[str]) -> str:
        all_z = graph.add("Concat", *z, axis=1)
        s = graph.add("Relu", graph.add("Gemm", all_z, self.skip, self.skip_bias))
        y = graph.add("Relu", graph.add("Gemm", s, self.hidden, self.hidden_bias))
        return graph.add("Gemm", y, self.output, self.output_bias)

    def _bound(self, session: onnxruntime.InferenceSession) -> onnxruntime.IOBinding:
        binding = session.io_binding()
        inputs = {"x": self.x[0], "noise": self.noise_now}
        inputs |= {f"past_{layer}": past for layer, past in enumerate(self.past_rows)}
        if self.base is not None:
            inputs |= {f"base_{layer}": part for layer, part in enumerate(self.base)}
        wrap = onnxruntime.OrtValue.ortvalue_from_numpy  # shares the array's memory
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, wrap(array))
        outputs = [*self.x[1:], self.logit_rows, self.codes]
        for name, array in zip(self.names, outputs, strict=True):
            binding.bind_ortvalue_output(name, wrap(array))
        return binding

    def generate(self, n: int) -> np.ndarray:
        drawn = np.empty((n, self.batch), np.int64)
        for row in drawn:
            self.noise_now[:] = next(self.noise)
            self._step(self.codes)
            row[:] = self.codes
        return drawn.T


def _one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options
