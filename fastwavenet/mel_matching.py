"""Mel matching: sound brought nearer to the mel frames that it is to have.

A vocoder's noise and its errors of level are in the mel frames of its sound, which differ from the
frames that it was given.  Each pass takes the sound a step towards these:

1. The magnitudes of a window's spectrum are scaled so that their filtered sums are nearer to the
   frame's: each bin by the mean ratio of the two in the filters over it, the multiplicative update
   of Lee and Seung, *Algorithms for non-negative matrix factorization* (2000).  Phases stay, and so
   do the proportions within a filter: harmonics, which frames do not resolve, are the network's.
2. The spectra are made those of a signal by overlap-add, as Griffin and Lim do, and are moved on by
   the momentum of Perraudin, Balazs and Sondergaard, *A fast Griffin-Lim algorithm* (2013).

A pass reaches over the windows that overlap, so a long sound is matched in blocks with margins of
all passes' reach, which have the samples of the whole.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from .arrays import float_audio, to_float32
from .checks import integer
from .features import filter_matrix, first_sample, reflected
from .mel_conventions import Mel, as_mel
from .spectra import TINY, Signal, Spectra, filtered_sums, signal_of, spectra_of, window_weights
from .types import Audio

PASSES = 32
MAX_PASSES = 1000
MOMENTUM = 0.8
BLOCK = 1024  # frames
NOISE = np.float32(0.05)  # standard deviation
COVERED = 0.1  # least weight of a sample that is replaced, in shares of the largest


def match_mel(
    audio: npt.ArrayLike, frames: npt.ArrayLike, mel: Mel | str, *, passes: int = PASSES
) -> Audio:
    """The sound whose mel frames are nearer to those given: float32 (n,) in [-1, 1].

    audio: (n,), float32 or float64, n = frames x hop.  frames: (frames, mels).  mel: their
    convention, or its name.  passes: from 0, which leaves the audio as it is.
    The sound may differ in its last bits between processors and versions of numpy, as mel frames
    do.
    Raises ValueError for other shapes, TypeError for other types.
    """
    convention, passes = as_mel(mel), integer("passes", passes, 0, MAX_PASSES)
    sound, levels = to_float32(float_audio(audio)), np.asarray(frames, np.float32)
    if levels.ndim != 2 or levels.shape[1] != convention.mels:
        raise ValueError(f"frames must have shape (frames, {convention.mels}), not {levels.shape}")
    if not np.isfinite(levels).all():
        raise ValueError("frames must be finite, but hold NaN or infinity")
    if len(sound) != len(levels) * convention.hop:
        raise ValueError(
            f"audio of {len(levels)} frames must have {len(levels) * convention.hop} samples, "
            f"not {len(sound)}"
        )
    if not passes or not len(sound):
        return sound
    margin = passes * -(-convention.window // convention.hop)
    blocks = [
        _block(sound, levels, convention, passes, first, margin)
        for first in range(0, len(levels), BLOCK)
    ]
    return np.concatenate(blocks)


def matched_noise(frames: Audio, mel: Mel, *, passes: int = PASSES, seed: int = 0) -> Audio:
    """White noise after mel matching: the part of a matched sound that needs no network."""
    noise = np.random.default_rng(seed).standard_normal(len(frames) * mel.hop, np.float32)
    return match_mel(NOISE * noise, frames, mel, passes=passes)


def _block(sound: Audio, levels: Audio, mel: Mel, passes: int, first: int, margin: int) -> Audio:
    """The matched samples of the BLOCK frames from `first` on."""
    begin, end = max(first - margin, 0), min(first + BLOCK + margin, len(levels))
    origin = first_sample(mel, begin)
    span = np.arange(origin, origin + (end - begin - 1) * mel.hop + mel.window)
    signal = sound[reflected(span, len(sound))]
    matched = _matched(
        signal, filtered_sums(levels[begin:end], mel).astype(np.float32), mel, passes
    )
    weights = window_weights(mel, end - begin)
    np.copyto(matched, signal, where=weights < COVERED * weights.max())
    wanted = np.arange(first * mel.hop, min(first + BLOCK, len(levels)) * mel.hop)
    inside = (wanted >= origin) & (wanted < origin + len(span))
    made = sound[wanted]
    made[inside] = matched[wanted[inside] - origin]
    return np.clip(made, -1, 1)


def _matched(signal: Signal, sums: Audio, mel: Mel, passes: int) -> Audio:
    """sums: of the frames under whose windows the signal lies, float32 (frames, mels)."""
    spectra = before = spectra_of(signal, mel)
    for _ in range(passes - 1):
        own = spectra_of(signal_of(_scaled(spectra, sums, mel), mel), mel)
        spectra, before = own + MOMENTUM * (own - before), own
    return signal_of(_scaled(spectra, sums, mel), mel)


def _scaled(spectra: Spectra, sums: Audio, mel: Mel) -> Spectra:
    """Spectra with magnitudes whose filtered sums are nearer to `sums`."""
    filters, coverage = _filters(mel)
    size = np.abs(spectra) * np.float32(np.sqrt(mel.n_fft))
    own = size**mel.power @ filters.T
    ratio = sums / np.maximum(own, np.float32(mel.floor))
    gain = np.where(coverage > TINY, (ratio @ filters) / np.maximum(coverage, TINY), 1)
    return spectra * (gain if mel.power == 1 else np.sqrt(gain)).astype(np.float32)


@functools.lru_cache(maxsize=4)
def _filters(mel: Mel) -> tuple[Audio, Audio]:
    """The filters (mels, bins), and their sum over each bin."""
    filters = filter_matrix(mel).astype(np.float32)
    return filters, filters.sum(axis=0)
