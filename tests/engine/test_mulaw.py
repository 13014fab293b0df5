"""mu-law coding by the engine: exact at its thresholds, the same on every instruction set."""

import numpy as np
import pytest
from c_build import ROOT
from mulaw_codes import every_code

import fastwavenet as fw
from fastwavenet import mu_law_decode, mu_law_encode, reference
from fastwavenet.ends import MuLawCodec

GOLDEN = np.load(ROOT / "tests" / "golden" / "mulaw.npz")
EVERY_INT16 = np.arange(-(2**15), 2**15, dtype=np.int16)
LEVELS = [2, 3, 4, 15, 16, 17, 255, 256, 257, 300, 512, 1000, 1024, 4095, 65535, 65536]


# ---- which code --------------------------------------------------------------------------------


def test_every_int16_has_the_code_that_other_projects_give_it(isa):
    assert np.array_equal(mu_law_encode(EVERY_INT16, isa=isa), GOLDEN["code_round_f64"])
    audio = EVERY_INT16 / np.float32(2**15)
    assert np.array_equal(mu_law_encode(audio, isa=isa), GOLDEN["code_round_f64"])


def test_every_code_has_the_amplitude_that_other_projects_give_it(isa):
    decoded = mu_law_decode(every_code(256), isa=isa)
    assert np.array_equal(decoded, GOLDEN["decode_f64"].astype(np.float32))
    samples = np.clip(np.rint(GOLDEN["decode_f64"] * 2**15), -(2**15), 2**15 - 1)
    assert np.array_equal(mu_law_decode(every_code(256), dtype=np.int16, isa=isa), samples)


@pytest.mark.parametrize("levels", LEVELS)
def test_float32_has_the_code_of_float64_unless_it_lies_on_a_threshold(levels, isa):
    rng = np.random.default_rng(levels)
    audio = (rng.choice([-1, 1], 200_000) * 10 ** rng.uniform(-7, 0.1, 200_000)).astype(np.float32)
    found, expected = mu_law_encode(audio, levels, isa=isa), reference.mu_law_encode(audio, levels)
    differs = np.flatnonzero(found != expected)
    assert len(differs) <= 2
    nearby = audio[differs, None] * (1 + np.array([-1e-6, 1e-6]))
    around = np.sort(reference.mu_law_encode(nearby.astype(np.float64), levels), axis=1)
    assert np.all((around[:, 0] <= found[differs]) & (found[differs] <= around[:, 1]))


@pytest.mark.parametrize("levels", LEVELS)
def test_the_code_rises_with_the_amplitude(levels, isa):
    """Across each threshold, and one representable step to either side of it."""
    edges = reference.mu_law_decode(np.arange(levels - 1) + 0.5, levels).astype(np.float32)
    below, above = np.nextafter(edges, np.float32(-2)), np.nextafter(edges, np.float32(2))
    codes = mu_law_encode(np.stack([below, edges, above], axis=1), levels, isa=isa).astype(int)
    between = np.arange(levels - 1)
    assert np.all(np.diff(codes, axis=1) >= 0)
    assert np.all((codes == between[:, None]) | (codes == between[:, None] + 1))
    assert np.all(codes[:, 2] - codes[:, 0] == 1)


