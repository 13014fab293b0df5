"""Training that begins with the weights of a model file."""

import dataclasses
import shutil

import numpy as np
import pytest
from recordings import alternating, record, two_tones
from runs import SPEC, interrupt, left_behind, log, quick, weights

import fastwavenet as fw
from fastwavenet.training import train
from fastwavenet.training.conditioning import with_mel, with_upsampling

pytestmark = pytest.mark.usefixtures("one_thread")

BARELY = {"steps": 1, "learning_rate": 1e-9, "weight_decay": 0}


@pytest.fixture
def source(tmp_path):
    return two_tones(tmp_path / "recordings")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, one_thread):
    """The folder of a run on recordings as of `source`."""
    folder = tmp_path_factory.mktemp("trained")
    return quick(two_tones(folder / "recordings"), folder / "voice", steps=20).model.parent


@pytest.fixture
def voice(trained, tmp_path):
    """The model file of the run, in a copy of its folder."""
    shutil.copytree(trained, tmp_path / "voice")
    return tmp_path / "voice" / "model.safetensors"


def fine_tune(source, output, model, **changes):
    settings = {"batch": 2, "window": 200, "bfloat16": False, "progress": False} | changes
    return train(source, output, from_=model, **settings)


def test_training_begins_with_the_weights_of_the_file(source, tmp_path, voice):
    before, after = (
        weights(voice),
        weights(fine_tune(source, tmp_path / "run", voice, **BARELY).model),
    )
    for name, array in before.items():
        np.testing.assert_allclose(after[name], array, rtol=0, atol=1e-6)


def test_a_run_folder_stands_for_its_best_model(source, tmp_path, voice):
    a, b = (
        weights(fine_tune(source, tmp_path / name, place, **BARELY).model)
        for name, place in (("a", voice), ("b", voice.parent))
    )
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_fine_tuning_goes_on_from_where_training_was(source, tmp_path, voice, capsys):
    audio, _ = fw.read_audio(source / "b.wav")
    nats = fw.score(fw.load(voice, "float32"), audio).mean()
    summary = fine_tune(
        source / "a.wav", tmp_path / "run", voice, steps=1, validation=source / "b.wav",
        learning_rate=1e-4, progress=True,
    )  # fmt: skip
    assert f"before training: held out {nats:.3f} nats per sample" in capsys.readouterr().out
    assert summary.validation_loss == pytest.approx(nats, abs=0.1) and nats < 5.5


@pytest.mark.parametrize("how", ["linear", "learned"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_vocoder_begins_as_the_file_on_frames_of_other_levels(tmp_path, bias, how):
    """Frames are standardised anew, and the weights of the file are for frames as they are."""
    spec = dataclasses.replace(with_upsampling(with_mel(SPEC, "nv-16k"), how), bias=bias)
    first = record(tmp_path / "a.wav", alternating(0.8, 0))
    other = record(tmp_path / "b.wav", 0.05 * alternating(0.8, 1))
    voice = quick(first, tmp_path / "voice", spec=spec).model
    tuned = fine_tune(other, tmp_path / "run", voice, **BARELY).model
    audio, _ = fw.read_audio(other)
    frames = fw.mel(audio, "nv-16k")
    n = len(frames) * spec.conditioning.hop
    a, b = (fw.outputs(fw.load(m, "float32"), audio[:n], frames=frames) for m in (voice, tuned))
    np.testing.assert_allclose(a, b, atol=1e-3)


def test_the_prediction_of_pitch_is_that_of_the_file(tmp_path, monkeypatch):
    spec = with_mel(SPEC, "hifigan-16k+pitch")
    source = record(tmp_path / "a.wav", alternating(0.8, 0))
    monkeypatch.setattr("fastwavenet.training.pitch_predictor.STEPS", 3)
    voice = quick(source, tmp_path / "voice", spec=spec).model
    before, after = (
        weights(voice),
        weights(fine_tune(source, tmp_path / "run", voice, **BARELY).model),
    )
    names = [name for name in before if "pitch" in name]
    assert names
    for name in names:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-4, atol=1e-5)


def test_a_run_from_a_file_goes_on_exactly_without_the_file(source, tmp_path, voice, monkeypatch):
    fine_tune(source, tmp_path / "whole", voice, steps=6)
    with monkeypatch.context() as context:
        interrupt(context, at=2)
        fine_tune(source, tmp_path / "parts", voice, steps=6)
    with pytest.raises(ValueError, match="^from is for a new run, but this one has begun: leave"):
        fine_tune(source, tmp_path / "parts", voice, resume=True)
    voice.unlink()
    quick(source, tmp_path / "parts", resume=True)
    assert left_behind(tmp_path / "whole") == left_behind(tmp_path / "parts")
    assert len(log(tmp_path / "parts")) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "tiny"}, "residual is 8 in .*model.safetensors, not 32: leave it out to fine"),
        ({"sample_rate": 8000}, "sample_rate is 16000 in .*, not 8000"),
        ({"spec": dataclasses.replace(SPEC, head=8)}, "head is 16 in .*, not 8"),
        ({"mel": "nv-16k"}, "mel is not given in .*, not 'nv-16k'"),
        ({"pre_emphasis": 0.5}, r"pre_emphasis is 0(\.0)? in .*, not 0.5"),
        ({"upsample": "learned"}, "upsample is not given in .*, not learned"),
        ({"speakers_from_folders": True}, "speakers_from_folders is False in .*, not True"),
    ],
)
def test_a_file_of_another_network_is_refused(source, tmp_path, voice, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        fine_tune(source, tmp_path / "run", voice, **arguments)
    assert not (tmp_path / "run").exists()


def test_frames_for_a_file_without_are_refused(source, tmp_path, voice):
    for wav in source.glob("*.wav"):
        frames = tmp_path / "frames" / f"{wav.stem}.npy"
        frames.parent.mkdir(exist_ok=True)
        np.save(frames, np.zeros((len(fw.read_audio(wav)[0]) // 80, 3), np.float32))
    with pytest.raises(ValueError, match="^frames is not given in .*, not those of a folder"):
        fine_tune(source, tmp_path / "run", voice, frames=tmp_path / "frames", hop=80)


def test_a_file_that_is_no_model_is_refused(source, tmp_path, voice):
    (tmp_path / "text").write_text("no model")
    for place, kind in ((tmp_path / "text", fw.ModelFormatError), (tmp_path / "none", OSError)):
        with pytest.raises(kind, match=place.name):
            fine_tune(source, tmp_path / "run", place)
    assert not (tmp_path / "run").exists()


def test_a_file_with_the_same_arguments_as_before_is_accepted(source, tmp_path):
    model = train(
        source, tmp_path / "tiny", preset="tiny", steps=1, window=50, progress=False
    ).model
    again = fine_tune(source, tmp_path / "run", model, preset="tiny", sample_rate=16000, **BARELY)
    assert again.spec == fw.load(model).spec


@pytest.mark.parametrize("place", ["there", "gone"])
def test_the_command_line_fine_tunes(run, source, tmp_path, voice, place):
    model = voice if place == "there" else tmp_path / "gone.safetensors"
    code, _, errors = run(
        "train", source, "-o", tmp_path / "run", "--from", model, "--steps", "1", "--window", "200"
    )
    assert code == (0 if place == "there" else 2)
    assert place == "there" or (errors.count("\n") == 1 and "gone.safetensors" in errors)
