"""Training a network with learned upsampling between its frames and its layers."""

import dataclasses

import numpy as np
import pytest
import torch
from recordings import alternating, noise, record
from runs import SPEC, changing, counting, interrupt, left_behind, quick, weights

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.ends import FrameConditioning, UpsamplingStage
from fastwavenet.recording_frames import recording_conditioning, recording_frames
from fastwavenet.training import pitch_predictor, train
from fastwavenet.training.conditioning import (
    conditioned,
    has_foldable_mean,
    learned_stages,
    upsampling_of,
    with_speakers,
    with_upsampling,
)
from fastwavenet.training.data import Corpus, load_corpus
from fastwavenet.training.layers import predict
from fastwavenet.training.learner import Learner
from fastwavenet.training.model import Conditioning, WaveNet
from fastwavenet.training.settings import Settings
from fastwavenet.training.windows import Windows

pytestmark = pytest.mark.usefixtures("one_thread")

MEL = fw.mel_presets()["hifigan-16k"]
HOP = MEL.hop


def learned(name="hifigan-16k"):
    return with_upsampling(conditioned(SPEC, recording_conditioning(name)), "learned")


LEARNED = learned()
CONTEXT = UpsamplingStage(3, 5, crop=2, activation="relu")
STAGES = {
    "learned": (CONTEXT, UpsamplingStage(3, 6, 3, 1)),
    "causal": (UpsamplingStage(3, 3), UpsamplingStage(2, 9, 4)),
    "wide": (UpsamplingStage(2, 30, 6, 13), UpsamplingStage(2, 4, 2, 2)),
    "without bias": (dataclasses.replace(CONTEXT, bias=False),),
    "padded": (
        CONTEXT,
        UpsamplingStage(2, 6, 2, 2, padding="zeros"),
        UpsamplingStage(2, 9, 3, 3, padding="zeros"),
    ),
}
every_upsampling = pytest.mark.parametrize("name", STAGES)
both_edges = pytest.mark.parametrize("edges", ["held", "zeros"])


@pytest.fixture
def source(tmp_path):
    for name, seed in (("a.wav", 1), ("b.wav", 2)):
        record(tmp_path / "recordings" / name, alternating(0.4, seed))
    return tmp_path / "recordings"


# ---- stages ----------------------------------------------------------------------------------


def test_learned_stages_look_at_five_frames_and_make_features_of_sixteen_samples():
    end = LEARNED.conditioning
    frames, up = end.upsampling
    assert (frames.kernel, frames.crop, frames.activation) == (5, 2, "relu")
    assert (up.stride, end.feature_hop, end.interpolation) == (16, 16, "linear")
    assert end.feature_channels == 80
    for hop, expected in ((1, 1), (7, 7), (10, 10), (200, 10), (257, 257), (300, 10)):
        stages = learned_stages(FrameConditioning(2, hop))
        assert FrameConditioning(2, hop, upsampling=stages).feature_hop == expected


def test_frames_with_pitch_make_as_many_features():
    end = learned("hifigan-16k+pitch").conditioning
    assert (end.channels, end.feature_channels, end.predicted_from) == (83, 83, 80)


def test_an_upsampling_has_its_name():
    plain = FrameConditioning(2, 20, "linear")
    stages = learned_stages(plain)
    for end, name in (
        (None, "not given"),
        (FrameConditioning(speakers=("a",), speaker_channels=2), "not given"),
        (plain, "linear"),
        (dataclasses.replace(plain, upsampling=stages), "learned"),
        (dataclasses.replace(plain, upsampling=stages[:1]), "of another kind"),
        (dataclasses.replace(plain, upsampling=stages, edges="zeros"), "of another kind"),
        (FrameConditioning(2, 20), "of another kind"),
    ):
        assert upsampling_of(end) == name


# ---- windows ---------------------------------------------------------------------------------


