"""How training ends: with its budget, by a signal, in divergence; arguments that are refused."""

import dataclasses
import itertools
import math
import signal
import threading

import numpy as np
import pytest
import safetensors
import torch
from networks import small_spec
from recordings import two_tones
from runs import SPEC, changing, interrupt, log, quick, weights

import fastwavenet as fw
from fastwavenet.ends import FrameConditioning
from fastwavenet.training import checkpoint
from fastwavenet.training.data import load_corpus
from fastwavenet.training.learner import Learner, TrainingError
from fastwavenet.training.schedule import SCHEDULES, WARM_UP, rate_factor
from fastwavenet.training.settings import Budget, Settings

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def source(tmp_path):
    return two_tones(tmp_path / "recordings")


# ---- the budget ------------------------------------------------------------------------------


def test_training_takes_the_steps_it_is_given(source, tmp_path):
    assert quick(source, tmp_path / "run", steps=5).steps == 5
    assert log(tmp_path / "run")[-1]["step"] == 5


def test_training_takes_the_minutes_it_is_given(source, tmp_path):
    summary = quick(source, tmp_path / "run", steps=None, minutes=1 / 60)
    assert summary.seconds >= 1
    assert summary.steps > 0
    assert summary.samples_per_second > 0


def test_a_budget_ends_with_what_is_spent_first():
    budget = Budget(minutes=2, steps=100)
    assert budget.spent(50, 30) == 0.5
    assert budget.spent(50, 90) == 0.75
    assert str(budget) == "2 minutes or 100 steps"


def test_without_a_budget_training_takes_ten_minutes():
    assert Budget(None, None).spent(10**9, 300) == 0.5


@pytest.mark.parametrize("minutes", [0, -1, math.nan, math.inf])
def test_minutes_must_be_positive(minutes):
    with pytest.raises(ValueError, match=f"minutes must be a positive number, not {minutes}"):
        Budget(minutes, None)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, 2**31 + 1])
def test_steps_must_be_positive(steps):
    with pytest.raises(ValueError, match=f"steps must be a positive whole number, not {steps}"):
        Budget(None, steps)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_learning_rate_warms_up_then_decays_to_zero(schedule):
    spent = np.linspace(0, 1.1, 1000)
    factors = np.array([rate_factor(schedule, x) for x in spent])
    assert {rate_factor(schedule, x) for x in (0, 1, 1.1)} == {0}
    assert rate_factor(schedule, WARM_UP) == 1
    assert (np.diff(factors[spent < WARM_UP]) > 0).all()
    assert (np.diff(factors[spent > WARM_UP]) <= 0).all()


def test_weight_decay_shrinks_the_weights(source, tmp_path):
    sizes = []
    for decay in (0, 10):
        quick(source, tmp_path / str(decay), learning_rate=0.01, weight_decay=decay)
        tensors = weights(tmp_path / str(decay) / "latest.safetensors")
        sizes.append(np.square(tensors["head.output.weight"]).sum())
    assert sizes[1] < 0.95 * sizes[0]


def test_the_learning_rate_that_is_logged_is_the_one_used(source, tmp_path):
    quick(source, tmp_path / "run", steps=4, learning_rate=0.5)
    rates = [line["learning_rate"] for line in log(tmp_path / "run")]
    assert rates == [0.5 * rate_factor("cosine", (step + 0.5) / 4) for step in range(4)]


@pytest.mark.parametrize(
    ("minutes", "steps", "reports"),
    [
        (None, 1, 1),
        (None, 19, 19),
        (None, 20, 20),
        (None, 21, 20),
        (None, 20 * 500, 20),
        (None, 20 * 500 + 1, 21),
        (1, None, 20),
        (20, None, 20),
        (60, None, 60),
        (60, 100, 60),
    ],
)
def test_reports_are_evenly_spaced_and_never_far_apart(minutes, steps, reports):
    budget = Budget(minutes, steps)
    spent = np.linspace(0, 1, (steps or 10000) + 1)
    due = [budget.report_is_due(*pair) for pair in itertools.pairwise(spent)]
    assert due[-1]
    assert sum(due) == reports
    assert np.ptp(np.diff(np.flatnonzero(due))) <= 1 if reports > 1 else True


def test_the_budget_ends_with_a_report_however_it_is_overrun():
    assert Budget(1, None).report_is_due(0.9999, 1.7)


def test_a_budget_of_one_is_said_as_one():
    assert str(Budget(1, None)) == "1 minute"
    assert str(Budget(0.5, 1)) == "0.5 minutes or 1 step"


# ---- when it goes wrong ----------------------------------------------------------------------


def test_divergence_is_an_error_that_keeps_the_last_good_model(source, tmp_path, monkeypatch):
    step = Learner.step
    monkeypatch.setattr(
        Learner, "step", lambda learner, _: step(learner, 1e20 if learner.steps > 9 else 0.1)
    )
    with pytest.raises(TrainingError, match=r"diverged at step \d+ \(loss .*learning rate"):
        quick(source / "a.wav", tmp_path / "run", steps=20, validation=source / "b.wav")
    best = min(line["validation_loss"] for line in log(tmp_path / "run"))
    audio, _ = fw.read_audio(source / "b.wav")
    nats = fw.score(fw.load(tmp_path / "run" / "model.safetensors"), audio)
    assert nats.mean() == pytest.approx(best, abs=1e-4)
    with safetensors.safe_open(tmp_path / "run" / "checkpoint.safetensors", "np") as file:
        assert all(np.isfinite(file.get_tensor(name)).all() for name in file.keys())  # noqa: SIM118


