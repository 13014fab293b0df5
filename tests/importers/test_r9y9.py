"""Networks of r9y9/wavenet_vocoder: equal to its own outputs."""

import json

import numpy as np
import pytest
from c_build import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from imported_networks import begun_by, close, nearest_codes
from r9y9_files import (
    CHECKPOINT,
    FORMS,
    config,
    hop_of,
    logits,
    options,
    random_tensors,
    upsampled,
    write,
)

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.ends import MuLawCodec, Start
from fastwavenet.importers.call import imported
from fastwavenet.importers.reading import read_torch_contents
from fastwavenet.modelfile import ModelFormatError

GOLDEN = ROOT / "tests/golden/peers"
MEL = GOLDEN / "r9y9_mulaw_mel"

OPTIONS = {
    "head": True, "as_zip": True, "form": "weight_norm", "legacy": True, "quantize_channels": 16,
    "layers": 4, "stacks": 2, "residual_channels": 3, "gate_channels": 4, "skip_out_channels": 5,
    "kernel_size": 2, "cin_channels": 3, "cin_pad": 1, "upsample_conditional_features": True,
    "upsample_scales": [2, 3], "freq_axis_kernel_size": 1, "upsample_activation": "none",
    "gin_channels": -1, "n_speakers": 3,
}  # fmt: skip
OLD = OPTIONS | {"head": False}
PLAIN = {"cin_channels": -1, "upsample_conditional_features": False}
COST = {"bfloat16": 0.02, "int8": 0.05}  # nats per sample at most, against float32


def case() -> tuple[fw.Model, dict]:
    with np.load(MEL / "expected.npz") as arrays:
        return fw.import_checkpoint(MEL), dict(arrays)


# ---- parity with the project's own code --------------------------------------------------------


def test_logits_are_the_projects_on_every_instruction_set(isa):
    model, expected = case()
    codes = expected["codes"]
    model = begun_by(model, codes[0])
    found = fw.outputs(model, codes[1:], frames=expected["mel"], isa=isa)
    assert close(found[expected["logits_t"]], expected["logits"])


def test_upsampled_frames_are_the_projects_also_at_both_ends():
    model, expected = case()
    n = len(expected["mel"]) * model.spec.conditioning.hop
    for upsample in (reference.upsample, reference.upsample_float32):
        found = upsample(model.spec, model.weights, expected["mel"])
        np.testing.assert_allclose(found[:64], expected["cond_upsampled_first64"], atol=5e-6)
        np.testing.assert_allclose(found[n - 64 : n], expected["cond_upsampled_last64"], atol=5e-6)


def test_the_most_probable_continuation_is_the_projects(isa):
    model, expected = case()
    codes, frames = expected["codes"], expected["mel"]
    model = begun_by(model, codes[0])
    gen = fw.Generator(model, temperature=0, seed=1, isa=isa)
    gen.prime(codes[1:], frames=frames)
    audio = gen.generate(len(expected["greedy"]), frames=frames, at=len(codes) - 1)
    np.testing.assert_array_equal(nearest_codes(model, audio), expected["greedy"])


def test_the_most_probable_sound_from_nothing_is_the_projects(isa):
    model, expected = case()
    n, frames = len(expected["cold_greedy"]), expected["mel"]
    audio = fw.generate(model, n_samples=n, temperature=0, seed=1, frames=frames, isa=isa)
    np.testing.assert_array_equal(nearest_codes(model, audio), expected["cold_greedy"])


def test_frames_in_chunks_and_in_lists_give_the_samples_of_all_at_once(isa):
    """Stages are padded with zeros at the ends of the sound, and nowhere else."""
    model, expected = case()
    frames = [expected["mel"][:n] for n in (12, 3, 34, 1)]
    for batch in (1, 3):
        audio = fw.vocode(model, frames, seed=7, batch=batch, isa=isa)
        for own, each in zip(audio, frames, strict=True):
            assert own.tobytes() == fw.generate(model, frames=each, seed=7).tobytes()
    whole = fw.generate(model, frames=frames[2], seed=7)
    for chunk in (1, 5):
        chunks = (frames[2][i : i + chunk] for i in range(0, 34, chunk))
        blocks = [*fw.Generator(model, seed=7, isa=isa).vocode(chunks)]
        assert np.concatenate(blocks).tobytes() == whole.tobytes()


