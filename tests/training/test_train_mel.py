"""Training a vocoder: the network is conditioned on the mel frames of its recordings."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch
from recordings import alternating, record, tone
from runs import SPEC, counting, interrupt, left_behind, log, quick, weights

import fastwavenet as fw
from fastwavenet.audio import AudioError
from fastwavenet.ends import FrameConditioning
from fastwavenet.recording_frames import recording_conditioning, recording_frames
from fastwavenet.training import pitch_predictor, train
from fastwavenet.training.conditioning import Standardisation, conditioned
from fastwavenet.training.data import load_corpus
from fastwavenet.training.learner import Learner
from fastwavenet.training.model import WaveNet
from fastwavenet.training.network import Network
from fastwavenet.training.settings import Settings
from fastwavenet.training.windows import IGNORED, Windows, with_wrong_frames

pytestmark = pytest.mark.usefixtures("one_thread")

MEL = fw.mel_presets()["hifigan-16k"]
HOP = MEL.hop
VOCODER = conditioned(SPEC, recording_conditioning("hifigan-16k"))


@pytest.fixture
def source(tmp_path):
    for name, seed in (("a.wav", 1), ("b.wav", 2)):
        record(tmp_path / "recordings" / name, alternating(0.4, seed))
    return tmp_path / "recordings"


# ---- data ------------------------------------------------------------------------------------


def test_a_clip_holds_the_frames_of_the_audio_before_mu_law(tmp_path):
    audio = alternating(1, 3)[: 50 * HOP + 7]
    record(tmp_path / "a.wav", audio, subtype="FLOAT")
    other = record(tmp_path / "b.wav", tone(1000))
    (clip,) = load_corpus(tmp_path / "a.wav", VOCODER, validation=other).train
    assert clip.frames.dtype == np.float16
    np.testing.assert_array_equal(clip.frames, fw.mel(audio, MEL).astype(np.float16))
    np.testing.assert_array_equal(clip.codes, fw.mu_law_encode(audio)[: 50 * HOP])


def test_frames_have_the_pitch_of_the_audio_if_it_is_asked_for(tmp_path):
    audio = tone(50 * HOP + 7)
    record(tmp_path / "a.wav", audio, subtype="FLOAT")
    spec = conditioned(SPEC, recording_conditioning("hifigan-16k+pitch"))
    other = record(tmp_path / "b.wav", tone(1000))
    (clip,) = load_corpus(tmp_path / "a.wav", spec, validation=other).train
    wanted = recording_frames(spec.conditioning, audio)
    np.testing.assert_array_equal(clip.frames, wanted.astype(np.float16))
    assert (clip.frames[10:40, spec.conditioning.voicing] == 1).all()


@pytest.mark.parametrize("n", [2 * HOP, 3 * HOP - 1, 3 * HOP, 29 * HOP + 1, 41 * HOP])
def test_a_recording_is_cut_between_two_frames(tmp_path, n):
    record(tmp_path / "a.wav", tone(n))
    corpus = load_corpus(tmp_path / "a.wav", VOCODER)
    (front,), (behind,) = corpus.train, corpus.validation
    for clip in (front, behind):
        assert len(clip.codes) == HOP * len(clip.frames) > 0
    frames = np.concatenate([front.frames, behind.frames])
    audio, _ = fw.read_audio(tmp_path / "a.wav")
    np.testing.assert_array_equal(frames, fw.mel(audio, MEL).astype(np.float16))


def test_a_recording_of_less_than_two_frames_is_refused(tmp_path):
    record(tmp_path / "a.wav", tone(2 * HOP - 1))
    with pytest.raises(AudioError, match="has 511 samples, expected at least 512"):
        load_corpus(tmp_path / "a.wav", VOCODER)


@pytest.mark.parametrize("start", [0, 1, 9, 10, 33, 70, 99])
def test_the_frames_of_a_window_are_those_of_its_targets(start):
    """Frame i belongs to samples 10 i to 10 i + 9; behind the last one it is repeated."""
    windows = Windows(counting(12), context=5, fresh=20)
    _, targets = windows.cut(0, start)
    frames = windows.cut_frames(0, start)[0]
    at = start % 10 + 1
    for t, target in enumerate(targets):
        place = (at + t) // 10
        assert target == IGNORED or frames[place] == target // 10
        assert frames[place + 1] == min(frames[place] + 1, 11)


def test_windows_of_a_batch_begin_with_a_frame():
    batch = Windows(counting(30, 9), context=5, fresh=20).batch(0, 50)
    assert batch.at == 1
    assert (batch.inputs[:, 0] % 10 == 0).all()
    np.testing.assert_array_equal(batch.frames[:, 0, 0], batch.inputs[:, 0] // 10)
    assert batch.frames.shape == (50, 1, 5)


def test_tiles_with_frames_count_every_target_once_at_any_offset():
    windows = Windows(counting(10), context=5, fresh=23)
    tiles = list(windows.tiles(1000))
    targets = np.concatenate([tile.targets[tile.targets != IGNORED] for tile in tiles])
    assert sorted(targets) == list(range(1, 100))
    assert [tile.at for tile in tiles] == [1 + tile.inputs[0, 0] % 10 for tile in tiles]


def test_wrong_frames_are_those_of_another_window():
    tiles = list(Windows(counting(10), context=5, fresh=23).tiles(1000))
    wrong = with_wrong_frames(tiles)
    for right, other in zip(tiles, wrong, strict=True):
        assert (other.frames != right.frames).any()
        assert other.targets is right.targets
    (alone,) = with_wrong_frames(tiles[:1])
    assert (alone.frames != tiles[0].frames).any()


# ---- standardised frames ---------------------------------------------------------------------


@pytest.mark.parametrize("centred", [True, False])
def test_standardised_frames_have_the_mean_0_and_the_deviation_1(centred):
    rng = np.random.default_rng(0)
    parts = [rng.normal((3, -5, 7), (2, 0.5, 0), (n, 3)).astype(np.float16) for n in (500, 1, 900)]
    mean, deviation = Standardisation.of(parts, centred)
    frames = (np.concatenate(parts) - mean) / deviation
    varied = frames[:, :2]
    np.testing.assert_allclose((varied**2).mean(axis=0), 1, rtol=1e-6)
    if centred:
        np.testing.assert_allclose(varied.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_array_equal(frames[:, 2], 0)
        assert deviation[2] == 1  # a constant channel
    else:
        assert (mean == 0).all()


@pytest.mark.parametrize("bias", [True, False])
def test_a_file_has_the_weights_for_frames_as_they_are(source, bias):
    spec = dataclasses.replace(VOCODER, bias=bias)
    corpus = load_corpus(source / "a.wav", spec, validation=source / "b.wav")
    learner = Learner(Settings(spec=spec, bfloat16=False), corpus, torch.device("cpu"))
    trained, inside = learner.model, learner.weights()
    weights = learner.for_file(inside)
    plain = WaveNet(spec)
    plain.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    batch = learner.training.batch(0, 1)
    codes, frames = torch.from_numpy(batch.inputs), torch.from_numpy(batch.frames).float()
    torch.testing.assert_close(plain(codes, frames), trained(codes, frames), rtol=0, atol=2e-5)
    changed = {name for name in weights if (weights[name] != inside[name]).any()}
    layers = range(spec.layers)
    names = {f"layers.{i}.conditioning.weight" for i in layers}
    assert changed == names | ({f"layers.{i}.dilated.bias" for i in layers} if bias else set())


# ---- learning --------------------------------------------------------------------------------


FINE = dataclasses.replace(MEL, n_fft=64, window=64, hop=8, mels=8)


@pytest.mark.parametrize("mel", [MEL, FINE], ids=["hop 256", "hop 8"])
@pytest.mark.parametrize("window", [200, 4096])
def test_validation_loss_of_a_vocoder_is_the_score_of_the_engine(source, window, mel):
    """Windows of 200 begin within a frame.  Frames a sample late change it by 1e-5 or more."""
    end = dataclasses.replace(recording_conditioning("hifigan-16k"), channels=mel.mels, hop=mel.hop)
    spec = conditioned(SPEC, dataclasses.replace(end, features=mel))
    settings = Settings(spec=spec, window=window, bfloat16=False)
    corpus = load_corpus(source / "a.wav", spec, validation=source / "b.wav")
    learner = Learner(settings, corpus, torch.device("cpu"))
    emphasise_frames(learner)
    audio, _ = fw.read_audio(source / "b.wav")
    frames = fw.mel(audio, mel).astype(np.float16)
    codes = fw.mu_law_encode(audio[: mel.hop * len(frames)])
    nats = fw.score(fw.Model(spec, learner.for_file(learner.weights())), codes, frames=frames)
    if window == 200:  # every other window is judged
        field = SPEC.receptive_field
        starts = range(0, len(codes) - field, 200)[::2]
        judged = [nats[s + (field - 1) * (s > 0) : s + field - 1 + 200] for s in starts]
        nats = np.concatenate(judged)
    assert learner.validate() == pytest.approx(nats.mean(dtype=np.float64), abs=5e-6)


def emphasise_frames(learner):
    """Multiplies the projections of the frames and the output, so that the frames decide."""
    with torch.no_grad():
        for name, parameter in learner.model.named_parameters():
            if "conditioning" in name or "head" in name:
                parameter *= 3


@pytest.mark.usefixtures("short_search")
def test_frames_are_learnt_from(tmp_path, capsys):
    """Noise and silence alternate by chance, so that frames of another place mislead."""
    train_on = record(tmp_path / "a.wav", alternating(6, 1))
    held = record(tmp_path / "b.wav", alternating(3, 2))
    summary = quick(
        train_on, tmp_path / "run", mel="hifigan-16k", validation=held, steps=150, batch=2,
        window=1024, progress=True,
    )  # fmt: skip
    last = log(tmp_path / "run")[-1]
    assert last["validation_loss"] + 0.5 < last["wrong_frames"]
    line = f"held out {last['validation_loss']:.3f} ({last['wrong_frames']:.3f} with wrong frames)"
    out = capsys.readouterr().out
    assert line in out
    assert "conditioned on mel frames of hifigan-16k: 80 numbers every 256 samples" in out
    assert summary.spec == VOCODER


def test_a_trained_vocoder_makes_sound_of_frames_and_holds_their_convention(
    source, tmp_path, monkeypatch
):
    monkeypatch.setattr(pitch_predictor, "STEPS", 2)
    summary = quick(source, tmp_path / "run", mel="hifigan-16k+pitch")
    model = fw.load(summary.model)
    assert model.spec.conditioning == recording_conditioning("hifigan-16k+pitch")
    assert set(model.precision_cost) == {"bfloat16", "int8", "bfloat16x16", "int8x8"}
    assert len(fw.generate(model, frames=np.zeros((3, 83)), seed=1)) == 3 * HOP


# ---- resuming --------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 4])
def test_a_vocoder_is_resumed_bit_for_bit(source, tmp_path, monkeypatch, at):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    quick(source, whole, mel="hifigan-16k", steps=6)
    with monkeypatch.context() as context:
        interrupt(context, at=at)
        quick(source, parts, mel="hifigan-16k", steps=6)
    quick(source, parts, resume=True, mel="hifigan-16k")
    assert left_behind(parts) == left_behind(whole)


def test_a_resumed_run_refuses_another_mel(source, tmp_path):
    quick(source, tmp_path / "run", mel="hifigan-16k")
    quick(source, tmp_path / "plain")
    for run, mel, old in (
        ("run", "nv-16k", "'hifigan-16k'"),
        ("run", "hifigan-16k+pitch", "'hifigan-16k'"),
        ("plain", "nv-16k", "not given"),
    ):
        message = f"^mel is {old} in this run, not '{re.escape(mel)}': leave it out"
        with pytest.raises(ValueError, match=message):
            quick(source, tmp_path / run, resume=True, steps=9, mel=mel)
    with pytest.raises(ValueError, match=r"^sample_rate is 8000 Hz, expected the 16000 Hz of mel"):
        quick(source, tmp_path / "run", resume=True, steps=9, sample_rate=8000)


def test_a_report_has_the_loss_with_wrong_frames_if_there_are_frames(source, tmp_path):
    quick(source, tmp_path / "run", mel="hifigan-16k")
    assert all(record["wrong_frames"] > 0 for record in log(tmp_path / "run"))
    quick(source, tmp_path / "plain")
    assert all("wrong_frames" not in record for record in log(tmp_path / "plain"))


# ---- settings --------------------------------------------------------------------------------


def test_the_rate_is_that_of_the_mel(tmp_path):
    source = record(tmp_path / "a.wav", tone(22050, rate=22050), rate=22050)
    summary = train(
        source, tmp_path / "run", preset="tiny", mel="hifigan-22k", steps=1, window=64,
        bfloat16=False, progress=False,
    )  # fmt: skip
    assert summary.spec.sample_rate == 22050
    tiny = fw.WaveNetSpec(sample_rate=22050, **fw.training.PRESETS["tiny"])
    assert dataclasses.replace(summary.spec, conditioning=None, codec=tiny.codec) == tiny


OTHER = FrameConditioning(channels=80, hop=HOP, features=MEL, speakers=("a",), speaker_channels=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"mel": "mel-9k"},
            "unknown mel preset 'mel-9k', expected one of hifigan-22k, hifigan-16k",
        ),
        (
            {"mel": "hifigan-22k"},
            "sample_rate is 16000 Hz, expected the 22050 Hz of mel 'hifigan-22k'",
        ),
        (
            {"mel": "nv-16k", "spec": None, "sample_rate": 8000},
            "sample_rate is 8000 Hz, expected the 16000 Hz of mel 'nv-16k'",
        ),
        (
            {"spec": dataclasses.replace(SPEC, conditioning=OTHER)},
            ".*/a.wav: lies beside the folders of the speakers",
        ),
    ],
)
def test_a_mel_that_does_not_fit_is_refused(source, tmp_path, changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        quick(source, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_the_command_line_trains_a_vocoder(source, tmp_path, run):
    words = ("train", source, "-o", tmp_path / "run", "--preset", "tiny", "--steps", 1)
    code, said, _ = run(*words, "--mel", "nv-16k", "--window", 64, "--json")
    assert code == 0
    assert fw.load(json.loads(said)["model"]).spec.conditioning.mel.preset == "nv-16k"
    code, said, _ = run("export", tmp_path / "run", "-o", tmp_path / "a.safetensors",
                        "--measure", source, "--json")  # fmt: skip
    assert code == 0
    cost = json.loads(said)["precision_cost"]
    assert fw.load(tmp_path / "a.safetensors").precision_cost == cost != {}
    code, _, said = run("train", source, "-o", tmp_path / "other", "--mel", "x")
    assert (code, said.count("\n")) == (2, 1)
    assert "hifigan-16k" in said


def test_a_run_with_the_mel_differs_from_one_without(source, tmp_path):
    with_mel = weights(quick(source, tmp_path / "mel", mel="hifigan-16k").model)
    assert {name for name in with_mel if "conditioning" in name} == {
        f"layers.{i}.conditioning.weight" for i in range(SPEC.layers)
    }


# ---- pre-emphasis ----------------------------------------------------------------------------


@pytest.mark.parametrize("mel", [None, "hifigan-16k"])
def test_a_network_learns_codes_of_pre_emphasised_audio(source, tmp_path, mel):
    summary = quick(source, tmp_path / "run", mel=mel, pre_emphasis=0.85)
    codec = fw.load(summary.model).spec.codec
    assert codec == dataclasses.replace(SPEC.codec, pre_emphasis=0.85)
    (clip,) = load_corpus(source / "a.wav", summary.spec, validation=source / "b.wav").train
    audio, _ = fw.read_audio(source / "a.wav")
    emphasised = audio - np.float32(0.85) * np.concatenate([[0], audio[:-1]]).astype(np.float32)
    wanted = fw.mu_law_encode(emphasised)[: len(clip.codes)]
    assert (np.abs(clip.codes.astype(int) - wanted) <= 1).all()  # at a border of two codes
    assert (clip.codes == wanted).mean() > 0.99


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ({"preset": "tiny", "mel": "hifigan-16k"}, 0.85),
        ({"preset": "tiny", "mel": "hifigan-16k", "pre_emphasis": 0}, 0),
        ({"preset": "tiny"}, 0),
        ({"preset": "tiny", "pre_emphasis": 0.5}, 0.5),
        ({"spec": SPEC, "mel": "hifigan-16k"}, 0),
    ],
)
def test_a_preset_with_mel_has_pre_emphasis_unless_another_is_given(arguments, chosen):
    assert Network(**arguments).choose(None).codec.pre_emphasis == chosen


def test_a_resumed_run_keeps_its_pre_emphasis_and_refuses_another(source, tmp_path):
    quick(source, tmp_path / "run", pre_emphasis=0.85, steps=1)
    message = r"^pre_emphasis is 0\.85 in this run, not 0\.9: leave it out"
    with pytest.raises(ValueError, match=message):
        quick(source, tmp_path / "run", resume=True, steps=2, pre_emphasis=0.9)
    summary = quick(source, tmp_path / "run", resume=True, steps=2, pre_emphasis=0.85)
    assert summary.spec.codec.pre_emphasis == 0.85


def test_a_presets_run_with_pre_emphasis_is_resumed_by_its_preset(source, tmp_path):
    small = {"preset": "tiny", "window": 64, "bfloat16": False, "progress": False}
    train(source, tmp_path / "run", **small, pre_emphasis=0.5, steps=1)
    summary = train(source, tmp_path / "run", **small, resume=True, steps=2)
    assert (summary.steps, summary.spec.codec.pre_emphasis) == (2, 0.5)


@pytest.mark.parametrize("value", [-0.1, 1.0, "much", float("nan")])
def test_pre_emphasis_is_a_number_below_1(source, tmp_path, value):
    with pytest.raises(ValueError, match="pre_emphasis must be "):
        quick(source, tmp_path / "run", pre_emphasis=value)
