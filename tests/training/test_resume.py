"""A run that ended early goes on as if it had not, however it ended."""

import dataclasses
import time

import numpy as np
import pytest
import torch
from recordings import record, tone
from runs import SPEC, interrupt, left_behind, log, quick, weights

from fastwavenet.training import checkpoint, loop
from fastwavenet.training.computer import Computer
from fastwavenet.training.learner import Learner
from fastwavenet.training.run import RunFolder
from fastwavenet.training.schedule import rate_factor

pytestmark = pytest.mark.usefixtures("one_thread")
STEPS = 45  # a report every second or third one
LONG = {"steps": STEPS, "batch": 1, "window": 50}


# ---- it goes on exactly ----------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 20])
def test_an_interrupted_run_goes_on_to_the_same_bits(source, tmp_path, monkeypatch, whole, at):
    with monkeypatch.context() as context:
        interrupt(context, at)
        assert quick(source, tmp_path / "run", **LONG).steps == at + 1
    summary = quick(source, tmp_path / "run", resume=True)
    assert (summary.steps, summary.interrupted) == (STEPS, False)
    assert left_behind(tmp_path / "run") == whole


def test_a_run_may_be_interrupted_at_every_step(source, tmp_path, monkeypatch, whole):
    for at in range(STEPS):
        with monkeypatch.context() as context:
            interrupt(context, at)
            summary = quick(source, tmp_path / "run", **LONG if at == 0 else {"resume": True})
            assert summary.interrupted == (at < STEPS - 1)
    assert left_behind(tmp_path / "run") == whole


def test_in_bfloat16_too(source, tmp_path, monkeypatch):
    quick(source, tmp_path / "whole", bfloat16=True, **LONG)
    with monkeypatch.context() as context:
        interrupt(context, 20)
        quick(source, tmp_path / "run", bfloat16=True, **LONG)
    quick(source, tmp_path / "run", resume=True)
    assert left_behind(tmp_path / "run") == left_behind(tmp_path / "whole")


