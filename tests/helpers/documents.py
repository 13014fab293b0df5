"""The documents of the project, and a reader of their Markdown: blocks, links, headings."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from c_build import ROOT

DOCUMENTS = sorted(
    [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    + [*(ROOT / "docs").glob("*.md"), *(ROOT / "bench").glob("*.md")]
    + [*(ROOT / "docs/course").glob("*.md"), ROOT / "web/README.md"]
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)


class Block(NamedTuple):
    """A fenced block: language, what is in it, its first line's number, why it is not run."""

    language: str
    text: str
    line: int
    reason: str | None


FENCE = re.compile(
    r"^(?:<!--(?P<comment>[^\n]*)-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
NOT_RUN = re.compile(r" not run: (\S.{9,}) ")
IDENTIFIER = re.compile(r"`((?:[A-Za-z_]\w*\.)*)([A-Za-z_]\w*)(?:\(\))?`")


def blocks(markdown: str) -> list[Block]:
    found = []
    for fence in FENCE.finditer(markdown):
        comment = NOT_RUN.fullmatch(fence["comment"] or "")
        line = markdown.count("\n", 0, fence.start("text")) + 1
        found.append(Block(fence["language"], fence["text"], line, comment and comment[1]))
    return found


def prose(markdown: str) -> str:
    return FENCE.sub("", markdown)


def links(markdown: str) -> list[tuple[str, str]]:
    """(text, target) of each link and picture that leads to a file of ours."""
    found = [(link["text"], link["target"]) for link in LINK.finditer(prose(markdown))]
    return [(text, target) for text, target in found if "://" not in target]


def anchors(markdown: str) -> set[str]:
    """The anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(markdown), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}


def broken(path: Path, markdown: str) -> list[str]:
    """The targets of links in `markdown`, which stands at `path`, that are not there."""
    wrong = []
    for _, target in links(markdown):
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists():
            wrong.append(target)
        elif anchor:
            text = markdown if there == path else there.read_text()
            wrong += [] if anchor in anchors(text) else [target]
    return wrong


def undefined(path: Path, markdown: str) -> list[str]:
    """Names that link to a file of code which does not define them."""
    wrong = []
    for text, target in links(markdown):
        name, file = IDENTIFIER.fullmatch(text), path.parent / target
        suffixes = (".py", ".pyx", ".c", ".h")
        if not name or file.suffix not in suffixes or f".{name[2]}" in (*suffixes, ".md"):
            continue
        defined = rf"^(\s*(def|class) {name[2]}\b|\w[\w *]*\b{name[2]}\()"
        if not re.search(defined, file.read_text(), re.MULTILINE):
            wrong.append(f"{name[2]} in {target}")
    return wrong
