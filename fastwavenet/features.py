"""Mel spectrograms of audio: one computation for training, vocoding and imported models.

The constants are a `Mel` (mel_conventions.py).  Frame i of n samples belongs to samples i hop to
(i + 1) hop - 1, so there are floor(n / hop) frames and a vocoder makes n - n % hop samples of them.
A centred front end in other projects has one frame more, whose span lies behind the audio; the
others are equal to theirs.

The bits of a frame depend on its own samples only, not on how many frames are computed together:
frames go through numpy's FFT one by one, and filters are sums along a frame, since a BLAS product
rounds differently for different numbers of rows.  Sums and transforms are in float64: float32 would
leave noise of 1e-7 of the loudest bin in the quietest, far above the floor of the logarithm, and is
not faster.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .arrays import float_audio, to_float32
from .checks import integer
from .mel_conventions import DEFAULT, MAX_RATE, Mel, as_mel

BLOCK = 64  # frames that are computed together, so that their spectra stay in the cache


def mel(
    audio: npt.ArrayLike, convention: Mel | str = DEFAULT, *, sample_rate: int | None = None
) -> npt.NDArray[np.float32]:
    """The mel spectrogram of a recording: float32 (frames, mels), frames = floor(n / hop).

    audio: float32 or float64 (n,), full scale 1.0, at the convention's rate.  At both ends it is
    reflected, as often as needed if it is shorter than the padding.
    convention: a preset's name (`mel_presets`), or a `Mel`.
    sample_rate: Hz of the audio, to be compared with the convention's; None: not checked.
    Raises ValueError for another rate, shape or preset and for audio that is not finite, naming
    the index; TypeError for integers, which have no full scale.
    """
    stream = MelStream(convention, sample_rate=sample_rate)
    samples = float_audio(audio)
    frames = np.empty((len(samples) // stream.convention.hop, stream.convention.mels), np.float32)
    done = 0
    for block in stream._fed_blocks(samples):
        frames[done : done + len(block)] = block
        done += len(block)
    frames[done:] = stream.finish()
    return frames


class MelStream:
    """The mel spectrogram of audio that arrives in pieces, equal to that of `mel` bit for bit.

    convention, sample_rate: as in `mel`.

    A frame is returned as soon as all of its samples are there, its window's right half among them.
    """

    def __init__(self, convention: Mel | str = DEFAULT, *, sample_rate: int | None = None) -> None:
        self.convention = as_mel(convention)
        _check_rate(sample_rate, self.convention)
        self._restart()

    def _restart(self) -> None:
        self._fed = 0  # samples
        self._returned = 0  # frames
        self._kept = np.empty(0, np.float32)  # the last of the samples that were fed

    def feed(self, audio: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The frames that the next samples complete: float32 (0 or more, mels).

        audio: as in `mel`, of any length; the same errors, after which the stream is as before.
        """
        return self._joined(list(self._fed_blocks(float_audio(audio))))

    def finish(self) -> npt.NDArray[np.float32]:
        """The remaining frames: float32 (0 or more, mels).  The stream then begins anew."""
        last = self._fed // self.convention.hop
        frames = self._compute(last)
        self._restart()
        return frames

    def _fed_blocks(self, audio: np.ndarray) -> Iterator[npt.NDArray[np.float32]]:
        """The frames that checked audio (n,) completes, in parts."""
        mel = self.convention
        for start in range(0, len(audio), BLOCK * mel.hop):
            block = to_float32(audio[start : start + BLOCK * mel.hop])
            self._kept = np.concatenate([self._kept, block])
            self._fed += len(block)
            yield self._compute(self._complete())
            unneeded = first_sample(mel, self._returned) - (self._fed - len(self._kept))
            self._kept = self._kept[max(unneeded, 0) :]

    def _complete(self) -> int:
        """Frames whose samples are all there, at least those that were returned."""
        mel, fed = self.convention, self._fed
        if fed <= -first_sample(mel, 0):  # samples reflected before the first
            return 0
        behind = first_sample(mel, 0) + mel.window  # samples of frame 0 from sample 0 on
        return max(0, (fed - max(behind, mel.hop)) // mel.hop + 1)

    def _compute(self, stop: int) -> npt.NDArray[np.float32]:
        """Frames up to `stop` that were not returned yet."""
        found = []
        while self._returned < stop:
            count = min(BLOCK, stop - self._returned)
            found.append(_frames(self.convention, self._samples_of(count)))
            self._returned += count
        return self._joined(found)

    def _samples_of(self, count: int) -> npt.NDArray[np.float64]:
        """The samples of the next `count` frames, float64, reflected at the ends of the audio."""
        mel = self.convention
        first = first_sample(mel, self._returned)
        positions = np.arange(first, first + (count - 1) * mel.hop + mel.window)
        positions = reflected(positions, self._fed) - (self._fed - len(self._kept))
        return self._kept[positions].astype(np.float64)

    def _joined(self, parts: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        return np.concatenate([np.empty((0, self.convention.mels), np.float32), *parts])


def first_sample(mel: Mel, frame: int) -> int:
    """The first sample under a frame's window; those before the audio are below 0."""
    padding = mel.n_fft // 2 if mel.padding == "center" else (mel.n_fft - mel.hop) // 2
    return frame * mel.hop - padding + (mel.n_fft - mel.window) // 2


def reflected(positions: np.ndarray, n: int) -> np.ndarray:
    """Positions of n samples without end, mirrored at the first and the last sample."""
    period = max(1, 2 * (n - 1))
    positions = positions % period
    return np.minimum(positions, period - positions) if n > 1 else positions


# ---- frames ------------------------------------------------------------------------------------


class Filter(NamedTuple):
    """A mel filter: weights (bins,) of bins first, first + 1, ..."""

    first: int
    weights: npt.NDArray[np.float64]


def _frames(mel: Mel, samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Frames (count, mels) of samples ((count - 1) hop + window,)."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, mel.window)[:: mel.hop]
    spectra = np.fft.rfft(windows * hann_window(mel.window), mel.n_fft)
    energies = spectra.real**2 + spectra.imag**2
    if mel.power_floor:
        np.maximum(energies, mel.power_floor, out=energies)
    energies += mel.epsilon
    if mel.power == 1:
        np.sqrt(energies, out=energies)
    return _levels(mel, _filtered(mel, energies))


def _filtered(mel: Mel, energies: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(frames, bins) to (frames, mels)."""
    filtered = np.empty((len(energies), mel.mels))
    for i, (first, weights) in enumerate(_filters(mel)):
        bins = energies[:, first : first + len(weights)]
        (bins * weights).sum(axis=1, out=filtered[:, i])
    return filtered


def _levels(mel: Mel, filtered: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Logarithm, normalisation and limits."""
    log = np.log if mel.log == "ln" else np.log10
    levels = log(np.maximum(filtered, mel.floor)) * mel.log_factor + mel.log_offset
    levels = (levels - mel.mean) / mel.deviation
    return (levels if mel.clip is None else levels.clip(*mel.clip)).astype(np.float32)


@functools.lru_cache(maxsize=16)
def hann_window(size: int) -> npt.NDArray[np.float64]:
    """The periodic Hann window."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)


@functools.lru_cache(maxsize=16)
def _filters(mel: Mel) -> tuple[Filter, ...]:
    """Triangles over the frequencies of the bins, whose edges are equally spaced in mel."""
    to_mel, to_hz = _SCALES[mel.mel_scale]
    edges = to_hz(np.linspace(to_mel(mel.fmin), to_mel(mel.fmax), mel.mels + 2))
    hz = np.arange(mel.n_fft // 2 + 1) * (mel.sample_rate / mel.n_fft)
    return tuple(_triangle(mel, hz, *edges[i : i + 3]) for i in range(mel.mels))


def filter_matrix(mel: Mel) -> npt.NDArray[np.float64]:
    """The weights of all filters: (mels, bins)."""
    matrix = np.zeros((mel.mels, mel.n_fft // 2 + 1))
    for row, (first, weights) in zip(matrix, _filters(mel), strict=True):
        row[first : first + len(weights)] = weights
    return matrix


def _triangle(mel: Mel, hz: np.ndarray, low: float, centre: float, high: float) -> Filter:
    rising, falling = (hz - low) / (centre - low), (high - hz) / (high - centre)
    weights = np.maximum(0, np.minimum(rising, falling))
    if mel.filter_norm == "slaney":
        weights *= 2 / (high - low)
    inside = np.flatnonzero(weights)
    first, stop = (inside[0], inside[-1] + 1) if len(inside) else (0, 0)
    return Filter(int(first), weights[first:stop])


BREAK_HZ, BREAK_MEL = 1000.0, 15.0  # of Slaney's scale: 3 mel for 200 Hz below it
OCTAVES = np.log(6.4) / 27  # natural logarithm of the ratio of 1 mel above it


def _to_slaney(hz: float) -> float:
    above = BREAK_MEL + np.log(max(hz, BREAK_HZ) / BREAK_HZ) / OCTAVES
    return float(above if hz >= BREAK_HZ else hz * BREAK_MEL / BREAK_HZ)


def _from_slaney(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = BREAK_HZ * np.exp(OCTAVES * (mels - BREAK_MEL))
    return np.where(mels >= BREAK_MEL, above, mels * BREAK_HZ / BREAK_MEL)


def _to_htk(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _from_htk(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 700 * (10 ** (mels / 2595) - 1)


_SCALES = {"slaney": (_to_slaney, _from_slaney), "htk": (_to_htk, _from_htk)}


def _check_rate(sample_rate: int | None, mel: Mel) -> None:
    if sample_rate is None:
        return
    rate, expected = integer("sample_rate", sample_rate, 1, MAX_RATE), mel.sample_rate
    if rate != expected:
        raise ValueError(
            f"sample_rate is {rate} Hz, expected the {expected} Hz of {mel}: resample first, "
            f"for instance with fastwavenet.read_audio(file, {expected}, convert=True)"
        )
