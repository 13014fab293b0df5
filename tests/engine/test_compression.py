"""Compression: what is decompressed is what was compressed, whatever computed either."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from coded_twin import after_start, blocks_of, twin_of_block
from engines import changed_model, dice, model_of
from networks import NETWORKS, PRECISIONS, random_codes, small_spec

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.block_coding import BlockCoder, Values
from fastwavenet.ends import MuLawCodec, Start
from fastwavenet.session import Session

UNCONDITIONED = {name: spec for name, spec in NETWORKS.items() if spec.conditioning is None}
UNCONDITIONED["start_fed"] = small_spec(start=Start(8, fed=True, times=5))
UNCONDITIONED["other_codec"] = small_spec(
    levels=256, codec=MuLawCodec(255, 256, 256, 0.5, 0.0, pre_emphasis=0.0)
)
every_network = pytest.mark.parametrize("spec", UNCONDITIONED.values(), ids=UNCONDITIONED)
every_precision = pytest.mark.parametrize("precision", PRECISIONS)
ISAS = fw.available_isas()
SPEC = small_spec(levels=256)


def random_pcm(n: int, seed: int = 1) -> np.ndarray:
    """int16 (n,), from silence to full scale."""
    rng = np.random.default_rng(seed)
    scaled = rng.standard_normal(n) * np.geomspace(1, 30000, max(n, 1))[:n]
    return scaled.clip(-(2**15), 2**15 - 1).astype(np.int16)


# ---- round trips -------------------------------------------------------------------------------


@every_precision
@every_network
def test_codes_and_16_bit_samples_come_back_on_every_instruction_set(spec, precision):
    """Each instruction set decodes what another one encoded."""
    model = model_of(spec, precision=precision)
    codes, pcm = random_codes(spec, 90, 1), random_pcm(70)
    for encoding, decoding in zip(ISAS, [*ISAS[1:], ISAS[0]], strict=True):
        data = fw.compress(model, codes, block=40, isa=encoding)
        assert np.array_equal(fw.decompress(model, data, codes=True, isa=decoding), codes)
        data = fw.compress(model, pcm, block=32, isa=encoding)
        found = fw.decompress(model, data, isa=decoding)
        assert found.dtype == np.int16 and np.array_equal(found, pcm)


@every_precision
@pytest.mark.parametrize("encoding", ISAS)
def test_every_instruction_set_decodes_what_every_other_one_encoded(encoding, precision):
    model = model_of(SPEC, precision=precision)
    pcm = random_pcm(150)
    data = fw.compress(model, pcm, block=50, isa=encoding)
    assert data == fw.compress(model, pcm, block=50, isa="scalar")
    for decoding in ISAS:
        assert np.array_equal(fw.decompress(model, data, isa=decoding), pcm)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize(("batch", "threads"), [(1, 1), (2, 1), (3, 2), (16, 3)])
def test_chunks_batch_and_threads_change_no_byte_and_no_sample(monkeypatch, chunk, batch, threads):
    def pieces(session: Session, n: int):
        return ((start, min(chunk, n - start)) for start in range(0, n, chunk))

    model, pcm = model_of(SPEC), random_pcm(230)
    expected = fw.compress(model, pcm, block=40)
    monkeypatch.setattr(Session, "chunks", pieces)
    given = {"batch": batch, "threads": threads}
    assert fw.compress(model, pcm, block=40, **given) == expected
    assert np.array_equal(fw.decompress(model, expected, **given), pcm)


@pytest.mark.parametrize("n", [0, 1, 2, 39, 40, 41, 80, 81])
@pytest.mark.parametrize("block", [1, 40, 2**20])
def test_any_number_of_samples_and_any_block_come_back(n, block):
    model, codes = model_of(SPEC), random_codes(SPEC, n, 2).astype(np.uint8)
    found = fw.decompress(model, fw.compress(model, codes, block=block), codes=True)
    assert found.dtype == np.uint8 and np.array_equal(found, codes)


@pytest.mark.parametrize(
    "pcm",
    [
        np.zeros(100),
        np.full(100, -(2**15)),
        np.full(100, 2**15 - 1),
        np.tile([-(2**15), 2**15 - 1], 50),
        np.random.default_rng(3).integers(-(2**15), 2**15, 300),
        np.arange(-150, 150),
    ],
    ids=["silence", "lowest", "highest", "square", "noise", "ramp"],
)
def test_extremes_come_back(pcm):
    model, pcm = model_of(SPEC), pcm.astype(np.int16)
    assert np.array_equal(fw.decompress(model, fw.compress(model, pcm, block=77)), pcm)


@pytest.mark.parametrize("levels", [2, 17, 256, 4096])
def test_all_16_bit_values_come_back_at_any_number_of_levels(levels):
    spec = small_spec(levels=levels)
    values = Values(spec, "pcm16")
    pcm = np.arange(-(2**15), 2**15).astype(np.int16)
    codes, places = values.split(pcm)
    assert values.widths.sum() == 2**16 and (places < values.widths[codes]).all()
    assert np.array_equal(values.join(codes, places), pcm)


@pytest.mark.slow
def test_all_16_bit_values_in_random_order_are_compressed_and_come_back():
    pcm = np.random.default_rng(4).permutation(np.arange(-(2**15), 2**15)).astype(np.int16)
    for spec in (SPEC, small_spec(levels=4096)):
        model = model_of(spec)
        assert np.array_equal(fw.decompress(model, fw.compress(model, pcm)), pcm)


def test_audio_comes_back_as_its_codes_sound_with_pre_emphasis_too():
    audio = np.random.default_rng(5).uniform(-0.3, 0.3, 130).astype(np.float32)
    for a in (0.0, 0.85):
        spec = replace(SPEC, codec=replace(MuLawCodec.symmetric(256), pre_emphasis=a))
        model = model_of(spec)
        data = fw.compress(model, audio, block=50, sample_rate=8000)
        expected = fw.mu_law_encode(audio, 256, codec=spec.codec)
        assert np.array_equal(fw.decompress(model, data, codes=True), expected)
        sound = fw.mu_law_decode(expected, 256, codec=spec.codec)
        assert fw.decompress(model, data).tobytes() == sound.tobytes()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("first", [0, 1, 39, 40, 41, 79, 80, 99, 100])
def test_a_part_is_that_of_all_samples(first, threads):
    model, pcm = model_of(SPEC), random_pcm(100)
    data, codes = fw.compress(model, pcm, block=40), Values(SPEC, "pcm16").split(pcm)[0]
    given = {"first": first, "batch": 1, "threads": threads}
    for n in {n for n in (0, 1, 39, 40, 41, 80, 100 - first) if first + n <= 100}:
        now = slice(first, first + n)
        assert np.array_equal(fw.decompress(model, data, n_samples=n, **given), pcm[now])
        found = fw.decompress(model, data, n_samples=n, codes=True, **given)
        assert np.array_equal(found, codes[now])
    assert np.array_equal(fw.decompress(model, data, **given), pcm[first:])


def test_a_part_has_the_amplitudes_of_pre_emphasis_that_adds_up_from_the_begin_on():
    spec = replace(SPEC, codec=replace(MuLawCodec.symmetric(256), pre_emphasis=0.85))
    model, codes = model_of(spec), random_codes(spec, 100, 3)
    data = fw.compress(model, codes, block=30)
    whole = fw.decompress(model, data)
    for first in (0, 1, 30, 95, 100):
        assert fw.decompress(model, data, first=first).tobytes() == whole[first:].tobytes()
        found = fw.decompress(model, data, first=first, codes=True)
        assert np.array_equal(found, codes[first:])
    assert len(fw.decompress(model, data, first=10, n_samples=70)) == 70


def test_only_the_blocks_of_a_part_are_decoded(monkeypatch):
    model, pcm, seen, decode = model_of(SPEC), random_pcm(100), [], BlockCoder.decode

    def watched(coder, group):
        seen.extend(block.number for block in group)
        return decode(coder, group)

    monkeypatch.setattr(BlockCoder, "decode", watched)
    data = fw.compress(model, pcm, block=10)
    fw.decompress(model, data, first=35, n_samples=16, batch=2)
    assert seen == [3, 4, 5]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"first": -1}, ValueError, "first must be a whole number from 0 to 50, not -1"),
        ({"first": 51}, ValueError, "first must be"),
        ({"first": 0.5}, TypeError, "first must be"),
        ({"n_samples": -1}, ValueError, "n_samples must be a whole number from 0 to 50, not -1"),
        ({"first": 49, "n_samples": 2}, ValueError, "n_samples must be a whole number from 0 to 1"),
    ],
)
def test_parts_that_a_file_does_not_have_are_refused(given, error, message):
    model = model_of(SPEC)
    with pytest.raises(error, match=message):
        fw.decompress(model, fw.compress(model, random_pcm(50)), **given)


def test_a_file_is_a_function_of_samples_model_and_block_alone():
    """Blocks are coded as if each were alone."""
    model, pcm = model_of(SPEC), random_pcm(100)
    whole = blocks_of(fw.compress(model, pcm, block=30))
    for number, start in enumerate(range(0, 100, 30)):
        alone = blocks_of(fw.compress(model, pcm[start : start + 30], block=30))
        assert alone == [whole[number]]


# ---- the twin ----------------------------------------------------------------------------------


def logits_of(model: fw.Model, codes: np.ndarray) -> np.ndarray:
    """(n, levels): of the distribution of each code, from the start on."""
    return fw.outputs(model, after_start(model, codes))[: len(codes)]


def twin_of(model: fw.Model, codes: np.ndarray, *places: np.ndarray) -> bytes:
    return twin_of_block(logits_of(model, codes), codes, *places)


@every_precision
@every_network
def test_blocks_are_those_of_the_twin_to_the_last_bit(spec, precision):
    model = model_of(spec, precision=precision)
    codes, pcm, values = random_codes(spec, 60, 6), random_pcm(40, 2), Values(spec, "pcm16")
    assert blocks_of(fw.compress(model, codes)) == [twin_of(model, codes)]
    split = values.split(pcm)
    assert blocks_of(fw.compress(model, pcm)) == [twin_of(model, *split, values.widths)]


def test_the_twin_decodes_what_the_engine_encoded():
    model, pcm, values = model_of(SPEC), random_pcm(50, 3), Values(SPEC, "pcm16")
    (block,) = blocks_of(fw.compress(model, pcm))
    codes, places = values.split(pcm)
    decoder = reference.RangeDecoder(block)
    for t, logits in enumerate(logits_of(model, codes)):
        frequency = reference.frequencies(logits)
        assert decoder.code(frequency) == codes[t]
        sizes = reference.sizes_of_places(frequency, values.widths, int(codes[t]))
        assert decoder.place(sizes) == places[t]
    decoder.end()
    with pytest.raises(ValueError):
        decoder.take(0, 1, 2**40)
        decoder.end()


@pytest.mark.parametrize("levels", [2, 15, 16, 17, 300])
def test_frequencies_and_places_of_a_carry_are_those_of_the_twin(levels):
    """The last code of the order, always: `low` grows by almost the whole range at each step."""
    model = dice(np.linspace(-3, 3, levels).astype(np.float32))
    last = int(reference.draw_order(levels)[-1])
    for codes in (np.full(300, last), np.r_[np.full(150, last), np.zeros(150, int)]):
        data = fw.compress(model, codes)
        assert blocks_of(data) == [twin_of(model, codes)]
        assert np.array_equal(fw.decompress(model, data, codes=True), codes)


def test_values_have_the_linear_density_of_the_codes_beside_theirs():
    widths = np.array([3, 0, 4, 4, 4, 1])
    shares = [10, 99, 40, 20, 400, 100]

    def slope(code: int) -> tuple[int, int]:
        sizes = reference.sizes_of_places(np.array(shares), widths, code)
        assert len(sizes) == widths[code] and sizes.sum() == 18 * widths[code] ** 2
        assert np.ptp(np.diff(sizes)) == 0
        return sizes[0], sizes[-1]

    assert slope(0) == (9 * 6, 9 * 6)  # without a neighbour that has values
    assert slope(2) == (11 * 7 + 7, 11 + 7 * 7)  # 10 : 5, its own 10 below
    assert slope(3) == (2 * 7 + 16, 2 + 16 * 7)  # 10 : 100
    assert slope(4) == (1 * 7 + 17, 1 + 17 * 7)  # 5 : 100


# ---- size --------------------------------------------------------------------------------------


@pytest.mark.parametrize("above", [False, True])
def test_values_beside_a_probable_code_take_fewer_bits(above):
    """Of the code 100, whose neighbour above, or else below, is more probable than itself."""
    logits = np.full(256, -20, np.float32)
    logits[[100, 101 if above else 99]] = 0, 2
    model, values = dice(logits), Values(dice(logits).spec, "pcm16")
    first = int(values.first[100])
    lowest, highest = (
        len(fw.compress(model, np.full(2000, value, np.int16)))
        for value in (first, first + int(values.widths[100]) - 1)
    )
    assert abs(lowest - highest) > 2000 / 8
    assert (highest < lowest) == above


def bits_of(model: fw.Model, codes: np.ndarray) -> float:
    """-log2 of the probability that the model gives to codes from its start on."""
    return float(fw.score(model, [model.spec.start.code, *codes]).sum()) / math.log(2)


@pytest.mark.parametrize("levels", [16, 256])
def test_the_coder_takes_less_than_a_thousandth_more_than_the_models_entropy(levels):
    model = model_of(small_spec(levels=levels))
    gen = fw.Generator(model, seed=1)
    codes = fw.mu_law_encode(gen.generate(12000), levels, codec=model.spec.codec)
    (block,) = blocks_of(fw.compress(model, codes, block=12000))
    bits = bits_of(model, codes)
    assert bits < 8 * len(block) < 1.001 * bits + 8


def test_certain_samples_take_almost_nothing():
    logits = np.zeros(256, np.float32)
    logits[128] = 100
    (block,) = blocks_of(fw.compress(dice(logits), np.full(100_000, 128), block=2**20))
    assert len(block) <= 2


def test_impossible_samples_take_30_bits_and_come_back():
    logits = np.zeros(256, np.float32)
    logits[128] = 100
    model, codes = dice(logits), np.arange(100)
    data = fw.compress(model, codes)
    (block,) = blocks_of(data)
    assert len(block) == math.ceil(100 * 30 / 8) + 1
    assert np.array_equal(fw.decompress(model, data, codes=True), codes)


# ---- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"samples": np.zeros((2, 3), np.int16)}, ValueError, "shape"),
        ({"samples": np.zeros((2, 3), np.uint8)}, ValueError, "shape"),
        ({"samples": [0, 256]}, ValueError, "codes must be from 0 to 255"),
        ({"samples": [0.0, math.nan]}, ValueError, "finite"),
        ({"samples": ["a"]}, TypeError, "integers"),
        ({"samples": np.ma.masked_array([1, 2], [0, 1])}, TypeError, "mask"),
        ({"sample_rate": 8001}, ValueError, "8001 Hz, expected the model's 8000 Hz"),
        ({"block": 0}, ValueError, "block"),
        ({"block": 2**20 + 1}, ValueError, "block"),
        ({"batch": 0}, ValueError, "batch"),
        ({"threads": 0}, ValueError, "threads"),
        ({"isa": "mmx"}, ValueError, "mmx"),
        ({"model": "voice"}, TypeError, "fastwavenet.load"),
    ],
)
def test_wrong_arguments_are_refused(given, error, message):
    with pytest.raises(error, match=message):
        fw.compress(**{"model": model_of(SPEC), "samples": [1, 2]} | given)


def test_models_with_conditioning_are_refused():
    model = model_of(NETWORKS["conditioned"])
    with pytest.raises(ValueError, match=r"conditioning.*expected a model without"):
        fw.compress(model, [0, 1])


def test_16_bit_samples_and_pre_emphasis_are_refused():
    codec = replace(MuLawCodec.symmetric(256), pre_emphasis=0.85)
    with pytest.raises(ValueError, match=r"pre-emphasis.*compress codes"):
        fw.compress(model_of(replace(SPEC, codec=codec)), np.zeros(3, np.int16))


def test_a_network_that_overflows_is_an_error():
    model = changed_model(SPEC, head_output_weight=3e38, head_output_bias=3e38)
    with pytest.raises(fw.NotFiniteError):
        fw.compress(model, random_codes(SPEC, 100, 1), threads=2)


@pytest.mark.parametrize("threads", [1, 2])
def test_progress_counts_the_samples_and_may_end_the_call(threads):
    model, codes, seen = model_of(SPEC), random_codes(SPEC, 100, 1), []
    given = {"batch": 1, "threads": threads}
    data = fw.compress(model, codes, block=30, progress=lambda *at: seen.append(at), **given)
    assert seen == [(30, 100), (60, 100), (90, 100), (100, 100)]
    seen.clear()
    fw.decompress(model, data, progress=lambda *at: seen.append(at), **given)
    assert seen == [(30, 100), (60, 100), (90, 100), (100, 100)]

    def end(done: int, total: int) -> None:
        raise InterruptedError

    for call in (
        lambda: fw.compress(model, codes, block=30, progress=end, **given),
        lambda: fw.decompress(model, data, progress=end, **given),
    ):
        with pytest.raises(InterruptedError):
            call()


def test_every_pair_of_bordering_blocks_has_its_own_coder():
    """Blocks of a group may have different lengths; a session is made anew for another number."""
    model = model_of(SPEC)
    coder = BlockCoder(model, Values(SPEC, "codes"), "scalar")
    for sizes in itertools.product([1, 3], repeat=2):
        group = [random_codes(SPEC, size, size).astype(np.uint8) for size in sizes]
        decoded = coder.decode(coder.encode([*enumerate(group, 5)]))
        assert [d.block.number for d in decoded] == [5, 6]
        for given, found in zip(group, decoded, strict=True):
            assert np.array_equal(found.samples, given)
