"""Runs a chapter of the course as a program, for the tests of its claims."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from c_build import ROOT
from documents import blocks, prose

COURSE = ROOT / "docs/course"

Names = dict  # name -> value, of a chapter's cells at their end
Run = Callable[[str], Names]
Claim = tuple  # words of the text with # for numbers, an expression of names, maybe a tolerance

NUMBER = r"(-?\d+(?:,\d{3})*(?:\.\d+)?)"


@pytest.fixture(scope="session")
def chapter() -> Run:
    """The number of a chapter, "01" -> its names; each chapter runs once in a process."""
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("Agg")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    kept: dict[str, Names] = {}

    def run(number: str) -> Names:
        if number not in kept:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            with torch.enable_grad():  # whatever a chapter leaves behind
                kept[number] = _run(number)
            torch.set_num_threads(threads)
        return kept[number]

    return run


@pytest.fixture
def names(request, chapter) -> Names:
    """Those of the chapter whose number is in the name of the test's file."""
    return chapter(request.path.name.removeprefix("test_")[:2])


@pytest.fixture
def mistaken(request, names) -> Callable[[list[Claim]], list[str]]:
    """The claims of the chapter's text that its cells do not compute.

    Without a tolerance, a number of the text is the computed one rounded to as many decimals.
    """
    path = _path(request.path.name.removeprefix("test_")[:2])
    text = " ".join(prose(path.read_text()).split())

    def check(claims: list[Claim]) -> list[str]:
        return [
            f"{words}: {computed}"
            for words, expression, *tolerance in claims
            if not _agree(text, words, computed := eval(expression, dict(names)), *tolerance)
        ]

    return check


def _agree(text: str, words: str, computed, tolerance: float = 0.0) -> bool:
    """Whether the words stand once in the text, with the computed numbers in the place of #."""
    found = [*re.finditer(re.escape(words).replace(r"\#", NUMBER), text)]
    assert len(found) == 1, f"{len(found)} times in the text: {words}"
    stated = [number.replace(",", "") for number in found[0].groups()]
    rounding = [0.5001 * 10.0 ** -len(number.partition(".")[2]) for number in stated]
    off = np.abs(np.array(stated, float) - np.ravel(computed).astype(float))
    return bool(np.all(off <= np.maximum(rounding, tolerance)))


def _path(number: str) -> Path:
    (path,) = COURSE.glob(f"{number}-*.md")
    return path


def _run(number: str) -> Names:
    path = _path(number)
    names: Names = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(COURSE)
        patch.setattr(sys, "path", [str(COURSE), *sys.path])
        for block in blocks(path.read_text()):
            if block.language == "python":
                code = "\n" * (block.line - 1) + block.text
                exec(compile(code, path, "exec"), names)
    return names
