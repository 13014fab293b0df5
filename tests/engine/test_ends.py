"""The ends of a network in the engine: start, sampling, codec."""

import dataclasses

import numpy as np
import pytest
from engines import run
from networks import random_codes, random_frames, random_weights, small_spec

import fastwavenet as fw
from fastwavenet import modelfile, reference
from fastwavenet.ends import FrameConditioning, MuLawCodec, Sampling, Start, UpsamplingStage

SPEC = small_spec(levels=32)


def model(precision="float32", **changes) -> fw.Model:
    """All with the same weights."""
    return fw.Model(small_spec(levels=32, **changes), random_weights(SPEC, 3), precision)


# ---- start -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 3, 17, 64, 65, 200])
def test_a_start_code_that_is_fed_comes_before_the_first_sample(n, precision):
    fed, replaced = model(precision, start=Start(7, fed=True)), model(precision, start=Start(7))
    codes = random_codes(SPEC, n, 5)
    after = np.append(7, codes)
    assert fw.score(fed, codes).tobytes() == fw.score(replaced, after).tobytes()
    assert fw.outputs(fed, codes).tobytes() == fw.outputs(replaced, after).tobytes()
    gens = [fw.Generator(m, seed=1, batch=2) for m in (fed, replaced)]
    for gen, known in zip(gens, (codes, after), strict=True):
        gen.prime(known)
    assert gens[0].position == gens[1].position == n
    assert gens[0].generate(50).tobytes() == gens[1].generate(50).tobytes()


def test_a_fed_start_code_is_fed_once():
    gen, twin = (fw.Generator(model(start=Start(7, fed=True)), seed=1) for _ in range(2))
    codes = random_codes(SPEC, 30, 5)
    gen.prime(codes)
    for code in codes:
        twin.prime([code])
    assert gen.get_state() == twin.get_state()


def test_conditioning_has_a_frame_for_each_step_of_a_fed_start():
    spec = small_spec(
        levels=32, start=Start(7, fed=True), conditioning=FrameConditioning(channels=3)
    )
    fed, codes = fw.Model(spec, random_weights(spec, 3)), random_codes(spec, 9, 5)
    frames = random_frames(spec, 10, 1)
    assert fw.score(fed, codes, frames=frames[:9]).shape == (9,)
    assert fw.outputs(fed, codes, frames=frames).shape == (10, 32)
    with pytest.raises(ValueError, match="9 samples with hop 1 need at least 9 frames"):
        fw.score(fed, codes, frames=frames[:8])
    fw.Generator(fed, seed=1).prime(codes, frames=frames[:9])
    with pytest.raises(ValueError, match="9 samples with hop 1 need at least 9 frames"):
        fw.Generator(fed, seed=1).prime(codes, frames=frames[:8])


@pytest.mark.parametrize("times", [1, 2, 3, 17, 70])
def test_a_start_code_is_fed_as_often_as_the_model_has_it(times, precision):
    """As if so many codes had been primed; they are no samples that are scored."""
    once = model(precision, start=Start(7, fed=True))
    often = model(precision, start=Start(7, fed=True, times=times))
    codes, known = random_codes(SPEC, 100, 5), np.full(times - 1, 7)
    after, n = np.concatenate([known, codes]), len(known)
    assert fw.outputs(often, codes).tobytes() == fw.outputs(once, after)[n:].tobytes()
    nats = fw.score(once, after)[n:].tobytes()
    assert fw.score(often, codes).tobytes() == nats
    assert fw.score(often, codes, threads=3).tobytes() == nats
    gens = [fw.Generator(m, seed=1, batch=2) for m in (often, once)]
    for known in (codes[:50], codes[50:]):
        gens[0].prime(known)
    gens[1].prime(after)
    assert gens[0].get_state() == gens[1].get_state()
    assert gens[0].generate(50).tobytes() == gens[1].generate(50).tobytes()


