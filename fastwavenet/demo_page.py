"""index.html of `fastwavenet demo`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .demo_speeds import HEADS, Speed, times
from .sound_page import Version, comparison, document, header, section, table, tiles

ABOUT = (
    "A WaveNet generates audio one sample at a time. All sounds on this page but the recording "
    "were just made on this computer, on one core. Each is also a file beside this page."
)
SPEECH = (
    "A vocoder turns mel frames into sound: numbers that describe, every 16 ms, how loud each "
    "band of frequencies is, and here also the pitch. Phases and all that is finer than a frame "
    "are lost, and the vocoder has to make them up. Play one version, then press another: it "
    "continues at the same position."
)
MUSIC = "An instrument takes the notes of a melody in the place of mel frames."
SPEEDS = (
    "Generated on one core; 1 x real time is as fast as the sound plays. Naive PyTorch computes "
    "the whole past again for each sample; queued PyTorch keeps the results that are needed again."
)
NEXT = """\
fastwavenet vocode hello.wav -m speech-16k -o again.wav
fastwavenet generate -o out.wav
fastwavenet train recordings/ -o run/ --preset small --minutes 20"""


def render(speech: Sequence[Version], music: Sequence[Version], speeds: Sequence[Speed]) -> str:
    """The page.

    speech: the recording and what was made of it; music: of the instrument
    """
    parts = [
        header("fastwavenet demo", "The first minute", ABOUT),
        tiles([_fact(speed) for speed in speeds if speed.by.startswith("fastwavenet")]),
        comparison("Speech", SPEECH, speech),
    ]
    if music:
        parts.append(comparison("Music", MUSIC, music))
    rows = table(HEADS, [speed.cells() for speed in speeds])
    parts.append(section("Speed", f"<p>{escape(SPEEDS)}</p>{rows}", "speeds"))
    parts.append(section("Next", f"<pre><code>{escape(NEXT)}</code></pre>", "next"))
    return document("fastwavenet: the first minute", "\n".join(parts))


def _fact(speed: Speed) -> tuple[str, str, str]:
    return speed.network, f"{times(speed.real_time)} x", f"real time, by {speed.by}"
