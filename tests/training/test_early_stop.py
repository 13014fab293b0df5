"""Training that ends when held-out audio is no longer predicted better."""

import pytest
from recordings import two_tones
from runs import left_behind, log, quick

from fastwavenet.training import loop
from fastwavenet.training.learner import Learner
from fastwavenet.training.settings import Budget

pytestmark = pytest.mark.usefixtures("one_thread")

LOSSES = [5.0, 4.0, 4.2, 4.0, 4.1, 3.0, 2.0]


@pytest.fixture
def source(tmp_path):
    return two_tones(tmp_path / "recordings")


@pytest.fixture
def losses(monkeypatch):
    """The validation losses of a run that reports after each step, and keeps the best weights."""
    monkeypatch.setattr(loop, "LITTLE_SECONDS", 0)
    monkeypatch.setattr(Learner, "validate", lambda learner, **_: LOSSES[learner.steps - 1])


@pytest.mark.parametrize(
    ("patience", "ends"),
    [(1, {2, 3, 4}), (2, {3, 4}), (3, {4}), (4, set()), (None, set())],
)
def test_patience_is_exhausted_after_so_many_losses_that_are_not_lower(patience, ends):
    budget = Budget(steps=7, patience=patience)
    found = {n for n in range(len(LOSSES)) if budget.is_exhausted(LOSSES[: n + 1])}
    assert found == ends
    assert not budget.is_exhausted([])


@pytest.mark.parametrize(("patience", "steps"), [(1, 3), (2, 4), (3, 5), (4, 7), (7, 7)])
def test_a_run_ends_when_its_patience_is_exhausted(source, tmp_path, losses, patience, steps):
    summary = quick(source, tmp_path / "run", steps=7, patience=patience)
    assert (summary.steps, summary.interrupted) == (steps, False)
    assert len(log(tmp_path / "run")) == steps
    assert summary.validation_loss == min(LOSSES[:steps])


def test_a_run_without_patience_left_goes_on_only_with_more(source, tmp_path, losses):
    quick(source, tmp_path / "run", steps=7, patience=2)
    before = left_behind(tmp_path / "run")
    assert quick(source, tmp_path / "run", resume=True).steps == 4
    assert left_behind(tmp_path / "run") == before
    for given in ({"steps": 9}, {"patience": 2}, {"patience": 1, "steps": 9}):
        with pytest.raises(ValueError, match="^the last . validations were no better .* patience"):
            quick(source, tmp_path / "run", resume=True, **given)
    assert quick(source, tmp_path / "run", resume=True, patience=4).steps == 7


def test_patience_alone_keeps_the_length_of_a_run(source, tmp_path):
    quick(source, tmp_path / "run", steps=2)
    with pytest.raises(ValueError, match="^2 steps are spent"):
        quick(source, tmp_path / "run", resume=True, patience=3)
