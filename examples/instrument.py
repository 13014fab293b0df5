"""Train an instrument of a SoundFont to play notes: how the voice recorder-16k was made.

    pip install 'fastwavenet[train]' && pip install --no-deps tinysoundfont
    python examples/instrument.py FluidR3_GM.sf2 -o recorder/              # random melodies
    python examples/instrument.py --train recorder/ -o run/                # about half an hour
    fastwavenet generate run/ -o out.wav --notes "D5:0.5 F#5 A5 D6:1.5"

The first command renders recordings and their piano rolls, recorder/wav/000.wav and
recorder/frames/000.npy; another program of General MIDI is another instrument (--program 12 is the
marimba, with --keys 45-84).  Instruments whose sound has few and strong harmonics are learnt in
minutes; a cello takes hours.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
from pathlib import Path

import numpy as np
import soxr

import fastwavenet as fw
from fastwavenet.ends import FrameConditioning
from fastwavenet.piano_roll import Note, piano_roll, piano_roll_name

RATE, HOP = 16000, 160  # Hz, and samples of a frame: 10 ms
SYNTH_RATE = 48000  # Hz, of the synthesizer, which does not filter what a lower rate cannot hold
PEAK = 0.8
BEATS = (0.5, 0.5, 1, 1, 1, 1.5, 2, 2, 4)
STEPS = (1, 1, 2, 2, 2, 3, 4, 5, 7, 12)  # semitones between notes


def random_melody(chance: random.Random, seconds: float, low: int, high: int) -> list[Note]:
    """Notes and rests of whole frames, slow and fast, legato and detached, soft and loud."""
    notes: list[Note] = []
    key, left = chance.randint(low, high), round(seconds * RATE / HOP)
    beat, legato = chance.uniform(0.12, 0.5), chance.choice((1.0, 1.0, 0.85, 0.5))
    while left > 0:
        if chance.random() < 0.05:
            beat, legato = chance.uniform(0.12, 0.5), chance.choice((1.0, 1.0, 0.85, 0.5))
        frames = min(max(4, round(chance.choice(BEATS) * beat * RATE / HOP)), left)
        left -= frames
        sounding = 0 if chance.random() < 0.06 else round(frames * legato)
        key = next_key(chance, key, low, high)
        loudness = chance.randint(50, 120) / 127
        notes += [
            Note(pitch, count * HOP / RATE, loudness)
            for pitch, count in ((key, sounding), (None, frames - sounding))
            if count
        ]
    return notes


def next_key(chance: random.Random, key: int, low: int, high: int) -> int:
    """A step up or down, or now and then anywhere."""
    if chance.random() < 0.08:
        return chance.randint(low, high)
    step = chance.choice(STEPS) * chance.choice((-1, 1))
    return key + step if low <= key + step <= high else max(low, min(high, key - step))


def render(notes: list[Note], soundfont: Path, program: int) -> np.ndarray:
    """Audio float32 (n,) at RATE."""
    import tinysoundfont

    synth = tinysoundfont.Synth(gain=0, samplerate=SYNTH_RATE)
    synth.program_select(0, synth.sfload(str(soundfont)), 0, program)
    ends = np.rint(np.cumsum([note.seconds for note in notes]) * SYNTH_RATE).astype(int)
    parts = []
    for note, samples in zip(notes, np.diff(ends, prepend=0), strict=True):
        if note.key is not None:
            synth.noteon(0, note.key, round(127 * note.loudness))
        stereo = np.frombuffer(bytes(synth.generate(int(samples))), np.float32).reshape(-1, 2)
        parts.append(stereo.mean(axis=1))
        if note.key is not None:
            synth.noteoff(0, note.key)
    return soxr.resample(np.concatenate(parts), SYNTH_RATE, RATE, "VHQ")


def render_corpus(arguments: argparse.Namespace) -> None:
    """Recordings of 15 s with their piano rolls, all by the same factor as loud as fits."""
    low, high = (int(key) for key in arguments.keys.split("-"))
    chance = random.Random(arguments.seed)
    count = max(1, round(4 * arguments.minutes))
    melodies = [random_melody(chance, 15, low, high) for _ in range(count)]
    sounds = [render(notes, arguments.source, arguments.program) for notes in melodies]
    gain = PEAK / max(np.abs(sound).max() for sound in sounds)
    for folder in ("wav", "frames"):
        (arguments.output / folder).mkdir(parents=True, exist_ok=True)
    for number, (notes, sound) in enumerate(zip(melodies, sounds, strict=True)):
        roll = piano_roll(notes, low, high, RATE / HOP)
        np.save(arguments.output / "frames" / f"{number:03}.npy", roll)
        audio = (gain * sound[: len(roll) * HOP]).astype(np.float32)
        fw.write_audio(arguments.output / "wav" / f"{number:03}.wav", audio, RATE)
    (arguments.output / "keys.txt").write_text(f"{low} {high}\n")


def train_instrument(arguments: argparse.Namespace) -> None:
    from fastwavenet.training import train
    from fastwavenet.training.presets import preset_spec

    low, high = (int(key) for key in (arguments.source / "keys.txt").read_text().split())
    spec = preset_spec(arguments.preset, RATE)
    roll = FrameConditioning(high - low + 2, HOP, features=piano_roll_name(low, high))
    train(
        arguments.source / "wav",
        arguments.output,
        spec=dataclasses.replace(spec, conditioning=roll),
        frames=arguments.source / "frames",
        steps=arguments.steps,
        tune=None if arguments.tune else False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="SoundFont, or with --train the recordings")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder")
    parser.add_argument(
        "--program", type=int, default=74, help="of General MIDI (74, the recorder)"
    )
    parser.add_argument("--keys", default="67-96", help="lowest and highest MIDI key (67-96)")
    parser.add_argument("--minutes", type=float, default=25, help="of recordings (25)")
    parser.add_argument("--seed", type=int, default=1, help="of the melodies (1)")
    parser.add_argument("--train", action="store_true", help="train on recordings made before")
    parser.add_argument("--preset", default="small", help="size of the network (small)")
    parser.add_argument("--steps", type=int, default=9000, help="of training (9000)")
    parser.add_argument("--no-tune", dest="tune", action="store_false", help="keep temperature 1")
    arguments = parser.parse_args()
    (train_instrument if arguments.train else render_corpus)(arguments)


if __name__ == "__main__":
    main()
