"""The figures and the sounds of the course's chapters, in one style.

Chapters import this module from their own folder.  Its two functions return an object that a
notebook and the site show, and that costs nothing where a chapter runs as a plain program.
"""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import soundfile
from matplotlib.figure import Figure

import fastwavenet as fw

HERE = Path(__file__).parent
RATE = 16000  # Hz, of the sentence and of most sounds

plt.style.use(HERE / "course.mplstyle")


@dataclass(frozen=True)
class Html:
    """What a notebook shows in the place of a value."""

    html: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:  # for readers of a plain log
        return f"<{len(self.html)} bytes of HTML>"


def picture(figure: Figure, alt: str, kind: str = "svg") -> Html:
    """A figure of matplotlib as an image; the figure is closed.

    alt   the text for readers who cannot see it: the finding, not the shape
    kind  "svg", or "png" for pictures of many points
    """
    file = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else None
    figure.savefig(file, format=kind, metadata=metadata, dpi=150)
    plt.close(figure)
    mime = "image/svg+xml" if kind == "svg" else "image/png"
    image = f'<img alt="{escape(alt)}" src="{_uri(mime, file.getvalue())}">'
    return Html(f'<div class="course">{image}</div>')


def listen(
    sounds: Mapping[str, np.ndarray], sample_rate: int = RATE, container: str = "FLAC"
) -> Html:
    """A player for each sound.

    sounds       name -> float (n,) with full scale 1.0
    sample_rate  Hz
    container    "FLAC", exact to 16 bits; "OGG" (Opus) for long sounds, a tenth of the size
    """
    rows = (
        f'<tr><th scope="row">{escape(name)}</th><td><audio controls aria-label="{escape(name)}" '
        f'src="{_uri(*_encoded(audio, sample_rate, container))}"></audio></td></tr>'
        for name, audio in sounds.items()
    )
    return Html(f'<table class="listen">{"".join(rows)}</table>')


def _encoded(audio: np.ndarray, sample_rate: int, container: str) -> tuple[str, bytes]:
    file = io.BytesIO()
    subtype = {"FLAC": "PCM_16", "OGG": "OPUS"}[container]
    soundfile.write(file, audio, sample_rate, subtype=subtype, format=container)
    return f"audio/{container.lower()}", file.getvalue()


def _uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def snr(signal: np.ndarray, result: np.ndarray) -> float:
    """Signal-to-noise ratio in dB: the power of `signal` over that of `result - signal`."""
    noise = np.asarray(result, np.float64) - signal
    return float(10 * np.log10(np.mean(np.square(signal, dtype=np.float64)) / np.mean(noise**2)))


def linear(audio: np.ndarray, bits: int) -> np.ndarray:
    """float64: amplitudes rounded to 2**bits equal steps from -1 on, as `write_audio` rounds."""
    half = 2.0 ** (bits - 1)
    return np.clip(np.rint(half * np.asarray(audio, np.float64)), -half, half - 1) / half


def sentence() -> np.ndarray:
    """float32 (49520,): a sentence of one English speaker at 16 kHz (CMU ARCTIC, a0009)."""
    with resources.as_file(resources.files("fastwavenet") / "data/arctic_a0009.flac") as path:
        audio, _ = fw.read_audio(path, RATE)
    return audio


def sentence_network() -> Path:
    """The model file of a network that was trained on the sentence, of preset tiny, in 250 steps.

    Chapter 12 explains the training.  It takes 15 seconds, once: the file is kept in build/course.
    """
    kept = HERE.parents[1] / "build/course/sentence.safetensors"
    if not kept.exists():
        from fastwavenet.training import train

        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            clip = Path(folder) / "sentence.flac"
            soundfile.write(clip, sentence(), RATE, subtype="PCM_16")
            run = train(
                clip, Path(folder) / "run", preset="tiny", steps=250, tune=False, progress=False
            )
            run.model.replace(kept)
    return kept
