"""Pictures of audio and of its surprise, with matplotlib (the `plot` extra)."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .atomic import check_target, is_special_file, replace_atomically
from .shown import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

FLOOR_DB = -90.0
MAX_COLUMNS = 1000  # of an overview


def spectrogram_db(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Power of a Hann-windowed short-time Fourier transform, dB of full scale: (bins, frames).

    audio: float (n,).  Windows of 32 ms, a quarter apart; a tail that fills none is left out.
    """
    window = np.hanning(max(16, round(0.032 * sample_rate)))
    padded = np.pad(audio, (0, max(0, len(window) - len(audio))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, len(window))[:: len(window) // 4]
    amplitude = np.abs(np.fft.rfft(frames * window, axis=1)) / (window.sum() / 2)
    return np.maximum(20 * np.log10(amplitude + 1e-12), FLOOR_DB).T


def draw_waveform(axes: Axes, audio: np.ndarray, sample_rate: int, title: str) -> None:
    axes.plot(np.arange(len(audio)) / sample_rate, audio, linewidth=0.3)
    axes.set_title(shown(PurePath(title)), parse_math=False)  # a file's name may hold a $
    axes.set(xlim=(0, len(audio) / sample_rate), ylim=(-1, 1), ylabel="amplitude")


def draw_spectrogram(axes: Axes, audio: np.ndarray, sample_rate: int) -> None:
    draw_spectra(axes, spectrogram_db(audio, sample_rate), len(audio) / sample_rate, sample_rate)
    axes.set(xlabel="seconds")


def draw_spectra(axes: Axes, spectra: np.ndarray, seconds: float, sample_rate: int) -> None:
    """spectra: (bins, columns), dB, from 0 Hz up to half the sample rate."""
    axes.imshow(
        spectra,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, 0, sample_rate / 2000),
        vmin=FLOOR_DB,
        vmax=-20,
        cmap="magma",
    )
    axes.set(ylabel="kHz")


def check_picture(path: str | os.PathLike[str]) -> None:
    """Before long work: raises ValueError or OSError if no picture can be written there."""
    if Path(path).suffix.lower() != ".png" and not is_special_file(path):
        raise ValueError(f"{shown(Path(path))}: the name must end in .png")
    if is_special_file(path):
        raise ValueError(f"{shown(Path(path))}: is a device or a pipe, expected a file's name")
    check_target(path)


def save_sounds(
    path: str | os.PathLike[str], sounds: Mapping[str, np.ndarray], sample_rate: int
) -> None:
    """A PNG with waveform and spectrogram of each named sound, float (n,), side by side."""
    figure, grid = _figure(columns=len(sounds))
    _draw_sounds(figure, grid, sounds, sample_rate)
    save_figure(figure, path)


def _figure(columns: int) -> tuple[Figure, GridSpec]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(7, 5 * columns), 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_gridspec(2, columns)


def _draw_sounds(
    figure: Figure, grid: GridSpec, sounds: Mapping[str, np.ndarray], sample_rate: int
) -> None:
    for column, (title, audio) in enumerate(sounds.items()):
        draw_waveform(figure.add_subplot(grid[0, column]), audio, sample_rate, title)
        draw_spectrogram(figure.add_subplot(grid[1, column]), audio, sample_rate)


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """As PNG, whole or not at all."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    replace_atomically(path, picture.getvalue())


# ---- surprise ----------------------------------------------------------------------------------


class Timeline(NamedTuple):
    """A recording with the surprise of its frames.

    spectra      float (bins, columns), dB, of `overview_db`
    sample_rate  Hz
    edges        float (frames + 1,), seconds: where the frames begin and the last one ends
    nats         float32 (frames,), and their name
    threshold    nats, or None
    segments     begin and end in seconds of each run of frames above it
    """

    name: str
    spectra: np.ndarray
    sample_rate: int
    edges: np.ndarray
    nats: np.ndarray
    measure: str
    threshold: float | None
    segments: list[tuple[float, float]]


def overview_db(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """The mean dB of `spectrogram_db` over at most MAX_COLUMNS equal parts: (bins, columns).

    audio: float (n,).  Memory does not grow with the audio.
    """
    columns = min(MAX_COLUMNS, max(1, len(audio) // max(16, round(0.032 * sample_rate))))
    parts = np.array_split(audio, columns)
    return np.stack([spectrogram_db(part, sample_rate).mean(axis=1) for part in parts], axis=1)


def save_timelines(path: str | os.PathLike[str], timelines: Sequence[Timeline]) -> None:
    """A PNG with spectrum and surprise of each recording, one below the other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4 * len(timelines)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2 * len(timelines), 1)
    for row, timeline in enumerate(timelines):
        above = figure.add_subplot(grid[2 * row, 0])
        _draw_overview(above, timeline)
        _draw_surprise(figure.add_subplot(grid[2 * row + 1, 0], sharex=above), timeline)
    save_figure(figure, path)


def _draw_overview(axes: Axes, timeline: Timeline) -> None:
    draw_spectra(axes, timeline.spectra, timeline.edges[-1], timeline.sample_rate)
    axes.set_title(shown(PurePath(timeline.name)), parse_math=False)  # the name may hold a $


def _draw_surprise(axes: Axes, timeline: Timeline) -> None:
    axes.stairs(timeline.nats, timeline.edges, baseline=None, linewidth=0.8)
    for begin, end in timeline.segments:
        axes.axvspan(begin, end, color="tab:red", alpha=0.25, linewidth=1)  # a pixel at least
    if timeline.threshold is not None:
        axes.axhline(timeline.threshold, color="tab:red", linewidth=0.8, linestyle="--")
    axes.set(xlim=(0, timeline.edges[-1]), xlabel="seconds", ylabel=timeline.measure)
