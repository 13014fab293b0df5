"""Speeds to follow over time: `pytest bench --benchmark-only`.  Comparisons are in generate.py."""

import numpy as np
import pytest
from specs import NETWORKS, random_weights

import fastwavenet as fw

each_isa = pytest.mark.parametrize("isa", fw.available_isas())
BLOCK = 1024  # samples
MILLION = 1_000_000


@each_isa
@pytest.mark.parametrize("network", ["C1", "C3"])
def test_generate_1024_samples(benchmark, network, isa):
    spec = NETWORKS[network]
    generator = fw.Generator(fw.Model(spec, random_weights(spec)), seed=0, isa=isa)
    audio = benchmark(generator.generate, BLOCK)
    assert len(np.unique(audio)) > 16


@each_isa
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_mu_law_encode_a_million_samples(benchmark, dtype, isa):
    audio = np.sin(np.arange(MILLION, dtype=np.float32))
    audio = (audio * np.iinfo(dtype).max).astype(dtype) if dtype is np.int16 else audio
    out = np.empty(MILLION, np.uint8)
    benchmark(fw.mu_law_encode, audio, out=out, isa=isa)
    assert out.min() == 0 and out.max() == 255


@each_isa
def test_mu_law_decode_a_million_samples(benchmark, isa):
    codes = np.arange(MILLION).astype(np.uint8)
    out = np.empty(MILLION, np.float32)
    benchmark(fw.mu_law_decode, codes, out=out, isa=isa)
    assert out.min() == -1 and out.max() == 1
