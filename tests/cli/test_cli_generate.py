"""fastwavenet generate: every option, and every way to go wrong."""

import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from networks import random_weights, small_spec
from recordings import full_disk, record, tone

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.cli import generate as command

SPEC = small_spec()  # 8 kHz


def pcm_16(audio):
    """What 16-bit samples leave of audio."""
    return (audio * 32768).round().clip(-32768, 32767) / 32768


def read(path):
    return soundfile.read(path, dtype="float32")[0]


# ---- what is generated -------------------------------------------------------------------------


def test_every_option_of_sampling_reaches_the_engine(run, voice, tmp_path):
    out = tmp_path / "out.flac"
    options = "--samples 99 --seed 3 --stream 5 --temperature 0.7 --top-k 5 --isa scalar"
    assert run("generate", voice, "-o", out, *options.split())[0] == 0
    expected = fw.generate(fw.load(voice), n_samples=99, seed=3, stream=5, temperature=0.7, top_k=5)
    np.testing.assert_array_equal(read(out), pcm_16(expected))


def test_it_lasts_four_seconds_unless_told(run, voice, tmp_path):
    run("generate", voice, "-o", tmp_path / "out.wav")
    assert soundfile.info(tmp_path / "out.wav").duration == 4


def test_a_length_in_seconds_is_rounded_to_samples(run, voice, tmp_path):
    run("generate", voice, "-o", tmp_path / "out.wav", "--seconds", 0.01)
    assert soundfile.info(tmp_path / "out.wav").frames == 80


def test_the_seed_that_was_drawn_is_said_and_repeats_the_sound(run, voice, tmp_path):
    a, b, c = (tmp_path / name for name in ("a.wav", "b.wav", "c.wav"))
    _, said, _ = run("generate", voice, "-o", a, "--samples", 500)
    seed = said.split("seed ")[1].split(",")[0]
    run("generate", voice, "-o", b, "--samples", 500, "--seed", seed)
    run("generate", voice, "-o", c, "--samples", 500)
    assert a.read_bytes() == b.read_bytes() != c.read_bytes()


def test_a_prime_is_continued_and_is_not_in_the_output(run, voice, tmp_path):
    prime = record(tmp_path / "hello.wav", tone(300), rate=8000)
    line = ("generate", voice, "-o", tmp_path / "out.wav", "--samples", 200, "--seed", 1)
    assert run(*line, "--prime", prime)[0] == 0
    expected = fw.generate(fw.load(voice), n_samples=200, seed=1, prime=read(prime))
    np.testing.assert_array_equal(read(tmp_path / "out.wav"), pcm_16(expected))


def test_a_prime_of_another_rate_is_converted_only_when_asked(run, refused, voice, tmp_path):
    prime = record(tmp_path / "hello.wav", np.zeros((320, 2)), rate=16000)
    line = ("generate", voice, "-o", tmp_path / "out.wav", "--samples", 20, "--prime", prime)
    assert refused(*line).startswith(f"{prime}: has 2 channels, expected 1")
    assert run(*line, "--convert")[0] == 0


def test_a_batch_is_a_file_for_each_voice(run, voice, tmp_path):
    line = ("generate", voice, "-o", tmp_path / "out.wav", "--samples", 50, "--seed", 2)
    assert run(*line, "--batch", 11, "--stream", 3)[0] == 0
    for i in (0, 9, 10):
        alone = fw.generate(fw.load(voice), n_samples=50, seed=2, stream=3 + i)
        np.testing.assert_array_equal(read(tmp_path / f"out-{i:02}.wav"), pcm_16(alone))
    assert not (tmp_path / "out.wav").exists()


def test_a_batch_of_one_has_a_number_too(run, voice, tmp_path):
    out = tmp_path / "out.wav"
    assert run("generate", voice, "-o", out, "--samples", 9, "--batch", 1)[0] == 0
    assert soundfile.info(tmp_path / "out-0.wav").frames == 9


