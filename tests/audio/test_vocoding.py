"""`vocode`: one sound or a list, frames or audio, and the bits that each has alone."""

import dataclasses

import numpy as np
import pytest
from networks import random_frames, random_weights, small_spec

import fastwavenet as fw
from fastwavenet.ends import FrameConditioning, Pitch
from fastwavenet.recording_frames import recording_conditioning, recording_frames
from fastwavenet.vocoding import frames_of_sound

MEL = fw.Mel(sample_rate=8000, n_fft=64, hop=16, window=64, mels=5, fmin=0, fmax=4000, floor=1e-5)
LENGTHS = [3, 0, 1, 130, 7, 65, 2, 64]  # frames


def model_of(precision="float32", **changes) -> fw.Model:
    end = {"channels": 5, "hop": 16, "interpolation": "linear", "features": MEL} | changes
    spec = small_spec(conditioning=FrameConditioning(**end), sample_rate=8000)
    return fw.Model(spec, random_weights(spec, 3), precision)


def frames_of(model: fw.Model, seed: int = 0, lengths=LENGTHS) -> list[np.ndarray]:
    return [random_frames(model.spec, 16 * n, seed + n)[:n] for n in lengths]


@pytest.mark.parametrize("interpolation", ["held", "linear"])
@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_each_sound_of_a_list_has_the_bits_that_generate_makes_of_it_alone(
    interpolation, batch, precision
):
    model = model_of(precision, interpolation=interpolation)
    frames = frames_of(model)
    audio = fw.vocode(model, frames, seed=7, match=0, batch=batch)
    assert [len(each) for each in audio] == [16 * n for n in LENGTHS]
    for each, given in zip(audio, frames, strict=True):
        if len(given):
            alone = fw.generate(model, frames=given, seed=7)
            again = fw.vocode(model, given, seed=7, match=0)
            assert each.tobytes() == alone.tobytes() == again.tobytes()


@pytest.mark.parametrize("match", [None, 1, 3])
def test_each_sound_is_matched_with_its_frames_as_alone(match):
    model = model_of()
    frames = frames_of(model)
    raw, audio = (fw.vocode(model, frames, seed=7, match=n, batch=3) for n in (0, match))
    passes = {} if match is None else {"passes": match}
    for each, sound, given in zip(audio, raw, frames, strict=True):
        assert each.tobytes() == fw.match_mel(sound, given, MEL, **passes).tobytes()
        assert not len(given) or not np.array_equal(each, sound)


def test_sound_of_other_frames_than_mel_is_not_matched():
    model = model_of(features=None)
    frames = frames_of(model)[3]
    raw = fw.generate(model, frames=frames, seed=7)
    assert np.array_equal(fw.vocode(model, frames, seed=7), raw)
    with pytest.raises(ValueError, match="match is 1, expected 0: the model states no mel"):
        fw.vocode(model, frames, match=1)


@pytest.mark.parametrize("match", [-1, 1001, 1.5, True])
def test_passes_of_mel_matching_are_a_number(match):
    with pytest.raises((ValueError, TypeError), match="match must be"):
        fw.vocode(model_of(), frames_of(model_of())[0], match=match)


def test_each_sound_has_its_speaker():
    model = model_of(speakers=("ann", "bob"), speaker_channels=3)
    frames = frames_of(model)
    speakers = ["ann", 1, "bob", 0, "bob", "ann", 1, 0]
    audio = fw.vocode(model, frames, seed=7, match=0, batch=3, speaker=speakers)
    for each, given, speaker in zip(audio, frames, speakers, strict=True):
        if len(given):
            alone = fw.generate(model, frames=given, seed=7, speaker=speaker)
            assert each.tobytes() == alone.tobytes()
    assert fw.vocode(model, frames[0], seed=7, speaker="bob").shape == (48,)
    with pytest.raises(ValueError, match="one for each of 8 rows: 1"):
        fw.vocode(model, frames, speaker=["ann"])


def test_audio_is_vocoded_by_way_of_its_mel_frames():
    model = model_of()
    audio = np.random.default_rng(1).uniform(-0.5, 0.5, 16 * 9 + 15).astype(np.float32)
    made = fw.vocode(model, audio, seed=7, sample_rate=8000)
    assert made.tobytes() == fw.vocode(model, fw.mel(audio, MEL), seed=7).tobytes()
    assert len(made) == 16 * 9
    with pytest.raises(ValueError, match="16000"):
        fw.vocode(model, audio, sample_rate=16000)
    with pytest.raises(ValueError, match="no mel frames of audio: give frames"):
        fw.vocode(model_of(features=None), audio)


PITCH = Pitch(fmin=100, fmax=400)


