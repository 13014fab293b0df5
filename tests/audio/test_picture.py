"""Pictures of spectrograms: a PNG that any reader shows, without matplotlib."""

import io
import subprocess
import sys

import numpy as np
import pytest
from pages import read_png
from recordings import tone

from fastwavenet.picture import (
    COLUMNS,
    ROWS,
    SHADES,
    encode_png,
    palette,
    spectrogram_pixels,
    spectrogram_png,
)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (3, 5), (128, 480)])
@pytest.mark.parametrize("colours", [1, 2, 255, 256])
def test_a_png_has_the_pixels_and_colours_that_were_given(shape, colours):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, colours, shape).astype(np.uint8)
    table = rng.integers(0, 256, (colours, 3)).astype(np.uint8)
    found, its_colours = read_png(encode_png(pixels, table))
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(its_colours, table)


def test_another_reader_of_png_agrees():
    image = pytest.importorskip("PIL.Image")
    pixels, table = spectrogram_pixels(tone(8000), 16000), palette()
    with image.open(io.BytesIO(encode_png(pixels, table))) as found:
        found.load()
        np.testing.assert_array_equal(np.asarray(found.convert("RGB")), table[pixels])


def test_a_tone_is_a_bright_line_at_its_frequency():
    pixels = spectrogram_pixels(tone(16000, 2000), 16000)
    assert pixels.shape == (ROWS, 122)
    brightest = pixels.argmax(axis=0)
    assert abs(ROWS - brightest / 1 - ROWS / 4).max() <= 1  # 2 of 8 kHz, from the bottom
    assert pixels.max() == SHADES - 1


@pytest.mark.parametrize("n", [0, 1, 511, 512, 513, 640, 80_000, 150_000])
def test_audio_of_any_length_has_a_picture_within_the_bounds(n):
    rows, columns = read_png(spectrogram_png(tone(n), 16000))[0].shape
    assert rows == ROWS and 1 <= columns <= COLUMNS


@pytest.mark.parametrize("rate", [10, 500, 8000, 48000, 192_000])
def test_a_rate_of_any_size_has_a_picture(rate):
    assert spectrogram_pixels(tone(2000), rate).shape[0] <= ROWS


def test_silence_is_dark_and_shades_become_brighter():
    assert not spectrogram_pixels(np.zeros(4000, np.float32), 16000).any()
    assert (np.diff(palette().astype(int).sum(axis=1)) > 0).all()


def test_colours_are_those_of_magma():
    matplotlib = pytest.importorskip("matplotlib")
    magma = matplotlib.colormaps["magma"](np.linspace(0, 1, SHADES))[:, :3] * 255
    assert abs(palette() - magma).max() < 12


def test_pictures_need_no_matplotlib():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import numpy as np\n"
        "from fastwavenet.picture import spectrogram_png\n"
        "assert spectrogram_png(np.zeros(999, np.float32), 16000)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