def test_the_summary_is_of_the_whole_run(source, tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        interrupt(context, 5)
        first = quick(source, tmp_path / "run", **LONG)
    kept = checkpoint.load(tmp_path / "run" / "checkpoint.safetensors").progress
    kept.seconds += 1000
    monkeypatch.setattr(RunFolder, "load", lambda folder: _with_progress(folder, kept))
    second = quick(source, tmp_path / "run", resume=True)
    assert first.seconds + 1000 < second.seconds
    assert second.spec == SPEC
    assert second.validation_loss == min(r["validation_loss"] for r in log(tmp_path / "run"))


def _with_progress(folder, progress):
    return dataclasses.replace(checkpoint.load(folder.checkpoint), progress=progress)


def test_reports_and_checkpoints_change_no_weights(source, tmp_path, monkeypatch, whole):
    monkeypatch.setattr("fastwavenet.training.settings.REPORTS", 1)
    quick(source, tmp_path / "run", **LONG)
    assert len(log(tmp_path / "run")) == 1
    monkeypatch.setattr("fastwavenet.training.settings.REPORTS", 2 * STEPS)
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    quick(source, tmp_path / "often", **LONG)
    assert len(log(tmp_path / "often")) == STEPS
    latest = (tmp_path / "run" / "latest.safetensors").read_bytes()
    assert latest == (tmp_path / "often" / "latest.safetensors").read_bytes() == whole[6][1]


# ---- the budget ------------------------------------------------------------------------------


def test_a_run_at_its_end_stays_there_and_says_what_to_do(source, tmp_path, capsys):
    first = quick(source, tmp_path / "run")
    before = left_behind(tmp_path / "run")
    assert quick(source, tmp_path / "run", resume=True, progress=True) == first
    assert "\n3 steps are spent: give more, in all, to train longer\n" in capsys.readouterr().out
    assert left_behind(tmp_path / "run") == before


def test_a_budget_that_is_spent_already_is_refused(source, tmp_path):
    quick(source, tmp_path / "run")
    for budget in ({"steps": 3}, {"steps": 2, "minutes": 10}):
        with pytest.raises(ValueError, match="steps are spent: this run has taken 3 steps"):
            quick(source, tmp_path / "run", resume=True, **budget)


def test_a_larger_budget_trains_longer_and_the_learning_rate_follows_it(source, tmp_path):
    quick(source, tmp_path / "run", steps=4)
    summary = quick(source, tmp_path / "run", steps=6, resume=True)
    assert summary.steps == 6
    rates = [record["learning_rate"] for record in log(tmp_path / "run")]
    spent = [(step + 0.5) / steps for step, steps in enumerate((4, 4, 4, 4, 6, 6))]
    assert rates == [0.01 * rate_factor("cosine", x) for x in spent]
    kept = checkpoint.load(tmp_path / "run" / "checkpoint.safetensors")
    assert kept.budget.steps == 6


def test_minutes_may_follow_steps(source, tmp_path):
    quick(source, tmp_path / "run")
    summary = quick(source, tmp_path / "run", minutes=0.01, resume=True)
    assert summary.steps > 3
    assert summary.seconds >= 0.6


def test_time_that_was_spent_counts(source, tmp_path, monkeypatch):
    interrupt(monkeypatch, 2)
    quick(source, tmp_path / "run", steps=None, minutes=1)
    kept = checkpoint.load(tmp_path / "run" / "checkpoint.safetensors").progress
    kept.seconds = 59.9
    monkeypatch.setattr(RunFolder, "load", lambda folder: _with_progress(folder, kept))
    began = time.monotonic()
    summary = quick(source, tmp_path / "run", resume=True)
    assert 60 <= summary.seconds < 60 + time.monotonic() - began


# ---- what may not change ---------------------------------------------------------------------


@pytest.fixture
def begun(source, tmp_path, monkeypatch):
    """A run that was interrupted at its second step."""
    with monkeypatch.context() as context:
        interrupt(context, 1)
        quick(source, tmp_path / "run", **LONG)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed is 0 in this run, not 1: leave it out to resume the run, or"),
        ({"batch": 2}, "batch is 1 in this run, not 2"),
        ({"window": 51}, "window is 50 in this run, not 51"),
        ({"learning_rate": 0.02}, "learning_rate is 0.01 in this run, not 0.02"),
        ({"weight_decay": 0}, "weight_decay is 0.01 in this run, not 0"),
        ({"convert": True}, "convert is False in this run, not True"),
        ({"bfloat16": True}, "bfloat16 is False in this run, not True"),
        ({"sample_rate": 8000}, "sample_rate is 16000 in this run, not 8000"),
        ({"preset": "tiny"}, "residual is 8 in this run, not 32"),
        ({"spec": dataclasses.replace(SPEC, head=8)}, "head is 16 in this run, not 8"),
        ({"preset": "huge"}, "preset must be one of tiny"),
        ({"batch": 0}, "batch must be a positive whole number, not 0"),
    ],
)
def test_another_setting_is_refused_by_both_names(source, begun, changes, message):
    before = {file: file.read_bytes() for file in begun.iterdir()}
    with pytest.raises(ValueError, match=message):
        quick(source, begun, resume=True, **changes)
    assert {file: file.read_bytes() for file in begun.iterdir()} == before


def test_the_same_settings_may_be_given_again(source, begun, whole):
    same = {"spec": SPEC, "seed": 0, "learning_rate": 1e-2, "weight_decay": 0.01}
    quick(source, begun, resume=True, bfloat16=False, convert=False, **LONG | same)
    assert left_behind(begun) == whole


def test_other_audio_is_refused_and_what_differs_is_said(source, begun, tmp_path):
    other = tmp_path / "other"
    record(other / "a.wav", tone(2000, hz=500))
    with pytest.raises(
        ValueError,
        match=r"were 3600 samples in 2 files .* now 1800 samples in 1 file \(",
    ):
        quick(other, begun, resume=True)
    record(other / "b.wav", tone(2000))
    with pytest.raises(ValueError, match=r"to train on were 3600 .* now 3600 samples in 2 files"):
        quick(other, begun, resume=True)
    held = record(tmp_path / "held.wav", tone(300))
    with pytest.raises(ValueError, match=r"not the audio that this run began with: to train on"):
        quick(source, begun, resume=True, validation=held)


def test_the_same_audio_elsewhere_is_the_same(begun, tmp_path, source, whole):
    source.joinpath("a.wav")
    for name in ("c.wav", "d.wav"):
        record(tmp_path / "moved" / name, tone(2000))
    quick(tmp_path / "moved", begun, resume=True)
    assert left_behind(begun) == whole


