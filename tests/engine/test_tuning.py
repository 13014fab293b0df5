"""`tune` finds the sampling of networks whose best one is known; plain sampling wins ties."""

import dataclasses

import numpy as np
import pytest
from markov import LEVELS, RATE, WITH_FRAMES, bursts, chain, chain_spec, sound, walk
from networks import random_weights, small_spec

import fastwavenet as fw
from fastwavenet.ends import FrameConditioning, Pitch, Sampling
from fastwavenet.held_out import LEAST_SECONDS, pieces_of, recording_of
from fastwavenet.sound_measures import silent_share
from fastwavenet.tuning import default_seconds
from fastwavenet.tuning_search import PLAIN

SPEC = chain_spec()
REAL = sound(bursts(), 40)


def tuned(logits, real=REAL, seconds=12, **how):
    return fw.tune(chain(SPEC, logits), real, seconds=seconds, **how)


@pytest.mark.parametrize("temperature", [0.7])
def test_logits_that_are_too_flat_get_the_temperature_that_undoes_it(temperature):
    found = tuned(temperature * np.log(bursts()))
    assert found.sampling.temperature == pytest.approx(temperature, abs=0.06)
    assert found.best.likeness.score < 0.9 * found.plain.likeness.score
    assert found.fresh[1] < found.fresh[0]
    share = silent_share(REAL, RATE)
    assert abs(found.best.likeness.silent - share) < abs(found.plain.likeness.silent - share)


def test_logits_that_are_too_steep_get_a_higher_temperature():
    assert tuned(1.15 * np.log(bursts())).sampling.temperature > 1


def test_a_floor_of_noise_is_cut_off():
    clean = walk()
    noisy = 0.98 * clean + 0.02 / LEVELS
    found = tuned(np.log(noisy), sound(clean, 40))
    assert 0.004 < found.sampling.min_p < 0.1  # the floor's, and that of the rarest true code
    assert abs(found.sampling.temperature - 1) < 0.06
    assert found.best.likeness.score < found.plain.likeness.score / 2


def test_a_network_that_is_right_keeps_plain_sampling():
    for transitions in (bursts(), walk()):
        found = tuned(np.log(transitions + 1e-9), sound(transitions, 40))
        assert found.sampling == PLAIN


def test_the_result_depends_on_neither_threads_nor_instruction_set():
    logits = 0.8 * np.log(bursts())
    one = tuned(logits, seconds=4)
    assert one == tuned(logits, seconds=4, threads=3) == tuned(logits, seconds=4)
    assert one == tuned(logits, seconds=4, isa="scalar")


def test_audio_and_its_codes_are_the_same_recording():
    logits = 0.8 * np.log(bursts())
    codes = fw.mu_law_encode(REAL, LEVELS)
    assert tuned(logits, codes, seconds=4) == tuned(logits, seconds=4)
    assert tuned(logits, [codes], seconds=4) == tuned(logits, [REAL], seconds=4)


def test_progress_counts_samples_up_to_the_end_and_may_stop_it():
    calls = []
    tuned(np.log(bursts()), seconds=4, progress=lambda done, total: calls.append((done, total)))
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert all(done <= total for done, total in calls) and calls[-1][0] == calls[-1][1]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(np.log(bursts()), seconds=4, progress=stop)


# ---- frames and speakers -----------------------------------------------------------------------


