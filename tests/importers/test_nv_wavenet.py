"""Networks of nv-wavenet: equal to its own outputs and draws."""

import numpy as np
import pytest
import torch_files
from c_build import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from imported_networks import close, codes_of
from nv_wavenet_files import exported, logits, options, random_tensors, upsampled, write

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.ends import CodeInput, MuLawCodec, Start
from fastwavenet.importers.call import imported
from fastwavenet.importers.nv_wavenet import cond_input_frames
from fastwavenet.modelfile import ModelFormatError

GOLDEN = ROOT / "tests/golden/peers"
CASES = ("nv_ckpt", "nv_export")
every_case = pytest.mark.parametrize("case", CASES)

OPTIONS = {
    "form": "module", "as_zip": True, "n_layers": 3, "max_dilation": 2, "n_residual_channels": 3,
    "n_skip_channels": 4, "n_out_channels": 256, "n_cond_channels": 2, "upsamp_stride": 4,
    "upsamp_window": 9, "tanh": False, "previous": False,
}  # fmt: skip
COST = {"bfloat16": 0.02, "int8": 0.05}  # nats per sample at most, against float32


def case_of(name: str) -> tuple[fw.Model, dict, np.ndarray]:
    """The model, the expected arrays and the frames."""
    with np.load(GOLDEN / name / "expected.npz") as arrays:
        expected = dict(arrays)
    frames = expected["mel"] if "mel" in expected else rows_of(expected["cond_input"])
    return fw.import_checkpoint(GOLDEN / name), expected, frames


def rows_of(cond_input: np.ndarray) -> np.ndarray:
    """(2R, 1, layers, samples) as frames of each sample."""
    return cond_input[:, 0].transpose(2, 1, 0).reshape(cond_input.shape[3], -1)


# ---- parity with the project's own code --------------------------------------------------------


@every_case
def test_logits_are_the_projects_on_every_instruction_set(case, isa):
    model, expected, frames = case_of(case)
    assert expected["codes"][0] == model.spec.start.code  # fed before the first sample
    found = fw.outputs(model, expected["codes"][1:], frames=frames, isa=isa)
    assert close(found[expected["logits_t"]], expected["logits"])


def test_the_most_probable_continuation_is_the_projects(isa):
    model, expected, frames = case_of("nv_ckpt")
    codes, greedy = expected["codes"][1:], expected["greedy"]
    gen = fw.Generator(model, temperature=0, seed=1, isa=isa)
    gen.prime(codes, frames=frames)
    audio = gen.generate(len(greedy), frames=frames, at=len(codes))
    np.testing.assert_array_equal(codes_of(model, audio), greedy)


@every_case
def test_the_most_probable_sound_from_nothing_is_the_projects(case, isa):
    model, expected, frames = case_of(case)
    n = len(expected["cold_greedy"])
    audio = fw.generate(model, n_samples=n, temperature=0, seed=1, frames=frames, isa=isa)
    np.testing.assert_array_equal(codes_of(model, audio), expected["cold_greedy"])


@every_case
def test_each_draw_is_the_projects_for_the_same_uniform_number(case, isa):
    model, expected, frames = case_of(case)
    drawn = expected["selected"].astype(int)
    found = fw.outputs(model, drawn[:-1], frames=frames, isa=isa).astype(np.float64)
    probabilities = np.exp(found - np.logaddexp.reduce(found, axis=1)[:, None])
    below = expected["selectors"][:, None] < np.cumsum(probabilities, axis=1)
    np.testing.assert_array_equal(below.argmax(axis=1), drawn)


@pytest.mark.parametrize("precision", COST)
def test_smaller_precisions_cost_little(precision):
    model, expected, frames = case_of("nv_ckpt")
    small = fw.Model(model.spec, model.weights, precision)
    nats = [fw.score(each, expected["codes"][1:], frames=frames).mean() for each in (model, small)]
    assert abs(nats[1] - nats[0]) <= COST[precision]


def test_codec_start_and_frames_are_the_projects():
    spec = case_of("nv_ckpt")[0].spec
    assert spec.codec == MuLawCodec.symmetric(256)
    assert spec.start == Start(128, fed=True)
    assert spec.sample_rate == 16000
    assert (spec.conditioning.channels, spec.conditioning.hop) == (10, 8)
    assert spec.conditioning.edges == "zeros"


# ---- any options -------------------------------------------------------------------------------


