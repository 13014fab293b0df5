"""The arrays of mu-law coding: any shape, strides and type, `out`, and those that are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mulaw_codes import every_code

import fastwavenet as fw
from fastwavenet import mu_law_decode, mu_law_encode, reference

# ---- shapes and types --------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 31, 32, 33, 1000])
@pytest.mark.parametrize("levels", [256, 300])
def test_any_length_is_coded_in_place_and_no_further(n, levels, isa):
    audio = np.random.default_rng(n).uniform(-1, 1, n).astype(np.float32)
    codes = mu_law_encode(audio, levels, isa=isa)
    assert codes.dtype == every_code(levels).dtype
    assert np.array_equal(codes, reference.mu_law_encode(audio, levels))
    assert np.array_equal(mu_law_decode(codes, levels, isa=isa), every_amplitude(levels)[codes])
    samples = (audio * 2**15).astype(np.int16)
    codes = mu_law_encode(samples, levels, isa=isa)
    assert np.array_equal(codes, reference.mu_law_encode(samples / 2**15, levels))


def every_amplitude(levels: int) -> np.ndarray:
    return mu_law_decode(every_code(levels), levels)


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 3, 4), (0,), (3, 0), (0, 3)])
def test_any_shape_is_kept(shape):
    audio = np.random.default_rng(1).uniform(-1, 1, shape)
    for given_audio in (audio, np.float32(audio), (audio * 1000).astype(np.int16)):
        codes = mu_law_encode(given_audio)
        assert codes.shape == shape
        assert mu_law_decode(codes).shape == shape


def views(array: np.ndarray) -> list[np.ndarray]:
    """An array (n, m) seen in other orders, strides and byte orders; those longer than a buffer."""
    swapped = array.astype(array.dtype.newbyteorder())
    fortran = np.asfortranarray(array)
    same = np.broadcast_to(array[:1], array.shape)
    return [array.T, array[::-1], array[::3, 1::2], array[:, 0], fortran, fortran[1:], swapped,
            swapped.T, same, array[:0], array[5:6, 3]]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("levels", [256, 300])
def test_strides_and_byte_order_do_not_matter(dtype, levels):
    audio = np.random.default_rng(1).uniform(-1.1, 1.1, (9000, 6))
    audio = (audio * (29000 if dtype == np.int16 else 1)).astype(dtype)
    for view in views(audio):
        view.flags.writeable = False
        plain = view.astype(dtype, order="C")
        codes = mu_law_encode(view, levels)
        assert codes.flags.c_contiguous
        assert np.array_equal(codes, mu_law_encode(plain, levels))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int64, np.uint64])
@pytest.mark.parametrize("levels", [200, 256, 300])
def test_strides_and_types_of_codes_do_not_matter(dtype, levels):
    codes = np.random.default_rng(1).integers(0, 200, (9000, 6)).astype(dtype)
    for view in views(codes):
        view.flags.writeable = False
        plain = np.ascontiguousarray(view).astype(every_code(levels).dtype)
        for audio_type in (np.float32, np.int16):
            audio = mu_law_decode(view, levels, dtype=audio_type)
            assert audio.flags.c_contiguous
            assert np.array_equal(audio, mu_law_decode(plain, levels, dtype=audio_type))


def test_a_list_is_audio_if_it_holds_fractions_and_codes_are_any_integers():
    assert mu_law_encode([0.0, 1.0]).tolist() == [128, 255]
    assert mu_law_decode([0, 255]).tolist() == [-1, 1]
    for dtype in (np.int8, np.int64, np.uint64):
        assert (
            mu_law_decode(np.array([0, 100], dtype)).tolist()
            == every_amplitude(256)[[0, 100]].tolist()
        )


def outs(shape: tuple[int, int], dtype: type) -> list[np.ndarray]:
    """Arrays of one shape, contiguous, in Fortran order, with gaps and backwards."""
    rows, columns = shape
    plain, fortran = np.zeros(shape, dtype), np.zeros(shape, dtype, order="F")
    gaps, backwards = np.zeros((2 * rows, columns), dtype)[::2], np.zeros(shape, dtype)[::-1, ::-1]
    return [plain, fortran, gaps, backwards]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("levels", [256, 300])
def test_out_receives_the_result_and_is_returned(levels, dtype):
    audio = np.random.default_rng(1).uniform(-1, 1, (3000, 7)).astype(dtype)
    codes = mu_law_encode(audio, levels)
    for order in "CF":
        for out in outs(codes.shape, codes.dtype):
            assert mu_law_encode(np.array(audio, order=order), levels, out=out) is out
            assert np.array_equal(out, codes)
        for audio_type in (np.float32, np.int16):
            decoded = mu_law_decode(codes, levels, dtype=audio_type)
            for out in outs(codes.shape, audio_type):
                given = np.array(codes, order=order)
                assert mu_law_decode(given, levels, out=out, dtype=audio_type) is out
                assert np.array_equal(out, decoded)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,)])
def test_out_of_any_shape(shape):
    audio = np.full(shape, 0.5)
    out, back = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    assert mu_law_encode(audio, out=out) is out
    assert mu_law_decode(out, out=back) is back
    assert np.all(out == 239)
    assert np.array_equal(back, mu_law_decode(out))


def test_what_out_does_not_show_is_left_alone():
    whole = np.full(40, 7, np.uint8)
    mu_law_encode(np.zeros(33, np.float32), out=whole[3:36])
    mu_law_encode(np.zeros(2), out=whole[37::2])
    assert whole.tolist() == [7] * 3 + [128] * 33 + [7, 128, 7, 128]


@pytest.mark.parametrize("kind", ["i2", "f4", "f8"])
@pytest.mark.parametrize("shift", [-3, -1, 0, 1, 3, 20000])
@pytest.mark.parametrize("step", [1, -1, 2])
def test_out_may_overlap_what_is_coded(shift, step, kind):
    """Codes and audio in the same memory, whichever lies first."""
    n, memory = 20_000, np.zeros(8 * 100_000, np.uint8)
    audio = memory.view(kind)[25_000:][:n][::step]
    audio[:] = np.random.default_rng(1).uniform(-1, 1, n)[: len(audio)] * (
        99 if kind[0] == "i" else 1
    )
    start = audio.__array_interface__["data"][0] - memory.ctypes.data
    start = start if step > 0 else start - audio.itemsize * (n - 1)
    codes = memory[start + shift * 2 :].view(np.uint16)[: len(audio)]
    expected = mu_law_encode(audio.copy(), 1000)
    assert np.array_equal(mu_law_encode(audio, 1000, out=codes), expected)
    if kind != "f8":
        decoded = mu_law_decode(expected, 1000, dtype=kind)
        assert np.array_equal(mu_law_decode(codes, 1000, out=audio, dtype=kind), decoded)


def test_what_is_wrong_is_named_also_where_out_overlaps_it():
    codes = np.array([5, 400], np.uint16)
    with pytest.raises(ValueError, match="codes must be from 0 to 299: 400 at index 1$"):
        mu_law_decode(codes, 300, out=codes.view(np.int16), dtype=np.int16)
    audio = np.array([0.5, np.nan], np.float32)
    with pytest.raises(ValueError, match="audio must be finite: nan at index 1$"):
        mu_law_encode(audio, out=audio.view(np.uint8)[4:6])


# ---- wrong arguments ---------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 1, 15, 16, 17, 31, 32, 39])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_number_that_is_not_finite_is_named(bad, at, dtype, isa):
    audio = np.zeros(40, dtype)
    audio[at:] = bad
    with pytest.raises(ValueError, match=rf"finite: {bad} at index {at}$"):
        mu_law_encode(audio, isa=isa)


def test_an_index_of_more_dimensions_is_named_whole():
    audio = np.zeros((3, 4, 5))
    audio[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"nan at index \(1, 2, 3\)"):
        mu_law_encode(audio)
    codes = np.zeros((3, 4), int)
    codes[2, 1] = 256
    with pytest.raises(ValueError, match=r"from 0 to 255: 256 at index \(2, 1\)"):
        mu_law_decode(codes)
    with pytest.raises(ValueError, match=r"nan at index \(3, 2, 1\)"):
        mu_law_encode(audio.T)


@pytest.mark.parametrize("order", "CF")
def test_the_first_index_is_the_first_of_c_order_in_any_order(order):
    audio = np.zeros((300, 200), order=order)
    audio[7, 150] = audio[200, 3] = np.inf
    with pytest.raises(ValueError, match=r"inf at index \(7, 150\)"):
        mu_law_encode(audio)
    codes = np.zeros((300, 200), np.uint16, order=order)
    codes[7, 150] = codes[200, 3] = 300
    for step in (1, 2):
        at = rf"\(7, {150 // step}\)"
        with pytest.raises(ValueError, match=rf"from 0 to 299: 300 at index {at}"):
            mu_law_decode(codes[:, ::step], 300)


def test_a_float64_beyond_float32_is_not_finite():
    with pytest.raises(ValueError, match=r"finite: 1e\+300 at index 1"):
        mu_law_encode([0.0, 1e300])


@pytest.mark.parametrize("levels", [2, 255, 257, 300, 65535])
@pytest.mark.parametrize("at", [0, 16, 39])
@pytest.mark.parametrize("dtype", [None, np.int64])
def test_the_first_code_out_of_range_is_named(levels, at, dtype, isa):
    codes = np.zeros(40, dtype or every_code(levels).dtype)
    codes[at:] = levels
    message = rf"from 0 to {levels - 1}: {levels} at index {at}$"
    for audio_type in (np.float32, np.int16):
        with pytest.raises(ValueError, match=message):
            mu_law_decode(codes, levels, dtype=audio_type, isa=isa)


@pytest.mark.parametrize("code", [-1, -256, 256, 2**16, 2**40])
def test_a_code_that_does_not_fit_its_type_is_out_of_range(code):
    with pytest.raises(ValueError, match=f"codes must be from 0 to 255: {code} at index 1"):
        mu_law_decode([0, code])


@pytest.mark.parametrize("levels", [0, 1, -1, 65537, 2.5, 256.0, "256", [256], None, True])
def test_levels_are_a_whole_number_from_2_to_65536(levels):
    mu_law_encode(np.zeros(3))  # 256 levels are remembered from now on
    for call in (mu_law_encode, mu_law_decode):
        with pytest.raises(ValueError, match="levels must be a whole number from 2 to 65536, not"):
            call(np.zeros(3, np.uint8), levels)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.float16, complex, bool, object, str])
def test_audio_is_float32_float64_or_int16(dtype):
    with pytest.raises(TypeError, match="audio must be float32, float64 or int16, not"):
        mu_law_encode(np.zeros(3, dtype))


@pytest.mark.parametrize("dtype", [np.float32, bool, object, str])
def test_codes_are_integers(dtype):
    with pytest.raises(TypeError, match="codes must be integers, not"):
        mu_law_decode(np.zeros(3, dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.uint8])
def test_amplitudes_are_float32_or_int16(dtype):
    with pytest.raises(TypeError, match="dtype must be float32 or int16, not"):
        mu_law_decode([1, 2, 3], dtype=dtype)


def test_out_must_fit():
    for out in (
        np.zeros(4, np.uint8),
        np.zeros(3, np.uint16),
        np.zeros((1, 3), np.uint8),
        [0, 0, 0],
    ):
        with pytest.raises(ValueError, match=r"out must be uint8 \(3,\), not"):
            mu_law_encode(np.zeros(3), out=out)
    with pytest.raises(ValueError, match=r"out must be uint16 \(3,\), not uint8"):
        mu_law_encode(np.zeros(3), 300, out=np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match=r"out must be float32 \(3,\), not float64 \(3,\)"):
        mu_law_decode([1, 2, 3], out=np.zeros(3))
    with pytest.raises(ValueError, match=r"out must be float32 \(3,\), not >f4 \(3,\)"):
        mu_law_decode([1, 2, 3], out=np.zeros(3, ">f4"))


@pytest.mark.parametrize("n", [0, 3])
def test_out_must_be_writable(n):
    out = np.zeros(n, np.uint8)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writable, not read-only"):
        mu_law_encode(np.zeros(n), out=out)


@given(
    audio=st.lists(st.floats(width=32), max_size=40),
    levels=st.integers(2, 65536),
    isa=st.sampled_from(fw.available_isas()),
)
def test_audio_is_coded_or_refused(audio, levels, isa):
    audio = np.array(audio, np.float32)
    try:
        codes = mu_law_encode(audio, levels, isa=isa)
    except ValueError:
        assert not np.isfinite(audio).all()
        return
    assert np.isfinite(audio).all()
    assert codes.max(initial=0) < levels
    again = mu_law_encode(mu_law_decode(codes, levels, isa=isa), levels, isa=isa)
    assert np.array_equal(again, codes)
