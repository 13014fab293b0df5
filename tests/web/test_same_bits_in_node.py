"""The WebAssembly engine behind the package makes the samples of the native one."""

import random

import numpy as np
import pytest
from engines import weights_of
from networks import NETWORKS, small_spec

import fastwavenet as fw
from fastwavenet.bundled_voices import model_path
from fastwavenet.ends import (
    FrameConditioning,
    MuLawCodec,
    QuietSampling,
    Sampling,
    Start,
    UpsamplingStage,
    VoicedSampling,
)
from fastwavenet.modelfile import save

SAMPLES = 700
LINEAR = FrameConditioning(channels=3, hop=40, interpolation="linear")
RULES = Sampling(
    0.9, 12, 0.01, voiced=VoicedSampling(1, 0.5, 0.05), quiet=QuietSampling(0, below=-1.0)
)
MORE = {
    "interpolated": small_spec(conditioning=LINEAR),
    "by_rules": small_spec(conditioning=LINEAR, sampling=RULES),
    "speakers": small_spec(conditioning=FrameConditioning(0, 1, "held", ("ann", "bob"), 2)),
    "pre_emphasis": small_spec(codec=MuLawCodec(15, 15, 15, pre_emphasis=0.85)),
    "start_fed": small_spec(start=Start(3, fed=True)),
}
SPECS = NETWORKS | MORE


def drawn_settings(chance: random.Random, levels: int) -> dict:
    """Temperature, top_k and min_p, each its own or drawn."""
    return {
        "temperature": chance.choice([None, None, 0, 0.4, 1, 1.3]),
        "top_k": chance.choice([None, 1, 2, levels // 2, levels]),
        "min_p": chance.choice([None, 0, 0.02, 0.4]),
    }


def named(settings: dict) -> dict:
    """As the package names them."""
    return {
        "temperature": settings["temperature"],
        "topK": settings["top_k"],
        "minP": settings["min_p"],
    }


@pytest.mark.parametrize("name", SPECS)
def test_samples_are_those_of_the_native_engine(engine, tmp_path, store, precision, name):
    spec = SPECS[name]
    path = tmp_path / "m.safetensors"
    save(path, spec, weights_of(spec))
    model = fw.load(path, precision=precision)
    chance = random.Random(f"{name} {precision}")
    for _ in range(3):
        seed, settings = chance.randrange(2**64), drawn_settings(chance, spec.levels)
        end = spec.conditioning
        speaker = "bob" if end and end.speakers else None
        frames = None
        if end and end.channels:
            count = SAMPLES // end.hop
            numbers = np.random.default_rng(seed % 1000).standard_normal((count, end.channels))
            frames = numbers.astype(np.float32)
        n = len(frames) * end.hop if frames is not None else SAMPLES
        native = fw.Generator(model, seed=seed, speaker=speaker, **settings)
        expected = native.generate(n, **({} if frames is None else {"frames": frames}))
        out = tmp_path / "out.f32"
        engine.call(
            "generate", model=path, precision=precision, seed=str(seed), sampling=named(settings),
            samples=n, frames=store(frames, "frames.f32"), prime=None, speaker=speaker,
            chunk=chance.choice([1, 3, 64, 1000]), out=out,
        )  # fmt: skip
        assert np.fromfile(out, np.float32).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["kernel_2", "interpolated", "pre_emphasis", "start_fed"])
def test_a_sound_continues_a_recording_as_natively(engine, tmp_path, store, name):
    spec = SPECS[name]
    path = tmp_path / "m.safetensors"
    save(path, spec, weights_of(spec))
    audio = (0.4 * np.sin(np.arange(200) / 5)).astype(np.float32)
    frames = None
    if spec.conditioning:
        frames = np.random.default_rng(1).standard_normal((20, 3)).astype(np.float32)
    given = {} if frames is None else {"frames": frames}
    native = fw.Generator(fw.load(path), seed=5)
    native.prime(audio, **given)
    more = {} if frames is None else {"frames": frames, "at": len(audio)}
    expected = native.generate(600, **more)
    out = tmp_path / "out.f32"
    engine.call(
        "generate", model=path, precision="auto", seed="5", sampling={}, samples=600,
        frames=store(frames, "frames.f32"), prime=store(audio, "audio.f32"), speaker=None,
        chunk=64, out=out,
    )  # fmt: skip
    assert np.fromfile(out, np.float32).tobytes() == expected.tobytes()


def test_an_improvisation_of_the_recorder_is_the_native_one(engine, tmp_path, precision):
    path, frames, out = model_path("recorder-16k"), tmp_path / "roll.f32", tmp_path / "out.f32"
    engine.call("melody", model=path, seed="11", seconds=0.5, out=frames)
    model = fw.load("recorder-16k", precision=precision)
    roll = fw.melody(model, seconds=0.5, seed=11)
    expected = fw.generate(model, seed=11, frames=roll)
    engine.call(
        "generate", model=path, precision=precision, seed="11", sampling={},
        samples=len(expected), frames=frames, prime=None, speaker=None, chunk=3, out=out,
    )  # fmt: skip
    assert np.fromfile(out, np.float32).tobytes() == expected.tobytes()


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 2**64 - 1])
def test_melodies_are_those_of_python(node, tmp_path, seed):
    path, out = model_path("recorder-16k"), tmp_path / "roll.f32"
    node.call("melody", model=path, seed=str(seed), seconds=9.3, out=out)
    expected = fw.melody(fw.load("recorder-16k"), seconds=9.3, seed=seed)
    assert np.fromfile(out, np.float32).tobytes() == expected.tobytes()


def test_notes_are_read_as_in_python(node, tmp_path):
    path, out, notes = model_path("recorder-16k"), tmp_path / "roll.f32", "D5:0.5 F#5 - A5:0.25 Bb4"
    node.call("melody", model=path, notes=notes, out=out)
    expected = fw.melody(fw.load("recorder-16k"), notes)
    assert np.fromfile(out, np.float32).tobytes() == expected.tobytes()
    for wrong in ("H5", "C4", "D5:x"):
        with pytest.raises(ValueError, match="RangeError"):
            node.call("melody", model=path, notes=wrong, out=out)


UNSUPPORTED = {
    "upsampling": small_spec(
        conditioning=FrameConditioning(
            channels=2, hop=4, upsampling=(UpsamplingStage(channels=2, kernel=4, stride=4),)
        )
    ),
    "several times": small_spec(start=Start(3, fed=True, times=2)),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_network_that_is_not_computed_is_refused(engine, tmp_path, name):
    path = tmp_path / "m.safetensors"
    save(path, UNSUPPORTED[name], weights_of(UNSUPPORTED[name]))
    with pytest.raises(ValueError, match=f"the model .*{name}.*Python and C"):
        engine.call(
            "generate", model=path, precision="float32", seed="1", sampling={}, samples=1,
            frames=None, prime=None, speaker=None, chunk=1, out=tmp_path / "out.f32",
        )  # fmt: skip