# ---- where it goes -----------------------------------------------------------------------------


def test_a_dash_writes_the_same_wav_to_standard_output(run, voice, tmp_path):
    out, line = tmp_path / "out.wav", ["generate", voice, "--samples", "99", "--seed", "3", "-o"]
    run(*line, out)
    command = [sys.executable, "-m", "fastwavenet", *map(str, line), "-"]
    done = subprocess.run(command, capture_output=True, timeout=300)
    assert done.returncode == 0
    assert done.stdout == out.read_bytes()
    assert done.stderr.startswith(b"standard output: ")
    assert soundfile.read(io.BytesIO(done.stdout))[1] == 8000


def test_a_device_is_written_to_and_the_report_goes_to_standard_error(voice):
    line = ["generate", str(voice), "--samples", "99", "--seed", "3", "-o"]
    written = [
        subprocess.run([sys.executable, "-m", "fastwavenet", *line, to], capture_output=True)
        for to in ("-", "/dev/stdout")
    ]
    assert written[0].stdout == written[1].stdout != b""
    assert written[1].stderr.startswith(b"/dev/stdout: ")


def test_a_dash_is_refused_on_a_terminal_and_for_a_batch(refused, voice, monkeypatch):
    with monkeypatch.context() as terminal:
        terminal.setattr("sys.stdout.isatty", lambda: True)
        assert "not a terminal" in refused("generate", voice, "-o", "-")
    assert "must be one of" in refused("generate", voice, "-o", "-", "--subtype", "PCM_17")
    assert "-o - holds one voice" in refused("generate", voice, "-o", "-", "--batch", 2)


@pytest.mark.parametrize(
    ("options", "expected"), [((), "PCM_16"), (("--subtype", "FLOAT"), "FLOAT")]
)
def test_the_subtype_is_16_bit_unless_told(run, voice, tmp_path, options, expected):
    run("generate", voice, "-o", tmp_path / "out.wav", "--samples", 9, "--seed", 1, *options)
    assert soundfile.info(tmp_path / "out.wav").subtype == expected
    exact = fw.generate(fw.load(voice), n_samples=9, seed=1)
    wanted = exact if expected == "FLOAT" else pcm_16(exact)
    np.testing.assert_array_equal(read(tmp_path / "out.wav"), wanted)


def test_an_existing_file_is_replaced(run, voice, tmp_path):
    out = tmp_path / "out.wav"
    out.write_text("old")
    assert run("generate", voice, "-o", out, "--samples", 9)[0] == 0
    assert soundfile.info(out).frames == 9


@pytest.mark.parametrize("options", [(), ("--batch", 3)])
def test_a_plot_is_a_png(run, voice, tmp_path, options):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "out.png"
    line = ("generate", voice, "-o", tmp_path / "out.wav", "--samples", 900, "--plot", picture)
    assert run(*line, *options)[0] == 0
    width, height = np.frombuffer(picture.read_bytes()[16:24], ">u4")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert width > height > 400


