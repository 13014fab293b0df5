"""Installing without a C compiler, or with one that cannot compile the engine, ends in advice."""

import os
import shutil
import subprocess
import sys

import pytest
from c_build import ROOT

pytest.importorskip("Cython")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the compiler is found otherwise")


def last_line(folder, **environment):
    """Of a build of the extension into `folder` that must fail."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--force"]
    command += ["--build-lib", folder / "lib", "--build-temp", folder / "temp"]
    done = subprocess.run(
        command, cwd=folder / "source", env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


@pytest.fixture
def folder(tmp_path):
    """A folder with the source, since a build writes into it."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / "source").mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "source" / name)
    for name in ("csrc", "fastwavenet"):
        ignored = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(ROOT / name, tmp_path / "source" / name, ignore=ignored)
    return tmp_path


def test_without_a_compiler_it_is_said_what_to_install(folder):
    line = last_line(folder, CC="no-such-compiler")
    assert line.startswith("error: no C compiler: 'no-such-compiler' was not found. Debian")
    assert "apt install build-essential python3-dev;" in line


def test_a_compiler_that_fails_is_named_with_the_versions_that_can(folder):
    """As one that is too old for the flags of an instruction set."""
    line = last_line(folder, CC="false")
    assert line.startswith(
        "error: 'false' failed as shown above: expected gcc 11, clang 12 or newer"
    )
    assert "apt install build-essential" in line
