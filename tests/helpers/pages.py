"""Reading pages with sounds: their tags, their text and their sounds."""

import base64
import io
import json
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import soundfile

VOID = {"meta", "img"}


class Page(HTMLParser):
    """Raises AssertionError where tags are not nested.

    tags     (name, attributes) in the page's order
    figures  name of a tag -> attributes, of each figure with a sound
    text     all text but styles and scripts
    """

    def __init__(self, html):
        super().__init__()
        self.tags, self.figures, self.text, self.open = [], [], "", []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "figure" and "data-sound" in dict(attrs):
            self.figures.append({})
        if self.figures:
            self.figures[-1].setdefault(tag, dict(attrs))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def sounds(self):
        """(step, index) -> (facts, samples int16 (n,)) of each figure."""
        found = {}
        for figure in self.figures:
            facts = json.loads(figure["figure"]["data-sound"])
            samples, rate = sound_of(figure)
            assert rate == facts["sample_rate"]
            found[facts["step"], facts["index"]] = facts, samples
        return found

    def named_sounds(self):
        """(name, samples int16 (n,), sample rate) of each figure."""
        return [(figure["audio"]["aria-label"], *sound_of(figure)) for figure in self.figures]


def sound_of(figure):
    """Samples int16 (n,) and sample rate; its picture is a PNG."""
    assert png_shape(decoded(figure["img"]["src"], "data:image/png;base64,"))[0] > 0
    flac = decoded(figure["audio"]["src"], "data:audio/flac;base64,")
    return soundfile.read(io.BytesIO(flac), dtype="int16")


def whole_page(html):
    """The Page of HTML that is well-formed and needs nothing from outside, else AssertionError."""
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>\n")
    assert not re.search(r"https?:|//\w|@import|url\(", re.sub(r"base64,[\w+/=]+", "", html))
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert attributes.get("src", "data:").startswith("data:")
        assert not {"href", "srcset", "poster", "background", "action"} & attributes.keys()
    return page


def read_page(run):
    return Page((run / "report.html").read_text("utf-8"))


def decoded(uri, kind):
    assert uri.startswith(kind)
    return base64.b64decode(uri.removeprefix(kind), validate=True)


def png_shape(data):
    return read_png(data)[0].shape


def read_png(data):
    """Pixels (rows, columns), and colours (n, 3), of a PNG with a palette and without filters."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert int.from_bytes(data[at + 8 + size : at + 12 + size]) == zlib.crc32(name + body)
        chunks[name], at = body, at + 12 + size
    columns, rows = (int.from_bytes(chunks[b"IHDR"][i : i + 4]) for i in (0, 4))
    assert chunks[b"IHDR"][8:] == bytes([8, 3, 0, 0, 0])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(rows, columns + 1)
    assert not lines[:, 0].any()
    return lines[:, 1:], np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
