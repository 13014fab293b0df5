"""A network that predicts pitch from mel frames, beside a vocoder that is conditioned on both.

An acoustic model may make mel frames only.  pitch_prediction.py computes the same in numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..ends import Pitch

STEPS = 1000
BATCH, FRAMES = 32, 64  # stretches of a step, and frames of a stretch
RATE = 3e-3
CENT = math.log(2) / 1200


class PitchPredictor(nn.ModuleList):
    """Mel frames (B, mels, F) -> log F0 and the logits of voicing and correlation (B, 3, F)."""

    def __init__(self, pitch: Pitch, mels: int):
        sizes = [mels, *(pitch.hidden for _ in pitch.kernels[1:]), pitch.channels]
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        super().__init__(nn.Conv1d(*p, k) for p, k in zip(pairs, pitch.kernels, strict=True))

    def forward(self, levels: Tensor) -> Tensor:
        x = levels
        for number, layer in enumerate(cast(Iterable[nn.Conv1d], self)):
            pad = layer.kernel_size[0] // 2
            x = layer(F.pad(F.relu(x) if number else x, (pad, pad), mode="replicate"))
        return x


class Accuracy(NamedTuple):
    """The errors of predicted pitch.

    cents    median over the frames that are voiced in both
    voicing  share of the frames whose voicing differs
    """

    cents: float
    voicing: float

    def __str__(self) -> str:
        return f"{self.cents:.0f} cents (median), {self.voicing:.1%} of the frames voiced wrongly"


Normal: TypeAlias = Callable[[Tensor], Tensor]  # frames (B, C, F) -> standardised ones


def fit(predictor: PitchPredictor, clips: Sequence[np.ndarray], normal: Normal, seed: int) -> None:
    """Trains the predictor on frames (F, mels + 3) of recordings, which hold both."""
    rng = np.random.default_rng(seed)
    count, channel = sum(map(len, clips)), -Pitch.channels
    mean = sum(clip[:, channel].sum(dtype=np.float64) for clip in clips) / count
    with torch.no_grad():
        cast(nn.Conv1d, predictor[-1]).bias[0] = mean  # type: ignore[index]
    optimizer = torch.optim.AdamW(predictor.parameters(), RATE)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / STEPS)) / 2
        optimizer.zero_grad()
        _loss(predictor, _stretches(clips, rng), normal).backward()
        optimizer.step()
    optimizer.zero_grad()


@torch.no_grad()
def judge(predictor: PitchPredictor, clips: Sequence[np.ndarray], normal: Normal) -> Accuracy:
    """The errors on other recordings."""
    cents, wrong = [], []
    for clip in clips:
        frames = torch.from_numpy(clip.T.astype(np.float32))[None]
        predicted, pitch = _predict(predictor, frames, normal)
        voiced, right = predicted[0, 1] > 0, pitch[0, 1] > 0.5
        wrong.append(voiced != right)
        cents.append((predicted[0, 0] - pitch[0, 0]).abs()[voiced & right] / CENT)
    median = torch.cat(cents).median().item() if any(map(len, cents)) else math.nan
    return Accuracy(median, torch.cat(wrong).float().mean().item())


def _loss(predictor: PitchPredictor, frames: Tensor, normal: Normal) -> Tensor:
    """Cross-entropy of voicing and correlation, and the error of log F0 in voiced frames.

    A semitone counts as much as a bit of voicing.
    """
    predicted, pitch = _predict(predictor, frames, normal)
    entropy = F.binary_cross_entropy_with_logits(predicted[:, 1:], pitch[:, 1:].clamp(0, 1))
    error = (predicted[:, 0] - pitch[:, 0]).abs() / (100 * CENT)
    return entropy + (error * pitch[:, 1]).mean()


def _predict(predictor: PitchPredictor, frames: Tensor, normal: Normal) -> tuple[Tensor, Tensor]:
    """The prediction, and the true pitch, both (B, 3, F), of frames (B, mels + 3, F)."""
    device = next(predictor.parameters()).device
    frames = frames.to(device)
    mels = frames.shape[1] - Pitch.channels
    return predictor(normal(frames)[:, :mels]), frames[:, mels:]


def _stretches(clips: Sequence[np.ndarray], rng: np.random.Generator) -> Tensor:
    """Random stretches of recordings, float32 (BATCH, C, FRAMES); a short one is held at its end.

    A recording is chosen in proportion to its length.
    """
    ends = np.cumsum([len(clip) for clip in clips])
    chosen = np.searchsorted(ends, rng.integers(ends[-1], size=BATCH), side="right")
    found = []
    for clip in (clips[i] for i in chosen):
        start = rng.integers(max(len(clip) - FRAMES, 0) + 1)
        found.append(clip[np.minimum(start + np.arange(FRAMES), len(clip) - 1)].T)
    return torch.from_numpy(np.stack(found)).float()
