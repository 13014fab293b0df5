"""The glossary: sorted, short, and with the terms that a reader of the code meets."""

import re

import pytest
from c_build import ROOT

TEXT = (ROOT / "docs/glossary.md").read_text()
TERMS = dict(re.findall(r"^## ([^\n]+)\n\n(.+?)\n(?=\n## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
HEADINGS = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)[1:]

FIELD = """
1x1 convolution, autocast, batch, bfloat16, bit depth, causal, checkpoint, code, companding,
conditioning, dilation, embedding, frame, gate, head, held out, hop length, int8, kernel, latent,
learning rate, level, mel, min-p, mu-law, nat, one-hot, pass, priming, queue, receptive field,
residual, sampling rate, seed, skip, softmax, speaker, stochastic, tap, teacher forcing,
temperature, top-k, tractable, validation, vocoder, voice, warm-up, weight decay
"""
CODE = """
arena, instruction set, microkernel, panel, precision, precision cost, row, run folder, state,
stream, tile, zero point
"""


def test_terms_are_sorted_and_unique():
    assert sorted(set(HEADINGS), key=str.casefold) == HEADINGS
    assert list(TERMS) == HEADINGS


@pytest.mark.parametrize("term", " ".join(f"{FIELD}, {CODE}".split()).split(", "))
def test_a_term_of_code_and_field_is_explained(term):
    assert term.strip().casefold() in {name.casefold() for name in TERMS}


@pytest.mark.parametrize("term", TERMS)
def test_an_explanation_is_short(term):
    assert 2 <= len(TERMS[term].split()) <= 60


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:csrc|fastwavenet)/[\w/.]+)`", TEXT))))
def test_a_file_of_the_glossary_exists(path):
    assert (ROOT / path).exists()
