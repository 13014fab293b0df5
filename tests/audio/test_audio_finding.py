"""What is found in a folder, what is passed over, and how both are told."""

import io
import json
import os

import numpy as np
import pytest
import soundfile
from networks import small_spec
from recordings import RATE, nobody, public_folder, record, tone

from fastwavenet.audio import AudioError, encode_audio, find_audio
from fastwavenet.audio_finding import CONDA, ENVIRONMENT, PACKAGES, READ_SUFFIXES, search_audio
from fastwavenet.training.data import load_corpus

SPEC = small_spec(sample_rate=RATE, levels=256)


def encoded(container: str, **how) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(), RATE, format=container, **how)
    return buffer.getvalue()


# ---- by content --------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["WAV", "RF64", "FLAC", "OGG", "MP3", "AIFF"])
@pytest.mark.parametrize("name", ["a", "a.audio", "a.txt"])
def test_audio_of_any_suffix_is_found_by_its_content(tmp_path, container, name):
    (tmp_path / name).write_bytes(encoded(container))
    assert find_audio(tmp_path) == [tmp_path / name]
    (tmp_path / name).write_bytes(b"ID3\4\0\0\0\0\0\2xx" + encoded(container))
    assert find_audio(tmp_path) == [tmp_path / name]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"text " * 99,
        bytes(range(256)) * 9,
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"RIFF\x10\0\0\0AVI LIST",
        b"\xff\xfb\x90\x64" + bytes(5000),
        b"ID3\4\0\0\0\0\0\2xx",
    ],
)
def test_other_content_is_passed_over(tmp_path, content):
    (tmp_path / "a.bin").write_bytes(content)
    found = search_audio(tmp_path)
    assert (found.files, found.others) == ([], [tmp_path / "a.bin"])


def test_a_pipe_in_a_folder_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    os.mkfifo(tmp_path / "pipe")
    found = search_audio(tmp_path)
    assert (found.files, found.others) == ([], [])


# ---- remarks -----------------------------------------------------------------------------------


def corpus_remarks(folder) -> list[str]:
    return load_corpus(folder, SPEC).remarks


def test_files_passed_over_are_counted_by_suffix(tmp_path):
    record(tmp_path / "a.wav")
    assert corpus_remarks(tmp_path) == []
    for name in ("b.txt", "c.TXT", "d.m4a", "e", ".hidden.txt"):
        (tmp_path / name).write_text("no audio")
    expected = "passed over 4 files without audio: 2 .txt, 1 .m4a, 1 no suffix"
    assert corpus_remarks(tmp_path) == [expected]


def test_many_suffixes_are_not_all_listed(tmp_path):
    record(tmp_path / "a.wav")
    for i in range(9):
        (tmp_path / f"a.s{i}").touch()
    (line,) = corpus_remarks(tmp_path)
    assert line.startswith("passed over 9 files without audio: 1 .s")
    assert line.endswith(" ...")
    assert line.count("1 .s") == 6


@pytest.mark.parametrize("package", PACKAGES)
def test_folders_of_packages_are_left_out(tmp_path, package):
    record(tmp_path / "a.wav")
    record(tmp_path / "deep" / package / "scipy" / "tests" / "b.wav")
    found = search_audio(tmp_path)
    assert found.files == [tmp_path / "a.wav"]
    assert found.remarks() == [
        f"left out 1 of the folders, as those of programs: deep/{package}",
    ]
    inside = tmp_path / "deep" / package
    assert find_audio(inside) == [inside / "scipy" / "tests" / "b.wav"]  # unless asked for


def test_virtual_environments_are_left_out(tmp_path):
    record(tmp_path / "a.wav")
    for name in ("env", "other"):
        record(tmp_path / name / "share" / "b.wav")
        (tmp_path / name / ENVIRONMENT).touch()
    found = search_audio(tmp_path)
    assert found.files == [tmp_path / "a.wav"]
    assert found.remarks() == ["left out 2 of the folders, as those of programs: env ..."]


def test_a_conda_environment_is_left_out(tmp_path):
    record(tmp_path / "a.wav")
    record(tmp_path / "env" / "share" / "b.wav")
    (tmp_path / "env" / CONDA).mkdir()
    assert search_audio(tmp_path).left_out == [tmp_path / "env"]


