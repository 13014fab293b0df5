"""Networks of ibab/tensorflow-wavenet: equal to its own outputs."""

import json
import shutil

import numpy as np
import pytest
from c_build import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from ibab_files import BIASES, logits, options, random_tensors, write
from imported_networks import close, codes_of
from tensorflow_files import Options

import fastwavenet as fw
from fastwavenet.cli import main
from fastwavenet.ends import CodeInput, MuLawCodec, Start
from fastwavenet.importers.call import imported
from fastwavenet.modelfile import ModelFormatError

GOLDEN = ROOT / "tests/golden/peers"
CASES = ("ibab_bias", "ibab_gc_nobias")
every_case = pytest.mark.parametrize("case", CASES)

OPTIONS = {
    "filter_width": 2, "sample_rate": 16000, "dilations": [1, 2, 4, 1], "residual_channels": 3,
    "dilation_channels": 2, "quantization_channels": 16, "skip_channels": 4, "use_biases": True,
    "scalar_input": False, "initial_filter_width": 32, "gc_channels": 0, "gc_cardinality": 0,
    "biases": "anonymous", "scope": "wavenet/", "optimizer": False, "bundle": Options(),
}  # fmt: skip
WITH_SPEAKERS = OPTIONS | {"gc_channels": 2, "gc_cardinality": 3}
COST = {"bfloat16": 0.02, "int8": 0.05}  # nats per sample at most, against float32


def case_of(name: str) -> tuple[fw.Model, dict, dict]:
    """The model, the expected arrays and the speaker, as an argument."""
    with np.load(GOLDEN / name / "expected.npz") as arrays:
        expected = dict(arrays)
    speaker = {"speaker": int(expected["gc_id"])} if "gc_id" in expected else {}
    return fw.import_checkpoint(GOLDEN / name), expected, speaker


# ---- parity with the project's own code --------------------------------------------------------


@every_case
def test_logits_are_the_projects_on_every_instruction_set(case, isa):
    model, expected, speaker = case_of(case)
    found = fw.outputs(model, expected["codes"], **speaker, isa=isa)
    assert close(found[expected["logits_t"]], expected["logits"])


@every_case
def test_the_most_probable_continuation_is_the_projects(case, isa):
    model, expected, speaker = case_of(case)
    gen = fw.Generator(model, temperature=0, seed=1, **speaker, isa=isa)
    gen.prime(expected["codes"])
    audio = gen.generate(len(expected["greedy"]))
    np.testing.assert_array_equal(codes_of(model, audio), expected["greedy"])


@every_case
def test_the_most_probable_sound_from_nothing_is_the_projects(case, isa):
    model, expected, speaker = case_of(case)
    n = len(expected["cold_greedy"])
    audio = fw.generate(model, n_samples=n, temperature=0, seed=1, **speaker, isa=isa)
    np.testing.assert_array_equal(codes_of(model, audio), expected["cold_greedy"])


@pytest.mark.parametrize("precision", COST)
def test_smaller_precisions_cost_little(precision):
    model, expected, _ = case_of("ibab_bias")
    small = fw.Model(model.spec, model.weights, precision)
    nats = [fw.score(each, expected["codes"]).mean() for each in (model, small)]
    assert abs(nats[1] - nats[0]) <= COST[precision]


def test_codec_and_start_are_the_projects():
    spec = case_of("ibab_bias")[0].spec
    assert spec.codec == MuLawCodec.symmetric(256)
    assert spec.start == Start(128)
    assert spec.input == CodeInput(2)
    audio = np.float32([-1, 1, 0.6, -0.25, 0.01, 0.33, -0.9999, 0.42, 0.1, -0.45, 0])
    codes = fw.mu_law_encode(audio, 256, codec=spec.codec)
    np.testing.assert_array_equal(codes, [0, 255, 243, 32, 157, 230, 0, 235, 203, 18, 128])


def test_speakers_are_named_by_their_identifiers():
    model, _, _ = case_of("ibab_gc_nobias")
    assert model.spec.conditioning.speakers == ("0", "1", "2", "3", "4")
    sounds = [fw.generate(model, n_samples=50, seed=1, speaker=each) for each in ("3", 3, "4")]
    np.testing.assert_array_equal(sounds[0], sounds[1])
    assert not np.array_equal(sounds[0], sounds[2])


# ---- any options -------------------------------------------------------------------------------