def test_a_network_with_frames_is_judged_beside_its_own_recordings():
    spec = chain_spec(conditioning=WITH_FRAMES)
    frames = np.zeros((len(REAL) // 160, 2), np.float32)
    model = chain(spec, 0.7 * np.log(bursts()))
    found = fw.tune(model, REAL, frames=frames, seconds=8)
    assert found.plain.likeness.log_mel > 0
    assert found.sampling.temperature < 1
    assert found == fw.tune(model, [REAL], frames=[frames], seconds=8, threads=2)


def test_a_vocoder_of_mel_and_pitch_tries_a_temperature_of_voiced_frames():
    convention = fw.mel_presets()["hifigan-16k"]
    end = FrameConditioning(convention.mels + 3, convention.hop, features=convention, pitch=Pitch())
    spec = small_spec(sample_rate=16000, conditioning=end, levels=LEVELS)
    audio = np.repeat(sound(bursts(), 4), 4)
    found = fw.tune(fw.Model(spec, random_weights(spec, 1)), audio, seconds=4)
    rules = [each.sampling.voiced for each in found.candidates if each.sampling.voiced]
    assert rules and all(rule.channel == end.voicing == 81 for rule in rules)


def test_each_recording_has_its_speaker():
    end = FrameConditioning(speakers=("ann", "bob"), speaker_channels=2)
    spec = chain_spec(conditioning=end)
    model = chain(spec, np.log(bursts()))
    parts = [REAL[:50000], REAL[50000:150000]]
    found = fw.tune(model, parts, speaker=["ann", 1], seconds=4)
    assert found == fw.tune(model, parts, speaker=[0, "bob"], seconds=4)
    with pytest.raises(ValueError, match="needs a speaker, one of ann, bob"):
        fw.tune(model, parts)
    with pytest.raises(ValueError, match="speaker must be one for each of 2 recordings: 3"):
        fw.tune(model, parts, speaker=[0, 1, 1])


# ---- amounts -----------------------------------------------------------------------------------


def test_pieces_are_evenly_spaced_and_all_recordings_have_some():
    spec = chain_spec()
    audio = [np.arange(n, dtype=np.float32) / 2e5 for n in (30000, 60000, 90000)]
    given = [recording_of(spec, each, None, None, None, fw.isa()) for each in audio]
    found = pieces_of(spec, given, 12)
    assert found.audio.shape == (12, RATE) and found.before.shape == (12, spec.receptive_field)
    halves = [sorted(found.audio[rows].max(axis=1)) for rows in (slice(6), slice(6, 12))]
    assert all(a <= b for a, b in zip(*halves, strict=True))  # each half spans all recordings


@pytest.mark.parametrize("missing", [0, 1])
def test_the_amount_of_audio_that_is_needed_is_stated(missing):
    model = chain(SPEC, np.log(bursts()))
    audio = REAL[: round(LEAST_SECONDS * RATE) - missing]
    if not missing:
        fw.tune(model, audio, seconds=4)
        return
    with pytest.raises(
        ValueError, match=r"at least 2 s of audio in recordings of at least 1\.00 s .* 1 of 1 rec"
    ):
        fw.tune(model, audio, seconds=4)


@pytest.mark.parametrize("recordings", [[], [[]], np.zeros(0, np.float32), [REAL[:4000]] * 100])
def test_too_short_recordings_are_refused(recordings):
    with pytest.raises(ValueError, match="expected at least 2 s of audio"):
        fw.tune(chain(SPEC, np.log(bursts())), recordings)


def test_silent_recordings_are_refused():
    with pytest.raises(ValueError, match="100% of the audio is silent"):
        fw.tune(chain(SPEC, np.log(bursts())), np.zeros(10 * RATE, np.float32))


def test_wrong_arguments_are_refused():
    model = chain(SPEC, np.log(bursts()))
    for error, how, message in (
        (ValueError, {"seconds": 3.9}, "seconds must be from 4"),
        (TypeError, {"seconds": "x"}, "seconds must be a number"),
        (ValueError, {"threads": 0}, "threads must be a whole number from 1"),
        (ValueError, {"sample_rate": 16000}, "sample_rate is 16000 Hz, expected the model's 8000"),
        (ValueError, {"frames": np.zeros((9, 2))}, "takes no frames"),
        (ValueError, {"speaker": "ann"}, "has no speakers"),
    ):
        with pytest.raises(error, match=message):
            fw.tune(model, REAL, **how)
    with pytest.raises(TypeError, match="model must be a Model, not a path"):
        fw.tune("voice.safetensors", REAL)
    framed = chain(chain_spec(conditioning=WITH_FRAMES), np.log(bursts()))
    with pytest.raises(ValueError, match="the model needs frames"):
        fw.tune(framed, REAL)


def test_a_larger_model_makes_less_sound_for_a_candidate():
    assert default_seconds(small_spec()) == 48
    wide = small_spec(residual=512, dilation_channels=512, skip=512, head=512)
    assert default_seconds(wide) == 16


# ---- the file ----------------------------------------------------------------------------------


def test_the_best_sampling_in_a_file_is_the_default_and_an_argument_wins(tmp_path):
    path = tmp_path / "m.safetensors"
    model = chain(SPEC, np.log(bursts()))
    fw.modelfile.save(path, SPEC, model.weights)
    fw.record_precision_cost(path, {"int8": 0.5})
    own = Sampling(temperature=0.8, min_p=0.01)
    fw.record_sampling(path, own)
    changed = fw.load(path, "float32")
    assert changed.spec == dataclasses.replace(SPEC, sampling=own)
    assert changed.precision_cost == {"int8": 0.5}
    numbers = {"temperature": 0.8, "min_p": 0.01}
    expected = fw.generate(model, n_samples=2000, seed=1, **numbers)
    assert np.array_equal(fw.generate(changed, n_samples=2000, seed=1), expected)
    plain = fw.generate(changed, n_samples=2000, seed=1, temperature=1, min_p=0)
    assert np.array_equal(plain, fw.generate(model, n_samples=2000, seed=1))


def test_a_sampling_that_does_not_suit_the_file_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    fw.modelfile.save(path, SPEC, chain(SPEC, np.log(bursts())).weights)
    before = path.read_bytes()
    with pytest.raises(TypeError, match="sampling must be a Sampling, not float"):
        fw.record_sampling(path, 0.8)
    with pytest.raises(ValueError, match="top_k must be a whole number from 1 to 16, not 17"):
        fw.record_sampling(path, Sampling(top_k=17))
    assert path.read_bytes() == before
