"""The comparison: samples per second for networks and numbers of voices, cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..spec import PRECISIONS, WaveNetSpec
from .bounds import Multiplying, Reading, products_of, spec_without_frames
from .conditions import check_voices
from .contenders import CLEAN, PEERS, Field, line_up
from .engine_peer import Engine
from .known import miswritten
from .measure import Answers, Refused, measure
from .networks import frames_of, spec_of, weights_of
from .peer import Peer

ONE_VOICE = "the clean queue with one voice"

Work = dict[str, Callable[[int], object]]  # what is timed: name -> function that does n units


def check_plan(plan: Mapping[str, Sequence[int]]) -> None:
    """Raises ValueError for more voices of a conditioned network than memory is given to.

    plan: network -> numbers of voices.
    """
    for network, batches in plan.items():
        if batches:
            check_voices(spec_of(network), max(batches))


def cells(plan: Mapping[str, Sequence[int]], seconds: float) -> Iterator[dict]:
    """A dictionary per network and number of voices, as `cell` makes it.

    A cell whose figures would be wrong or unfair has no rows, and the reason in `refused`: if the
    engine or the clean queue computes something else, or a peer is slower than it must be.
    """
    for network, batches in plan.items():
        spec, weights, frames = spec_of(network), weights_of(network), frames_of(network)
        answers = Answers(spec, weights, max(batches, default=1), frames)
        for batch in batches:
            try:
                found = cell(network, answers, batch, seconds)
            except Refused as reason:
                found = _described(network, spec, batch) | {"refused": str(reason), "rows": []}
            yield found


def cell(network: str, answers: Answers, batch: int, seconds: float) -> dict:
    """Verifies and times all contenders.

    Returns network, batch, layers ..., lost, and `rows`: a dictionary per contender with its name
    and either samples_per_second and figures derived from it, or the reason of its absence.

    Raises Refused as `cells` says.
    """
    spec, weights = answers.spec, answers.weights
    given = answers.conditions and answers.conditions.of(batch)
    field = line_up(spec, weights, batch, given)
    _verify(network, answers, field)
    contenders = field.contenders()
    for contender in contenders.values():
        contender.fill()
    work: Work = {name: contender.generate for name, contender in contenders.items()}
    if batch > 1:
        work[ONE_VOICE] = PEERS[CLEAN].make(spec, weights, 1, given and given.of(1)).generate
    bounds = Bounds(spec, field, batch)
    measured = measure(work | bounds.work(), seconds)
    _check_peers(network, batch, field, measured.rates)
    rates = {name: batch * measured.rates[name] for name in contenders}
    rows = _rows(spec, field, rates, bounds, measured.rates)
    return _described(network, spec, batch) | {"lost": measured.lost, "rows": rows}


def _verify(network: str, answers: Answers, field: Field) -> None:
    """Raises Refused unless the engine and the yardstick compute the reference's logits.

    Another peer that does not goes to the missing ones.
    """
    for name, contender in field.contenders().items():
        try:
            answers.check(f"{network}: {name}", contender)
        except Refused as reason:
            if name == CLEAN or name in field.engines:
                raise
            field.missing[name] = f"refused, {reason}"
            del field.peers[name]


class Bounds:
    """The bounds of the contenders' steps, to be timed beside these (bounds.py).

    Peers: of one voice, where they read each weight once; that of reading only.
    """

    def __init__(self, spec: WaveNetSpec, field: Field, batch: int):
        self.spec, self.batch = spec, batch
        engines = list(field.engines.values())
        self.isa = engines[0].isa
        readers = [*engines, *(field.peers.values() if batch == 1 else ())]
        sizes = {step_bytes(spec, reader) for reader in readers}
        self.reading = {size: Reading(self.isa, size) for size in sizes if size}
        self.multiplying = {e.precision: Multiplying(self.isa, e.precision) for e in engines}

    def work(self) -> Work:
        work: Work = {_reading(size): probe.read for size, probe in self.reading.items()}
        return work | {
            _multiplying(precision): probe.multiply for precision, probe in self.multiplying.items()
        }

    def of(self, contender: Peer, steps: float, measured: Mapping[str, float]) -> dict:
        """The figures of a contender that makes `steps` per second of all voices."""
        size, read = step_bytes(self.spec, contender), None
        if size is not None and size in self.reading:
            read = measured[_reading(size)] * self.reading[size].footprint
        products, multiplied = None, None
        if isinstance(contender, Engine):
            products = products_of(self.spec, contender.precision, self.isa, self.batch)
            rate = measured[_multiplying(contender.precision)]
            multiplied = rate * self.multiplying[contender.precision].products
        return {
            "step_bytes": size,
            "bytes_per_second": read,
            "share_of_bandwidth": size * steps / read if size and read else None,
            "step_products": products,
            "products_per_second": multiplied,
            "share_of_products": products * steps / multiplied if products and multiplied else None,
        }


def step_bytes(spec: WaveNetSpec, contender: Peer) -> int | None:
    """Bytes of weights that a step of all voices reads; peers are spared those of the frames."""
    if isinstance(contender, Engine):
        return contender.model.info()["step_bytes"]
    macs = spec_without_frames(spec).macs_per_sample
    return PRECISIONS[contender.precision] * macs if contender.reads_weights_once else None


def _check_peers(network: str, batch: int, field: Field, steps: Mapping[str, float]) -> None:
    """Raises Refused if a peer in float32 is slower than it must be; the study has no others."""
    float32 = [name for name, peer in field.peers.items() if peer.precision == "float32"]
    yardstick = steps[ONE_VOICE if batch > 1 else CLEAN]
    complaints = miswritten(network, batch, {n: batch * steps[n] for n in float32}, yardstick)
    if complaints:
        raise Refused("; ".join(complaints))


def _described(network: str, spec: WaveNetSpec, batch: int) -> dict:
    return {
        "network": network,
        "batch": batch,
        "layers": spec.layers,
        "kernel": spec.kernel[0],
        "residual": spec.residual,
        "skip": spec.skip,
        "conditioning": _conditioning(spec),
        "sample_rate": spec.sample_rate,
        "macs_per_sample": spec.macs_per_sample,
    }


def _conditioning(spec: WaveNetSpec) -> str | None:
    end = spec.conditioning
    return None if end is None else f"{end.channels} channels, hop {end.hop}, {end.interpolation}"


def _reading(size: int | None) -> str:
    return f"reading {size} bytes"


def _multiplying(precision: str) -> str:
    return f"multiplying in {precision}"


def _rows(
    spec: WaveNetSpec,
    field: Field,
    rates: Mapping[str, float],
    bounds: Bounds,
    measured: Mapping[str, float],
) -> list[dict]:
    """rates: contender -> samples per second; measured: everything that was timed."""
    rows: list[dict] = []
    contenders = field.contenders()
    for name in [*PEERS, *field.engines]:
        row = {"name": name, "kind": "engine" if name in field.engines else "peer"}
        if name in field.missing:
            rows.append(row | {"not_available": field.missing[name]})
        elif name in rates:
            contender, rate = contenders[name], rates[name]
            rival = max(rates[peer] for peer in field.rivals(contender.precision))
            timed = {
                "precision": contender.precision,
                "samples_per_second": rate,
                "times_real_time": rate / spec.sample_rate,
                "times_fastest_peer": rate / rival,
            }
            rows.append(row | timed | bounds.of(contender, measured[name], measured))
    return rows