def test_where_there_is_no_run_there_is_nothing_to_resume(source, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"checkpoint\.safetensors: no such file: expected"):
        quick(source, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


# ---- another computer ------------------------------------------------------------------------


def test_another_number_of_threads_is_named(source, begun, monkeypatch, capsys):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    quick(source, begun, resume=True, progress=True)
    assert (
        "from those of a run without the interruption: threads 2, before 1\n"
    ) in capsys.readouterr().out
    kept = checkpoint.load(begun / "checkpoint.safetensors").computer
    assert (kept.threads, kept.device) == (2, "cpu")


def test_on_the_same_computer_there_is_no_such_line(source, begun, capsys):
    quick(source, begun, resume=True, progress=True)
    assert "last bits" not in capsys.readouterr().out


def test_every_part_that_changed_is_named():
    now = Computer.here(torch.device("cpu"))
    assert now.change(now) is None
    before = Computer(now.threads, "AVX\x1b", "1.0", "NVIDIA")
    assert now.change(before).endswith(
        f": processor {now.processor!r}, before 'AVX\\x1b'; pytorch {torch.__version__!r}, before "
        f"'1.0'; device 'cpu', before 'NVIDIA'"
    )


# ---- the other files follow the checkpoint ---------------------------------------------------


def test_the_other_files_are_made_again_from_the_checkpoint(source, begun, monkeypatch, whole):
    quick(source, begun, steps=30, resume=True)
    expected = left_behind(begun)
    (begun / "log.jsonl").write_text('{"step": 99}\n')
    (begun / "model.safetensors").unlink()
    (begun / "latest.safetensors").write_bytes(b"damaged")
    (begun / ".checkpoint.safetensors-0123.tmp").write_bytes(b"half")
    monkeypatch.setattr(Learner, "step", lambda *_: pytest.fail("no step is left"))
    quick(source, begun, resume=True)
    lines, _, _, _, _, _, models, names = left_behind(begun)
    assert (lines, models, names) == (expected[0], expected[6], expected[7])


def test_what_an_interruption_shows_is_not_part_of_the_run(source, tmp_path, monkeypatch):
    """Judged between two reports, its weights are the best; the history knows better ones not."""
    monkeypatch.setattr(loop, "LITTLE_SECONDS", 0)  # so that the best weights are kept
    losses = iter([3.0, 2.0, 1.0, 2.5])
    monkeypatch.setattr(Learner, "validate", lambda _: next(losses))
    with monkeypatch.context() as context:
        interrupt(context, 4)  # reports after steps 3 and 5 of 50 ...
        summary = quick(source, tmp_path / "run", steps=50, batch=1, window=50)
    run = tmp_path / "run"
    assert summary.validation_loss == 2.0
    assert (log(run)[-1]["step"], summary.model.exists()) == (5, True)
    with monkeypatch.context() as context:
        interrupt(context, 5)  # ... so that this is judged for a person only
        summary = quick(source, run, resume=True)
    assert summary.validation_loss == 1.0
    assert [r["validation_loss"] for r in log(run)] == [3.0, 2.0, 1.0]
    shown = weights(run / "model.safetensors")["first.weight"]
    np.testing.assert_array_equal(shown, weights(run / "latest.safetensors")["first.weight"])
    with monkeypatch.context() as context:
        interrupt(context, 7)
        summary = quick(source, run, resume=True)
    assert summary.validation_loss == 2.0
    assert [r["validation_loss"] for r in log(run)] == [3.0, 2.0, 2.5]
    best = checkpoint.load(run / "checkpoint.safetensors").tensors["best"]["first.weight"]
    kept = weights(run / "model.safetensors")["first.weight"]
    np.testing.assert_array_equal(kept, best)
    assert not np.array_equal(kept, shown)


def test_a_run_that_was_killed_after_its_last_checkpoint_gets_its_other_files(
    source, tmp_path, monkeypatch
):
    quick(source, tmp_path / "whole")
    publish = RunFolder.publish

    def killed(folder, spec, history, *tensors):
        if len(history) == 3:
            raise KeyboardInterrupt
        publish(folder, spec, history, *tensors)

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(RunFolder, "publish", killed)
        quick(source, tmp_path / "run")
    assert len(log(tmp_path / "run")) == 2
    quick(source, tmp_path / "run", resume=True)
    assert left_behind(tmp_path / "run") == left_behind(tmp_path / "whole")
