"""Measures of a vocoder's result beside the original recording.

Audio is float32 (n,), full scale 1.0, and the result as long as the original.  A measure is a
number, NaN where nothing is left to measure: no frame, or no voiced one.  Measures of other uses
are in sound_measures.py.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soxr

from .pitch_tracking import pitch
from .sound_measures import N_FFT, Floats, mean, powers
from .types import Audio

HIGH_BAND = 4000.0  # Hz
FRAME_SECONDS = 0.016  # of pitch: 256 samples at 16 kHz
LOWEST_RATE = 2000  # Hz, for `pitch` with its usual range
LEAST_SECONDS = 0.4  # of audio for ESTOI and PESQ
PESQ_RATE = 16000  # Hz, of its wide band
PESQ_SECONDS = 30  # the longest recording that ITU-T P.862 was validated with
CENTS = 1200 / math.log(2)  # of a unit of the natural logarithm

PACKAGES = {"pystoi": "ESTOI", "pesq": "PESQ-WB"}  # that compute a measure each


def missing_packages() -> list[str]:
    """Those of PACKAGES that cannot be imported; their measures are NaN."""
    return [name for name in PACKAGES if not _is_there(name)]


def _is_there(name: str) -> bool:
    try:
        import_module(name)
    except ImportError:
        return False
    return True


# ---- spectra -----------------------------------------------------------------------------------


def log_spectral_distance(original: Audio, result: Audio, rate: int, lowest: float = 0.0) -> float:
    """Log-spectral distance in dB (Gray and Markel, *Distance measures*, 1976).

    The mean over frames of the root of the mean square of 10 log10 of the powers' ratio.
    lowest: Hz, of the bins that count; NaN if there are none.
    """
    counts = np.arange(N_FFT // 2 + 1) * rate / N_FFT >= lowest
    if not counts.any():
        return math.nan
    ratio = 10 * (np.log10(powers(original)[:, counts]) - np.log10(powers(result)[:, counts]))
    return mean(np.sqrt((ratio**2).mean(axis=1)))


# ---- listeners' models -------------------------------------------------------------------------


def estoi(original: Audio, result: Audio, rate: int) -> float:
    """Intelligibility, 0 to 1 (Jensen and Taal, 2016), by the package pystoi.

    NaN without the package, and for less than 30 frames, 0.4 s, that are not silent.
    """
    try:
        from pystoi import stoi
    except ImportError:
        return math.nan
    if len(original) < LEAST_SECONDS * rate:
        return math.nan
    with warnings.catch_warnings(), _seeded():
        warnings.simplefilter("error", RuntimeWarning)  # too few frames
        try:
            return float(stoi(original, result, rate, extended=True))
        except RuntimeWarning:
            return math.nan


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """Within it numpy's own generator, of whose noise pystoi adds 1e-16, begins with a seed."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)


def pesq_wb(original: Audio, result: Audio, rate: int) -> float:
    """Predicted opinion score in the wide band, 1.04 to 4.64 (ITU-T P.862.2), by the package pesq.

    Of the first 30 s.  NaN without the package, and for silent or very short audio.
    """
    try:
        from pesq import PesqError, pesq
    except ImportError:
        return math.nan
    if len(original) < LEAST_SECONDS * rate or not original.any() or not result.any():
        return math.nan
    pair = [soxr.resample(x[: PESQ_SECONDS * rate], rate, PESQ_RATE) for x in (original, result)]
    score = pesq(PESQ_RATE, *pair, mode="wb", on_error=PesqError.RETURN_VALUES)
    return float(score) if score > 0 else math.nan


# ---- pitch -------------------------------------------------------------------------------------


class Contour(NamedTuple):
    """F0 of audio in frames of 16 ms.

    log_f0  float64 (frames,), ln of Hz
    voiced  bool (frames,): whether more than half of the frame is
    """

    log_f0: Floats
    voiced: npt.NDArray[np.bool_]


def contour(audio: Audio, rate: int) -> Contour:
    """By `fastwavenet.pitch`; without frames below its lowest rate."""
    if rate < LOWEST_RATE:
        return Contour(np.empty(0), np.empty(0, np.bool_))
    log_f0, voicing, _ = pitch(audio, rate, round(FRAME_SECONDS * rate)).T
    return Contour(log_f0.astype(np.float64), voicing > 0.5)


def pitch_errors(original: Contour, result: Contour) -> tuple[Floats, float]:
    """Absolute errors of F0 in cents, of each frame that is voiced in both, and the voicing error.

    The latter is the share of frames that are voiced in one of both only (voicing decision error,
    Nakatani and others, 2008).
    """
    both = original.voiced & result.voiced
    cents = np.abs(original.log_f0 - result.log_f0)[both] * CENTS
    return cents, mean(original.voiced != result.voiced)
