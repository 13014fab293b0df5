"""fastwavenet voices, and every command with the name of a voice."""

import json

import numpy as np
import pytest
import soundfile
from networks import random_weights, small_spec
from recordings import record, tone

import fastwavenet as fw
from fastwavenet import bundled_voices, modelfile
from fastwavenet.ends import FrameConditioning

FRAMED = small_spec(conditioning=FrameConditioning(channels=3, hop=80), sample_rate=8000)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the voices, with two small ones in the place of those that ship."""
    folder = tmp_path / "voices"
    folder.mkdir()
    for name, spec in {"hum": small_spec(), "harp-8k": FRAMED}.items():
        modelfile.save(folder / f"{name}.safetensors", spec, random_weights(spec, seed=1))
        (folder / f"{name}.md").write_text(f"# {name}\n\nA small\nnetwork.\n\n## Use\n\nNone.\n")
        (folder / f"{name}.COPYING.txt").write_text("Free.\n")
    monkeypatch.setattr(bundled_voices, "FOLDER", folder)
    monkeypatch.setattr(bundled_voices, "INSTRUMENT", "harp-8k")
    return folder


@pytest.fixture
def elsewhere(folder, tmp_path, monkeypatch):
    """An empty current folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


# ---- voices --------------------------------------------------------------------------------------


def test_the_voices_are_listed_with_rate_size_and_summary(run, folder):
    code, said, _ = run("voices")
    assert code == 0
    assert [line.split() for line in said.splitlines()] == [
        ["harp-8k", "8000", "Hz", "0.0", "MB", "A", "small", "network."],
        ["hum", "8000", "Hz", "0.0", "MB", "A", "small", "network."],
    ]
    listed = json.loads(run("voices", "--json")[1])["voices"]
    path = folder / "hum.safetensors"
    assert listed[1] == {
        "name": "hum",
        "summary": "A small network.",
        "sample_rate": 8000,
        "bytes": path.stat().st_size,
        "path": str(path),
    }


def test_the_card_of_a_voice_is_shown(run, folder):
    card, path = (folder / "hum.md").read_text(), folder / "hum.safetensors"
    assert run("voices", "hum") == (0, f"{card}\nModel file: {path}\n", "")
    facts = json.loads(run("voices", "hum", "--json")[1])
    assert facts["card"] == card and facts["notices"] == "Free.\n"
    assert run("voices", "hum", "--quiet") == (0, "", "")


def test_an_unknown_voice_is_refused_with_the_nearest_one(refused, folder, elsewhere):
    rest = "the voices are harp-8k, hum"
    assert refused("voices", "harp") == f"harp: no such voice; {rest}; the nearest is harp-8k"
    assert refused("voices", "xyz") == f"xyz: no such voice; {rest}"
    assert refused("info", "HUM") == f"HUM: no such file or voice; {rest}; the nearest is hum"
    assert refused("info", "x.pt") == "x.pt: No such file or directory"


def test_an_installation_without_voices_is_no_crash(run, refused, folder, elsewhere):
    for file in folder.iterdir():
        file.unlink()
    assert run("voices") == (0, "this installation has no voices\n", "")
    assert refused("voices", "hum") == "hum: no such voice, and this installation has none"


def test_a_voice_without_its_card_is_named(refused, folder):
    (folder / "hum.md").unlink()
    assert refused("voices") == f"{folder / 'hum.md'}: No such file or directory"


# ---- names in every command ----------------------------------------------------------------------


def test_a_name_is_the_file_of_the_voice_in_every_command(run, folder, elsewhere):
    path = folder / "hum.safetensors"
    recording = record(elsewhere / "a.wav", tone(2000), rate=8000)
    lines = {
        "info": lambda m: ["info", m, "--json"],
        "generate": lambda m: ["generate", m, "-o", "o.wav", "--samples", 50, "--seed", 1],
        "score": lambda m: ["score", m, recording],
        "export": lambda m: ["export", m, "-o", "copy.safetensors"],
    }
    for command, line in lines.items():
        if command == "info":
            found = [json.loads(run(*line(m))[1]) for m in ("hum", path)]
            assert [facts["file"] for facts in found] == [str(path), str(path)]
            continue
        results = []
        for model in ("hum", path):
            code, said, wrong = run(*line(model))
            assert (code, wrong) == (0, ""), command
            made = {file.name: file.read_bytes() for file in elsewhere.iterdir()}
            results.append((made, said.partition(" samples/s")[0] if command == "score" else ""))
        assert results[0] == results[1]
    assert (elsewhere / "copy.safetensors").read_bytes() == path.read_bytes()


def test_frames_are_vocoded_by_the_name_of_a_voice(run, folder, elsewhere):
    np.save("f.npy", np.ones((3, 3), np.float32))
    assert run("vocode", "f.npy", "-m", "harp-8k", "-o", "o.wav", "--seed", 1)[0] == 0
    assert soundfile.info("o.wav").frames == 240


def test_a_voice_without_frames_is_found_and_refused_by_evaluate(refused, folder, elsewhere):
    recording = record(elsewhere / "a.wav", tone(2000), rate=8000)
    path = folder / "hum.safetensors"
    said = [refused("evaluate", "-m", model, recording) for model in ("hum", path)]
    assert "takes no frames" in said[0] and said[0] == said[1]


def test_fine_tuning_begins_with_a_voice(run, folder, elsewhere):
    from recordings import two_tones
    from runs import SPEC

    from fastwavenet.training import load_model

    weights = random_weights(SPEC, seed=1)
    modelfile.save(folder / "talk.safetensors", SPEC, weights)
    line = ["train", two_tones(elsewhere / "recordings"), "-o", "run", "--from", "talk"]
    options = ("--steps", 1, "--window", 200, "--batch", 2, "--learning-rate", 1e-9, "--no-tune")
    assert run(*line, *options, "--previews", 0, "--quiet") == (0, "", "")
    trained = modelfile.load("run/model.safetensors").weights
    assert all(np.allclose(trained[name], weights[name], atol=1e-3) for name in weights)
    assert load_model("talk").spec == SPEC


