"""The API reference: it has every public name, and plain docstrings become its definitions."""

import importlib
import re
import runpy

import pytest
from c_build import ROOT

PAGES = ROOT / "docs/api"
DIRECTIVE = re.compile(r"^\.\. (currentmodule|auto\w+):: (\S+)$", re.MULTILINE)
PLAIN = runpy.run_path(str(PAGES / "plain_docstrings.py"))


def configured() -> dict[str, list[str]]:
    """Module -> the names that Sphinx is told to document."""
    found: dict[str, list[str]] = {}
    for directive, name in DIRECTIVE.findall((PAGES / "index.rst").read_text()):
        if directive == "currentmodule":
            names = found.setdefault(name, [])
        else:
            names.append(name)
    return found


@pytest.mark.parametrize("module", ["fastwavenet", "fastwavenet.ends", "fastwavenet.training"])
def test_the_reference_has_every_public_name_once(module):
    assert sorted(configured()[module]) == sorted(importlib.import_module(module).__all__)


def test_the_reference_has_no_other_modules():
    assert configured().keys() == {"fastwavenet", "fastwavenet.ends", "fastwavenet.training"}


@pytest.mark.parametrize(
    "plain, expected",
    [
        (["One line."], ["One line.", ""]),
        (["Two", "lines."], ["Two lines.", ""]),
        (["Text.", "Raises OSError if", "so."], ["Text.", "", "Raises OSError if so.", ""]),
        (["seed   a number", "       of 64 bits"], ["``seed``", "    a number of 64 bits", ""]),
        (["skip, head  S, H"], ["``skip, head``", "    S, H", ""]),
        (["a  b", "c  d"], ["``a``", "    b", "", "``c``", "    d", ""]),
        (["out: an array"], ["``out``", "    an array", ""]),
        (["progress(done, total): a call"], ["``progress(done, total)``", "    a call", ""]),
        (["End.  Then another"], ["End.  Then another", ""]),
        (["Code:", "", "    x = 1"], ["Code:", "", "::", "", "    x = 1", ""]),
        (["2**3, a_ and |b|"], [r"2\*\*3, a\_ and \|b\|", ""]),
        (["see `load`, `a * b`"], ["see :py:obj:`load`, ``a * b``", ""]),
    ],
)
def test_plain_text_becomes_definitions_paragraphs_and_links(plain, expected):
    assert PLAIN["converted"](plain) == expected


GIVEN = "tuple[int, ...] | int"


@pytest.mark.parametrize(
    "signature, expected",
    [
        ("(x: int) -> str", "(x: int) -> str"),
        ("(k: _Completed[tuple[int, ...] | int, tuple[int, ...]] = 2)", f"(k: {GIVEN} = 2)"),
        ("(a: _Completed[A | None, A], b: _Completed[B, C])", "(a: A | None, b: B)"),
    ],
)
def test_a_field_has_the_type_in_which_it_is_given(signature, expected):
    assert PLAIN["given_types"](signature) == expected
