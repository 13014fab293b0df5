"""Sphinx's configuration for the site: `make docs` writes it to build/docs.

Its sources are the Markdown files of the project, from the root, so that a link between them leads
to a page.  The chapters of the course are notebooks of Jupytext, in which each block of Python is a
cell, and run while the site is built.  The reference of the Python interface is made from the
docstrings, which are plain text with tables of `name  meaning`; api/plain_docstrings.py turns those
into reStructuredText.
"""

import re
import runpy
import sys
from pathlib import Path

import jupytext

import fastwavenet

sys.path.insert(0, str(Path(__file__).parent / "api"))
import plain_docstrings

project = "fastwavenet"
release = version = fastwavenet.__version__
copyright = "the fastwavenet authors"

root_doc = "docs/index"
include_patterns = ["*.md", "docs/**", "bench/*.md", "fastwavenet/*/*.md", "web/*.md"]
exclude_patterns = [".*", "build", "demo", "docs/listen.html", "docs/play", "tests"]
extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx-mathjax-offline", "myst_nb"]

# ---- pages ----
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 6  # GitHub's anchors
suppress_warnings = ["misc.highlighting_failure"]  # of mermaid

# ---- the chapters' cells ----
nb_execution_mode = "force"  # in each build of a changed chapter
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

# ---- the reference ----
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_type_aliases = {
    name: name.removeprefix("npt.")
    for name in ("npt.ArrayLike", "Audio", "Codes", "Isa", "Precision", "Progress")
}
add_module_names = False
python_maximum_signature_line_length = 80  # longer signatures have a line per argument
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
smartquotes = False  # precision="auto" is code

# ---- the site ----
html_theme = "furo"
html_title = "fastwavenet"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["static/index.html"]
html_copy_source = False
html_show_sourcelink = False


NOT_HERE = "Pictures and sounds: [on the site and in the notebooks](README.md#how-to-read-it)."


def as_notebook(app, name: str, source: list[str]) -> None:
    """A chapter's Markdown with Python in it -> MyST's Markdown with cells.

    NOT_HERE, for readers of the Markdown on a code host, is left out.
    """
    if Path(name).parent.name == "course" and Path(name).name[0].isdigit():
        notebook = jupytext.reads(source[0].replace(f"{NOT_HERE}\n\n", ""), "md")
        notebook.metadata |= {
            "kernelspec": {"name": "python3", "display_name": "Python 3"},
            "jupytext": {"text_representation": {"extension": ".md", "format_name": "myst"}},
        }
        source[0] = jupytext.writes(notebook, "md:myst")


def without_folders(app, name: str, source: list[str]) -> None:
    """Links to folders, which have no page, become their texts."""
    here = (app.srcdir / name).parent

    def text(link: re.Match) -> str:
        return link[1] if (here / link[2]).is_dir() else link[0]

    source[0] = re.sub(r"\[([^\]\n]*)\]\(([^)#:\s]+)\)", text, source[0])


PLAY_PAGE = re.compile(r"\[([^\]\n]*)\]\(([^)\s]*play/index\.html[^)\s]*)\)")


def with_play_page(app, name: str, source: list[str]) -> None:
    """Links to the play page, which is no source of a page, become those of HTML."""
    source[0] = PLAY_PAGE.sub(r'<a href="\2">\1</a>', source[0])


def add_play_page(app, error: Exception | None) -> None:
    """Assembles the play page in the site."""
    if error is None and app.builder.name == "html":
        made = runpy.run_path(str(app.srcdir / "docs/assemble_play.py"))
        made["assemble"](app.outdir / "docs/play", site=True)


def setup(app) -> None:
    app.connect("source-read", with_play_page)
    app.connect("build-finished", add_play_page)
    app.connect("source-read", without_folders)
    app.connect("source-read", as_notebook)
    app.connect("autodoc-process-docstring", plain_docstrings.process)
    app.connect("autodoc-process-signature", plain_docstrings.process_signature)
