"""Makes docs/listen.html, a page of sounds in one file.

    python docs/listen.py [RECORDING...] [--vocoder MODEL] [-o FILE] [--credit TEXT]

Each recording, and at the end the bundled clip, is made again from its mel frames by the vocoder,
and beside it without mel matching, by the codec alone and without a network; the first one also in
each precision and at a lower temperature.  The instrument plays a melody.  Recordings have the
vocoder's sample rate; they should be held out, and their licence must allow passing them on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path

import fastwavenet as fw
from fastwavenet.atomic import check_target, replace_atomically
from fastwavenet.compared import (
    codec_alone,
    convention_of,
    recording,
    whole_frames,
    without_network,
)
from fastwavenet.shown import shown
from fastwavenet.sound_page import Version, comparison, document, header, section
from fastwavenet.types import Audio, Precision

CLIP = "arctic_a0009.flac"
PRECISIONS: dict[Precision, int] = {"float32": 32, "bfloat16": 16, "int8": 8}  # bits
TEMPERATURES = (0.6,)
SEED = 7
MOST_SECONDS = 3.0  # of a recording
MELODY_SECONDS = 8.0
MOST_BYTES = 3_000_000

ABOUT = (
    "A WaveNet is a neural network that generates audio one sample at a time. These sounds were "
    "made on a CPU by the models that come with fastwavenet. Play one, then press the button of "
    "another, or a key from 1 to 9: it continues at the same position. The pictures are "
    "spectrograms: time runs to the right, frequency upwards, and bright is loud."
)
TERMS = {
    "vocoder": "a network that gets mel frames of the recording, which describe every {hop:.0f} ms "
    "how loud each band of frequencies is, and perhaps the pitch. Phases, and all that is finer "
    "than a frame, it makes up.",
    "float32, bfloat16, int8": "the vocoder with weights of 32, 16 or 8 bits. Fewer bits are "
    "faster. A small difference in one sample soon leads to other samples, so compare how rough "
    "the voices are. {default} is used where no precision is named.",
    "temperature": "the network gives a probability for each value of a sample, and one is drawn. "
    "A temperature below 1 prefers the most probable: there is less noise, until breath and "
    "consonants are lost.",
    "the network's samples": "the vocoder as the network made it. All other versions of it end "
    "with mel matching, 32 passes that bring the spectra of the sound nearer to the mel frames.",
    "codec alone": "the recording rounded to the {levels} levels from which the network chooses: "
    "the best that it could reach.",
    "Griffin-Lim": "an algorithm that finds the phases without a network. Compare its echo and its "
    "metallic sound.",
    "matched noise": "mel matching of noise in the place of the network's samples: the part of the "
    "sound that needs no network.",
}
HELD_OUT = "The network was not trained on this sentence."
BUNDLED = "The clip that comes with fastwavenet. The network was not trained on this speaker."
MUSIC = "This network is an instrument: it gets the notes of a melody in the place of mel frames."
CLIP_CREDIT = (
    "The clip is sentence a0009 of the CMU ARCTIC databases, copyright (c) 2003 Carnegie Mellon "
    "University, free for any use with its notice."
)


def page(
    recordings: dict[str, Audio], vocoder: fw.Model, instrument: fw.Model, credit: str = CLIP_CREDIT
) -> str:
    """The HTML.

    recordings: name -> float (n,) at the vocoder's sample rate; the first one in all versions
    credit: of the recordings
    """
    parts = [header("fastwavenet", "Listen", ABOUT), terms(vocoder)]
    for number, (name, audio) in enumerate(recordings.items()):
        made = versions(audio, vocoder, every=not number)
        parts.append(comparison(Path(name).stem, BUNDLED if name == CLIP else HELD_OUT, made))
    parts.append(comparison("Music", MUSIC, [melody(instrument)]))
    parts.append(section("The recordings", f"<p>{escape(credit)}</p>", "credits"))
    return document("fastwavenet: listen", "\n".join(parts))


def terms(vocoder: fw.Model) -> str:
    """What the names of the versions mean, for newcomers."""
    mel, levels = convention_of(vocoder.spec), vocoder.spec.levels
    about = {"hop": 1000 * mel.hop / mel.sample_rate, "default": vocoder.precision}
    lines = "".join(
        f"<li><b>{escape(name)}</b>: {escape(text.format(levels=levels, **about))}</li>"
        for name, text in TERMS.items()
    )
    return section("The versions", f"<ul>{lines}</ul>", "remarks")


def versions(audio: Audio, vocoder: fw.Model, every: bool) -> list[Version]:
    """every: in each precision and at lower temperatures too."""
    audio = whole_frames(audio[: round(MOST_SECONDS * vocoder.sample_rate)], vocoder.spec)
    made = [recording(audio, vocoder.spec)]
    if every:
        for precision, bits in PRECISIONS.items():
            model = fw.Model(vocoder.spec, vocoder.weights, precision)
            made.append(vocoded(audio, model, precision, f"Weights of {bits} bits."))
        text = f"Probable codes preferred, in {vocoder.precision}."
        for number in TEMPERATURES:
            made.append(
                vocoded(audio, vocoder, f"temperature {number:g}", text, temperature=number)
            )
    else:
        made.append(vocoded(audio, vocoder, "vocoder", f"In {vocoder.precision}."))
    text = f"In {vocoder.precision}, without mel matching."
    made.append(vocoded(audio, vocoder, "the network's samples", text, match=0))
    return [*made, codec_alone(audio, vocoder.spec), *without_network(audio, vocoder.spec)]


def vocoded(
    audio: Audio,
    model: fw.Model,
    name: str,
    text: str,
    *,
    temperature: float | None = None,
    match: int | None = None,
) -> Version:
    made = fw.vocode(model, audio, seed=SEED, temperature=temperature, match=match)
    return Version(name, text, made, model.sample_rate)


def melody(instrument: fw.Model) -> Version:
    frames = fw.melody(instrument, seconds=MELODY_SECONDS, seed=SEED)
    made = fw.generate(instrument, frames=frames, seed=SEED)
    return Version("melody", "Improvised by rule and chance.", made, instrument.sample_rate)


def read(files: Sequence[Path], sample_rate: int) -> dict[str, Audio]:
    """Name -> audio of each file, and of the bundled clip."""
    with resources.as_file(resources.files("fastwavenet") / "data" / CLIP) as clip:
        return {file.name: fw.read_audio(file, sample_rate)[0] for file in (*files, clip)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recordings", nargs="*", type=Path, help="held out, at the vocoder's rate")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".html"))
    parser.add_argument("--vocoder", default="speech-16k", help="name or file (%(default)s)")
    parser.add_argument("--instrument", default="recorder-16k", help="name or file (%(default)s)")
    parser.add_argument("--credit", default="", help="a sentence about the recordings")
    given = parser.parse_args(arguments)
    try:
        print(write(given))
    except (OSError, ValueError) as error:
        parser.error(str(error))


def write(given: argparse.Namespace) -> str:
    """A line about the page.  Raises ValueError for more than MOST_BYTES."""
    check_target(given.output)
    vocoder, instrument = fw.load(given.vocoder), fw.load(given.instrument)
    recordings = read(given.recordings, convention_of(vocoder.spec).sample_rate)
    credit = f"{given.credit} {CLIP_CREDIT}".strip()
    html = page(recordings, vocoder, instrument, credit).encode()
    if len(html) > MOST_BYTES:
        raise ValueError(
            f"the page has {len(html):,} bytes, expected at most {MOST_BYTES:,}: give fewer or "
            f"shorter recordings"
        )
    replace_atomically(given.output, html)
    return f"{shown(given.output)}: {len(html):,} bytes"


if __name__ == "__main__":
    main()
