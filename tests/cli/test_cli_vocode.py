"""`fastwavenet vocode`: files of frames and recordings, one or many, and what it refuses."""

import dataclasses
import json
import re
import signal

import numpy as np
import pytest
from networks import random_frames, random_weights, small_spec
from recordings import record

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.cli import main
from fastwavenet.cli import vocode as command
from fastwavenet.ends import FrameConditioning, Pitch, Sampling, VoicedSampling

MEL = fw.mel_presets()["hifigan-16k"]


@pytest.fixture(scope="module")
def spec():
    end = FrameConditioning(80, 256, "linear", ("ann", "bob"), 3, MEL)
    return small_spec(conditioning=end, sample_rate=16000)


@pytest.fixture
def voice(spec, tmp_path):
    path = tmp_path / "voice.safetensors"
    modelfile.save(path, spec, random_weights(spec, 3))
    return path


@pytest.fixture
def mels(spec, tmp_path):
    folder = tmp_path / "mels"
    folder.mkdir()
    for name, frames in (("a", 5), ("b", 2), ("c", 9)):
        np.save(folder / f"{name}.npy", random_frames(spec, 256 * frames, frames))
    return folder


def vocode(voice, source, output, *options) -> int:
    line = ["vocode", source, "-m", voice, "-o", output, "--seed", 7, "--speaker", "ann", *options]
    return main([str(word) for word in line])


def test_a_folder_of_frames_becomes_a_folder_of_the_sounds_that_each_file_has_alone(
    voice, mels, tmp_path, capsys
):
    assert vocode(voice, mels, tmp_path / "out", "--batch", 2) == 0
    assert "seed 7" in capsys.readouterr().out
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a.wav", "b.wav", "c.wav"]
    for name in "abc":
        alone = tmp_path / f"{name}.wav"
        assert vocode(voice, mels / f"{name}.npy", alone, "--threads", 2) == 0
        assert alone.read_bytes() == (tmp_path / "out" / f"{name}.wav").read_bytes()
        frames = np.load(mels / f"{name}.npy")
        audio = fw.vocode(fw.load(voice), frames, seed=7, speaker="ann")
        written, rate = fw.read_audio(alone)
        assert rate == 16000 and np.abs(written - audio).max() <= 1.01 / 32768


def test_a_recording_is_vocoded_by_way_of_its_mel_frames(voice, tmp_path, capsys):
    audio = np.float32(0.5 * np.sin(np.arange(16000) / 20))
    fw.write_audio(tmp_path / "in.wav", audio, 16000)
    np.save(tmp_path / "in.npy", fw.mel(fw.read_audio(tmp_path / "in.wav")[0], MEL))
    assert vocode(voice, tmp_path / "in.wav", tmp_path / "a.wav", "--json") == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 16000 // 256 * 256
    assert vocode(voice, tmp_path / "in.npy", tmp_path / "b.wav", "--mel", "hifigan-16k") == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize("passes", [0, 3, None])
def test_passes_of_mel_matching_are_an_option(voice, mels, tmp_path, passes):
    options = [] if passes is None else ["--match", passes]
    assert vocode(voice, mels / "a.npy", tmp_path / "x.wav", "--speaker", "bob", *options) == 0
    audio = fw.vocode(fw.load(voice), np.load(mels / "a.npy"), seed=7, speaker="bob", match=passes)
    assert np.abs(fw.read_audio(tmp_path / "x.wav")[0] - audio).max() <= 1.01 / 32768


def test_a_speaker_is_given_by_name_or_number(voice, mels, tmp_path):
    source = mels / "a.npy"
    for name, options in {"x": ["--speaker", "bob"], "y": ["--speaker", 1], "z": []}.items():
        assert vocode(voice, source, tmp_path / f"{name}.wav", *options) == 0
    x, y, z = ((tmp_path / f"{name}.wav").read_bytes() for name in "xyz")
    assert x == y != z


