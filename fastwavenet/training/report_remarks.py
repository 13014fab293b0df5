"""What a beginner should make of a run: sentences, each from numbers that were measured."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..clips import count_samples
from .conditioning import WRONG_FRAMES, WRONG_SPEAKERS
from .settings import LITTLE_SECONDS
from .snapshot import Snapshot
from .sounds import ORIGINAL, Facts, Sound

LITTLE_LEARNT = 0.9  # of the loss of guessing
NOISE_NATS, NOISE_LEVELS = 3.96, 256  # a linear predictor of 16 taps on speech, docs/training.md
RISE = 0.02  # nats per sample that are more than chance
IGNORED = 0.02  # nats per sample by which wrong frames or speakers must be worse
HIGH_DECAY = 0.5  # of weight decay: more of it is not advised
LOW_RATE = 0.25  # of the highest learning rate
STILL_FALLING = 0.02  # nats per sample in the last quarter of the reports
SILENT, HISS = 0.9, 0.1  # share of frames, flatness
TWICE = 2.0  # as much as the recording has
MOST_JUDGED = 2  # previews


def remarks(now: Snapshot, sounds: list[Sound]) -> list[str]:
    """Plain sentences, the most important ones first.  sounds: those of the page."""
    if not now.history:
        return ["Nothing was measured yet: the first figures come with the first validation."]
    return [
        *_about_loss(now),
        *_about_trend(now),
        *_about_conditioning(now.history[-1]),
        *_about_sound(sounds),
        *_about_audio(now),
    ]


# ---- loss ----------------------------------------------------------------------------------------


def _about_loss(now: Snapshot) -> Iterator[str]:
    loss, levels = now.history[-1]["validation_loss"], now.settings.spec.levels
    guessing = math.log(levels)
    line = (
        f"Held-out loss is {loss:.3f} nats per sample. Guessing among {levels} values costs "
        f"{guessing:.3f}, and less is better"
    )
    if loss > LITTLE_LEARNT * guessing:
        yield f"{line}: almost nothing is learnt yet, and previews are noise."
    else:
        yield (
            f"{line}: the right value gets {math.exp(guessing - loss):,.1f} times the probability "
            f"that guessing gives it."
        )
        if levels == NOISE_LEVELS and loss > NOISE_NATS:
            yield (
                f"A crude linear predictor reaches {NOISE_NATS} on our test speech: above that, "
                f"expect noise."
            )


def _about_trend(now: Snapshot) -> Iterator[str]:
    history = now.history
    if len(history) < 2:
        return
    best = min(history, key=lambda record: record["validation_loss"])
    last = history[-1]
    rise = last["validation_loss"] - best["validation_loss"]
    fall = best["train_loss"] - last["train_loss"]
    if rise > RISE and fall > 0:
        decay = "" if (now.settings.weight_decay or 0.0) >= HIGH_DECAY else ", or --weight-decay 1"
        kept = "the latest weights" if _is_little(now) else f"the weights of step {best['step']:,}"
        yield (
            f"Since step {best['step']:,} held-out loss rose by {rise:.3f} while training loss "
            f"fell by {fall:.3f}: the network learns its recordings by heart. More audio helps, or "
            f"a smaller preset{decay}. model.safetensors keeps {kept}."
        )
    elif rise > RISE:
        yield (
            f"Held-out loss is {rise:.3f} above its lowest, at step {best['step']:,}: it may fall "
            f"again when the learning rate does."
        )
    elif len(history) >= 4:
        yield from _about_last_quarter(history)


def _about_last_quarter(history: list[dict]) -> Iterator[str]:
    before = history[-1 - len(history) // 4]
    fall = before["validation_loss"] - history[-1]["validation_loss"]
    if fall > STILL_FALLING:
        yield (
            f"Since step {before['step']:,} held-out loss fell by {fall:.3f}: it is still falling, "
            f"so longer training helps."
        )
        return
    line = f"Since step {before['step']:,} held-out loss changed by {abs(fall):.3f} only"
    highest = max(record["learning_rate"] for record in history)
    if history[-1]["learning_rate"] < LOW_RATE * highest:
        yield (
            f"{line}, with the learning rate at {history[-1]['learning_rate']:.2g} near its end: a "
            f"longer run (--minutes) keeps it high for longer."
        )
    else:
        yield f"{line}: more steps at this learning rate change little."


def _about_conditioning(record: dict) -> Iterator[str]:
    right = record["validation_loss"]
    for key, thing in ((WRONG_FRAMES, "frames"), (WRONG_SPEAKERS, "speakers")):
        if key not in record:
            continue
        cost = record[key] - right
        if cost < IGNORED:
            yield (
                f"With wrong {thing} the loss is {record[key]:.3f}, no more than {cost:.3f} above "
                f"the right ones' {right:.3f}: so far the network ignores its {thing}."
            )
        else:
            yield (
                f"With wrong {thing} the loss is {cost:.3f} higher: the network follows its "
                f"{thing}."
            )


# ---- sound ---------------------------------------------------------------------------------------


def _about_sound(sounds: list[Sound]) -> Iterator[str]:
    latest = max((s.facts.step for s in sounds), default=ORIGINAL)
    if latest == ORIGINAL:
        return
    originals = {s.facts.index: s.facts for s in sounds if s.facts.step == ORIGINAL}
    made = [s.facts for s in sounds if s.facts.step == latest]
    for facts in made[:MOST_JUDGED]:
        yield _about_preview(facts, originals.get(facts.index))


def _about_preview(facts: Facts, original: Facts | None) -> str:
    line = f"At step {facts.step:,}, {facts.title}: {_measured(facts)}"
    if original is not None:
        line += f" (the recording: {_measured(original)})"
    return f"{line}{_judged(facts, original)}."


def _measured(facts: Facts) -> str:
    parts = [
        ""
        if facts.level is None
        else f"level {facts.level:.0f} dB of full scale".replace("-", "\N{MINUS SIGN}"),
        "" if facts.silent is None else f"{percent(facts.silent)} silent",
        "" if facts.flatness is None else f"spectral flatness {facts.flatness:.3f}",
    ]
    return ", ".join(part for part in parts if part)


def _judged(facts: Facts, original: Facts | None) -> str:
    flat = 0.0 if original is None or original.flatness is None else original.flatness
    silent = 0.0 if original is None or original.silent is None else original.silent
    if facts.silent is not None and facts.silent >= SILENT > silent:
        return ": it is nearly silent, as after short training or in a pause of the recording"
    if facts.flatness is not None and facts.flatness > max(HISS, TWICE * flat):
        return ": it is mostly hiss, which has no pitch; white noise has 0.56"
    return ""


# ---- audio and time ------------------------------------------------------------------------------


def _about_audio(now: Snapshot) -> Iterator[str]:
    samples = count_samples(now.corpus.train)
    passes = now.samples / samples
    if _is_little(now):
        yield (
            f"There are {samples / now.settings.spec.sample_rate:.1f} seconds of audio to train "
            f"on, which are soon learnt by heart; half an hour of one voice or instrument is a "
            f"beginning."
        )
    if passes < 1:
        yield (
            f"Training has passed over {percent(passes)} of the audio: a longer run, or a smaller "
            f"preset, learns from all of it."
        )
    else:
        yield f"Training has passed over the audio {passes:,.1f} times."
    if 0 < now.spent < 1:
        left = now.seconds / now.spent - now.seconds
        yield f"{percent(now.spent)} of the budget is used; at this pace {duration(left)} are left."


def _is_little(now: Snapshot) -> bool:
    return now.corpus.seconds(now.settings.spec.sample_rate) < LITTLE_SECONDS


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def duration(seconds: float) -> str:
    """A time in words."""
    minutes = round(seconds / 60)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
