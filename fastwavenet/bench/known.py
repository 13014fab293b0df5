"""Speeds of the peers in another study: a comparison is worth as much as the other side's effort.

An independent study of the same networks and peers: samples per second on one core of a Xeon with
AVX-512.  Only ratios to its clean queue are used.  A peer far below its ratio is crippled: by a
BLAS without this CPU's instructions, by threads that wait for one another, or by how it is written.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..processor import cpu_name
from .contenders import CLEAN

STUDIED = "Intel"  # in the names of CPUs like the study's
# Shares of the study's ratio below which a peer is refused.  CPUs of other designs differ, a whole
# peer on a Zen 4 had 0.79; a crippled one has less than half.
TOLERATED, TOLERATED_ELSEWHERE = 0.8, 0.6

ONE_VOICE = {
    CLEAN: {
        "C1": 1751, "C1b": 666, "C2": 1484, "C3": 1482, "C4": 1124, "C4x30": 768, "C5": 891,
    },
    "PyTorch, tuned queue": {
        "C1": 7735, "C1b": 2125, "C2": 4729, "C3": 4169, "C4": 1930, "C4x30": 1367, "C5": 1507,
    },
    "torch.compile, one step": {
        "C1": 5652, "C1b": 1909, "C2": 3276, "C3": 2824, "C4": 1473, "C4x30": 1078, "C5": 1150,
    },
    "numpy, tuned queue": {
        "C1": 8106, "C1b": 2154, "C2": 5373, "C3": 4240, "C4": 2061, "C4x30": 1371, "C5": 1549,
    },
    "ONNX Runtime, one step": {
        "C1": 8718, "C1b": 2083, "C2": 5038, "C3": 3834, "C4": 1925, "C4x30": 1310, "C5": 1445,
    },
    "OpenVINO, one step": {
        "C1": 4716, "C1b": 1574, "C2": 2909, "C3": 2687, "C4": 1605, "C4x30": 1113, "C5": 1260,
    },
}  # fmt: skip

# The fastest of the study's peers with several voices, all samples counted.
FASTEST = {
    8: {"C1": 41812, "C1b": 12296, "C2": 27033, "C3": 22316, "C4": 11442, "C5": 8617},
    64: {"C1": 97621, "C1b": 32438, "C2": 63022, "C3": 57203, "C4": 24139, "C5": 16291},
}


def tolerated(cpu: str) -> float:
    """The share of the study's ratio that a peer must reach on a CPU of this name."""
    return TOLERATED if STUDIED in cpu else TOLERATED_ELSEWHERE


def miswritten(network: str, batch: int, rates: Mapping[str, float], yardstick: float) -> list[str]:
    """Complaints about peers that are too slow, beside the clean queue, to be compared with.

    rates: peer -> samples per second with `batch` voices; yardstick: those of the clean queue
    with one voice, in the same run.  For several voices the study has the fastest peer only.
    A network or number of voices that the study does not have is not checked.
    """
    if network not in ONE_VOICE[CLEAN]:
        return []
    if batch == 1:
        known = {name: of[network] for name, of in ONE_VOICE.items() if name in rates}
        found = rates
    else:
        fastest = max(rates, key=lambda name: rates[name])
        speed = FASTEST.get(batch, {}).get(network)
        known = {} if speed is None else {f"the fastest peer ({fastest})": speed}
        found = {name: rates[fastest] for name in known}
    complaints, share = [], tolerated(cpu_name())
    for name, speed in known.items():
        ratio, expected = found[name] / yardstick, speed / ONE_VOICE[CLEAN][network]
        if ratio < share * expected:
            complaints.append(
                f"{network}, {voices(batch)}: {name} is {ratio:.2f} times as fast as the clean "
                f"queue with one voice, expected at least {share * expected:.2f}: it is crippled "
                f"or written wrong, or this machine is not fit to time on"
            )
    return complaints


def voices(batch: int) -> str:
    return "1 voice" if batch == 1 else f"{batch} voices"
