"""The models that ship with the package, and models by their names.

Each voice is three files of fastwavenet/voices/: NAME.safetensors, the model; NAME.md, its card;
NAME.COPYING.txt, the notices of its training data.  docs/voices.md says how to add one.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from .shown import shown

FOLDER = Path(__file__).parent / "voices"
INSTRUMENT = "recorder-16k"  # that `fastwavenet generate` plays when no model is given
SUFFIX, CARD, NOTICES = ".safetensors", ".md", ".COPYING.txt"


@dataclass(frozen=True)
class Voice:
    """A model that ships with the package.

    name     by which `load` and every command take it
    summary  a sentence about it
    path     its model file, which is not to be changed
    card     Markdown: data, training, network, quality, sampling, use
    notices  copyright notices and licences of its training data
    """

    name: str
    summary: str
    path: Path
    card: str = field(repr=False)
    notices: str = field(repr=False)


def voices() -> tuple[Voice, ...]:
    """The models that ship with the package, sorted by name.

    Raises OSError if a card or notices are missing from the installation.
    """
    return tuple(map(_voice, voice_names()))


def voice_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def voice_of(name: str) -> Voice:
    """The voice of that name.  Raises FileNotFoundError, which lists the voices, for another."""
    if name not in voice_names():
        raise FileNotFoundError(_unknown(name, "no such voice"))
    return _voice(name)


def model_path(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The path of a model that is given by a path, which is returned, or by the name of a voice.

    A path that exists wins over a name, and whatever has a folder or a suffix is no name.
    Raises FileNotFoundError, which lists the voices, for a name that is neither.
    """
    text = os.fsdecode(path)
    if os.path.lexists(text) or not _may_be_name(text):
        return path
    if text not in voice_names():
        raise FileNotFoundError(_unknown(text, "no such file or voice"))
    return FOLDER / f"{text}{SUFFIX}"


def instrument() -> Path:
    """The model that plays when none is given.

    Raises FileNotFoundError if it is missing from the installation.
    """
    path = FOLDER / f"{INSTRUMENT}{SUFFIX}"
    if not path.is_file():
        raise FileNotFoundError(
            f"{shown(path)}: the voice {INSTRUMENT}, which plays when no model is given, is "
            "missing: install fastwavenet again, or name a model file"
        )
    return path


def is_bundled(path: str | os.PathLike[str]) -> bool:
    """Whether it is the model file of a voice."""
    return any(_is_same(path, FOLDER / f"{name}{SUFFIX}") for name in voice_names())


def check_not_bundled(path: str | os.PathLike[str], remedy: str) -> None:
    """Raises PermissionError, with the remedy, for the model file of a voice."""
    if is_bundled(path):
        raise PermissionError(
            f"{shown(Path(path))} ships with fastwavenet and is read-only: {remedy}"
        )


def _voice(name: str) -> Voice:
    card = (FOLDER / f"{name}{CARD}").read_text("utf-8")
    notices = (FOLDER / f"{name}{NOTICES}").read_text("utf-8")
    return Voice(name, _summary(card), FOLDER / f"{name}{SUFFIX}", card, notices)


def _summary(card: str) -> str:
    """The paragraph behind the card's title, in one line."""
    paragraphs = re.split(r"\n\s*\n", card.strip())
    return " ".join(paragraphs[1].split()) if len(paragraphs) > 1 else ""


def _may_be_name(text: str) -> bool:
    """Whether it is one part of a path without a suffix."""
    return text != "" and Path(text).name == text and not Path(text).suffix


def _unknown(name: str, problem: str) -> str:
    """The message for a name that is no voice's, with the nearest one."""
    import difflib  # takes 5 ms, and only mistakes need it

    names, wrong = voice_names(), f"{shown(Path(name))}: {problem}"
    if not names:
        return f"{wrong}, and this installation has none"
    near = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f"; the nearest is {near[0]}" if near else ""
    return f"{wrong}; the voices are {', '.join(names)}{hint}"


def _is_same(path: str | os.PathLike[str], other: Path) -> bool:
    return os.path.exists(path) and os.path.samefile(path, other)
