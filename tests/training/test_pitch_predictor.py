"""The network that predicts pitch from mel frames, trained beside a vocoder."""

import math

import numpy as np
import pytest
import torch
from recordings import record
from runs import SPEC, log, quick

import fastwavenet as fw
from fastwavenet.frame_conditioning import PITCH_NETWORK, Pitch
from fastwavenet.pitch_prediction import with_predicted_pitch
from fastwavenet.recording_frames import recording_conditioning, recording_frames
from fastwavenet.training import learner, pitch_predictor
from fastwavenet.training.conditioning import Standardisation, conditioned, for_raw_frames
from fastwavenet.training.pitch_predictor import PitchPredictor, fit, judge

pytestmark = pytest.mark.usefixtures("one_thread")
END = recording_conditioning("hifigan-16k+pitch")


def voice(seconds, seed, rate=16000):
    """Sums of harmonics whose pitch glides, with pauses of noise."""
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    corners = np.arange(0, n + 4000, 4000)
    f0 = np.interp(np.arange(n), corners, rng.uniform(90, 250, len(corners)))
    phase = 2 * np.pi * np.cumsum(f0) / rate
    tone = sum(np.sin(k * phase) / k for k in range(1, 12)) / 6
    voiced = np.repeat(rng.random(n // 3200 + 1) < 0.7, 3200)[:n]
    return np.where(voiced, tone, 0.05 * rng.standard_normal(n)).astype(np.float32)


def frames_of(seconds, seed):
    return recording_frames(END, voice(seconds, seed)).astype(np.float16)


def predictor_of(hidden=16, seed=0):
    torch.manual_seed(seed)
    return PitchPredictor(Pitch(hidden=hidden), END.mel.mels)


def test_pitch_of_a_voice_is_learnt_from_its_mel_frames(monkeypatch):
    monkeypatch.setattr(pitch_predictor, "STEPS", 150)
    training = [frames_of(5, seed) for seed in range(4)]
    mean, deviation = (torch.tensor(x)[:, None].float() for x in Standardisation.of(training, True))
    held_out = [frames_of(4, 9)]

    def normal(frames):
        return (frames - mean) / deviation

    predictor = predictor_of()
    before = judge(predictor, held_out, normal)
    fit(predictor, training, normal, seed=1)
    after = judge(predictor, held_out, normal)
    assert after.cents < 150 and after.voicing < 0.1
    assert not before.voicing < 0.2
    again = predictor_of()
    fit(again, training, normal, seed=1)
    pairs = zip(predictor.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert "cents (median), " in str(after)


@pytest.mark.parametrize("frames", [1, 2, 4, 5, 30])
def test_numpy_predicts_what_pytorch_does(frames):
    predictor = predictor_of(hidden=7)
    levels = np.random.default_rng(3).normal(0, 1, (frames, 80)).astype(np.float32)
    with torch.no_grad():
        log_f0, *logits = predictor(torch.from_numpy(levels.T)[None])[0]
    weights = {
        f"{PITCH_NETWORK}.{name}": tensor.numpy() for name, tensor in predictor.state_dict().items()
    }
    pitch = Pitch(fmin=10, fmax=40000)
    found = with_predicted_pitch(pitch, weights, levels)[:, 80:]
    np.testing.assert_allclose(found[:, 0], log_f0.clamp(min=math.log(10)), rtol=1e-5)
    np.testing.assert_allclose(found[:, 1:].T, torch.sigmoid(torch.stack(logits)), atol=1e-5)


def test_a_file_predicts_from_frames_as_they_are():
    spec = conditioned(SPEC, END)
    rng = np.random.default_rng(4)
    weights = {name: rng.normal(0, 0.1, s).astype(np.float32) for name, s in spec.tensors().items()}
    levels = rng.normal(-5, 2, (20, 80)).astype(np.float32)
    given = Standardisation(rng.normal(-5, 1, 83), rng.uniform(0.5, 2, 83))
    raw = for_raw_frames(spec, weights, given)
    standardised = ((levels - given.mean[:80]) / given.deviation[:80]).astype(np.float32)
    inside = with_predicted_pitch(END.pitch, weights, standardised)[:, 80:]
    np.testing.assert_allclose(
        with_predicted_pitch(END.pitch, raw, levels)[:, 80:], inside, rtol=1e-3, atol=1e-4
    )


def test_a_vocoder_holds_the_network_from_its_first_report_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pitch_predictor, "STEPS", 3)
    for name, seed in (("a.wav", 1), ("b.wav", 2)):
        record(tmp_path / "recordings" / name, voice(0.5, seed))
    run = tmp_path / "run"
    summary = quick(tmp_path / "recordings", run, mel="hifigan-16k+pitch", steps=2, progress=True)
    assert "pitch from mel frames, held out: " in capsys.readouterr().out
    weights = fw.load(summary.model).weights
    first = {name: array for name, array in weights.items() if name.startswith(PITCH_NETWORK)}
    kinds = ("bias", "weight")
    assert sorted(first) == [f"{PITCH_NETWORK}.{i}.{kind}" for i in range(3) for kind in kinds]
    monkeypatch.setattr(learner, "fit", lambda *_: pytest.fail("it was trained"))
    quick(tmp_path / "recordings", run, resume=True, steps=6)
    assert len(log(run)) > 1
    for name, weights in fw.load(run / "latest.safetensors").weights.items():
        if name in first:
            np.testing.assert_array_equal(weights, first[name])
    model = fw.load(summary.model)
    levels = fw.mel(voice(0.3, 5), "hifigan-16k")
    assert len(fw.vocode(model, levels, seed=1)) == 256 * len(levels)