@pytest.mark.parametrize("levels", LEVELS)
def test_silence_is_the_middle_code_and_loud_audio_is_clipped(levels, isa):
    middle, top = levels // 2, levels - 1
    loud = np.array([1, np.nextafter(np.float32(1), 2), 1.5, 3e38], np.float32)
    assert np.all(mu_law_encode(loud, levels, isa=isa) == top)
    assert np.all(mu_law_encode(-loud, levels, isa=isa) == 0)
    assert np.all(mu_law_encode(np.array([0.0, -0.0]), levels, isa=isa) == middle)
    for many in (np.full(100, 3e38, np.float32), np.tile(np.float32([3e38, 3e38, 1]), 99)):
        assert np.all(mu_law_encode(many, levels, isa=isa) == top)  # their sum is infinite
    tiny = np.array([1e-45, 1e-39], np.float32)
    assert np.all(mu_law_encode(tiny, levels, isa=isa) == middle)
    assert np.all(mu_law_encode(-tiny, levels, isa=isa) == (levels - 1) // 2)


# ---- there and back ----------------------------------------------------------------------------


@pytest.mark.parametrize("levels", LEVELS)
def test_every_code_survives_float32(levels, isa):
    codes = every_code(levels)
    audio = mu_law_decode(codes, levels, isa=isa)
    assert audio.dtype == np.float32
    assert (audio[0], audio[-1]) == (-1, 1)
    assert np.array_equal(audio, -audio[::-1])
    assert np.array_equal(mu_law_encode(audio, levels, isa=isa), codes)


@pytest.mark.parametrize("levels", [levels for levels in LEVELS if levels <= 512])
def test_every_code_up_to_512_levels_survives_int16(levels, isa):
    codes = every_code(levels)
    samples = mu_law_decode(codes, levels, dtype=np.int16, isa=isa)
    assert samples.dtype == np.int16
    assert np.array_equal(mu_law_encode(samples, levels, isa=isa), codes)


def assert_every_code_survives(levels: int) -> None:
    codes = every_code(levels)
    assert np.array_equal(mu_law_encode(mu_law_decode(codes, levels), levels), codes)
    if levels <= 512:
        samples = mu_law_decode(codes, levels, dtype=np.int16)
        assert np.array_equal(mu_law_encode(samples, levels), codes)


def test_every_code_of_few_levels_survives():
    for levels in range(2, 600):
        assert_every_code_survives(levels)


@pytest.mark.slow
@pytest.mark.parametrize("quarter", range(4))
def test_every_code_of_every_number_of_levels_survives(quarter):
    for levels in range(2 + quarter, 65537, 4):
        assert_every_code_survives(levels)


@pytest.mark.parametrize("levels", LEVELS)
def test_amplitudes_are_the_references_rounded_once(levels, isa):
    expected = reference.mu_law_decode(every_code(levels), levels)
    found = mu_law_decode(every_code(levels), levels, isa=isa)
    # Float32 of a float64 that is right to its last few bits.
    assert np.abs(found - expected).max() <= 2**-25 * (1 + 1e-6)
    assert np.mean(found == expected.astype(np.float32)) > 0.999


# ---- the same everywhere -----------------------------------------------------------------------


def of_bits(bits: np.ndarray) -> np.ndarray:
    """Those of the float32 bit patterns that are numbers."""
    audio = bits.astype(np.uint32).view(np.float32)
    return audio[np.isfinite(audio)]


def assert_every_isa_agrees(audio: np.ndarray, levels: int) -> None:
    expected = mu_law_encode(audio, levels, isa="scalar")
    for isa in fw.available_isas():
        assert np.array_equal(mu_law_encode(audio, levels, isa=isa), expected)


CODECS = [
    MuLawCodec.symmetric(256),
    MuLawCodec(mu=255, steps=256, decode_divisor=256),  # the loudest would have code 256
    MuLawCodec(mu=255, steps=256, encode_offset=0, decode_divisor=256),
    MuLawCodec(mu=255, steps=255, encode_offset=0, decode_divisor=255),  # 0 is between thresholds
    MuLawCodec(mu=255, steps=254.3, encode_offset=0.7, decode_divisor=255),
    MuLawCodec(mu=255, steps=255, encode_offset=0.5 + 1e-9, decode_divisor=255),  # not quite on one
    MuLawCodec(mu=255, steps=255, encode_offset=-3, decode_divisor=255),  # codes below the first
    MuLawCodec(mu=1, steps=255, encode_offset=0.5, decode_divisor=255),
    MuLawCodec(mu=65536, steps=255, encode_offset=0.5, decode_divisor=255),
]


@pytest.mark.parametrize("codec", CODECS)
def test_near_thresholds_of_any_codec_a_code_is_that_of_the_table(codec, isa):
    """Where the engine computes a position, around where it begins to look codes up.

    The portable code looks up always.
    """
    at = (np.arange(1, 256) - codec.encode_offset) * 2 / codec.steps - 1
    edges = np.sign(at) * np.expm1(np.abs(at) * np.log1p(codec.mu)) / codec.mu
    shares = np.concatenate([[0], 10 ** np.linspace(-8, -2, 61)])
    near = edges[:, None] * (1 + np.concatenate([shares, -shares]))
    tiny = np.concatenate([[0], 10 ** np.linspace(-44, -3, 200)])
    audio = np.concatenate([near.ravel(), tiny, -tiny]).astype(np.float32)
    audio = np.concatenate([np.nextafter(audio, np.float32(-2)), audio, -audio])
    expected = mu_law_encode(audio, codec=codec, isa="scalar")
    assert np.array_equal(mu_law_encode(audio, codec=codec, isa=isa), expected)
    for one in (0, len(audio) // 2):  # alone, at the end of a short array
        found = mu_law_encode(audio[one : one + 1], codec=codec, isa=isa)
        assert np.array_equal(found, expected[one : one + 1])


@pytest.mark.parametrize("codec", CODECS)
def test_every_number_of_codes_has_the_amplitudes_of_the_table(codec, isa):
    codes = np.random.default_rng(5).integers(0, 256, 100).astype(np.uint8)
    expected = mu_law_decode(every_code(256), codec=codec, isa="scalar")[codes]
    for n in (0, 1, 15, 16, 17, 31, 32, 33, 100):
        out = np.zeros(n + 1, np.float32)[1:]  # not aligned
        mu_law_decode(codes[:n], codec=codec, isa=isa, out=out)
        assert np.array_equal(out.view(np.uint32), expected[:n].view(np.uint32))


@pytest.mark.parametrize("levels", [2, 3, 256, 300, 65535, 65536])
def test_every_instruction_set_gives_random_bit_patterns_the_same_codes(levels):
    bits = np.random.default_rng(levels).integers(0, 2**32, 1_000_000, dtype=np.uint32)
    assert_every_isa_agrees(of_bits(bits), levels)
    ends = np.array([0, 0x00800000, 0x3F800000, 0x7F7FFFFF]) + np.arange(-40, 41)[:, None]
    ends = ends[(ends >= 0) & (ends < 0x7F800000)]
    assert_every_isa_agrees(of_bits(np.append(ends, ends + 2**31)), levels)


@pytest.mark.slow
def test_every_instruction_set_gives_every_float32_the_same_code():
    last = None
    for start in range(0, 2**31, 2**24):
        positive = of_bits(np.arange(start, start + 2**24, dtype=np.uint32))
        for audio in (positive, -positive):
            assert_every_isa_agrees(audio, 256)
        codes = mu_law_encode(positive, 256)
        assert np.all(np.diff(codes.astype(int), prepend=codes[0] if last is None else last) >= 0)
        assert np.array_equal(
            mu_law_encode(-positive, 256)[positive > 0], 255 - codes[positive > 0]
        )
        last = int(codes[-1]) if codes.size else last
