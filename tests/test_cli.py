"""The command line: what each command leaves, and that every error is one line and exit code 2."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from networks import random_weights, small_spec
from recordings import full_disk, record, tone

from fastwavenet import cli, generate, load, modelfile
from fastwavenet.training.train import Summary

SPEC = small_spec()  # 8 kHz


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "voice.safetensors"
    modelfile.save(path, SPEC, random_weights(SPEC, seed=1))
    return path


@pytest.fixture
def run(capsys):
    """Runs a command line; returns exit code, standard output and standard error."""

    def main(*argv):
        try:
            code = cli.main([str(argument) for argument in argv])
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    return main


def python(*argv, **how):
    return subprocess.run(
        [sys.executable, *map(str, argv)], capture_output=True, text=True, timeout=60, **how
    )


# ---- the way through -------------------------------------------------------------------------


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
    assert (code, said) == (0, f"{voice}: 16 layers, 16000 Hz\n")
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


def test_train_hands_every_option_over(run, trained):
    line = "train in -o out --preset tiny --minutes 1.5 --steps 9 --seed 4 --sample-rate 8000 "
    assert run(*line.split(), "--convert", "--validation", "held")[0] == 0
    source, output, options = trained[0]
    assert (source, output) == (Path("in"), Path("out"))
    assert options == {
        "preset": "tiny",
        "minutes": 1.5,
        "steps": 9,
        "seed": 4,
        "sample_rate": 8000,
        "convert": True,
        "validation": Path("held"),
    }


def test_export_takes_the_best_weights_or_the_latest(run, model, tmp_path):
    folder, out = tmp_path / "run", tmp_path / "out.safetensors"
    folder.mkdir()
    modelfile.save(folder / "model.safetensors", SPEC, random_weights(SPEC, seed=2))
    model.rename(folder / "latest.safetensors")
    for flags, expected in (((), "model"), (("--latest",), "latest")):
        assert run("export", folder, "-o", out, *flags)[0] == 0
        assert out.read_bytes() == (folder / f"{expected}.safetensors").read_bytes()


def test_training_shares_the_cores(run, trained, monkeypatch):
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    run("train", "in", "-o", "out")
    assert os.environ.pop("GOMP_SPINCOUNT") == "10000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    run("train", "in", "-o", "out")
    assert os.environ["GOMP_SPINCOUNT"] == "7"  # the user's word counts


def test_generate_takes_every_option(run, model, tmp_path):
    out = tmp_path / "out.flac"
    options = "--samples 99 --seed 3 --temperature 0.7 --top-k 5 --isa scalar"
    assert run("generate", model, "-o", out, *options.split())[0] == 0
    expected = generate(load(model), n_samples=99, seed=3, temperature=0.7, top_k=5)
    np.testing.assert_allclose(soundfile.read(out)[0], expected, atol=2**-15)


def test_generate_lasts_four_seconds_unless_told(run, model, tmp_path):
    run("generate", model, "-o", tmp_path / "out.wav")
    assert soundfile.info(tmp_path / "out.wav").duration == 4


def test_the_seed_that_was_drawn_is_said_and_repeats_the_sound(run, model, tmp_path):
    a, b, c = (tmp_path / name for name in ("a.wav", "b.wav", "c.wav"))
    _, said, _ = run("generate", model, "-o", a, "--samples", 500)
    seed = said.split("seed ")[1].split(",")[0]
    run("generate", model, "-o", b, "--samples", 500, "--seed", seed)
    run("generate", model, "-o", c, "--samples", 500)
    assert a.read_bytes() == b.read_bytes() != c.read_bytes()


def test_generate_says_its_speed(run, model, tmp_path):
    out = tmp_path / "out.wav"
    _, said, _ = run("generate", model, "-o", out, "--samples", 800, "--seed", 1)
    number = r"[\d,]+(\.\d)?"
    expected = rf"{out}: 0\.1 s, seed 1, {number} samples/s, {number} x real time\n"
    assert re.fullmatch(expected, said)


def test_progress_is_shown_on_a_terminal_only(run, model, tmp_path, monkeypatch):
    line = ("generate", model, "-o", tmp_path / "out.wav", "--seconds", 1)
    assert run(*line)[2] == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown = run(*line)[2].split("\r")[1:]
    assert shown == ["51 %", "100 %\n"]


def test_the_demo_gets_its_folder_and_minutes(run, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("fastwavenet.demo.run_demo", lambda *args: calls.append(args))
    assert run("demo", "-o", tmp_path, "--minutes", "0.5")[0] == 0
    assert run("demo")[0] == 0
    assert calls == [(tmp_path, 0.5), (Path("demo"), 1.0)]


@pytest.mark.parametrize("command", ["train", "export", "generate", "demo"])
def test_help_shows_an_example(run, command):
    code, said, _ = run(command, "--help")
    assert code == 0
    assert f"example:\n  fastwavenet {command} " in said


def test_the_package_runs_as_a_module(model, tmp_path):
    out = tmp_path / "out.wav"
    done = python("-m", "fastwavenet", "generate", model, "-o", out, "--samples", 10)
    assert (done.returncode, done.stderr) == (0, "")
    assert soundfile.info(out).frames == 10


def test_only_training_needs_torch(model, tmp_path):
    script = """
