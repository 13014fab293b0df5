"""Curves as SVG, for a page without scripts; colours are CSS variables of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeVar

WIDTH, HEIGHT = 480, 270  # of the drawing, in its own units
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 34  # margins around the curves
TICKS = 5  # of an axis, about
MOST_POINTS = 400  # of a curve
MOST_DOTS = 60  # a curve of more points has none

Point = tuple[float, float]
T = TypeVar("T")


@dataclass(frozen=True)
class Curve:
    """points: in the order of x; colour: the number of a CSS variable, --curve-1 and so on."""

    name: str
    points: Sequence[Point]
    colour: int = 1


@dataclass(frozen=True)
class Axis:
    """The values from `low` to `high` over a length in the drawing, from `start` to `stop`."""

    low: float
    high: float
    start: float
    stop: float

    def place(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round values within the axis."""
        step = round_step((self.high - self.low) / TICKS)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, `least` or a little more."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= least * (1 - 1e-9))


def chart(
    title: str, curves: Sequence[Curve], unit: str = "", level: tuple[float, str] | None = None
) -> str:
    """A figure of curves over steps, with a legend.

    level: a value to mark by a line, and its name; left out where it is beyond the curves.
    """
    values = [y for curve in curves for _, y in curve.points]
    horizontal = _axis([x for curve in curves for x, _ in curve.points], LEFT, WIDTH - RIGHT)
    vertical = _axis(values, HEIGHT - BOTTOM, TOP, slack=0.06)
    parts = [*_grid(horizontal, vertical)]
    if level is not None and vertical.low <= level[0] <= vertical.high:
        parts += _marked(level[0], level[1], vertical)
    for curve in curves:
        parts += _drawn(curve, horizontal, vertical)
    label = f"{title}, {unit}, over steps"
    legend = "".join(
        f'<span><i class="c{curve.colour}"></i>{escape(curve.name)}</span>' for curve in curves
    )
    return (
        f'<figure class="chart"><figcaption><b>{escape(title)}</b> {escape(unit)}'
        f'<span class="legend">{legend if len(curves) > 1 else ""}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def _axis(values: Sequence[float], start: float, stop: float, slack: float = 0.0) -> Axis:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * slack
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):  # a single value
        room = abs(high) / 2 or 0.5
    return Axis(low - room, high + room, start, stop)


def _grid(horizontal: Axis, vertical: Axis) -> list[str]:
    parts = []
    for value in vertical.ticks():
        y = vertical.place(value)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>'
        )
    for value in horizontal.ticks():
        x = horizontal.place(value)
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - 14}" text-anchor="middle">{short(value)}</text>'
        )
    return parts


def _marked(value: float, name: str, vertical: Axis) -> list[str]:
    y = vertical.place(value)
    return [
        f'<line class="mark" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
        f'<text class="mark" x="{WIDTH - RIGHT}" y="{y - 5:.1f}" text-anchor="end">'
        f"{escape(name)}</text>",
    ]


def _drawn(curve: Curve, horizontal: Axis, vertical: Axis) -> list[str]:
    points = thinned(curve.points, MOST_POINTS)
    places = [(horizontal.place(x), vertical.place(y)) for x, y in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline class="c{curve.colour}" points="{line}"/>']
    if len(points) <= MOST_DOTS:
        parts += [
            f'<circle class="c{curve.colour}" cx="{x:.1f}" cy="{y:.1f}" r="2.5">'
            f"<title>{escape(curve.name)}, step {step:,.0f}: {value:.4g}</title></circle>"
            for (x, y), (step, value) in zip(places, points, strict=True)
        ]
    return parts


def thinned(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly spaced, the first and the last among them; most > 1."""
    if len(items) <= most:
        return list(items)
    return [items[i * (len(items) - 1) // (most - 1)] for i in range(most)]


def short(value: float) -> str:
    """A number in few characters: 1.5k for 1500."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if abs(value) >= 1e3 else f"{value:.4g}"