def test_codes_of_a_start_have_the_features_of_the_first_sample(isa):
    """Of one sample, not of a frame; sounds of a list begin as each does alone."""
    end = FrameConditioning(2, 4, upsampling=(UpsamplingStage(3, 4, 4),))
    spec = small_spec(levels=32, conditioning=end, start=Start(7, fed=True, times=30))
    voice, sounds = fw.Model(spec, random_weights(spec, 3)), []
    plain = dataclasses.replace(spec, conditioning=FrameConditioning(3, 1), start=Start(7))
    weights = {name: voice.weights[name] for name in plain.tensors()}
    for n in (9, 1, 20):
        frames = random_frames(spec, 4 * n, n)
        features = reference.upsample_float32(spec, voice.weights, frames)[: 4 * n]
        rows = np.concatenate([np.repeat(features[:1], 29, axis=0), features])
        codes = random_codes(spec, 4 * n, n)
        given = np.concatenate([np.full(30, 7), codes])
        rows = np.concatenate([rows[:1], rows])  # of sample 0, which is not predicted
        expected = fw.outputs(fw.Model(plain, weights), given, frames=rows)[29:-1]
        found = fw.outputs(voice, codes, frames=frames, isa=isa)[:-1]  # of samples with a frame
        assert found.tobytes() == expected.tobytes()
        sounds.append(frames)
    for batch in (1, 2):
        made = fw.vocode(voice, sounds, seed=3, batch=batch, isa=isa)
        for audio, frames in zip(made, sounds, strict=True):
            assert audio.tobytes() == fw.generate(voice, frames=frames, seed=3).tobytes()


@pytest.mark.parametrize("upsampling", [(), (UpsamplingStage(3, 2, 2, padding="none"),)])
@pytest.mark.parametrize("at", [0, 1, 4, 5, 7, 8])
def test_codes_of_a_start_have_the_interpolated_features_of_the_first_sample(at, upsampling, isa):
    end = FrameConditioning(3, 8, "linear", upsampling=upsampling)
    spec = small_spec(levels=32, conditioning=end, start=Start(7, fed=True, times=30))
    often = fw.Model(spec, random_weights(spec, 3))
    once = fw.Model(dataclasses.replace(spec, start=Start(7, fed=True)), often.weights)
    frames = random_frames(spec, 24, 1)
    expected = fw.Generator(once, seed=1)
    for _ in range(29):
        run(expected, 1, forced=7, frames=frames, at=at)
    made = fw.Generator(often, seed=1, isa=isa).generate(10, frames=frames, at=at)
    assert made.tobytes() == run(expected, 10, frames=frames, at=at).audio.tobytes()


# ---- sampling ----------------------------------------------------------------------------------

OWN = Sampling(temperature=0.7, top_k=5, min_p=0.1)


def test_a_models_own_sampling_is_the_default_and_an_argument_wins(tmp_path):
    modelfile.save(tmp_path / "m", small_spec(levels=32, sampling=OWN), random_weights(SPEC, 3))
    own, plain = fw.load(tmp_path / "m"), model()

    def sound(m, **arguments):
        return fw.generate(m, n_samples=300, seed=1, **arguments).tobytes()

    own_arguments = {name: getattr(OWN, name) for name in ("temperature", "top_k", "min_p")}
    assert sound(own) == sound(plain, **own_arguments) != sound(plain)
    for name, value in {"temperature": 1.5, "top_k": 32, "min_p": 0}.items():
        assert sound(own, **{name: value}) == sound(plain, **own_arguments | {name: value})
    assert sound(own, temperature=1, top_k=32, min_p=0) == sound(plain)
    gen = fw.Generator(own, seed=1, temperature=1, top_k=32, min_p=0)
    gen.temperature = gen.top_k = gen.min_p = None
    assert (gen.temperature, gen.top_k, gen.min_p) == (0.7, 5, 0.1)
    assert gen.generate(300).tobytes() == sound(own)


@pytest.mark.parametrize("min_p", [0.0, 1e-6, 0.02, 0.3, 0.999, 1.0])
@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.5, None), (2.0, 4)])
def test_draws_with_min_p_are_the_references(min_p, temperature, top_k, isa, precision):
    own = model(precision)
    arguments = {"temperature": temperature, "top_k": top_k, "min_p": min_p}
    gen = fw.Generator(own, seed=9, stream=4, isa=isa, **arguments)
    steps = run(gen, 200)
    for step in range(200):
        u = reference.uniform(9, step, 4)
        assert steps.codes[0, step] == reference.draw(steps.logits[0, step], u, **arguments)


