"""A model by its file or by the run folder that holds it, and names that outputs must have."""

import json

import pytest
import soundfile
from networks import random_weights, small_spec
from recordings import record, tone

import fastwavenet as fw
from fastwavenet import modelfile


@pytest.fixture
def folder(voice, tmp_path):
    """A run folder with the voice as its best model, and another one as its latest."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(voice.read_bytes())
    modelfile.save(
        folder / "latest.safetensors", small_spec(), random_weights(small_spec(), seed=2)
    )
    return folder


@pytest.fixture
def checkpoint(tmp_path):
    """The checkpoint of a training run."""
    from recordings import two_tones
    from runs import quick

    quick(two_tones(tmp_path / "recordings"), tmp_path / "trained", steps=1)
    return tmp_path / "trained" / "checkpoint.safetensors"


def test_a_run_folder_is_its_best_model(run, folder, voice, tmp_path):
    recording = record(tmp_path / "a.wav", tone(200), rate=8000)
    facts = [json.loads(run("info", model, "--json")[1]) for model in (folder, voice)]
    assert [said.pop("file") for said in facts] == [str(folder / "model.safetensors"), str(voice)]
    for said in facts:
        del said["huge_page_bytes"]  # given by the system, at one time and not at another
    assert facts[0] == facts[1]
    scores = [run("score", model, recording)[1] for model in (folder, voice)]
    assert scores[0] == scores[1] != ""
    for model in (folder, voice):
        out = tmp_path / f"{model.stem}.wav"
        assert run("generate", model, "-o", out, "--samples", 99, "--seed", 1)[0] == 0
    assert (tmp_path / "run.wav").read_bytes() == (tmp_path / "voice.wav").read_bytes()


@pytest.mark.parametrize("command", ["info", "score", "generate", "export"])
def test_a_folder_without_a_model_is_refused(refused, tmp_path, command):
    more = {"score": ["a.wav"], "generate": ["-o", "a.wav"], "export": ["-o", "a.safetensors"]}
    assert refused(command, tmp_path, *more.get(command, [])) == (
        f"{tmp_path}: expected a run folder of `fastwavenet train`, with model.safetensors, "
        "or a model file"
    )


def test_a_checkpoint_is_recognised(refused, checkpoint, tmp_path):
    expected = (
        f"{checkpoint}: a checkpoint of a training run, expected a model file: "
        "take model.safetensors, which lies beside it"
    )
    assert refused("info", checkpoint) == expected
    assert refused("generate", checkpoint, "-o", tmp_path / "out.wav") == expected
    assert refused("export", checkpoint, "-o", tmp_path / "v.safetensors") == expected
    with pytest.raises(fw.ModelFormatError, match="a checkpoint of a training run"):
        fw.load(checkpoint)


@pytest.mark.parametrize("name", ["v.pt", "v", "v.safetensors.bak", "safetensors"])
def test_an_exported_model_must_be_named_as_one(refused, folder, tmp_path, name):
    expected = f"{tmp_path / name}: the name must end in .safetensors"
    assert refused("export", folder, "-o", tmp_path / name) == expected
    assert not (tmp_path / name).exists()


def test_an_exported_model_may_be_named_in_capitals_or_be_a_device(run, folder, tmp_path):
    assert run("export", folder, "-o", tmp_path / "V.SAFETENSORS")[0] == 0
    assert run("export", folder, "-o", "/dev/null")[0] == 0


@pytest.mark.parametrize(
    ("option", "name", "expected"),
    [
        ("--chart", "speed.svg", "speed.svg: the name must end in .png"),
        ("--chart", "none/speed.png", "none/speed.png: the folder "),
        ("-o", "none/run.json", "none/run.json: the folder "),
    ],
)
def test_outputs_of_bench_are_checked_before_the_work(refused, tmp_path, option, name, expected):
    assert expected in refused("bench", option, tmp_path / name, "--from", tmp_path / "no.json")


def test_a_name_with_control_characters_is_shown_in_one_line(run, refused, voice, tmp_path):
    bad = tmp_path / "a\x1b[31m\n.safetensors"
    shown = str(tmp_path) + "/a\\x1b[31m\\n"
    assert refused("info", bad) == f"{shown}.safetensors: No such file or directory"
    bad.write_bytes(voice.read_bytes())
    out = bad.with_suffix(".wav")
    assert f"{shown}.safetensors" in run("info", bad)[1]
    said = run("generate", bad, "-o", out, "--samples", 100)[1]
    assert said.startswith(f"{shown}.wav: ") and said.count("\n") == 1
    assert run("score", bad, out)[1].splitlines()[0].endswith(f"{shown}.wav")
    assert run("export", bad, "-o", bad)[1].startswith(f"{shown}.safetensors: ")
    assert soundfile.info(out).frames == 100