@settings(max_examples=30)
@given(options(), st.integers(0, 2**32 - 1))
def test_any_network_has_the_outputs_of_its_definition(tmp_path_factory, o, seed):
    tensors = random_tensors(o, seed)
    model = fw.import_checkpoint(write(tmp_path_factory.mktemp("any"), o, tensors))
    rng, n = np.random.default_rng(seed), 30
    codes = rng.integers(0, o["n_out_channels"], n)
    mel = rng.standard_normal((-(-n // o["upsamp_stride"]) + 1, o["n_cond_channels"]))
    cond = upsampled(o, tensors, mel)
    frames = cond.reshape(len(cond), -1) if o["form"] == "export" else mel
    found = fw.outputs(model, codes, frames=frames.astype(np.float32))
    expected = logits(o, tensors, codes, np.vstack([cond, cond[-1:]]))
    assert close(found[:n], expected[:n])


def test_one_row_of_the_embedding_has_the_tanh_in_it_and_two_have_it_in_the_network(tmp_path):
    o = OPTIONS | {"form": "export", "tanh": True}
    tensors = random_tensors(o)
    one = imported(write(tmp_path / "one", o, tensors))
    assert one.spec.input == CodeInput(1)
    expected = np.tanh(tensors["embed.weight"])
    np.testing.assert_allclose(one.weights["first.weight"][0], expected, rtol=1e-6)
    two = imported(write(tmp_path / "two", o | {"previous": True}, tensors))
    assert two.spec.input == CodeInput(2, activation="tanh", padding="start")


def test_the_usual_mel_is_recognised(tmp_path):
    o = OPTIONS | {"n_cond_channels": 80, "upsamp_stride": 200, "upsamp_window": 800}
    folder = write(tmp_path, o, random_tensors(o))
    assert imported(folder).spec.conditioning.mel == fw.mel_presets()["nv-16k"]
    assert imported(folder, values={"win_length": 1024}).spec.conditioning.mel is None


def test_a_state_dict_needs_its_config(tmp_path):
    folder = write(tmp_path, OPTIONS | {"form": "state dict"}, random_tensors(OPTIONS))
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match="max_dilation is missing|upsamp_stride is missing"):
        imported(folder)
    values = {"max_dilation": 2, "upsamp_stride": 4}
    with_values = imported(folder, values=values)
    assert with_values.spec.dilations == (1, 2, 1)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"max_dilation": 3}, "max_dilation is 2 in .* but 3 was given"),
        ({"n_layers": 4}, "n_layers is 3 in .* but 4 was given"),
        ({"upsamp_stride": 5}, "upsamp_stride is 5 in the given values, but 4 in the tensors"),
        ({"upsamp_window": 10}, "upsamp_window is 10 in the given values, but 9 in the tensors"),
        ({"n_skip_channels": 5}, "n_skip_channels is 5 in the given values, but 4 in the tensors"),
        ({"layers": 3}, "layers is no hyperparameter of nv-wavenet"),
    ],
)
def test_a_contradiction_names_both_sides(tmp_path, values, match):
    folder = write(tmp_path, OPTIONS, random_tensors(OPTIONS))
    with pytest.raises(ValueError, match=match):
        imported(folder, values=values)


NEEDED = (
    "embed.weight",
    "upsample.weight",
    "cond_layers.conv.weight",
    "dilate_layers.1.conv.weight",
    "conv_end.conv.weight",
)


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_tensor_is_named(tmp_path, name):
    tensors = random_tensors(OPTIONS)
    o = OPTIONS | {"form": "state dict"}
    folder = write(tmp_path, o, {each: a for each, a in tensors.items() if each != name})
    with pytest.raises(ValueError, match=f"{name}|n_layers|unexpected"):
        imported(folder)


def test_an_export_with_more_rows_than_channels_there_may_be_is_refused(tmp_path):
    o = OPTIONS | {"form": "export", "n_layers": 9, "n_residual_channels": 228}
    with pytest.raises(ValueError, match="4104 numbers of cond_input .* expected at most 4096"):
        imported(write(tmp_path, o, random_tensors(o)))


def test_cond_input_becomes_frames_of_each_sample(tmp_path):
    cond_input = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 1, 3, 5)
    path = tmp_path / "cond_input.pt"
    path.write_bytes(torch_files.saved_value(cond_input, as_zip=True))
    frames = cond_input_frames(path)
    assert frames.shape == (5, 6)
    np.testing.assert_array_equal(frames[4], cond_input[:, 0, :, 4].T.ravel())
    path.write_bytes(torch_files.saved_value(cond_input[0], as_zip=True))
    with pytest.raises(ModelFormatError, match="must be a tensor"):
        cond_input_frames(path)


def test_an_imported_network_is_a_model_file_like_any_other(tmp_path):
    model, expected, frames = case_of("nv_ckpt")
    modelfile.save(tmp_path / "voice.safetensors", model.spec, model.weights)
    again = fw.load(tmp_path / "voice.safetensors", "float32")
    assert again.spec == model.spec
    for each in (model, again):
        found = fw.generate(each, frames=frames[:3], seed=3)
        assert len(found) == 24


def test_an_export_may_hold_matrices_without_an_axis_of_taps(tmp_path):
    o = OPTIONS | {"form": "export"}
    tensors = random_tensors(o)
    value = exported(o, tensors)
    value["conv_out_weight"] = value["conv_out_weight"][:, :, 0]
    (tmp_path / "model.pt").write_bytes(torch_files.saved_value(value, as_zip=False))
    found = imported(tmp_path / "model.pt").weights["head.hidden.weight"]
    np.testing.assert_array_equal(found, tensors["conv_out.conv.weight"])
