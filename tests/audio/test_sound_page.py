"""Pages with sounds: whole in one file, and usable without scripts, eyes or a mouse."""

import numpy as np
import pytest
from pages import whole_page
from recordings import noise, tone

from fastwavenet.sound_page import Version, comparison, document, header, section, table, tiles

RATE = 16000
VERSIONS = [
    Version("recording", "The original.", tone(), RATE),
    Version("a <b> & co", "", noise(RATE // 2), RATE),
    Version("faint", "Of another rate.", noise(4000, amplitude=1e-4), 8000),
]


def page_of(*bodies):
    return whole_page(document("sounds & pages", "\n".join(bodies)))


@pytest.fixture(scope="module")
def page():
    return page_of(comparison("Compare", "All of it.", VERSIONS))


def test_a_page_has_each_sound_once_with_the_samples_of_16_bits(page):
    found = page.named_sounds()
    assert [name for name, _, _ in found] == [version.name for version in VERSIONS]
    for version, (_, samples, rate) in zip(VERSIONS, found, strict=True):
        assert rate == version.sample_rate
        expected = np.minimum(np.rint(version.audio.astype(float) * 32768), 32767)
        np.testing.assert_array_equal(samples, expected)


def test_each_sound_has_a_label_and_each_picture_a_description(page):
    for version, figure in zip(VERSIONS, page.figures, strict=True):
        assert figure["audio"]["aria-label"] == version.name
        extent = f"0 to {version.sample_rate / 2000:g} kHz over {version.seconds:.1f} s"
        assert figure["img"]["alt"] == f"spectrogram of {version.name}, {extent}"


def test_without_scripts_a_page_has_players_and_no_empty_bar(page):
    assert all("controls" in figure["audio"] for figure in page.figures)
    bars = [attributes for _, attributes in page.tags if attributes.get("class") == "switch"]
    assert len(bars) == 1 and "hidden" in bars[0] and bars[0]["aria-label"]


def test_pictures_have_one_scale_of_time(page):
    widths = [figure["div"]["style"] for figure in page.figures]
    assert widths == ["width:100.00%", "width:50.00%", "width:50.00%"]


def test_a_sound_alone_is_compared_with_nothing():
    page = page_of(comparison("Alone", "", VERSIONS[:1]))
    assert len(page.figures) == 1
    assert not [tag for tag, attributes in page.tags if attributes.get("class") == "switch"]


def test_names_texts_and_numbers_are_text_and_no_tags(page):
    assert "a <b> & co" in page.text and "All of it." in page.text
    evil = "<script>&"
    for html in (
        header(evil, evil, evil),
        section(evil, "", "x"),
        table([evil, evil], [[evil, evil]]),
        tiles([(evil, evil, evil)]),
    ):
        assert page_of(html).text.count(evil) == html.count("&lt;script&gt;&amp;") > 0


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_table_has_heads_of_columns_and_rows(rows):
    page = page_of(table(["name", "speed"], [[f"n{i}", str(i)] for i in range(rows)]))
    scopes = [attributes["scope"] for tag, attributes in page.tags if tag == "th"]
    assert scopes == ["col"] * 2 + ["row"] * rows


@pytest.mark.parametrize("n", [1, 255, 256, 257])
def test_a_sound_of_any_length_has_a_player(n):
    page = page_of(comparison("Short", "", [Version("short", "", noise(n), RATE)]))
    assert [(len(samples), rate) for _, samples, rate in page.named_sounds()] == [(n, RATE)]
