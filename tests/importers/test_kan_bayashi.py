"""Networks of kan-bayashi/PytorchWaveNetVocoder: equal to its own outputs."""

import hdf5_files
import numpy as np
import pytest
from c_build import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from imported_networks import begun_by, close, nearest_codes
from kan_bayashi_files import logits, normalised, options, random_tensors, upsampled, write

import fastwavenet as fw
from fastwavenet.ends import MuLawCodec, Start, UpsamplingStage
from fastwavenet.importers.call import imported

GOLDEN = ROOT / "tests/golden/peers"
CASES = ("kb_repeat", "kb_upsample")
every_case = pytest.mark.parametrize("case", CASES)

OPTIONS = {
    "as_zip": False, "final": True, "n_quantize": 16, "n_aux": 3, "n_resch": 4, "n_skipch": 5,
    "dilation_depth": 2, "dilation_repeat": 2, "kernel_size": 2, "upsampling_factor": 3,
    "use_upsampling_layer": False, "feature_type": "world", "stats": "<f8",
}  # fmt: skip
COST = {"bfloat16": 0.02, "int8": 0.05}  # nats per sample at most, against float32


def case_of(name: str) -> tuple[fw.Model, dict]:
    with np.load(GOLDEN / name / "expected.npz") as arrays:
        return fw.import_checkpoint(GOLDEN / name), dict(arrays)


# ---- parity with the project's own code --------------------------------------------------------


@every_case
def test_logits_are_the_projects_on_every_instruction_set(case, isa):
    model, expected = case_of(case)
    codes = expected["codes"]
    model = begun_by(model, codes[0])
    found = fw.outputs(model, codes[1:], frames=expected["feats_raw"], isa=isa)
    assert close(found[expected["logits_t"]], expected["logits"])


@every_case
def test_the_most_probable_continuation_is_the_projects(case, isa):
    model, expected = case_of(case)
    codes, frames = expected["codes"], expected["feats_raw"]
    model = begun_by(model, codes[0])
    gen = fw.Generator(model, temperature=0, seed=1, isa=isa)
    gen.prime(codes[1:], frames=frames)
    audio = gen.generate(len(expected["greedy"]), frames=frames, at=len(codes) - 1)
    np.testing.assert_array_equal(nearest_codes(model, audio), expected["greedy"])


@every_case
def test_the_most_probable_sound_from_nothing_is_the_projects(case, isa):
    model, expected = case_of(case)
    n, frames = len(expected["cold_greedy"]), expected["feats_raw"]
    audio = fw.generate(model, n_samples=n, temperature=0, seed=1, frames=frames, isa=isa)
    np.testing.assert_array_equal(nearest_codes(model, audio), expected["cold_greedy"])


