"""Networks of vincentherrmann/pytorch-wavenet: equal to its own outputs and audio."""

import numpy as np
import pytest
import torch_files
from c_build import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from imported_networks import nearest_codes
from vincentherrmann_files import logits, options, random_tensors, write

import fastwavenet as fw
from fastwavenet.ends import MuLawCodec, Start
from fastwavenet.importers.call import imported
from fastwavenet.modelfile import ModelFormatError

GOLDEN = ROOT / "tests/golden/peers"
CASES = ("vh_bias_k2", "vh_nobias_k3")
every_case = pytest.mark.parametrize("case", CASES)

OPTIONS = {
    "as_zip": False, "bias": True, "layers": 2, "blocks": 2, "kernel_size": 2,
    "residual_channels": 3, "dilation_channels": 2, "skip_channels": 4, "end_channels": 5,
    "classes": 16,
}  # fmt: skip
COST = {"bfloat16": 0.02, "int8": 0.05}  # nats per sample at most, against float32


def case_of(name: str) -> tuple[fw.Model, dict]:
    with np.load(GOLDEN / name / "expected.npz") as arrays:
        return fw.import_checkpoint(GOLDEN / name), dict(arrays)


@every_case
def test_logits_are_the_projects_on_every_instruction_set(case, isa):
    model, expected = case_of(case)
    found = fw.outputs(model, expected["codes"], isa=isa)[expected["logits_t"]]
    bound = 1e-4 * max(1, abs(expected["logits"]).max())
    assert abs(found - expected["logits"]).max() <= bound


@every_case
def test_the_most_probable_continuation_and_its_audio_are_the_projects(case, isa):
    model, expected = case_of(case)
    gen = fw.Generator(model, temperature=0, seed=1, isa=isa)
    gen.prime(expected["codes"])
    audio = gen.generate(len(expected["greedy"]))
    np.testing.assert_array_equal(nearest_codes(model, audio), expected["greedy"])
    np.testing.assert_allclose(audio, expected["greedy_audio"], rtol=0, atol=1e-6)


@every_case
def test_the_most_probable_sound_from_nothing_is_the_projects(case, isa):
    model, expected = case_of(case)
    audio = fw.generate(
        model, n_samples=len(expected["cold_greedy"]), temperature=0, seed=1, isa=isa
    )
    np.testing.assert_array_equal(nearest_codes(model, audio), expected["cold_greedy"])
    np.testing.assert_allclose(audio, expected["cold_audio"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", COST)
def test_smaller_precisions_cost_little(precision):
    model, expected = case_of("vh_bias_k2")
    small = fw.Model(model.spec, model.weights, precision)
    nats = [fw.score(each, expected["codes"]).mean() for each in (model, small)]
    assert abs(nats[1] - nats[0]) <= COST[precision]


def test_codec_and_start_are_the_projects():
    spec = case_of("vh_bias_k2")[0].spec
    assert spec.codec == MuLawCodec(256, 255, 256, encode_offset=0)
    assert spec.start == Start(128)
    audio = np.float32([-1, 1, 0.6, -0.25, 0.01, 0.33, -0.9999, 0.42, 0.1, -0.45, 0])
    codes = fw.mu_law_encode(audio, 256, codec=spec.codec)
    np.testing.assert_array_equal(codes, [0, 255, 243, 31, 156, 229, 0, 235, 202, 18, 127])
    assert fw.mu_law_decode(np.array([128]), 256, codec=spec.codec)[0] == 0


# ---- any options -------------------------------------------------------------------------------


@settings(max_examples=30)
@given(options(), st.integers(0, 2**32 - 1))
def test_any_network_has_the_outputs_of_its_definition(tmp_path_factory, o, seed):
    tensors = random_tensors(o, seed)
    model = fw.import_checkpoint(write(tmp_path_factory.mktemp("any"), o, tensors))
    codes = np.random.default_rng(seed).integers(0, o["classes"], 40)
    expected = logits(o, tensors, codes)
    found = fw.outputs(model, codes)
    assert abs(found - expected).max() <= 1e-4 * max(1, abs(expected).max())
    assert model.spec.start.code == o["classes"] // 2


def test_a_state_dict_is_completed_by_its_caller(tmp_path):
    path = tmp_path / "state.pth"
    path.write_bytes(torch_files.saved_value(random_tensors(OPTIONS), as_zip=True))
    with pytest.raises(ValueError, match="layers is missing"):
        imported(path)
    found = imported(path, values={"layers": 4, "sampling_rate": 22050}).spec
    assert (found.dilations, found.sample_rate) == ((1, 2, 4, 8), 22050)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"layers": 3}, "blocks 2 x layers 3 are 6 layers, but the tensors have 4"),
        ({"classes": 15}, "classes is 15 in .*, but 16 in the tensors"),
        ({"kernel_size": 3}, "kernel_size is 3 in .*, but 2 in the tensors"),
        ({"skip_channels": 7}, "skip_channels is 7 in .*, but 4 in the tensors"),
    ],
)
def test_a_contradiction_names_both_sides(tmp_path, changes, match):
    path = write(tmp_path, OPTIONS | changes, random_tensors(OPTIONS))
    with pytest.raises(ValueError, match=match):
        imported(path)


def test_its_older_networks_are_refused_by_name(tmp_path):
    tensors = random_tensors(OPTIONS)
    old = {name.replace("filter_convs", "main_convs"): array for name, array in tensors.items()}
    with pytest.raises(ModelFormatError, match="main_convs"):
        imported(write(tmp_path, OPTIONS, old))


USED = [name for name in random_tensors(OPTIONS) if not name.startswith("residual_convs.3.")]


@pytest.mark.parametrize("name", USED)
@pytest.mark.parametrize(
    "changed", [np.squeeze, lambda a: a[None], lambda a: a[:0], lambda a: a.sum()]
)
def test_a_tensor_of_another_shape_is_an_error_that_names_it(tmp_path, name, changed):
    tensors = random_tensors(OPTIONS)
    tensors[name] = np.asarray(changed(tensors[name]))
    if tensors[name].shape == random_tensors(OPTIONS)[name].shape:
        return
    with pytest.raises(ValueError, match="must"):
        imported(write(tmp_path, OPTIONS, tensors))
