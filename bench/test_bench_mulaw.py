"""mu-law's own speed over time; beside others: `fastwavenet bench --suite mu-law`."""

import numpy as np
import pytest

import fastwavenet as fw

each_isa = pytest.mark.parametrize("isa", fw.available_isas())
MILLION = 1_000_000


@each_isa
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_mu_law_encode_a_million_samples(benchmark, dtype, isa):
    audio = np.sin(np.arange(MILLION, dtype=np.float32))
    audio = (audio * np.iinfo(dtype).max).astype(dtype) if dtype is np.int16 else audio
    out = np.empty(MILLION, np.uint8)
    benchmark(fw.mu_law_encode, audio, out=out, isa=isa)
    assert out.min() == 0 and out.max() == 255


@each_isa
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_mu_law_decode_a_million_samples(benchmark, dtype, isa):
    codes = np.arange(MILLION).astype(np.uint8)
    out = np.empty(MILLION, dtype)
    benchmark(fw.mu_law_decode, codes, dtype=dtype, out=out, isa=isa)
    assert (out.min(), out.max()) == ((-1, 1) if dtype is np.float32 else (-(2**15), 2**15 - 1))
