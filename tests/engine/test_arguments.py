"""What users ask for wrongly is refused, by name, and changes nothing."""

import numpy as np
import pytest
from engines import SPEC, generator, model_of
from networks import NETWORKS, random_frames, small_spec

import fastwavenet as fw
from fastwavenet.ends import FrameConditioning

# ---- temperature and top_k between calls -----------------------------------------------------


def test_temperature_and_top_k_may_change_between_two_calls():
    gen, twin = generator(), generator(temperature=0.5, top_k=3)
    gen.generate(20)
    twin.set_state(gen.get_state())
    gen.temperature, gen.top_k = 0.5, 3
    assert np.array_equal(gen.generate(50), twin.generate(50))
    with pytest.raises(ValueError, match="temperature must be 0"):
        gen.temperature = -1
    with pytest.raises(TypeError, match="temperature must be a number, not 'hot'"):
        gen.temperature = "hot"
    with pytest.raises(ValueError, match="top_k must be a whole number from 1 to 32, not 0"):
        gen.top_k = 0
    assert (gen.temperature, gen.top_k) == (0.5, 3)


def test_seconds_must_be_a_number():
    with pytest.raises(TypeError, match="seconds must be a number, not '3'"):
        fw.generate(model_of(SPEC), seconds="3")


# ---- wrong arguments ---------------------------------------------------------------------------

CONDITIONED = NETWORKS["conditioned"]
FRAMES = random_frames(CONDITIONED, 10, 1)
NAN = float("nan")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed must be a whole number from 0 to 18446744073709551615, not -1"),
        ({"seed": 2**64}, "seed must be a whole number from 0 to"),
        ({"stream": -1}, "stream must be a whole number from 0 to 4294967295, not -1"),
        ({"stream": 2**32}, "stream must be a whole number from 0 to"),
        ({"stream": 2**32 - 1, "batch": 2}, "stream must be a whole number from 0 to 4294967294"),
        ({"batch": 0}, "batch must be a whole number from 1 to 65536, not 0"),
        ({"batch": 65537}, "batch must be a whole number from 1 to 65536"),
        ({"temperature": -1}, "temperature must be 0 .* or from 0.001 to 1000, not -1"),
        ({"temperature": 1e-4}, "temperature must be 0"),
        ({"temperature": 1001}, "temperature must be 0"),
        ({"temperature": NAN}, "temperature must be 0"),
        ({"top_k": 0}, "top_k must be a whole number from 1 to 32, not 0"),
        ({"top_k": 33}, "top_k must be a whole number from 1 to 32"),
        ({"isa": "sse9"}, "isa 'sse9' is unknown; available: scalar"),
    ],
    ids=str,
)
def test_a_generator_with_a_value_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        generator(**arguments)


@pytest.mark.parametrize("name", ["seed", "stream", "batch", "top_k"])
@pytest.mark.parametrize("value", [1.0, True, "1", [1]])
def test_a_number_that_is_not_whole_is_refused(name, value):
    with pytest.raises(TypeError, match=f"{name} must be a whole number from"):
        generator(**{name: value})
    assert generator(**{name: np.int64(3)}).generate(5).size


WRONG_CALLS = [
    (lambda gen: gen.reset(-1), "seed must be a whole number from 0 to"),
    (lambda gen: gen.generate(-1), "n must be a whole number from 0 to"),
    (lambda gen: gen.stream(0), "chunk must be a whole number from 1 to"),
    (lambda gen: gen.stream(8, n_samples=-1), "n_samples must be a whole number"),
    (lambda gen: gen.prime([[1, 2], [3, 4]]), r"shape \(n,\), not \(2, 2\)"),
    (lambda gen: gen.prime([[[1]]]), r"shape \(n,\), not \(1, 1, 1\)"),
    (lambda gen: gen.prime(3), r"shape \(n,\), not \(\)"),
    (lambda gen: gen.prime([1, 32]), "codes must be from 0 to 31: 32 at index 1"),
    (lambda gen: gen.prime([-1]), "codes must be from 0 to 31: -1 at index 0"),
    (lambda gen: gen.prime(np.array([40], np.uint8)), "codes .* 31: 40 at index 0"),
    (lambda gen: gen.prime([0.5, NAN]), "audio must be finite: nan at index 1"),
    (lambda gen: gen.generate(9, frames=FRAMES), "the model takes no frames"),
    (lambda gen: fw.score(gen.model, [[1, 2]] * 2), r"shape \(n,\), not \(2, 2\)"),
    (lambda gen: fw.outputs(gen.model, [99]), "codes must be from 0 to 31: 99 at index 0"),
    (lambda gen: fw.generate(gen.model), "give either seconds or n_samples"),
    (lambda gen: fw.generate(gen.model, 1, n_samples=1), "give either seconds or n_samples"),
    (
        lambda gen: fw.generate(gen.model, n_samples=-1),
        "n_samples must be a whole number from 0 to",
    ),
    (lambda gen: fw.generate(gen.model, -1), "seconds must be a number from 0, not -1"),
    (lambda gen: fw.generate(gen.model, NAN), "seconds must be a number from 0"),
    (lambda gen: fw.generate(gen.model, float("inf")), "seconds must be a number from 0"),
]


@pytest.mark.parametrize(("call", "message"), WRONG_CALLS, ids=[m for _, m in WRONG_CALLS])
def test_a_refused_call_says_what_was_expected_and_changes_nothing(call, message):
    gen = generator()
    before = gen.get_state()
    with pytest.raises(ValueError, match=message):
        call(gen)
    assert gen.get_state() == before


