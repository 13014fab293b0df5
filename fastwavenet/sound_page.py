"""Web pages with sounds, each in one file without outside resources.

Sounds and spectrograms are data URIs, so a page is complete without scripts.  The script moves a
line over the spectrogram of the sound that plays, and adds buttons to a comparison, which continue
with another version at the position of the present one.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

from .audio import encode_audio
from .picture import spectrogram_png
from .types import Audio

FLAC, PNG = "data:audio/flac;base64,", "data:image/png;base64,"


@dataclass(frozen=True)
class Version:
    """A sound among others that it is compared with.

    name         a short noun phrase
    text         a sentence about it, or none
    audio        float32 (n,), n > 0
    sample_rate  Hz
    """

    name: str
    text: str
    audio: Audio
    sample_rate: int

    @property
    def seconds(self) -> float:
        return len(self.audio) / self.sample_rate


def document(title: str, body: str) -> str:
    """The whole page.  body: HTML."""
    style, script = (_resource(name) for name in ("page.css", "page.js"))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"{body}\n</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _resource(name: str) -> str:
    return (resources.files("fastwavenet") / "data" / name).read_text("utf-8")


def header(kind: str, title: str, *paragraphs: str) -> str:
    """kind: of the page, above its title."""
    texts = "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    return f'<header><p class="kind">{escape(kind)}</p><h1>{escape(title)}</h1>{texts}</header>'


def section(heading: str, body: str, name: str) -> str:
    """body: HTML; name: of the class."""
    return f'<section class="{name}"><h2>{escape(heading)}</h2>{body}</section>'


def tiles(facts: Sequence[tuple[str, str, str]]) -> str:
    """label, value and unit of each fact"""
    each = (
        f"<div><dt>{escape(label)}</dt><dd>{escape(value)}<small>{escape(unit)}</small></dd></div>"
        for label, value, unit in facts
    )
    return f'<dl class="tiles">{"".join(each)}</dl>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first cell of a row is its head."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(text)}</td>" for text in rest)
        + "</tr>"
        for first, *rest in rows
    )
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{whole}</div>'


# ---- sounds --------------------------------------------------------------------------------------


def comparison(heading: str, text: str, versions: Sequence[Version]) -> str:
    """A section of players, on the same scale of time."""
    longest = max(version.seconds for version in versions)
    players = "".join(_version(version, version.seconds / longest) for version in versions)
    bar = (
        '<div class="switch" role="group" hidden aria-label="Continue with another version at the '
        'same position; also with the keys 1 to 9"></div>'
    )
    several = len(versions) > 1
    body = f'<p>{escape(text)}</p>{bar if several else ""}<div class="sounds">{players}</div>'
    return section(heading, body, "listen compare" if several else "listen")


def _version(version: Version, share: float) -> str:
    caption = f"<b>{escape(version.name)}</b> {escape(version.text)}".rstrip()
    rate = version.sample_rate
    shown = picture(
        spectrogram_uri(version.audio, rate),
        f"spectrogram of {version.name}",
        (version.seconds, rate),
        share,
    )
    return player(version.name, caption, flac_uri(version.audio, rate), shown)


def player(name: str, caption: str, audio: str, shown: str, key: str = "") -> str:
    """A figure with a sound.

    name: for readers of the screen; caption: HTML; audio: a data URI; shown: a `picture`; key: of
    the figure, for programs that read the page
    """
    return (
        f'<figure data-sound="{escape(key)}"><figcaption>{caption}</figcaption>{shown}'
        f'<audio controls preload="metadata" aria-label="{escape(name)}" src="{audio}"></audio>'
        f"</figure>"
    )


def picture(
    source: str, name: str, extent: tuple[float, int], share: float = 1.0, begins: float = 0.0
) -> str:
    """A spectrogram with the line of the present position.

    source: a data URI; extent: seconds, and the sample rate in Hz; share: of the figure's width;
    begins: seconds to a dashed line, 0 for none
    """
    seconds, sample_rate = extent
    border = ""
    if begins:
        border = f'<i class="begins" style="left:{100 * begins / seconds:.2f}%"></i>'
    alt = f"{name}, 0 to {sample_rate / 2000:g} kHz over {seconds:.1f} s"
    return (
        f'<div class="picture" style="width:{100 * share:.2f}%">'
        f'<img src="{source}" alt="{escape(alt)}">{border}<i class="now"></i></div>'
    )


def flac_uri(audio: Audio, sample_rate: int) -> str:
    """float (n,), n > 0, as FLAC of 16 bits"""
    return _uri(FLAC, encode_audio(audio, sample_rate, "FLAC"))


def spectrogram_uri(audio: Audio, sample_rate: int) -> str:
    return _uri(PNG, spectrogram_png(audio, sample_rate))


def _uri(kind: str, data: bytes) -> str:
    return kind + base64.b64encode(data).decode("ascii")
