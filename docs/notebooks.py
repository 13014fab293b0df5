"""Writes the chapters of the course as Jupyter notebooks, whose answers are folded.

    python docs/notebooks.py [FOLDER]        `make notebooks`

In Markdown an answer is folded by <details>, which cannot hold the cells of a notebook: there the
cells between <details> and </details> are folded one by one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext

COURSE = Path(__file__).parent / "course"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook(markdown: str):
    """A chapter as a notebook of nbformat."""
    made = jupytext.reads(markdown, "md")
    made.metadata["kernelspec"] = KERNEL
    folded = False
    for cell in made.cells:
        if cell.cell_type == "markdown":
            folded = cell.source.rfind("<details>") > cell.source.rfind("</details>")
            cell.source = cell.source.removeprefix("</details>").lstrip()
        elif folded:
            cell.metadata["jupyter"] = {"source_hidden": True}
    made.cells = [cell for cell in made.cells if cell.source]
    return made


def write(folder: Path) -> None:
    for chapter in sorted(COURSE.glob("[0-9]*.md")):
        file = folder / f"{chapter.stem}.ipynb"
        jupytext.write(notebook(chapter.read_text("utf-8")), file, fmt="ipynb")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else COURSE)