def test_a_batch_is_primed_with_one_row_or_all():
    with pytest.raises(ValueError, match=r"shape \(n,\) or \(3, n\), not \(2, 5\)"):
        generator(batch=3).prime(np.zeros((2, 5), int))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda gen: gen.generate(1.0), "n must be a whole number from 0 to .*, not 1.0"),
        (lambda gen: gen.prime(["a"]), "codes must be integers"),
        (lambda gen: gen.prime([True]), "codes must be integers, not bool"),
        (lambda gen: gen.set_state("abc"), "string"),
        (lambda gen: fw.Generator(gen.model.spec), "must be a fastwavenet.Model, not WaveNetSpec"),
    ],
)
def test_an_argument_of_a_wrong_type_is_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call(generator())


WRONG_FRAMES = [
    (None, "the model needs frames of 3 channels"),
    (FRAMES[:8], "(9|10) samples with hop 1 need at least (9|10) frames, not 8"),
    (FRAMES[:0], "(9|10) samples with hop 1 need at least (9|10) frames, not 0"),
    (FRAMES[:, :2], r"shape \(frames, 3\) or \(1, frames, 3\), not \(10, 2\)"),
    (FRAMES[0], r"shape \(frames, 3\).* not \(3,\)"),
    (1.0, r"shape \(frames, 3\).* not \(\)"),
    (FRAMES[None].repeat(2, axis=0), r"\(1, frames, 3\), not \(2, 10, 3\)"),
    (FRAMES * NAN, "frames must be finite"),
]


@pytest.mark.parametrize(("frames", "message"), WRONG_FRAMES, ids=[m for _, m in WRONG_FRAMES])
def test_wrong_frames_are_refused_and_change_nothing(frames, message):
    gen = generator(CONDITIONED)
    before = gen.get_state()
    calls = (lambda: gen.generate(9, frames=frames), lambda: gen.prime([1] * 10, frames=frames))
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()
    assert gen.get_state() == before


WRONG_CHUNKS = [WRONG_FRAMES[4], *WRONG_FRAMES[6:], (FRAMES[:, :2], r"not \(10, 2\)")]


@pytest.mark.parametrize(("frames", "message"), WRONG_CHUNKS, ids=[m for _, m in WRONG_CHUNKS])
def test_a_wrong_chunk_of_frames_is_refused_after_the_samples_of_those_before_it(frames, message):
    gen, twin = generator(CONDITIONED), generator(CONDITIONED)
    blocks = gen.vocode([FRAMES, frames])
    assert next(blocks).tobytes() == twin.generate(10, frames=FRAMES).tobytes()
    with pytest.raises(ValueError, match=message):
        next(blocks)
    assert gen.get_state() == twin.get_state()


def test_a_model_without_frames_vocodes_none():
    with pytest.raises(ValueError, match="the model takes no frames"):
        generator().vocode([FRAMES])


SPEAKERS = small_spec(conditioning=FrameConditioning(speakers=("ann", "bob"), speaker_channels=2))


@pytest.mark.parametrize(
    ("speaker", "message"),
    [
        (None, "the model needs a speaker, one of ann, bob"),
        ("cid", "speaker 'cid' is unknown, expected one of ann, bob"),
        (2, "speaker must be a whole number from 0 to 1, not 2"),
        (-1, "speaker must be a whole number from 0 to 1, not -1"),
        (["ann"], "speaker must be one, or one for each of 1 rows: 1"),
    ],
)
def test_a_wrong_speaker_is_refused(speaker, message):
    with pytest.raises(ValueError, match=message):
        fw.Generator(model_of(SPEAKERS), speaker=speaker)
    with pytest.raises(ValueError, match=message):
        fw.score(model_of(SPEAKERS), [1, 2, 3], speaker=speaker)
    with pytest.raises(ValueError, match="for each of 3 rows: 2"):
        fw.Generator(model_of(SPEAKERS), batch=3, speaker=["ann", "bob"])
    with pytest.raises(ValueError, match="the model has no speakers, but got speaker 'ann'"):
        fw.Generator(model_of(CONDITIONED), speaker="ann")


def test_nothing_is_generated_when_asked_for_nothing():
    for batch, shape in ((None, (0,)), (3, (3, 0))):
        gen = generator(batch=batch)
        before = gen.get_state()
        assert gen.generate(0).shape == shape
        assert gen.generate(0).dtype == np.float32
        gen.prime([])
        assert gen.get_state() == before
        assert list(gen.stream(chunk=8, n_samples=0)) == []
    assert fw.generate(model_of(SPEC), seconds=0).shape == (0,)


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_blocks_of_a_stream_have_the_shape_and_the_sum_that_were_asked_for(batch):
    blocks = list(generator(batch=batch).stream(chunk=8, n_samples=21))
    rows = () if batch is None else (batch,)
    assert [block.shape for block in blocks] == [(*rows, 8), (*rows, 8), (*rows, 5)]
    assert all(block.dtype == np.float32 for block in blocks)
    endless = generator(batch=batch).stream(chunk=7)
    joined = np.concatenate([next(endless) for _ in range(3)], axis=-1)
    assert np.array_equal(joined, np.concatenate(blocks, axis=-1))


def test_int16_is_refused_because_it_may_be_audio_or_codes():
    samples = np.zeros(10, np.int16)
    for listen in (generator().prime, lambda x: fw.score(model_of(SPEC), x)):
        with pytest.raises(TypeError, match="^samples of int16 may be audio or codes: divide"):
            listen(samples)
