"""fastwavenet prepare: its report, its errors, and its end by a signal."""

import json
import signal

import pytest
from corpora import InThisProcess, content, entries
from recordings import noise, record

import fastwavenet as fw
from fastwavenet import preparing
from fastwavenet.manifest import MANIFEST, UNFINISHED


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr(preparing, "WorkerProcesses", InThisProcess)


@pytest.fixture
def source(tmp_path):
    for name in ("a/x.wav", "b/y.wav"):
        record(tmp_path / "in" / name, noise(16000))
    (tmp_path / "in" / "b" / "z.wav").write_text("no audio")
    return tmp_path / "in"


def test_a_line_and_a_json_object_report_the_same(source, tmp_path, run):
    code, said, remarks = run("prepare", source, "-o", tmp_path / "c")
    assert (code, said) == (
        0,
        f"{tmp_path}/c: 0.03 minutes in 2 recordings; 2 decoded, 0 kept, 0 removed, 1 skipped\n",
    )
    assert f"fastwavenet: skipped {source}/b/z.wav: not a readable audio file" in remarks
    code, said, _ = run("prepare", source, "-o", tmp_path / "c", "--json", "-q")
    about = json.loads(said)
    assert (about["recordings"], about["decoded"], about["kept"]) == (2, 0, 2)
    assert (about["seconds"], len(about["skipped"])) == (2.0, 1)


def test_the_options_are_those_of_the_function(source, tmp_path, run):
    options = ["--mel", "hifigan-16k", "--mel", "nv-16k", "--speakers-from-folders"]
    options += ["--trim", "-30", "--gain", "-3", "--convert", "--workers", 2, "--check"]
    assert run("prepare", source, "-o", tmp_path / "c", *options)[0] == 0
    fw.prepare(
        source,
        tmp_path / "d",
        mel=["nv-16k", "hifigan-16k"],
        speakers_from_folders=True,
        trim=-30,
        gain=-3,
        convert=True,
    )
    assert content(tmp_path / "c") == content(tmp_path / "d")
    assert {entry["speaker"] for entry in entries(tmp_path / "c").values()} == {"a", "b"}


def test_shards_are_completed_by_a_call_without_one(source, tmp_path, run):
    for shard in ("1/2", "2/2"):
        code, said, _ = run("prepare", source, "-o", tmp_path / "c", "--shard", shard)
        assert code == 0
        assert "the same command without --shard makes the corpus" in said
    assert run("prepare", source, "-o", tmp_path / "c")[0] == 0
    assert run("prepare", source, "-o", tmp_path / "d")[0] == 0
    assert content(tmp_path / "c") == content(tmp_path / "d")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mel", "no"], "unknown mel preset 'no'"),
        (["--trim", "3"], "trim must be from -200.0 to 0.0, not 3.0"),
        (["--workers", "0"], "workers must be a whole number from 1 to 1024, not 0"),
        (["--sample-rate", "8000"], "expected audio files"),
    ],
)
def test_a_bad_value_is_refused_and_nothing_is_written(source, tmp_path, refused, options, message):
    assert message in refused("prepare", source, "-o", tmp_path / "c", *options)
    assert not (tmp_path / "c").exists()


def test_a_missing_folder_is_refused(tmp_path, refused):
    assert "nowhere: no such file or folder" in refused(
        "prepare", tmp_path / "nowhere", "-o", tmp_path / "c"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_the_same_command_goes_on(source, tmp_path, run, monkeypatch, number):
    class Interrupted(InThisProcess):
        def results(self, tasks):
            for result in super().results(tasks):
                yield result
                signal.raise_signal(number)

    monkeypatch.setattr(preparing, "WorkerProcesses", Interrupted)
    code, said, remarks = run("prepare", source, "-o", tmp_path / "c")
    assert (code, said) == (128 + number, "")
    assert remarks == "fastwavenet: interrupted: the same command goes on from here\n"
    assert (tmp_path / "c" / UNFINISHED).is_dir() and not (tmp_path / "c" / MANIFEST).exists()
    monkeypatch.setattr(preparing, "WorkerProcesses", InThisProcess)
    done = InThisProcess.tasks
    assert run("prepare", source, "-o", tmp_path / "c")[0] == 0
    assert InThisProcess.tasks < done + 3  # of three files one was decoded before
