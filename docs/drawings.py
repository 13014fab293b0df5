"""Draws docs/layer.svg and docs/dilation.svg, the pictures of README.md.

    python docs/drawings.py [FOLDER]        `make drawings`

Each drawing is a string of SVG made from fixed numbers, so that the files are the same bytes
everywhere.  Coordinates are in pixels, y downwards.
"""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parent

# Of a page of light colours and of one of dark colours.  A card with a background of its own is
# readable on either, also where a viewer takes the other one of the two.
LIGHT = {"paper": "#ffffff", "ink": "#24292f", "faint": "#d0d7de", "soft": "#57606a",
         "conv": "#ddf4ff", "gate": "#fff1e5", "sum": "#dafbe1", "path": "#bc4c00"}  # fmt: skip
DARK = {"paper": "#0d1117", "ink": "#e6edf3", "faint": "#3d444d", "soft": "#9198a1",
        "conv": "#12395c", "gate": "#5a3312", "sum": "#14532d", "path": "#ffa657"}  # fmt: skip

SHAPES = """\
text { font: 14px sans-serif; text-anchor: middle; }
.left { text-anchor: start; }
.right { text-anchor: end; }
.small { font-size: 12px; }
polyline { fill: none; stroke-width: 1.5; }"""
COLOURS = """\
text, .tip, .dot { fill: %(ink)s; }
.small { fill: %(soft)s; }
.paper { fill: %(paper)s; stroke: %(faint)s; }
.line, .box { stroke: %(ink)s; }
.faint { stroke: %(faint)s; }
.path { stroke: %(path)s; }
.conv { fill: %(conv)s; }
.gate { fill: %(gate)s; }
.sum { fill: %(sum)s; }
.node { fill: %(paper)s; stroke: %(soft)s; }
.used { fill: %(path)s; stroke: %(path)s; }"""
STYLE = (
    f"{SHAPES}\n{COLOURS % LIGHT}\n@media (prefers-color-scheme: dark) {{\n{COLOURS % DARK}\n}}\n"
)


def svg(width: int, height: int, title: str, parts: list[str]) -> str:
    """A whole file: a card of width x height, its title for readers that see no picture."""
    body = "".join(f"  {part}\n" for part in parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">\n'
        f"  <title>{title}</title>\n  <style>\n{STYLE}  </style>\n"
        f'  <rect class="paper" x="0.5" y="0.5" width="{width - 1}" '
        f'height="{height - 1}" rx="8"/>\n'
        f"{body}</svg>\n"
    )