def test_links_and_pipes_that_are_passed_over_are_counted(tmp_path):
    record(tmp_path / "a.wav")
    record(tmp_path / "in" / "b.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    os.mkfifo(tmp_path / "pipe")  # no name of audio
    (tmp_path / "again").symlink_to("in")
    (tmp_path / "lost.wav").symlink_to("nowhere.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    counts = "2 link to nothing, 1 link to a folder, 1 pipe or device"
    assert search_audio(tmp_path).remarks() == [f"passed over besides: {counts}"]
    with pytest.raises(
        AudioError, match="pipe: is a device or a pipe, expected an audio file or a"
    ):
        search_audio(tmp_path / "pipe")


@pytest.mark.parametrize("container", ["AU", "W64", "CAF"])
def test_audio_of_other_formats_is_not_called_a_file_without_audio(tmp_path, container):
    record(tmp_path / "a.wav")
    (tmp_path / "b.x").write_bytes(encoded(container))
    (tmp_path / "c.m4a").write_bytes(bytes(3) + b"\x18ftypM4A " + bytes(99))
    kind = "audio file of another format"
    (line,) = search_audio(tmp_path).remarks()
    assert line.startswith("passed over besides: 1 ")
    assert f"1 {kind} (.x)" in line
    assert f"1 {kind} (.m4a)" in line
    (tmp_path / "a.wav").unlink()
    assert search_audio(tmp_path).unusable().startswith(f"none, besides 1 {kind} (.")


def test_a_file_that_may_not_be_read_is_not_called_one_without_audio():
    with public_folder() as folder:
        record(folder / "a.wav").chmod(0o644)
        (folder / "b.dat").touch(mode=0)
        with nobody():
            remarks = search_audio(folder).remarks()
    assert remarks == ["passed over besides: 1 file that may not be read"]


def test_it_is_said_where_files_were_found_in_several_folders(tmp_path):
    for name in ("a.wav", "one/b.wav", "one/c.wav", "one/d.wav"):
        record(tmp_path / name)
    assert corpus_remarks(tmp_path) == []  # only one is a sub-folder
    for name in ("two/three/a.wav", "two/three/b.wav"):
        record(tmp_path / name)
    assert corpus_remarks(tmp_path) == ["found audio in 3 folders: 3 one, 2 two/three, 1 ."]


def test_names_of_files_and_folders_are_shown_in_one_line(tmp_path):
    for name in ("a\nb/a.wav", "c\x1b[31m/a.wav"):
        record(tmp_path / name)
    (tmp_path / "x.s\n").touch()
    passed, folders = corpus_remarks(tmp_path)
    assert passed == r"passed over 1 file without audio: 1 .s\n"
    assert folders == r"found audio in 2 folders: 1 a\nb, 1 c\x1b[31m"


def test_found_none_lists_the_suffixes_tried_and_what_lies_there(tmp_path):
    (tmp_path / "a.m4a").write_text("no audio")
    expected = rf"expected audio files \({' '.join(READ_SUFFIXES)}\) of 16000 Hz, found none among"
    with pytest.raises(AudioError, match=rf"^{tmp_path}: {expected} 1 file: 1 \.m4a$"):
        load_corpus(tmp_path, SPEC)


def test_a_wrong_header_is_remarked(tmp_path):
    data = bytearray(encode_audio(tone(), RATE))
    data[40:44] = (2 * RATE + 8).to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(data)
    remark = (
        f"used, although a header is wrong: 1 of 1 files: {tmp_path}/a.wav: "
        "its header states 8 bytes more than there are, it is read to its end"
    )
    for source in (tmp_path, tmp_path / "a.wav"):
        corpus = load_corpus(source, SPEC)
        assert corpus.remarks == [remark]
        assert sum(len(c.codes) for c in corpus.train + corpus.validation) == RATE


# ---- on the command line -----------------------------------------------------------------------


def test_training_with_json_passes_the_remarks_on_standard_error(run, tmp_path):
    record(tmp_path / "in" / "a.wav")
    record(tmp_path / "in" / "b.wav", rate=8000)
    (tmp_path / "in" / "notes.txt").touch()
    how = "--preset", "tiny", "--steps", 1, "--window", 64
    code, said, errors = run("train", tmp_path / "in", "-o", tmp_path / "run", "--json", *how)
    assert (code, json.loads(said)["steps"]) == (0, 1)
    assert f"fastwavenet: skipped {tmp_path}/in/b.wav: has 8000 Hz" in errors
    assert "fastwavenet: passed over 1 file without audio: 1 .txt" in errors


def test_score_and_prime_pass_the_remarks_on(run, voice, tmp_path):
    data = bytearray(encode_audio(tone(800), 8000))
    data[40:44] = (1600 + 8).to_bytes(4, "little")
    path = tmp_path / "in" / "a.opus"  # whatever its name is
    path.parent.mkdir()
    path.write_bytes(data)
    (tmp_path / "in" / "notes.txt").touch()
    remark = f"fastwavenet: {path}: its header states 8 bytes more than there are, "
    code, said, errors = run("score", voice, tmp_path / "in", "--json")
    assert (code, json.loads(said)["all"]["samples"]) == (0, 799)
    passed, odd = errors.splitlines()
    assert passed == "fastwavenet: passed over 1 file without audio: 1 .txt"
    assert odd.startswith(remark)
    out = tmp_path / "out.wav"
    code, _, errors = run("generate", voice, "-o", out, "--prime", path, "--samples", 50)
    assert (code, errors.startswith(remark)) == (0, True)
    assert np.isfinite(soundfile.read(out)[0]).all()