@both_edges
@every_upsampling
@torch.no_grad()
def test_the_features_of_a_window_are_those_of_the_whole_recording(name, edges):
    hop, channels = 12, 1
    end = FrameConditioning(channels, hop, "linear", upsampling=STAGES[name], edges=edges)
    module = Conditioning(end, bias=True).double()
    clips = counting(9, 3, 20, hop=hop)
    windows = Windows(clips, 7, 30, end)
    for number, clip in enumerate(clips):
        whole = module(torch.from_numpy(clip.frames.T).double()[None], None)
        for start in range(0, len(clip.codes) - 1, 1 + number):
            batch = windows._stack([(number, start)])
            count = min(windows.length, len(clip.codes) - 1 - start)
            sounds = None if batch.sounds is None else torch.from_numpy(batch.sounds)
            assert (sounds is None) == (name != "padded")
            features = module(torch.from_numpy(batch.frames).double(), None, sounds)
            found = module.at_samples(features, batch.at, count)
            expected = module.at_samples(whole, start + 1, count)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_windows_without_upsampling_are_as_before():
    clips = counting(9, 3, 20)
    for start in (0, 10, 37):
        expected = Windows(clips, 7, 30).cut_frames(2, start)
        held = Windows(clips, 7, 30, FrameConditioning(1, 10, "linear")).cut_frames(2, start)
        np.testing.assert_array_equal(held, expected)


# ---- standardised frames ---------------------------------------------------------------------


def learner_of(end, **changes):
    """A learner on clips of frames far from 0, which differ between channels."""
    spec = dataclasses.replace(SPEC, conditioning=end, **changes)
    rng, mean, deviation = np.random.default_rng(0), (-5, 3, 0.2), (2, 0.5, 0.1)
    clips = [
        dataclasses.replace(
            clip,
            codes=rng.integers(0, 256, len(clip.codes)).astype(np.uint8),
            frames=rng.normal(mean, deviation, (len(clip.frames), 3)).astype(np.float16),
        )
        for clip in counting(9, 3, 20, hop=end.hop)
    ]
    corpus = Corpus(clips, clips, skipped=[], remarks=[])
    return Learner(Settings(spec=spec, window=30, bfloat16=False), corpus, torch.device("cpu"))


def emphasise_frames(learner):
    """Multiplies the projections of the frames and the output, so that the frames decide."""
    with changing(learner) as parameters:
        for name, parameter in parameters.items():
            if "conditioning" in name or "head" in name:
                parameter *= 3
            if "upsampling" in name and name.endswith("bias"):
                parameter += torch.linspace(-1, 1, len(parameter))


@pytest.mark.parametrize("bias", [True, False])
@both_edges
@every_upsampling
@torch.no_grad()
def test_a_file_has_the_weights_for_frames_as_they_are(name, edges, bias):
    """Torch on standardised frames, and numpy and the engine on frames as they are."""
    end = FrameConditioning(3, 12, "linear", upsampling=STAGES[name], edges=edges)
    learner = learner_of(end, bias=bias)
    emphasise_frames(learner)
    spec, clip = learner.settings.spec, learner.training.clips[2]
    inside, made = learner.weights(), learner.for_file(learner.weights())
    frames, codes = clip.frames.astype(np.float32), clip.codes.astype(np.int64)
    trained = learner.model(torch.from_numpy(codes)[None], torch.from_numpy(frames.T)[None])
    plain = WaveNet(spec)
    plain.load_state_dict({name: torch.tensor(array) for name, array in made.items()})
    found = plain(torch.from_numpy(codes)[None], torch.from_numpy(frames.T)[None])
    torch.testing.assert_close(found, trained, rtol=0, atol=1e-4)
    features = learner.model.conditioning(torch.from_numpy(frames.T)[None], None)[0].T.numpy()
    np.testing.assert_allclose(reference.upsample(spec, made, frames), features, atol=1e-4)
    outputs = fw.outputs(fw.Model(spec, made), codes, frames=frames)[:-1]
    expected = torch.log_softmax(trained, 1)[0].T.numpy()[: len(outputs)]
    shifted = outputs - np.logaddexp.reduce(outputs, axis=1, keepdims=True)
    np.testing.assert_allclose(shifted, expected, atol=1e-4)
    changed = {name for name in made if (made[name] != inside[name]).any()}
    first = "conditioning.upsampling.0"
    centred = bias and edges == "held" and name in ("learned", "causal", "padded")
    assert has_foldable_mean(spec) == centred == (learner.standardisation.mean != 0).all()
    assert changed == {f"{first}.weight"} | ({f"{first}.bias"} if centred else set())


# ---- the loss, and the fast forward ------------------------------------------------------------


