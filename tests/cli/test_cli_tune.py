"""`fastwavenet tune`: the best sampling comes into the model file, and nothing else changes."""

import json
import os

import numpy as np
import pytest
from markov import RATE, WITH_FRAMES, bursts, chain_spec, chain_weights, sound
from recordings import full_disk, record, tone

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.ends import Sampling

LOGITS = 0.7 * np.log(bursts())  # temperature 0.7 is right


@pytest.fixture
def model(tmp_path):
    """A model file that holds the cost of a precision."""
    path, spec = tmp_path / "m.safetensors", chain_spec()
    modelfile.save(path, spec, chain_weights(spec, LOGITS))
    fw.record_precision_cost(path, {"int8": 0.5})
    return path


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held-out")
    for i in range(3):
        record(folder / f"{i}.wav", sound(bursts(), 8, seed=i), rate=RATE)
    return folder


def tensors(path):
    """A model file's bytes behind its header."""
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little") :]


def test_the_best_sampling_is_in_the_file_and_the_table_is_shown(run, model, held_out):
    before, spec = tensors(model), fw.load(model).spec
    code, said, errors = run("tune", model, held_out, "--seconds", 8)
    assert (code, errors) == (0, "")
    found = fw.load(model)
    assert found.spec.sampling.temperature == pytest.approx(0.7, abs=0.1)
    assert found.precision_cost == {"int8": 0.5} and tensors(model) == before
    lines = said.splitlines()
    assert lines[0].startswith("searching for the best sampling: up to ")
    assert lines[1].split()[:3] == ["temperature", "top_k", "min_p"]
    assert lines[2].split()[0] == "recordings"
    (marked,) = (line for line in lines if line.endswith("<- best"))
    assert marked.split()[0] == f"{found.spec.sampling.temperature:g}"
    assert lines[-2].startswith("best sampling: temperature 0.")
    assert lines[-1].startswith(f"{model}: generate and vocode draw so")
    assert "temperature 0." in run("info", model)[1]
    assert spec.sampling == Sampling()


def test_json_has_every_candidate_and_output_leaves_the_model_alone(run, model, held_out, tmp_path):
    before, out = model.read_bytes(), tmp_path / "out.safetensors"
    line = ("tune", model, *sorted(held_out.iterdir()), "-o", out, "--seconds", 4)
    code, said, errors = run(*line, "--json", "--threads", 2)
    assert (code, errors, model.read_bytes()) == (0, "", before)
    found = json.loads(said)
    own = fw.load(out).spec.sampling
    assert (found["output"], found["precision"]) == (str(out), "float32")
    assert found["sampling"] == own.to_dict()
    assert {"sampling", "seconds", "spectrum", "level", "silent", "flatness", "score"} <= set(
        found["candidates"][0]
    )
    assert found["candidates"][0]["log_mel"] is None
    files = [fw.read_audio(file, RATE)[0] for file in sorted(held_out.iterdir())]
    assert fw.tune(fw.load(model), files, seconds=4).sampling == own


def test_a_run_folder_stands_for_its_best_model(run, model, held_out, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    model.rename(folder / "model.safetensors")
    assert run("tune", folder, held_out, "--seconds", 4, "--quiet") == (0, "", "")
    assert fw.load(folder / "model.safetensors").spec.sampling != Sampling()


def test_an_argument_wins_over_the_files_sampling(run, model, tmp_path):
    plain, own, given = (tmp_path / f"{name}.wav" for name in ("plain", "own", "given"))
    line = ("--seed", 1, "--seconds", 1)
    run("generate", model, "-o", plain, *line)
    fw.record_sampling(model, Sampling(temperature=0.5, top_k=3, min_p=0.1))
    run("generate", model, "-o", own, *line)
    asked = ("--temperature", 1, "--top-k", 16, "--min-p", 0)
    run("generate", model, "-o", given, *line, *asked)
    assert given.read_bytes() == plain.read_bytes() != own.read_bytes()


def test_what_cannot_be_tuned_on_is_refused_in_one_line(refused, model, held_out, tmp_path):
    before = model.read_bytes()
    (tmp_path / "empty").mkdir()
    silence = np.zeros(10 * RATE, np.float32)
    cases = {
        tmp_path / "none": "no such file or folder",
        tmp_path / "empty": "expected audio files (.wav .rf64 .flac ",
        record(tmp_path / "rate.wav"): "has 16000 Hz, expected 8000 Hz: ",
        record(tmp_path / "short.wav", tone(9000), rate=RATE): "expected at least 2 s of audio",
        record(tmp_path / "silent.wav", silence, rate=RATE): "100% of the audio is silent",
    }
    for source, message in cases.items():
        assert message in refused("tune", model, source)
    for words, message in (
        (("--seconds", 3), "seconds must be from 4"),
        (("--threads", 0), "--threads must be a whole number from 1"),
        (("--frames", tmp_path / "f.npy"), "belongs to one recording, found a folder"),
        (("--speaker", "ann"), "the model has no speakers"),
        (("-o", tmp_path / "out.wav"), "the name must end in .safetensors"),
        (("-o", tmp_path / "none" / "a.safetensors"), "does not exist"),
        (("--precision", "int4"), "int4"),
    ):
        assert message in refused("tune", model, held_out, *words)
    assert model.read_bytes() == before


def test_a_model_with_frames_of_no_mel_needs_them_in_a_file(refused, run, held_out, tmp_path):
    path, spec = tmp_path / "m.safetensors", chain_spec(conditioning=WITH_FRAMES)
    modelfile.save(path, spec, chain_weights(spec, LOGITS))
    assert "give a recording's with --frames" in refused("tune", path, held_out)
    np.save(tmp_path / "f.npy", np.zeros((400, 2), np.float32))
    line = ("tune", path, held_out / "0.wav", "--frames", tmp_path / "f.npy", "--seconds", 4)
    assert "log-mel" in run(*line)[1]
    audio = fw.read_audio(held_out / "0.wav", RATE)[0]
    expected = fw.tune(fw.load(path), audio, frames=np.load(tmp_path / "f.npy"), seconds=4)
    assert fw.load(path).spec.sampling == expected.sampling


def test_a_read_only_model_is_refused_before_the_work(refused, run, model, held_out, tmp_path):
    model.chmod(0o444)
    assert "is read-only: name another file with -o" in refused("tune", model, held_out)
    out = tmp_path / "out.safetensors"
    assert run("tune", model, held_out, "-o", out, "--seconds", 4)[0] == 0


def test_a_model_that_changes_meanwhile_is_left_alone(refused, model, held_out, monkeypatch):
    before = os.stat(model)

    def changed(*arguments, **options):
        fw.record_precision_cost(model, {"int8": 0.1})
        return fw.tuning.tune_on(*arguments, **options)

    monkeypatch.setattr("fastwavenet.cli.tune.tune_on", changed)
    said = refused("tune", model, held_out, "--seconds", 4)
    assert "was changed during the search" in said
    assert fw.load(model).precision_cost == {"int8": 0.1}
    assert before.st_mode == os.stat(model).st_mode


def test_a_full_disk_leaves_the_old_file(refused, model, held_out, tmp_path):
    before, files = model.read_bytes(), sorted(tmp_path.iterdir())
    with full_disk(100):
        refused("tune", model, held_out, "--seconds", 4)
    assert (model.read_bytes(), sorted(tmp_path.iterdir())) == (before, files)
