"""fastwavenet score and info: what they say of recordings, models and this installation."""

import dataclasses
import json
import math

import numpy as np
import pytest
import soundfile
from networks import random_weights, small_spec
from recordings import record, tone

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.audio_finding import READ_SUFFIXES
from fastwavenet.cli.info import _runs
from fastwavenet.ends import FrameConditioning, Sampling, UpsamplingStage, VoicedSampling


def nats_of(voice, path):
    return fw.score(fw.load(voice), soundfile.read(path, dtype="float32")[0])


# ---- score -------------------------------------------------------------------------------------


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    record(folder / "a.wav", tone(200), rate=8000)
    record(folder / "deeper" / "b.flac", tone(2000, hz=300), rate=8000)
    return folder


def test_each_file_and_all_samples_together_are_scored(run, voice, recordings):
    code, said, errors = run("score", voice, recordings, "--json")
    assert (code, errors) == (0, "")
    said = json.loads(said)
    nats = [nats_of(voice, recordings / name) for name in ("a.wav", "deeper/b.flac")]
    for found, name, expected in zip(said["files"], ("a.wav", "deeper/b.flac"), nats, strict=True):
        assert found["file"] == str(recordings / name)
        assert found["samples"] == len(expected)
        assert found["nats_per_sample"] == pytest.approx(expected.mean(dtype=float), rel=1e-12)
        assert found["bits_per_sample"] == pytest.approx(found["nats_per_sample"] / math.log(2))
    together = np.concatenate(nats)
    assert said["all"]["samples"] == len(together)
    assert said["all"]["nats_per_sample"] == pytest.approx(together.mean(dtype=float), rel=1e-12)


def test_people_get_a_line_for_each_file_and_one_for_all(run, voice, recordings):
    _, said, _ = run("score", voice, recordings)
    first, second, both, guessing = said.splitlines()
    mean = nats_of(voice, recordings / "a.wav").mean(dtype=float)
    assert first == f"{mean:.4f} nats  {mean / math.log(2):.4f} bits  {recordings / 'a.wav'}"
    assert second.endswith("b.flac")
    assert both.endswith("bits per sample over 2 files, 2,198 samples, 0.00 min")
    assert guessing == "(in float32; guessing costs 2.7726 nats)"


def test_several_sources_count_as_one(run, voice, recordings):
    one = json.loads(run("score", voice, recordings, "--json")[1])
    files = (recordings / "a.wav", recordings / "deeper")
    assert json.loads(run("score", voice, *files, "--json")[1]) == one


def test_a_file_of_a_folder_that_cannot_be_used_is_skipped_and_said(run, voice, recordings):
    (recordings / "bad.wav").write_text("not audio")
    record(recordings / "one.wav", tone(1), rate=8000)
    code, said, errors = run("score", voice, recordings, "--json")
    assert code == 0
    assert json.loads(said)["all"]["samples"] == 2198
    bad, one = errors.splitlines()
    assert bad.startswith(f"fastwavenet: skipped {recordings / 'bad.wav'}: ")
    assert one.startswith(f"fastwavenet: skipped {recordings / 'one.wav'}: has 1 sample, expected")
    assert run("score", voice, recordings, "--quiet")[2] == ""


def test_a_file_that_is_named_must_be_usable(refused, voice, recordings, tmp_path):
    (recordings / "bad.wav").write_text("not audio")
    assert refused("score", voice, recordings / "bad.wav").startswith(f"{recordings / 'bad.wav'}: ")
    assert (
        refused("score", voice, tmp_path / "none") == f"{tmp_path / 'none'}: no such file or folder"
    )


def test_a_folder_with_nothing_usable_is_refused(refused, voice, tmp_path):
    (tmp_path / "empty").mkdir()
    line = refused("score", voice, tmp_path / "empty")
    suffixes = " ".join(READ_SUFFIXES)
    expected = f"{tmp_path / 'empty'}: expected audio files ({suffixes}) of 8000 Hz, found "
    assert line == f"{expected}none"
    for name in ("a.txt", "b.TXT", "c"):
        (tmp_path / "empty" / name).write_text("no audio")
    line = refused("score", voice, tmp_path / "empty")
    assert line == f"{expected}none among 3 files: 2 .txt, 1 no suffix"


def test_another_rate_is_converted_only_when_asked(run, refused, voice, tmp_path):
    path = record(tmp_path / "a.wav", tone(1600), rate=16000)
    assert "has 16000 Hz, expected 8000 Hz" in refused("score", voice, path)
    said = json.loads(run("score", voice, path, "--convert", "--json")[1])
    assert said["all"]["samples"] == 799


def test_the_score_does_not_depend_on_the_isa(run, voice, recordings, isa):
    best = run("score", voice, recordings, "--json")
    assert run("score", voice, recordings, "--json", "--isa", isa) == best


# ---- info --------------------------------------------------------------------------------------


