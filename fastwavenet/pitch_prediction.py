"""Pitch from mel frames, for an acoustic model that has none.

A vocoder that is conditioned on mel and pitch may hold a small network for it: convolutions over
frames with kernels 5, 5 and 1, with ReLU between them.  Before the first frame and behind the last
that frame is held.  It is trained beside the vocoder (training/pitch_predictor.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .frame_conditioning import PITCH_NETWORK, Pitch
from .types import Audio


def with_predicted_pitch(
    pitch: Pitch, weights: Mapping[str, npt.NDArray[np.float32]], levels: Audio
) -> Audio:
    """Mel frames (frames, mels) with the pitch that the network predicts, (frames, mels + 3).

    weights: of the model, by their names.
    """
    x = levels.astype(np.float64)
    for layer in range(len(pitch.kernels)):
        weight = weights[f"{PITCH_NETWORK}.{layer}.weight"]  # (out, in, k)
        x = _convolved(np.maximum(x, 0) if layer else x, weight)
        x += weights[f"{PITCH_NETWORK}.{layer}.bias"]
    x[:, 1:] = 1 / (1 + np.exp(-x[:, 1:]))  # voicing and correlation
    x[:, 0] = x[:, 0].clip(np.log(pitch.fmin), np.log(pitch.fmax))
    return np.concatenate([levels, x.astype(np.float32)], axis=1)


def _convolved(x: npt.NDArray[np.float64], weight: npt.NDArray[np.float32]) -> np.ndarray:
    """(frames, in) -> (frames, out), centred, with held ends."""
    out, _, kernel = weight.shape
    if not len(x):
        return np.empty((0, out))
    held = np.pad(x, ((kernel // 2, kernel // 2), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(held, kernel, axis=0)  # (frames, in, k)
    return windows.reshape(len(x), -1) @ weight.reshape(out, -1).T.astype(np.float64)
