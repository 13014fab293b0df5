"""The form of the course: chapters in order, with tested claims, two exercises and sources."""

import re

import pytest
from c_build import ROOT
from documents import blocks, prose

COURSE = ROOT / "docs/course"
CHAPTERS = sorted(COURSE.glob("[0-9][0-9]-*.md"))

FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]+\$", re.DOTALL)

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def test_the_chapters_are_numbered_and_listed_in_the_readme_and_on_the_site():
    numbers = [int(path.name[:2]) for path in CHAPTERS]
    assert numbers == list(range(1, len(CHAPTERS) + 1))
    listed = re.findall(r"\]\((\d\d-[\w-]+\.md)\)", (COURSE / "README.md").read_text())
    assert listed == [path.name for path in CHAPTERS]
    site = re.findall(r"^   course/(\d\d-[\w-]+)$", (ROOT / "docs/index.rst").read_text(), re.M)
    assert site == [path.stem for path in CHAPTERS]


@each_chapter
def test_a_chapter_has_its_number_two_exercises_with_hidden_answers_and_sources(path):
    text = path.read_text()
    assert text.startswith(f"# {int(path.name[:2])}. ")
    exercises = text.partition("\n## Exercises\n")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\*\*\d\.", exercises, re.M)) == 2
    assert exercises.count("<details>") == exercises.count("</details>") == 2
    assert "\n## Sources\n" in text


@each_chapter
def test_a_chapter_states_where_its_pictures_and_sounds_are(path):
    """A code host does not run the cells; the site leaves the line out."""
    (line,) = re.findall(r'^NOT_HERE = "(.*)"$', (ROOT / "docs/conf.py").read_text(), re.M)
    assert f"\n\n{line}\n\n" in path.read_text()


@each_chapter
def test_a_chapter_shows_something_to_see_and_its_claims_have_a_test(path):
    code = "".join(b.text for b in blocks(path.read_text()) if b.language == "python")
    assert "picture(" in code
    assert (ROOT / f"tests/course/test_{path.stem.replace('-', '_')}.py").exists()


@each_chapter
def test_a_chapter_has_no_cells_but_python(path):
    """Jupytext makes a cell of a block of any language that a notebook can run, a shell's too."""
    languages = {block.language for block in blocks(path.read_text())}
    assert languages <= {"python", "text", ""}


@each_chapter
def test_formulas_survive_a_code_hosts_markdown(path):
    """It takes a backslash before punctuation away, and splits $...$ at the end of a line."""
    for formula in FORMULA.findall(prose(path.read_text())):
        assert not re.search(r"\\[^A-Za-z ]", formula), formula
        assert formula.startswith("$$") or "\n" not in formula, formula
