"""The counter of unclear prose reads comments, docstrings and documents, and nothing else."""

import runpy

import pytest
from c_build import ROOT

PROSE = runpy.run_path(str(ROOT / "tests/helpers/prose.py"))


def found(text: str, reader: str) -> tuple[int, list[tuple[int, str]]]:
    words, habits = PROSE["habits"](text, PROSE[reader])
    return words, [(line, habit) for line, habit, _ in habits]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("int what; /* one two */", (2, [])),
        ("/* one\n * what it says */ // told", (5, [(2, "what"), (2, "speech"), (2, "speech")])),
        ("/* somewhat unspoken */", (2, [])),
    ],
)
def test_comments_of_c_are_counted(text, expected):
    assert found(text, "c_prose") == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ('"""What."""\nwhat = "what"  # knows it\n', (3, [(1, "what"), (2, "speech")])),
        ('def f():\n    """One\n\n    what."""\n    return "said"\n', (2, [(4, "what")])),
        ('class A:\n    def f(self): ...\n\n"""What."""\n', (1, [(4, "what")])),
        ('cdef int f(int x) nogil:\n    """Asks."""\n', (1, [(2, "speech")])),
        ('x = [\n    "what"\n]\n', (0, [])),
    ],
)
def test_comments_and_docstrings_of_python_are_counted(text, expected):
    assert found(text, "python_prose") == expected


def test_documents_are_counted_without_their_code():
    text = "What `what` is\n\n```sh\nwhat\n```\n\nit says <!-- said -->\n"
    assert found(text, "markdown_prose") == (4, [(1, "what"), (7, "speech")])


def test_every_kind_of_text_has_files_and_is_counted_per_thousand_words(capsys):
    for kind in PROSE["KINDS"]:
        rates = PROSE["count"](kind)
        assert rates.keys() == {"what", "speech"}
        words = int(capsys.readouterr().out.splitlines()[-1].split()[1])
        assert words > 5000
