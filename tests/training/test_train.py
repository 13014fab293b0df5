"""Training: it learns, within its budget, and whatever happens leaves a whole run folder."""

import dataclasses
import itertools
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import safetensors
import torch
from networks import small_spec
from recordings import full_disk, record, tone, two_tones
from runs import SPEC, interrupt, log, quick, weights

import fastwavenet as fw
from fastwavenet.audio import AudioError
from fastwavenet.ends import RawRows
from fastwavenet.precision import describe_precision_cost
from fastwavenet.training import PRESETS, train
from fastwavenet.training.console import describe_cost
from fastwavenet.training.data import load_corpus
from fastwavenet.training.learner import Learner, TrainingError
from fastwavenet.training.run import RunFolder
from fastwavenet.training.settings import WARM_UP, Budget, Settings, schedule

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def source(tmp_path):
    return two_tones(tmp_path / "recordings")


# ---- it learns -------------------------------------------------------------------------------


def test_a_tone_is_learnt(source, tmp_path):
    summary = quick(source, tmp_path / "run", steps=150)
    assert log(tmp_path / "run")[0]["train_loss"] > 4.5
    assert summary.validation_loss < 3


def test_validation_loss_is_what_the_engine_scores(source, tmp_path):
    """Windows with context cost nothing: each target is judged with its whole past."""
    summary = quick(source / "a.wav", tmp_path / "run", steps=40, validation=source / "b.wav")
    audio, _ = fw.read_audio(source / "b.wav")
    nats = fw.score(fw.load(summary.model, "float32"), audio)
    assert summary.validation_loss == pytest.approx(nats.mean(), abs=1e-4)


def test_the_same_seed_trains_the_same_weights(source, tmp_path):
    a, b, other = (
        weights(quick(source, tmp_path / name, seed=seed).model)
        for name, seed in (("a", 7), ("b", 7), ("other", 8))
    )
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not np.array_equal(a["first.weight"], other["first.weight"])