@every_case
def test_without_statistics_the_network_takes_normalised_features(case, tmp_path):
    model, expected = case_of(case)
    for file in (GOLDEN / case).iterdir():
        if file.name not in ("stats.h5", "expected.npz"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    plain = fw.import_checkpoint(tmp_path)
    assert plain.spec.conditioning.features == "world, normalised"
    assert model.spec.conditioning.features == "world of kan-bayashi"
    pairs = [(model, expected["feats_raw"]), (plain, expected["feats_normalised"])]
    found = [fw.outputs(each, expected["codes"], frames=frames) for each, frames in pairs]
    assert close(*found)


@pytest.mark.parametrize("precision", COST)
def test_smaller_precisions_cost_little(precision):
    model, expected = case_of("kb_repeat")
    small = fw.Model(model.spec, model.weights, precision)
    pairs = [
        fw.score(each, expected["codes"], frames=expected["feats_raw"]).mean()
        for each in (model, small)
    ]
    assert abs(pairs[1] - pairs[0]) <= COST[precision]


def test_codec_start_and_frames_are_the_projects():
    spec = case_of("kb_upsample")[0].spec
    assert spec.codec == MuLawCodec(255, 255, 255, decode_offset=0.5)
    assert spec.start == Start(128, fed=True, times=31)
    end = spec.conditioning
    assert end.upsampling == (UpsamplingStage(28, 1), UpsamplingStage(28, 10, 10))
    assert (end.channels, end.hop) == (28, 10)


# ---- any options -------------------------------------------------------------------------------


@settings(max_examples=30)
@given(options(), st.integers(0, 2**32 - 1))
def test_any_network_has_the_outputs_of_its_definition(tmp_path_factory, o, seed):
    tensors = random_tensors(o, seed)
    model = fw.import_checkpoint(write(tmp_path_factory.mktemp("any"), o, tensors))
    rng, n = np.random.default_rng(seed), 30
    codes = rng.integers(0, o["n_quantize"], n)
    features = rng.standard_normal((-(-n // o["upsampling_factor"]), o["n_aux"]))
    cond = upsampled(o, tensors, normalised(o, features.astype(np.float32)))[:n]
    found = fw.outputs(begun_by(model, codes[0]), codes[1:], frames=features.astype(np.float32))
    assert close(found, logits(o, tensors, codes, cond))


@settings(max_examples=20)
@given(options(), st.integers(0, 2**32 - 1))
def test_the_start_code_fills_the_projects_receptive_field(tmp_path_factory, o, seed):
    """Row 0 of the features holds for the codes before the first sample."""
    tensors = random_tensors(o, seed)
    model = fw.import_checkpoint(write(tmp_path_factory.mktemp("any"), o, tensors))
    dilations = sum(2**i for i in range(o["dilation_depth"])) * o["dilation_repeat"]
    times = (o["kernel_size"] - 1) * dilations + 1
    assert model.spec.start == Start(o["n_quantize"] // 2, fed=True, times=times)
    rng, n = np.random.default_rng(seed), 12
    codes = rng.integers(0, o["n_quantize"], n)
    features = rng.standard_normal((n, o["n_aux"])).astype(np.float32)
    cond = upsampled(o, tensors, normalised(o, features))[: n + 1]
    given = np.concatenate([np.full(times, o["n_quantize"] // 2), codes])
    rows = np.vstack([np.repeat(cond[:1], times - 1, axis=0), cond])
    found = fw.outputs(model, codes, frames=features)
    assert close(found, logits(o, tensors, given, rows)[times - 1 :])


def test_statistics_may_be_named(tmp_path):
    folder = write(tmp_path / "theirs", OPTIONS, random_tensors(OPTIONS))
    beside = imported(folder).weights
    (folder / "stats.h5").rename(tmp_path / "elsewhere.h5")
    named = imported(folder, values={"statistics": str(tmp_path / "elsewhere.h5")}).weights
    assert all(beside[name].tobytes() == named[name].tobytes() for name in beside)
    found = hdf5_files.written("world", {"mean": np.zeros(3), "scale": np.ones(3)})
    (tmp_path / "elsewhere.h5").write_bytes(found)
    np.save(tmp_path / "stats.npy", [np.zeros(3), np.ones(3)])
    each = [
        imported(folder, values={"statistics": str(tmp_path / name)}).weights
        for name in ("elsewhere.h5", "stats.npy")
    ] + [imported(folder).weights]
    for name in beside:
        assert len({weights[name].tobytes() for weights in each}) == 1


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([np.zeros(2), np.ones(2)], "3 finite numbers"),
        ([np.full(3, np.nan), np.ones(3)], "3 finite numbers"),
        ([np.zeros(3), np.array([1.0, 0, 1])], "scale .* must not be 0"),
        ([np.zeros(3)], r"other.npy: expected rows of mean and scale, not \(1, 3\)"),
        (np.zeros(3), r"other.npy: expected an array .* statistics are an .h5 or a .npy file"),
        (np.array([None]), r"other.npy: expected an array .* found object"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(tmp_path, rows, match):
    folder = write(tmp_path, OPTIONS | {"stats": None}, random_tensors(OPTIONS))
    np.save(tmp_path / "other.npy", rows)
    with pytest.raises(ValueError, match=match):
        imported(folder, values={"statistics": f"{tmp_path}/other.npy"})


def test_statistics_of_another_kind_of_features_are_refused(tmp_path):
    folder = write(tmp_path, OPTIONS | {"stats": None}, random_tensors(OPTIONS))
    data = hdf5_files.written("melspc", {"mean": np.zeros(3), "scale": np.ones(3)})
    (tmp_path / "stats.h5").write_bytes(data)
    with pytest.raises(ValueError, match="no world/mean and no mean, only melspc/mean, melspc/sc"):
        imported(folder)


def test_a_state_dict_alone_needs_its_dilations_and_factor(tmp_path):
    folder = write(tmp_path, OPTIONS | {"stats": None}, random_tensors(OPTIONS))
    (folder / "model.conf").unlink()
    with pytest.raises(ValueError, match="upsampling_factor is missing"):
        imported(folder)
    with pytest.raises(ValueError, match="dilation_depth is missing"):
        imported(folder, values={"upsampling_factor": 3})
    values = {"upsampling_factor": 3, "dilation_depth": 2}
    assert imported(folder, values=values).spec.dilations == (1, 2, 1, 2)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"dilation_depth": 3}, "dilation_depth is 2 in .* but 3 was given"),
        ({"upsampling_factor": 4}, "upsampling_factor is 3 in .* but 4 was given"),
        ({"depth": 3}, "depth is no hyperparameter of kan-bayashi"),
    ],
)
def test_a_contradiction_names_both_sides(tmp_path, values, match):
    folder = write(tmp_path, OPTIONS, random_tensors(OPTIONS))
    with pytest.raises(ValueError, match=match):
        imported(folder, values=values)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n_aux": 4}, "n_aux is 4 in .*model.conf, but 3 in the tensors"),
        ({"n_resch": 5}, "n_resch is 5 in .*model.conf, but 4 in the tensors"),
        ({"kernel_size": 3}, "kernel_size is 3 in .*model.conf, but 2 in the tensors"),
        ({"dilation_repeat": 1}, "are 2 layers, but the tensors have 4"),
        ({"use_upsampling_layer": True}, "use_upsampling_layer is True in .*model.conf"),
    ],
)
def test_a_config_of_another_network_is_refused(tmp_path, changes, match):
    folder = write(tmp_path, OPTIONS | {"stats": None} | changes, random_tensors(OPTIONS))
    with pytest.raises(ValueError, match=match):
        imported(folder)


@pytest.mark.parametrize("name", ["causal.conv.bias", "dil_tanh.1.conv.weight", "conv_post_2.bias"])
def test_a_missing_tensor_is_named(tmp_path, name):
    tensors = random_tensors(OPTIONS)
    del tensors[name]
    with pytest.raises(ValueError, match=name):
        imported(write(tmp_path, OPTIONS, tensors))
