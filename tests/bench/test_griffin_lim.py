"""Griffin-Lim: audio whose mel frames are those given, at the right place."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import fastwavenet as fw
from fastwavenet.bench import griffin_lim as module
from fastwavenet.bench.griffin_lim import griffin_lim, magnitudes_of, signal_of, spectra_of
from fastwavenet.bench.sound_quality import estoi
from fastwavenet.features import filter_matrix
from fastwavenet.sound_measures import log_mel_distance

MEL = fw.mel_presets()["hifigan-16k"]
ARCTIC = Path(fw.__file__).parent / "data/arctic_a0009.flac"
PRESETS = fw.mel_presets()


@pytest.fixture(scope="module")
def speech():
    return fw.read_audio(ARCTIC, 16000)[0][: 100 * MEL.hop]


def test_speech_comes_back_intelligible_and_with_nearly_its_mel_frames(speech, monkeypatch):
    frames = fw.mel(speech, MEL)
    audio = griffin_lim(frames, MEL)
    assert audio.dtype == np.float32 and audio.shape == speech.shape
    assert estoi(speech, audio, 16000) > 0.85
    distance = log_mel_distance(speech, audio, MEL)
    assert distance < 0.2
    monkeypatch.setattr(module, "ITERATIONS", 1)
    assert log_mel_distance(speech, griffin_lim(frames, MEL), MEL) > 2 * distance


def test_a_seed_gives_the_same_samples_and_another_seed_others(speech):
    frames = fw.mel(speech, MEL)[:5]
    assert np.array_equal(griffin_lim(frames, MEL), griffin_lim(frames, MEL, seed=0))
    assert not np.array_equal(griffin_lim(frames, MEL), griffin_lim(frames, MEL, seed=1))


@pytest.mark.parametrize("mel", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_convention_gives_hop_samples_a_frame(mel, count):
    rng = np.random.default_rng(count)
    audio = (0.1 * rng.standard_normal(count * mel.hop)).astype(np.float32)
    made = griffin_lim(fw.mel(audio, mel), mel)
    assert made.shape == audio.shape and np.isfinite(made).all()


@pytest.mark.parametrize("mel", PRESETS.values(), ids=PRESETS)
def test_a_click_stays_at_its_place_and_keeps_its_level(mel):
    """So the levels are inverted for each convention, and both paddings are undone."""
    audio = np.zeros(20 * mel.hop, np.float32)
    audio[10 * mel.hop : 11 * mel.hop] = np.random.default_rng(1).uniform(-1, 1, mel.hop)
    energy = griffin_lim(fw.mel(audio, mel), mel).astype(np.float64) ** 2
    centre = (energy * np.arange(len(energy))).sum() / energy.sum()
    assert abs(centre - 10.5 * mel.hop) < mel.hop / 2
    assert 0.5 < energy.sum() / (audio.astype(np.float64) ** 2).sum() < 2


@pytest.mark.parametrize("power", [1, 2])
def test_filtered_magnitudes_are_the_sums_of_the_frame(speech, power):
    mel = dataclasses.replace(MEL, power=power, log_factor=3.0, log_offset=1.0, mean=-2.0)
    frames = fw.mel(speech, mel)[40:60]
    magnitudes = magnitudes_of(frames, mel)
    assert (magnitudes >= 0).all()
    sums = magnitudes**power @ filter_matrix(mel).T
    again = 3 * np.log(np.maximum(sums, mel.floor)) + 1 + 2
    assert np.abs(again - frames).mean() < 0.2


@pytest.mark.parametrize("changes", [{}, {"window": 800}, {"hop": 200, "padding": "center"}])
def test_the_signal_of_its_own_spectra_is_the_signal(changes):
    mel = dataclasses.replace(MEL, **changes)
    signal = np.random.default_rng(3).standard_normal(9 * mel.hop + mel.window)
    again = signal_of(spectra_of(signal, mel), mel)
    assert np.abs(again - signal)[mel.hop : -mel.hop].max() < 1e-5


def test_windows_that_leave_gaps_between_them_give_silence_there():
    mel = dataclasses.replace(MEL, window=128, n_fft=1024)
    audio = griffin_lim(np.zeros((4, 80), np.float32), mel).reshape(4, mel.hop)
    assert (audio[:, :64] == 0).all() and (audio[:, -64:] == 0).all() and audio.any()
