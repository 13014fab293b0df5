"""Networks of wavenet-coding: equal to its own outputs, and back in its own files."""

import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy
from c_build import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from imported_networks import codes_of
from networks import random_weights
from wavenet_coding_files import CONFIG, configs, decode, logits, random_tensors, write

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.ends import QuietSampling, Sampling, Start, VoicedSampling
from fastwavenet.importers.call import imported
from fastwavenet.importers.giving_back import give_back

GOLDEN = ROOT / "tests/golden/peers"
CASES = ("wc_waveform", "wc_parametric")
every_case = pytest.mark.parametrize("case", CASES)

# Least precise bits cost this much: nats per sample of the primes, against float32.
COST = {"bfloat16": 0.02, "int8": 0.05}


def case_of(name: str) -> tuple[fw.Model, dict]:
    with np.load(GOLDEN / name / "expected.npz") as arrays:
        return fw.import_checkpoint(GOLDEN / name), dict(arrays)


def frames_of(expected: dict, n: int) -> np.ndarray | None:
    return expected["cond"][:n] if "cond" in expected else None


# ---- parity with the project's own engine ------------------------------------------------------


@every_case
def test_log_probabilities_are_the_projects_on_every_instruction_set(case, isa):
    model, expected = case_of(case)
    codes, rows = expected["codes"], expected["rows"]
    found = fw.outputs(model, codes, frames=frames_of(expected, len(codes)), isa=isa)[rows]
    found = found - np.logaddexp.reduce(found.astype(np.float64), axis=1)[:, None]
    bound = 1e-4 * max(1, abs(expected["log_probs"]).max())
    assert abs(found - expected["log_probs"]).max() <= bound


@every_case
def test_the_most_probable_continuation_is_the_projects(case, isa):
    model, expected = case_of(case)
    codes, greedy = expected["codes"], expected["greedy"]
    frames = frames_of(expected, len(codes) + len(greedy))
    gen = fw.Generator(model, temperature=0, seed=1, isa=isa)
    gen.prime(codes, frames=frames)
    at = {} if frames is None else {"at": len(codes)}
    audio = gen.generate(len(greedy), frames=frames, **at)
    np.testing.assert_array_equal(codes_of(model, audio), greedy)


@every_case
def test_the_most_probable_sound_from_nothing_is_the_projects(case, isa):
    model, expected = case_of(case)
    n = len(expected["cold_greedy"])
    audio = fw.generate(
        model, n_samples=n, temperature=0, seed=1, frames=frames_of(expected, n), isa=isa
    )
    np.testing.assert_array_equal(codes_of(model, audio), expected["cold_greedy"])


@every_case
@pytest.mark.parametrize("precision", COST)
def test_smaller_precisions_cost_little(case, precision):
    model, expected = case_of(case)
    codes, frames = expected["codes"], frames_of(expected, len(expected["codes"]))
    small = fw.Model(model.spec, model.weights, precision)
    nats = [fw.score(each, codes, frames=frames).mean() for each in (model, small)]
    assert abs(nats[1] - nats[0]) <= COST[precision]


def test_its_codec_is_the_projects():
    model, expected = case_of("wc_waveform")
    np.testing.assert_array_equal(codes_of(model, expected["encode_in"]), expected["encode_out"])
    decoded = fw.mu_law_decode(np.arange(256), 256, codec=model.spec.codec)
    np.testing.assert_allclose(decoded, expected["decoded"], rtol=0, atol=1e-7)
    assert decoded[128] == 0


def test_its_start_is_silence_fed_as_a_sample_of_its_own():
    assert case_of("wc_waveform")[0].spec.start == Start(128, fed=True)


def test_it_is_drawn_as_by_the_projects_generator():
    assert case_of("wc_waveform")[0].spec.sampling == Sampling()
    rule = VoicedSampling(channel=1, temperature=0.75 * 0.85)
    quiet = QuietSampling(channel=2, below=8 / 60)
    expected = Sampling(temperature=0.85, voiced=rule, quiet=quiet)
    assert case_of("wc_parametric")[0].spec.sampling == expected


# ---- any options -------------------------------------------------------------------------------


