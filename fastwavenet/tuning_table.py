"""The table of a tuning, as lines of text."""

from __future__ import annotations

import math
from collections.abc import Callable

from .ends import Sampling
from .session import Progress
from .tuning import Candidate, Tuning

BEST = "<- best"


def table(tuning: Tuning) -> list[str]:
    """Head, recordings, and a line for each candidate; those with the most sound come last."""
    framed = not math.isnan(tuning.plain.likeness.log_mel)
    voiced = any(each.sampling.voiced is not None for each in tuning.candidates)
    heads = ["temperature", *["voiced"] * voiced, "top_k", "min_p", "sound", "spectrum", "level"]
    heads += ["silent", "flatness", *["log-mel"] * framed, "score"]
    silent, flat = tuning.recordings
    own = [""] * (heads.index("silent") - 1) + [f"{silent:.1%}", f"{flat:.4f}"]
    rows = [["recordings", *own, *[""] * (len(heads) - len(own) - 1)]]
    rows += [_cells(each, voiced, framed) for each in tuning.candidates]
    marks = ["", ""] + [BEST * (of.sampling == tuning.sampling) for of in tuning.candidates]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in (heads, *rows)]
    return [f"{line}  {mark}".rstrip() for line, mark in zip(lines, marks, strict=True)]


def outcome(tuning: Tuning) -> str:
    """A line with the best sampling and the reason."""
    best, plain = tuning.best.likeness.score, tuning.plain.likeness.score
    if tuning.best is tuning.plain:
        beside = f"no other score is clearly better than its {plain:.2f}"
    else:
        beside = f"score {best:.2f}, against {plain:.2f} at temperature 1 without limits"
    fresh = "on pieces that the search has not used, {:.2f} against {:.2f}".format(
        *reversed(tuning.fresh)
    )
    return f"best sampling: {described(tuning.sampling)} ({beside}; {fresh})"


def described(sampling: Sampling) -> str:
    """Sampling in words: temperature, and the limits that it has."""
    parts = [f"temperature {sampling.temperature:g}"]
    if sampling.voiced is not None and sampling.voiced.temperature is not None:
        parts[0] += f", in voiced frames {sampling.voiced.temperature:g}"
    if sampling.top_k is not None:
        parts.append(f"top_k {sampling.top_k}")
    if sampling.min_p:
        parts.append(f"min_p {sampling.min_p:g}")
    return "; ".join(parts)


def estimating(say: Callable[[str], object], clock: Callable[[], float]) -> Progress:
    """A progress of `tune` that says after the first candidate how long the search may take."""
    began, told = clock(), False

    def progress(done: int, total: int) -> None:
        nonlocal told
        if not told:
            told = True
            left = (clock() - began) * (total - done) / done
            say(f"searching for the best sampling: up to {left:.0f} s")

    return progress


def _cells(candidate: Candidate, voiced: bool, framed: bool) -> list[str]:
    sampling, of = candidate.sampling, candidate.likeness
    rule = sampling.voiced.temperature if sampling.voiced is not None else None
    cells = [f"{sampling.temperature:g}"]
    if voiced:
        cells.append("" if rule is None else f"{rule:g}")
    cells += [str(sampling.top_k or "all"), f"{sampling.min_p:g}", f"{candidate.seconds:.0f} s"]
    cells += [f"{of.spectrum:.2f} dB", f"{of.level:.2f} dB", f"{of.silent:.1%}"]
    cells.append("" if math.isnan(of.flatness) else f"{of.flatness:.4f}")
    if framed:
        cells.append(f"{of.log_mel:.3f}")
    return [*cells, f"{of.score:.2f}"]
