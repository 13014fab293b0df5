"""The first minute: a vocoder, an instrument, a network trained, speeds, and a page of it all."""

from __future__ import annotations

import dataclasses
import importlib.util
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import demo_page
from .atomic import check_folder, check_target, replace_atomically
from .audio import read_audio, write_audio
from .bundled_voices import INSTRUMENT, voice_of
from .checks import number
from .compared import codec_alone, recording, whole_frames, without_network
from .demo_speeds import Speed, engine_name, lines_of, peer_speeds, times
from .generator import generate
from .model import Model, load
from .piano_roll import melody
from .session import Progress
from .shown import shown
from .sound_page import Version
from .types import Audio
from .vocoding import vocode

if TYPE_CHECKING:
    from .cli.report import Report
    from .training import Summary

CLIP = "arctic_a0009.flac"
VOCODER, TRAINED = "speech-16k", "trained"  # names of sounds and models
SOUNDS = ("recording", VOCODER, TRAINED, "codec alone", "Griffin-Lim", "matched noise", INSTRUMENT)
PAGE, SPEEDS, MODEL, RUN = "index.html", "speeds.txt", "trained.safetensors", "run"
NEEDED = ("torch", "tqdm")  # to train
MELODY_SECONDS, SEED = 6.0, 7
LOUD = 2  # times the recording's level: a network that has learnt little
NOISE = "It is still loud noise, for which more training is needed: --minutes."
COURSE = "How it works: the course, docs/course/README.md in the source; `make docs` makes a site."
TRAINED_MIN_P = 0.05  # after a minute the improbable codes are hiss


def run_demo(output: Path, minutes: float, report: Report) -> bool:
    """Writes sounds, a model, a table of speeds and index.html to the folder `output`.

    minutes: of training, which needs the `train` extra; without it nothing is trained.
    Files of an earlier demo are replaced, others stay.  The page is written before the training
    and at the end, so that Ctrl-C keeps all that is made.
    Returns whether Ctrl-C ended the training.  Raises ValueError for minutes that are not positive,
    OSError if a file cannot be written.
    """
    number("minutes", minutes, zero=False)
    _make_folder(output)
    demo = Demo(output, report)
    demo.speak()
    demo.play()
    demo.compare()
    demo.write()
    interrupted = False
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        report.line(f"No training: {missing[0]} is missing: pip install 'fastwavenet[train]'")
    else:
        interrupted = demo.train(minutes)
        demo.write()
        if not interrupted:
            demo.time_peers()
            demo.write()
    demo.conclude()
    return interrupted


def sound_file(name: str) -> str:
    """The file of a sound in the folder."""
    return f"{name.lower().replace(' ', '-')}.wav"


def _make_folder(output: Path) -> None:
    """Raises OSError, before the work, if a result cannot be written there."""
    check_folder(output)
    output.mkdir(parents=True, exist_ok=True)
    for name in (PAGE, SPEEDS, MODEL, *map(sound_file, SOUNDS)):
        check_target(output / name)
    check_folder(output / RUN)


