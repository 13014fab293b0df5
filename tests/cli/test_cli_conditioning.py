"""Conditioned models on the command line: score, export --measure and generate, with their errors.

One model takes mel frames and has speakers, one takes other frames, and one has speakers alone.
"""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from networks import random_frames, random_weights, small_spec
from recordings import record

import fastwavenet as fw
from fastwavenet import modelfile, scoring
from fastwavenet.ends import FrameConditioning, Start, UpsamplingStage

HOP = 64
MEL = fw.Mel(sample_rate=8000, n_fft=256, hop=HOP, window=256, mels=5, fmin=0, fmax=4000)
ENDS = {
    "mel": FrameConditioning(5, HOP, "linear", ("ann", "bob", "7"), 3, MEL),
    "pitch": FrameConditioning(3, HOP, "held"),
    "speakers": FrameConditioning(speakers=("ann", "bob"), speaker_channels=3),
    "upsampled": FrameConditioning(
        3, HOP, "linear", upsampling=(UpsamplingStage(4, 5, crop=1), UpsamplingStage(2, 12, 4, 3))
    ),
}
SPECS = {name: small_spec(conditioning=end) for name, end in ENDS.items()}


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(n).uniform(-0.5, 0.5, n).astype(np.float32)


@pytest.fixture
def models(tmp_path):
    """Name -> model file."""
    files = {name: tmp_path / f"{name}.safetensors" for name in SPECS}
    for name, file in files.items():
        modelfile.save(file, SPECS[name], random_weights(SPECS[name], 3))
    return files


@pytest.fixture
def hello(tmp_path):
    """A recording of 15 frames and 9 samples."""
    return record(tmp_path / "hello.wav", noise(15 * HOP + 9), rate=8000)


def frames_file(folder, name: str, count: int):
    """A .npy file of so many frames for a model."""
    file = folder / f"{name}-{count}.npy"
    np.save(file, random_frames(SPECS[name], HOP * count, count))
    return file


def audio_of(file) -> np.ndarray:
    return soundfile.read(file, dtype="float32")[0]


# ---- score -------------------------------------------------------------------------------------


def scored(run, *line):
    code, said, errors = run("score", *line, "--json")
    assert (code, errors) == (0, "")
    return json.loads(said)


@pytest.mark.parametrize("speaker", ["bob", "1"])
def test_a_recording_is_scored_with_its_own_mel_frames(run, models, hello, speaker):
    said, audio = scored(run, models["mel"], hello, "--speaker", speaker), audio_of(hello)
    nats = fw.score(
        fw.load(models["mel"]), audio[: 15 * HOP], frames=fw.mel(audio, MEL), speaker="bob"
    )
    assert said["all"]["samples"] == 15 * HOP - 1
    assert said["samples_left_out"] == 9
    assert said["all"]["nats_per_sample"] == nats.mean(dtype=float)


@pytest.mark.parametrize("rest", [0, 1, HOP - 1])
def test_the_samples_behind_the_last_whole_frame_are_left_out_and_said(run, models, tmp_path, rest):
    file = record(tmp_path / "a.wav", noise(2 * HOP + rest), rate=8000)
    lines = run("score", models["mel"], file, "--speaker", "ann")[1].splitlines()
    assert f"{2 * HOP - 1:,} samples, " in lines[1]
    left_out = [f"({rest} samples behind last whole frames are left out)"] if rest else []
    assert lines[3:] == left_out


def test_a_name_of_digits_is_a_speaker_before_a_number(run, models, hello):
    seventh = scored(run, models["mel"], hello, "--speaker", "7")["all"]
    assert seventh == scored(run, models["mel"], hello, "--speaker", "2")["all"]
    assert seventh != scored(run, models["mel"], hello, "--speaker", "0")["all"]


@pytest.mark.parametrize("spare", [0, 1, 30])
def test_other_frames_of_a_recording_are_given_as_a_file(run, models, hello, tmp_path, spare):
    for name, speaker in (("pitch", None), ("mel", "ann")):
        frames = frames_file(tmp_path, name, 16 + spare)
        options = ("--frames", frames, *(("--speaker", speaker) if speaker else ()))
        said = scored(run, models[name], hello, *options)
        nats = fw.score(
            fw.load(models[name]), audio_of(hello), frames=np.load(frames), speaker=speaker
        )
        assert said["all"]["nats_per_sample"] == nats.mean(dtype=float)
        assert said["samples_left_out"] == 0


