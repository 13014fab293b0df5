"""Weights rounded to int8's grid, so that int8 costs less.

int8 has each weight as the nearest multiple of its output's scale, and the errors of an output's
weights add up: those of frames most, whose channels have large means and vary together.  Here the
weights of an output are rounded one after the other, and those that follow make good the error, by
the covariance of the inputs on recordings (E. Frantar et al., *GPTQ*, 2023).  The bias makes good
the mean error.

The file then holds multiples of the scales, which the engine's own rounding leaves as they are.
Rounded are the two matrices that make most of the cost: of the output layer and of conditioning.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from . import modelfile
from .model import Model
from .reference.upsampling import upsample
from .scoring import outputs
from .session import Progress
from .spec import WaveNetSpec
from .types import Speaker

DAMPING = 1e-3  # of the mean variance, added to each: the part of the inputs' that is chance
MOST_SAMPLES = 1 << 16  # of a recording, whose outputs are in memory at once
LARGEST = 127  # of int8
LEAST = np.float32(1e-30)  # scales up to it: the weights count as 0


def round_for_int8(
    path: str | os.PathLike[str],
    *recordings: npt.ArrayLike,
    frames: Sequence[npt.ArrayLike] | None = None,
    speaker: Speaker | None = None,
) -> None:
    """Rounds weights of a model file such that int8 costs less, in float32 as in int8.

    recordings: (n,) each, audio or codes as in `score`, of the kind that the model was trained on;
    half a minute is enough, and the first 65,536 samples of each are used.
    frames: for each recording, as in `score`.  speaker: of all recordings.
    float32 then costs a little more than before.  Recorded costs are removed: measure anew, on
    other recordings (`measure_precision`, `record_precision_cost`).
    The file is replaced whole or not at all, by one of the newest version.
    Raises ValueError if there is no recording with a second sample, and as `score` does;
    ModelFormatError if it is no model, OSError, of which PermissionError for a file that ships with
    the package.
    """
    contents = modelfile.load(path)
    rounding = Rounding(contents.spec, contents.weights)
    given = itertools.repeat(None, len(recordings)) if frames is None else frames
    for samples, of_samples in zip(recordings, given, strict=True):
        rounding.add(samples, frames=of_samples, speaker=speaker)
    modelfile.replace_weights(path, rounding.weights())


class Moments:
    """Mean and covariance of inputs (n, inputs)."""

    def __init__(self, inputs: int):
        self.count, self.sum = 0, np.zeros(inputs)
        self.products = np.zeros((inputs, inputs))

    def add(self, x: np.ndarray) -> None:
        x = x.astype(np.float64)
        self.count += len(x)
        self.sum += x.sum(0)
        self.products += x.T @ x

    @property
    def mean(self) -> np.ndarray:
        return self.sum / self.count

    @property
    def covariance(self) -> np.ndarray:
        return self.products / self.count - np.outer(self.mean, self.mean)


class Rounding:
    """The inputs of the output layer and of conditioning on recordings, to round their weights."""

    def __init__(self, spec: WaveNetSpec, weights: Mapping[str, np.ndarray]):
        self.spec, self.given = spec, dict(weights)
        self.hidden = Moments(spec.head)
        end = spec.conditioning
        self.features = Moments(0 if end is None else end.feature_channels)
        pieces = range(0, spec.head, spec.levels)
        self.hidden_layers = [_hidden_layer(spec, self.given, first) for first in pieces]

    def add(
        self,
        samples: npt.ArrayLike,
        progress: Progress | None = None,
        frames: npt.ArrayLike | None = None,
        speaker: Speaker | None = None,
    ) -> None:
        """Takes the inputs on samples (n,), audio or codes; `progress` counts samples.

        frames, speaker: of all samples, as in `score`.
        """
        samples = np.asarray(samples)[..., :MOST_SAMPLES]
        if samples.shape == (0,) or samples.shape == (1,):
            return
        parts = [outputs(m, samples, frames=frames, speaker=speaker) for m in self.hidden_layers]
        self.hidden.add(np.hstack(parts)[:, : self.spec.head])
        if frames is not None:
            self.features.add(upsample(self.spec, self.given, np.asarray(frames)))
        if progress is not None:
            progress(len(samples), len(samples))

    def weights(self) -> dict[str, np.ndarray]:
        """All weights, some of them rounded.  Raises ValueError if nothing was added."""
        if not self.hidden.count:
            raise ValueError("expected a recording of at least 2 samples to round weights on")
        changed = dict(self.given)
        self._round(changed, "head.output", "head.output", *_moments(self.hidden))
        if self.spec.conditioning is not None:
            inputs = self._conditioning_inputs()
            for layer in range(self.spec.layers):
                name = f"layers.{layer}"
                self._round(changed, f"{name}.conditioning", f"{name}.dilated", *inputs)
        return changed

    def _conditioning_inputs(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of features, and of the embeddings of all speakers alike."""
        speakers = Moments(self.spec.conditioning.speaker_channels)  # type: ignore[union-attr]
        if len(speakers.sum):
            speakers.add(self.given["conditioning.speakers.weight"])
        (mean, cov), (more, of_more) = _moments(self.features), _moments(speakers)
        none = np.zeros((len(mean), len(more)))
        return np.concatenate([mean, more]), np.block([[cov, none], [none.T, of_more]])

    def _round(
        self, changed: dict, name: str, bias: str, mean: np.ndarray, covariance: np.ndarray
    ) -> None:
        """Rounds a matrix (outs, ins, 1); without a bias the mean counts as variance."""
        w = self.given[f"{name}.weight"][:, :, 0]
        if not self.spec.bias:
            covariance = covariance + np.outer(mean, mean)
        q = rounded(w, covariance)
        changed[f"{name}.weight"] = q[:, :, None]
        if self.spec.bias:
            error = (w.astype(np.float64) - q) @ mean
            changed[f"{bias}.bias"] = (self.given[f"{bias}.bias"] + error).astype(np.float32)


