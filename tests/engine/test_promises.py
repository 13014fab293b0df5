"""Promises that are about what the code does not do; the others are listed in docs/promises.md."""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from c_build import ROOT, WARN, run
from engines import weights_of
from example_files import dump
from networks import NETWORKS
from source_imports import SOURCES, imports, roots

# ---- no system call ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def program(compile_engine, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("quiet")
    if sys.platform != "linux" or not shutil.which("gcc"):
        pytest.skip("this machine has no Linux with gcc")
    source = ROOT / "tests" / "c" / "no_system_call.c"
    options = ["-std=gnu11", "-O3", *WARN, "-Wno-unused-function", f"-I{ROOT / 'csrc'}"]
    awake = folder / "pool.o"
    run("gcc", *options, "-DFWN_LINGER=2000000000", "-c", ROOT / "csrc" / "pool.c", "-o", awake)
    objects = compile_engine("gcc") | {"pool": awake}
    run("gcc", *options, source, *objects.values(), "-lm", "-pthread", "-o", folder / "program")
    return folder / "program"


def without_system_calls(
    program: Path, folder: Path, name: str, precision: str, isa: str, threads: int, *control: str
) -> int:
    spec = NETWORKS[name]
    (folder / "model.dump").write_bytes(dump(spec, weights_of(spec), precision))
    command = [program, folder / "model.dump", isa, str(threads), *control]
    code = subprocess.run(command, timeout=300).returncode
    if code == 77:
        pytest.skip("this kernel has no seccomp filters")
    return code


@pytest.mark.parametrize("name", ["kernels_mixed", "wider_than_a_vector", "dilations_around_16"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.each_pair
def test_a_step_makes_no_system_call(program, tmp_path, name, precision, isa, threads):
    assert without_system_calls(program, tmp_path, name, precision, isa, threads) == 0


def test_a_system_call_would_be_noticed(program, tmp_path):
    case = ("kernels_mixed", "float32", "scalar", 1, "control")
    code = without_system_calls(program, tmp_path, *case)
    assert code == -signal.SIGSYS


# ---- no pickle ---------------------------------------------------------------------------------

PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNPICKLES = re.compile(r"\b(torch\.load|np\.load|numpy\.load)\(|allow_pickle|safe_globals")


@pytest.mark.parametrize("module", SOURCES)
def test_nothing_loads_a_pickle(module):
    assert roots(imports(module)) & PICKLES == set()
    assert UNPICKLES.findall(SOURCES[module].read_text()) == []
