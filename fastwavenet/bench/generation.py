"""The comparison: samples per second for networks and numbers of voices, cell by cell."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from ..ends import Sampling
from ..spec import WaveNetSpec
from .bandwidth import Probe
from .conditions import check_voices
from .contenders import CLEAN, PEERS, Field, line_up
from .engine_peer import Engine
from .known import miswritten
from .measure import Answers, Refused, measure
from .networks import frames_of, spec_of, weights_of
from .peer import Peer

ONE_VOICE = "the clean queue with one voice"


def cells(plan: Mapping[str, Sequence[int]], seconds: float) -> Iterator[dict]:
    """A dictionary per network and number of voices, as `cell` makes it.

    plan: network -> numbers of voices.

    Raises Refused if a contender computes something else, or a peer is slower than it must be;
    ValueError for more voices of a conditioned network than memory is given to.
    """
    for network, batches in plan.items():
        check_voices(spec_of(network), max(batches))
    for network, batches in plan.items():
        spec, weights, frames = spec_of(network), weights_of(network), frames_of(network)
        answers = Answers(spec, weights, max(batches), frames)
        for batch in batches:
            yield cell(network, answers, batch, seconds)


def cell(network: str, answers: Answers, batch: int, seconds: float) -> dict:
    """Verifies and times all contenders.

    Returns network, batch, layers ..., and `rows`: a dictionary per contender with its name and
    either samples_per_second and figures derived from it, or the reason of its absence.
    """
    spec, weights = answers.spec, answers.weights
    given = answers.conditions and answers.conditions.of(batch)
    field = line_up(spec, weights, batch, given)
    contenders = field.contenders()
    for name, contender in contenders.items():
        answers.check(f"{network}: {name}", contender)
        contender.fill()
    work: dict[str, Callable[[int], object]] = {n: c.generate for n, c in contenders.items()}
    if batch > 1:
        work[ONE_VOICE] = PEERS[CLEAN].make(spec, weights, 1, given and given.of(1)).generate
    sizes = {step_bytes(spec, contender) for contender in contenders.values()}
    probes = {size: Probe(size) for size in sizes if size and batch == 1}
    work |= {_reading(size): probe.read for size, probe in probes.items()}
    steps = measure(work, seconds)
    _check_peers(network, batch, field, steps)
    rates = {name: batch * steps[name] for name in contenders}
    bandwidth = {n: steps[_reading(n)] * probe.footprint for n, probe in probes.items()}
    return _described(network, spec, batch) | {"rows": _rows(spec, field, batch, rates, bandwidth)}


def step_bytes(spec: WaveNetSpec, contender: Peer) -> int | None:
    """Bytes of weights that a step of all voices reads; peers are spared those of the frames."""
    if isinstance(contender, Engine):
        return contender.model.info()["step_bytes"]
    bytes_per_weight = {"float32": 4, "bfloat16": 2, "int8": 1}[contender.precision]
    macs = dataclasses.replace(spec, conditioning=None, sampling=Sampling()).macs_per_sample
    return bytes_per_weight * macs if contender.reads_weights_once else None


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


def _reading(size: int) -> str:
    return f"reading {size} bytes"


def _rows(
    spec: WaveNetSpec,
    field: Field,
    batch: int,
    rates: Mapping[str, float],
    bandwidth: Mapping[int, float],
) -> list[dict]:
    """bandwidth: size -> the bytes per second at which memory of that size can be read."""
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
            rows.append(row | timed | _memory(step_bytes(spec, contender), rate / batch, bandwidth))
    return rows


def _memory(size: int | None, steps: float, bandwidth: Mapping[int, float]) -> dict:
    """The memory traffic of `steps` per second, where the bandwidth was measured."""
    memory = bandwidth.get(size) if size else None
    share = size * steps / memory if size and memory else None
    return {"step_bytes": size, "bytes_per_second": memory, "share_of_bandwidth": share}
