"""Counts two habits of unclear prose in comments, docstrings and documents; `make lint` runs it.

    python tests/helpers/prose.py [--limit 2.0]

"what": a clause in place of a noun ("what a step reads" for "the weights of a step").
speech: code that says, tells, hears, asks, knows or wants, in place of the operation it performs.

Prints each place, and the counts per 1,000 words of C comments, Python comments and docstrings, and
documents without their code.  With a limit the exit code is 1 if a count is above it.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HABITS = {
    "what": re.compile(r"\bwhat\b", re.IGNORECASE),
    "speech": re.compile(
        r"\b(?:say(?:s|ing)?|said|tells?|told|hears?|heard|asks?|asked|wants?|wanted|knows?|known"
        r"|speaks?|spoken)\b",
        re.IGNORECASE,
    ),
}
C_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
MARKDOWN_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`|<!--.*?-->", re.DOTALL | re.MULTILINE)

Texts = Iterator[tuple[int, str]]  # line of the first character, prose


def c_prose(text: str) -> Texts:
    """The comments of C."""
    for comment in C_COMMENT.finditer(text):
        yield text.count("\n", 0, comment.start()) + 1, comment[0]


def python_prose(text: str) -> Texts:
    """The comments of Python or Cython, and the strings that are statements: docstrings."""
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        starts = before in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and starts):
            yield token.start[0], token.string
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            before = token.type


def markdown_prose(text: str) -> Texts:
    """A document without its code, which keeps its line breaks."""
    yield 1, MARKDOWN_CODE.sub(lambda code: "\n" * code[0].count("\n"), text)


Reader = Callable[[str], Texts]
KINDS: dict[str, tuple[Reader, tuple[str, ...]]] = {
    "C": (c_prose, ("csrc/**/*.[ch]",)),
    "Python": (
        python_prose,
        ("fastwavenet/**/*.py", "fastwavenet/**/*.pyx", "fastwavenet/**/*.pxd"),
    ),
    "documents": (markdown_prose, ("README.md", "CONTRIBUTING.md", "docs/*.md", "bench/*.md")),
}


def habits(text: str, read: Reader) -> tuple[int, list[tuple[int, str, str]]]:
    """The number of words in the prose of a file, and its habits: line, name, line of text."""
    words, found = 0, []
    for first, prose in read(text):
        words += len(re.findall(r"[A-Za-z]+", prose))
        for number, line in enumerate(prose.splitlines(), first):
            for habit, pattern in HABITS.items():
                found += [(number, habit, line.strip())] * len(pattern.findall(line))
    return words, found


def count(kind: str, root: Path = ROOT) -> dict[str, float]:
    """Habit -> occurrences per 1,000 words; prints each, and the counts."""
    read, patterns = KINDS[kind]
    words, counts = 0, dict.fromkeys(HABITS, 0)
    for path in sorted(file for pattern in patterns for file in root.glob(pattern)):
        more, found = habits(path.read_text(encoding="utf-8"), read)
        words += more
        for line, habit, text in found:
            counts[habit] += 1
            print(f"{path.relative_to(root)}:{line}: {habit}: {text[:100]}")
    rates = {habit: 1000 * n / max(words, 1) for habit, n in counts.items()}
    listed = ", ".join(f"{habit} {rate:.2f}" for habit, rate in rates.items())
    print(f"{kind}: {words} words; per 1,000: {listed}")
    return rates


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, help="per 1,000 words, of each habit and kind")
    limit = parser.parse_args().limit
    rates = [rate for kind in KINDS for rate in count(kind).values()]
    if limit is None or max(rates) <= limit:
        return 0
    print(f"a count is above {limit:g}: CONTRIBUTING.md, Prose", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
