"""The exponential moving average of the weights, and gradients of several batches."""

import dataclasses

import numpy as np
import pytest
import torch
from recordings import two_tones
from runs import SPEC, changing, interrupt, left_behind, log, quick, weights

import fastwavenet as fw
from fastwavenet.training import checkpoint
from fastwavenet.training.checkpoint import AVERAGE, LATEST
from fastwavenet.training.data import load_corpus
from fastwavenet.training.learner import AVERAGE_GROWTH, Learner
from fastwavenet.training.settings import Settings

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def source(tmp_path):
    return two_tones(tmp_path / "recordings")


def learner_of(source, **settings):
    chosen = Settings(spec=SPEC, **{"batch": 2, "window": 200, "bfloat16": False} | settings)
    return Learner(chosen, load_corpus(source, SPEC), torch.device("cpu"))


def latest(learner):
    return {name: p.detach().clone() for name, p in learner.model.named_parameters()}


@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_the_average_is_that_of_its_recurrence(source, decay):
    learner = learner_of(source, ema_decay=decay)
    expected = latest(learner)
    for step in range(15):
        learner.step(1.0)
        kept = min(decay, step / (step + AVERAGE_GROWTH))
        for name, now in latest(learner).items():
            expected[name] = kept * expected[name] + (1 - kept) * now
    for name, array in learner.weights().items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("decay", "steps"), [(0, 3), (0.999, 1)])
def test_without_a_decay_or_after_one_step_the_average_is_the_weights(source, decay, steps):
    learner = learner_of(source, ema_decay=decay)
    for _ in range(steps):
        learner.step(1.0)
    assert all(np.array_equal(learner.weights()[name], w) for name, w in latest(learner).items())


def test_the_average_changes_no_step(source, tmp_path):
    ends = []
    for decay in (0, 0.9):
        quick(source, tmp_path / str(decay), steps=5, ema_decay=decay)
        kept = checkpoint.load(tmp_path / str(decay) / "checkpoint.safetensors")
        ends.append(kept.tensors[LATEST])
    assert all(np.array_equal(ends[0][name], array) for name, array in ends[1].items())


def test_the_average_is_what_is_validated_and_exported(source, tmp_path):
    summary = quick(source / "a.wav", tmp_path / "run", steps=30, validation=source / "b.wav")
    kept = checkpoint.load(tmp_path / "run" / "checkpoint.safetensors").tensors
    exported = weights(tmp_path / "run" / "latest.safetensors")
    assert all(np.array_equal(exported[name], array) for name, array in kept[AVERAGE].items())
    assert any((exported[name] != array).any() for name, array in kept[LATEST].items())
    audio, _ = fw.read_audio(source / "b.wav")
    nats = fw.score(fw.load(tmp_path / "run" / "latest.safetensors", "float32"), audio)
    assert log(tmp_path / "run")[-1]["validation_loss"] == pytest.approx(nats.mean(), abs=1e-4)
    assert summary.validation_loss <= nats.mean() + 1e-4


def test_validation_leaves_the_weights_and_the_average_as_they_were(source):
    learner = learner_of(source)
    for _ in range(3):
        learner.step(1.0)
    before = learner.state()
    learner.validate()
    after = learner.state()
    for group, tensors in before.items():
        assert all(np.array_equal(after[group][name], array) for name, array in tensors.items())
    with changing(learner) as parameters:
        parameters["head.output.bias"][0] = np.nan
    with pytest.raises(ArithmeticError):
        learner.validate()
    assert np.isnan(latest(learner)["head.output.bias"][0])


# ---- accumulation ----------------------------------------------------------------------------


def test_accumulated_batches_have_the_gradient_of_one_large_batch(source):
    whole, parts = (learner_of(source, batch=b, accumulate=n) for b, n in ((6, 1), (2, 3)))
    (loss, count), (loss_of_parts, count_of_parts) = whole._gradient(), parts._gradient()
    assert (count, loss) == (count_of_parts, pytest.approx(loss_of_parts, rel=1e-6))
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-7)


def test_a_run_that_accumulates_goes_on_exactly(source, tmp_path, monkeypatch):
    settings = {"steps": 5, "accumulate": 3, "ema_decay": 0.9, "schedule": "trapezoid"}
    quick(source, tmp_path / "whole", **settings)
    with monkeypatch.context() as context:
        interrupt(context, at=2)
        assert quick(source, tmp_path / "parts", **settings).steps == 3
    quick(source, tmp_path / "parts", resume=True)
    whole, parts = (left_behind(tmp_path / name) for name in ("whole", "parts"))
    assert whole == parts


def test_gradients_are_scaled_to_their_largest_norm(source):
    learner = learner_of(source, max_gradient_norm=1e-3)
    seen = []
    learner.optimizer.step = lambda: seen.append(
        torch.cat([p.grad.flatten() for p in learner.model.parameters()]).double().norm().item()
    )
    learner.step(1.0)
    learner.settings = dataclasses.replace(learner.settings, max_gradient_norm=1e9)
    learner.step(1.0)
    assert seen[0] == pytest.approx(1e-3, rel=1e-3) and seen[1] > 1e-2