def test_audio_is_vocoded_by_way_of_its_pitch_too_if_the_model_has_it():
    model = model_of(channels=8, pitch=PITCH)
    audio = np.sin(2 * np.pi * 200 / 8000 * np.arange(16 * 40 + 3)).astype(np.float32)
    frames = np.concatenate(
        [fw.mel(audio, MEL), fw.pitch(audio, 8000, 16, fmin=100, fmax=400)], axis=1
    )
    np.testing.assert_array_equal(recording_frames(model.spec.conditioning, audio), frames)
    assert frames[20, model.spec.conditioning.voicing] == 1
    made = fw.vocode(model, audio, seed=7, sample_rate=8000)
    assert made.tobytes() == fw.vocode(model, frames, seed=7).tobytes()


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 40])
def test_mel_frames_get_the_pitch_that_the_models_network_predicts(frames):
    model = model_of(channels=8, pitch=Pitch(fmin=100, fmax=400, hidden=6))
    levels = np.random.default_rng(2).normal(-5, 2, (frames, 5)).astype(np.float32)
    whole = frames_of_sound(model, levels)
    assert whole.shape == (frames, 8) and whole.dtype == np.float32
    np.testing.assert_array_equal(whole[:, :5], levels)
    assert (np.log(100) <= whole[:, 5]).all() and (whole[:, 5] <= np.float32(np.log(400))).all()
    assert (whole[:, 6:] >= 0).all() and (whole[:, 6:] <= 1).all()
    made = fw.vocode(model, [levels, whole], seed=7)
    assert made[0].tobytes() == made[1].tobytes() == fw.vocode(model, levels, seed=7).tobytes()
    if frames:
        with pytest.raises(ValueError, match=r"shape \(frames, 8\)"):
            fw.vocode(model_of(channels=8, pitch=PITCH), levels)
        with pytest.raises(ValueError, match=r"shape \(frames, 8\)"):
            fw.generate(model, frames=levels)


@pytest.mark.parametrize("name", fw.mel_presets())
def test_a_name_with_pitch_has_three_channels_more(name):
    plain, pitched = recording_conditioning(name), recording_conditioning(name + "+pitch")
    assert pitched == dataclasses.replace(
        plain, channels=plain.channels + 3, pitch=Pitch(fmin=60, fmax=500, hidden=64)
    )
    assert (plain.voicing, pitched.voicing) == (None, plain.channels + 1)
    assert (plain.described, pitched.described) == (name, name + "+pitch")


@pytest.mark.parametrize("name", ["+pitch", "hifigan-16k+", "hifigan-16k+pitch+pitch", "pitch"])
def test_another_name_is_refused(name):
    with pytest.raises(ValueError, match=r"^unknown mel preset .*with \+pitch behind it or not"):
        recording_conditioning(name)
    with pytest.raises(TypeError, match="mel must be a name, not 3"):
        recording_conditioning(3)


def test_options_are_those_of_generate():
    model = model_of()
    (frames,) = frames_of(model, lengths=[20])
    options = {"seed": 3, "stream": 9, "temperature": 0.8, "top_k": 4, "min_p": 0.1}
    alone = fw.generate(model, frames=frames, **options)
    for threads in (1, 2):
        for isa in fw.available_isas():
            audio = fw.vocode(model, frames, isa=isa, threads=threads, match=0, **options)
            assert audio.tobytes() == alone.tobytes()


def test_progress_counts_the_samples_of_all_sounds():
    seen, model = [], model_of()
    fw.vocode(model, frames_of(model), batch=3, progress=lambda *counts: seen.append(counts))
    total = 16 * sum(LENGTHS)
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_a_list_of_nothing_is_nothing():
    assert fw.vocode(model_of(), []) == []
    (silent,) = fw.vocode(model_of(), [np.zeros((0, 5), np.float32)])
    assert silent.shape == (0,) and silent.dtype == np.float32


WRONG = [
    (np.zeros((5, 7), np.float32), {}, r"shape \(frames, 5\).* not \(5, 7\): transposed"),
    (np.full((3, 5), np.nan), {}, "frames must be finite"),
    (np.zeros((3, 5)), {"batch": 0}, "batch"),
    (np.zeros((3, 5)), {"seed": -1}, "seed"),
    (np.zeros((3, 5)), {"speaker": 0}, "the model has no speakers"),
    ([np.zeros((3, 5)), np.zeros((3, 4))], {}, r"not \(3, 4\)"),
]


@pytest.mark.parametrize(("sounds", "options", "message"), WRONG, ids=[m for *_, m in WRONG])
def test_a_wrong_argument_is_refused(sounds, options, message):
    with pytest.raises(ValueError, match=message):
        fw.vocode(model_of(), sounds, **options)


def test_a_model_without_frames_vocodes_nothing():
    spec = small_spec()
    with pytest.raises(ValueError, match="the model takes no frames"):
        fw.vocode(fw.Model(spec, random_weights(spec, 3)), np.zeros((3, 5)))
