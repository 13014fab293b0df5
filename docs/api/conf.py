"""Sphinx's configuration for the API reference: `make docs` writes it to build/docs.

The pages are made from the docstrings, which are plain text with tables of `name  meaning`;
plain_docstrings.py turns those into reStructuredText.
"""

import sys
from pathlib import Path

import fastwavenet

sys.path.insert(0, str(Path(__file__).parent))
import plain_docstrings

project = "fastwavenet"
release = version = fastwavenet.__version__
copyright = "the fastwavenet authors"

extensions = ["sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_type_aliases = {
    name: name.removeprefix("npt.")
    for name in ("npt.ArrayLike", "Audio", "Codes", "Isa", "Precision", "Progress")
}
add_module_names = False
python_maximum_signature_line_length = 80  # longer signatures have a line per argument
python_use_unqualified_type_names = True

smartquotes = False  # precision="auto" is code
toc_object_entries_show_parents = "hide"

html_static_path = ["static"]
html_css_files = ["definitions.css"]
html_theme = "alabaster"
html_theme_options = {
    "description": fastwavenet.__doc__.splitlines()[0],
    "fixed_sidebar": True,
    "page_width": "1100px",
    "sidebar_width": "240px",
}
html_sidebars = {"**": ["about.html", "localtoc.html", "searchfield.html"]}
html_copy_source = False
html_show_sourcelink = False


def setup(app) -> None:
    app.connect("autodoc-process-docstring", plain_docstrings.process)
    app.connect("autodoc-process-signature", plain_docstrings.process_signature)
