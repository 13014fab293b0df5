"""Arrays of samples as other programs give them: shapes, alignment, types, rates."""

from pathlib import Path

import numpy as np
import pytest
from engines import generator, model_of, weights_of
from networks import random_codes, random_frames, small_spec

import fastwavenet as fw
from fastwavenet.ends import FrameConditioning

SPEC = small_spec(levels=32)
AUDIO = np.sin(np.arange(50, dtype=np.float32))
CODES = random_codes(SPEC, 50, 1)


def unaligned(array) -> np.ndarray:
    """The same numbers at an odd address, as a view into a packet or a file with a header."""
    array = np.asarray(array)
    packet = np.zeros(array.nbytes + 1, np.uint8)
    view = packet[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.size or not view.flags.aligned
    return view


def nats(samples, **arguments) -> bytes:
    return fw.score(model_of(SPEC), samples, **arguments).tobytes()


# ---- shapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 50])
@pytest.mark.parametrize("shape", [(1, -1), (-1, 1)])
@pytest.mark.parametrize("batch", [None, 1, 3])
def test_a_row_or_column_is_one_voice(n, shape, batch):
    one, other = (generator(batch=batch) for _ in range(2))
    one.prime(AUDIO[:n])
    other.prime(AUDIO[:n].reshape(shape if n else (1, 0)))
    assert other.get_state() == one.get_state()
    assert nats(CODES[:n].reshape(shape if n else (1, 0))) == nats(CODES[:n])


def test_a_column_of_as_many_rows_as_the_batch_is_a_sample_for_each():
    gen = generator(batch=3)
    gen.prime([[1], [2], [3]])
    for row, code in enumerate((1, 2, 3)):
        alone = generator(stream=row)
        alone.prime([code])
        assert np.array_equal(gen.clone().generate(20)[row], alone.generate(20))


# ---- memory ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, np.int64])
def test_samples_may_be_unaligned(dtype):
    samples = (AUDIO if np.dtype(dtype).kind == "f" else CODES).astype(dtype)
    assert nats(unaligned(samples)) == nats(samples)


@pytest.mark.parametrize("levels", [256, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_mu_law_takes_and_gives_unaligned_arrays(levels, dtype):
    audio = AUDIO if dtype is np.float32 else (AUDIO * 32767).astype(np.int16)
    codes = fw.mu_law_encode(audio, levels)
    assert np.array_equal(fw.mu_law_encode(unaligned(audio), levels), codes)
    decoded = fw.mu_law_decode(codes, levels, dtype=dtype)
    if levels > 256:
        assert np.array_equal(fw.mu_law_decode(unaligned(codes), levels, dtype=dtype), decoded)
        out = unaligned(np.zeros_like(codes))
        assert fw.mu_law_encode(audio, levels, out) is out
        assert np.array_equal(out, codes)
    out = unaligned(np.zeros_like(audio))
    assert fw.mu_law_decode(codes, levels, out, dtype=dtype) is out
    assert np.array_equal(out, decoded)


def test_frames_and_weights_may_be_unaligned():
    spec = small_spec(conditioning=FrameConditioning(channels=3))
    frames = random_frames(spec, 20, 1)
    weights = {name: unaligned(array) for name, array in weights_of(spec).items()}
    found = fw.generate(fw.Model(spec, weights), n_samples=20, seed=5, frames=unaligned(frames))
    assert np.array_equal(found, fw.generate(model_of(spec), n_samples=20, seed=5, frames=frames))


# ---- types -------------------------------------------------------------------------------------


def test_int32_audio_gets_the_number_to_divide_by():
    with pytest.raises(ValueError, match=r"from 0 to 31: .* divide by 2\*\*31"):
        nats((AUDIO * 2**31 * 0.9).astype(np.int32))


@pytest.mark.parametrize("path", ["hello.wav", Path("hello.wav"), b"hello.wav"])
def test_a_path_in_the_place_of_samples_is_answered_by_how_to_read_it(path):
    for call in (fw.score, fw.outputs, lambda model, samples: generator().prime(samples)):
        with pytest.raises(TypeError, match=r"hello\.wav.*read_audio"):
            call(model_of(SPEC), path)
    with pytest.raises(TypeError, match=r"hello\.wav.*read_audio"):
        fw.generate(model_of(SPEC), 1, prime=path)


@pytest.mark.parametrize("path", ["voice.safetensors", Path("voice.safetensors")])
def test_a_path_in_the_place_of_a_model_is_answered_by_how_to_load_it(path):
    calls = (
        fw.Generator,
        lambda model: fw.generate(model, 1),
        lambda model: fw.score(model, CODES),
        lambda model: fw.outputs(model, CODES),
    )
    for call in calls:
        with pytest.raises(TypeError, match=r"load\(.*voice\.safetensors.*\)"):
            call(path)


# ---- rates -------------------------------------------------------------------------------------


RATED = {
    "prime": lambda rate: generator().prime(AUDIO, sample_rate=rate),
    "score": lambda rate: fw.score(model_of(SPEC), AUDIO, sample_rate=rate),
    "outputs": lambda rate: fw.outputs(model_of(SPEC), AUDIO, sample_rate=rate),
    "generate": lambda rate: fw.generate(model_of(SPEC), 0.1, prime=AUDIO, sample_rate=rate),
}


@pytest.mark.parametrize("call", RATED.values(), ids=RATED)
def test_the_rate_of_audio_may_be_given_and_is_checked(call):
    call(SPEC.sample_rate)
    call(np.int64(SPEC.sample_rate))
    call(None)
    for other in (SPEC.sample_rate - 1, SPEC.sample_rate + 1, 44100, 0):
        with pytest.raises(ValueError, match=f"{other} Hz, expected the model's 8000 Hz"):
            call(other)
    for wrong in (8000.0, "8000", True):
        with pytest.raises(TypeError, match="whole number of Hz"):
            call(wrong)


# ---- out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize("n", [0, 1, 5000])
def test_samples_are_written_to_any_array_of_the_right_shape(batch, n):
    expected = generator(batch=batch).generate(n)
    wide = np.zeros((*expected.shape[:-1], 2 * n), np.float32)
    for out in (np.empty_like(expected), wide[..., ::2], unaligned(expected * 0)):
        assert generator(batch=batch).generate(n, out=out) is out
        assert np.array_equal(out, expected)
    assert not wide[..., 1::2].any()


def test_samples_may_be_written_over_the_frames_that_condition_them():
    spec = small_spec(conditioning=FrameConditioning(channels=3, hop=4))
    frames = random_frames(spec, 60, 1)
    expected = generator(spec).generate(15, frames=frames)
    whole = frames.reshape(-1).copy()
    for out in (whole[:15], whole[-15:]):
        whole[:] = frames.reshape(-1)
        found = generator(spec).generate(15, frames=whole.reshape(frames.shape), out=out)
        assert np.array_equal(found, expected)


def test_an_array_of_another_shape_or_type_is_refused_and_nothing_changes():
    gen = generator()
    read_only = np.zeros(5, np.float32)
    read_only.flags.writeable = False
    wrong = (np.zeros(4, np.float32), np.zeros((1, 5), np.float32), np.zeros(5), [0.0] * 5)
    for out in (*wrong, read_only):
        with pytest.raises(ValueError, match="out must be"):
            gen.generate(5, out=out)
    assert gen.position == 0


def test_an_array_keeps_the_samples_made_before_a_call_was_ended():
    out = np.full(10**6, 9, np.float32)

    def stop(done, total):
        raise InterruptedError

    gen = generator()
    with pytest.raises(InterruptedError):
        gen.generate(len(out), out=out, progress=stop)
    made = gen.position
    assert 0 < made < len(out)
    assert np.array_equal(out[:made], generator().generate(made))
    assert (out[made:] == 9).all()


# ---- numbers and arrays of other kinds -----------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int64])
def test_small_numpy_integers_count_like_any(dtype):
    end = FrameConditioning(
        channels=3, hop=dtype(20), speakers=("a", "b"), speaker_channels=dtype(2)
    )
    spec = small_spec(conditioning=end)
    frames, model = random_frames(spec, 800, 1), model_of(spec)
    found = fw.generate(model, seed=5, frames=frames, speaker=dtype(1))
    assert np.array_equal(found, fw.generate(model, seed=5, frames=frames, speaker="b"))
    blocks = list(generator().stream(chunk=dtype(100), n_samples=300))
    assert [len(block) for block in blocks] == [100] * 3
    assert len(fw.generate(model_of(SPEC), seconds=dtype(1))) == SPEC.sample_rate


@pytest.mark.parametrize("order", "<>")
def test_int16_is_refused_in_either_byte_order(order):
    with pytest.raises(TypeError, match="may be audio or codes"):
        nats(np.zeros(9, f"{order}i2"))


def test_masked_and_complex_arrays_are_refused():
    spec = small_spec(conditioning=FrameConditioning(channels=3))
    masked = np.ma.masked_array(AUDIO, AUDIO > 0.5)
    for call in (lambda: nats(masked), lambda: generator().prime(masked)):
        with pytest.raises(TypeError, match="without a mask"):
            call()
    with pytest.raises(ValueError, match="out must be"):
        generator().generate(5, out=np.ma.zeros(5, np.float32))
    frames = random_frames(spec, 5, 1)
    for wrong in (np.ma.masked_array(frames), frames.astype(complex)):
        with pytest.raises(TypeError, match="frames must be"):
            generator(spec).generate(5, frames=wrong)


def test_the_hosts_errors_of_numpy_do_not_matter():
    spec = small_spec(conditioning=FrameConditioning(channels=3))
    frames = np.full((5, 3), 1e-42)
    with np.errstate(all="raise"):
        assert generator(spec).generate(5, frames=frames).shape == (5,)
        with pytest.raises(ValueError, match="finite"):
            generator(spec).generate(5, frames=frames * 1e300 * 1e42)


@pytest.mark.parametrize(
    "call",
    [
        lambda n: generator().generate(n),
        lambda n: generator(seed=n),
        lambda n: generator(top_k=n),
        lambda n: generator(temperature=n),
        lambda n: fw.generate(model_of(SPEC), n),
        lambda n: fw.score(model_of(SPEC), CODES, threads=n),
    ],
)
def test_a_number_of_thousands_of_digits_is_shortened_in_the_message(call):
    with pytest.raises(ValueError, match=r"not a number of 16610 bits"):
        call(10**5000)
