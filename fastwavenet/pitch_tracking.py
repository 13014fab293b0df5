"""The pitch of a voice as features of a vocoder: log F0, voicing and correlation of each frame.

The method is that of Boersma, *Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound* (1993), with a band limit and a noise floor:

1. Every 5 ms a Hann window of three periods of `fmin` is laid over the audio.  Its autocorrelation,
   the inverse transform of the power spectrum, is divided by that of the window: 1 at each multiple
   of the period of a periodic sound, whatever its waveform, and near 0 for noise.
2. The highest peaks between the periods of `fmax` and `fmin`, interpolated by a parabola, are the
   candidates of a point, besides "unvoiced".  Of equal peaks that of the shortest lag is favoured,
   because each multiple of a period has a peak as high.
3. Dynamic programming finds the path through the candidates with the largest sum of correlations,
   less a cost for jumps in octaves and for changes of voicing.  So a single point of a wrong octave
   does not pay.
4. The path, with log F0 interpolated through unvoiced parts, is averaged over the samples of each
   frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .arrays import float_audio
from .checks import whole, within
from .spec import MAX_SAMPLE_RATE
from .types import Audio

Floats: TypeAlias = npt.NDArray[np.float64]

POINTS_PER_SECOND = 200
PERIODS = 3  # of fmin in a window, whose tapered ends count little
CANDIDATES = 6
LAG_RATE = 16000  # Hz, the least rate of the autocorrelation's samples
CUTOFF = 2000.0  # Hz, standard deviation of the Gaussian that limits the band
FLOOR = 10 ** (-70 / 20)  # of full scale: the RMS of the white noise that every window is given

# Strengths and costs, in units of correlation.
UNVOICED = 0.5  # strength of "unvoiced"
OCTAVE = 0.015  # advantage of a peak over one of twice its lag
JUMP = 1.0  # cost of a change by an octave from point to point
CHANGE = 0.28  # cost of a change of voicing from point to point

BLOCK = 1 << 18  # numbers of a block of windows: 2 MiB
MAX_HOP = 1 << 20
LOOKAHEAD = POINTS_PER_SECOND  # points after which the path to one is decided


def pitch(
    audio: npt.ArrayLike, sample_rate: int, hop: int, *, fmin: float = 60, fmax: float = 500
) -> Audio:
    """Log F0, voicing and correlation of each frame: float32 (n // hop, 3) for n samples.

    audio: (n,), float32 or float64, full scale 1.0.
    sample_rate: Hz, from 1000.
    hop: samples per frame, from 1.
    fmin, fmax: the range of F0 in Hz, at least an octave.  The default holds the speech of low male
    voices to children; the window, three periods of `fmin`, is 50 ms.  F0 outside the range is
    taken for a multiple or a fraction within it, or for unvoiced.

    Frame i belongs to samples i * hop to (i + 1) * hop - 1, and its numbers are averages over them.
    Samples behind the last whole frame have no frame.

    log F0       natural logarithm of F0 in Hz.  Linear between the voiced neighbours of an unvoiced
                 part, constant before the first and after the last; log(sqrt(fmin * fmax))
                 without any.
    voicing      0 to 1, the voiced share of the frame, from a decision every 5 ms: 0 or 1 except at
                 the borders of voiced parts, whose place within the frame it gives
    correlation  0 to 1, the normalised autocorrelation at the lag of F0, in unvoiced parts its
                 highest peak: near 1 for a clear voice, about 0.2 for noise, 0 for silence

    The level of the audio does not matter, except that below -70 dB of full scale it is unvoiced.
    A frame depends on about a second of the audio after it.  Memory beyond audio and result: 10 MB,
    and 20 MB per hour.
    Raises TypeError for audio that is neither float32 nor float64 and for numbers of another type,
    ValueError for another shape, for NaN or infinity, with its index, and for numbers out of range.
    """
    array = float_audio(audio)
    rate = whole("sample_rate", sample_rate, 1000, MAX_SAMPLE_RATE, wrong_type=TypeError)
    hop = whole("hop", hop, 1, MAX_HOP, wrong_type=TypeError)
    expected = f"from 10 to {rate / 16:g} Hz, a sixteenth of the sample rate"
    fmin = within("fmin", fmin, 10, rate / 16, expected=expected, wrong_type=TypeError)
    expected = f"from {2 * fmin:g} Hz, twice fmin, to {rate / 4:g} Hz, a quarter of the sample rate"
    fmax = within("fmax", fmax, 2 * fmin, rate / 4, expected=expected, wrong_type=TypeError)
    if len(array) < hop:
        return np.empty((0, 3), np.float32)
    plan = _Plan.of(rate, fmin, fmax)
    return _averages(_contour(array, plan), plan.step, len(array) // hop, hop)


# ---- plan --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """The constants of an analysis.

    step     samples from point to point
    window   (w,), w odd
    size     of the transform of a window, at least w + the longest lag
    band     (size // 2 + 1,), factors of the power spectrum
    length   of the inverse transform: the lag rate is sample rate * length / size
    start    index of the first lag
    lags     (m,), seconds, from the period of `fmax` to that of `fmin` and one more at each end
    norm     (m,), 1 / autocorrelation of the window, which is 1 at lag 0
    gain     (m,), added to the strength of a peak, larger for shorter lags
    floor    energy of the noise floor in a window
    missing  log F0 of audio without a voiced point
    """

    step: int
    window: Floats
    size: int
    band: Floats
    length: int
    start: int
    lags: Floats
    norm: Floats
    gain: Floats
    floor: float
    missing: float

    @staticmethod
    def of(rate: int, fmin: float, fmax: float) -> _Plan:
        up, down = -(-LAG_RATE // rate), max(1, rate // LAG_RATE)
        lag_rate = rate * up / down
        window = np.hanning(round(PERIODS * rate / fmin) // 2 * 2 + 3)[1:-1]
        size = _fast_size(len(window) + math.ceil(rate / fmin) + 2 * down, 2 * down)
        length = size * up // down
        band = _band(rate, size, fmin)
        floor = FLOOR**2 * (window @ window) * np.fft.irfft(band, length)[0]
        own = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2, length)
        start = math.floor(lag_rate / fmax) - 1
        index = np.arange(start, math.ceil(lag_rate / fmin) + 2)
        return _Plan(
            step=round(rate / POINTS_PER_SECOND),
            window=window,
            size=size,
            band=band,
            length=length,
            start=start,
            lags=index / lag_rate,
            norm=own[0] / own[index],
            gain=-OCTAVE * np.log2(index / lag_rate * fmin),
            floor=float(floor),
            missing=math.log(fmin * fmax) / 2,
        )


def _band(rate: int, size: int, fmin: float) -> Floats:
    """Factors of a power spectrum: smaller above the formants, none far below `fmin`."""
    hz = np.arange(size // 2 + 1) * (rate / size)
    return np.exp(-0.5 * (hz / CUTOFF) ** 2) * np.clip(4 * hz / fmin - 1, 0, 1)


def _fast_size(least: int, factor: int) -> int:
    """The first product of `factor` and primes up to 5 from `least` on."""
    n = -(-least // factor)
    while 60**20 % n:
        n += 1
    return n * factor


# ---- candidates --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Points:
    """Points of the analysis, each with 1 + c states: unvoiced, and its candidates.

    log_f0    (p, 1 + c), of Hz; 0 for none
    strength  (p, 1 + c), what a state adds to a path; minus infinity for none
    height    (p, 1 + c), correlation; that of state 0 is the highest
    """

    log_f0: Floats
    strength: Floats
    height: Floats

    def __getitem__(self, part: slice) -> _Points:
        return _Points(self.log_f0[part], self.strength[part], self.height[part])

    def joined(self, after: _Points) -> _Points:
        pairs = zip(vars(self).values(), vars(after).values(), strict=True)
        return _Points(*(np.concatenate(pair) for pair in pairs))


def _blocks(audio: np.ndarray, plan: _Plan) -> Iterator[_Points]:
    """The points at samples 0, step, 2 step, ... up to the first behind the audio.

    The windows of points near an end are those that lie within the audio.
    """
    width = len(plan.window)
    if len(audio) < width:
        audio = np.pad(audio, (0, width - len(audio)))
    windows = np.lib.stride_tricks.sliding_window_view(audio, width)
    centres = np.arange(0, len(audio) + plan.step, plan.step)
    starts = np.clip(centres - width // 2, 0, len(audio) - width)
    rows = max(1, BLOCK // plan.size)
    for first in range(0, len(starts), rows):
        yield _candidates(_correlation(windows[starts[first : first + rows]], plan), plan)


def _correlation(windows: np.ndarray, plan: _Plan) -> Floats:
    """Windows of audio (p, w) to their normalised autocorrelations (p, m)."""
    x = windows.astype(np.float64)
    x -= x.mean(axis=1, keepdims=True)
    x *= plan.window
    spectrum = np.fft.rfft(x, plan.size)
    power = (spectrum.real**2 + spectrum.imag**2) * plan.band
    r = np.fft.irfft(power, plan.length)
    lags = r[:, plan.start : plan.start + len(plan.lags)]
    return lags * plan.norm / (r[:, :1] + plan.floor)


def _candidates(r: Floats, plan: _Plan) -> _Points:
    """The highest peaks of autocorrelations (p, m), between the first lag and the last."""
    left, middle, right = r[:, :-2], r[:, 1:-1], r[:, 2:]
    peaks = (middle > left) & (middle >= right) & (middle > 0)
    ranked = np.where(peaks, middle + plan.gain[1:-1], -np.inf)
    at = np.argpartition(ranked, -CANDIDATES, axis=1)[:, -CANDIDATES:]
    a, b, c = (np.take_along_axis(part, at, axis=1) for part in (left, middle, right))
    found = np.isfinite(np.take_along_axis(ranked, at, axis=1))
    shift = np.divide(a - c, 2 * (a - 2 * b + c), out=np.zeros_like(a), where=found)
    height = np.where(found, np.minimum(b - (a - c) * shift / 4, 1), 0)
    log_f0 = np.where(found, -np.log(plan.lags[at + 1] + shift * (plan.lags[1] - plan.lags[0])), 0)
    strength = np.where(found, height + plan.gain[at + 1], -np.inf)
    return _Points(
        np.insert(log_f0, 0, 0, axis=1),
        np.insert(strength, 0, UNVOICED, axis=1),
        np.insert(height, 0, height.max(axis=1), axis=1),
    )


# ---- path --------------------------------------------------------------------------------------


class _Path:
    """The best path through points that come in blocks, decided `LOOKAHEAD` points later."""

    def __init__(self) -> None:
        none = np.zeros((0, 1 + CANDIDATES))
        self._points = _Points(none, none, none)  # undecided
        self._origins: list[npt.NDArray[np.intp]] = []  # (1 + c,) of each: states of the one before
        self._last = np.zeros((1, 1 + CANDIDATES))  # log F0 of the last point
        self._score = np.full(1 + CANDIDATES, -np.inf)  # of the best path to each of its states
        self._score[0] = 0

    def add(self, points: _Points) -> None:
        cost = _costs(np.concatenate([self._last, points.log_f0[:-1]]), points.log_f0)
        states = np.arange(1 + CANDIDATES)
        for strength, between in zip(points.strength, cost, strict=True):
            total = self._score[:, None] - between
            origin = total.argmax(axis=0)
            self._score = total[origin, states] + strength
            self._origins.append(origin)
        self._last = points.log_f0[-1:]
        self._points = self._points.joined(points)

    def decided(self, waiting: int = LOOKAHEAD) -> npt.NDArray[np.float32]:
        """Log F0, NaN in unvoiced points, and correlation of all points but the last, (2, p)."""
        state = int(self._score.argmax())
        path = np.empty(len(self._origins), np.intp)
        for i in range(len(path) - 1, -1, -1):
            path[i] = state
            state = int(self._origins[i][state])
        n = max(0, len(path) - waiting)
        points, rows = self._points, np.arange(n)
        log_f0 = np.where(path[:n] > 0, points.log_f0[rows, path[:n]], np.nan)
        height = points.height[rows, path[:n]]
        self._points, self._origins = points[n:], self._origins[n:]
        return np.stack([log_f0, height]).astype(np.float32)


def _costs(before: Floats, after: Floats) -> Floats:
    """Log F0 of points and their successors (p, s) to the costs of their transitions (p, s, s)."""
    cost = np.abs(before[:, :, None] - after[:, None, :]) * (JUMP / math.log(2))
    cost[:, 0, :] = cost[:, :, 0] = CHANGE
    cost[:, 0, 0] = 0
    return cost


def _contour(audio: np.ndarray, plan: _Plan) -> npt.NDArray[np.float32]:
    """Log F0, voicing and correlation of the points, (3, p)."""
    path, parts = _Path(), []
    for points in _blocks(audio, plan):
        path.add(points)
        parts.append(path.decided())
    log_f0, correlation = np.concatenate([*parts, path.decided(0)], axis=1)
    voiced = np.isfinite(log_f0)
    if voiced.any():
        every = np.arange(len(log_f0))
        log_f0 = np.interp(every, every[voiced], log_f0[voiced]).astype(np.float32)
    else:
        log_f0 = np.full_like(log_f0, plan.missing)
    return np.stack([log_f0, voiced.astype(np.float32), correlation])


def _averages(contour: npt.NDArray[np.float32], step: int, frames: int, hop: int) -> Audio:
    """The contour (3, p), linear between points, averaged over the samples of each frame."""
    out = np.empty((frames, 3), np.float32)
    count = max(1, BLOCK // hop)
    for first in range(0, frames, count):
        part = out[first : first + count]
        point, after = np.divmod(np.arange(first * hop, (first + len(part)) * hop), step)
        share = after / step
        for channel, values in enumerate(contour):
            samples = values[point] * (1 - share) + values[point + 1] * share
            part[:, channel] = samples.reshape(len(part), hop).mean(axis=1)
    return out