def rounded(weight: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Weights float32 (outs, ins) as multiples of int8's scales.

    covariance: (ins, ins), of the inputs.  The largest weight of each output, which is its scale
    times 127, stays; outputs whose scale is 0 stay.
    """
    scale = np.abs(weight).max(axis=1) / np.float32(LARGEST)  # as the engine computes it
    live = scale > LEAST
    unit = np.where(live, scale, np.float32(1))
    order = np.argsort(-np.diag(covariance), kind="stable")
    factor = _factor(covariance[np.ix_(order, order)])
    w = weight[:, order].astype(np.float64)
    largest = np.abs(w).argmax(axis=1)
    made = weight[:, order]
    for i in range(w.shape[1]):
        q = np.rint(w[:, i] / unit).clip(-LARGEST, LARGEST).astype(np.float32) * unit
        made[:, i] = np.where(live & (largest != i), q, made[:, i])
        error = (w[:, i] - made[:, i]) / factor[i, i]
        w[:, i + 1 :] -= np.outer(error, factor[i, i + 1 :])
    return np.ascontiguousarray(made[:, np.argsort(order)])


def _factor(covariance: np.ndarray) -> np.ndarray:
    """Upper U with U^T U the inverse of the damped covariance (n, n)."""
    n = len(covariance)
    damping = DAMPING * covariance.trace() / n if covariance.trace() > 0 else 1.0
    return np.linalg.cholesky(np.linalg.inv(covariance + damping * np.eye(n))).T


def _moments(of: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Zeros if there were no inputs."""
    return (of.mean, of.covariance) if of.count else (of.sum, of.products)


def _hidden_layer(spec: WaveNetSpec, weights: dict[str, np.ndarray], first: int) -> Model:
    """The network whose output layer has the identity as its matrix: its inputs from `first` on."""
    identity = np.zeros((spec.levels, spec.head, 1), np.float32)
    rows = np.arange(min(spec.levels, spec.head - first))
    identity[rows, first + rows] = 1
    changed = weights | {"head.output.weight": identity}
    if spec.bias:
        changed["head.output.bias"] = np.zeros(spec.levels, np.float32)
    return Model(spec, changed)
