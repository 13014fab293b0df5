"""report.html: curves, remarks and sounds of a run, in one file without outside resources.

It is readable without scripts: curves are inline SVG.  For the sounds see sound_page.py.
"""

from __future__ import annotations

import math
import time
from html import escape

from ..sound_page import document, header, picture, player, section, tiles
from .report_charts import Curve, chart, thinned
from .report_remarks import duration, remarks
from .snapshot import Snapshot
from .sounds import ORIGINAL, Sound, figure_attribute

MOST_ROWS = 60  # of the table

LOSSES = (
    ("train_loss", "training", 2),
    ("validation_loss", "held out", 1),
    ("wrong_frames", "held out, wrong frames", 3),
    ("wrong_speakers", "held out, wrong speakers", 4),
)


def render(name: str, now: Snapshot, sounds: list[Sound]) -> str:
    """The page of a run.  sounds: in any order."""
    parts = [_header(name, now), _tiles(now), _remarks(now, sounds), _listen(sounds)]
    if now.history:
        parts += [_curves(now), _table(now.history)]
    body = "\n".join(part for part in (*parts, _footer()) if part)
    return document(f"{name}: training", body)


# ---- facts ---------------------------------------------------------------------------------------


def _header(name: str, now: Snapshot) -> str:
    spec = now.settings.spec
    field = 1000 * spec.receptive_field / spec.sample_rate
    about = [
        f"{spec.weight_bytes() // 4:,} parameters",
        f"{spec.sample_rate:,} Hz",
        f"receptive field {spec.receptive_field:,} samples ({field:.0f} ms)",
    ]
    if spec.conditioning is not None and spec.conditioning.channels:
        about.append(f"frames: {spec.conditioning.described}")
    if spec.conditioning is not None and spec.conditioning.speakers:
        about.append(f"{len(spec.conditioning.speakers)} speakers")
    ended = "training has ended" if now.spent >= 1 else "reload the page to see more"
    return header(
        "fastwavenet training run",
        name,
        " · ".join(about),
        f"step {now.steps:,} after {duration(now.seconds)} of {now.budget}; {ended}",
    )


def _tiles(now: Snapshot) -> str:
    rate = now.settings.spec.sample_rate
    facts = [
        (
            label,
            duration(sum(len(clip.codes) for clip in clips) / rate),
            f"{len(clips)} clip{'s' * (len(clips) > 1)}",
        )
        for label, clips in (("to train on", now.corpus.train), ("held out", now.corpus.validation))
    ]
    if now.seconds:
        facts.insert(0, ("speed", f"{now.samples / now.seconds:,.0f}", "samples per second"))
    if now.history:
        last = now.history[-1]["validation_loss"]
        best = min(now.history, key=lambda record: record["validation_loss"])
        lowest = f"lowest {best['validation_loss']:.3f} at step {best['step']:,}"
        facts.insert(0, ("held-out loss", f"{last:.3f}", f"nats per sample; {lowest}"))
    return tiles(facts)


def _remarks(now: Snapshot, sounds: list[Sound]) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in remarks(now, sounds))
    return section("What to make of it", f"<ul>{lines}</ul>", "remarks")


def _footer() -> str:
    written = time.strftime("%Y-%m-%d %H:%M:%S")
    return (
        f"<footer>Written {written}. Losses are in nats per sample, on the same held-out windows "
        f"each time. Previews are made with the weights of their step, always with the same seed; "
        f"those of the last step with the sampling that was found at the end."
        f"</footer>"
    )


# ---- sounds --------------------------------------------------------------------------------------


def _listen(sounds: list[Sound]) -> str:
    if not sounds:
        return ""
    steps = sorted({s.facts.step for s in sounds} - {ORIGINAL})
    latest = steps[-1] if steps else ORIGINAL
    by_place = {(s.facts.step, s.facts.index): s for s in sounds}
    rows = [
        _compared([by_place[at] for at in ((latest, i), (ORIGINAL, i)) if at in by_place])
        for i in sorted({i for step, i in by_place if step == latest})
    ]
    earlier = [s for s in sounds if s.facts.step in steps[:-1]]
    if earlier:
        figures = "".join(_figure(s, titled=True) for s in reversed(_ordered(earlier)))
        rows.append(f'<h3>Earlier</h3><div class="sounds small">{figures}</div>')
    return section("Listen", "".join(rows), "listen")


def _compared(pair: list[Sound]) -> str:
    """A preview beside its recording, on the same scale of time."""
    longest = max(s.facts.seconds for s in pair)
    figures = "".join(_figure(s, share=s.facts.seconds / longest) for s in pair)
    return f'<h3>{escape(pair[0].facts.title)}</h3><div class="sounds">{figures}</div>'


def _ordered(sounds: list[Sound]) -> list[Sound]:
    return sorted(sounds, key=lambda s: (s.facts.step, -s.facts.index))


def _figure(sound: Sound, titled: bool = False, share: float = 1.0) -> str:
    """share: of the width, that the picture takes."""
    facts = sound.facts
    name = "the recording" if facts.step == ORIGINAL else f"step {facts.step:,}"
    caption = f"<b>{name}</b>"
    if titled:
        caption += f" {escape(facts.title)}"
    if facts.begins:
        caption += f" after {facts.begins:.1f} s of the recording"
    extent = facts.seconds, facts.sample_rate
    return player(
        f"{facts.title}: {name}",
        caption,
        sound.audio,
        picture(sound.picture, "spectrogram", extent, share, facts.begins),
        figure_attribute(facts),
    )


# ---- curves --------------------------------------------------------------------------------------


def _curves(now: Snapshot) -> str:
    history, guessing = now.history, math.log(now.settings.spec.levels)
    losses = [
        Curve(name, [(r["step"], r[key]) for r in history], colour)
        for key, name, colour in LOSSES
        if all(key in r for r in history)
    ]
    rates = [(r["step"], r["learning_rate"]) for r in history]
    charts = [
        chart("Loss", losses, "nats per sample", (guessing, "guessing")),
        chart("Learning rate", [Curve("learning rate", rates)]),
        chart("Speed", [Curve("speed", speeds(history))], "steps per second"),
    ]
    return section("Curves", f'<div class="charts">{"".join(charts)}</div>', "curves")


def speeds(history: list[dict]) -> list[tuple[int, float]]:
    """(step, steps per second since the record before), validations and previews included."""
    found, before = [], {"step": 0, "seconds": 0.0}
    for record in history:
        seconds = record["seconds"] - before["seconds"]
        if seconds > 0:
            found.append((record["step"], (record["step"] - before["step"]) / seconds))
        before = record
    return found


def _table(history: list[dict]) -> str:
    columns = [
        ("step", "step", "{:,}"),
        ("seconds", "seconds", "{:,.0f}"),
        *((key, name, "{:.3f}") for key, name, _ in LOSSES if key in history[-1]),
        ("learning_rate", "learning rate", "{:.2g}"),
    ]
    head = "".join(f"<th>{escape(name)}</th>" for _, name, _ in columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{how.format(r[key])}</td>" for key, _, how in columns) + "</tr>"
        for r in reversed(thinned(history, MOST_ROWS))
    )
    left_out = len(history) - MOST_ROWS
    note = f"<p>{left_out:,} of the reports are left out here; log.jsonl has all.</p>"
    return section(
        "Numbers",
        f"<details><summary>{len(history):,} reports</summary>{note if left_out > 0 else ''}"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        f"</div></details>",
        "numbers",
    )
