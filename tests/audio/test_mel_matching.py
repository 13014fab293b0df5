"""Mel matching: sound nearer to its mel frames with each pass, whole or in blocks."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import fastwavenet as fw
from fastwavenet import mel_matching
from fastwavenet.sound_measures import log_mel_distance
from fastwavenet.sound_quality import estoi

PRESETS = fw.mel_presets()
MEL = PRESETS["hifigan-16k"]
ARCTIC = Path(fw.__file__).parent / "data/arctic_a0009.flac"


def noise(n: int, seed: int = 0, level: float = 0.05) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def speech(mel: fw.Mel, frames: int) -> np.ndarray:
    return fw.read_audio(ARCTIC, mel.sample_rate, convert=True)[0][: frames * mel.hop]


@pytest.mark.parametrize("name", PRESETS)
def test_each_pass_brings_noise_nearer_to_the_frames_of_speech(name):
    mel = PRESETS[name]
    audio = speech(mel, 60)
    frames = fw.mel(audio, mel)
    made = [fw.match_mel(noise(len(audio)), frames, mel, passes=n) for n in (0, 1, 2, 4, 16)]
    assert all(each.dtype == np.float32 and each.shape == audio.shape for each in made)
    distances = [log_mel_distance(audio, each, mel) for each in made]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < distances[0] / 4


@pytest.mark.parametrize("name", PRESETS)
def test_sound_with_the_frames_already_stays(name):
    mel = PRESETS[name]
    audio = speech(mel, 40)
    again = fw.match_mel(audio, fw.mel(audio, mel), mel)
    assert np.abs(again - audio).max() < 0.01


def test_speech_in_noise_becomes_intelligible_again():
    audio = speech(MEL, 150)
    hoarse = audio + noise(len(audio), level=0.03)
    matched = fw.match_mel(hoarse, fw.mel(audio, MEL), "hifigan-16k")
    before, after = (estoi(audio, each, 16000) for each in (hoarse, matched))
    assert before < 0.8 and after > 0.93


def test_no_passes_and_no_samples_leave_the_sound():
    audio = noise(3 * MEL.hop)
    assert np.array_equal(fw.match_mel(audio, np.zeros((3, 80)), MEL, passes=0), audio)
    empty = fw.match_mel(np.empty(0, np.float32), np.empty((0, 80)), MEL)
    assert empty.shape == (0,) and empty.dtype == np.float32


def test_float64_is_the_same_sound():
    audio, frames = noise(5 * MEL.hop), fw.mel(speech(MEL, 5), MEL)
    one, two = (fw.match_mel(audio.astype(of), frames, MEL, passes=2) for of in "fd")
    assert np.array_equal(one, two)


def test_normalised_frames_are_matched_as_the_levels_that_they_stand_for():
    numbers = np.linspace(1, 3, MEL.mels)
    normalised = dataclasses.replace(MEL, mean=-numbers, deviation=numbers)
    audio, sound = noise(9 * MEL.hop), noise(9 * MEL.hop, 1)
    plain = fw.match_mel(audio, fw.mel(sound, MEL), MEL, passes=3)
    found = fw.match_mel(audio, fw.mel(sound, normalised), normalised, passes=3)
    np.testing.assert_allclose(found, plain, rtol=0, atol=1e-4)


def drawn(rng: np.random.Generator) -> fw.Mel:
    n_fft = 2 * int(rng.integers(8, 65))
    window = int(rng.integers(2, n_fft + 1))
    padding, hop = str(rng.choice(["center", "same"])), int(rng.integers(1, n_fft))
    return fw.Mel(
        sample_rate=8000,
        n_fft=n_fft,
        hop=hop + hop % 2 if padding == "same" else hop,
        window=window,
        mels=int(rng.integers(1, 9)),
        fmin=float(rng.choice([0, 300])),
        fmax=float(rng.choice([1000, 4000])),
        filter_norm=str(rng.choice(["slaney", "none"])),
        power=int(rng.choice([1, 2])),
        log=str(rng.choice(["ln", "log10"])),
        padding=padding,
    )


@pytest.mark.parametrize("seed", range(40))
def test_blocks_of_any_size_have_the_samples_of_the_whole(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    mel, count, passes = drawn(rng), int(rng.integers(1, 60)), int(rng.integers(1, 5))
    audio = noise(count * mel.hop, seed)
    frames = fw.mel(noise(len(audio), seed + 1, 0.2), mel)
    whole = fw.match_mel(audio, frames, mel, passes=passes)
    assert np.isfinite(whole).all() and np.abs(whole).max() <= 1
    monkeypatch.setattr(mel_matching, "BLOCK", int(rng.integers(1, count + 1)))
    in_blocks = fw.match_mel(audio, frames, mel, passes=passes)
    assert np.abs(in_blocks - whole).max() < 1e-3


@pytest.mark.parametrize("level", [-1e6, -100.0, 100.0, 1e6])
def test_frames_that_no_sound_has_leave_numbers_within_full_scale(level):
    made = fw.match_mel(noise(9 * MEL.hop), np.full((9, 80), level), MEL, passes=3)
    assert np.isfinite(made).all() and np.abs(made).max() <= 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"audio": noise(511)}, ValueError, "audio of 2 frames must have 512 samples, not 511"),
        ({"audio": noise(513)}, ValueError, "not 513"),
        ({"audio": np.zeros(512, np.int16)}, TypeError, "divide it by 32768"),
        ({"audio": np.full(512, np.nan)}, ValueError, "at index 0"),
        ({"frames": np.zeros((2, 83))}, ValueError, r"shape \(frames, 80\), not \(2, 83\)"),
        ({"frames": np.zeros(160)}, ValueError, r"shape \(frames, 80\), not \(160,\)"),
        ({"frames": np.full((2, 80), np.nan)}, ValueError, "frames must be finite"),
        ({"mel": "hifigan"}, ValueError, "hifigan-16k"),
        ({"passes": -1}, ValueError, "passes must be a whole number from 0"),
        ({"passes": 1.5}, TypeError, "passes must be a whole number"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    given = {"audio": noise(512), "frames": np.zeros((2, 80)), "mel": MEL, "passes": 2} | changes
    with pytest.raises(error, match=message):
        fw.match_mel(given["audio"], given["frames"], given["mel"], passes=given["passes"])
