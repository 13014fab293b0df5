"""Runs a chapter of the course as a program, for the tests of its claims."""

import sys
from collections.abc import Callable

import pytest
from c_build import ROOT
from documents import blocks

COURSE = ROOT / "docs/course"

Names = dict  # name -> value, of a chapter's cells at their end
Run = Callable[[str], Names]


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


def _run(number: str) -> Names:
    (path,) = COURSE.glob(f"{number}-*.md")
    names: Names = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(COURSE)
        patch.setattr(sys, "path", [str(COURSE), *sys.path])
        for block in blocks(path.read_text()):
            if block.language == "python":
                code = "\n" * (block.line - 1) + block.text
                exec(compile(code, path, "exec"), names)
    return names
