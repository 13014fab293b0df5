"""Recordings, and the run of a file's tests that nothing interrupts."""

import pytest
from recordings import two_tones
from runs import left_behind, quick

from fastwavenet import tuning


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder of two recordings."""
    return two_tones(tmp_path_factory.mktemp("recordings"))


@pytest.fixture
def short_search(monkeypatch):
    """The search for the best sampling makes 4 s of sound for each candidate, not up to 48."""
    monkeypatch.setattr(tuning, "MOST_SECONDS", 4.0)


@pytest.fixture(scope="module")
def whole(request, source, tmp_path_factory, one_thread):
    """What a run of the file's LONG leaves that nothing interrupted."""
    run = tmp_path_factory.mktemp("whole") / "run"
    quick(source, run, **request.module.LONG)
    return left_behind(run)
