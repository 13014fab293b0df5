"""A network packed for the engine: Model, load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _engine, modelfile
from .frame_conditioning import PITCH_NETWORK
from .hugepages import huge_page_bytes
from .precision import resolve_precision
from .shown import shown
from .spec import WaveNetSpec
from .types import AskedPrecision, Isa, Precision


class Model:
    """A network packed for the engine.  Immutable: any number of threads may share one.

    A pickle of it holds spec, weights and precision, so that other processes can be given one.

    spec            WaveNetSpec
    weights         name -> float32 array, as in `spec.tensors()`
    precision       of the products: one of `fastwavenet.spec.PRECISIONS`, or "auto", see `load`
    precision_cost  precision -> nats per sample above float32, by which "auto" decides

    Raises ModelFormatError for other weights or another precision_cost, ValueError for another
    precision.
    """

    def __init__(
        self,
        spec: WaveNetSpec,
        weights: Mapping[str, npt.NDArray[np.float32]],
        precision: AskedPrecision = "float32",
        *,
        precision_cost: Mapping[str, float] | None = None,
    ):
        self._spec = spec
        cost = {} if precision_cost is None else precision_cost
        self._precision_cost = modelfile.check_precision_cost(cost)
        self._precision = resolve_precision(precision, self._precision_cost)
        checked = modelfile.check_weights(spec, weights)
        self._weights = {name: _frozen(array) for name, array in checked.items()}
        of_engine = {n: w for n, w in self._weights.items() if not n.startswith(PITCH_NETWORK)}
        self._network = _engine.Network(spec, of_engine, self._precision)

    @property
    def spec(self) -> WaveNetSpec:
        return self._spec

    @property
    def weights(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """Name -> read-only float32 array, as in `spec.tensors()`."""
        return MappingProxyType(self._weights)

    @property
    def sample_rate(self) -> int:
        """Hz of the audio it was trained on and generates."""
        return self._spec.sample_rate

    @property
    def precision(self) -> Precision:
        """Of the products: "float32", "bfloat16", "int8", "int8x8" or "bfloat16x16"."""
        return self._precision

    @property
    def precision_cost(self) -> dict[str, float]:
        """Precision -> nats per sample above float32; empty if none was recorded."""
        return dict(self._precision_cost)

    def info(self) -> dict[str, int]:
        """arena_bytes: packed weights; huge_page_bytes: those in huge pages (Linux only);
        step_bytes: those read per generated sample; voice_bytes: memory of a generator of one
        voice; fingerprint: ties a saved state to this network and precision.
        """
        facts = self._network.info()
        pages = huge_page_bytes(facts.pop("arena"), facts["arena_bytes"])
        known = {} if pages is None else {"huge_page_bytes": pages}
        return facts | known | {"voice_bytes": self._network.stream_bytes(1)}

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self._spec, self._weights, self._precision, self._precision_cost)

    def __copy__(self) -> Model:
        return self

    def __deepcopy__(self, memo: dict) -> Model:
        return self

    def __repr__(self) -> str:
        s = self._spec
        return (
            f"Model({s.sample_rate} Hz, {s.layers} layers, residual {s.residual}, skip {s.skip}, "
            f"receptive field {s.receptive_field} samples, {self.precision})"
        )


def _frozen(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The array, or a copy if somebody may write to its memory: it or an array that it views."""
    owner: object = array
    while isinstance(owner, np.ndarray) and not owner.flags.writeable:
        owner = owner.base
    if owner is None or (isinstance(owner, memoryview) and owner.readonly):
        return array
    array = array.copy()
    array.flags.writeable = False
    return array


def check_model(model: object) -> Model:
    """The model.  Raises TypeError, with a remedy for a path."""
    if isinstance(model, Model):
        return model
    if isinstance(model, (str, os.PathLike)):
        path = shown(os.fspath(model))
        raise TypeError(f"model must be a Model, not a path: use fastwavenet.load({path})")
    raise TypeError(f"model must be a fastwavenet.Model, not {type(model).__name__}")


def open_stream(model: Model, isa: Isa, rows: int, threads: int) -> _engine.Stream:
    """New rows of the model's network, silent; `threads` 2 for a second thread where it pays."""
    return _engine.Stream(model._network, isa, rows, threads)


def fingerprint_of(model: Model) -> int:
    """The fingerprint of `Model.info`, alone: huge pages take a while to count."""
    return model._network.info()["fingerprint"]


def _unpickled(
    spec: WaveNetSpec,
    weights: Mapping[str, npt.NDArray[np.float32]],
    precision: Precision,
    precision_cost: dict[str, float],
) -> Model:
    return Model(spec, weights, precision, precision_cost=precision_cost)


def load(path: str | os.PathLike[str], precision: AskedPrecision = "auto") -> Model:
    """Reads a model file, or the voice of that name, as in `voices`.

    path: a path that exists wins over a name.
    precision: of the products.  "auto" is the first of int8, bfloat16 and float32 that costs at
    most 0.002 nats per sample more than float32, as recorded in the file by
    `record_precision_cost`; float32 if none is recorded.  It never depends on the CPU, and the
    samples of a precision do not either.

    Raises ModelFormatError naming the file, the expected and the found value; ValueError for
    an unknown precision; OSError if the file cannot be read; FileNotFoundError, which lists the
    voices, for an unknown name.
    """
    contents = modelfile.load(path)
    return Model(contents.spec, contents.weights, precision, precision_cost=contents.precision_cost)
