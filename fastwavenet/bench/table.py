"""Results as text, and as the tables of a README."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..files import replace_atomically
from .known import voices
from .results import machine_line

BEGIN = "<!-- speed: written by `fastwavenet bench --readme` -->"
END = "<!-- end of speed -->"


def text_of_cell(cell: dict) -> str:
    """A table for a terminal."""
    lines = [
        f"{cell['network']}, {voices(cell['batch'])}: {_sizes(cell)}; "
        f"{4 * cell['macs_per_sample'] / 2**20:.2f} MiB of weights, which this core reads at "
        f"{cell['gigabytes_per_second']:.1f} GB/s ({cell['read_by']})",
        f"{'':26}{'samples/s':>12}{'x real time':>13}{'x best peer':>13}{'of bandwidth':>14}",
    ]
    for row in cell["rows"]:
        if "not_available" in row:
            lines.append(f"{row['name']:26}  not available: {row['not_available']}")
        else:
            lines.append(
                f"{row['name']:26}{_rate(row):>12}{row['times_real_time']:13.3g}"
                f"{row['times_fastest_peer']:13.3g}{_share(row):>14}"
            )
    return "\n".join(lines)


def text_of_mu_law(rows: Iterable[dict]) -> str:
    """A table for a terminal."""
    lines = [f"{'mu-law, float32, 256 levels':36}{'million samples/s':>18}{'x best peer':>13}"]
    for row in rows:
        name = f"{row['direction']}: {row['name']}"
        if "not_available" in row:
            lines.append(f"{name:36}  not available: {row['not_available']}")
        else:
            speed = row["samples_per_second"] / 1e6
            lines.append(f"{name:36}{speed:18,.0f}{row['times_fastest_peer']:13.3g}")
    return "\n".join(lines)


def write_readme(path: str | Path, results: dict) -> None:
    """Replaces what is between BEGIN and END, each on a line of its own, by the tables.

    Raises ValueError if the two lines are not there, once each and in this order.
    """
    text = Path(path).read_text(encoding="utf-8")
    begin, end = ([m.start() for m in re.finditer(f"(?m)^{re.escape(line)}$", text)]
                  for line in (BEGIN, END))  # fmt: skip
    if len(begin) != 1 or len(end) != 1 or begin > end:
        raise ValueError(f"{path}: expected one line {BEGIN!r} and after it one line {END!r}")
    new = text[: begin[0]] + f"{BEGIN}\n\n{markdown(results)}\n\n" + text[end[0] :]
    replace_atomically(path, new.encode())


def markdown(results: dict) -> str:
    """The tables of all that was measured, and what they were measured on."""
    cells = results["cells"]
    parts = [f"Measured on: {machine_line(results)}."]
    one_voice = [cell for cell in cells if cell["batch"] == 1]
    if one_voice:
        parts.append(_one_voice(one_voice))
    for batch in sorted({cell["batch"] for cell in cells} - {1}):
        parts.append(_many_voices([cell for cell in cells if cell["batch"] == batch]))
    if results["mu_law"]:
        parts.append(_mu_law(results["mu_law"]))
    return "\n\n".join(parts)


def _one_voice(cells: Sequence[dict]) -> str:
    names = [row["name"] for row in cells[0]["rows"]]
    lines = []
    for cell in cells:
        best = fastest(cell["rows"], "engine")
        rates = [f"**{_rate(row)}**" if row is best else _rate(row) for row in cell["rows"]]
        ratio, share = f"{best['times_fastest_peer']:.2f}", _share(best)
        lines.append([f"{cell['network']}: {_sizes(cell)}", *rates, ratio, share])
    return _table(["1 voice, samples/s", *names, "times the best peer", "of bandwidth"], lines)


def _many_voices(cells: Sequence[dict]) -> str:
    lines = []
    for cell in cells:
        peer, ours = fastest(cell["rows"], "peer"), fastest(cell["rows"], "engine")
        ratio = f"{ours['times_fastest_peer']:.2f}"
        best = f"{_rate(peer)} ({peer['name']})"
        lines.append([cell["network"], best, f"**{_rate(ours)}** ({ours['name']})", ratio])
    title = f"{voices(cells[0]['batch'])}, samples/s in all"
    return _table([title, "the best peer", "fastwavenet", "times the best peer"], lines)


def _mu_law(rows: Sequence[dict]) -> str:
    lines = []
    for direction in dict.fromkeys(row["direction"] for row in rows):
        of = [row for row in rows if row["direction"] == direction]
        peer, ours = fastest(of, "peer"), fastest(of, "engine")
        speeds = [f"{row['samples_per_second'] / 1e6:,.0f}" for row in (peer, ours)]
        ratio = f"{ours['times_fastest_peer']:.2f}"
        best = f"{speeds[0]} ({peer['name']})"
        lines.append([direction, best, f"**{speeds[1]}** ({ours['name']})", ratio])
    heads = ["mu-law, million samples/s", "the best peer", "fastwavenet", "times the best peer"]
    return _table(heads, lines)


def fastest(rows: Iterable[dict], kind: str) -> dict:
    """The row of the fastest peer or engine."""
    timed = [row for row in rows if row["kind"] == kind and "not_available" not in row]
    return max(timed, key=lambda row: row["samples_per_second"])


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _sizes(cell: dict) -> str:
    kernel = "" if cell["kernel"] == 2 else f"kernel {cell['kernel']}, "
    return f"{cell['layers']} layers, {kernel}R {cell['residual']}, S {cell['skip']}"


def _rate(row: dict) -> str:
    if "not_available" in row:
        return "-"
    rate = row["samples_per_second"]
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def _share(row: dict) -> str:
    share = row["share_of_bandwidth"]
    return "-" if share is None else f"{100 * share:.0f} %"