def test_the_latest_weights_are_those_of_a_run_not_of_a_voice(refused, folder, elsewhere):
    expected = "expected a run folder to take --latest from"
    assert expected in refused("export", "hum", "--latest", "-o", "o.safetensors")


# ---- names against paths -------------------------------------------------------------------------


def other(path):
    modelfile.save(path, small_spec(levels=32), random_weights(small_spec(levels=32), seed=2))


def test_a_file_wins_over_a_name(run, folder, elsewhere):
    other(elsewhere / "hum")
    assert json.loads(run("info", "hum", "--json")[1])["file"] == "hum"
    assert fw.load("hum").spec.levels == 32
    assert fw.load(folder / "hum.safetensors").spec == small_spec()


def test_a_run_folder_wins_over_a_name(run, folder, elsewhere):
    (elsewhere / "hum").mkdir()
    other(elsewhere / "hum" / "model.safetensors")
    assert json.loads(run("info", "hum", "--json")[1])["file"] == "hum/model.safetensors"


def test_another_folder_and_a_broken_link_win_over_a_name_too(refused, folder, elsewhere):
    (elsewhere / "hum").mkdir()
    assert refused("info", "hum").startswith("hum: expected a run folder")
    with pytest.raises(IsADirectoryError):
        fw.load("hum")
    (elsewhere / "harp-8k").symlink_to("nowhere")
    assert refused("info", "harp-8k") == "harp-8k: No such file or directory"


@pytest.mark.parametrize("path", ["./hum", "a/hum", "hum/", "hum.safetensors", "", ".", ".."])
def test_a_path_with_a_folder_or_a_suffix_is_no_name(folder, elsewhere, path):
    with pytest.raises(OSError) as error:
        fw.load(path)
    assert "the voices are" not in str(error.value)


# ---- voices are read-only ------------------------------------------------------------------------


def test_a_voice_is_never_changed(run, refused, folder, elsewhere):
    path, recording = folder / "hum.safetensors", record(elsewhere / "a.wav", tone(8000), rate=8000)
    before = path.read_bytes()
    expected = f"{path} ships with fastwavenet and is read-only: name another file with -o"
    assert refused("tune", "hum", recording) == expected
    assert refused("tune", path, recording, "-o", path) == expected
    for model in ("hum", path):
        with pytest.raises(PermissionError, match="ships with fastwavenet and is read-only"):
            fw.record_precision_cost(model, {"int8": 0.1})
        with pytest.raises(PermissionError, match="change a copy, as `fastwavenet export` makes"):
            fw.record_sampling(model, fw.load(path).spec.sampling)
    assert path.read_bytes() == before


def test_a_copy_of_a_voice_may_be_changed(run, folder, elsewhere):
    recording = record(elsewhere / "a.wav", tone(4000), rate=8000)
    assert run("export", "hum", "-o", "own.safetensors", "--measure", recording)[0] == 0
    cost = fw.load("own.safetensors").precision_cost
    assert cost.keys() == {"bfloat16", "int8", "bfloat16x16", "int8x8"}
    assert fw.load("hum").precision_cost == {}


# ---- generate without a model --------------------------------------------------------------------


def test_without_a_model_the_instrument_plays(run, folder, elsewhere):
    np.save("f.npy", np.ones((3, 3), np.float32))
    given = ("--frames", "f.npy", "--seed", 1)
    assert run("generate", "-o", "a.wav", *given)[0] == 0
    assert run("generate", "harp-8k", "-o", "b.wav", *given)[0] == 0
    assert (elsewhere / "a.wav").read_bytes() == (elsewhere / "b.wav").read_bytes()


def test_an_instrument_improvises_by_the_seed_or_plays_notes(run, folder, elsewhere):
    end = FrameConditioning(channels=4, hop=80, features="piano roll of MIDI keys 60 to 62, onset")
    spec = small_spec(conditioning=end, sample_rate=8000)
    weights = random_weights(spec, seed=1)
    modelfile.save(folder / "harp-8k.safetensors", spec, weights)
    lines = {
        "a": ["--seconds", 0.5, "--seed", 1],
        "b": ["--seconds", 0.5, "--seed", 1],
        "c": ["--seed", 1, "--notes", "D4:0.1 -:0.3 C#4:0.1"],
    }
    for name, line in lines.items():
        assert run("generate", "-o", f"{name}.wav", *line)[0] == 0
        assert soundfile.info(f"{name}.wav").frames == 4000
    sounds = [(elsewhere / f"{name}.wav").read_bytes() for name in lines]
    assert sounds[0] == sounds[1] != sounds[2]


def test_an_instrument_that_is_missing_is_one_error(refused, folder, elsewhere):
    path = folder / "harp-8k.safetensors"
    path.unlink()
    assert refused("generate", "-o", "a.wav") == (
        f"{path}: the voice harp-8k, which plays when no model is given, is missing: install "
        "fastwavenet again, or name a model file"
    )
    assert list(elsewhere.iterdir()) == []


def test_the_instrument_is_never_overwritten(refused, folder, elsewhere):
    np.save("f.npy", np.ones((3, 3), np.float32))
    path = folder / "harp-8k.safetensors"
    link = elsewhere / "o.wav"
    link.symlink_to(path)
    assert "is read and would be replaced" in refused("generate", "-o", link, "--frames", "f.npy")