def test_min_p_of_0_changes_no_bit_and_of_1_leaves_the_most_probable(isa):
    gens = [fw.Generator(model(), seed=1, isa=isa, min_p=min_p) for min_p in (None, 0, 1)]
    plain, zero, one = (gen.generate(300).tobytes() for gen in gens)
    assert plain == zero
    assert one == fw.generate(model(), n_samples=300, seed=2, temperature=0).tobytes()


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
def test_min_p_is_a_fraction(value):
    with pytest.raises(ValueError, match="min_p must be from 0 to 1, not"):
        fw.Generator(model(), min_p=value)
    with pytest.raises(TypeError, match="min_p must be a number, not '0.1'"):
        fw.generate(model(), 1, min_p="0.1")


# ---- codec -------------------------------------------------------------------------------------

FOREIGN = MuLawCodec(mu=32, steps=32, decode_divisor=32, encode_offset=0)
EMPHATIC = MuLawCodec(mu=31, steps=31, decode_divisor=31, pre_emphasis=0.85)


def test_a_model_speaks_and_reads_by_its_own_codec(precision):
    foreign, plain = model(precision, codec=FOREIGN), model(precision)
    steps = run(fw.Generator(foreign, seed=1), 300)
    assert np.array_equal(steps.codes, run(fw.Generator(plain, seed=1), 300).codes)
    assert np.array_equal(steps.audio, fw.mu_law_decode(steps.codes, 32, codec=FOREIGN))
    audio = np.random.default_rng(1).uniform(-1, 1, 100)
    codes = fw.mu_law_encode(audio, 32, codec=FOREIGN)
    assert not np.array_equal(codes, fw.mu_law_encode(audio, 32))
    assert fw.score(foreign, audio).tobytes() == fw.score(plain, codes).tobytes()


def test_pre_emphasis_is_undone_sample_by_sample(isa):
    gen = fw.Generator(model(codec=EMPHATIC), seed=1, batch=3, isa=isa)
    plain = MuLawCodec.symmetric(32)
    steps = run(gen, 300)
    last = np.zeros(3, np.float32)
    for t, y in enumerate(fw.mu_law_decode(steps.codes, 32, codec=plain).T):
        last = y + np.float32(0.85) * last
        assert np.array_equal(steps.audio[:, t], last)


@pytest.mark.parametrize("times", [1, 2, 5])
def test_codes_of_a_start_are_no_samples_from_which_pre_emphasis_continues(times, isa):
    often = model(codec=EMPHATIC, start=Start(7, fed=True, times=times))
    audio = run(fw.Generator(often, seed=1, isa=isa), 20).audio[0]
    codes = run(fw.Generator(often, seed=1, isa=isa), 20).codes[0]
    last = np.float32(0)
    for t, y in enumerate(fw.mu_law_decode(codes, 32, codec=MuLawCodec.symmetric(32))):
        last = y + np.float32(0.85) * last
        assert audio[t] == last


def test_after_audio_pre_emphasis_continues_from_its_last_sample():
    audio = np.random.default_rng(1).uniform(-0.3, 0.3, (2, 40)).astype(np.float32)
    gen = fw.Generator(model(codec=EMPHATIC), seed=1, batch=2)
    gen.prime(audio)
    by_codes = fw.Generator(model(codec=EMPHATIC), seed=1, batch=2)
    by_codes.prime(fw.mu_law_encode(audio, 32, codec=EMPHATIC))
    restored = fw.Generator(model(codec=EMPHATIC), batch=2)
    restored.set_state(gen.get_state())
    first, decoded = gen.generate(1), by_codes.generate(1)
    codes = fw.mu_law_encode(audio, 32, codec=EMPHATIC)
    lost = audio[:, -1] - fw.mu_law_decode(codes, 32, codec=EMPHATIC)[:, -1]
    difference = np.float32(0.85) * lost
    assert (first - decoded)[:, 0] == pytest.approx(difference, abs=1e-6)
    assert restored.generate(1).tobytes() == first.tobytes()


@pytest.mark.parametrize("cut", [0, 1, 2, 39, 40])
def test_audio_in_two_parts_is_the_whole_with_pre_emphasis(cut):
    audio = np.random.default_rng(1).uniform(-0.3, 0.3, 40)
    whole, parts = (fw.Generator(model(codec=EMPHATIC), seed=1) for _ in range(2))
    whole.prime(audio)
    parts.prime(audio[:cut])
    parts.prime(audio[cut:])
    assert parts.get_state() == whole.get_state()
