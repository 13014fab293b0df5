"""Paths that commands are given: no pipe hangs them, and no output is found bad after the work."""

import os
import threading

import pytest
from recordings import nobody, public_folder, record, tone

from fastwavenet import cli


@pytest.fixture
def pipe(tmp_path):
    """A named pipe that no other program has opened."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


# ---- pipes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        ["info", "PIPE"],
        ["generate", "PIPE", "-o", "out.wav"],
        ["generate", "VOICE", "-o", "out.wav", "--prime", "PIPE"],
        ["score", "PIPE", "SOUND"],
        ["score", "VOICE", "PIPE"],
        ["export", "PIPE", "-o", "out.safetensors"],
        ["export", "VOICE", "-o", "out.safetensors", "--measure", "PIPE"],
        ["train", "PIPE", "-o", "run"],
        ["train", "SOUND", "-o", "run", "--validation", "PIPE"],
        ["train", "SOUND", "-o", "PIPE"],
        ["demo", "-o", "PIPE"],
        ["bench", "--from", "PIPE"],
    ],
    ids=" ".join,
)
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(
    line, refused, voice, pipe, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    names = {
        "PIPE": pipe,
        "VOICE": voice,
        "SOUND": record(tmp_path / "a.wav", tone(2000, rate=8000), 8000),
    }
    said = refused(*(names.get(word, word) for word in line))
    assert str(pipe) in said
    assert {path.name for path in tmp_path.iterdir()} == {pipe.name, voice.name, "a.wav"}


def test_a_pipe_as_output_is_written_to_and_the_wait_is_said(run, voice, pipe):
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    code, _, said = run("export", voice, "-o", pipe)
    reader.join()
    assert code == 0
    assert said == f"fastwavenet: {pipe}: waiting for a program that reads from this pipe\n"
    assert read == [voice.read_bytes()]


# ---- outputs before the work -------------------------------------------------------------------


@pytest.fixture
def work(monkeypatch):
    """Fails the test when a command begins its work."""
    for reader in ("training.call.load_corpus", "demo.load"):
        monkeypatch.setattr(f"fastwavenet.{reader}", lambda *_: pytest.fail("read audio in vain"))
    monkeypatch.setattr(cli.export, "read_recordings", lambda *_: pytest.fail("read audio in vain"))


FOLDERS = {
    "file": "file is a file, expected a folder or a new name",
    "file/run": "/file is no folder, expected one",
    "nothing": "nothing is a link to nothing",
}


@pytest.mark.parametrize(("name", "expected"), FOLDERS.items())
@pytest.mark.parametrize(
    "line", [["train", "a.wav"], ["train", "a.wav", "--resume"], ["demo"]], ids=" ".join
)
def test_a_folder_that_cannot_be_made_is_refused_before_the_work(
    refused, tmp_path, monkeypatch, work, line, name, expected
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "nothing").symlink_to("nowhere")
    assert expected in refused(*line, "-o", tmp_path / name)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *(("train", f"{name}.safetensors") for name in ("model", "latest", "checkpoint")),
        ("train", "log.jsonl"),
        *(("demo", name) for name in ("trained.safetensors", "index.html", "speeds.txt")),
        *(("demo", f"{name}.wav") for name in ("speech-16k", "trained", "codec-alone")),
    ],
)
def test_a_folder_in_the_place_of_a_file_is_refused_before_the_work(
    refused, tmp_path, work, command, name
):
    (tmp_path / name).mkdir()
    argv = ["a.wav"] if command == "train" else []
    said = refused(command, *argv, "-o", tmp_path)
    assert said == f"{tmp_path / name} is a folder, expected a file name"


def test_a_folder_for_reading_only_is_refused_before_the_work(refused, work):
    with public_folder() as folder:
        folder.chmod(0o555)
        for line in (["train", "a.wav", "-o", folder / "run"], ["demo", "-o", folder / "demo"]):
            with nobody():
                assert "cannot be written to" in refused(*line)


def test_export_looks_at_its_output_before_it_measures(refused, work, voice, tmp_path):
    output = tmp_path / "none" / "a.safetensors"
    said = refused("export", voice, "-o", output, "--measure", tmp_path)
    assert said.endswith("none does not exist")