def test_sampling_follows_the_models_rule_unless_an_option_replaces_it(mels, spec, tmp_path):
    rule = VoicedSampling(79, temperature=0.3, min_p=0.2)
    ruled = dataclasses.replace(spec, sampling=Sampling(1.2, voiced=rule))
    source, voice = mels / "c.npy", tmp_path / "ruled.safetensors"
    modelfile.save(voice, ruled, random_weights(spec, 3))
    model, frames = fw.load(voice), np.load(source)
    for name, given in {"x": {}, "y": {"temperature": 0.9}, "z": {"min_p": 0.1}}.items():
        options = [word for key, value in given.items() for word in (OPTIONS[key], value)]
        assert vocode(voice, source, tmp_path / f"{name}.wav", *options) == 0
        audio = fw.vocode(model, frames, seed=7, speaker="ann", **given)
        written, _ = fw.read_audio(tmp_path / f"{name}.wav")
        assert np.abs(written - audio).max() <= 1.01 / 32768
    assert len({(tmp_path / f"{name}.wav").read_bytes() for name in "xyz"}) == 3


OPTIONS = {"temperature": "--temperature", "min_p": "--min-p"}
ARRAYS = {
    "transposed": (np.zeros((80, 7)), r"shape \(frames, 80\).*, not \(80, 7\): transposed\?"),
    "channels": (np.zeros((7, 79)), r"shape \(frames, 80\).*, not \(7, 79\)"),
    "rank": (np.zeros((1, 7, 80)), r"real numbers \(frames, channels\)"),
    "complex": (np.zeros((7, 80), complex), r"real numbers \(frames, channels\)"),
    "structured": (np.zeros(7, [("x", float)]), r"real numbers \(frames, channels\)"),
    "text": (np.full((7, 80), "a"), r"real numbers \(frames, channels\)"),
    "pickled": (np.array([[None]]), r"real numbers \(frames, channels\), found object"),
    "empty": (np.zeros((0, 80)), "bad.npy: holds no frames"),
    "nan": (np.full((7, 80), np.nan), "bad.npy: frames must be finite, but hold NaN or infinity"),
    "large": (np.full((7, 80), 1e39), "bad.npy: frames must be finite, but hold numbers beyond fl"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_no_frames_is_an_error_in_one_line(name, voice, tmp_path, capsys):
    array, message = ARRAYS[name]
    np.save(tmp_path / "bad.npy", array, allow_pickle=True)
    assert vocode(voice, tmp_path / "bad.npy", tmp_path / "out.wav") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("array", [np.zeros((7, 80), np.float16), np.zeros((7, 80), order="F")])
def test_frames_of_any_real_type_and_order_are_taken(array, voice, tmp_path):
    np.save(tmp_path / "in.npy", array)
    assert vocode(voice, tmp_path / "in.npy", tmp_path / "out.wav") == 0


def test_a_file_that_is_no_array_is_an_error_naming_it(voice, tmp_path, capsys):
    for content in (b"", b"nothing", b"\x93NUMPY\x01\x00"):
        (tmp_path / "bad.npy").write_bytes(content)
        assert vocode(voice, tmp_path / "bad.npy", tmp_path / "out.wav") == 2
        assert "bad.npy: " in (error := capsys.readouterr().err) and error.count("\n") == 1


def test_what_cannot_be_written_is_refused_before_the_work(voice, mels, tmp_path, capsys):
    cases = {
        (mels, tmp_path / "one.wav"): "holds one sound, but there are 3 sources",
        (mels, tmp_path / "none" / "out"): "expected a .wav, a .flac or a folder",
        (mels / "none.npy", tmp_path / "out.wav"): "no such file or folder",
        (tmp_path / "empty", tmp_path / "out"): "expected .npy or audio files in the folder",
    }
    (tmp_path / "empty").mkdir()
    for (source, output), message in cases.items():
        assert vocode(voice, source, output) == 2
        assert message in capsys.readouterr().err
    line = ["vocode", str(mels / "a.npy"), str(mels / "a.npy"), "-m", str(voice)]
    assert main([*line, "-o", str(tmp_path / "out")]) == 2
    assert "names are those of several sources, as 'a.wav'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_recording_is_not_replaced_by_its_sound(voice, tmp_path, capsys):
    fw.write_audio(tmp_path / "a.wav", np.zeros(4000, np.float32), 16000)
    assert vocode(voice, tmp_path / "a.wav", tmp_path / "a.wav") == 2
    assert "is read and would be replaced" in capsys.readouterr().err


def test_frames_of_another_convention_than_the_models_are_refused(voice, mels, tmp_path, capsys):
    assert vocode(voice, mels / "a.npy", tmp_path / "a.wav", "--mel", "vocos-24k") == 2
    assert "the model takes hifigan-16k, but --mel is vocos-24k" in capsys.readouterr().err
    assert vocode(voice, mels / "a.npy", tmp_path / "a.wav", "--speaker", "cid") == 2
    assert "speaker 'cid' is unknown, expected one of ann, bob" in capsys.readouterr().err


def test_a_model_without_frames_names_its_command_and_the_other_way_round(
    voice, mels, tmp_path, capsys
):
    spec = small_spec(sample_rate=16000)
    modelfile.save(tmp_path / "free.safetensors", spec, random_weights(spec, 3))
    line = [
        "vocode",
        str(mels),
        "-m",
        str(tmp_path / "free.safetensors"),
        "-o",
        str(tmp_path / "o"),
    ]
    assert main(line) == 2
    assert "the model takes no frames" in capsys.readouterr().err
    assert main(["generate", str(voice), "-o", str(tmp_path / "o.wav")]) == 2
    assert "use fastwavenet vocode" in capsys.readouterr().err


# ---- one by one --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_ends_keeps_the_files_that_are_complete(
    voice, mels, tmp_path, capsys, monkeypatch, number
):
    assert vocode(voice, mels, tmp_path / "all") == 0
    capsys.readouterr()
    add = command.Written.add

    def add_and_interrupt(written, index, audio):
        add(written, index, audio)
        signal.raise_signal(number)

    monkeypatch.setattr(command.Written, "add", add_and_interrupt)
    code = vocode(voice, mels, tmp_path / "some", "--batch", 2, "--json")
    said, errors = capsys.readouterr()
    assert code == 128 + number
    assert errors == "fastwavenet: interrupted: 1 of 3 sounds are written, seed 7\n"
    assert json.loads(said)["output"] == [str(tmp_path / "some" / "a.wav")]
    assert [file.name for file in (tmp_path / "some").iterdir()] == ["a.wav"]
    found, expected = (tmp_path / name / "a.wav" for name in ("some", "all"))
    assert found.read_bytes() == expected.read_bytes()


def test_ctrl_c_while_a_file_is_written_leaves_no_part_of_it(
    voice, mels, tmp_path, capsys, monkeypatch
):
    def interrupt(*_):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("fastwavenet.atomic.os.replace", interrupt)
    assert vocode(voice, mels, tmp_path / "out") == 130
    said, errors = capsys.readouterr()
    assert (said, errors) == ("", "fastwavenet: interrupted: 0 of 3 sounds are written, seed 7\n")
    assert list((tmp_path / "out").iterdir()) == []


def test_no_more_files_are_in_memory_than_rows(voice, mels, tmp_path, monkeypatch):
    events, read, add = [], command.read_frames, command.Written.add
    monkeypatch.setattr(
        command, "read_frames", lambda *given, **how: events.append(1) or read(*given, **how)
    )
    monkeypatch.setattr(command.Written, "add", lambda *given: events.append(-1) or add(*given))
    for i in range(7):
        np.save(mels / f"d{i}.npy", np.zeros((1 + i % 3, 80)))
    assert vocode(voice, mels, tmp_path / "out", "--batch", 2) == 0
    assert (events.count(1), events.count(-1)) == (10, 10)
    # One that ends and its successor overlap, because rows are filled at once.
    assert max(np.cumsum(events)) <= 3


def test_a_wrong_header_is_an_error_before_the_work(voice, mels, tmp_path, capsys):
    np.save(mels / "z.npy", np.zeros((7, 79)))
    assert vocode(voice, mels, tmp_path / "out") == 2
    assert "z.npy: frames must have shape" in capsys.readouterr().err
    (mels / "z.npy").write_bytes((mels / "b.npy").read_bytes()[:-4])
    assert vocode(voice, mels, tmp_path / "out") == 2
    message = "z.npy: is cut off: 636 bytes of numbers, expected 640"
    assert message in (error := capsys.readouterr().err) and error.count("\n") == 1
    record(tmp_path / "audio" / "a.wav", np.zeros(4000), rate=16000)
    for name, audio, rate, message in (
        ("b.wav", np.zeros(4000), 8000, "b.wav: has 8000 Hz, expected 16000 Hz"),
        ("b.wav", np.zeros(255), 16000, "has 255 samples, expected at least a frame of 256"),
    ):
        record(tmp_path / "audio" / name, audio, rate=rate)
        assert vocode(voice, tmp_path / "audio", tmp_path / "out") == 2
        assert message in (error := capsys.readouterr().err) and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_file_whose_numbers_are_wrong_leaves_the_sounds_before_it(voice, mels, tmp_path, capsys):
    np.save(mels / "d.npy", np.full((1, 80), np.nan))  # the shortest comes last
    assert vocode(voice, mels, tmp_path / "out", "--batch", 1) == 2
    said, error = capsys.readouterr().err.splitlines()
    assert said == "fastwavenet: 3 of 4 sounds were written before an error"
    assert (
        error
        == f"fastwavenet: error: {mels / 'd.npy'}: frames must be finite, but hold NaN or infinity"
    )
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_frames_with_pitch_or_without_are_named_where_both_are_taken(tmp_path, capsys):
    model = tmp_path / "pitch.safetensors"
    end = FrameConditioning(83, 256, "linear", features=MEL, pitch=Pitch(hidden=4))
    spec = small_spec(conditioning=end, sample_rate=16000)
    modelfile.save(model, spec, random_weights(spec, 3))
    both = "frames must have shape (frames, 83), or (frames, 80) without pitch, not (7, 79)"
    turned = "frames must have shape (frames, 80) or (1, frames, 80), not (80, 7): transposed?"
    for shape, message in (((7, 79), both), ((80, 7), turned), ((7, 80), ""), ((80, 83), "")):
        np.save(tmp_path / "in.npy", np.zeros(shape))
        line = ["vocode", tmp_path / "in.npy", "-m", model, "-o", tmp_path / "out.wav"]
        assert main([str(word) for word in line]) == (2 if message else 0)
        assert message in capsys.readouterr().err
    np.save(tmp_path / "in.npy", np.zeros((7, 80)))
    line = ["generate", model, "--frames", tmp_path / "in.npy", "-o", tmp_path / "out.wav"]
    assert main([str(word) for word in line]) == 2
    message = "in.npy: frames must have shape (frames, 83) or (1, frames, 83), not (7, 80)"
    assert message in capsys.readouterr().err


def test_audio_for_a_model_of_other_frames_is_refused(tmp_path, capsys):
    spec = small_spec(conditioning=FrameConditioning(3, 64), sample_rate=16000)
    modelfile.save(tmp_path / "pitch.safetensors", spec, random_weights(spec, 3))
    hello = record(tmp_path / "hello.wav", np.zeros(4000), rate=16000)
    line = ["vocode", hello, "-m", tmp_path / "pitch.safetensors", "-o", tmp_path / "out.wav"]
    assert main([str(word) for word in line]) == 2
    assert "hello.wav: the model's frames are no mel frames" in capsys.readouterr().err
