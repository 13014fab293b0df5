"""Griffin-Lim: audio whose mel frames are those given, at the right place."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import fastwavenet as fw
from fastwavenet.features import filter_matrix, first_sample, hann_window
from fastwavenet.griffin_lim import griffin_lim, magnitudes_of
from fastwavenet.sound_measures import log_mel_distance
from fastwavenet.sound_quality import estoi
from fastwavenet.spectra import signal_of, spectra_of

MEL = fw.mel_presets()["hifigan-16k"]
ARCTIC = Path(fw.__file__).parent / "data/arctic_a0009.flac"
PRESETS = fw.mel_presets()


@pytest.fixture(scope="module")
def speech():
    return fw.read_audio(ARCTIC, 16000)[0][: 100 * MEL.hop]


def test_speech_comes_back_intelligible_and_with_nearly_its_mel_frames(speech):
    frames = fw.mel(speech, MEL)
    audio = griffin_lim(frames, MEL, 60)
    assert audio.dtype == np.float32 and audio.shape == speech.shape
    assert estoi(speech, audio, 16000) > 0.85
    distance = log_mel_distance(speech, audio, MEL)
    assert distance < 0.2
    assert log_mel_distance(speech, griffin_lim(frames, MEL, 1), MEL) > 2 * distance


def test_a_seed_gives_the_same_samples_and_another_seed_others(speech):
    frames = fw.mel(speech, MEL)[:5]
    assert np.array_equal(griffin_lim(frames, MEL, 5), griffin_lim(frames, MEL, 5, seed=0))
    assert not np.array_equal(griffin_lim(frames, MEL, 5), griffin_lim(frames, MEL, 5, seed=1))


@pytest.mark.parametrize("iterations", [0, 1, 2])
def test_iterations_are_those_of_the_equations(speech, iterations):
    """Against a slow twin in float64, frame by frame."""
    frames = fw.mel(speech, MEL)[20:26]
    assert np.abs(griffin_lim(frames, MEL, iterations) - slow(frames, iterations)).max() < 1e-5


def slow(frames: np.ndarray, iterations: int) -> np.ndarray:
    window = hann_window(MEL.window)
    magnitudes = magnitudes_of(frames, MEL).astype(np.float64)
    turns = np.random.default_rng(0).random(magnitudes.shape, np.float32)
    spectra, before = magnitudes * np.exp(2j * np.pi * turns), 0
    for _ in range(iterations):
        signal = slow_signal(spectra, window)
        starts = range(0, len(frames) * MEL.hop, MEL.hop)
        own = np.array([np.fft.rfft(signal[at : at + MEL.window] * window) for at in starts])
        ahead = own + 0.99 * (own - before)
        spectra, before = magnitudes * np.exp(1j * np.angle(ahead)), own
    first = -first_sample(MEL, 0)
    return slow_signal(spectra, window)[first : first + len(frames) * MEL.hop]


def slow_signal(spectra: np.ndarray, window: np.ndarray) -> np.ndarray:
    sums, weights = np.zeros((2, (len(spectra) - 1) * MEL.hop + MEL.window))
    for i, spectrum in enumerate(spectra):
        here = slice(i * MEL.hop, i * MEL.hop + MEL.window)
        sums[here] += np.fft.irfft(spectrum) * window
        weights[here] += window**2
    return sums / np.maximum(weights, 1e-8)


@pytest.mark.parametrize("mel", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_convention_gives_hop_samples_a_frame(mel, count):
    rng = np.random.default_rng(count)
    audio = (0.1 * rng.standard_normal(count * mel.hop)).astype(np.float32)
    made = griffin_lim(fw.mel(audio, mel), mel, 60)
    assert made.shape == audio.shape and np.isfinite(made).all()


@pytest.mark.parametrize("mel", PRESETS.values(), ids=PRESETS)
def test_a_click_stays_at_its_place_and_keeps_its_level(mel):
    """So the levels are inverted for each convention, and both paddings are undone."""
    audio = np.zeros(20 * mel.hop, np.float32)
    audio[10 * mel.hop : 11 * mel.hop] = np.random.default_rng(1).uniform(-1, 1, mel.hop)
    energy = griffin_lim(fw.mel(audio, mel), mel, 60).astype(np.float64) ** 2
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
    audio = griffin_lim(np.zeros((4, 80), np.float32), mel, 60).reshape(4, mel.hop)
    assert (audio[:, :64] == 0).all() and (audio[:, -64:] == 0).all() and audio.any()
