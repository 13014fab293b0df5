"""fastwavenet generate -o -: sound while it is made, raw and endless sound, and Ctrl-C."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import fastwavenet as fw
from fastwavenet import cli
from fastwavenet.audio import SUBTYPES
from fastwavenet.cli import generate as command

HOURS = "60000"  # in seconds: no test waits for the end

SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell ignored it
from fastwavenet.cli import main
sys.exit(main(sys.argv[1:]))
"""


def start(*line, **how):
    """fastwavenet generate LINE as a process."""
    command = [sys.executable, "-c", SCRIPT, "generate", *map(str, line)]
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    return subprocess.Popen(command, **how)


def sixteen_bit(audio):
    return np.clip(np.rint(audio.astype(float) * 32768), -32768, 32767).astype("<i2").tobytes()


# ---- a stream ----------------------------------------------------------------------------------


@pytest.mark.parametrize("subtype", SUBTYPES["WAV"])
@pytest.mark.parametrize("n", [1, 33, 5001])
def test_a_stream_has_the_bytes_of_the_file(voice, tmp_path, capfdbinary, subtype, n):
    line = ["generate", str(voice), "--samples", str(n), "--seed", "3", "--subtype", subtype, "-o"]
    assert cli.main([*line, str(tmp_path / "out.wav")]) == 0
    capfdbinary.readouterr()
    assert cli.main([*line, "-"]) == 0
    assert capfdbinary.readouterr().out == (tmp_path / "out.wav").read_bytes()


def test_header_and_sound_come_while_the_rest_is_still_generated(voice):
    """And a reader that closes the pipe ends it at once."""
    expected = fw.generate(fw.load(voice), n_samples=3000, seed=3)
    with start(voice, "-o", "-", "--seconds", HOURS, "--seed", 3) as process:
        head = process.stdout.read(44 + 2 * 3000)  # of a gigabyte
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (cli.program.PIPE_CLOSED, b"")
    assert int.from_bytes(head[40:44], "little") == 2 * 60000 * 8000
    assert head[44:] == sixteen_bit(expected)


@pytest.mark.parametrize("length", [("--seconds", "inf"), ("--samples", 2**40)])
def test_raw_sound_is_endless_until_nobody_reads(voice, length):
    expected = fw.generate(fw.load(voice), n_samples=20000, seed=3)
    with start(voice, "-o", "-", "--raw", *length, "--seed", 3) as process:
        assert process.stdout.read(2 * 20000) == sixteen_bit(expected)
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (cli.program.PIPE_CLOSED, b"")


def test_a_reader_that_comes_late_is_waited_for_and_gets_all(voice, tmp_path):
    fifo, got = tmp_path / "fifo", []
    os.mkfifo(fifo)
    with start(voice, "-o", fifo, "--samples", 999, "--seed", 3) as process:
        expected = f"fastwavenet: {fifo}: waiting for a program that reads from this pipe\n"
        assert process.stderr.readline().decode() == expected
        reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
        reader.start()
        process.communicate(timeout=300)
        reader.join(300)
    audio = soundfile.read(io.BytesIO(got[0]), dtype="int16")[0]
    assert audio.tobytes() == sixteen_bit(fw.generate(fw.load(voice), n_samples=999, seed=3))


def test_a_pipe_that_does_not_wait_gets_all(voice):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with start(
        voice, "-o", "-", "--raw", "--samples", 99999, "--seed", 3, stdout=writer
    ) as process:
        os.close(writer)
        with open(reader, "rb") as file:
            got = file.read()
        assert process.wait(300) == 0
    assert len(got) == 2 * 99999


# ---- without a stream --------------------------------------------------------------------------


