"""A run that diverges ends with a good checkpoint, and with a remedy that works."""

import numpy as np
import pytest
import safetensors
import torch
from recordings import record, tone
from runs import log, quick

import fastwavenet as fw
from fastwavenet.training import checkpoint, loop
from fastwavenet.training.learner import Learner, TrainingError

pytestmark = pytest.mark.usefixtures("one_thread")
LONG = {"steps": 40, "batch": 1, "window": 50}  # a report every second step


def assert_good(run):
    """All numbers of both checkpoints and of the models are finite."""
    for file in run.glob("*.safetensors"):
        with safetensors.safe_open(file, "np") as opened:
            names = opened.keys()
            assert all(np.isfinite(opened.get_tensor(name)).all() for name in names), file
    for file in run.glob("checkpoint*.safetensors"):
        checkpoint.load(file)


@pytest.mark.parametrize("rate", [1e4, 1e10, 1e38])
@pytest.mark.parametrize("save_seconds", [0, 60])
def test_a_learning_rate_that_diverges_ends_with_a_good_checkpoint_and_a_remedy(
    source, tmp_path, monkeypatch, rate, save_seconds
):
    monkeypatch.setattr(loop, "SAVE_SECONDS", save_seconds)
    run = tmp_path / "run"
    with pytest.raises(TrainingError) as refused:
        quick(source, run, learning_rate=rate, **LONG)
    assert_good(run)
    kept = checkpoint.load(run / "checkpoint.safetensors").progress.steps
    assert str(refused.value).startswith("training diverged at step ")
    assert (
        f"): lower the learning rate of {rate:g}; --resume with a lower --learning-rate goes on "
        f"from the checkpoint of step {kept}"
    ) in str(refused.value)
    if kept == 0:
        assert quick(source, run, resume=True, learning_rate=0.01).steps == 40


def test_a_run_that_diverges_late_is_resumed_with_a_lower_rate(source, tmp_path, monkeypatch):
    """The rate explodes at step 13; the message names the best model too."""
    run, step = tmp_path / "run", Learner.step

    def exploding(learner, factor):
        return step(learner, 1e30 if learner.steps == 13 else factor)

    with monkeypatch.context() as context, pytest.raises(TrainingError) as refused:
        context.setattr(Learner, "step", exploding)
        quick(source, run, **LONG)
    assert_good(run)
    best = min(line["validation_loss"] for line in log(run))
    assert str(refused.value).endswith(
        f"; --resume with a lower --learning-rate goes on from the checkpoint of step 12; "
        f"{run}/model.safetensors has the best weights, with {best:.3f} nats per sample on "
        f"held-out audio"
    )
    quick(source, run, resume=True, learning_rate=0.005)
    kept = checkpoint.load(run / "checkpoint.safetensors")
    assert (kept.settings.learning_rate, kept.progress.steps) == (0.005, 40)
    rates = {line["step"]: line["learning_rate"] for line in log(run)}
    assert rates[14] < 0.0051 < rates[10]
    with pytest.raises(ValueError, match=r"learning_rate is 0\.005 in this run, not 0\.01"):
        quick(source, run, resume=True, learning_rate=0.01, steps=50)


def test_a_gradient_that_is_infinite_ends_before_it_changes_a_weight(source, tmp_path, monkeypatch):
    """While the loss is finite: the gradient of each target overflows."""
    gradient = Learner._gradient

    def infinite(learner):
        loss, count = gradient(learner)
        if learner.steps == 5:
            learner.model.head.output.bias.grad[0] = torch.inf
        return loss, count

    with monkeypatch.context() as context, pytest.raises(TrainingError, match="diverged at step 5"):
        context.setattr(Learner, "_gradient", infinite)
        quick(source, tmp_path / "run", **LONG)
    assert_good(tmp_path / "run")
    quick(source, tmp_path / "run", resume=True)
    quick(source, tmp_path / "whole", **LONG)
    for name in ("latest", "model"):
        files = [tmp_path / run / f"{name}.safetensors" for run in ("run", "whole")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_weights_that_overflow_in_the_last_update_are_divergence(source, tmp_path, monkeypatch):
    """No loss has shown it yet; the file refuses them."""
    step = Learner.step

    def overflowing(learner, factor):
        loss = step(learner, factor)
        if learner.steps == 8:
            with torch.no_grad():
                learner.model.head.output.weight[0] = torch.inf
        return loss

    monkeypatch.setattr(Learner, "step", overflowing)
    monkeypatch.setattr(Learner, "validate", lambda *_args, **_options: 1.0)
    with pytest.raises(TrainingError, match=r"at step 8 \(.*finite.*the checkpoint of step 6"):
        quick(source, tmp_path / "run", **LONG)
    assert_good(tmp_path / "run")


@pytest.mark.parametrize("value", [3e38, -3e38, 65504, np.nan, np.inf])
def test_frames_with_extreme_values_train_or_are_refused(tmp_path, value):
    """Not a number that is not finite gets into a file."""
    source, frames = record(tmp_path / "in" / "a.wav", tone(4000)).parent, tmp_path / "frames"
    frames.mkdir()
    rows = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    rows[3, 1] = value
    np.save(frames / "a.npy", rows)
    run = tmp_path / "run"
    try:
        quick(source, run, frames=frames, hop=80, **LONG)
    except (TrainingError, ValueError) as error:
        assert "\n" not in str(error)
    if run.exists():
        assert_good(run)
    if np.isfinite(value) and (run / "model.safetensors").exists():
        assert fw.load(run / "model.safetensors").spec.conditioning is not None
