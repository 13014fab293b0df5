"""A run knows its recordings, and finishes first what a killed process left unfinished."""

import json
import os
import shutil
from pathlib import Path

import pytest
import safetensors
from recordings import record, tone, two_tones
from runs import interrupt, left_behind, log, quick

import fastwavenet as fw
from fastwavenet.training import PRESETS, checkpoint, loop, train
from fastwavenet.training.learner import Learner
from fastwavenet.training.schedule import rate_factor
from fastwavenet.training.seal import sealed

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def source(tmp_path):
    folder = two_tones(tmp_path / "recordings")
    record(folder / "held" / "c.wav", tone(900, 300))
    return folder


@pytest.fixture
def begun(source, tmp_path, monkeypatch):
    """A run of 9 steps with recordings held out, interrupted at its second step."""
    with monkeypatch.context() as context:
        interrupt(context, 1)
        quick(source, tmp_path / "run", steps=9, validation=source / "held")
    return tmp_path / "run"


@pytest.fixture
def whole(source, tmp_path):
    quick(source, tmp_path / "whole", steps=9, validation=source / "held")
    return left_behind(tmp_path / "whole")


def alone(run, **options):
    return train(output=run, resume=True, progress=False, **options)


# ---- the recordings ------------------------------------------------------------------------------


def test_a_run_is_resumed_by_its_folder_alone(begun, whole):
    assert alone(begun).steps == 9
    assert left_behind(begun) == whole


def test_the_command_line_needs_only_the_folder_of_the_run(begun, whole, run):
    code, said, _ = run("train", "--resume", "-o", begun)
    assert code == 0 and said.splitlines()[-1].startswith("done after 9 steps and ")
    assert left_behind(begun) == whole


def test_the_same_source_given_again_keeps_the_validation(source, begun, whole):
    quick(source, begun, resume=True)
    assert left_behind(begun) == whole


def test_the_same_validation_given_again_keeps_the_source(source, begun, whole):
    alone(begun, validation=source / "held")
    assert left_behind(begun) == whole


def test_recordings_are_found_from_another_working_folder(source, tmp_path, monkeypatch, whole):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as context:
        interrupt(context, 1)
        quick("recordings", "run", steps=9, validation="recordings/held")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    alone("../run")
    assert left_behind(tmp_path / "run") == whole


@pytest.mark.parametrize("held_out", ["recordings/held", "held"])
def test_recordings_that_moved_are_given_once(source, tmp_path, monkeypatch, whole, held_out):
    """With them moves a validation folder inside them; another one stays."""
    run, moved = tmp_path / "run", tmp_path / "moved"
    if held_out == "held":
        (source / "held").rename(tmp_path / "held")
    for at in (1, 3):
        with monkeypatch.context() as context:
            interrupt(context, at)
            if at == 1:
                quick(source, run, steps=9, validation=tmp_path / held_out)
            else:
                source.rename(moved)
                quick(moved, run, resume=True)
    alone(run)  # which finds them where they are now
    assert left_behind(run) == whole


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("recordings", r"recordings are not there any more: .* new place as file or folder"),
        (
            "recordings/held",
            r"held: .* not there any more: .* place as validation",
        ),
    ],
)
def test_recordings_that_are_gone_are_asked_for(begun, tmp_path, gone, message):
    shutil.rmtree(tmp_path / gone)
    before = {file: file.read_bytes() for file in begun.iterdir()}
    with pytest.raises(FileNotFoundError, match=message):
        alone(begun)
    assert {file: file.read_bytes() for file in begun.iterdir()} == before


def test_other_recordings_at_the_known_place_are_refused(source, begun):
    record(source / "a.wav", tone(2000, 500))
    with pytest.raises(ValueError, match="not the audio that this run began with: to train on"):
        alone(begun)
    record(source / "a.wav", tone(2000))
    record(source / "held" / "c.wav", tone(900, 301))
    with pytest.raises(ValueError, match="not the audio that this run began with: held out"):
        alone(begun)


def test_a_name_that_is_no_text_is_remembered(tmp_path, monkeypatch):
    source = two_tones(tmp_path / "text").rename(tmp_path / os.fsdecode(b"r\xff\n"))
    with monkeypatch.context() as context:
        interrupt(context, 0)
        quick(source, tmp_path / "run")
    assert alone(tmp_path / "run").steps == 3


