"""Foreign names and values in messages: one printable line each, whatever they contain."""

from __future__ import annotations

import os

MOST = 80  # characters of a value; a path is never shortened, so that it can be copied


def shown(value: object) -> str:
    """A path as it is, anything else as its `repr`, shortened; for messages and terminals.

    Characters that are not printable (line breaks, escape sequences, marks that turn the writing
    direction, bytes of a file's name that are no text) are written as escapes.
    """
    if isinstance(value, os.PathLike):
        path = os.fsdecode(value)
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path)
    if isinstance(value, (list, tuple, dict, set)) and len(value) > MOST:
        return f"a {type(value).__name__} of {len(value)} items"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # more digits or levels than Python converts
        text = f"a number of {value.bit_length()} bits" if isinstance(value, int) else "a value"
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: MOST + 1])
    return text if len(text) <= MOST else text[: MOST - 3] + "..."
