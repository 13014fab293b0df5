"""Results as a picture, with matplotlib (the `plot` extra)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..plots import save_figure
from ..shown import shown
from .known import voices
from .results import machine_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PEERS = (
    "#c9c9c9",
    "#a8a8a8",
    "#9ecae1",
    "#6baed6",
    "#a1d99b",
    "#c7a4d8",
    "#8fd3c8",
    "#5fa8a0",
    "#356f6a",
)


def save_chart(path: str | os.PathLike[str], results: dict) -> None:
    """A PNG: a panel per number of voices, a group of bars per network, a bar per contender.

    Raises ValueError if nothing but mu-law was measured.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cells = results["cells"]
    if not cells:
        raise ValueError(
            f"{shown(Path(path))}: expected results of generation for a chart, found none"
        )
    batches = sorted({cell["batch"] for cell in cells})
    networks = len({cell["network"] for cell in cells})
    figure = Figure(
        figsize=(max(10, 4 + 2 * networks), 1.5 + 3.4 * len(batches)), layout="constrained"
    )
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(len(batches), squeeze=False)[:, 0])
    colours = colours_of(cells)
    for axes, batch in zip(panels, batches, strict=True):
        _draw_panel(axes, [cell for cell in cells if cell["batch"] == batch], colours)
    handles, names = _legend(panels)
    figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False)
    figure.supxlabel(machine_line(results), fontsize=7)
    save_figure(figure, path)


def colours_of(cells: Sequence[dict]) -> dict[str, str]:
    """Contender -> colour: cool ones for peers, and for the engine the darker, the later."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    kinds = {row["name"]: row["kind"] for cell in cells for row in cell["rows"]}
    engines = [name for name, kind in kinds.items() if kind == "engine"]
    peers = [name for name in kinds if name not in engines]
    warm = colormaps["Oranges"]
    shades = [to_hex(warm((i + 1) / len(engines))) for i in range(len(engines))]
    cool = zip(peers, itertools.cycle(PEERS), strict=False)
    return dict(cool) | dict(zip(engines, shades, strict=True))


def _draw_panel(axes: Axes, cells: Sequence[dict], colours: dict[str, str]) -> None:
    names = [name for name in colours if any(name in _rates(cell) for cell in cells)]
    width = 0.85 / len(names)
    ours = [name for name in names if name.startswith("fastwavenet")]
    labelled = {*ours[:1], *ours[-1:]}  # all would cover one another
    for i, name in enumerate(names):
        at = [x + (i - (len(names) - 1) / 2) * width for x in range(len(cells))]
        rates = [_rates(cell).get(name, float("nan")) for cell in cells]
        bars = axes.bar(at, rates, width, color=colours[name], label=name)
        if name in labelled:
            axes.bar_label(bars, [_times(cell, name) for cell in cells], fontsize=6)
    real_time = cells[0]["sample_rate"]
    axes.axhline(real_time, color="black", linewidth=0.8, linestyle="--")
    axes.annotate(
        f"{real_time / 1000:g} kHz", (1, real_time), xycoords=("axes fraction", "data"), fontsize=8
    )
    axes.set_yscale("log")
    axes.set_xticks(range(len(cells)), [cell["network"] for cell in cells])
    axes.set(title=voices(cells[0]["batch"]), ylabel="samples/s, one core")
    axes.grid(axis="y", linewidth=0.3)
    axes.set_axisbelow(True)


def _rates(cell: dict) -> dict[str, float]:
    """Contender -> samples per second, of those that were timed."""
    timed = [row for row in cell["rows"] if "not_available" not in row]
    return {row["name"]: row["samples_per_second"] for row in timed}


def _times(cell: dict, name: str) -> str:
    """How often a contender is as fast as the fastest peer."""
    ratios = [row["times_fastest_peer"] for row in cell["rows"] if row["name"] == name]
    return f"{ratios[0]:.3g}x" if ratios else ""


def _legend(panels: Sequence[Axes]) -> tuple[list, list[str]]:
    found: dict = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    return list(found.values()), list(found)
