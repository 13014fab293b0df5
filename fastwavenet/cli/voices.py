"""fastwavenet voices: the models that ship with the package, and their cards."""

from __future__ import annotations

import argparse

from .. import modelfile
from ..bundled_voices import Voice, voice_of, voices
from .arguments import add_command
from .report import Report


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "list the models that ship with fastwavenet, or show the card of one",
        "fastwavenet voices speech-16k",
    )
    option("name", nargs="?", help="of a voice, whose card is shown; without it: all voices")


def run(arguments: argparse.Namespace) -> int:
    report = Report(arguments)
    if arguments.name is None:
        facts = [_facts(voice) for voice in voices()]
        report.result({"voices": facts}, *_table(facts))
    else:
        voice = voice_of(arguments.name)
        facts_of_one = _facts(voice) | {"card": voice.card, "notices": voice.notices}
        report.result(facts_of_one, voice.card.rstrip("\n"), "", f"Model file: {voice.path}")
    return 0


def _facts(voice: Voice) -> dict:
    return {
        "name": voice.name,
        "summary": voice.summary,
        "sample_rate": modelfile.load(voice.path).spec.sample_rate,
        "bytes": voice.path.stat().st_size,
        "path": str(voice.path),
    }


def _table(facts: list[dict]) -> list[str]:
    """A line for each voice: name, sample rate, size, summary."""
    if not facts:
        return ["this installation has no voices"]
    width = max(len(voice["name"]) for voice in facts)
    return [
        f"{voice['name']:{width}}  {voice['sample_rate']:6} Hz  {voice['bytes'] / 1e6:4.1f} MB  "
        f"{voice['summary']}"
        for voice in facts
    ]
