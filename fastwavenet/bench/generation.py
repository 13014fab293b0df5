"""The comparison: samples per second for networks and numbers of voices, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..spec import WaveNetSpec
from .bandwidth import Probe
from .contenders import CLEAN, PEERS, Field, line_up
from .known import miswritten
from .measure import Answers, Refused, measure
from .networks import NETWORKS, random_weights
from .peer import Peer

ONE_VOICE, PROBE = "the clean queue with one voice", "reading memory"


def cells(networks: Sequence[str], batches: Sequence[int], seconds: float) -> Iterator[dict]:
    """A dictionary per network and number of voices, as `cell` makes it.

    Raises Refused if a contender computes something else, or a peer is slower than it must be.
    """
    for network in networks:
        spec = NETWORKS[network]
        weights = random_weights(spec)
        answers = Answers(spec, weights, max(batches))
        for batch in batches:
            yield cell(network, answers, batch, seconds)


def cell(network: str, answers: Answers, batch: int, seconds: float) -> dict:
    """Verifies and times all contenders.

    Returns network, batch, layers ..., and `rows`: a dictionary per contender with its name and
    either samples_per_second and what follows from it, or why it is not available.
    """
    spec, weights = answers.spec, answers.weights
    field = line_up(spec, weights, batch)
    contenders: dict[str, Peer] = {**field.peers, **field.engines}
    for name, contender in contenders.items():
        answers.check(f"{network}: {name}", contender)
        contender.fill()
    probe = Probe(4 * spec.macs_per_sample)
    work = {name: contender.generate for name, contender in contenders.items()}
    if batch > 1:
        work[ONE_VOICE] = PEERS[CLEAN].make(spec, weights, 1).generate
    steps = measure(work | {PROBE: probe.read}, seconds)
    rates = {name: batch * rate for name, rate in steps.items() if name in contenders}
    peers = {name: rates[name] for name in field.peers}
    yardstick = steps[ONE_VOICE if batch > 1 else CLEAN]
    complaints = miswritten(network, batch, peers, yardstick)
    if complaints:
        raise Refused("; ".join(complaints))
    return _described(network, spec, batch) | {
        "gigabytes_per_second": steps[PROBE] * probe.footprint / 1e9,
        "read_by": probe.way,
        "rows": _rows(spec, field, batch, rates, steps[PROBE] * probe.footprint),
    }


def _described(network: str, spec: WaveNetSpec, batch: int) -> dict:
    return {
        "network": network,
        "batch": batch,
        "layers": spec.layers,
        "kernel": spec.kernel[0],
        "residual": spec.residual,
        "skip": spec.skip,
        "sample_rate": spec.sample_rate,
        "macs_per_sample": spec.macs_per_sample,
    }


def _rows(
    spec: WaveNetSpec, field: Field, batch: int, rates: Mapping[str, float], bandwidth: float
) -> list[dict]:
    """bandwidth: bytes per second, which no step can read its weights faster than."""
    fastest = max(rates[name] for name in field.peers)
    rows: list[dict] = []
    for name in [*PEERS, *field.engines]:
        row = {"name": name, "kind": "engine" if name in field.engines else "peer"}
        if name in field.missing:
            rows.append(row | {"not_available": field.missing[name]})
        elif name in rates:
            rate, read = rates[name], _bytes_per_step(spec, name, field)
            timed = {
                "samples_per_second": rate,
                "times_real_time": rate / spec.sample_rate,
                "times_fastest_peer": rate / fastest,
                "share_of_bandwidth": read and read * rate / batch / bandwidth,
            }
            rows.append(row | timed)
    return rows


def _bytes_per_step(spec: WaveNetSpec, name: str, field: Field) -> int | None:
    """Bytes of weights that a step of all voices reads."""
    if name in field.engines:
        return field.engines[name].model.info()["step_bytes"]
    return 4 * spec.macs_per_sample if field.peers[name].reads_weights_once else None
