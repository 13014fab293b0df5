"""Recordings to prepare, and their preparation without worker processes."""

import pytest
from corpora import InThisProcess, at_time
from recordings import noise

from fastwavenet import preparing


@pytest.fixture
def in_this_process(monkeypatch, request):
    """Except for tests that are marked `processes`."""
    if "processes" not in request.keywords:
        monkeypatch.setattr(preparing, "WorkerProcesses", InThisProcess)


@pytest.fixture
def source(tmp_path):
    """A folder of three recordings with known times of change."""
    for number, name in enumerate(("a.wav", "b.wav", "deep/c.wav")):
        at_time(tmp_path / "in" / name, noise(1000 + number, number), 10**18 + number)
    return tmp_path / "in"
