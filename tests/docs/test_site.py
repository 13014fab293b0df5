"""The site of `make docs`: built without a warning, complete, each link and picture in place."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from c_build import ROOT
from test_api_reference import configured

pytestmark = pytest.mark.slow  # runs all chapters of the course


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("furo", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-c",
        "docs",
        ".",
        folder,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0 and "WARNING: " not in done.stderr, done.stderr
    return folder


class Page(HTMLParser):
    """The targets of a page's links and resources, and its anchors."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: set[str] = set()
        self.resources: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.anchors.add(named.get("id"))
        if tag == "a":
            self.links.add(named.get("href") or "")
        elif tag in ("script", "img", "audio", "iframe"):
            self.resources.add(named.get("src") or "")
        elif tag == "link":
            self.resources.add(named.get("href") or "")


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_links_within_the_site_lead_to_a_page_and_an_anchor_of_it(pages):
    wrong = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or not link or link == "#":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = pages.get(target)
            if not target.exists() or (there and parts.fragment not in {"", *there.anchors}):
                wrong.append((path.name, link))
    assert wrong == []


def test_pages_load_nothing_from_elsewhere(pages):
    for path, page in pages.items():
        for resource in page.resources:
            parts = urlsplit(resource)
            assert parts.scheme in ("", "data") and not parts.netloc, (path, resource)
            assert parts.scheme or not parts.path or (path.parent / parts.path).exists(), resource


def test_the_reference_holds_every_public_name(pages, site):
    anchors = pages[site / "docs/api/index.html"].anchors
    for module, names in configured().items():
        assert {f"{module}.{name}" for name in names} <= anchors


def test_chapters_show_their_pictures_and_sounds(pages, site):
    chapters = sorted((ROOT / "docs/course").glob("[0-9]*.md"))
    for chapter in chapters:
        page = pages[site / f"docs/course/{chapter.stem}.html"]
        assert any(re.match("data:image/", resource) for resource in page.resources), chapter
    assert chapters


def test_chapters_about_drawing_hold_the_play_page(pages, site):
    assert (site / "docs/play/fastwavenet/index.js").exists()
    for name in ("11-softmax-and-loss", "13-generating"):
        assert "../play/index.html" in pages[site / f"docs/course/{name}.html"].resources


def test_the_search_finds_the_chapters(site):
    index = (site / "searchindex.js").read_text()
    assert all(path.stem in index for path in (ROOT / "docs/course").glob("[0-9]*.md"))