def test_the_title_of_a_plot_is_the_files_name_whatever_it_contains(run, voice, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "a$\\frac$\n.wav"  # not an unfinished formula
    line = ("generate", voice, "-o", out, "--samples", 900, "--plot", tmp_path / "out.png")
    assert run(*line)[::2] == (0, "")
    assert soundfile.info(out).frames == 900


# ---- what is said ------------------------------------------------------------------------------


def test_it_says_its_speed(run, voice, tmp_path):
    out = tmp_path / "out.wav"
    _, said, _ = run("generate", voice, "-o", out, "--samples", 800, "--seed", 1)
    number = r"[\d,]+(\.\d)?"
    expected = rf"{out}: 0\.1 s, seed 1, float32, {number} samples/s, {number} x real time\n"
    assert re.fullmatch(expected, said)


def test_json_names_all_that_repeats_the_sound(run, voice, tmp_path):
    out = tmp_path / "out.wav"
    line = ("generate", voice, "-o", out, "--samples", 80, "--seed", 1, "--isa", "scalar")
    said = json.loads(run(*line, "--json")[1])
    assert said.pop("samples_per_second") == pytest.approx(8000 * said.pop("times_real_time"))
    assert said == {
        "output": [str(out)],
        "samples": 80,
        "sample_rate": 8000,
        "seed": 1,
        "stream": 0,
        "precision": "float32",
        "isa": "scalar",
    }


def test_progress_is_shown_on_a_terminal_only_and_wiped_away(run, voice, tmp_path, monkeypatch):
    monkeypatch.setattr("fastwavenet.cli.report.REDRAW_SECONDS", 0)
    line = ("generate", voice, "-o", tmp_path / "out.wav", "--seconds", 1)
    assert run(*line)[2] == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown = run(*line)[2].split("\r")
    number = r"[\d,]+(\.\d)?"
    expected = rf" *\d+ %  {number} samples/s  {number} x real time  \d+:\d\d left *"
    assert all(re.fullmatch(expected, text) for text in shown[1:-2])
    assert shown[-3].startswith("100 %")
    assert shown[-2].strip() == shown[-1] == ""
    assert run(*line, "--quiet")[2] == ""


def test_silence_is_remarked_with_settings_to_try(run, silent, tmp_path):
    line = ("generate", silent, "-o", tmp_path / "out.wav", "--seconds", 0.2)
    code, _, remark = run(*line)
    assert code == 0
    assert remark == (
        "fastwavenet: 100% of the sound is silent (below -55 dB) or one value: try another --seed, "
        "--prime with a recording, or longer training\n"
    )
    assert "--temperature 1, because" in run(*line, "--temperature", 0.9)[2]
    assert "fastwavenet: 2 of 2 voices: 100% of" in run(*line, "--batch", 2)[2]
    assert run(*line, "--quiet")[2] == ""


def test_sound_is_not_remarked(run, voice, tmp_path):
    assert run("generate", voice, "-o", tmp_path / "out.wav", "--seconds", 1)[2] == ""


def test_the_temperature_is_1_unless_told(run, voice, tmp_path):
    run("generate", voice, "-o", tmp_path / "out.wav", "--samples", 999, "--seed", 1)
    expected = fw.generate(fw.load(voice), n_samples=999, seed=1, temperature=1)
    np.testing.assert_array_equal(read(tmp_path / "out.wav"), pcm_16(expected))


# ---- errors ------------------------------------------------------------------------------------


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
        ("--seed", "-1", "seed must be a whole number from 0 to 18446744073709551615, not -1"),
        ("--seed", str(2**64), "seed must be a whole number from 0 to 18446744073709551615"),
        ("--stream", "-1", "stream must be a whole number from 0 to 4294967295, not -1"),
        ("--batch", "0", "--batch must be from 1 to 65536, not 0"),
        ("--batch", "-2", "--batch must be from 1 to 65536, not -2"),
        ("--temperature", "nan", "temperature must be 0"),
        ("--temperature", "-1", "temperature must be 0"),
        ("--top-k", "0", "top_k must be a whole number from 1 to 16, not 0"),
        ("--isa", "sse9", "isa 'sse9' is unknown; available: scalar"),
        ("--subtype", "PCM_17", "must be one of PCM_16, "),
        ("--prime", "nowhere.wav", "nowhere.wav: No such file or directory"),
        ("--plot", "none/out.png", "none/out.png: the folder "),
        ("--plot", "out.jpg", "out.jpg: the name must end in .png"),
        ("--plot", "png", "png: the name must end in .png"),
    ],
)
def test_a_bad_value_is_refused_by_name(refused, voice, tmp_path, option, value, expected):
    out = tmp_path / "out.wav"
    assert expected in refused("generate", voice, "-o", out, option, value)
    assert list(tmp_path.iterdir()) == [voice]


