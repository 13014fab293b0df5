"""TensorBoard's files have the run's numbers, sounds and spectrograms."""

import sys

import numpy as np
import pytest
from pages import read_page
from runs import interrupt, left_behind, log, quick

pytest.importorskip("tensorboard")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", autouse=True)
def short_previews():
    """Previews of a fifth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastwavenet.training.previews.SECONDS", 0.2)
        yield


def events(run):
    found = EventAccumulator(str(run / "tensorboard"), size_guidance={"audio": 0, "images": 0})
    return found.Reload()


def scalars(found, tag):
    return [(event.step, event.value) for event in found.Scalars(tag)]


def expected(run, key):
    return [(line["step"], pytest.approx(line[key], rel=1e-6)) for line in log(run)]


TAGS = {
    "loss/training": "train_loss",
    "loss/held out": "validation_loss",
    "learning rate": "learning_rate",
}


def test_scalars_are_those_of_the_log(source, tmp_path):
    quick(source, tmp_path / "run", tensorboard=True)
    found = events(tmp_path / "run")
    assert {*TAGS, "steps per second"} == set(found.Tags()["scalars"])
    for tag, key in TAGS.items():
        assert scalars(found, tag) == expected(tmp_path / "run", key)


def test_sounds_are_those_of_the_page_and_have_pictures(source, tmp_path):
    quick(source, tmp_path / "run", tensorboard=True, previews=2)
    found, sounds = events(tmp_path / "run"), read_page(tmp_path / "run").sounds()
    tags = {"preview 1", "preview 1, recording", "preview 2"}
    assert set(found.Tags()["audio"]) == set(found.Tags()["images"]) == tags
    for index in (0, 1):
        last = found.Audio(f"preview {index + 1}")[-1]
        samples = np.frombuffer(last.encoded_audio_string[44:], "<i2")
        assert last.step == 3 and last.sample_rate == 16000
        difference = samples.astype(int) - sounds[3, index][1]
        assert abs(difference).max() <= 2  # 32767 times, cut off; in a FLAC 32768 times, rounded
        picture = found.Images(f"preview {index + 1}")[-1]
        assert (picture.width, picture.height) == (-(-(len(samples) - 512 + 1) // 128), 128)


def test_a_resumed_run_goes_on_with_its_files(source, tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        interrupt(context, at=3)
        quick(source, tmp_path / "run", steps=40, tensorboard=True)
    quick(source, tmp_path / "run", resume=True, tensorboard=True)
    found = dict(scalars(events(tmp_path / "run"), "loss/held out"))
    assert set(found) >= {line["step"] for line in log(tmp_path / "run")}


def test_a_run_that_had_no_files_gets_all_its_numbers(source, tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        interrupt(context, at=10)
        quick(source, tmp_path / "run", steps=40)
    assert not (tmp_path / "run" / "tensorboard").exists()
    quick(source, tmp_path / "run", resume=True, tensorboard=True)
    steps = [step for step, _ in scalars(events(tmp_path / "run"), "loss/training")]
    assert sorted(set(steps)) == [line["step"] for line in log(tmp_path / "run")]


def test_files_that_cannot_be_written_end_no_run(source, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tensorboard").write_text("in the way")
    quick(source, tmp_path / "run", tensorboard=True, progress=True)
    assert "TensorBoard's files could not be made, and training goes on" in capsys.readouterr().out
    assert len(log(tmp_path / "run")) == 3


def test_files_for_tensorboard_do_not_change_the_weights(source, tmp_path):
    quick(source, tmp_path / "with", tensorboard=True)
    quick(source, tmp_path / "without")
    *with_, names = left_behind(tmp_path / "with")
    *without, others = left_behind(tmp_path / "without")
    assert with_ == without and names == others | {"tensorboard"}


def test_a_missing_package_is_named_before_audio_is_read(monkeypatch, refused, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    line = refused("train", tmp_path / "nothing", "-o", tmp_path / "run", "--tensorboard")
    assert line == (
        "tensorboard is missing: pip install 'fastwavenet[tensorboard]', or leave out --tensorboard"
    )
    assert not (tmp_path / "run").exists()
