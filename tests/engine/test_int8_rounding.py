"""Weights that are rounded so that int8 costs less (`round_for_int8`)."""

import dataclasses

import numpy as np
import pytest
from engines import frames_of, weights_of
from networks import NETWORKS, every_network, random_codes, small_spec

import fastwavenet as fw
from fastwavenet import modelfile, reference
from fastwavenet.ends import FrameConditioning, Sampling
from fastwavenet.int8_rounding import Rounding, rounded
from fastwavenet.reference.int8 import Int8Matrix

FRAMES = FrameConditioning(channels=40, hop=16)
SPEC = small_spec(
    levels=64, residual=16, dilation_channels=16, skip=32, head=32, conditioning=FRAMES
)
CODES = random_codes(SPEC, 3000, seed=2)


def mel_like(n: int, seed: int) -> np.ndarray:
    """Frames (n, 40) that vary together around a large mean."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, 4)) @ rng.standard_normal((4, 40))
    return (-5 + common + 0.1 * rng.standard_normal((n, 40))).astype(np.float32)


def correlated(ins: int, seed: int) -> np.ndarray:
    """A covariance (ins, ins) with one large direction."""
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((3, ins))
    return directions.T @ directions + 0.01 * np.eye(ins)


def matrix(outs: int, ins: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((outs, ins)).astype(np.float32)


def as_int8(weight: np.ndarray) -> np.ndarray:
    """The weights that int8 computes with."""
    of_engine = Int8Matrix(weight)
    return of_engine.w * of_engine.scale.astype(np.float64)[:, None]


def error(weight: np.ndarray, covariance: np.ndarray) -> float:
    """The variance that an error of weights adds to the outputs."""
    return float(np.einsum("oi,ij,oj", weight, covariance, weight))


@pytest.fixture
def path(tmp_path):
    modelfile.save(tmp_path / "m.safetensors", SPEC, weights_of(SPEC))
    return tmp_path / "m.safetensors"


# ---- one matrix ------------------------------------------------------------------------------


@pytest.mark.parametrize("ins", [1, 2, 15, 16, 17, 64])
def test_int8_computes_with_the_rounded_weights_as_they_are(ins):
    weight = matrix(9, ins, seed=ins)
    made = rounded(weight, correlated(ins, seed=1))
    assert made.dtype == np.float32
    np.testing.assert_allclose(as_int8(made), made, rtol=1e-6)
    largest = np.abs(weight).argmax(axis=1)
    rows = np.arange(len(weight))
    np.testing.assert_array_equal(made[rows, largest], weight[rows, largest])


@pytest.mark.parametrize("ins", [1, 2, 17])
def test_inputs_that_do_not_vary_together_have_the_nearest_weights(ins):
    weight = matrix(5, ins, seed=3)
    for covariance in (np.eye(ins), np.diag(np.arange(ins) + 1.0), np.zeros((ins, ins))):
        made = rounded(weight, covariance)
        np.testing.assert_array_equal(Int8Matrix(made).w, Int8Matrix(weight).w)


@pytest.mark.parametrize("ins", [16, 64])
def test_the_error_of_inputs_that_vary_together_is_made_good(ins):
    weight, covariance = matrix(20, ins, seed=4), correlated(ins, seed=5)
    before = error(weight - as_int8(weight), covariance)
    assert error(weight - rounded(weight, covariance), covariance) < 0.3 * before


def test_outputs_without_weights_stay():
    weight = matrix(3, 8, seed=6)
    weight[0], weight[2] = 0, 1e-31
    made = rounded(weight, correlated(8, seed=7))
    np.testing.assert_array_equal(made[[0, 2]], weight[[0, 2]])


# ---- a network -------------------------------------------------------------------------------


@every_network
def test_the_inputs_are_those_of_the_reference(spec):
    n = 40
    codes, frames = random_codes(spec, n, seed=1), frames_of(spec, n)
    rounding = Rounding(spec, weights_of(spec))
    rounding.add(codes, frames=frames)
    assert rounding.hidden.count == n
    hidden = _hidden(spec, codes, frames)
    np.testing.assert_allclose(rounding.hidden.mean, hidden.mean(0), rtol=1e-4, atol=1e-5)
    covariance = np.cov(hidden.T, bias=True).reshape(spec.head, spec.head)
    np.testing.assert_allclose(rounding.hidden.covariance, covariance, rtol=1e-3, atol=1e-4)


def _hidden(spec, codes, frames):
    """float64 (n, head): the output layer's inputs."""
    cond = None
    if frames is not None:
        at = range(1, 1 + len(codes))
        cond = reference.project_frames(spec, weights_of(spec), frames, None, at)
    network = reference.WaveNetSteps(spec, weights_of(spec))
    network._pointwise = _watched(network._pointwise, found := [])
    for t, code in enumerate(codes):
        network.step(code, None if cond is None else cond[t])
    return np.array(found)