def test_two_lengths_are_refused(refused, voice, tmp_path):
    line = ("generate", voice, "-o", tmp_path / "out.wav", "--seconds", 1, "--samples", 1)
    assert refused(*line) == "give either --seconds or --samples, not both"


def test_more_voices_than_a_picture_holds_are_refused(refused, voice, tmp_path):
    line = ("generate", voice, "-o", tmp_path / "out.wav", "--plot", tmp_path / "out.png")
    assert refused(*line, "--batch", 17) == "--plot draws up to 16 voices, not 17"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("out.mp3", "out.mp3: the name must end in "),
        ("none/out.wav", "none/out.wav: the folder "),
        ("folder.wav", "folder.wav is a folder, expected a file name"),
    ],
)
def test_a_bad_output_is_refused_before_the_work(
    refused, voice, tmp_path, monkeypatch, name, expected
):
    (tmp_path / "folder.wav").mkdir()
    monkeypatch.setattr(command, "Generator", lambda *_, **__: pytest.fail("worked in vain"))
    assert expected in refused("generate", voice, "-o", tmp_path / name)


def test_a_full_disk_is_an_error_without_a_file(refused, voice, tmp_path):
    out = tmp_path / "out.wav"
    with full_disk(1000):
        assert "File too large" in refused("generate", voice, "-o", out, "--seconds", 1)
    assert list(tmp_path.iterdir()) == [voice]


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


# ---- inputs stay -------------------------------------------------------------------------------


def test_no_output_replaces_the_model_or_the_recording(voice, tmp_path, refused):
    hello = tmp_path / "hello.wav"
    soundfile.write(hello, np.zeros(100), 8000)
    before = hello.read_bytes(), voice.read_bytes()
    link = tmp_path / "link.wav"
    link.symlink_to(hello)
    for out in (hello, link):
        said = refused("generate", voice, "-o", out, "--prime", hello, "--samples", 5)
        assert "would be replaced" in said
    said = refused("generate", voice, "-o", voice, "--raw", "--samples", 5)
    assert "expected a name like out.raw" in said
    assert (hello.read_bytes(), voice.read_bytes()) == before


def test_an_empty_name_is_not_the_current_folder(voice, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in (
        ("generate", "", "-o", "x.wav"),
        ("generate", voice, "-o", ""),
        ("generate", voice, "-o", "x.wav", "--prime", ""),
        ("train", "", "-o", "run"),
        ("train", "hello.wav", "-o", ""),
        ("info", ""),
        ("score", voice, ""),
        ("export", "", "-o", "x.safetensors"),
    ):
        assert "the name is empty" in refused(*line)
    assert not (tmp_path / "run").exists()


def test_a_picture_is_not_written_into_a_pipe(voice, tmp_path, refused):
    pipe = tmp_path / "p.png"
    os.mkfifo(pipe)
    said = refused("generate", voice, "-o", tmp_path / "x.wav", "--samples", 5, "--plot", pipe)
    assert "device or a pipe" in said


def test_a_number_of_thousands_of_digits_is_shortened(voice, tmp_path, refused):
    for option in ("--seed", "--batch", "--top-k", "--threads", "--stream"):
        said = refused("generate", voice, "-o", tmp_path / "x.wav", option, "9" * 4000)
        assert len(said) < 300


def test_min_p_on_the_command_line(run, voice, tmp_path):
    paths = [tmp_path / f"{name}.wav" for name in ("plain", "zero", "half")]
    for path, extra in zip(paths, ((), ("--min-p", 0), ("--min-p", 0.5)), strict=True):
        command = ("generate", voice, "-o", path, "--samples", 500, "--seed", 1, *extra)
        assert run(*command)[0] == 0
    plain, zero, half = (path.read_bytes() for path in paths)
    assert plain == zero != half