def test_the_callers_random_numbers_stay_as_they_were(source, tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    quick(source, tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_network(preset):
    fw.WaveNetSpec(sample_rate=16000, **PRESETS[preset])


def test_a_preset_takes_its_sample_rate_from_the_caller(tmp_path):
    source = record(tmp_path / "a.wav", tone(300, rate=8000), rate=8000)
    summary = train(
        source, tmp_path / "run", preset="tiny", sample_rate=8000, steps=1, progress=False
    )
    assert summary.spec == fw.WaveNetSpec(sample_rate=8000, **PRESETS["tiny"])
    assert fw.load(summary.model).spec == summary.spec


# ---- the budget ------------------------------------------------------------------------------


def test_training_takes_the_steps_it_is_given(source, tmp_path):
    assert quick(source, tmp_path / "run", steps=5).steps == 5
    assert log(tmp_path / "run")[-1]["step"] == 5


def test_training_takes_the_minutes_it_is_given(source, tmp_path):
    summary = quick(source, tmp_path / "run", steps=None, minutes=1 / 60)
    assert summary.seconds >= 1
    assert summary.steps > 1
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


def test_the_learning_rate_warms_up_then_decays_to_zero():
    spent = np.linspace(0, 1.1, 1000)
    factors = np.array([schedule(x) for x in spent])
    assert schedule(0) == schedule(1) == schedule(1.1) == 0
    assert schedule(WARM_UP) == 1
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
    assert rates == [0.5 * schedule((step + 0.5) / 4) for step in range(4)]


# ---- the run folder --------------------------------------------------------------------------


def test_the_model_is_ready_for_the_engine(source, tmp_path):
    summary = quick(source, tmp_path / "run")
    assert summary.model == tmp_path / "run" / "model.safetensors"
    assert fw.generate(fw.load(summary.model), n_samples=10, seed=1).shape == (10,)


@pytest.mark.parametrize("stopped", [False, True])
def test_the_best_model_says_what_precisions_lose_on_held_out_audio(
    source, tmp_path, monkeypatch, stopped
):
    if stopped:
        interrupt(monkeypatch, 1)
    held_out = record(tmp_path / "held-out.wav", tone(1000, 300))
    summary = quick(source, tmp_path / "run", steps=5, validation=held_out)
    assert summary.interrupted == stopped
    cost = fw.measure_precision(summary.model, fw.read_audio(held_out)[0])
    assert fw.load(summary.model).precision_cost == cost
    assert fw.load(tmp_path / "run" / "latest.safetensors").precision_cost == {}


def test_the_best_weights_are_kept_and_the_latest(source, tmp_path, monkeypatch):
    judged = []

    def judge(learner):
        judged.append(learner.model.first.weight.detach().clone().numpy())
        return [2.0, 1.0, 3.0][len(judged) - 1]

    monkeypatch.setattr(Learner, "validate", judge)
    summary = quick(source, tmp_path / "run", steps=3)
    assert summary.validation_loss == 1.0
    np.testing.assert_array_equal(weights(summary.model)["first.weight"], judged[1])
    latest = weights(tmp_path / "run" / "latest.safetensors")
    np.testing.assert_array_equal(latest["first.weight"], judged[2])


def test_the_log_has_a_line_per_validation(source, tmp_path):
    quick(source, tmp_path / "run", steps=3)
    lines = log(tmp_path / "run")
    assert [line["step"] for line in lines] == [1, 2, 3]
    for line in lines:
        assert set(line) == {"step", "seconds", "train_loss", "validation_loss", "learning_rate"}


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


def test_between_reports_a_checkpoint_is_written_once_in_a_while(source, tmp_path, monkeypatch):
    save, saved = RunFolder.save, []

    def noted(folder, state):
        saved.append(state.progress.steps)
        save(folder, state)

    monkeypatch.setattr(RunFolder, "save", noted)
    quick(source, tmp_path / "rare", steps=40)
    assert saved == list(range(0, 41, 2))
    saved.clear()
    monkeypatch.setattr(sys.modules[train.__module__], "SAVE_SECONDS", 0)
    quick(source, tmp_path / "often", steps=40)
    assert saved == list(range(41))


def test_a_folder_with_a_run_is_refused(source, tmp_path):
    run = tmp_path / "run"
    quick(source, run)
    before = {file: file.read_bytes() for file in run.iterdir()}
    with pytest.raises(
        FileExistsError, match=r"checkpoint\.safetensors exists: resume this run, train"
    ):
        quick(source, run)
    assert {file: file.read_bytes() for file in run.iterdir()} == before


def test_without_audio_no_folder_is_made(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError):
        quick(tmp_path / "empty", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_no_half_written_file(source, tmp_path):
    with full_disk(1000), pytest.raises(OSError, match="File too large"):
        quick(source, tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


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
    with torch.no_grad():
        learner.model.head.output.bias[3] = math.nan
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
        learner.settings = dataclasses.replace(learner.settings, autocast=False)
        return "interrupted meanwhile"

    monkeypatch.setattr(Learner, "choose_autocast", interrupted)
    summary = quick(source, tmp_path / "run", steps=1000, autocast=None)
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
        ({"spec": small_spec(conditioning=RawRows())}, "conditioning 'rows' cannot be trained"),
        ({"preset": "tiny"}, "give either spec, or preset and sample_rate, not both"),
        ({"sample_rate": 16000}, "give either spec, or preset and sample_rate, not both"),
        ({"spec": None, "sample_rate": 0}, "sample_rate must be a whole number from 1 to"),
        ({"batch": 0}, "batch must be a positive whole number, not 0"),
        ({"window": 0}, "window must be a positive whole number, not 0"),
        ({"window": 1e3}, "window must be a positive whole number, not 1000.0"),
        ({"convert": "no"}, "convert must be True or False, not 'no'"),
        ({"autocast": "bf16"}, "autocast must be True or False or None, not 'bf16'"),
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


# ---- what is said ----------------------------------------------------------------------------


def test_what_was_found_and_what_will_be_done_is_said(source, tmp_path, capsys):
    (source / "text.wav").write_text("not audio")
    record(source / "quiet.wav", np.zeros(2000))
    quick(source, tmp_path / "run", progress=True)
    lines = capsys.readouterr().out.splitlines()
    skipped, silent, to_train_on, held_out, little, plan, *reports = lines
    assert skipped.startswith("skipped ")
    assert "text.wav: not a readable audio file" in skipped
    assert silent.startswith("used, although silent")
    assert to_train_on == "to train on: 0.01 minutes in 3 files"
    assert held_out == "held out: 0.00 minutes in 1 file"
    assert little.startswith("little audio: 0.3 s will be learnt by heart")
    parameters = sum(math.prod(shape) for shape in SPEC.tensors().values())
    assert plan.startswith(f"training {parameters:,} parameters, which hear the last 9 samples")
    assert plan.endswith(", for 3 steps")
    assert len(reports) == 4
    assert reports[0].startswith("step 1, ")
    cost = describe_precision_cost(fw.load(tmp_path / "run" / "model.safetensors").precision_cost)
    assert reports[-1] == f"against float32: {cost}"


def test_many_skipped_files_are_counted(source, tmp_path, capsys):
    for i in range(23):
        (source / f"{i:02}.wav").write_text("not audio")
    quick(source, tmp_path / "run", progress=True)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("skipped ")]
    assert len(said) == 21
    assert "/19.wav: " in said[-2]
    assert said[-1] == "skipped 3 more"


@pytest.mark.parametrize(
    ("budget", "left"),
    [
        ({"steps": 100}, "01:29"),
        ({"steps": None, "minutes": 1}, "00:43"),
        ({"steps": 100, "minutes": 1}, "00:43"),
        ({"steps": 11}, None),
    ],
)
def test_what_the_budget_buys_is_said_once(source, tmp_path, capsys, monkeypatch, budget, left):
    """A step of a second learns from 2 x 200 of 3600 samples; the first takes longer."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def step(learner, _factor):
        now[0] += 1 if learner.steps else 7
        learner.steps, learner.samples = learner.steps + 1, learner.samples + 400
        return 5.0

    monkeypatch.setattr(Learner, "step", step)
    quick(source, tmp_path / "run", progress=True, **budget)
    said = [x for x in capsys.readouterr().out.splitlines() if "samples/s" in x]
    if left is None:
        assert said == []
    else:
        heard = {"01:29": "9.89", "00:43": "4.78"}[left]
        expected = f"400 samples/s: about {left} to go, in which it hears the audio {heard} times"
        assert said == [f"{expected}, 00:09 each"]


def test_a_resumed_run_says_where_it_goes_on(source, tmp_path, capsys, monkeypatch):
    with monkeypatch.context() as context:
        interrupt(context, at=4)
        quick(source, tmp_path / "run", steps=20)
    quick(source, tmp_path / "run", resume=True, progress=True)
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"resuming after 5 steps and 0\.\d\d minutes", said[4])
    assert said[5].startswith("step 6, ")


def test_a_terminal_shows_loss_speed_and_time_left(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    quick(source, tmp_path / "run", steps=60, progress=True)
    shown = capsys.readouterr().err
    assert re.search(r"\d+%\|.*\| \d\.\d{3} nats, [\d,]+ samples/s, 00:\d\d left", shown)


def test_without_a_terminal_no_bar_is_drawn(source, tmp_path, capsys):
    quick(source, tmp_path / "run", steps=60, progress=True)
    assert capsys.readouterr().err == ""


def test_without_progress_nothing_is_said(source, tmp_path, capsys):
    quick(source, tmp_path / "run")
    assert capsys.readouterr() == ("", "")


# ---- the cores -------------------------------------------------------------------------------

BEFORE_TORCH = """
import os, sys
class Watch:
    def find_spec(self, name, *_):
        if name == "torch":
            sys.exit(os.environ.get("GOMP_SPINCOUNT", "not set"))
sys.meta_path.insert(0, Watch())
from fastwavenet.training import train
"""


@pytest.mark.parametrize(("given", "found"), [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7")])
def test_training_shares_the_cores_before_torch_is_imported(given, found):
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    done = subprocess.run(
        [sys.executable, "-c", BEFORE_TORCH], env=environment | given, stderr=subprocess.PIPE
    )
    assert done.stderr.decode().strip() == found


def test_a_budget_of_one_is_said_as_one():
    assert str(Budget(1, None)) == "1 minute"
    assert str(Budget(0.5, 1)) == "0.5 minutes or 1 step"


def test_passes_over_audio_that_take_no_time_are_only_counted(source):
    corpus = load_corpus(source, SPEC)
    n = sum(len(clip.codes) for clip in corpus.train)
    assert describe_cost(corpus, 2 * n, 60.0).endswith("in which it hears the audio 120.00 times")
    assert describe_cost(corpus, n, 60.0).endswith("hears the audio 60.00 times, 00:01 each")