@settings(max_examples=30)
@given(options(), st.integers(0, 2**32 - 1))
def test_any_network_has_the_outputs_of_its_definition(tmp_path_factory, o, seed):
    tensors = random_tensors(o, seed)
    model = fw.import_checkpoint(write(tmp_path_factory.mktemp("any"), o, tensors))
    rng, levels = np.random.default_rng(seed), o["quantization_channels"]
    codes = rng.integers(0, levels, 60)
    speaker = int(rng.integers(o["gc_cardinality"])) if o["gc_channels"] else None
    inputs = fw.mu_law_decode(codes, levels) if o["scalar_input"] else codes
    expected = logits(o, tensors, inputs, speaker)
    found = fw.outputs(model, codes, **({} if speaker is None else {"speaker": speaker}))
    assert close(found, expected)
    assert model.spec.sample_rate == o["sample_rate"]
    assert model.spec.dilations == tuple(o["dilations"])


@pytest.mark.parametrize("biases", BIASES)
def test_biases_are_found_by_their_names_or_by_their_order(tmp_path, biases):
    o = OPTIONS | {"biases": biases, "use_biases": biases != "none"}
    tensors = random_tensors(o)
    found = imported(write(tmp_path, o, tensors))
    assert found.spec.bias == o["use_biases"]
    if o["use_biases"]:
        expected = tensors["dilated_stack/layer1/skip_bias"]
        np.testing.assert_array_equal(found.weights["layers.1.skip.bias"], expected)


def test_a_scalar_input_becomes_a_table_of_kernel_times_amplitude(tmp_path):
    o = OPTIONS | {"scalar_input": True, "initial_filter_width": 32}
    tensors = random_tensors(o)
    found = imported(write(tmp_path, o, tensors))
    assert found.spec.input == CodeInput(32)
    amplitudes = fw.mu_law_decode(np.arange(16), 16)
    expected = amplitudes[None, :, None] * tensors["causal_layer/filter"]
    np.testing.assert_array_equal(found.weights["first.weight"], expected)


# ---- files and hyperparameters -----------------------------------------------------------------


def test_folder_prefix_and_each_file_name_the_same_checkpoint(tmp_path):
    write(tmp_path, OPTIONS, random_tensors(OPTIONS, 1), step=50)
    prefix = write(tmp_path, OPTIONS, random_tensors(OPTIONS, 2))
    expected = imported(prefix)
    assert expected.file == tmp_path / "model.ckpt-1234.index"
    names = (".", "model.ckpt-1234.index", "model.ckpt-1234.data-00000-of-00001",
             "model.ckpt-1234.meta")  # fmt: skip
    for name in names:
        found = imported(tmp_path / name)
        assert found.file.samefile(expected.file)
    other = imported(tmp_path / "model.ckpt-50").weights["head.output.bias"]
    assert not np.array_equal(other, expected.weights["head.output.bias"])


def test_a_folder_without_its_latest_needs_a_name_if_there_are_two(tmp_path):
    for step in (50, 1234):
        write(tmp_path, OPTIONS, random_tensors(OPTIONS), step)
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(ModelFormatError, match=r"'model.ckpt-1234.index', 'model.ckpt-50.index'"):
        imported(tmp_path)
    (tmp_path / "model.ckpt-50.index").unlink()
    assert imported(tmp_path).file.name == "model.ckpt-1234.index"


@pytest.mark.parametrize(
    "name", ["gone", "/etc/passwd", "../model.ckpt-1", "", "a\0b", "a" * 500, r"model\\ckpt"]
)
def test_the_latest_is_looked_for_in_its_folder_alone(tmp_path, name):
    folder = write(tmp_path / "logdir", OPTIONS, random_tensors(OPTIONS)).parent
    write(tmp_path, OPTIONS, random_tensors(OPTIONS), step=1)
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{name}"\n')
    with pytest.raises(ModelFormatError, match=r"names .* of which there is no \.index file"):
        imported(folder)


@pytest.mark.parametrize(
    "path", [r"C:\\logdir\\model.ckpt-50", "model.ckpt-50", "/a/model.ckpt-50"]
)
def test_the_latest_is_found_whatever_the_folder_was(tmp_path, path):
    for step in (50, 1234):
        write(tmp_path, OPTIONS, random_tensors(OPTIONS), step)
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{path}"\n')
    assert imported(tmp_path).file.name == "model.ckpt-50.index"


def test_another_text_of_that_name_is_left(tmp_path):
    write(tmp_path, OPTIONS, random_tensors(OPTIONS))
    for text in ("", "notes", r'model_checkpoint_path: "model\303\251"'):
        (tmp_path / "checkpoint").write_text(text)
        assert imported(tmp_path).file.name == "model.ckpt-1234.index"


