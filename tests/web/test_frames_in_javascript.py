"""Mel frames and pitch of a recording in JavaScript are Python's, up to rounding."""

import dataclasses

import numpy as np
import pytest

import fastwavenet as fw
from fastwavenet.mel_conventions import as_mel, mel_presets
from fastwavenet.mel_matching import match_mel

PRESETS = mel_presets()


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """The bundled recording at 16 kHz."""
    from importlib import resources

    with resources.as_file(resources.files("fastwavenet") / "data/arctic_a0009.flac") as path:
        return fw.read_audio(path, 16000)[0]


def mel_of(node, store, tmp_path, audio, mel) -> np.ndarray:
    out = tmp_path / "mel.f32"
    node.call("mel", audio=store(audio, "audio.f32"), convention=mel.to_dict(), out=out)
    return np.fromfile(out, np.float32).reshape(-1, mel.mels)


def test_mel_frames_of_a_recording_are_pythons_within_1e_4(node, store, tmp_path, clip):
    mel = as_mel("hifigan-16k")
    found = mel_of(node, store, tmp_path, clip, mel)
    np.testing.assert_allclose(found, fw.mel(clip, mel), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_mel_frames_of_every_convention_are_pythons(node, store, tmp_path, clip, name):
    mel, audio = PRESETS[name], clip[8000:16000]
    found = mel_of(node, store, tmp_path, audio, mel)
    np.testing.assert_allclose(found, fw.mel(audio, mel), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 600])
def test_short_recordings_have_pythons_mel_frames(node, store, tmp_path, clip, n):
    mel = as_mel("hifigan-16k")
    found = mel_of(node, store, tmp_path, clip[4000 : 4000 + n], mel)
    np.testing.assert_allclose(found, fw.mel(clip[4000 : 4000 + n], mel), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("rate", "hop"), [(16000, 256), (22050, 256), (48000, 480), (8000, 80)])
def test_pitch_is_pythons_within_1e_4(node, store, tmp_path, clip, rate, hop):
    out = tmp_path / "pitch.f32"  # the same samples at another rate are another voice
    node.call("pitch", audio=store(clip, "audio.f32"), rate=rate, hop=hop, out=out)
    found = np.fromfile(out, np.float32).reshape(-1, 3)
    np.testing.assert_allclose(found, fw.pitch(clip, rate, hop), rtol=0, atol=1e-4)


@pytest.mark.parametrize("n", [0, 255, 256, 700, 801, 4000])
def test_short_recordings_have_pythons_pitch(node, store, tmp_path, clip, n):
    out = tmp_path / "pitch.f32"
    audio = clip[6000 : 6000 + n]
    node.call("pitch", audio=store(audio, "audio.f32"), rate=16000, hop=256, out=out)
    found = np.fromfile(out, np.float32).reshape(-1, 3)
    np.testing.assert_allclose(found, fw.pitch(audio, 16000, 256), rtol=0, atol=1e-4)


def test_a_power_mel_in_decibels_with_limits_is_pythons(node, store, tmp_path, clip):
    mel = dataclasses.replace(
        as_mel("hifigan-16k"), power=2, log="log10", log_factor=10.0, clip=(-40.0, 20.0),
        power_floor=1e-6, mel_scale="htk", filter_norm="none",
    )  # fmt: skip
    found = mel_of(node, store, tmp_path, clip[:8000], mel)
    np.testing.assert_allclose(found, fw.mel(clip[:8000], mel), rtol=0, atol=1e-3)


def normalised(mel: fw.Mel) -> fw.Mel:
    """With a mean and a deviation of each channel, of the size that speech has."""
    mean, deviation = np.linspace(-7, -4, mel.mels), np.linspace(1, 2.5, mel.mels)
    return dataclasses.replace(mel, mean=mean, deviation=deviation)


def test_mel_frames_normalised_for_each_channel_are_pythons(node, store, tmp_path, clip):
    mel, out = normalised(as_mel("hifigan-16k")), tmp_path / "matched.f32"
    audio = clip[: 30 * 256]
    levels = fw.mel(audio, mel)
    found = mel_of(node, store, tmp_path, audio, mel)
    np.testing.assert_allclose(found, levels, rtol=0, atol=1e-4)
    node.call(
        "match", audio=store(audio / 2, "audio.f32"), levels=store(levels, "levels.f32"),
        convention=mel.to_dict(), passes=3, out=out,
    )  # fmt: skip
    expected = match_mel(audio / 2, levels, mel, passes=3)
    np.testing.assert_allclose(np.fromfile(out, np.float32), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("frames", [0, 1, 2, 5, 60])
@pytest.mark.parametrize("passes", [0, 1, 8])
def test_sound_is_matched_to_mel_frames_as_in_python(node, store, tmp_path, clip, frames, passes):
    mel, out = as_mel("hifigan-16k"), tmp_path / "matched.f32"
    audio = clip[8000 : 8000 + 256 * frames]
    levels = fw.mel(audio, mel)
    noise = np.random.default_rng(1).standard_normal(len(audio))
    noisy = (0.3 * audio + 0.01 * noise).astype(np.float32)
    node.call(
        "match", audio=store(noisy, "audio.f32"), levels=store(levels, "levels.f32"),
        convention=mel.to_dict(), passes=passes, out=out,
    )  # fmt: skip
    expected = match_mel(noisy, levels, mel, passes=passes)
    np.testing.assert_allclose(np.fromfile(out, np.float32), expected, rtol=0, atol=1e-4)


def test_matched_sound_is_nearer_to_its_frames(node, store, tmp_path, clip):
    mel, out = as_mel("hifigan-16k"), tmp_path / "matched.f32"
    audio = clip[: len(clip) // 256 * 256]
    levels = fw.mel(audio, mel)
    noise = 0.02 * np.random.default_rng(1).standard_normal(len(audio))
    node.call(
        "match", audio=store(noise, "audio.f32"), levels=store(levels, "levels.f32"),
        convention=mel.to_dict(), passes=32, out=out,
    )  # fmt: skip
    found = fw.mel(np.fromfile(out, np.float32), mel)
    assert np.abs(found - levels).mean() < 0.25 * np.abs(fw.mel(noise, mel) - levels).mean()
