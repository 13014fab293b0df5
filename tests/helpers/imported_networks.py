"""Networks of other projects beside what their own code computed."""

import dataclasses

import numpy as np

import fastwavenet as fw
from fastwavenet.ends import Start


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    return abs(found - expected).max() <= 1e-4 * max(1, abs(expected).max())


def codes_of(model: fw.Model, audio: np.ndarray) -> np.ndarray:
    return fw.mu_law_encode(audio, model.spec.levels, codec=model.spec.codec)


def nearest_codes(model: fw.Model, audio: np.ndarray) -> np.ndarray:
    """Its encoder does not return all codes that its decoder was given."""
    spec = model.spec
    decoded = fw.mu_law_decode(np.arange(spec.levels), spec.levels, codec=spec.codec)
    return abs(audio[:, None] - decoded).argmin(axis=1)


def begun_by(model: fw.Model, code: int) -> fw.Model:
    """With this code in the place of all that is fed before the first sample.

    Its forward pass adds row t of the features to sample t, which predicts sample t + 1.
    """
    spec = dataclasses.replace(model.spec, start=Start(int(code), fed=True))
    return fw.Model(spec, model.weights)