def _watched(pointwise, found):
    def watched(name, x):
        if name == "head.output":
            found.append(x)
        return pointwise(name, x)

    return watched


@every_network
def test_every_network_is_rounded(spec, tmp_path):
    path = tmp_path / "m.safetensors"
    modelfile.save(path, spec, weights_of(spec))
    codes = random_codes(spec, 200, seed=1)
    frames = frames_of(spec, 200)
    fw.round_for_int8(path, codes, frames=None if frames is None else [frames])
    made, given = modelfile.load(path).weights, weights_of(spec)
    for name, weight in given.items():
        matrices = (name == "head.output.weight", ".conditioning." in name)
        biases = (name == "head.output.bias", spec.conditioning and name.endswith("dilated.bias"))
        if any(matrices):
            np.testing.assert_allclose(as_int8(made[name][:, :, 0]), made[name][:, :, 0], rtol=1e-6)
        elif not any(biases):
            np.testing.assert_array_equal(made[name], weight)


def difference(path, precision, frames) -> float:
    """Mean square of the logits' difference from those of the given weights in float32."""
    exact = fw.outputs(fw.Model(SPEC, weights_of(SPEC)), CODES, frames=frames)
    return float(
        np.square(fw.outputs(fw.load(path, precision), CODES, frames=frames) - exact).mean()
    )


def test_int8_is_nearer_to_the_network_as_it_was(path):
    frames = mel_like(200, seed=8)
    before = difference(path, "int8", frames)
    fw.round_for_int8(path, random_codes(SPEC, 3000, seed=3), frames=[mel_like(200, seed=9)])
    assert difference(path, "int8", frames) < 0.5 * before
    assert difference(path, "float32", frames) < 0.5 * before


def test_speakers_count_alike_whoever_spoke(tmp_path):
    end = FrameConditioning(speakers=("ann", "bob"), speaker_channels=4)
    spec = dataclasses.replace(SPEC, conditioning=end)
    made = []
    for speaker in (0, 1):
        path = tmp_path / f"{speaker}.safetensors"
        modelfile.save(path, spec, weights_of(spec))
        fw.round_for_int8(path, CODES, speaker=speaker)
        made.append(modelfile.load(path).weights["layers.0.conditioning.weight"])
    np.testing.assert_array_equal(made[0], made[1])


def test_the_spec_stays_and_the_recorded_cost_goes(path):
    sampling = Sampling(temperature=0.7)
    fw.record_sampling(path, sampling)
    fw.record_precision_cost(path, {"int8": 0.5})
    fw.round_for_int8(path, CODES, frames=[mel_like(200, seed=9)])
    model = fw.load(path)
    assert model.precision_cost == {}
    assert model.spec == dataclasses.replace(SPEC, sampling=sampling)


def test_the_same_recordings_give_the_same_bytes(path):
    before = path.read_bytes()
    made = []
    for _ in range(2):
        path.write_bytes(before)
        fw.round_for_int8(path, CODES, frames=[mel_like(200, seed=9)])
        made.append(path.read_bytes())
    assert made[0] == made[1] != before


@pytest.mark.parametrize("recordings", [[], [CODES[:0]], [CODES[:1]]])
def test_nothing_is_rounded_where_nothing_is_predicted(path, recordings):
    before = path.read_bytes()
    frames = [mel_like(1, seed=9)] * len(recordings)
    with pytest.raises(ValueError, match="expected a recording of at least 2 samples"):
        fw.round_for_int8(path, *recordings, frames=frames)
    assert path.read_bytes() == before
    fw.round_for_int8(path, *recordings, CODES[:2], frames=[*frames, mel_like(1, seed=9)])


def test_recordings_are_checked_as_score_checks_them(path):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="the model needs frames of 40 channels"):
        fw.round_for_int8(path, CODES)
    with pytest.raises(ValueError, match="codes"):
        fw.round_for_int8(path, CODES + 64, frames=[mel_like(200, seed=9)])
    assert path.read_bytes() == before


def test_a_voice_of_the_package_is_not_changed():
    with pytest.raises(PermissionError, match="change a copy"):
        fw.round_for_int8("recorder-16k", CODES[:200], frames=[np.zeros((20, 31), np.float32)])


def test_networks_with_more_hidden_channels_than_levels_are_among_them():
    assert any(spec.head > spec.levels for spec in NETWORKS.values())
    assert any(not spec.bias for spec in NETWORKS.values())
