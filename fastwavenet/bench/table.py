"""Results as text, and as tables of Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .contenders import PRECISIONS
from .known import voices
from .measure import MOST_LOST
from .results import machine_line

BEGIN_MACHINE = "Measured on: "  # begins the tables of a machine
LEGEND = (
    "In brackets: times the fastest peer that computes at least as precisely. Bound: the time that "
    "this core takes to read a step's weights or to multiply them, whichever is longer, as a share "
    "of the step's."
)
LEGEND_SHORT = "The best peer is the fastest in any number format."
BUSY = "†"  # beside figures of a core that others used meanwhile
BUSY_LEGEND = (
    f"{BUSY}: for more than {MOST_LOST:.0%} of the time other processes used this core, also when "
    f"it was measured again."
)

Table = tuple[list[str], list[list[str]]]  # heads and lines


def text_of_cell(cell: dict) -> str:
    """A table for a terminal."""
    lines = [
        f"{cell['network']}, {voices(cell['batch'])}: {_sizes(cell)}; "
        f"{cell['macs_per_sample']:,} weights a step{_lost(cell)}",
        f"{'':26}{'samples/s':>12}{'x real time':>13}{'x best peer':>13}{'MB a step':>12}"
        f"{'memory GB/s':>13}{'M products':>12}{'per ns':>9}{'bound':>8}",
    ]
    for row in cell["rows"]:
        if "not_available" in row:
            lines.append(f"{row['name']:26}  not available: {row['not_available']}")
        else:
            lines.append(
                f"{row['name']:26}{_rate(row):>12}{row['times_real_time']:13.3g}"
                f"{row['times_fastest_peer']:13.3g}{_scaled(row['step_bytes'], 1e6):>12}"
                f"{_scaled(row['bytes_per_second'], 1e9):>13}"
                f"{_scaled(row.get('step_products'), 1e6):>12}"
                f"{_scaled(row.get('products_per_second'), 1e9):>9}{_share(row):>8}"
            )
    return "\n".join(lines)


def text_of(key: str, rows: Sequence[dict]) -> str:
    """A table for a terminal, of the results besides cells."""
    if key == "mu_law":
        return _text_of_mu_law(rows)
    heads, lines = TABLES[key](rows)
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    shown = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
        for row in (heads, *lines)
    ]
    return "\n".join([*shown, *([BUSY_LEGEND] if any(map(_is_busy, rows)) else [])])


def _text_of_mu_law(rows: Iterable[dict]) -> str:
    """All contenders; the other table has the fastest ones."""
    lines = [f"{'mu-law, float32, 256 levels':36}{'million samples/s':>18}{'x best peer':>13}"]
    for row in rows:
        name = f"{row['direction']}: {row['name']}{_busy(row)}"
        if "not_available" in row:
            lines.append(f"{name:36}  not available: {row['not_available']}")
        else:
            speed = row["samples_per_second"] / 1e6
            lines.append(f"{name:36}{speed:18,.0f}{row['times_fastest_peer']:13.3g}")
    return "\n".join(lines)


def markdown(results: dict, short: bool = False) -> str:
    """The tables of all that was measured, and the machine they were measured on.

    short: one table, of the smallest number of voices: the engine beside the best peer.
    """
    cells = results["cells"]
    batches = sorted({cell["batch"] for cell in cells})
    per_batch = [[cell for cell in cells if cell["batch"] == batch] for batch in batches]
    if short:
        tables = [_summary(of) for of in per_batch[:1]]
    else:
        tables = [_engine(of) for of in per_batch]
        tables += [_peers(of) for of in per_batch if of[0]["batch"] == 1]
        tables += [table(results[key]) for key, table in TABLES.items() if results.get(key)]
    legend = LEGEND_SHORT if short else LEGEND
    parts = [f"{BEGIN_MACHINE}{machine_line(results)}. {legend}", *map(_markdown, tables)]
    busy = any(BUSY in part for part in parts[1:])
    return "\n\n".join([*parts, *([BUSY_LEGEND] if busy else [])])


def _summary(cells: Sequence[dict]) -> Table:
    """A line per network: the fastest peer, the engine in float32 and int8, and ratios of int8."""
    lines = []
    for cell in cells:
        peer = fastest(cell["rows"], "peer")
        ours = {row["precision"]: row for row in cell["rows"] if row["kind"] == "engine"}
        speeds = [_rate(ours["float32"]), f"**{_rate(ours['int8'])}**"]
        ratios = [f"{ours['int8'][of]:.3g} x" for of in ("times_fastest_peer", "times_real_time")]
        best = f"{_rate(peer)} ({peer['name']})"
        name = f"{cell['network']}{_busy(cell)}: {_sizes(cell)}"
        lines.append([name, best, *speeds, *ratios])
    title = f"{voices(cells[0]['batch'])}, samples/s"
    heads = ["the best peer", "float32", "int8", "int8 / best peer", "int8 / real time"]
    return [title, *heads], lines


def _engine(cells: Sequence[dict]) -> Table:
    """The engine in each precision beside the best peer."""
    batch, lines = cells[0]["batch"], []
    for cell in cells:
        rows = [row for row in cell["rows"] if row["kind"] == "engine"]
        best = fastest(rows, "engine")
        ours = [_rate_and_ratio(row, bold=row is best) for row in rows]
        network = f"{cell['network']}{_busy(cell)}" + (f": {_sizes(cell)}" if batch == 1 else "")
        shares = " / ".join(map(_share, rows))
        lines.append([network, _best_peers(cell["rows"]), *ours, shares])
    title = f"{voices(batch)}, samples/s{'' if batch == 1 else ' in all'}"
    return [title, "the best peer", *(row["precision"] for row in rows), "of the bound"], lines


def _best_peers(rows: Sequence[dict]) -> str:
    """The fastest in float32, and in each smaller format that is faster still."""
    best: list[dict] = []
    for precision in PRECISIONS:
        peers = [r for r in rows if r["kind"] == "peer" and r.get("precision") == precision]
        if peers and fastest([*best, *peers], "peer") in peers:
            best.append(fastest(peers, "peer"))
    return "; ".join(f"{_rate(row)} ({row['name']})" for row in best)


def _peers(cells: Sequence[dict]) -> Table:
    rows = [[row for row in cell["rows"] if row["kind"] == "peer"] for cell in cells]
    names = [row["name"] for row in rows[0]]
    lines = [
        [f"{cell['network']}{_busy(cell)}", *map(_rate, of)]
        for cell, of in zip(cells, rows, strict=True)
    ]
    return ["the peers, 1 voice, samples/s", *names], lines


def instruction_sets(rows: Sequence[dict]) -> Table:
    """A line per instruction set, a column per precision and number of voices."""
    columns = list(dict.fromkeys((row["precision"], row["batch"]) for row in rows))
    lines = []
    for isa in dict.fromkeys(row["isa"] for row in rows):
        of = {(row["precision"], row["batch"]): row for row in rows if row["isa"] == isa}
        lines.append([isa, *(f"{_rate(of[column])}{_busy(of[column])}" for column in columns)])
    heads = [f"{precision}, {voices(batch)}" for precision, batch in columns]
    return [f"{rows[0]['network']}, samples/s in all", *heads], lines


def cores(rows: Sequence[dict]) -> Table:
    """A line per network and precision, a column per way of using two cores."""
    lines = []
    for row in rows:
        one, *more = row["rates"].values()
        both = [f"{rate:,.0f} ({rate / one:.2f} x)" for rate in more]
        lines.append([f"{row['network']}, {row['precision']}", f"{one:,.0f}", *both])
    return ["two cores, samples/s in all", *rows[0]["rates"]], lines


def latency(rows: Sequence[dict]) -> Table:
    """A line per network and precision."""
    lines = []
    for row in rows:
        name = f"{row['network']}{_busy(row)}, {row['precision']}"
        first = 1e3 * row["first_sample_seconds"]
        if "first_block_seconds" in row:
            block = f"{1e3 * row['first_block_seconds']:.2f}"
            lines.append([name, f"{first:.2f}", "-", "-", "-", "-", block])
            continue
        call = row["call_seconds"] - row["sample_seconds"]
        numbers = [f"{first:.2f}", f"{1e6 * call:.1f}", f"{1e3 * row['prime_seconds']:.1f}"]
        times = row["scored_per_second"] / row["forward_per_second"]
        lines.append([name, *numbers, f"{row['scored_per_second']:,.0f}", f"{times:.2f}", "-"])
    heads = ["first sample, ms", "generate(1) beyond a sample, us", "priming a receptive field, ms"]
    heads += ["score, samples/s", "times PyTorch's forward", "first block of frames, ms"]
    return ["latency", *heads], lines


def mu_law(rows: Sequence[dict]) -> Table:
    """A line per direction."""
    lines = []
    for direction in dict.fromkeys(row["direction"] for row in rows):
        of = [row for row in rows if row["direction"] == direction]
        peer, ours = fastest(of, "peer"), fastest(of, "engine")
        speeds = [f"{row['samples_per_second'] / 1e6:,.0f}" for row in (peer, ours)]
        ratio = f"{ours['times_fastest_peer']:.2f}"
        best = f"{speeds[0]} ({peer['name']})"
        name = f"{direction}{_busy(ours)}"
        lines.append([name, best, f"**{speeds[1]}** ({ours['name']})", ratio])
    heads = ["mu-law, million samples/s", "the best peer", "fastwavenet", "times the best peer"]
    return heads, lines


def fastest(rows: Iterable[dict], kind: str) -> dict:
    """The row of the fastest peer or engine."""
    timed = [row for row in rows if row["kind"] == kind and "not_available" not in row]
    return max(timed, key=lambda row: row["samples_per_second"])


def _markdown(table: Table) -> str:
    heads, lines = table
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _sizes(cell: dict) -> str:
    kernel = "" if cell["kernel"] == 2 else f"kernel {cell['kernel']}, "
    frames = "" if cell["conditioning"] is None else f", {cell['conditioning']}"
    return f"{cell['layers']} layers, {kernel}R {cell['residual']}, S {cell['skip']}{frames}"


def _rate(row: dict) -> str:
    if "not_available" in row:
        return "-"
    rate = row["samples_per_second"]
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def _rate_and_ratio(row: dict, bold: bool) -> str:
    mark = "**" if bold else ""
    return f"{mark}{_rate(row)}{mark} ({row['times_fastest_peer']:.3g} x)"


def _scaled(number: float | None, unit: float) -> str:
    return "-" if number is None else f"{number / unit:.3g}"


def _share(row: dict) -> str:
    """Of the slower bound."""
    shares = [row.get(f"share_of_{bound}") for bound in ("bandwidth", "products")]
    known = [share for share in shares if share is not None]
    return f"{100 * max(known):.0f} %" if known else "-"


def _is_busy(figures: dict) -> bool:
    """figures: a cell or a row."""
    return (figures.get("lost") or 0.0) > MOST_LOST


def _busy(figures: dict) -> str:
    return BUSY if _is_busy(figures) else ""


def _lost(cell: dict) -> str:
    if not _is_busy(cell):
        return ""
    return f"; {BUSY} other processes used this core for {cell['lost']:.0%} of the time"


TABLES: dict[str, Callable[[Sequence[dict]], Table]] = {
    "instruction_sets": instruction_sets,
    "cores": cores,
    "latency": latency,
    "mu_law": mu_law,
}
