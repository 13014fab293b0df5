"""Training on speakers: each direct subfolder of the recordings is one."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from recordings import noise, record, tone
from runs import SPEC, changing, interrupt, left_behind, log, quick

import fastwavenet as fw
from fastwavenet.audio import AudioError
from fastwavenet.ends import FrameConditioning
from fastwavenet.training.conditioning import SPEAKER_CHANNELS, with_mel, with_speakers
from fastwavenet.training.data import load_corpus
from fastwavenet.training.learner import Learner
from fastwavenet.training.settings import Settings
from fastwavenet.training.windows import Windows, with_wrong_speakers

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ("anna", "bob", "cid")
SPOKEN = with_speakers(SPEC, NAMES)


@pytest.fixture
def source(tmp_path):
    """A recording of each speaker, in folders of different depth."""
    for name, place in zip(NAMES, ("a.wav", "deep/er/a.wav", "b.wav"), strict=True):
        record(tmp_path / "speakers" / name / place, noise(1600, seed=len(name)))
    return tmp_path / "speakers"


def speakers(source, output, **changes):
    return quick(source, output, **{"speakers_from_folders": True} | changes)


# ---- data ------------------------------------------------------------------------------------


def test_a_clip_has_the_speaker_of_the_direct_subfolder(source):
    corpus = load_corpus(source, SPOKEN)
    for part in (corpus.train, corpus.validation):
        assert [clip.speaker for clip in part] == [0, 1, 2]
    assert load_corpus(source / "anna", SPEC).train[0].speaker is None
    turned = with_speakers(SPEC, NAMES[::-1])
    assert [clip.speaker for clip in load_corpus(source, turned).train] == [2, 1, 0]


def test_files_of_each_speaker_are_held_out(tmp_path):
    for number in range(20):
        record(tmp_path / "many" / f"{number:02}.wav", tone(100))
    record(tmp_path / "few" / "a.wav", tone(1000))
    corpus = load_corpus(tmp_path, with_speakers(SPEC, ("few", "many")))
    held_out = [(clip.speaker, len(clip.codes)) for clip in corpus.validation]
    assert held_out == [(0, 100), (1, 100)]
    assert corpus.validation[1].name.endswith("19.wav")


def test_a_batch_holds_the_speaker_of_each_window(tmp_path):
    for name, level in zip(NAMES, (-0.5, 0, 0.5), strict=True):
        record(tmp_path / name / "a.wav", np.full(400, level, np.float32))
    windows = Windows(load_corpus(tmp_path, SPOKEN).train, context=5, fresh=20)
    batch = windows.batch(0, 50)
    assert batch.speakers.dtype == np.int64
    loud = fw.mu_law_encode(np.float32([-0.5, 0, 0.5]))
    np.testing.assert_array_equal(loud[batch.speakers], batch.inputs[:, -1])
    assert set(batch.speakers) == {0, 1, 2}
    (wrong,) = with_wrong_speakers([batch], 3)
    assert (wrong.speakers != batch.speakers).all() and set(wrong.speakers) == {0, 1, 2}


# ---- learning --------------------------------------------------------------------------------


@pytest.mark.parametrize("mel", [None, "nv-16k"])
def test_validation_loss_is_the_score_of_the_engine_with_the_right_speakers(source, mel):
    spec = SPOKEN if mel is None else with_mel(SPOKEN, mel)
    corpus = load_corpus(source, spec)
    learner = Learner(Settings(spec=spec, bfloat16=False), corpus, torch.device("cpu"))
    with changing(learner) as parameters:
        for name, parameter in parameters.items():
            if "conditioning" in name or "head" in name:
                parameter *= 3  # so that the speaker decides
    model = fw.Model(spec, learner.for_file(learner.weights()))
    nats = [
        fw.score(model, clip.codes, frames=clip.frames, speaker=NAMES[clip.speaker])
        for clip in corpus.validation
    ]
    mean = np.concatenate(nats).mean(dtype=np.float64)
    assert learner.validate() == pytest.approx(mean, abs=5e-6)
    assert learner.validate(wrong="wrong_speakers") != pytest.approx(mean, abs=1e-3)


def test_speakers_are_learnt_from(tmp_path, capsys):
    """One is silent, the other is noise."""
    record(tmp_path / "in" / "loud" / "a.wav", noise(16000))
    record(tmp_path / "in" / "still" / "a.wav", np.zeros(16000))
    quick(tmp_path / "in", tmp_path / "run", speakers_from_folders=True, steps=60, batch=4,
          window=64, progress=True)  # fmt: skip
    last = log(tmp_path / "run")[-1]
    assert last["validation_loss"] + 0.5 < last["wrong_speakers"]
    out = capsys.readouterr().out
    assert f"({last['wrong_speakers']:.3f} with wrong speakers)" in out
    assert "conditioned on 2 speakers: loud, still" in out
    assert "in 2 files of 2 speakers" in out


@pytest.mark.parametrize("mel", [None, "nv-16k"])
def test_a_model_file_holds_the_names_of_its_speakers(source, tmp_path, mel):
    model = fw.load(speakers(source, tmp_path / "run", steps=1, mel=mel).model)
    end = model.spec.conditioning
    assert (end.speakers, end.speaker_channels) == (NAMES, SPEAKER_CHANNELS)
    assert (end.mel is None) == (mel is None)
    assert set(model.precision_cost) == {"bfloat16", "int8", "bfloat16x16", "int8x8"}
    frames = None if mel is None else np.zeros((2, 80))
    how = {"frames": frames, "seed": 1} | ({"seconds": 0.02} if mel is None else {})
    by_name = fw.generate(model, speaker="cid", **how)
    np.testing.assert_array_equal(by_name, fw.generate(model, speaker=2, **how))
    with pytest.raises(ValueError, match="the model needs a speaker, one of anna, bob, cid"):
        fw.generate(model, **how)


def test_a_single_speaker_has_no_wrong_one(source, tmp_path):
    speakers(source / "bob", tmp_path / "run", steps=1)
    assert "wrong_speakers" not in log(tmp_path / "run")[0]


def test_a_spec_may_have_the_speakers_with_channels_of_its_own(source, tmp_path):
    end = FrameConditioning(speakers=NAMES[::-1], speaker_channels=3)
    spec = dataclasses.replace(SPEC, conditioning=end)
    for how in ({}, {"speakers_from_folders": True}):
        run = tmp_path / str(len(how))
        assert quick(source, run, spec=spec, steps=1, **how).spec == spec
        quick(source, run, resume=True, spec=spec, steps=2, **how)


def test_the_command_line_trains_speakers(source, tmp_path, run):
    words = ("train", source, "-o", tmp_path / "run", "--preset", "tiny", "--steps", 1)
    code, said, _ = run(*words, "--speakers-from-folders", "--window", 64, "--json")
    assert code == 0
    assert fw.load(json.loads(said)["model"]).spec.conditioning.speakers == NAMES
    record(source / "x.wav", tone(100))
    code, _, said = run("train", source, "-o", tmp_path / "two", "--speakers-from-folders")
    assert (code, said.count("\n")) == (2, 1)
    assert f"{source}/x.wav: lies beside the folders of the speakers: move it" in said


# ---- resuming --------------------------------------------------------------------------------


def test_a_run_with_speakers_is_resumed_bit_for_bit(source, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    speakers(source, whole, steps=4)
    with monkeypatch.context() as context:
        interrupt(context, at=2)
        speakers(source, parts, steps=4)
    speakers(source, parts, resume=True)
    assert left_behind(parts) == left_behind(whole)


def test_a_resumed_run_refuses_other_speakers(source, tmp_path):
    run, plain = tmp_path / "run", tmp_path / "plain"
    speakers(source, run, steps=1)
    quick(source, plain, steps=1)
    for folder, old in ((run, True), (plain, False)):
        message = f"^speakers_from_folders is {old} in this run, not {not old}: leave it out"
        with pytest.raises(ValueError, match=message):
            quick(source, folder, resume=True, steps=2, speakers_from_folders=not old)
    (source / "anna").rename(source / "dora")
    message = "each speaker of the network, anna, bob, cid; found bob, cid, dora$"
    with pytest.raises(ValueError, match=message):
        quick(source, run, resume=True, steps=2)


def test_a_resumed_run_refuses_recordings_of_another_speaker(source, tmp_path):
    speakers(source, tmp_path / "run", steps=1)
    for old, new in (("anna", "x"), ("cid", "anna"), ("x", "cid")):
        (source / old).rename(source / new)
    with pytest.raises(ValueError, match="not the audio that this run began with: .* of 3 speak"):
        quick(source, tmp_path / "run", resume=True, steps=2)


# ---- refusals --------------------------------------------------------------------------------


def test_speakers_to_validate_on_are_those_that_are_trained_on(source, tmp_path):
    held = tmp_path / "held"
    record(held / "bob" / "x.wav", tone(400))
    corpus = load_corpus(source, SPOKEN, validation=held)
    assert [clip.speaker for clip in corpus.validation] == [1]
    record(held / "eve" / "x.wav", tone(400))
    with pytest.raises(ValueError, match=r"held/eve: is no folder of a speaker .* anna, bob, cid$"):
        speakers(source, tmp_path / "run", validation=held)
    assert not (tmp_path / "run").exists()


def test_recordings_held_out_inside_the_source_are_no_speaker(source, tmp_path):
    record(source / "held" / "bob" / "x.wav", tone(400))
    summary = speakers(source, tmp_path / "run", validation=source / "held", steps=1)
    assert summary.spec.conditioning.speakers == NAMES


def test_folders_that_are_no_speakers_are_refused(source, tmp_path):
    refused = {"file": (source / "anna" / "a.wav", "is a file, expected a folder that holds")}
    record(tmp_path / "odd" / "a\nb" / "a.wav", tone(400))
    refused["name"] = (tmp_path / "odd", r"odd/a\\nb: the name of a speaker's folder must be print")
    for place, message in refused.values():
        with pytest.raises(ValueError, match=message):
            speakers(place, tmp_path / "run")
    (source / "bob" / "deep" / "er" / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"no file of speaker 'bob' is usable: mend .*a\.wav"):
        speakers(source, tmp_path / "run")
    assert not (tmp_path / "run").exists()
