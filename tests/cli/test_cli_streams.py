"""Standard output and standard error that are missing, full or closed do not end the work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from recordings import record, tone

from fastwavenet import cli, modelfile
from fastwavenet.cli.report import silence

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
FULL = "standard output: No space left on device\n"


def shell(redirection, *argv):
    """A command line with its streams redirected: exit code, stdout, stderr."""
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "fastwavenet"]
    done = subprocess.run(
        [*command, *map(str, argv)],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.wav"


# ---- missing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_sound_is_generated_without_streams(voice, out, redirection):
    code, _, errors = shell(redirection, "generate", voice, "-o", out, "--samples", 2000)
    assert (code, errors) == (0, "")
    assert soundfile.info(out).frames == 2000


@pytest.mark.parametrize(
    ("line", "redirection"),
    [
        (("info", "nosuch"), "2>&-"),
        (("info", "--nosuch"), "2>&-"),
        pytest.param(("info", "nosuch"), "2>/dev/full", marks=needs_full),
        pytest.param(("sing",), "2>/dev/full", marks=needs_full),
    ],
)
def test_an_error_is_never_on_standard_output_and_keeps_its_exit_code(line, redirection):
    assert shell(redirection, *line) == (2, "", "")


def test_help_without_standard_output_is_no_error():
    assert shell(">&-", "--version")[0] == 0


def test_no_file_gets_the_number_of_a_missing_stream(tmp_path):
    script = """
import os
from fastwavenet.cli import main
assert main(["info", "nosuch"]) == 2
assert os.path.samestat(os.fstat(2), os.stat(os.devnull))
"""
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", script]
    assert subprocess.run(command, cwd=tmp_path, timeout=300).returncode == 0


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_program_without_a_console_can_call_main(voice, out, monkeypatch, name):
    monkeypatch.setattr(sys, name, None)
    assert cli.main(["generate", str(voice), "-o", str(out), "--samples", "100"]) == 0
    assert cli.main(["info", "nosuch"]) == 2
    assert soundfile.info(out).frames == 100


def test_commands_that_print_have_a_standard_output_to_flush(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with silence(False):
        print("lost")
        sys.stdout.flush()  # as `bench` does before it starts itself anew
    assert sys.stdout is None


def test_a_stream_that_was_closed_since_does_not_end_the_work(voice, out, monkeypatch):
    with open(os.devnull, "w") as closed:
        monkeypatch.setattr(sys, "stderr", closed)
    assert cli.main(["generate", str(voice), "-o", str(out), "--samples", "100"]) == 0
    assert soundfile.info(out).frames == 100


# ---- full --------------------------------------------------------------------------------------


@needs_full
@pytest.mark.parametrize("line", [("info",), ("info", "--json"), ("score", "--help")])
def test_a_result_that_does_not_fit_is_an_error(line):
    assert shell(">/dev/full", *line) == (2, "", f"fastwavenet: error: {FULL}")


@needs_full
def test_a_full_standard_output_does_not_end_the_work(voice, out, tmp_path):
    recording = record(tmp_path / "a.wav", tone(200), rate=8000)
    line = ("export", voice, "-o", tmp_path / "copy.safetensors", "--measure", recording)
    assert shell(">/dev/full", *line)[2].endswith(FULL)
    assert modelfile.load(tmp_path / "copy.safetensors").precision_cost
    assert shell(">/dev/full", "generate", voice, "-o", out, "--samples", 9)[2].endswith(FULL)
    assert soundfile.info(out).frames == 9


def test_scoring_ends_when_nobody_reads_on(voice, tmp_path):
    """`fastwavenet score ... | head -0`"""
    recording = record(tmp_path / "a.wav", tone(200), rate=8000)
    (tmp_path / "text").write_text("no audio")
    command = [sys.executable, "-m", "fastwavenet", "score", voice, recording, tmp_path / "text"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""  # it did not get to the text
    assert process.returncode == cli.program.PIPE_CLOSED
