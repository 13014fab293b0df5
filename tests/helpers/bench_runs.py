"""The command `fastwavenet bench` on a network small enough for tests."""

import argparse
import contextlib
from collections.abc import Iterator

import pytest
from networks import NETWORKS as SMALL

from fastwavenet.bench import command, mulaw
from fastwavenet.bench.networks import NETWORKS
from fastwavenet.bench.results import SUITES
from fastwavenet.spec import WaveNetSpec

SECONDS = 0.02  # per cell


@contextlib.contextmanager
def tiny_network() -> Iterator[WaveNetSpec]:
    """A small network that the command knows as tiny, and few samples for mu-law."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", SMALL["kernel_3"])
        patch.setattr(mulaw, "SAMPLES", 4096)
        yield SMALL["kernel_3"]


def quiet(results: dict) -> dict:
    """The results as of a core that no other process has used."""
    parts = {key: results[key] for key in ("cells", *SUITES) if key in results}
    return results | {key: [row | {"lost": 0.0} for row in rows] for key, rows in parts.items()}


def arguments(*argv: object) -> argparse.Namespace:
    """The parsed arguments of the command."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser.add_argument)
    return parser.parse_args([str(word) for word in argv])