def redirected(redirection, *line):
    """fastwavenet generate LINE in a shell: exit code and stderr."""
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "fastwavenet"]
    line = [*command, "generate", *map(str, line)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stderr


@pytest.mark.parametrize("to", ["-", "/dev/stdout"])
def test_sound_for_a_closed_standard_output_is_refused(voice, to):
    expected = f"-o {to}: standard output is closed, expected a file or a pipe"
    said = redirected(">&-", voice, "-o", to, "--samples", 9)
    assert said == (2, f"fastwavenet: error: {expected}\n")


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")


@needs_full
@pytest.mark.parametrize("to", ["-", "/dev/full"])
def test_sound_that_does_not_fit_is_an_error(voice, to):
    name = "standard output" if to == "-" else to
    expected = f"fastwavenet: error: {name}: No space left on device\n"
    assert redirected(">/dev/full", voice, "-o", to, "--samples", 9) == (2, expected)


@needs_full
def test_a_remark_that_cannot_be_written_changes_no_exit_code(silent, tmp_path):
    out = tmp_path / "out.wav"
    assert redirected("2>/dev/full", silent, "-o", out, "--samples", 2000) == (0, "")
    assert soundfile.info(out).frames == 2000


# ---- --raw -------------------------------------------------------------------------------------


def test_a_raw_file_has_the_samples_alone(run, voice, tmp_path):
    out = tmp_path / "out.raw"
    assert run("generate", voice, "-o", out, "--raw", "--samples", 99, "--seed", 3)[0] == 0
    assert out.read_bytes() == sixteen_bit(fw.generate(fw.load(voice), n_samples=99, seed=3))
    assert run("generate", voice, "-o", out, "--raw", "--samples", 9, "--batch", 2)[0] == 0
    assert (tmp_path / "out-1.raw").stat().st_size == 18


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (("-o", "out.wav", "--raw"), "out.wav: --raw writes no header, expected a name like"),
        (("-o", "out.FLAC", "--raw"), "out.FLAC: --raw writes no header, expected a name like"),
        (("-o", "none/out.raw", "--raw"), "none/out.raw: the folder "),
        (
            ("-o", "x.raw", "--raw", "--subtype", "FLOAT"),
            "--raw writes 16-bit samples, not 'FLOAT'",
        ),
        (
            ("-o", "x.raw", "--raw", "--seconds", "inf"),
            "--seconds inf needs a pipe (-o -), not the",
        ),
        (("-o", "x.raw", "--raw", "--seconds=-inf"), "--seconds must be from"),
        (("-o", "-", "--seconds", "inf"), "not inf: endless sound has no header, add --raw"),
        (("-o", "-", "--raw", "--seconds", "inf", "--plot", "x.png"), "--plot draws a whole sound"),
        (("-o", "-", "--samples", 2**30, "--subtype", "FLOAT"), "-o -: 1073741824 samples are too"),
        (("-o", "-", "--subtype", "PCM_17"), "-o -: the subtype of a WAV must be one of"),
    ],
)
def test_a_sound_that_cannot_be_is_refused_before_the_work(
    refused, voice, tmp_path, monkeypatch, line, expected
):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert expected in refused("generate", voice, *line)
    assert list(tmp_path.iterdir()) == [voice]


# ---- Ctrl-C ------------------------------------------------------------------------------------


def interrupt(monkeypatch, *blocks):
    """Ctrl-C behind each of these blocks, counted from 1."""
    next_size, calls = command._next_size, []

    def interrupted(size, took):
        calls.append(size)
        if len(calls) in blocks:
            signal.raise_signal(signal.SIGINT)
        return next_size(size, took)

    monkeypatch.setattr(command, "_next_size", interrupted)


def samples_said(errors: str, out: str) -> int:
    found = re.fullmatch(rf"fastwavenet: interrupted: {out} has ([\d.]+) s, seed 3\n", errors)
    return round(float(found[1]) * 8000)


@pytest.mark.parametrize("block", [1, 2, 7])
@pytest.mark.parametrize("name", ["out.wav", "out.flac", "out.raw"])
def test_ctrl_c_keeps_the_sound_made_so_far(run, voice, tmp_path, monkeypatch, name, block):
    out, raw = tmp_path / name, ["--raw"] if name == "out.raw" else []
    interrupt(monkeypatch, block)
    code, said, errors = run("generate", voice, "-o", out, "--seconds", HOURS, "--seed", 3, *raw)
    n = samples_said(errors, out)
    data = out.read_bytes() if raw else soundfile.read(out, dtype="int16")[0].tobytes()
    assert (code, said) == (130, "")
    assert n >= 32 and data == sixteen_bit(fw.generate(fw.load(voice), n_samples=n, seed=3))
    assert {file.name for file in tmp_path.iterdir()} == {voice.name, name}


