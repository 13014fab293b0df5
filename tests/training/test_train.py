"""Training: it learns, leaves a whole run folder, and prints its progress."""

import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from markov import bursts, sound
from recordings import full_disk, record, tone, two_tones
from runs import SPEC, interrupt, log, quick, weights

import fastwavenet as fw
from fastwavenet.audio import AudioError
from fastwavenet.ends import Sampling
from fastwavenet.precision import AFFORDABLE, describe_precision_cost
from fastwavenet.training import PRESETS, checkpoint, loop, measures, train
from fastwavenet.training.console import describe_cost
from fastwavenet.training.data import load_corpus
from fastwavenet.training.learner import Learner
from fastwavenet.training.reporters import Reporters
from fastwavenet.training.run import RunFolder

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


def speechlike(folder) -> Path:
    """A file of 8 s of noise in bursts, at the rate of `quick`."""
    audio = np.repeat(sound(bursts(), 4), 4)
    return record(folder / "bursts.wav", audio)


@pytest.mark.usefixtures("short_search")
@pytest.mark.parametrize("how", ["tuned", "untuned", "stopped"])
def test_the_best_model_has_the_sampling_that_tune_finds(source, tmp_path, monkeypatch, how):
    if how == "stopped":
        interrupt(monkeypatch, 1)
    held_out = speechlike(tmp_path)
    tune = None if how != "untuned" else False
    summary = quick(source, tmp_path / "run", steps=5, validation=held_out, tune=tune)
    model = fw.load(summary.model)
    found = Sampling()
    if how == "tuned":
        plain = fw.Model(summary.spec, model.weights, model.precision)
        found = fw.tune(plain, fw.read_audio(held_out)[0]).sampling
    assert model.spec.sampling == found
    assert set(model.precision_cost) == {"bfloat16", "int8", "bfloat16x16", "int8x8"}
    assert fw.load(tmp_path / "run" / "latest.safetensors").spec.sampling == Sampling()


def test_too_little_held_out_audio_is_said_and_ends_no_run(source, tmp_path, capsys):
    quick(source, tmp_path / "run", progress=True)
    said = capsys.readouterr().out
    assert "no search for the best sampling: expected at least 2 s" in said


@pytest.mark.slow
def test_where_little_is_held_out_the_sampling_is_searched_on_all_audio(tmp_path, capsys):
    summary = quick(speechlike(tmp_path), tmp_path / "run", steps=1, progress=True)
    said = capsys.readouterr().out
    assert "little audio is held out: the best sampling was searched on all of it" in said
    assert "temperature" in said and summary.model.is_file()


@pytest.mark.parametrize("stopped", [False, True])
def test_the_last_previews_are_by_the_sampling_that_was_found(
    source, tmp_path, monkeypatch, stopped
):
    found, reports = Sampling(top_k=5), []
    monkeypatch.setattr("fastwavenet.training.call.record_measures", lambda *_: found)
    monkeypatch.setattr(Reporters, "report", lambda _, now: reports.append(now))
    if stopped:
        interrupt(monkeypatch, 1)
    quick(source, tmp_path / "run", steps=3)
    *others, last = reports
    assert {now.settings.spec.sampling for now in others} == {Sampling()}
    assert last.settings.spec.sampling == (Sampling() if stopped else found)
    exported = weights(tmp_path / "run" / "latest.safetensors")
    assert all(np.array_equal(exported[name], array) for name, array in last.weights.items())
    kept = checkpoint.load(tmp_path / "run" / "checkpoint.safetensors")
    assert kept.settings.spec.sampling == Sampling()


@pytest.mark.parametrize("little", [False, True])
def test_the_best_weights_are_kept_or_of_little_audio_the_latest(
    source, tmp_path, monkeypatch, little
):
    if not little:
        monkeypatch.setattr(loop, "LITTLE_SECONDS", 0)
    judged = []

    def judge(learner):
        judged.append(learner.weights()["first.weight"])
        return [2.0, 1.0, 3.0][len(judged) - 1]

    monkeypatch.setattr(Learner, "validate", judge)
    summary = quick(source, tmp_path / "run", steps=3)
    assert summary.validation_loss == (3.0 if little else 1.0)
    kept = judged[2] if little else judged[1]
    np.testing.assert_array_equal(weights(summary.model)["first.weight"], kept)
    latest = weights(tmp_path / "run" / "latest.safetensors")
    np.testing.assert_array_equal(latest["first.weight"], judged[2])


def test_the_log_has_a_line_per_validation(source, tmp_path):
    quick(source, tmp_path / "run", steps=3)
    lines = log(tmp_path / "run")
    assert [line["step"] for line in lines] == [1, 2, 3]
    for line in lines:
        assert set(line) == {"step", "seconds", "train_loss", "validation_loss", "learning_rate"}


def test_between_reports_a_checkpoint_is_written_once_in_a_while(source, tmp_path, monkeypatch):
    save, saved = RunFolder.save, []

    def noted(folder, state):
        saved.append(state.progress.steps)
        save(folder, state)

    monkeypatch.setattr(RunFolder, "save", noted)
    quick(source, tmp_path / "rare", steps=40)
    assert saved == list(range(0, 41, 2))
    saved.clear()
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
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
    assert len(reports) == 6
    assert reports[0].startswith("step 1, ")
    page = tmp_path / "run" / "report.html"
    assert reports[1] == f"report: {page}, written anew at each validation"
    cost = describe_precision_cost(fw.load(tmp_path / "run" / "model.safetensors").precision_cost)
    assert reports[-1] == f"against float32: {cost}"


@pytest.mark.parametrize(("int8", "advised"), [(AFFORDABLE, False), (AFFORDABLE + 1e-6, True)])
def test_rounding_is_advised_where_int8_costs_too_much(
    source, tmp_path, capsys, monkeypatch, int8, advised
):
    cost = dict.fromkeys(fw.load("recorder-16k").precision_cost, 0.0) | {"int8": int8}
    monkeypatch.setattr(measures.Comparison, "cost", lambda _: cost)
    quick(source, tmp_path / "run", progress=True)
    assert ("export --round-for-int8" in capsys.readouterr().out.splitlines()[-1]) == advised


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


def test_passes_over_audio_that_take_no_time_are_only_counted(source):
    corpus = load_corpus(source, SPEC)
    n = sum(len(clip.codes) for clip in corpus.train)
    assert describe_cost(corpus, 2 * n, 60.0).endswith("in which it hears the audio 120.00 times")
    assert describe_cost(corpus, n, 60.0).endswith("hears the audio 60.00 times, 00:01 each")


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
