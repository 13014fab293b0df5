"""The course as Jupyter notebooks: the cells of the chapters, those of the answers folded."""

import runpy

import pytest
from c_build import ROOT
from documents import blocks

CHAPTERS = sorted((ROOT / "docs/course").glob("[0-9]*.md"))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict:
    """A chapter's stem -> its notebook, as written."""
    jupytext = pytest.importorskip("jupytext", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("notebooks")
    runpy.run_path(str(ROOT / "docs/notebooks.py"))["write"](folder)
    return {path.stem: jupytext.read(path) for path in folder.glob("*.ipynb")}


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_notebook_has_a_chapters_cells_and_folds_those_of_the_answers(made, chapter):
    notebook, text = made[chapter.stem], chapter.read_text()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    written = [block.text.strip() for block in blocks(text) if block.language == "python"]
    assert [cell.source for cell in cells] == written
    answers = [part.partition("</details>")[0] for part in text.split("<details>")[1:]]
    of_answers = [b.text.strip() for part in answers for b in blocks(part) if b.language]
    folded = [c.source for c in cells if c.metadata.get("jupyter") == {"source_hidden": True}]
    assert folded == of_answers and len(folded) >= 2
    assert notebook.metadata["kernelspec"]["name"] == "python3"


def test_no_cell_begins_with_the_end_of_an_answer(made):
    for notebook in made.values():
        assert not any(cell.source.startswith("</details>") for cell in notebook.cells)