def test_a_frame_less_than_the_samples_need_leaves_the_rest_out(run, models, hello, tmp_path):
    said = scored(run, models["pitch"], hello, "--frames", frames_file(tmp_path, "pitch", 15))
    assert (said["all"]["samples"], said["samples_left_out"]) == (15 * HOP - 1, 9)


def test_a_model_with_speakers_alone_scores_all_samples(run, models, hello):
    said = scored(run, models["speakers"], hello, "--speaker", "bob")
    nats = fw.score(fw.load(models["speakers"]), audio_of(hello), speaker="bob")
    assert said["all"]["nats_per_sample"] == nats.mean(dtype=float)


@pytest.mark.parametrize("fed", [False, True])
@pytest.mark.parametrize("stretch", [1, HOP - 1, HOP, 100])
def test_a_long_recording_is_scored_in_stretches_with_the_frames_of_each(monkeypatch, fed, stretch):
    monkeypatch.setattr(scoring, "STRETCH", stretch)
    spec = small_spec(conditioning=ENDS["mel"], start=Start(8, fed))
    model, frames = fw.Model(spec, random_weights(spec, 3)), random_frames(spec, 500, 2)
    codes = np.random.default_rng(1).integers(0, 16, 500)
    total = scoring.total_nats(model, codes, frames=frames, speaker="bob", threads=2)
    nats = fw.score(model, codes, frames=frames, speaker="bob")
    assert total == pytest.approx(nats.sum(dtype=float), rel=1e-12)


