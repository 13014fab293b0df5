"""The host program's floating-point mode changes no bit, and is given back."""

import numpy as np
import pytest
from engines import (
    MODES,
    changed_model,
    every_float_mode,
    float_mode,
    generator,
    host_float_mode,
    model_of,
    one_shot,
    run,
    weights_of,
)
from networks import NETWORKS, random_codes, small_spec

import fastwavenet as fw
from fastwavenet import mulaw
from fastwavenet.ends import CodeInput


@every_float_mode
def test_the_hosts_float_mode_is_what_the_test_says(mode):
    third, tiny = np.float32(1) / np.float32(3), np.float32(1e-39)
    with host_float_mode(mode):
        assert float_mode() == mode
        changed = np.float32(1) / np.float32(3) != third or tiny * np.float32(1) == 0
        below = np.float32(-1) / np.float32(3) != -third
    assert changed or below
    assert float_mode() == 0


@every_float_mode
@pytest.mark.parametrize("name", ["kernel_3", "levels_300", "no_bias"])
@pytest.mark.each_pair
def test_the_hosts_float_mode_changes_no_sample_and_is_given_back(name, mode, isa, precision):
    spec, n = NETWORKS[name], 120
    gen = generator(spec, isa=isa, precision=precision)
    with host_float_mode(mode):
        found = run(gen, n)
        assert float_mode() == mode
    assert found.bits() == one_shot(spec, n, precision).bits()


def test_the_hosts_float_mode_is_given_back_after_an_error(isa, precision):
    model = changed_model(small_spec(), precision, head_output_weight=3e38)
    gen = fw.Generator(model, seed=1, isa=isa)
    with host_float_mode(MODES["round_up_no_denormals"]):
        with pytest.raises(fw.NotFiniteError):
            run(gen, 10)
        assert float_mode() == MODES["round_up_no_denormals"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_denormals_are_kept_whatever_the_host_does_with_them(isa, precision):
    """The first layer yields denormals, the second makes them large again (nothing to others)."""
    spec = small_spec(dilations=(1,), input=CodeInput(1), bias=False)
    weights = dict(weights_of(spec))
    weights["first.weight"] = weights["first.weight"] * np.float32(3e-39)
    weights["layers.0.dilated.weight"] = weights["layers.0.dilated.weight"] * np.float32(1e38)
    model = fw.Model(spec, weights, precision)
    silence = {"first.weight": np.zeros_like(weights["first.weight"])}
    silent = fw.Model(spec, weights | silence, precision)
    codes = random_codes(spec, 50, 2)
    expected = fw.outputs(model, codes, isa="scalar")
    assert np.abs(expected - fw.outputs(silent, codes)).max() > 0.1
    with host_float_mode(MODES["no_denormals"]):
        found = fw.outputs(model, codes, isa=isa)
    assert found.tobytes() == expected.tobytes()


@every_float_mode
def test_a_model_made_in_any_float_mode_is_the_same(mode, precision):
    spec = small_spec(skip=32, dilations=(1, 2, 4, 8, 16, 32))
    codes, weights = random_codes(spec, 50, 2), weights_of(spec)
    with host_float_mode(mode):
        model = fw.Model(spec, weights, precision)
    expected = fw.outputs(model_of(spec, precision=precision), codes)
    assert np.array_equal(fw.outputs(model, codes), expected)


@every_float_mode
@pytest.mark.parametrize("levels", [256, 300, 65536])
def test_mu_law_is_the_same_in_any_float_mode(levels, mode, isa):
    audio = np.random.default_rng(1).uniform(-1.1, 1.1, 100_000).astype(np.float32)
    audio[:8] = 1e-39, -1e-39, 1e-45, -1e-45, 0, -0.0, 1, -1
    codes = fw.mu_law_encode(audio, levels, isa=isa)
    with host_float_mode(mode):
        found = fw.mu_law_encode(audio, levels, isa=isa)
        assert float_mode() == mode
    assert np.array_equal(found, codes)


@pytest.fixture
def new_tables():
    """Forgets the tables that are kept, now and after the test."""
    yield mulaw._kept_tables.cache_clear
    mulaw._kept_tables.cache_clear()


@every_float_mode
@pytest.mark.parametrize("levels", [255, 256, 1000])
def test_mu_law_tables_made_in_any_float_mode_are_the_same(levels, mode, new_tables):
    new_tables()
    amplitudes = fw.mu_law_decode(np.arange(levels), levels)
    samples = np.linspace(-1, 1, 50_000, dtype=np.float32)
    codes = fw.mu_law_encode(samples, levels)
    new_tables()
    with host_float_mode(mode):
        mulaw._kept_tables(levels, None)
    assert np.array_equal(fw.mu_law_decode(np.arange(levels), levels), amplitudes)
    assert np.array_equal(fw.mu_law_encode(samples, levels), codes)