def test_without_a_config_the_dilations_are_asked_for_by_name(tmp_path):
    prefix = write(tmp_path, OPTIONS, random_tensors(OPTIONS))
    (tmp_path / "wavenet_params.json").unlink()
    with pytest.raises(ValueError, match="dilations is missing"):
        imported(prefix)
    found = imported(prefix, values={"dilations": (1, 2, 4, 1)}).spec
    assert (found.dilations, found.sample_rate) == ((1, 2, 4, 1), 16000)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"dilations": [1, 2, 4]}, "3 numbers, but the tensors have 4 layers"),
        ({"dilations": 4}, "dilations must be a list of whole numbers"),
        ({"dilations": [1, 2, 0, 1]}, "dilations must be .* 1 to"),
        ({"dilations": [1, 2, "4", 1]}, "dilations must be .* 1 to"),
        ({"filter_width": 3}, "filter_width is 3 in .*, but 2 in the tensors"),
        ({"use_biases": False}, "use_biases is False in .*, but True in the tensors"),
        ({"scalar_input": True}, "scalar_input is True in .*, but False in the tensors"),
        ({"quantization_channels": 256}, "quantization_channels is 256 in .*, but 16 in"),
        ({"residual_channels": 4}, "residual_channels is 4 in .*, but 3 in"),
        ({"dilation_channels": 4}, "dilation_channels is 4 in .*, but 2 in"),
        ({"skip_channels": 5}, "skip_channels is 5 in .*, but 4 in"),
        ({"gc_channels": 5}, "gc_channels is 5 in .*, but 2 in"),
        ({"gc_cardinality": 5}, "gc_cardinality is 5 in .*, but 3 in"),
    ],
)
def test_a_contradiction_names_both_sides(tmp_path, changes, match):
    prefix = write(tmp_path, WITH_SPEAKERS, random_tensors(WITH_SPEAKERS))
    config = tmp_path / "wavenet_params.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))
    with pytest.raises(ValueError, match=match):
        imported(prefix)


def test_a_scalar_inputs_width_is_the_configs(tmp_path):
    o = OPTIONS | {"scalar_input": True}
    prefix = write(tmp_path, o | {"initial_filter_width": 8}, random_tensors(o))
    with pytest.raises(ValueError, match="initial_filter_width is 8 in .*, but 32 in the tensors"):
        imported(prefix)


USED = [
    name for name in random_tensors(WITH_SPEAKERS) if not name.endswith(("3/dense", "3/dense_bias"))
]


@pytest.mark.parametrize("name", USED)
@pytest.mark.parametrize(
    "changed", [None, np.squeeze, lambda a: a[None], lambda a: a[:0], lambda a: a.sum()]
)
def test_a_tensor_that_is_missing_or_of_another_shape_is_an_error(tmp_path, name, changed):
    tensors = random_tensors(WITH_SPEAKERS)
    array = tensors.pop(name)
    if changed is not None:
        tensors[name] = np.asarray(changed(array))
        if tensors[name].shape == array.shape:
            return
    elif name.endswith("_bias"):
        return  # may be left out
    with pytest.raises(ValueError, match=r"must|missing|expected|dilations|cannot|speakers"):
        imported(write(tmp_path, WITH_SPEAKERS, tensors))


def test_a_tensor_that_no_part_needs_is_refused(tmp_path):
    tensors = random_tensors(OPTIONS) | {"dilated_stack/layer9/filter": np.ones((2, 3, 2), "f4")}
    with pytest.raises(ModelFormatError, match="unexpected tensor 'dilated_stack/layer9/filter'"):
        imported(write(tmp_path, OPTIONS, tensors))


def test_a_bias_by_number_and_by_name_is_refused(tmp_path):
    o = OPTIONS | {"biases": "named"}
    tensors = random_tensors(o)
    tensors["dilated_stack/layer0/Variable"] = tensors["dilated_stack/layer0/filter_bias"]
    with pytest.raises(ModelFormatError, match="two tensors are .*filter_bias"):
        imported(write(tmp_path, o, tensors))


def test_the_command_takes_a_prefix_and_dilations(tmp_path, capsys):
    prefix = write(tmp_path / "logdir", OPTIONS, random_tensors(OPTIONS))
    (tmp_path / "logdir/wavenet_params.json").unlink()
    output = tmp_path / "voice.safetensors"
    assert main(["import", str(prefix), "--set", "dilations=[1,2,4,1]", "-o", str(output)]) == 0
    assert "from ibab, 4 layers" in capsys.readouterr().out
    assert fw.load(output).spec.dilations == (1, 2, 4, 1)


def test_a_real_checkpoint_may_lie_anywhere_with_its_config_named(tmp_path):
    for file in (GOLDEN / "ibab_bias").glob("model.ckpt*"):
        shutil.copy(file, tmp_path)
    config = GOLDEN / "ibab_bias/wavenet_params.json"
    found = fw.import_checkpoint(tmp_path, "ibab", config=config)
    assert found.spec == case_of("ibab_bias")[0].spec