FINE = dataclasses.replace(MEL, n_fft=64, window=64, hop=8, mels=8)


@pytest.mark.parametrize("mel", [MEL, FINE], ids=["hop 256", "hop 8"])
@pytest.mark.parametrize("window", [200, 4096])
@pytest.mark.parametrize("pitched", ["", "+pitch"])
def test_the_held_out_loss_is_the_score_of_the_engine(source, window, mel, pitched):
    """Windows of 200 begin within a frame.  Frames a sample late change it by 1e-5 or more."""
    end = recording_conditioning(f"hifigan-16k{pitched}")
    end = dataclasses.replace(
        end, channels=end.channels - 80 + mel.mels, hop=mel.hop, features=mel, speakers=("a", "b"),
        speaker_channels=2,
    )  # fmt: skip
    spec = with_upsampling(conditioned(SPEC, end), "learned")
    corpus = load_corpus_of_speakers(source, spec)
    learner = Learner(
        Settings(spec=spec, window=window, bfloat16=False), corpus, torch.device("cpu")
    )
    emphasise_frames(learner)
    audio, _ = fw.read_audio(source / "b" / "b.wav")
    frames = recording_frames(spec.conditioning, audio).astype(np.float16)
    codes = fw.mu_law_encode(audio[: mel.hop * len(frames)])
    model = fw.Model(spec, learner.for_file(learner.weights()))
    nats = fw.score(model, codes, frames=frames, speaker="b")
    if window == 200:  # every other window is judged
        field = SPEC.receptive_field
        starts = range(0, len(codes) - field, 200)[::2]
        judged = [nats[s + (field - 1) * (s > 0) : s + field - 1 + 200] for s in starts]
        nats = np.concatenate(judged)
    assert learner.validate() == pytest.approx(nats.mean(dtype=np.float64), abs=1e-5)


def load_corpus_of_speakers(source, spec):
    """a.wav of speaker a to train on, and b.wav of speaker b held out."""
    for name in ("a", "b"):
        for folder in (source / name, source.parent / "held" / name):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.wav").write_bytes((source / f"{name}.wav").read_bytes())
    for name in ("a", "b"):
        (source / f"{name}.wav").unlink()
    corpus = load_corpus(source, spec, validation=source.parent / "held")
    held = [clip for clip in corpus.validation if clip.speaker == 1]
    return dataclasses.replace(corpus, validation=held)


@every_upsampling
def test_the_fast_forward_has_the_logits_of_a_window(name):
    end = FrameConditioning(3, 12, "linear", upsampling=STAGES[name])
    learner = learner_of(end)
    batch = learner.training.batch(0, 3)
    inputs = torch.from_numpy(batch.inputs), torch.from_numpy(batch.frames).float()
    sounds = None if batch.sounds is None else torch.from_numpy(batch.sounds)
    wanted = learner.model(*inputs, at=batch.at, sounds=sounds).permute(2, 0, 1)
    found = predict(learner.model, *inputs, at=batch.at, sounds=sounds)
    torch.testing.assert_close(found, wanted)


# ---- runs ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    for name, seed in (("a.wav", 1), ("b.wav", 2)):
        record(folder / "recordings" / name, alternating(0.4, seed))
    quick(folder / "recordings", folder / "run", mel="hifigan-16k", upsample="learned", steps=2)
    return folder


def test_learned_upsampling_is_trained_and_vocodes(learned_run):
    model = fw.load(learned_run / "run" / "model.safetensors")
    assert model.spec == LEARNED
    corpus = load_corpus(learned_run / "recordings", LEARNED)
    learner = Learner(Settings(spec=LEARNED), corpus, torch.device("cpu"))
    before = learner.for_file(learner.weights())
    for name, array in weights(learned_run / "run" / "latest.safetensors").items():
        assert not np.array_equal(array, before[name])
    frames = np.zeros((3, 80), np.float32)
    assert fw.vocode(model, frames, seed=1).shape == (3 * HOP,)


