"""Pictures of audio, with matplotlib (the `plot` extra)."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from .atomic import check_target, is_special_file, replace_atomically
from .shown import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

FLOOR_DB = -90.0


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
    extent = (0, len(audio) / sample_rate, 0, sample_rate / 2000)
    axes.imshow(
        spectrogram_db(audio, sample_rate),
        origin="lower",
        aspect="auto",
        extent=extent,
        vmin=FLOOR_DB,
        vmax=-20,
        cmap="magma",
    )
    axes.set(xlabel="seconds", ylabel="kHz")


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