@pytest.mark.parametrize("act", [lambda learner: learner.step(1), Learner.validate])
def test_a_loss_that_is_nan_is_divergence(source, act):
    learner = Learner(Settings(spec=SPEC), load_corpus(source, SPEC), torch.device("cpu"))
    with changing(learner) as parameters:
        parameters["head.output.bias"][3] = math.nan
    with pytest.raises(TrainingError, match=r"diverged at step 0 \(loss nan\): lower the learning"):
        act(learner)


def test_ctrl_c_ends_after_the_step_and_saves(source, tmp_path, monkeypatch):
    interrupt(monkeypatch, at=2)
    handler = signal.getsignal(signal.SIGINT)
    summary = quick(source, tmp_path / "run", steps=1000)
    assert summary.interrupted
    assert summary.steps == 3
    assert fw.load(summary.model).spec == SPEC
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is handler


def test_sigterm_ends_after_the_step_and_saves(source, tmp_path, monkeypatch):
    interrupt(monkeypatch, at=2, number=signal.SIGTERM)
    handler = signal.getsignal(signal.SIGTERM)
    summary = quick(source, tmp_path / "run", steps=1000)
    assert (summary.interrupted, summary.steps) == (True, 3)
    assert fw.load(summary.model).spec == SPEC
    assert signal.getsignal(signal.SIGTERM) is handler


def test_ctrl_c_before_the_first_step_still_leaves_a_model(source, tmp_path, monkeypatch):
    def interrupted(learner):
        signal.raise_signal(signal.SIGINT)
        learner.settings = dataclasses.replace(learner.settings, bfloat16=False)
        return "interrupted meanwhile"

    monkeypatch.setattr(Learner, "choose_precision", interrupted)
    summary = quick(source, tmp_path / "run", steps=1000, bfloat16=None)
    assert (summary.interrupted, summary.steps) == (True, 1)
    assert fw.load(summary.model).spec == SPEC


def test_ctrl_c_in_the_last_step_interrupts_nothing(source, tmp_path, monkeypatch):
    interrupt(monkeypatch, at=2)
    assert not quick(source, tmp_path / "run", steps=3).interrupted


def test_a_signal_that_is_ignored_stays_ignored(source, tmp_path, monkeypatch):
    interrupt(monkeypatch, at=2)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert quick(source, tmp_path / "run", steps=5).steps == 5
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_ctrl_c_interrupts_at_once(source, tmp_path, monkeypatch):
    interrupt(monkeypatch, at=2, times=2)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        quick(source, tmp_path / "run", steps=1000)
    assert signal.getsignal(signal.SIGINT) is handler


def test_training_runs_in_another_thread(source, tmp_path):
    summaries = []
    thread = threading.Thread(target=lambda: summaries.append(quick(source, tmp_path / "run")))
    thread.start()
    thread.join()
    assert summaries[0].steps == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"spec": None, "preset": "huge"},
            "preset must be one of tiny, small, base, ibab, not 'huge'",
        ),
        (
            {"spec": small_spec(conditioning=FrameConditioning(channels=3))},
            r"the network's frames are of no mel: expected a folder of them \(--frames, frames=\)",
        ),
        ({"preset": "tiny"}, "give either spec, or preset and sample_rate, not both"),
        ({"sample_rate": 16000}, "give either spec, or preset and sample_rate, not both"),
        ({"spec": None, "sample_rate": 0}, "sample_rate must be a whole number from 1 to"),
        ({"batch": 0}, "batch must be a positive whole number, not 0"),
        ({"window": 0}, "window must be a positive whole number, not 0"),
        ({"window": 1e3}, "window must be a positive whole number, not 1000.0"),
        ({"convert": "no"}, "convert must be True or False, not 'no'"),
        ({"bfloat16": "bf16"}, "bfloat16 must be True or False or None, not 'bf16'"),
        ({"device": "tpu"}, "device must be one of those here, cpu.*, not 'tpu'"),
        ({"device": "cuda:99"}, "device must be one of those here, cpu.*, not 'cuda:99'"),
        ({"weight_decay": -1}, "weight_decay must be a number from 0, not -1"),
        ({"learning_rate": math.nan}, "learning_rate must be a positive number, not nan"),
        ({"learning_rate": 10**400}, r"learning_rate must be a positive number, not 10{76}\.\.\.$"),
        ({"minutes": 10**5000}, "minutes must be a positive number, not a number of 16610 bits$"),
        ({"preset": ["tiny"], "spec": None}, r"preset must be one of tiny.*, not \['tiny'\]"),
        ({"device": "\x1b[31m"}, r"device must be one of those here, cpu.*, not '\\x1b\[31m'"),
        ({"seed": -1}, "seed must be a whole number from 0 to 18446744073709551615, not -1"),
        ({"seed": 2**64}, "seed must be a whole number from 0 to 18446744073709551615"),
    ],
)
def test_arguments_out_of_bounds_are_refused(source, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        quick(source, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_the_largest_seed_is_a_seed(source, tmp_path):
    assert quick(source, tmp_path / "run", seed=2**64 - 1).steps == 3


@pytest.mark.parametrize(
    ("seconds", "given", "decay"),
    [(59.99, None, 1.0), (60, None, 0.01), (3600, None, 0.01), (3, 0.0, 0.0), (60, 0.5, 0.5)],
)
def test_weight_decay_is_that_for_the_audio_unless_it_is_given(seconds, given, decay):
    assert Settings(spec=SPEC, weight_decay=given).for_audio(seconds).weight_decay == decay


def test_a_checkpoint_has_the_weight_decay_that_was_used(source, tmp_path):
    quick(source, tmp_path / "run", weight_decay=None)
    kept = checkpoint.load(tmp_path / "run" / "checkpoint.safetensors")
    assert kept.settings.weight_decay == 1.0