@pytest.mark.parametrize("precision", COST)
def test_smaller_precisions_cost_little(precision):
    model, expected = case()
    small = fw.Model(model.spec, model.weights, precision)
    codes, frames = expected["codes"], expected["mel"]
    nats = [fw.score(each, codes, frames=frames).mean() for each in (model, small)]
    assert abs(nats[1] - nats[0]) <= COST[precision]


def test_codec_and_start_are_those_of_each_version(tmp_path):
    spec = case()[0].spec
    assert spec.codec == MuLawCodec(255, 255, 255, encode_offset=0)
    assert spec.start == Start(127, fed=True)
    old = imported(write(tmp_path, OLD, random_tensors(OLD))).spec
    assert old.codec == MuLawCodec(16, 16, 16, encode_offset=0)
    assert old.start == Start(8, fed=True)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("r9y9_gaussian", "a Gaussian of 2 channels, which cannot be imported"),
        ("r9y9_legacy_mol", "a mixture of logistics of 15 channels, which cannot be imported"),
    ],
)
def test_outputs_other_than_a_softmax_are_refused_by_name(name, match):
    with pytest.raises(ModelFormatError, match=match):
        fw.import_checkpoint(GOLDEN / name)


# ---- any options -------------------------------------------------------------------------------


@settings(max_examples=60)
@given(options(), st.integers(0, 2**32 - 1))
def test_any_network_has_the_outputs_of_its_definition(tmp_path_factory, o, seed):
    tensors = random_tensors(o, seed)
    model = fw.import_checkpoint(write(tmp_path_factory.mktemp("any"), o, tensors))
    rng, n = np.random.default_rng(seed), 30
    codes = rng.integers(0, o["quantize_channels"], n)
    mel = rng.standard_normal((-(-n // hop_of(o)), max(o["cin_channels"], 1))).astype(np.float32)
    spoken = 1 if o["gin_channels"] > 0 else None
    given = {"frames": mel} if o["cin_channels"] > 0 else {}
    found = fw.outputs(begun_by(model, codes[0]), codes[1:], speaker=spoken, **given)
    cond = upsampled(o, tensors, mel)[:n]
    assert close(found, logits(o, tensors, codes, cond, spoken))


@pytest.mark.parametrize("o", [OPTIONS, OLD, OPTIONS | {"freq_axis_kernel_size": 3}])
def test_a_weight_has_the_same_numbers_in_every_form(tmp_path, o):
    tensors = random_tensors(o)
    each = [imported(write(tmp_path / form, o | {"form": form}, tensors)) for form in FORMS]
    for name, array in each[0].weights.items():
        for other in each[1:]:
            np.testing.assert_allclose(other.weights[name], array, rtol=1e-5, atol=1e-6)


def test_forms_of_a_weight_may_differ_in_a_file(tmp_path):
    """As v0.1.1 without weight norm has its first convolution."""
    plain, old = OLD | {"form": "plain"}, OLD | {"form": "weight_norm"}
    tensors = random_tensors(OLD)
    mixed = {n: a for n, a in tensors.items() if n != "first_conv.weight"}
    folder = write(tmp_path / "normed", old, {"first_conv.weight": tensors["first_conv.weight"]})
    found = read_torch_contents(folder / CHECKPOINT).tensors
    assert sorted(found) == ["first_conv.weight_g", "first_conv.weight_v"]
    both = imported(write(tmp_path / "mixed", plain, mixed | found))
    expected = imported(write(tmp_path / "plain", plain, tensors))
    np.testing.assert_allclose(
        both.weights["first.weight"], expected.weights["first.weight"], rtol=1e-6
    )


def test_speakers_have_the_names_given_or_their_numbers(tmp_path):
    o = OPTIONS | {"gin_channels": 2}
    folder = write(tmp_path, o, random_tensors(o))
    assert imported(folder).spec.conditioning.speakers == ("0", "1", "2")
    named = imported(folder, values={"speakers": ["ann", "bob", "cid"]})
    assert named.spec.conditioning.speakers == ("ann", "bob", "cid")
    with pytest.raises(ValueError, match="speakers must be a list of 3 names"):
        imported(folder, values={"speakers": ["ann"]})


def test_a_speaker_without_an_embedding_is_refused(tmp_path):
    o = OPTIONS | {"gin_channels": 2}
    tensors = random_tensors(o)
    del tensors["embed_speakers.weight"]
    with pytest.raises(ModelFormatError, match="conv1x1g without embed_speakers"):
        imported(write(tmp_path, o, tensors))


def test_values_that_tensors_do_not_show_are_asked_for(tmp_path):
    folder = write(tmp_path / "old", OLD, random_tensors(OLD))
    (folder / "hparams.json").unlink()
    with pytest.raises(ValueError, match="legacy is missing"):
        imported(folder)
    with pytest.raises(ValueError, match="stacks is missing"):
        imported(folder, values={"legacy": True})
    assert imported(folder, values={"legacy": True, "stacks": 2}).spec.dilations == (1, 2, 1, 2)
    o = OPTIONS | PLAIN
    folder = write(tmp_path / "plain", o, random_tensors(o))
    (folder / "hparams.json").unlink()
    with pytest.raises(ValueError, match="version is missing"):
        imported(folder)
    specs = [
        imported(folder, values={"version": version, "stacks": 2, "legacy": False}).spec
        for version in ("HEAD", "v0.1.1")
    ]
    assert [spec.start.code for spec in specs] == [7, 8]


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"stacks": 3}, "stacks is 2 in .* but 3 was given"),
        ({"version": "v0.1.1"}, "version is 'v0.1.1' in the given values, but 'HEAD' in the tens"),
        ({"upsample_scales": [3, 2]}, r"upsample_scales is \[2, 3\] in .* but \[3, 2\] was given"),
        ({"hop_size": 5}, "hop_size is 5 in the given values, but 6 in the tensors"),
        ({"mode": "bilinear"}, "mode .*bilinear.* cannot be imported, only 'nearest'"),
        ({"blocks": 5}, "blocks is no hyperparameter of r9y9"),
    ],
)
def test_a_contradiction_names_both_sides(tmp_path, values, match):
    folder = write(tmp_path, OPTIONS, random_tensors(OPTIONS))
    with pytest.raises(ValueError, match=match):
        imported(folder, values=values)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"cin_pad": 2}, "cin_pad is 2 in .*, but 1 in the tensors"),
        ({"upsample_scales": [3, 2]}, r"upsample_scales is \[3, 2\] in .*, but \[2, 3\] in the"),
        ({"gate_channels": 6}, "gate_channels is 6 in .*, but 4 in the tensors"),
        ({"stacks": 3}, "stacks 3 do not divide the 4 layers"),
        ({"upsample_activation": "ReLU"}, r"expected convolutions of the upsampling at .*\.1, 4"),
        ({"upsample_activation": "Tanh"}, "upsample_activation 'Tanh' cannot be imported"),
    ],
)
def test_a_config_of_another_network_is_refused(tmp_path, changes, match):
    folder = write(tmp_path, OPTIONS, random_tensors(OPTIONS))
    (folder / "hparams.json").write_text(json.dumps(config(OPTIONS | changes)))
    with pytest.raises(ValueError, match=match):
        imported(folder)


@pytest.mark.parametrize(
    "name",
    [
        "first_conv.weight",
        "conv_layers.1.conv.weight",
        "conv_layers.2.conv1x1c.weight",
        "upsample_net.conv_in.weight",
        "last_conv_layers.3.weight",
    ],
)
def test_a_missing_tensor_is_named(tmp_path, name):
    tensors = random_tensors(OPTIONS)
    del tensors[name]
    with pytest.raises(ValueError, match=name.removesuffix(".weight")):
        imported(write(tmp_path, OPTIONS, tensors))


def test_a_tensor_that_no_part_has_is_named(tmp_path):
    more = {"upsample_net.other.weight": np.zeros(3), "conv_layers.0.other.bias": np.zeros(3)}
    for name, array in more.items():
        with pytest.raises(ModelFormatError, match=f"unexpected tensor .*{name}"):
            imported(write(tmp_path, OPTIONS, random_tensors(OPTIONS) | {name: array}))