def test_ctrl_c_keeps_all_voices_and_the_picture(run, voice, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    interrupt(monkeypatch, 3)
    line = ("generate", voice, "-o", tmp_path / "out.wav", "--seconds", 60, "--seed", 3)
    code, said, errors = run(*line, "--batch", 2, "--json", "--plot", tmp_path / "out.png")
    n = samples_said(errors, f"{tmp_path / 'out-0.wav'} ... out-1.wav")
    assert (code, json.loads(said)["samples"]) == (130, n)
    for i in range(2):
        expected = sixteen_bit(fw.generate(fw.load(voice), n_samples=n, seed=3, stream=i))
        assert soundfile.read(tmp_path / f"out-{i}.wav", dtype="int16")[0].tobytes() == expected
    assert (tmp_path / "out.png").exists()


def test_ctrl_c_before_the_first_sample_leaves_nothing(run, voice, tmp_path, monkeypatch):
    def interrupted(*_):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(command.Files, "begin", interrupted)
    line = ("generate", voice, "-o", tmp_path / "out.wav", "--seconds", 1)
    assert run(*line) == (130, "", "fastwavenet: interrupted\n")
    assert list(tmp_path.iterdir()) == [voice]


def test_ctrl_c_while_saving_does_not_stop_the_saving(run, voice, tmp_path, monkeypatch):
    save, calls = command.Files._save, []

    def interrupted(files):
        calls.append(files)
        if len(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        save(files)

    monkeypatch.setattr(command.Files, "_save", interrupted)
    line = ("generate", voice, "-o", tmp_path / "out.wav", "--samples", 800, "--seed", 3)
    code, _, errors = run(*line)
    assert (code, samples_said(errors, tmp_path / "out.wav")) == (130, 800)
    assert soundfile.info(tmp_path / "out.wav").frames == 800


def test_ctrl_c_ends_a_stream_with_its_length_said(voice, monkeypatch, capfd):
    interrupt(monkeypatch, 5)
    code = cli.main(["generate", str(voice), "-o", "-", "--raw", "--seconds", "inf", "--seed", "3"])
    assert code == 130
    assert samples_said(capfd.readouterr().err, "standard output") >= 32


def test_ctrl_c_ends_a_stream_whose_reader_does_not_read(voice):
    with start(voice, "-o", "-", "--raw", "--seconds", "inf", "--seed", 3) as process:
        assert process.stdout.read(2**16)  # the next ones fill the pipe
        process.send_signal(signal.SIGINT)
        assert process.wait(300) == 130
        errors = process.stderr.read().decode()
        rest = process.stdout.read()
    read, block = 2**16 + len(rest), 2 * command.MAX_BLOCK
    assert read - block <= 2 * samples_said(errors, "standard output") <= read


@pytest.mark.parametrize(("to", "mode"), [("-", "wb"), ("/dev/stdout", "wb"), ("-", "ab")])
def test_after_ctrl_c_a_redirected_file_states_its_true_length(voice, tmp_path, to, mode):
    """`> out.wav`; behind `>>` the file is another's, and only grows."""
    out = tmp_path / "out.wav"
    with (
        open(out, mode) as file,
        start(voice, "-o", to, "--seconds", HOURS, stdout=file) as process,
    ):
        while out.stat().st_size < 5000:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
    stated = int.from_bytes(out.read_bytes()[40:44], "little")
    assert process.returncode == 130
    assert stated == (out.stat().st_size - 44 if mode == "wb" else 2 * 60000 * 8000)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_keeps_the_sound_made_so_far(voice, tmp_path, number):
    out = tmp_path / "out.wav"
    line = [sys.executable, "-m", "fastwavenet", "generate", voice, "-o", "-", "--seconds", "9999"]
    with out.open("wb") as file:
        process = subprocess.Popen([*map(str, line)], stdout=file, stderr=subprocess.PIPE)
        while out.stat().st_size < 10_000:
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert b"interrupted" in said
    assert len(fw.read_audio(out)[0]) > 1000
