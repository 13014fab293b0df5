"""The page on C: its commands build the library and its example, and its C compiles."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from c_build import ROOT, objects_of_extension, setup_names
from documents import Block, blocks
from engines import weights_of
from networks import random_frames, small_spec

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.ends import FrameConditioning

VOICE = small_spec(levels=256, sample_rate=16000)
VOCODER = replace(VOICE, conditioning=FrameConditioning(80, 256, "linear"))


@pytest.fixture(scope="module")
def c_api() -> list[Block]:
    return blocks((ROOT / "docs/c-api.md").read_text())


@pytest.fixture(scope="module")
def page_commands(c_api) -> str:
    """All commands of the page, one block after the other."""
    return "".join(block.text for block in c_api if block.language == "sh")


SHELLS = ["sh", "bash", "zsh"]


def in_a_shell(commands: str, folder: Path, shell: str = "sh", **variables: str) -> str:
    """Runs them in one shell, which ends at the first error; their output."""
    environment = os.environ | variables
    done = subprocess.run(
        [shell, "-ec", commands], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=580,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_flags_to_build_with_are_those_of_setup(build, c_api, tmp_path, shell):
    if not shutil.which(shell):
        pytest.skip(f"this machine has no {shell}")
    (tmp_path / "gcc").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "gcc").chmod(0o755)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "model.o").touch()  # zsh refuses *.o without one
    commands = next(b.text for b in c_api if b.language == "sh")
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    calls = in_a_shell(commands, tmp_path, shell, PATH=path).splitlines()
    flags = " ".join(flag for flag in build["FLAGS"] if flag != "-fvisibility=hidden")
    common = [s for s in build["extension"].sources if s.endswith(".c")]
    objects = setup_names("x86_64")["isa_objects"]() | {Path(s).stem: (s, []) for s in common}
    assert all(call.startswith(f"{flags} ") for call in calls)
    assert sorted(calls[:-1]) == sorted(
        " ".join([flags, *own, "-c", source, "-o", f"build/{name}.o"])
        for name, (source, own) in objects.items()
    )


@pytest.fixture(scope="module")
def built(build, page_commands, tmp_path_factory) -> Path:
    """A source tree with a model, in which all commands of the page were run, in one shell."""
    folder = tmp_path_factory.mktemp("c_api")
    if "avx2" not in build["ISA_FLAGS"]:
        pytest.skip("the page's commands are those for x86-64")
    if not shutil.which("gcc"):
        pytest.skip("this machine has no gcc")
    for name in ("csrc", "examples"):
        (folder / name).symlink_to(ROOT / name)
    modelfile.save(folder / "voice.safetensors", VOICE, weights_of(VOICE))
    modelfile.save(folder / "vocoder.safetensors", VOCODER, weights_of(VOCODER))
    random_frames(VOCODER, 256 * 20, 1).tofile(folder / "frames.f32")
    path = [str(Path(sys.executable).parent), os.environ["PATH"]]
    if objects := objects_of_extension(build):  # which have the same flags
        path.insert(0, str(gcc_with(objects, tmp_path_factory.mktemp("gcc"))))
    else:
        page_commands = page_commands.replace("-O3", "-O0")  # compiles in a third of the time
    in_a_shell(page_commands, folder, PATH=os.pathsep.join(path), PYTHONPATH=str(ROOT))
    return folder


def gcc_with(objects: dict[str, Path], folder: Path) -> Path:
    """A folder with a gcc that copies these objects instead of compiling their sources."""
    for name, path in objects.items():
        shutil.copy(path, folder / f"{name}.o")
    (folder / "gcc").write_text(
        "#!/bin/sh\n"
        "for last; do :; done\n"
        f'made={folder}/$(basename "$last")\n'
        f'if [ -f "$made" ]; then cp "$made" "$last"; else {shutil.which("gcc")} "$@"; fi\n'
    )
    (folder / "gcc").chmod(0o755)
    return folder


def test_the_commands_of_the_page_run_in_one_shell_and_generate_what_python_does(built):
    audio, rate = soundfile.read(built / "out.wav", dtype="int16")
    expected = fw.generate(
        fw.load(built / "voice.safetensors"), n_samples=64000, seed=7, temperature=1
    )
    assert rate == VOICE.sample_rate
    assert np.array_equal(audio, np.clip(np.rint(expected * 32768), -32768, 32767))


def test_the_commands_of_the_page_vocode_what_python_does(built):
    vocoder = fw.load(built / "vocoder.safetensors")
    expected = fw.vocode(vocoder, random_frames(VOCODER, 256 * 20, 1), seed=7, temperature=1)
    assert np.array_equal(np.fromfile(built / "out.f32", np.float32), expected)


def test_the_c_of_the_page_compiles_and_links(c_api, built, tmp_path):
    functions = [b.text for b in c_api if b.language == "c"]
    assert len(functions) >= 5
    for number, text in enumerate(functions):
        (tmp_path / f"{number}.c").write_text(text)
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    warn = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'csrc'}"]
    objects = (built / "build").glob("*.o")
    libraries = ["-lm", "-pthread"]
    command = ["gcc", *warn, *tmp_path.glob("*.c"), *objects, *libraries, "-o", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
