"""Foreign files and hyperparameters: found by content, and refused by name."""

import json
import os

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from wavenet_coding_files import CONFIG, random_tensors, write

import fastwavenet as fw
from fastwavenet.importers.hyperparameters import Hyperparameters
from fastwavenet.importers.projects import PROJECTS
from fastwavenet.importers.reading import read_checkpoint, read_config

TENSORS = random_tensors(CONFIG)
DATA = safetensors.numpy.save(TENSORS)


def refused(path, **arguments) -> str:
    """The message of a ValueError, which is one line and names the file."""
    with pytest.raises(ValueError) as error:
        fw.import_checkpoint(path, **arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- files -------------------------------------------------------------------------------------


def test_a_file_is_recognised_by_its_content_whatever_its_name(tmp_path):
    folder = write(tmp_path / "network", CONFIG, TENSORS)
    (folder / "model.safetensors").rename(folder / "checkpoint-17")
    (folder / "notes.txt").write_text("not a network")
    (folder / "model.gguf").write_bytes(b"GGUF\3\0\0\0{" + bytes(15))  # of 123 tensors
    (folder / "saved_model").mkdir()
    expected = fw.import_checkpoint(folder).info()["fingerprint"]
    assert fw.import_checkpoint(folder / "checkpoint-17").info()["fingerprint"] == expected
    assert fw.import_checkpoint(str(folder)).info()["fingerprint"] == expected


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\x00" * 100, b"PK\x05\x06" + bytes(18), b"\x80\x02"]
)
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, content):
    file = tmp_path / "file.bin"
    file.write_bytes(content)
    assert f"{file}: " in refused(file)


@pytest.mark.parametrize("cut", [9, 100, len(DATA) // 2, len(DATA) - 1])
def test_a_truncated_file_is_refused(tmp_path, cut):
    (tmp_path / "model.safetensors").write_bytes(DATA[:cut])
    assert f"{tmp_path / 'model.safetensors'}: " in refused(tmp_path)


def test_more_bytes_than_the_header_has_are_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(DATA + b"\0")
    assert "not a valid safetensors file" in refused(tmp_path)


def test_a_header_longer_than_any_is_refused_before_it_is_read(tmp_path):
    (tmp_path / "a").write_bytes((2**40).to_bytes(8, "little") + b"{" + bytes(100))
    assert "not a file of a known kind" in refused(tmp_path / "a")
    (tmp_path / "a").write_bytes((2**25).to_bytes(8, "little") + b"{" + bytes(100))
    assert "not a model file" in refused(tmp_path / "a")


@given(st.data())
def test_no_change_of_a_byte_makes_another_error(tmp_path_factory, data):
    """Any file is a network, or a ValueError in one line."""
    at = data.draw(st.integers(0, 3000))
    changed = bytearray(DATA)
    changed[at] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("changed")
    (folder / "model.safetensors").write_bytes(changed)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    try:
        fw.import_checkpoint(folder)
    except ValueError as error:
        assert "\n" not in str(error)


def test_a_folder_must_hold_one_network(tmp_path):
    assert "found none: name the file" in refused(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "readme.md").write_text("nothing")
    assert "found none: name the file" in refused(tmp_path)
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).write_bytes(DATA)
    assert "found 'a.safetensors', 'b.safetensors': name the file" in refused(tmp_path)
    fw.import_checkpoint(tmp_path / "b.safetensors")


def test_what_cannot_be_read_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        fw.import_checkpoint(tmp_path / "none")
    write(tmp_path / "network", CONFIG, TENSORS)
    with pytest.raises(FileNotFoundError):
        fw.import_checkpoint(tmp_path / "network", config=tmp_path / "none.json")


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert f"{pipe}: " in refused(pipe)
    folder = write(tmp_path / "network", CONFIG, TENSORS)
    assert f"{pipe}" in refused(folder, config=pipe)
    os.mkfifo(folder / "another")
    fw.import_checkpoint(folder)


def test_another_format_is_refused_by_its_name(tmp_path):
    folder = write(tmp_path / "network", CONFIG, TENSORS)
    assert "format must be auto or wavenet-coding" in refused(folder, format="onnx")


def test_a_model_of_ours_needs_no_import(tmp_path, voice):
    assert "a model file of fastwavenet already" in refused(voice)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numbers_of_any_width_are_taken(tmp_path, dtype):
    wide = {name: array.astype(dtype) for name, array in TENSORS.items()}
    model = fw.import_checkpoint(write(tmp_path / "network", CONFIG, wide))
    expected = wide["logits_conv.bias"].astype(np.float32)
    np.testing.assert_array_equal(model.weights["head.output.bias"], expected)


def test_counters_among_the_tensors_are_left(tmp_path):
    folder = write(tmp_path / "network", CONFIG, TENSORS | {"step": np.array([7])})
    assert "step" not in read_checkpoint(folder, {"config.json"}).tensors


# ---- configs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a config: expected a JSON object"),
        ("[1]", "a config must be a JSON object, not list"),
        ("[" * 100_000, "not a config: expected a JSON object"),
        ("x" * (2**22 + 1), "a config is larger than 4194304 bytes"),
        ("\ufffe\ud83d", "not a config"),
    ],
    ids=["empty", "list", "deep", "long", "text"],
)
def test_a_config_that_is_none_is_refused(tmp_path, text, message):
    (tmp_path / "config.json").write_text(text, errors="surrogatepass")
    with pytest.raises(fw.ModelFormatError, match=message):
        read_config(tmp_path / "config.json")


