"""What all commands have in common: help, one-line errors, exit codes, --quiet, --json."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from recordings import record, tone

import fastwavenet as fw
from fastwavenet import cli

COMMANDS = [
    *("train", "import", "export", "generate", "vocode", "score", "evaluate", "info"),
    *("voices", "bench", "demo"),
]


def python(*argv, **how):
    return subprocess.run(
        [sys.executable, *map(str, argv)], capture_output=True, timeout=300, **how
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(run, command):
    code, said, _ = run(command, "--help")
    assert code == 0
    assert f"example:\n  fastwavenet {command} " in said


def test_help_lists_every_command(run):
    code, said, _ = run("--help")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines() if line.startswith("    ")][
        : len(COMMANDS)
    ]
    for command in COMMANDS:
        assert f"\n    {command} " in said


def test_the_version_is_the_packages(run):
    assert run("--version") == (0, f"fastwavenet {fw.__version__}\n", "")


def test_an_unknown_command_is_refused(refused):
    assert "invalid choice: 'sing'" in refused("sing")
    assert refused().startswith("the following arguments are required: COMMAND")


def test_options_must_be_written_out(refused, voice):
    assert "unrecognized arguments: --temp" in refused(
        "generate", voice, "-o", "out.wav", "--temp", 1
    )


def test_the_package_runs_as_a_module(voice, tmp_path):
    out = tmp_path / "out.wav"
    done = python("-m", "fastwavenet", "generate", voice, "-o", out, "--samples", 10)
    assert (done.returncode, done.stderr) == (0, b"")
    assert soundfile.info(out).frames == 10


@pytest.mark.parametrize(
    ("missing", "line", "extra"),
    [
        ("torch", ["bench", "--quick"], "bench"),
        ("tqdm", ["train", "a.wav", "-o", "run"], "train"),
    ],
)
def test_what_is_missing_is_said_with_what_brings_it(tmp_path, missing, line, extra):
    script = f"""
import sys
sys.modules[{missing!r}] = None  # as if it were not installed
from fastwavenet.cli import main
sys.exit(main({line!r}))
"""
    done = python("-c", script, text=True, cwd=tmp_path)
    expected = f"fastwavenet: error: {missing} is missing: pip install 'fastwavenet[{extra}]'\n"
    assert (done.returncode, done.stderr) == (2, expected)
    assert list(tmp_path.iterdir()) == []


def test_only_training_needs_torch(voice, tmp_path):
    script = """
import sys
sys.modules["torch"] = None  # as if it were not installed
from fastwavenet.cli import main
voice, out = sys.argv[1:]
assert main(["generate", voice, "-o", out, "--samples", "10"]) == 0
assert main(["score", voice, out]) == 0
assert main(["info", voice]) == 0
sys.exit(main(["train", out, "-o", out + ".run"]))
"""
    done = python("-c", script, voice, tmp_path / "out.wav", text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "fastwavenet: error: torch is missing: pip install 'fastwavenet[train]'\n"
    )


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where it was ignored
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from fastwavenet.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("line", [["--help"], ["generate", "voice.safetensors", "-o", "out.wav"]])
@pytest.mark.parametrize(
    "module", ["fastwavenet.cli.program", "argparse", "numpy", "fastwavenet._engine", "soundfile"]
)
def test_ctrl_c_during_the_imports_ends_without_a_traceback(module, line, tmp_path):
    done = python("-c", INTERRUPTED, module, *line, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "fastwavenet: interrupted\n"


def test_ctrl_c_stays_ignored_and_a_hosts_handler_in_its_place(voice, tmp_path):
    script = """
import signal, sys
from fastwavenet.cli import main
for handler in (signal.SIG_IGN, signal.default_int_handler, lambda *_: None):
    signal.signal(signal.SIGINT, handler)
    assert main(["info", sys.argv[1], "--quiet"]) == 0
    assert signal.getsignal(signal.SIGINT) is handler
"""
    assert python("-c", script, voice).returncode == 0


@pytest.fixture
def lines(voice, tmp_path):
    """A working line for each command that is quickly done."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(voice.read_bytes())
    recording = record(tmp_path / "a.wav", tone(200), rate=8000)
    return {
        "export": ("export", folder, "-o", tmp_path / "copy.safetensors"),
        "generate": ("generate", voice, "-o", tmp_path / "out.wav", "--samples", 100),
        "score": ("score", voice, recording),
        "info": ("info", voice),
        "info about the installation": ("info",),
    }


@pytest.mark.parametrize("what", ["export", "generate", "score", "info about the installation"])
def test_quiet_says_nothing(run, lines, what):
    assert run(*lines[what])[1] != ""
    assert run(*lines[what], "--quiet") == (0, "", "")
    assert run(*lines[what], "-q") == (0, "", "")


@pytest.mark.parametrize(
    "what", ["export", "generate", "score", "info", "info about the installation"]
)
def test_json_is_one_object_and_nothing_else(run, lines, what):
    code, said, errors = run(*lines[what], "--json")
    assert (code, errors) == (0, "")
    assert isinstance(json.loads(said), dict)


def test_a_reader_that_has_enough_is_no_error(voice):
    """`fastwavenet generate ... -o - | head -c 10`"""
    command = [sys.executable, "-m", "fastwavenet", "generate", str(voice), "-o", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (cli.program.PIPE_CLOSED, b"")


def test_the_demo_gets_its_folder_and_minutes(run, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("fastwavenet.demo.run_demo", lambda *args: calls.append(args[:2]))
    assert run("demo", "-o", tmp_path, "--minutes", "0.5")[0] == 0
    assert run("demo")[0] == 0
    assert calls == [(tmp_path, 0.5), (Path("demo"), 1.0)]


def test_a_name_that_is_no_text_is_no_error(voice, tmp_path):
    out = bytes(tmp_path / "out") + b"\xff.wav"
    line = ["-m", "fastwavenet", "generate", voice, "--samples", 9, "-o", out]
    command = [sys.executable, *[os.fsencode(str(a)) if a is not out else a for a in line]]
    done = subprocess.run(command, capture_output=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")
    assert Path(os.fsdecode(out)).exists()