def test_a_resumed_run_keeps_its_upsampling(learned_run):
    run, source = learned_run / "run", learned_run / "recordings"
    with pytest.raises(ValueError, match="upsample is learned in this run, not linear: leave it"):
        train(source, run, resume=True, upsample="linear", steps=3)
    with pytest.raises(ValueError, match=r"mel is 'hifigan-16k' in this run, not 'hifigan-16k\+pi"):
        train(source, run, resume=True, mel="hifigan-16k+pitch", upsample="learned", steps=3)
    for given in ({}, {"mel": "hifigan-16k"}, {"upsample": "learned"}):
        with pytest.raises(ValueError, match="2 steps are spent"):
            train(source, run, resume=True, steps=2, **given)


@pytest.mark.parametrize("at", [1, 2])
def test_a_run_with_pitch_is_resumed_bit_for_bit(source, tmp_path, monkeypatch, at):
    monkeypatch.setattr(pitch_predictor, "STEPS", 2)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = {"mel": "hifigan-16k+pitch", "upsample": "learned"}
    summary = quick(source, whole, **options)
    assert summary.spec == learned("hifigan-16k+pitch")
    with monkeypatch.context() as context:
        interrupt(context, at=at)
        quick(source, parts, **options)
    quick(source, parts, resume=True, **options)
    assert left_behind(parts) == left_behind(whole)
    model = fw.load(summary.model)
    levels = np.zeros((3, 80), np.float32)  # to which the model's network adds pitch
    assert fw.vocode(model, levels, seed=1).shape == (3 * HOP,)


def test_frames_from_files_are_upsampled_and_speakers_are_not(tmp_path):
    for seed, name in enumerate(("ann/a", "bob/b")):
        record(tmp_path / "speech" / f"{name}.wav", noise(1600, seed))
        (tmp_path / "f0" / name).parent.mkdir(parents=True)
        np.save(tmp_path / "f0" / name, np.random.default_rng(seed).normal(size=(20, 2)))
    options = {"frames": tmp_path / "f0", "hop": 80, "speakers_from_folders": True}
    summary = quick(tmp_path / "speech", tmp_path / "run", upsample="learned", **options)
    end = summary.spec.conditioning
    plain = FrameConditioning(2, 80, "linear")
    expected = dataclasses.replace(plain, upsampling=learned_stages(plain))
    assert end == with_speakers(conditioned(SPEC, expected), ("ann", "bob")).conditioning
    assert (end.feature_hop, end.inputs) == (10, 2 + 32)
    resumed = quick(tmp_path / "speech", tmp_path / "run", resume=True, upsample="learned", steps=4)
    assert resumed.spec == summary.spec
    with pytest.raises(ValueError, match="upsample is learned in this run, not linear"):
        quick(tmp_path / "speech", tmp_path / "run", resume=True, upsample="linear", steps=5)
    model = fw.load(resumed.model)
    made = fw.generate(model, frames=np.zeros((3, 2)), speaker="bob", seed=1)
    assert made.shape == (240,)


def test_a_specs_own_upsampling_is_kept_or_replaced(source, tmp_path):
    stages = (UpsamplingStage(4, 3),)
    end = dataclasses.replace(LEARNED.conditioning, upsampling=stages, edges="zeros")
    spec = conditioned(SPEC, end)
    assert quick(source, tmp_path / "own", spec=spec, steps=1).spec == spec
    made = quick(source, tmp_path / "learned", spec=spec, upsample="learned", steps=1)
    assert made.spec == LEARNED
    with pytest.raises(ValueError, match="upsample is of another kind in this run, not learned"):
        quick(source, tmp_path / "own", resume=True, upsample="learned", steps=2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"upsample": "learned"}, "upsample needs frames"),
        ({"upsample": "cubic", "mel": "hifigan-16k"}, "upsample must be linear or learned, not"),
    ],
)
def test_upsampling_without_frames_or_of_no_known_kind_is_refused(source, tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        train(source, tmp_path / "run", steps=1, **given)
    assert not (tmp_path / "run").exists()


def test_the_command_line_trains_learned_upsampling(source, tmp_path, run):
    words = ("train", source, "--preset", "tiny", "--steps", 1, "--window", 64, "--mel", "nv-16k")
    code, said, _ = run(*words, "-o", tmp_path / "run", "--upsample", "learned")
    assert code == 0
    assert "80 numbers every 200 samples, upsampled to 80 every 10 samples" in said
    code, _, errors = run(*words, "-o", tmp_path / "other", "--upsample", "cubic")
    assert code == 2 and "upsample must be linear or learned, not 'cubic'" in errors