def test_a_pipe_of_frames_is_not_waited_for(refused, models, hello, tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    line = ("score", models["pitch"], hello, "--frames", tmp_path / "pipe.npy")
    assert refused(*line) == f"{tmp_path / 'pipe.npy'}: is a pipe or a device, expected a file"


def test_what_a_score_lacks_is_one_line(refused, models, hello, voice, tmp_path):
    frames, own = frames_file(tmp_path, "pitch", 16), frames_file(tmp_path, "mel", 14)
    np.save(tmp_path / "turned.npy", np.load(own).T)
    short = record(tmp_path / "short.wav", noise(HOP + 0), rate=8000)
    shorter = record(tmp_path / "shorter.wav", noise(HOP - 1), rate=8000)
    ann = ("--speaker", "ann")
    cases = {
        (models["mel"], hello): "the model needs a speaker, one of ann, bob, 7",
        (models["mel"], hello, "--speaker", "cid"): "speaker 'cid' is unknown, expected one of ann",
        (models["mel"], hello, "--speaker", "3"): "speaker must be a whole number from 0 to 2",
        (models["mel"], shorter, *ann): f"shorter.wav: has 0 samples, {HOP - 1} behind the last",
        (models["pitch"], hello): "no mel frames of recordings: give a recording's with --frames",
        (models["pitch"], hello, *ann): "give a recording's with --frames",
        (models["pitch"], hello, "--frames", frames, *ann): "the model has no speakers, but got",
        (models["pitch"], tmp_path, "--frames", frames): "belongs to one recording, found a folder",
        (models["pitch"], hello, short, "--frames", frames): "one recording, found 2 sources",
        (models["pitch"], hello, "--frames", own): "or (1, frames, 3), not (14, 5)",
        (models["mel"], hello, "--frames", own, *ann): (
            f"hello.wav: {15 * HOP + 9} samples with hop {HOP} need at least 15 frames, not 14"
        ),
        (models["mel"], hello, "--frames", tmp_path / "turned.npy", *ann): "transposed?",
        (models["mel"], hello, "--frames", tmp_path / "none.npy", *ann): "none.npy: No such file",
        (voice, hello, "--frames", frames): "the model takes no frames",
        (voice, hello, *ann): "the model has no speakers, but got speaker 'ann'",
    }
    for line, message in cases.items():
        assert message in refused("score", *line)


# ---- export --measure --------------------------------------------------------------------------


def test_precisions_are_measured_with_the_frames_of_the_recordings(run, models, tmp_path):
    out = tmp_path / "out.safetensors"
    for name, n in (("a.wav", 9 * HOP), ("b.wav", 7 * HOP + 5)):
        record(tmp_path / "audio" / name, noise(n), rate=8000)
    line = ("export", models["mel"], "-o", out, "--measure", tmp_path / "audio")
    assert run(*line, "--speaker", "bob")[0] == 0
    audio = [audio_of(file) for file in sorted((tmp_path / "audio").iterdir())]
    whole = [each[: len(each) - len(each) % HOP] for each in audio]
    mels = [fw.mel(each, MEL) for each in audio]
    expected = fw.measure_precision(models["mel"], *whole, frames=mels, speaker="bob")
    assert fw.load(out).precision_cost == expected
    with pytest.raises(ValueError, match="shorter"):
        fw.measure_precision(models["mel"], *whole, frames=mels[:1], speaker="bob")


def test_precisions_are_measured_with_other_frames(run, refused, models, hello, tmp_path):
    out, frames = tmp_path / "out.safetensors", frames_file(tmp_path, "pitch", 16)
    line = ("export", models["pitch"], "-o", out, "--measure", hello)
    assert "give a recording's with --frames" in refused(*line)
    assert not out.exists()
    alone = refused("export", models["pitch"], "-o", out, "--frames", frames)
    assert alone == "--frames and --speaker belong to --measure: name a recording"
    assert run(*line, "--frames", frames)[0] == 0
    expected = fw.measure_precision(models["pitch"], audio_of(hello), frames=[np.load(frames)])
    assert fw.load(out).precision_cost == expected


# ---- generate ----------------------------------------------------------------------------------


def sixteen_bit(audio: np.ndarray) -> np.ndarray:
    return (audio * 32768).round().clip(-32768, 32767) / 32768


def made(run, folder, *line) -> np.ndarray:
    out = folder / "made.wav"
    code, _, errors = run("generate", line[0], "-o", out, "--seed", 7, *line[1:])
    assert (code, errors) == (0, "")
    return audio_of(out)


@pytest.mark.parametrize("count", [1, 2, 40])
def test_the_frames_are_the_sound(run, models, tmp_path, count):
    for name, speaker in (("mel", "bob"), ("pitch", None), ("upsampled", None)):
        frames = frames_file(tmp_path, name, count)
        options = ("--frames", frames, *(("--speaker", speaker) if speaker else ()))
        audio = made(run, tmp_path, models[name], *options)
        expected = fw.generate(
            fw.load(models[name]), frames=np.load(frames), speaker=speaker, seed=7
        )
        assert len(audio) == count * HOP
        np.testing.assert_array_equal(audio, sixteen_bit(expected))


@pytest.mark.parametrize("n", [1, HOP - 1, HOP, HOP + 1, 3 * HOP])
def test_a_shorter_sound_may_end_within_a_frame(run, models, tmp_path, n):
    frames = frames_file(tmp_path, "pitch", 3)
    audio = made(run, tmp_path, models["pitch"], "--frames", frames, "--samples", n)
    expected = fw.generate(fw.load(models["pitch"]), frames=np.load(frames), n_samples=n, seed=7)
    np.testing.assert_array_equal(audio, sixteen_bit(expected))


def test_all_voices_of_a_batch_have_the_same_frames(run, models, tmp_path):
    frames, out = frames_file(tmp_path, "mel", 9), tmp_path / "out.wav"
    line = ("generate", models["mel"], "-o", out, "--seed", 7, "--frames", frames)
    assert run(*line, "--speaker", "ann", "--batch", 2)[0] == 0
    expected = fw.generate(
        fw.load(models["mel"]), frames=np.load(frames), speaker="ann", batch=2, seed=7
    )
    for i in range(2):
        np.testing.assert_array_equal(audio_of(tmp_path / f"out-{i}.wav"), sixteen_bit(expected[i]))


def test_frames_are_streamed_to_standard_output(models, tmp_path):
    frames = frames_file(tmp_path, "pitch", 50)
    line = ["generate", models["pitch"], "--frames", frames, "--raw", "-o", "-", "--seed", 7]
    done = subprocess.run(
        [sys.executable, "-m", "fastwavenet", *map(str, line)], capture_output=True, timeout=300
    )
    expected = fw.generate(fw.load(models["pitch"]), frames=np.load(frames), seed=7)
    assert done.returncode == 0
    assert np.array_equal(np.frombuffer(done.stdout, "<i2"), (sixteen_bit(expected) * 32768))


def test_a_speaker_alone_has_any_length(run, models, tmp_path):
    audio = made(run, tmp_path, models["speakers"], "--speaker", "1", "--samples", 99)
    expected = fw.generate(fw.load(models["speakers"]), speaker="bob", n_samples=99, seed=7)
    np.testing.assert_array_equal(audio, sixteen_bit(expected))


def test_json_names_frames_and_speaker(run, models, tmp_path):
    frames = frames_file(tmp_path, "mel", 2)
    line = ("generate", models["mel"], "-o", tmp_path / "a.wav", "--frames", frames, "--json")
    said = json.loads(run(*line, "--speaker", "bob")[1])
    assert (said["frames"], said["speaker"], said["samples"]) == (str(frames), "bob", 2 * HOP)


def continued(name: str, models, known: np.ndarray, frames: np.ndarray, speaker) -> np.ndarray:
    """Audio behind known samples of whole frames; frames: of both."""
    gen, count = fw.Generator(fw.load(models[name]), seed=7, speaker=speaker), len(known) // HOP
    gen.prime(known, frames=frames)
    return gen.generate((len(frames) - count) * HOP, frames=frames, at=len(known))


def test_a_prime_has_its_own_mel_frames_and_the_given_ones_follow(run, models, hello, tmp_path):
    file, audio, out = frames_file(tmp_path, "mel", 6), audio_of(hello), tmp_path / "out.wav"
    line = ("generate", models["mel"], "-o", out, "--frames", file, "--speaker", "bob")
    code, _, errors = run(*line, "--prime", hello, "--seed", 7)
    said = f"fastwavenet: {hello}: 9 samples behind its last whole frame are left out\n"
    assert (code, errors) == (0, said)
    frames = np.concatenate([fw.mel(audio, MEL), np.load(file)])
    expected = continued("mel", models, audio[: 15 * HOP], frames, "bob")
    np.testing.assert_array_equal(audio_of(out), sixteen_bit(expected))


@pytest.mark.parametrize("name", ["pitch", "upsampled"])
@pytest.mark.parametrize("behind", [1, 2, 30])
def test_other_frames_of_a_prime_are_the_first_of_the_file(
    run, models, hello, tmp_path, behind, name
):
    file, out = frames_file(tmp_path, name, 15 + behind), tmp_path / "out.wav"
    line = ("generate", models[name], "-o", out, "--frames", file, "--prime", hello)
    assert run(*line, "--seed", 7)[0] == 0
    expected = continued(name, models, audio_of(hello)[: 15 * HOP], np.load(file), None)
    assert len(expected) == behind * HOP
    np.testing.assert_array_equal(audio_of(out), sixteen_bit(expected))


def test_what_a_sound_lacks_is_one_line(refused, models, hello, voice, tmp_path):
    frames, own = frames_file(tmp_path, "pitch", 15), frames_file(tmp_path, "mel", 3)
    short = record(tmp_path / "short.wav", noise(HOP - 1), rate=8000)
    given, ann = ("--frames", own), ("--speaker", "ann")
    cases = {
        (models["mel"],): "give --frames FILE.npy; of recordings, use fastwavenet vocode",
        (models["mel"], *given): "the model needs a speaker, one of ann, bob",
        (models["mel"], *given, *ann, "--seconds", 1): (
            f"--seconds is 8,000 samples, but the 3 frames, with hop {HOP}, last {3 * HOP}"
        ),
        (models["mel"], *given, *ann, "--samples", 3 * HOP + 1): f"--samples is {3 * HOP + 1} samp",
        (models["mel"], *given, *ann, "--seconds", math.inf): "endless sound has no header",
        (models["mel"], *given, *ann, "--prime", short): (
            f"short.wav: has {HOP - 1} samples, expected at least a frame of {HOP}"
        ),
        (models["pitch"], "--frames", frames, "--prime", hello): "belong to --prime: none is left",
        (models["pitch"], *given, "--prime", hello): "or (1, frames, 3), not (3, 5)",
        (models["speakers"], *given, *ann): "the model takes no frames",
        (voice, *given): "the model takes no frames",
        (voice, *ann): "the model has no speakers, but got speaker 'ann'",
    }
    for line, message in cases.items():
        assert message in refused("generate", *line, "-o", tmp_path / "out.wav")
        assert not (tmp_path / "out.wav").exists()


def test_the_frames_are_not_replaced_by_their_sound(refused, models, tmp_path):
    frames = frames_file(tmp_path, "pitch", 3)
    (tmp_path / "out.wav").symlink_to(frames)
    line = ("generate", models["pitch"], "-o", tmp_path / "out.wav", "--frames", frames)
    assert "is read and would be replaced" in refused(*line)