def forget(run):
    """Leaves a checkpoint as versions wrote it that did not note the recordings."""
    path = run / "checkpoint.safetensors"
    with safetensors.safe_open(path, "np") as file:
        about = json.loads(file.metadata()[checkpoint.METADATA_KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del about["recordings"]
    path.write_bytes(sealed(tensors, {checkpoint.METADATA_KEY: json.dumps(about)}))


def test_a_checkpoint_of_an_older_version_goes_on_with_its_recordings(source, begun, whole):
    forget(begun)
    with pytest.raises(ValueError, match="has no note of its recordings: expected their file or"):
        alone(begun)
    quick(source, begun, resume=True, validation=source / "held")
    assert left_behind(begun) == whole


def test_a_new_run_needs_recordings_and_a_folder(tmp_path):
    with pytest.raises(ValueError, match=r"no recordings to train on: .* \(--resume, resume=True"):
        train(output=tmp_path / "run")
    with pytest.raises(TypeError, match="needs `output`, the folder for the run"):
        train(tmp_path)
    assert list(tmp_path.iterdir()) == []


# ---- the preset ----------------------------------------------------------------------------------


@pytest.fixture
def tiny(source, tmp_path):
    train(source, tmp_path / "tiny", preset="tiny", steps=1, window=50, progress=False)
    return tmp_path / "tiny"


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "tiny"])
def test_another_preset_is_refused_by_both_names(tiny, preset):
    with pytest.raises(ValueError, match=rf"preset is 'tiny' in this run, not '{preset}': leave"):
        alone(tiny, preset=preset, steps=2)


def test_the_same_preset_may_be_given_again_with_its_rate(tiny):
    assert alone(tiny, preset="tiny", sample_rate=16000, steps=2).steps == 2
    with pytest.raises(ValueError, match="sample_rate is 16000 in this run, not 8000"):
        alone(tiny, preset="tiny", sample_rate=8000)


# ---- finishing first -----------------------------------------------------------------------------


# checkpoint; previous and new one, model, latest, log, report after each of 2 steps; model again
WRITES = 14


class Killed(BaseException):
    pass


def kill_at(monkeypatch, write):
    """Ends a run at its `write`-th file, before that has its name."""
    replace, calls = Path.replace, []

    def replaced(temporary, target):
        calls.append(target)
        if len(calls) == write:
            raise Killed
        return replace(temporary, target)

    monkeypatch.setattr(Path, "replace", replaced)


BUDGETS = [{}, {"steps": 2}, {"steps": 1}, {"minutes": 1e-9}]
KILLS = [  # each write with one of the budgets; with the others when there is time
    pytest.param(write, budget, marks=[pytest.mark.slow] if (write + i) % len(BUDGETS) else [])
    for write in range(2, WRITES + 1)
    for i, budget in enumerate(BUDGETS)
]


@pytest.mark.parametrize(("write", "budget"), KILLS)
def test_a_killed_run_is_finished_first_whatever_budget_is_given(
    source, tmp_path, monkeypatch, write, budget
):
    run = tmp_path / "run"
    with monkeypatch.context() as context, pytest.raises(Killed):
        kill_at(context, write)
        quick(source, run, steps=2)
    done = checkpoint.load(run / "checkpoint.safetensors").progress.steps
    assert done == (write + 2) // 6
    summary = quick(source, run, resume=True, **budget)
    wanted = 1 if "minutes" in budget else budget.get("steps", 2)
    assert (summary.steps, summary.interrupted) == (max(done, wanted), False)
    assert fw.load(summary.model).precision_cost
    assert [record["step"] for record in log(run)] == list(range(1, summary.steps + 1))
    if budget:
        with pytest.raises(ValueError, match="spent: this run has taken"):
            quick(source, run, resume=True, **budget)
    else:
        assert quick(source, run, resume=True) == summary


def test_a_run_has_as_many_writes_as_are_tried(source, tmp_path, monkeypatch):
    kill_at(monkeypatch, WRITES + 1)
    quick(source, tmp_path / "run", steps=2)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_steps_after_the_last_report_are_judged_when_the_budget_ends_with_them(
    source, tmp_path, monkeypatch, steps
):
    """Of 60 steps every third is reported, so that others are only in the checkpoint."""
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    step = Learner.step

    def killed(learner, factor):
        return kill() if learner.steps == steps else step(learner, factor)

    def kill():
        raise Killed

    with monkeypatch.context() as context, pytest.raises(Killed):
        context.setattr(Learner, "step", killed)
        quick(source, tmp_path / "run", steps=60)
    summary = quick(source, tmp_path / "run", resume=True, steps=steps)
    assert (summary.steps, log(tmp_path / "run")[-1]["step"]) == (steps, steps)
    assert log(tmp_path / "run")[-1]["learning_rate"] == 0.01 * rate_factor(
        "cosine", (steps - 0.5) / 60
    )
    assert summary.validation_loss == min(r["validation_loss"] for r in log(tmp_path / "run"))
