"""The tables of a README: those of one machine are replaced, those of others stay."""

from __future__ import annotations

import re
from pathlib import Path

from ..atomic import read_regular, replace_atomically
from ..shown import shown
from .results import core_of
from .table import BEGIN_MACHINE, markdown

BEGIN = "<!-- speed: written by `fastwavenet bench --readme` -->"
BEGIN_SHORT = "<!-- speed in short: written by `fastwavenet bench --readme` -->"
END = "<!-- end of speed -->"


def write_readme(path: str | Path, results: dict) -> None:
    """Writes the tables between BEGIN, or BEGIN_SHORT, and END.

    Those of a CPU of the same name are replaced; a new one's come after the others.

    Raises ValueError if the file has not one of the first and after it one of the last, each on a
    line of its own; OSError if it cannot be read or written.
    """
    before, begin, old, after = parts_of_readme(path)
    machines = [part.strip() for part in re.split(f"(?m)^(?={BEGIN_MACHINE})", old)]
    kept = [part for part in machines if part.startswith(BEGIN_MACHINE)]
    tables = "\n\n".join(_with_machine(kept, results, short=begin == BEGIN_SHORT))
    replace_atomically(path, f"{before}{begin}\n\n{tables}\n\n{after}".encode())


def _with_machine(parts: list[str], results: dict, short: bool) -> list[str]:
    """parts: the tables of each machine, which begin with its name."""
    new, name = markdown(results, short), f"{BEGIN_MACHINE}{core_of(results)},"
    others = [part for part in parts if not part.startswith(name)]
    at = next((i for i, part in enumerate(parts) if part.startswith(name)), len(parts))
    return [*others[:at], new, *others[at:]]


def parts_of_readme(path: str | Path) -> tuple[str, str, str, str]:
    """The text before the tables, BEGIN or BEGIN_SHORT, the tables, and the text from END on.

    Raises ValueError as `write_readme` does.
    """
    text = read_regular(path).decode().replace("\r\n", "\n")
    lines = "|".join(map(re.escape, (BEGIN, BEGIN_SHORT, END)))
    marks = [(m.start(), m.group()) for m in re.finditer(f"(?m)^(?:{lines})$", text)]
    if [mark == END for _, mark in marks] != [False, True]:
        raise ValueError(
            f"{shown(Path(path))}: expected one line {BEGIN!r} and after it one line {END!r}"
        )
    (start, begin), (end, _) = marks
    return text[:start], begin, text[start + len(begin) : end], text[end:]
