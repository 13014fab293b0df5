"""The six numbers of a mu-law codec, and the conventions of known projects."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.ends import MuLawCodec

# Project -> levels and codec; reference formulas in the comments, c(x) the companded amplitude.
CONVENTIONS = {
    # ibab, nv-wavenet: floor((c + 1) / 2 * 255 + 0.5) and back 2 y / 255 - 1
    "ibab": MuLawCodec(mu=255, steps=255, decode_divisor=255),
    # kan-bayashi: the same encoder, back 2 (y - 0.5) / 255 - 1
    "kan-bayashi": MuLawCodec(mu=255, steps=255, decode_divisor=255, decode_offset=0.5),
    # r9y9 with mu 255, basveeling: floor((c + 1) / 2 * 255), back 2 y / 255 - 1
    "r9y9": MuLawCodec(mu=255, steps=255, decode_divisor=255, encode_offset=0),
    # r9y9 v0.1.1 with mu 256: floor((c + 1) / 2 * 256), back 2 y / 256 - 1
    "r9y9-0.1.1": MuLawCodec(mu=256, steps=256, decode_divisor=256, encode_offset=0),
    # vincentherrmann: floor((c + 1) / 2 * 255) of mu 256, back 2 y / 256 - 1
    "vincentherrmann": MuLawCodec(mu=256, steps=255, decode_divisor=256, encode_offset=0),
    # wavenet-coding: clip(floor((c + 1) * 128 + 0.5), 0, 255), back of mu 255, y / 128 - 1
    "wavenet-coding": MuLawCodec(mu=255, steps=256, decode_divisor=256),
}
every_convention = pytest.mark.parametrize("codec", CONVENTIONS.values(), ids=CONVENTIONS)
EVERY_INT16 = np.arange(-(2**15), 2**15, dtype=np.int16)
EVERY_CODE = np.arange(256, dtype=np.uint8)

VECTOR = [-1, 1, 0.6, -0.25, 0.01, 0.33, -0.9999, 0.42, 0.1, -0.45, 0]
ROUND = [0, 255, 243, 32, 157, 230, 0, 235, 203, 18, 128]
FLOOR = [0, 255, 243, 31, 156, 229, 0, 235, 202, 18, 127]
KNOWN = {  # codes of VECTOR, and the amplitudes of codes 0, 127, 128 and 255, as the projects' own
    "ibab": (ROUND, [-1, -8.62e-5, 8.62e-5, 1]),
    "kan-bayashi": (ROUND, [-1.0221, -1.74e-4, 0, 0.9784]),
    "r9y9": (FLOOR, [-1, -8.62e-5, 8.62e-5, 1]),
    "vincentherrmann": (FLOOR, [-1, -1.73e-4, 0, 0.9574]),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_codes_and_amplitudes_of_known_projects(name, isa):
    codes, amplitudes = KNOWN[name]
    codec = CONVENTIONS[name]
    found = fw.mu_law_encode(np.array(VECTOR), codec=codec, isa=isa)
    assert found.tolist() == codes
    decoded = fw.mu_law_decode([0, 127, 128, 255], codec=codec, isa=isa)
    assert decoded == pytest.approx(amplitudes, rel=2e-3, abs=1e-9)


def test_no_codec_is_the_symmetric_one(isa):
    for levels in (2, 3, 256, 300, 65536):
        codec = MuLawCodec.symmetric(levels)
        audio = np.linspace(-1.1, 1.1, 10_001)
        codes = fw.mu_law_encode(audio, levels, isa=isa)
        assert np.array_equal(fw.mu_law_encode(audio, levels, codec=codec, isa=isa), codes)
        decoded = fw.mu_law_decode(codes, levels, codec=codec, isa=isa)
        assert decoded.tobytes() == fw.mu_law_decode(codes, levels, isa=isa).tobytes()


@every_convention
def test_every_int16_has_the_code_of_the_formula(codec, isa):
    expected = reference.mu_law_encode(EVERY_INT16 / 2**15, codec=codec)
    assert np.array_equal(fw.mu_law_encode(EVERY_INT16, codec=codec, isa=isa), expected)
    audio = EVERY_INT16 / np.float32(2**15)
    assert np.array_equal(fw.mu_law_encode(audio, codec=codec, isa=isa), expected)


@every_convention
def test_every_code_has_the_amplitude_of_the_formula(codec, isa):
    expected = reference.mu_law_decode(EVERY_CODE, codec=codec)
    found = fw.mu_law_decode(EVERY_CODE, codec=codec, isa=isa)
    assert np.abs(found - expected).max() <= 2**-24
    samples = np.clip(np.rint(found * np.float32(2**15)), -(2**15), 2**15 - 1)
    decoded = fw.mu_law_decode(EVERY_CODE, codec=codec, dtype=np.int16, isa=isa)
    assert np.array_equal(decoded, samples)


@every_convention
def test_silence_and_full_scale_have_the_codes_of_the_formula(codec, isa):
    audio = np.array([0.0, -0.0, 1, -1, 3, -3, 1e-6, -1e-6])
    expected = reference.mu_law_encode(np.float32(audio), codec=codec)
    assert np.array_equal(fw.mu_law_encode(audio, codec=codec, isa=isa), expected)


CODECS = st.builds(
    MuLawCodec,
    mu=st.sampled_from([1, 1.5, 15, 255, 256, 65535, 65536]) | st.floats(1, 65536),
    steps=st.sampled_from([1, 2, 255, 255.5, 256, 65535, 65536]) | st.floats(1, 65536),
    encode_offset=st.sampled_from([0, 0.5, 1, -1, 0.25]) | st.floats(-300, 300),
    decode_divisor=st.just(256),
)


@settings(max_examples=150)
@example(MuLawCodec(1, 65535, 256, encode_offset=1.9999999999999432), 3, 0)  # a border next to -1
@example(MuLawCodec(1, 2, 256, encode_offset=-(2.0**-52)), 3, 0)  # a border next to 1
@given(CODECS, st.sampled_from([2, 3, 16, 255, 256, 257, 1024, 65536]), st.integers(0, 2**32 - 1))
def test_the_codes_of_any_codec_are_those_of_the_formula_on_every_instruction_set(
    codec, levels, seed
):
    codec = dataclasses.replace(codec, decode_divisor=levels)
    rng = np.random.default_rng(seed)
    audio = np.concatenate([rng.uniform(-1.1, 1.1, 500), rng.standard_cauchy(500) / codec.mu])
    audio = np.append(audio, [0, -0.0, 1, -1, 2, -2]).astype(np.float32)
    found = fw.mu_law_encode(audio, levels, codec=codec, isa="scalar").astype(int)
    for isa in fw.available_isas():
        assert np.array_equal(fw.mu_law_encode(audio, levels, codec=codec, isa=isa), found)
    expected = reference.mu_law_encode(audio, levels, codec=codec)
    differs = np.flatnonzero(found != expected)
    clipped = np.clip(audio[differs].astype(np.float64), -1, 1)
    for sign in (-1, 1):  # the codes of amplitudes and of borders a rounding away
        moved = codec.encode_offset + sign * 1e-12 * (codec.steps + abs(codec.encode_offset))
        shifted = dataclasses.replace(codec, encode_offset=moved)
        near = clipped + sign * (1e-9 * np.abs(clipped) + 1e-13)
        bound = reference.mu_law_encode(near, levels, codec=shifted).astype(int)
        assert np.all(sign * found[differs] <= sign * bound)


# ---- pre-emphasis ------------------------------------------------------------------------------

EMPHASIS = MuLawCodec(mu=255, steps=255, decode_divisor=255, pre_emphasis=0.85)


def test_pre_emphasis_is_undone_up_to_the_steps_of_the_codec(isa):
    t = np.arange(4000)
    audio = 0.3 * np.sin(0.05 * t) + 0.1 * np.sin(1.9 * t)
    codes = fw.mu_law_encode(audio, codec=EMPHASIS, isa=isa)
    again = fw.mu_law_decode(codes, codec=EMPHASIS, isa=isa)
    assert np.sqrt(np.mean((again - audio) ** 2)) < 0.02
    plain = fw.mu_law_encode(audio, isa=isa)
    assert np.mean(plain != codes) > 0.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (3, 5), (2, 3, 100), (3, 0), ()])
def test_pre_emphasis_runs_along_the_last_axis_from_silence(shape, dtype, isa):
    audio = np.random.default_rng(1).uniform(-0.5, 0.5, shape)
    audio = np.asarray(audio * (2**15 if dtype == np.int16 else 1)).astype(dtype)
    unit = 2**15 if dtype == np.int16 else 1
    codes = fw.mu_law_encode(audio, codec=EMPHASIS, isa=isa)
    assert codes.shape == shape
    rows = (audio / unit).reshape(math.prod(shape[:-1]), shape[-1] if shape else 1)
    for row, coded in zip(rows, codes.reshape(rows.shape), strict=True):
        expected = reference.mu_law_encode(row, codec=EMPHASIS)
        assert np.sum(coded != expected) <= len(row) // 50  # float32 on a threshold
        again = fw.mu_law_decode(coded, codec=EMPHASIS, isa=isa)
        assert again == pytest.approx(reference.mu_law_decode(coded, codec=EMPHASIS), abs=1e-5)
    again = fw.mu_law_decode(codes, codec=EMPHASIS, isa=isa)
    if dtype == np.int16:
        samples = fw.mu_law_decode(codes, codec=EMPHASIS, dtype=np.int16, isa=isa)
        assert np.array_equal(samples, np.rint(again * 2**15).clip(-(2**15), 2**15 - 1))


def test_a_bad_sample_before_pre_emphasis_is_named():
    for bad in (np.nan, np.inf, 1e300):
        audio = np.zeros((2, 9))
        audio[1, 3] = bad
        with pytest.raises(ValueError, match=r"audio must be finite: .* at index \(1, 3\)"):
            fw.mu_law_encode(audio, codec=EMPHASIS)


def test_out_may_overlap_and_have_gaps_with_pre_emphasis():
    audio = np.random.default_rng(1).uniform(-0.5, 0.5, (6, 100)).astype(np.float32)
    codes = fw.mu_law_encode(audio, codec=EMPHASIS)
    out = np.zeros((6, 200), np.uint8)[:, ::2]
    assert fw.mu_law_encode(audio, out=out, codec=EMPHASIS) is out
    assert np.array_equal(out, codes)
    again = np.zeros((200, 6), np.float32)[::2].T
    assert fw.mu_law_decode(codes, out=again, codec=EMPHASIS) is again
    assert np.array_equal(again, fw.mu_law_decode(codes, codec=EMPHASIS))