def values(held: dict, given: dict | None = None) -> Hyperparameters:
    known = ("layers", "stacks", "gate", "dilations", "rate")
    return Hyperparameters("project", held, "params.json", given or {}, known)


def test_a_given_value_completes_a_config_and_may_repeat_it():
    found = values({"layers": 20, "dilations": [1, 2], "else": 1}, {"stacks": 2, "layers": 20})
    assert found.whole("layers", 1, 100) == 20
    assert found.whole("stacks", 1, 100) == 2
    assert values({"dilations": [1, 2]}, {"dilations": (1, 2)}).value("dilations") == (1, 2)
    assert "else" not in found
    assert "rate" not in values({"rate": None})


WRONG = {
    "missing": (lambda: values({}).value("stacks"), "stacks is missing: a project network's"),
    "contradicting": (
        lambda: values({"layers": 20}, {"layers": 21}),
        "layers is 20 in params.json, but 21 was given",
    ),
    "true for 1": (lambda: values({"layers": 1}, {"layers": True}), "layers is 1 in params.json"),
    "unknown": (lambda: values({}, {"layer": 1}), "layer is no hyperparameter of project"),
    "not whole": (lambda: values({"layers": 2.5}).whole("layers", 1, 9), "a whole number from 1"),
    "no number": (lambda: values({"rate": "x"}).number("rate", 0, 1), "rate must be a number"),
    "no flag": (lambda: values({"gate": 1}).flag("gate"), "gate must be true or false, not 1"),
    "no choice": (
        lambda: values({"gate": "glu"}).among("gate", ("tanh", None)),
        "gate 'glu' cannot be imported, only 'tanh' or None",
    ),
    "not the tensors'": (
        lambda: values({"layers": 20}).agree(layers=21),
        "layers is 20 in params.json, but 21 in the tensors",
    ),
    "given, not the tensors'": (
        lambda: values({}, {"layers": 20}).agree(layers=21),
        "layers is 20 in the given values, but 21 in the tensors",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_hyperparameter_is_refused_by_name(what):
    call, message = WRONG[what]
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)


def test_right_hyperparameters_are_taken():
    found = values({"gate": False, "rate": 1, "layers": 3})
    assert found.flag("gate") is False
    assert found.number("rate", 0, 1) == 1.0
    assert found.among("layers", (2, 3)) == 3
    assert found.whole("stacks", 1, 9, 4) == 4
    found.agree(gate=False, rate=1.0, stacks=7)


def test_projects_have_different_names_and_know_their_values():
    assert len({project.NAME for project in PROJECTS}) == len(PROJECTS)
    for project in PROJECTS:
        assert len(set(project.HYPERPARAMETERS)) == len(project.HYPERPARAMETERS)
