"""Measures of a vocoder's result beside the original recording.

Audio is float32 (n,), full scale 1.0, and the result as long as the original.  A measure is a
number, NaN where nothing is left to measure: no frame, or no voiced one.  Measures of other uses
stand in fastwavenet/sound_measures.py.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import soxr

from ..pitch_tracking import pitch
from ..sound_measures import N_FFT, Floats, mean, powers
from ..types import Audio

HIGH_BAND = 4000.0  # Hz
LEAST_SECONDS = 0.4  # of audio for ESTOI and PESQ
PESQ_RATE = 16000  # Hz, of its wide band
PESQ_SECONDS = 30  # the longest recording that ITU-T P.862 was validated with
CENTS = 1200 / math.log(2)  # of a unit of the natural logarithm

# ---- spectra -----------------------------------------------------------------------------------


def log_stft_distance(original: Audio, result: Audio) -> float:
    """Mean absolute difference of ln |X| (log STFT magnitude loss of Parallel WaveGAN, 2020)."""
    return mean(np.abs(np.log(powers(original)) - np.log(powers(result))) / 2)


def high_band_distance(original: Audio, result: Audio, rate: int) -> float:
    """Log-spectral distance above 4 kHz in dB (Gray and Markel, *Distance measures*, 1976).

    The mean over frames of the root of the mean square of 10 log10 of the powers' ratio.
    """
    high = np.arange(N_FFT // 2 + 1) * rate / N_FFT >= HIGH_BAND
    if not high.any():
        return math.nan
    ratio = 10 * (np.log10(powers(original)[:, high]) - np.log10(powers(result)[:, high]))
    return mean(np.sqrt((ratio**2).mean(axis=1)))


# ---- listeners' models -------------------------------------------------------------------------


def estoi(original: Audio, result: Audio, rate: int) -> float:
    """Intelligibility, 0 to 1 (Jensen and Taal, 2016), by the package pystoi.

    NaN for less than 30 frames, 0.4 s, that are not silent.
    """
    from pystoi import stoi

    if len(original) < LEAST_SECONDS * rate:
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # too few frames
        try:
            return float(stoi(original, result, rate, extended=True))
        except RuntimeWarning:
            return math.nan


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


def pitch_errors(original: Audio, result: Audio, rate: int, hop: int) -> tuple[Floats, float]:
    """Absolute errors of F0 in cents, of each frame that is voiced in both, and the voicing error.

    The latter is the share of frames that are voiced in one of both only (voicing decision error,
    Nakatani and others, 2008).  A frame is voiced if more than half of it is.
    """
    (log_f0, voicing), (other_f0, other_voicing) = (
        pitch(audio, rate, hop)[:, :2].T.astype(np.float64) for audio in (original, result)
    )
    voiced, other_voiced = voicing > 0.5, other_voicing > 0.5
    both = voiced & other_voiced
    return np.abs(log_f0 - other_f0)[both] * CENTS, mean(voiced != other_voiced)