@given(configs(), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_any_network_has_the_outputs_of_its_definition(tmp_path_factory, config, seed):
    tensors = random_tensors(config, seed)
    folder = write(tmp_path_factory.mktemp("any") / "network", config, tensors)
    model = fw.import_checkpoint(folder)
    rng, n = np.random.default_rng(seed), 40
    codes = rng.integers(0, config["quantization_channels"], n)
    cond = None
    if config["use_conditioning"]:
        cond = rng.standard_normal((n, config["cond_dim"]), dtype=np.float32)
    expected = logits(config, tensors, codes, cond)
    found = fw.outputs(model, codes, frames=cond)[:n]
    assert abs(found - expected).max() <= 1e-4 * max(1, abs(expected).max())


@given(configs(), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_any_network_is_given_back_and_returns_bit_for_bit(tmp_path_factory, config, seed):
    folder, tensors = tmp_path_factory.mktemp("back"), random_tensors(config, seed)
    first = imported(write(folder / "theirs", config, tensors))
    give_back("wavenet-coding", first.spec, first.weights, folder / "back")
    second = imported(folder / "back")
    assert second.spec == first.spec
    for name, array in first.weights.items():
        assert second.weights[name].tobytes() == array.tobytes()
    theirs = safetensors.numpy.load_file(folder / "back/model.safetensors")
    assert {name: array.shape for name, array in theirs.items()} == {
        name: array.shape for name, array in tensors.items()
    }
    if not config["use_conditioning"]:  # else biases of layers and conditioning have become one
        for name, array in tensors.items():
            assert theirs[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("levels", [2, 16, 256, 1024])
def test_a_row_of_the_table_is_the_kernel_times_the_amplitude_of_its_code(tmp_path, levels):
    config = CONFIG | {"quantization_channels": levels}
    tensors = random_tensors(config)
    found = imported(write(tmp_path / "network", config, tensors)).weights["first.weight"]
    amplitudes = decode(np.arange(levels), levels).astype(np.float32)
    kernel = tensors["causal_input_conv.kernel"]
    np.testing.assert_array_equal(found, kernel * amplitudes[:, None])


# ---- refused -----------------------------------------------------------------------------------

CONTRADICTIONS = {
    "num_blocks": (3, "num_blocks 3 x layers_per_block 2 are 6 layers, but the tensors have 4"),
    "layers_per_block": (3, "num_blocks 2 x layers_per_block 3 are 6 layers"),
    "residual_channels": (4, "residual_channels is 4 in {config}, but 3 in the tensors"),
    "dilation_channels": (5, "dilation_channels is 5 in {config}, but 4 in the tensors"),
    "skip_channels": (6, "skip_channels is 6 in {config}, but 5 in the tensors"),
    "quantization_channels": (256, "quantization_channels is 256 in {config}, but 16 in"),
    "filter_width": (3, "filter_width is 3 in {config}, but 2 in the tensors"),
    "use_conditioning": (False, "use_conditioning is False in {config}, but True in the tensors"),
    "cond_dim": (16, "cond_dim is 16 in {config}, but 3 in the tensors"),
    "cond_conv_channels": (0, "cond_conv_channels is 0 in {config}, but 4 in the tensors"),
    "cond_conv_kernel_size": (2, "cond_conv_kernel_size is 2 in {config}, but 3 in the tensors"),
    "sample_rate": (0, "sample_rate must be a whole number from 1"),
    "temperature": ("hot", "temperature must be a number, not 'hot'"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_refused_with_both_sides(tmp_path, name):
    value, message = CONTRADICTIONS[name]
    folder = write(tmp_path / "network", CONFIG | {name: value}, random_tensors(CONFIG))
    with pytest.raises(ValueError) as error:
        fw.import_checkpoint(folder)
    assert message.format(config=folder / "config.json") in str(error.value)


def without(tensors: dict, name: str) -> dict:
    return {key: array for key, array in tensors.items() if key != name}


TENSORS = random_tensors(CONFIG)
DAMAGED = {
    "a kernel": (without(TENSORS, "skip_out_1.kernel"), "tensor 'skip_out_1.kernel' is missing"),
    "a bias": (without(TENSORS, "post_conv_1.bias"), "tensor 'post_conv_1.bias' is missing"),
    "a residual": (without(TENSORS, "res_out_1.kernel"), "tensor 'res_out_1.kernel' is missing"),
    "one more": (TENSORS | {"lstm.kernel": TENSORS["res_out_1.kernel"]}, "unexpected tensor"),
    "a gate's width": (
        TENSORS | {"dilated_gate_0.kernel": np.zeros((2, 3, 5), np.float32)},
        "filter and gate must have equal shapes, not (4, 3, 2) and (5, 3, 2)",
    ),
    "axes": (
        TENSORS | {"skip_out_0.kernel": np.zeros(5, np.float32)},
        "tensor 'skip_out_0.kernel' must have 2 or 3 axes, not (5,)",
    ),
    "no axes": (TENSORS | {"skip_out_0.bias": np.zeros((5, 1), np.float32)}, "must have 1 axis"),
    "levels": (
        random_tensors(CONFIG | {"quantization_channels": 12}),
        "quantization_channels must be a power of 2, not 12",
    ),
    "not finite": (
        TENSORS | {"logits_conv.bias": np.full(16, np.nan, np.float32)},
        "must be finite",
    ),
    "nothing of it": ({"a.weight": np.zeros(1, np.float32)}, "expected tensors of wavenet-coding"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_network_is_refused_by_name(tmp_path, what):
    tensors, message = DAMAGED[what]
    config = CONFIG | ({"quantization_channels": 12} if what == "levels" else {})
    with pytest.raises(ValueError) as error:
        fw.import_checkpoint(write(tmp_path / "network", config, tensors))
    assert message in str(error.value)


def test_a_config_elsewhere_or_numbers_by_name_do_as_well(tmp_path):
    folder = write(tmp_path / "network", CONFIG, TENSORS)
    expected = fw.import_checkpoint(folder)
    config, alone = tmp_path / "elsewhere.json", folder / "model.safetensors"
    (folder / "config.json").rename(config)
    by_name = {"sample_rate": 16000, "layers_per_block": 2}
    for found in (
        fw.import_checkpoint(alone, config=config),
        fw.import_checkpoint(folder, "wavenet-coding", config),
        fw.import_checkpoint(alone, **by_name),
    ):
        assert found.spec == expected.spec
        assert found.info()["fingerprint"] == expected.info()["fingerprint"]
    with pytest.raises(ValueError, match="sample_rate is missing: a wavenet-coding network's"):
        fw.import_checkpoint(alone)
    with pytest.raises(ValueError, match=r"layers_per_block is 2 in .*, but 4 was given"):
        fw.import_checkpoint(alone, config=config, layers_per_block=4)
    with pytest.raises(ValueError, match="stacks is no hyperparameter of wavenet-coding"):
        fw.import_checkpoint(alone, config=config, stacks=4)


# ---- what cannot be given back -----------------------------------------------------------------

MISFITS = {
    "head": ({"head": 7}, "head must be 5, not 7"),
    "kernel": ({"kernel": (2, 2, 2, 3)}, "kernel must be (2, 2, 2, 2), not (2, 2, 2, 3)"),
    "dilations": ({"dilations": (1, 2, 4, 1)}, "dilations must be equal blocks of 1, 2, 4"),
    "other dilations": ({"dilations": (1, 3, 1, 3)}, "dilations must be equal blocks of 1, 2, 4"),
    "codec": ({"codec": None}, "codec must be MuLawCodec(mu=15.0, steps=16.0"),
    "start": ({"start": Start(8)}, "start must be Start(code=8, fed=True, times=1), not"),
}


@pytest.mark.parametrize("what", MISFITS)
def test_a_network_that_does_not_fit_is_refused_before_anything_is_written(tmp_path, what):
    changes, message = MISFITS[what]
    spec = imported(write(tmp_path / "theirs", CONFIG, TENSORS)).spec
    spec = dataclasses.replace(spec, **changes)
    with pytest.raises(ValueError) as error:
        give_back("wavenet-coding", spec, random_weights(spec, 1), tmp_path / "back")
    assert str(error.value).startswith("the network does not fit wavenet-coding: ")
    assert message in str(error.value)
    assert not (tmp_path / "back").exists()


def test_a_table_that_training_has_changed_is_refused(tmp_path):
    spec, weights, *_ = imported(write(tmp_path / "theirs", CONFIG, TENSORS))
    weights["first.weight"] = weights["first.weight"].copy()
    weights["first.weight"][0, 3] += 1e-3
    with pytest.raises(ValueError, match="must be a table of multiples of the codes' amplitudes"):
        give_back("wavenet-coding", spec, weights, tmp_path / "back")


# ---- the command line --------------------------------------------------------------------------


@every_case
def test_import_writes_the_model_and_export_gives_it_back(run, tmp_path, case):
    out, back = tmp_path / "a.safetensors", tmp_path / "back"
    code, said, _ = run("import", GOLDEN / case, "-o", out)
    assert code == 0
    assert said.startswith(f"{out}: from wavenet-coding, ")
    model, contents = fw.import_checkpoint(GOLDEN / case), modelfile.load(out)
    assert contents.spec == model.spec
    assert all(np.array_equal(contents.weights[name], a) for name, a in model.weights.items())
    code, said, _ = run("export", out, "--to", "wavenet-coding", "-o", back, "--json")
    assert json.loads(said)["files"] == [str(back / "model.safetensors"), str(back / "config.json")]
    assert run("import", back, "-o", tmp_path / "b.safetensors")[0] == 0
    assert (tmp_path / "b.safetensors").read_bytes() == out.read_bytes()


def test_numbers_by_name_on_the_command_line(run, refused, tmp_path):
    alone, out = tmp_path / "alone.safetensors", tmp_path / "out.safetensors"
    alone.write_bytes(safetensors.numpy.save(TENSORS))
    names = ("--set", "sample_rate=16000", "--set", "layers_per_block=2")
    assert json.loads(run("import", alone, *names, "-o", out, "--json")[1])["format"] == (
        "wavenet-coding"
    )
    assert fw.load(out).spec.dilations == (1, 2, 1, 2)
    assert "--set sample_rate=VALUE" in refused("import", alone, "-o", out)
    assert "expected NAME=VALUE, not 'stacks'" in refused(
        "import", alone, "--set", "stacks", "-o", out
    )
    twice = ("--set", "sample_rate=1", "--set", "sample_rate=2")
    assert "--set sample_rate is given 2 times" in refused("import", alone, *twice, "-o", out)
    line = refused("import", alone, "--set", "sample_rate=fast", *names[2:], "-o", out)
    assert "sample_rate must be a whole number from 1 to 768000, not 'fast'" in line


def test_no_output_replaces_what_is_read(refused, tmp_path):
    folder = write(tmp_path / "network", CONFIG, TENSORS)
    before = (folder / "model.safetensors").read_bytes()
    line = refused("import", folder, "-o", folder / "model.safetensors")
    assert "is read and would be replaced" in line
    assert (folder / "model.safetensors").read_bytes() == before
    assert "must end in .safetensors" in refused("import", folder, "-o", tmp_path / "voice.bin")


def test_what_export_to_another_project_refuses(run, refused, tmp_path, voice):
    assert "does not fit wavenet-coding" in refused(
        "export", voice, "--to", "wavenet-coding", "-o", tmp_path / "back"
    )
    assert not (tmp_path / "back").exists()
    assert run("import", GOLDEN / "wc_waveform", "-o", tmp_path / "model.safetensors")[0] == 0
    given = ("export", tmp_path / "model.safetensors", "--to")
    assert "project 'ibab' is not supported by this version, only 'wavenet-coding'" in refused(
        *given, "ibab", "-o", tmp_path / "back"
    )
    assert "holds the model that is read" in refused(*given, "wavenet-coding", "-o", tmp_path)
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert "is a file, expected the name of a folder" in refused(
        *given, "wavenet-coding", "-o", file
    )
    line = refused(*given, "wavenet-coding", "-o", tmp_path / "b", "--measure", GOLDEN)
    assert "leave out --to, or --measure" in line
    assert not (tmp_path / "b").exists()