def text(x: float, y: float, words: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text{attribute} x="{x:g}" y="{y:g}">{words}</text>'


def line(*points: tuple[float, float], kind: str = "line") -> str:
    return f'<polyline class="{kind}" points="{" ".join(f"{x:g},{y:g}" for x, y in points)}"/>'


def arrow(*points: tuple[float, float]) -> str:
    """A line with a tip at its last point; the last part is horizontal or vertical."""
    (x0, y0), (x, y) = points[-2:]
    dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
    left = f"{x - 8 * dx + 4 * dy:g},{y - 8 * dy - 4 * dx:g}"
    right = f"{x - 8 * dx - 4 * dy:g},{y - 8 * dy + 4 * dx:g}"
    shaft = line(*points[:-1], (x - 6 * dx, y - 6 * dy))
    return f'{shaft}<polygon class="tip" points="{x:g},{y:g} {left} {right}"/>'


def box(x: float, y: float, width: float, height: float, kind: str, *words: str) -> str:
    """A box with its centre at (x, y); the second line of words is smaller."""
    shape = (
        f'<rect class="box {kind}" x="{x - width / 2:g}" y="{y - height / 2:g}" '
        f'width="{width:g}" height="{height:g}" rx="6"/>'
    )
    if len(words) == 1:
        return shape + text(x, y + 5, words[0])
    return shape + text(x, y - 4, words[0]) + text(x, y + 14, words[1], "small")


def operator(x: float, y: float, kind: str, sign: str) -> str:
    return f'<circle class="box {kind}" cx="{x:g}" cy="{y:g}" r="13"/>{text(x, y + 5, sign)}'


def dot(x: float, y: float) -> str:
    return f'<circle class="dot" cx="{x:g}" cy="{y:g}" r="3"/>'


def layer() -> str:
    """One layer: dilated convolution, gate, and the two 1x1 convolutions behind it."""
    top, middle, bottom = 50, 165, 290  # residual stream, gate, skip sum
    parts = [
        text(20, top - 14, "x (R), from the layer before", "left"),
        arrow((20, top), (647, top)),
        arrow((673, top), (840, top)),
        text(840, top - 14, "x (R), to the next layer", "right"),
        dot(70, top),
        arrow((70, top), (70, middle), (110, middle)),
        box(195, middle, 170, 56, "conv", "dilated convolution", "taps at t - d and t, R → 2D"),
        line((280, middle), (320, middle)),
        text(300, middle - 8, "2D", "small"),
        dot(320, middle),
        arrow((320, middle), (320, middle - 35), (355, middle - 35)),
        arrow((320, middle), (320, middle + 35), (355, middle + 35)),
        box(400, middle - 35, 90, 34, "gate", "tanh"),
        box(400, middle + 35, 90, 34, "gate", "sigmoid"),
        text(338, middle - 43, "D", "small"),
        text(338, middle + 52, "D", "small"),
        arrow((445, middle - 35), (490, middle - 35), (490, middle - 13)),
        arrow((445, middle + 35), (490, middle + 35), (490, middle + 13)),
        operator(490, middle, "gate", "×"),
        arrow((503, middle), (590, middle)),
        text(525, middle - 8, "z (D)", "small"),
        dot(545, middle),
        box(660, middle, 140, 46, "conv", "1x1 convolution", "residual, D → R"),
        arrow((660, middle - 23), (660, top + 13)),
        operator(660, top, "sum", "+"),
        arrow((545, middle), (545, 207)),
        box(545, 230, 140, 46, "conv", "1x1 convolution", "skip, D → S"),
        arrow((545, 253), (545, bottom - 13)),
        operator(545, bottom, "sum", "+"),
        text(20, bottom - 14, "s (S), the sum over the layers before", "left"),
        arrow((20, bottom), (532, bottom)),
        arrow((558, bottom), (840, bottom)),
        text(840, bottom - 14, "s (S), to the next layer", "right"),
        text(840, bottom + 20, "after the last layer to the output network", "small right"),
    ]
    return svg(860, 330, "A layer of WaveNet", parts)


def dilation() -> str:
    """The layers with dilations 1, 2, 4 and 8, and the samples that reach one output."""
    dilations, samples, step, row = (1, 2, 4, 8), 20, 32, 62
    left, floor = 165, 40 + row * len(dilations)

    def at(sample: int, level: int) -> tuple[float, float]:
        return left + step * sample, floor - row * level

    used = [{samples - 1}]  # from the output down to the input
    for d in reversed(dilations):
        used.insert(0, used[0] | {sample - d for sample in used[0]})
    faint, path, nodes = [], [], []
    for level, d in enumerate(dilations, 1):
        for sample in range(samples):
            for past in (sample - d, sample):
                if past >= 0:
                    edge = at(past, level - 1), at(sample, level)
                    if sample in used[level]:
                        path.append(line(*edge, kind="path"))
                    else:
                        faint.append(line(*edge, kind="faint"))
    for level in range(len(dilations) + 1):
        for sample in range(samples):
            x, y = at(sample, level)
            kind = "node used" if sample in used[level] else "node"
            nodes.append(f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="6"/>')
    names = ["input x", *(f"layer {i}, dilation {d}" for i, d in enumerate(dilations))]
    labels = [text(left - 20, at(0, i)[1] + 5, name, "right") for i, name in enumerate(names)]
    first, last = at(min(used[0]), 0)[0], at(samples - 1, 0)[0]
    under = floor + 24
    field = [
        line((first, under - 8), (first, under), (last, under), (last, under - 8)),
        text((first + last) / 2, under + 20, "receptive field: 1 + 1 + 2 + 4 + 8 = 16 samples"),
        text(last, 22, "output at t", "right"),
        text(first, under + 20, "t - 15", "small"),
        text(last, under + 20, "t", "small"),
    ]
    parts = faint + path + nodes + labels + field
    return svg(left + step * samples, under + 40, "Dilated causal convolutions", parts)


DRAWINGS = {"layer.svg": layer, "dilation.svg": dilation}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for name, draw in DRAWINGS.items():
        (folder / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
