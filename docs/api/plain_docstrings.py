"""Plain-text docstrings as reStructuredText.

    name  meaning, in lines that are     a list of definitions
          indented as far as this one
    name: meaning                        likewise
    `name`                               a link where the name is documented, else code
    indented lines after a blank line    a literal block

Everything else is a paragraph; "Raises ..." at the start of a line begins one.
"""

import re
from collections.abc import Iterator

NAMES = r"\w[\w.-]*(?:, \w+)*"
IN_TABLE = re.compile(rf"({NAMES})(?<!\.)  +(\S.*)")
BEFORE_COLON = re.compile(rf"({NAMES}(?:\([\w, ]*\))?): (\S.*)")
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\w+(?:\.\w+)*(?:\(\))?")


def process(app, what, name, obj, options, lines: list[str]) -> None:
    """The handler of autodoc-process-docstring: replaces `lines`."""
    lines[:] = converted(lines)


def process_signature(app, what, name, obj, options, signature, returned) -> tuple:
    """The handler of autodoc-process-signature."""
    return signature and given_types(signature), returned


def given_types(signature: str) -> str:
    """`_Completed[Given, Kept]`, a field's types for type checkers, as Given."""
    before, found, rest = signature.partition("_Completed[")
    if not found:
        return signature
    depth, comma = 0, 0
    for i, character in enumerate(rest):
        if character == "," and not depth:
            comma = i
        if character == "]" and not depth:
            return before + rest[:comma] + given_types(rest[i + 1 :])
        depth += (character == "[") - (character == "]")
    raise ValueError(f"expected brackets in pairs in {signature}")


def converted(lines: list[str]) -> list[str]:
    """reStructuredText for the lines of a docstring, without their common indentation."""
    out: list[str] = []
    for block in _blocks(lines):
        if all(line.startswith("    ") for line in block):
            out += ["::", "", *block, ""]
        else:
            out += _paragraphs(block)
    return out


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """The runs of lines between blank ones."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line.rstrip())
        elif block:
            yield block
            block = []


def _paragraphs(block: list[str]) -> Iterator[str]:
    """Definitions and paragraphs; a line that begins neither continues the one before it."""
    parts: list[tuple[str, str]] = []  # name, "" for a paragraph; text
    for line in block:
        found = IN_TABLE.fullmatch(line) or BEFORE_COLON.fullmatch(line)
        if found:
            parts.append((found[1], found[2]))
        elif not parts or line.startswith("Raises "):
            parts.append(("", line.strip()))
        else:
            name, text = parts[-1]
            parts[-1] = name, f"{text} {line.strip()}"
    for name, text in parts:
        yield from ([f"``{name}``", f"    {_inline(text)}"] if name else [_inline(text)])
        yield ""


def _inline(text: str) -> str:
    """Escapes what reStructuredText would take for markup; names in backticks become links."""
    pieces = CODE.split(text)  # text and code in turns
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            pieces[i] = re.sub(r"([\\*_|])", r"\\\1", piece)
        else:
            pieces[i] = f":py:obj:`{piece}`" if LINK.fullmatch(piece) else f"``{piece}``"
    return "".join(pieces)