import sys
sys.modules["torch"] = None  # as if it were not installed
from fastwavenet.cli import main
out = sys.argv[2]
assert main(["generate", sys.argv[1], "-o", out, "--samples", "10"]) == 0
sys.exit(main(["train", out, "-o", out + ".run"]))
"""
    done = python("-c", script, model, tmp_path / "out.wav")
    assert done.returncode == 2
    assert done.stderr == (
        "fastwavenet: error: torch is missing: pip install 'fastwavenet[train]'\n"
    )


# ---- errors ----------------------------------------------------------------------------------


@pytest.fixture
def refused(run):
    """Runs a command line that must fail; returns its one line."""

    def main(*argv):
        code, _, said = run(*argv)
        assert code == 2
        assert said.startswith("fastwavenet: error: ")
        assert said.count("\n") == 1
        assert said.endswith("\n")
        return said.removeprefix("fastwavenet: error: ").rstrip("\n")

    return main


def test_an_unknown_command_is_refused(refused):
    assert "invalid choice: 'sing'" in refused("sing")
    assert refused().startswith("the following arguments are required: COMMAND")


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--seconds", "nan", "--seconds must be from 0.000125 to "),
        ("--seconds", "inf", "--seconds must be from 0.000125 to "),
        ("--seconds", "-1", "--seconds must be from 0.000125 to "),
        ("--seconds", "0", "--seconds must be from 0.000125 to "),
        ("--seconds", "1e9", "--seconds must be from 0.000125 to "),
        ("--seconds", "four", "argument --seconds: invalid float value: 'four'"),
        ("--samples", "0", "--samples must be from 1 to "),
        ("--samples", "-5", "--samples must be from 1 to "),
        ("--samples", str(10**20), "--samples must be from 1 to "),
        ("--samples", "1.5", "argument --samples: invalid int value: '1.5'"),
        ("--seed", "-1", "seed must be from 0 to 18446744073709551615, not -1"),
        ("--seed", str(2**64), "seed must be from 0 to 18446744073709551615"),
        ("--temperature", "nan", "temperature must be 0"),
        ("--temperature", "-1", "temperature must be 0"),
        ("--top-k", "0", "top_k must be from 1 to 16, not 0"),
        ("--isa", "sse9", "isa 'sse9' is unknown; available: scalar"),
    ],
)
def test_a_bad_value_is_refused_by_name(refused, model, tmp_path, option, value, expected):
    out = tmp_path / "out.wav"
    assert expected in refused("generate", model, "-o", out, option, value)
    assert not out.exists()


def test_two_lengths_are_refused(refused, model, tmp_path):
    line = ("generate", model, "-o", tmp_path / "out.wav", "--seconds", 1, "--samples", 1)
    assert refused(*line) == "give either --seconds or --samples, not both"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("out.mp3", "out.mp3: the name must end in .wav or .flac"),
        ("none/out.wav", "none/out.wav: the folder "),
        ("folder.wav", "folder.wav is a folder, expected a file name"),
    ],
)
def test_a_bad_output_is_refused_before_the_work(
    refused, model, tmp_path, monkeypatch, name, expected
):
    (tmp_path / "folder.wav").mkdir()
    monkeypatch.setattr(cli, "generate", lambda *_args, **_options: pytest.fail("worked in vain"))
    assert expected in refused("generate", model, "-o", tmp_path / name)


def test_a_full_disk_is_an_error_without_a_file(refused, model, tmp_path):
    out = tmp_path / "out.wav"
    with full_disk(1000):
        assert "File too large" in refused("generate", model, "-o", out, "--seconds", 1)
    assert list(tmp_path.iterdir()) == [model]


def test_a_missing_model_is_named(refused, tmp_path):
    line = refused("generate", tmp_path / "none.safetensors", "-o", tmp_path / "out.wav")
    assert line == f"{tmp_path / 'none.safetensors'}: No such file or directory"


def test_what_is_not_a_model_is_named(refused, tmp_path):
    (tmp_path / "voice.safetensors").write_bytes(b"not a model, " * 99)
    line = refused("generate", tmp_path / "voice.safetensors", "-o", tmp_path / "out.wav")
    assert line.startswith(f"{tmp_path / 'voice.safetensors'}: not a model file")


def test_a_model_that_overflows_is_an_error(refused, tmp_path):
    path = tmp_path / "voice.safetensors"
    huge = {name: np.full_like(w, 3e38) for name, w in random_weights(SPEC, seed=1).items()}
    modelfile.save(path, SPEC, huge)
    assert refused("generate", path, "-o", tmp_path / "out.wav")
    assert list(tmp_path.iterdir()) == [path]


def test_export_of_what_is_no_run_is_refused(refused, tmp_path):
    line = refused("export", tmp_path, "-o", tmp_path / "voice.safetensors")
    assert line.startswith(f"{tmp_path}: expected a run folder of `fastwavenet train`")


def test_export_into_a_missing_folder_is_refused(refused, model, tmp_path):
    (tmp_path / "run").mkdir()
    model.rename(tmp_path / "run" / "model.safetensors")
    line = refused("export", tmp_path / "run", "-o", tmp_path / "none" / "voice.safetensors")
    assert line.startswith(f"{tmp_path / 'none' / 'voice.safetensors'}: the folder ")


def test_export_of_a_damaged_model_is_refused(refused, model, tmp_path):
    folder, voice = tmp_path / "run", tmp_path / "copy.safetensors"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(model.read_bytes()[:-4])
    assert f"{folder / 'model.safetensors'}: " in refused("export", folder, "-o", voice)
    assert not voice.exists()


def test_export_keeps_an_old_file_when_the_disk_is_full(refused, model, tmp_path):
    folder, voice = tmp_path / "run", tmp_path / "copy.safetensors"
    folder.mkdir()
    model.rename(folder / "model.safetensors")
    voice.write_text("old")
    with full_disk(1000):
        assert "File too large" in refused("export", folder, "-o", voice)
    assert voice.read_text() == "old"


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
        ("--preset", "huge", "preset must be tiny or small, not 'huge'"),
        ("--minutes", "nan", "minutes must be a positive number, not nan"),
        ("--minutes", "-1", "minutes must be a positive number, not -1.0"),
        ("--steps", "0", "steps must be a positive whole number, not 0"),
        ("--seed", "-1", "seed must be from 0 to "),
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


# ---- Ctrl-C ----------------------------------------------------------------------------------


def test_ctrl_c_while_generating_exits_with_130_and_writes_nothing(
    run, model, tmp_path, monkeypatch
):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "generate", interrupted)
    out = tmp_path / "out.wav"
    assert run("generate", model, "-o", out) == (130, "", "fastwavenet: interrupted\n")
    assert not out.exists()


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
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")
    assert "interrupted after " in said.splitlines()[-1]
    assert load(tmp_path / "run" / "model.safetensors").sample_rate == 16000