def test_info_counts_what_a_model_costs(run, voice):
    spec = small_spec()
    said = json.loads(run("info", voice, "--json")[1])
    assert said["spec"] == json.loads(json.dumps(spec.to_dict()))
    assert said["receptive_field_samples"] == spec.receptive_field
    assert said["receptive_field_ms"] == pytest.approx(1000 * spec.receptive_field / 8000)
    assert said["weights"] * 4 == said["weight_bytes"] == spec.weight_bytes()
    assert said["macs_per_sample"] == spec.macs_per_sample
    assert said["bytes_read_per_sample"] == fw.load(voice).info()["step_bytes"]
    assert said["past_bytes_per_voice"] == spec.past_bytes
    assert said["bytes_per_voice"] > 2 * spec.past_bytes  # and what a step computes


def test_info_describes_a_model_to_people(run, tmp_path):
    spec = small_spec(
        dilations=(1, 2, 4, 1, 2, 4), kernel=2, conditioning=FrameConditioning(channels=3)
    )
    voice = tmp_path / "voice.safetensors"
    modelfile.save(voice, spec, random_weights(spec, seed=1))
    lines = dict(line.split("  ", 1) for line in run("info", voice)[1].splitlines())
    lines = {name: text.strip() for name, text in lines.items()}
    assert lines["file"] == str(voice)
    assert lines["sample rate"] == "8000 Hz, 16 mu-law levels"
    assert lines["layers"] == "6, kernel 2, dilations 2 x (1 2 4)"
    assert lines["conditioning"] == "frames: 3 numbers every 1 samples, held"
    assert lines["sampling"] == "top_k all; temperature 1; min_p 0"
    assert lines["receptive field"] == f"{spec.receptive_field} samples, 2.0 ms"
    assert lines["per sample"].startswith(f"{spec.macs_per_sample:,} multiply-adds, ")


def test_info_describes_upsampling(run, tmp_path):
    end = FrameConditioning(3, 8, "linear", upsampling=(UpsamplingStage(5, 4, 4),))
    spec, voice = small_spec(conditioning=end), tmp_path / "voice.safetensors"
    modelfile.save(voice, spec, random_weights(spec, seed=1))
    assert (
        "frames: 3 numbers every 8 samples, linear after 1 learned stages" in run("info", voice)[1]
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("ann",), "1 speaker ('ann')"),
        (("ann", "a\nb"), r"2 speakers ('ann', 'a\nb')"),
        (tuple(map(str, range(21))), "'18', '19', ...)"),
    ],
)
def test_info_names_the_speakers(run, tmp_path, names, expected):
    spec = small_spec(conditioning=FrameConditioning(speakers=names, speaker_channels=2))
    modelfile.save(tmp_path / "voice.safetensors", spec, random_weights(spec, seed=1))
    said = run("info", tmp_path / "voice.safetensors")[1]
    (line,) = [line for line in said.splitlines() if line.startswith("conditioning")]
    assert line.endswith(expected)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (VoicedSampling(1, 0.6), "temperature 0.9, in voiced frames 0.6; min_p 0"),
        (VoicedSampling(1, None, 0.05), "temperature 0.9; min_p 0, in voiced frames 0.05"),
        (
            VoicedSampling(1, 0, 0.1),
            "temperature 0.9, in voiced frames 0; min_p 0, in voiced frames 0.1",
        ),
    ],
)
def test_info_describes_the_rule_by_which_sampling_follows_voicing(run, tmp_path, rule, expected):
    voice, own = tmp_path / "voice.safetensors", Sampling(0.9, 5, voiced=rule)
    spec = small_spec(conditioning=FrameConditioning(channels=3), sampling=own)
    modelfile.save(voice, spec, random_weights(spec, seed=1))
    (line,) = [line for line in run("info", voice)[1].splitlines() if line.startswith("sampling")]
    assert line.split("  ", 1)[1].strip() == f"top_k 5; {expected}; voicing in channel 1"
    said = json.loads(run("info", voice, "--json")[1])
    assert said["spec"]["sampling"]["voiced"] == dataclasses.asdict(rule)


@pytest.mark.parametrize(
    ("dilations", "expected"),
    [((1,), "1"), ((2, 2), "2 x (2)"), ((1, 2, 1), "1 2 1"), ((1, 2, 1, 2), "2 x (1 2)")],
)
def test_dilations_that_repeat_are_said_once(dilations, expected):
    assert _runs(dilations) == expected


def test_info_without_a_model_describes_the_installation(run, monkeypatch):
    monkeypatch.setenv("FASTWAVENET_ISA", "scalar")
    said = json.loads(run("info", "--json")[1])
    assert said["fastwavenet"] == fw.__version__
    assert said["isa"] == "scalar"
    assert said["available_isas"] == fw.available_isas()
    assert said["numpy"] == np.__version__
    assert said["libsndfile"] == soundfile.__libsndfile_version__
    assert "-ffp-contract=off" in said["built_with"]
    text = run("info")[1]
    assert all(f"\n{name.replace('_', ' ')}  " in f"\n{text}" for name in said)


def test_info_refuses_what_is_not_a_model(refused, tmp_path):
    (tmp_path / "x").write_bytes(b"no")
    assert refused("info", tmp_path / "x").startswith(f"{tmp_path / 'x'}: not a model file")