class Demo:
    """The results so far.

    clip    the bundled recording, float32 (n,), whole frames of the vocoder
    made    name -> sound
    speeds  of the networks that made them, and of PyTorch
    """

    def __init__(self, output: Path, report: Report):
        self.output, self.report = output, report
        self.vocoder = load(voice_of(VOCODER).path)
        with resources.as_file(resources.files("fastwavenet") / "data" / CLIP) as file:
            audio, _ = read_audio(file, self.vocoder.sample_rate)
        self.clip = whole_frames(audio, self.vocoder.spec)
        self.made: dict[str, Version] = {}
        self.speeds: list[Speed] = []
        self._keep(recording(self.clip, self.vocoder.spec))

    def speak(self) -> None:
        """The clip by the vocoder that ships with the package."""
        text = "From the recording's mel frames, by a shipped voice and mel matching."
        self._vocode(self.vocoder, VOCODER, text)

    def play(self) -> None:
        """A melody by the instrument that ships with the package."""
        model = load(voice_of(INSTRUMENT).path)
        frames = melody(model, seconds=MELODY_SECONDS, seed=SEED)

        def make(progress: Progress) -> Audio:
            return generate(model, frames=frames, seed=SEED, progress=progress)

        self._time(model, INSTRUMENT, "From notes, by a shipped voice.", make)

    def compare(self) -> None:
        """The clip by the codec alone, and without a network."""
        spec = self.vocoder.spec
        for version in (codec_alone(self.clip, spec), *without_network(self.clip, spec)):
            self._keep(version)

    def train(self, minutes: float) -> bool:
        """Trains a small vocoder on the clip, and makes its sound; whether Ctrl-C ended it."""
        self.report.line(
            f"\nListen to these in {self._at(PAGE)}.  Meanwhile a small network is trained on the "
            f"recording for {minutes:g} min.  Ctrl-C ends that and keeps what was learnt.\n"
        )
        summary = _train(self.output / RUN, minutes, progress=not self.report.quiet)
        replace_atomically(self.output / MODEL, summary.model.read_bytes())
        self.report.line("")
        text = (
            f"By a small network that was trained on this recording alone, for "
            f"{summary.seconds:.0f} s: {summary.steps:,} steps."
        )
        self._vocode(load(self.output / MODEL), TRAINED, text, min_p=TRAINED_MIN_P, match=0)
        made = self.made[TRAINED]
        if np.std(made.audio) > LOUD * np.std(self.clip):
            self.made[TRAINED] = dataclasses.replace(made, text=f"{text} {NOISE}")
            self.report.line(f"{TRAINED}: {NOISE}")
        return summary.interrupted

    def time_peers(self) -> None:
        """PyTorch on the network of the vocoder."""
        self.speeds[:0] = peer_speeds(self.vocoder, VOCODER)

    def write(self) -> None:
        """The page and the table of speeds."""
        speech = [self.made[name] for name in SOUNDS if name in self.made and name != INSTRUMENT]
        page = demo_page.render(speech, [self.made[INSTRUMENT]], self.speeds)
        replace_atomically(self.output / PAGE, page.encode())
        replace_atomically(self.output / SPEEDS, f"{lines_of(self.speeds)}\n".encode())

    def conclude(self) -> None:
        self.report.line(f"\n{lines_of(self.speeds)}\n")
        self.report.line(f"Open {self._at(PAGE)} in a browser to listen and compare.")
        self.report.line(f"Next: fastwavenet vocode hello.wav -m {VOCODER} -o again.wav")
        self.report.line(COURSE)

    def _vocode(
        self,
        model: Model,
        name: str,
        text: str,
        *,
        min_p: float | None = None,
        match: int | None = None,
    ) -> None:
        def make(progress: Progress) -> Audio:
            return vocode(model, self.clip, seed=SEED, min_p=min_p, match=match, progress=progress)

        self._time(model, name, text, make)

    def _time(self, model: Model, name: str, text: str, make: Callable[[Progress], Audio]) -> None:
        with self.report.progress(model.sample_rate, f"{name}: ") as progress:
            began = time.perf_counter()
            audio = make(progress)
            seconds = time.perf_counter() - began
        speed = Speed(name, engine_name(model), len(audio) / seconds, model.sample_rate)
        version = Version(name, text, audio, model.sample_rate)
        self.speeds.append(speed)
        self._keep(version)
        self.report.line(
            f"{name}: {version.seconds:.1f} s of sound in {seconds:.1f} s, "
            f"{times(speed.real_time)} x real time: {self._at(sound_file(name))}"
        )

    def _keep(self, version: Version) -> None:
        self.made[version.name] = version
        file = self.output / sound_file(version.name)
        write_audio(file, version.audio, version.sample_rate)

    def _at(self, name: str) -> str:
        return shown(self.output / name)


def _train(run: Path, minutes: float, progress: bool) -> Summary:
    """A new run in the place of an earlier one."""
    from .training import train
    from .training.run import RunFolder

    for file in RunFolder(run).files:
        file.unlink(missing_ok=True)
    with resources.as_file(resources.files("fastwavenet") / "data" / CLIP) as clip:
        return train(
            clip,
            run,
            preset="tiny",
            mel="hifigan-16k",
            minutes=minutes,
            tune=False,  # the clip is shorter than a search needs
            progress=progress,
        )
