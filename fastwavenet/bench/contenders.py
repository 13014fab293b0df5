"""Who takes part: the list of peers, and the engine in each precision."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field

from ..instruction_sets import isa
from ..model import Model
from ..spec import WaveNetSpec
from ..types import Precision
from .conditions import Conditions
from .engine_peer import Engine
from .peer import NotAvailable, Peer, Weights

CLEAN = "PyTorch, clean queue"  # the yardstick
# By exactness.
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "bfloat16x16", "int8", "int8x8")


@dataclass(frozen=True)
class Kind:
    """Where a peer is, so that its libraries are imported with its first use."""

    module: str
    cls: str
    largest_batch: int | None = None
    extra: str | None = None  # that installs its libraries, if these may be missing

    def make(
        self, spec: WaveNetSpec, weights: Weights, batch: int, conditions: Conditions | None = None
    ) -> Peer:
        module = importlib.import_module(f".{self.module}", __package__)
        return getattr(module, self.cls)(spec, weights, batch, conditions)


PEERS = {
    "PyTorch, naive": Kind("torch_peers", "Naive", largest_batch=1),
    CLEAN: Kind("torch_peers", "CleanQueue"),
    "PyTorch, tuned queue": Kind("torch_peers", "TunedTorch"),
    "torch.compile, one step": Kind("torch_compiled", "CompiledQueue"),
    "numpy, tuned queue": Kind("numpy_peer", "TunedNumpy"),
    "wavenet-coding, numpy": Kind(
        "wavenet_coding_peer", "WavenetCoding", largest_batch=1, extra="wavenet-coding"
    ),
    "ONNX Runtime, one step": Kind("onnx_peer", "OnnxQueue", extra="bench"),
    "OpenVINO, one step": Kind("openvino_peer", "OpenVinoQueue", extra="bench"),
    "OpenVINO, bfloat16": Kind("openvino_peer", "OpenVinoBfloat16", extra="bench"),
    "OpenVINO, int8 weights": Kind("openvino_peer", "OpenVinoInt8", extra="bench"),
}


def peers_of(batch: int) -> list[str]:
    """The names of those that have so many voices."""
    return [name for name, kind in PEERS.items() if batch <= (kind.largest_batch or batch)]


@dataclass
class Field:
    """Contenders by name, in the order of the table; `missing` has a reason for each absent one."""

    peers: dict[str, Peer] = field(default_factory=dict)
    engines: dict[str, Engine] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def contenders(self) -> dict[str, Peer]:
        return {**self.peers, **self.engines}

    def rivals(self, precision: Precision) -> list[str]:
        """The peers that compute at least as precisely."""
        at_least = PRECISIONS[: PRECISIONS.index(precision) + 1]
        return [name for name, peer in self.peers.items() if peer.precision in at_least]


def line_up(
    spec: WaveNetSpec, weights: Weights, batch: int, conditions: Conditions | None = None
) -> Field:
    """Makes every contender for a network and a number of voices.

    conditions: of these voices, for a conditioned network.

    Raises ImportError if torch is missing: without the clean queue there is no yardstick.
    """
    found = Field()
    for name in peers_of(batch):
        _add_peer(found, name, PEERS[name], (spec, weights, batch, conditions))
    for precision in PRECISIONS:
        model = Model(spec, weights, precision=precision)
        found.engines[f"fastwavenet, {precision}"] = Engine(model, isa(), batch, conditions)
    return found


def _add_peer(found: Field, name: str, kind: Kind, arguments: tuple) -> None:
    try:
        found.peers[name] = kind.make(*arguments)
    except NotAvailable as reason:
        found.missing[name] = str(reason)
    except ImportError as error:
        if kind.extra is None:
            raise
        install = f"pip install 'fastwavenet[{kind.extra}]'"
        library = (error.name or "a library").partition(".")[0]
        found.missing[name] = f"{library} is missing: {install}"
