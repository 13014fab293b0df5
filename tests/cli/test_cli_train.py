"""fastwavenet train and export: what they hand over, leave and refuse."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from networks import random_weights, small_spec
from recordings import full_disk, nobody, public_folder, record, tone

from fastwavenet import generate, load, modelfile
from fastwavenet.training import Summary

SPEC = small_spec()


def test_a_recording_becomes_a_voice_becomes_sound(run, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    source = record(tmp_path / "recordings" / "a.wav", tone(1500))
    folder, voice, out = tmp_path / "run", tmp_path / "voice.safetensors", tmp_path / "out.wav"
    code, said, _ = run("train", source.parent, "-o", folder, "--preset", "tiny", "--steps", 2)
    torch.set_num_threads(threads)
    assert code == 0
    assert said.splitlines()[-1].startswith("done after 2 steps and ")

    code, said, _ = run("export", folder, "-o", voice)
    size, precision = voice.stat().st_size, load(voice).precision
    expected = f"{voice}: 16 layers, 16000 Hz, {size:,} bytes, {precision}\n"
    assert (code, said) == (0, expected)
    assert voice.read_bytes() == (folder / "model.safetensors").read_bytes()

    assert run("generate", voice, "-o", out, "--seconds", "0.01", "--seed", 7)[0] == 0
    audio, rate = soundfile.read(out, dtype="float32")
    assert (len(audio), rate) == (160, 16000)
    expected = generate(load(voice), n_samples=160, seed=7)
    np.testing.assert_array_equal(audio, (expected * 32768).round().clip(-32768, 32767) / 32768)


@pytest.fixture
def trained(monkeypatch):
    """Stands in for training; returns what it was called with."""
    calls = []
    summary = Summary(SPEC, Path("out/model.safetensors"), 2.5, 100, 60.0, 5e4, False)

    def train(*args, **options):
        calls.append((*args, options))
        return summary

    monkeypatch.setattr("fastwavenet.training.train", train)
    return calls


def test_train_hands_over_what_was_given_and_nothing_else(run, trained):
    line = "train in -o out --preset tiny --minutes 1.5 --steps 9 --seed 4 --sample-rate 8000 "
    line += (
        "--convert --validation held --batch 2 --window 100 --learning-rate 0.1 --weight-decay 0.2 "
    )
    line += "--resume --no-bfloat16 --device cpu"
    assert run(*line.split())[0] == 0
    assert trained.pop() == (
        Path("in"),
        Path("out"),
        {
            "preset": "tiny",
            "minutes": 1.5,
            "steps": 9,
            "seed": 4,
            "sample_rate": 8000,
            "convert": True,
            "validation": Path("held"),
            "batch": 2,
            "window": 100,
            "learning_rate": 0.1,
            "weight_decay": 0.2,
            "resume": True,
            "bfloat16": False,
            "device": "cpu",
            "progress": True,
        },
    )
    run("train", "in", "-o", "out", "--bfloat16")
    assert trained.pop()[2] == {"bfloat16": True, "progress": True}
    run("train", "in", "-o", "out")
    assert trained.pop()[2] == {"progress": True}


@pytest.mark.parametrize("flag", ["--quiet", "--json"])
def test_training_is_quiet_when_asked(run, trained, flag):
    said = run("train", "in", "-o", "out", flag)[1]
    assert trained.pop()[2] == {"progress": False}
    assert said == "" if flag == "--quiet" else json.loads(said)["nats_per_sample"] == 2.5


def test_export_takes_the_best_weights_or_the_latest(run, voice, tmp_path):
    folder, out = tmp_path / "run", tmp_path / "out.safetensors"
    folder.mkdir()
    modelfile.save(folder / "model.safetensors", SPEC, random_weights(SPEC, seed=2))
    voice.rename(folder / "latest.safetensors")
    for flags, expected in (((), "model"), (("--latest",), "latest")):
        assert run("export", folder, "-o", out, *flags)[0] == 0
        assert out.read_bytes() == (folder / f"{expected}.safetensors").read_bytes()


# ---- errors -----------------------------------------------------------------------------------


def test_export_of_what_is_no_run_is_refused(refused, tmp_path):
    line = refused("export", tmp_path, "-o", tmp_path / "voice.safetensors")
    assert line.startswith(f"{tmp_path}: expected a run folder of `fastwavenet train`")


def test_export_into_a_missing_folder_is_refused(refused, voice, tmp_path):
    (tmp_path / "run").mkdir()
    voice.rename(tmp_path / "run" / "model.safetensors")
    out = tmp_path / "none" / "voice.safetensors"
    line = refused("export", tmp_path / "run", "-o", out)
    assert line == f"{out}: the folder {out.parent} does not exist"


def test_export_of_a_damaged_model_is_refused(refused, voice, tmp_path):
    folder, copy = tmp_path / "run", tmp_path / "copy.safetensors"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(voice.read_bytes()[:-4])
    assert f"{folder / 'model.safetensors'}: " in refused("export", folder, "-o", copy)
    assert not copy.exists()


def test_export_keeps_an_old_file_when_the_disk_is_full(refused, voice, tmp_path):
    folder, copy = tmp_path / "run", tmp_path / "copy.safetensors"
    folder.mkdir()
    voice.rename(folder / "model.safetensors")
    copy.write_text("old")
    with full_disk(1000):
        assert "File too large" in refused("export", folder, "-o", copy)
    assert copy.read_text() == "old"


def empty_folder(folder):
    folder.mkdir()


def text_named_wav(folder):
    folder.mkdir()
    (folder / "a.wav").write_text("not audio")


def header_without_samples(folder):
    record(folder / "a.wav", tone(0))


def samples_that_are_nan(folder):
    record(folder / "a.wav", np.full(99, np.nan), subtype="FLOAT")


def wrong_rate(folder):
    record(folder / "a.wav", rate=44100)


def stereo(folder):
    record(folder / "a.wav", np.zeros((99, 2)))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (empty_folder, "recordings: expected audio files"),
        (text_named_wav, "a.wav: not a readable audio file"),
        (header_without_samples, "a.wav: holds no samples"),
        (samples_that_are_nan, "a.wav: sample 0 is nan"),
        (wrong_rate, "a.wav: has 44100 Hz, expected 16000 Hz"),
        (stereo, "a.wav: has 2 channels, expected 1"),
    ],
)
def test_unusable_recordings_are_refused_by_name(refused, tmp_path, make, expected):
    make(tmp_path / "recordings")
    line = refused("train", tmp_path / "recordings", "-o", tmp_path / "run")
    assert expected in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--preset", "huge", "preset must be one of tiny, small, base, ibab, not 'huge'"),
        ("--minutes", "nan", "minutes must be a positive number, not nan"),
        ("--minutes", "-1", "minutes must be a positive number, not -1.0"),
        ("--steps", "0", "steps must be a positive whole number, not 0"),
        ("--seed", "-1", "seed must be a whole number from 0 to "),
        ("--sample-rate", "0", "sample_rate must be a whole number from 1 to "),
        ("--validation", "nowhere", "nowhere: no such file or folder"),
    ],
)
def test_bad_training_values_are_refused_by_name(refused, tmp_path, option, value, expected):
    source = record(tmp_path / "a.wav")
    assert expected in refused("train", source, "-o", tmp_path / "run", option, value)


def test_a_missing_source_is_named(refused, tmp_path):
    line = refused("train", tmp_path / "none", "-o", tmp_path / "run")
    assert line == f"{tmp_path / 'none'}: no such file or folder"


def test_a_run_folder_that_is_a_file_is_refused(refused, tmp_path):
    source = record(tmp_path / "a.wav", tone(99))
    assert str(source) in refused("train", source, "-o", source)


def a_file(output):
    output.write_text("notes")


def below_a_file(output):
    output.parent.rmdir()
    output.parent.write_text("notes")


def a_link_to_nothing(output):
    output.symlink_to("nothing")


def a_folder_in_place_of(name):
    return lambda output: (output / name).mkdir(parents=True)


OUTPUTS = [
    (a_file, "run is a file, expected a folder"),
    (below_a_file, "is no folder, expected one"),
    (a_link_to_nothing, "run is a link to nothing"),
    *(
        (a_folder_in_place_of(name), f"{name} is a folder, expected a file name")
        for name in ("checkpoint.safetensors", "model.safetensors", "latest.safetensors")
    ),
    (a_folder_in_place_of("log.jsonl"), "log.jsonl is a folder, expected a file name"),
    (a_folder_in_place_of("report.html"), "report.html is a folder, expected a file name"),
]


@pytest.mark.parametrize(("make", "expected"), OUTPUTS)
@pytest.mark.parametrize("flags", [(), ("--resume",)])
def test_an_output_that_cannot_be_written_is_refused_before_audio_is_looked_for(
    refused, tmp_path, make, expected, flags
):
    output = tmp_path / "in" / "run"
    output.parent.mkdir()
    make(output)
    before = sorted(tmp_path.rglob("*"))
    assert expected in refused("train", tmp_path / "no-audio", "-o", output, *flags)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_where_nothing_may_be_written_is_refused_before_audio_is_looked_for(refused):
    with public_folder() as folder, nobody():
        line = refused("train", folder / "no-audio", "-o", folder / "deep" / "run")
    assert line == f"{folder}/deep/run: the folder {folder} cannot be written to"


@pytest.mark.parametrize("name", ["n" * 256, "a/" + "n" * 256, "r\0n"])
def test_an_output_of_an_impossible_name_is_refused_before_audio_is_looked_for(
    refused, tmp_path, name
):
    line = refused("train", tmp_path / "no-audio", "-o", tmp_path / name)
    assert "no-audio" not in line
    assert list(tmp_path.iterdir()) == []


def test_without_recordings_there_is_only_resuming(refused, tmp_path):
    line = refused("train", "-o", tmp_path / "run")
    assert line.startswith("no recordings to train on: expected a file or folder; only a run to")
    assert "expected a run folder" in refused("train", "-o", tmp_path / "run", "--resume")


# ---- Ctrl-C ----------------------------------------------------------------------------------


def test_ctrl_c_while_training_saves_and_exits_with_130(tmp_path):
    source = record(tmp_path / "a.wav", tone(1500))
    process = subprocess.Popen(
        [sys.executable, "-m", "fastwavenet", "train", source, "-o", tmp_path / "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )
    for line in process.stdout:
        if line.startswith("training "):  # from here on, Ctrl-C saves
            break
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (130, "")
    assert "interrupted after " in said.splitlines()[-1]
    assert load(tmp_path / "run" / "model.safetensors").sample_rate == 16000


def test_a_pipe_in_the_place_of_a_runs_file_is_refused_before_the_work(tmp_path, refused):
    folder = tmp_path / "run"
    folder.mkdir()
    os.mkfifo(folder / "log.jsonl")
    said = refused("train", tmp_path / "nowhere.wav", "-o", folder, "--steps", 1)
    assert "log.jsonl: is a device or a pipe" in said
