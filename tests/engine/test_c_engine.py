"""csrc/ without Python: tests/c/test_*.c under sanitizers, and what the objects contain."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from c_build import CLAIMS, SANITIZE, WRAP, compiles, link, run, run_under_thread_sanitizer

from fastwavenet import _engine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses GNU ld, objdump and nm")


# ---- the program -------------------------------------------------------------------------------


# clang's sanitizers run the fuzzer of test_fuzz.py each time, and these claims in `make test-slow`.
@pytest.fixture(scope="session", params=["gcc", pytest.param("clang", marks=pytest.mark.slow)])
def program(request, compile_engine, tmp_path_factory) -> Path:
    compiler, folder = request.param, tmp_path_factory.mktemp(request.param)
    if not compiles(compiler, folder, *SANITIZE):
        pytest.skip(f"this machine has no {compiler} with sanitizers")
    objects = compile_engine(compiler, *SANITIZE)
    return link(compiler, "test_engine", objects, folder, *SANITIZE, *WRAP)


def test_the_list_of_claims_is_the_programs(program):
    assert run(program).split() == list(CLAIMS)
    assert len(CLAIMS) > 20


def test_an_unknown_claim_is_not_true(program):
    assert subprocess.run([program, "no_such_claim"]).returncode != 0


@pytest.mark.parametrize("claim", CLAIMS)
def test_in_c(program, claim):
    run(program, claim)


# ---- threads -----------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_threads_share_models_and_codecs_and_meet_on_a_stream(compile_engine, tmp_path, samples):
    """What the extension claims with freethreading_compatible, under the thread sanitizer."""
    run_under_thread_sanitizer(compile_engine, tmp_path, "threads", f"-DSAMPLES={samples}")


# ---- the objects -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def objects(compile_engine) -> dict[str, Path]:
    if not all(map(shutil.which, ("gcc", "objdump", "nm"))):
        pytest.skip("this machine has no gcc with objdump and nm")
    return compile_engine("gcc")


def wide_registers(path: Path) -> set[str]:
    code = run("objdump", "-d", "--no-show-raw-insn", path)
    return set(re.findall(r"%([yzt]mm)\d", code)) | set(re.findall(r"%(k)[0-7]\b", code))


def test_only_the_files_of_wide_instruction_sets_contain_their_instructions(objects, build):
    for name, path in objects.items():
        found, flags = wide_registers(path), build["isa_objects"]().get(name, ("", []))[1]
        assert ("tmm" in found) == ("-mamx-int8" in flags), name
        assert ("zmm" in found) == ("-mavx512f" in flags), name
        if "-mavx512f" not in flags:
            assert found == ({"ymm"} if "-mavx2" in flags else set()), name
    assert set(objects) >= {"isa_scalar_0", "isa_scalar_2", "dispatch", "model", "stream", "mulaw"}


def test_the_engine_has_no_globals_that_change(objects):
    for name, path in objects.items():
        sizes = dict(re.findall(r"^(\.\S+)\s+(\d+)", run("size", "-A", path), re.MULTILINE))
        assert (sizes[".data"], sizes[".bss"]) == ("0", "0"), name


# ---- the extension -----------------------------------------------------------------------------


def test_the_extension_exports_its_entry_and_nothing_else(objects):
    symbols = run("nm", "-D", "--defined-only", "--format=posix", _engine.__file__)
    names = {line.split()[0] for line in symbols.splitlines()}
    assert names - {"_init", "_fini"} == {"PyInit__engine"}


def test_the_extension_names_every_library_it_needs(objects):
    """A symbol without a version is one that the linker did not find anywhere."""
    symbols = run("nm", "-D", "--undefined-only", "--format=posix", _engine.__file__)
    needed = [line.split() for line in symbols.splitlines()]
    unknown = {name for name, kind, *_ in needed if kind == "U" and "@" not in name}
    assert {name for name in unknown if not name.startswith(("Py", "_Py"))} == set()


def test_the_extension_has_no_text_relocations_and_no_executable_stack(objects):
    assert "TEXTREL" not in run("objdump", "-p", _engine.__file__)
    stack = re.search(r"STACK.*\n.*flags (\S+)", run("objdump", "-p", _engine.__file__))
    assert stack[1] == "rw-"


def test_importing_the_engine_leaves_denormals_alone():
    code = (
        "import math, fastwavenet as fw, numpy as np; tiny = math.nextafter(0, 1);"
        "fw.mu_law_encode(np.zeros(40));"
        "assert tiny * 1.0 != 0 and np.float32(1e-40) * np.float32(1) != 0"
    )
    run(sys.executable, "-c", code, env=os.environ | {"FASTWAVENET_ISA": ""})
