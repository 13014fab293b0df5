"""How tests compile csrc/ and the programs of tests/c: with setup.py's flags, and more."""

import functools
import os
import platform
import re
import runpy
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parents[2]
HELPERS = Path(__file__).parent  # on the path of tests, and of their programs
PROGRAMS = ROOT / "tests" / "c"
WARN = ["-Wall", "-Wextra", "-Werror"]
SANITIZE = ["-O0", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
CLAIM = re.compile(r"^    TEST\((\w+)\),$", re.MULTILINE)
# Claim -> file of the program test_engine that tests it, in the order in which it prints them.
CLAIMS = {
    name: path.name
    for path in sorted(PROGRAMS.glob("test_*.c"))
    for name in CLAIM.findall(path.read_text())
}
WRAP = [
    f"-Wl,--wrap={name}"
    for name in ("malloc", "calloc", "realloc", "aligned_alloc", "free", "pthread_create")
]
# Files of test_engine about threads and floating-point modes, of which WebAssembly has one each.
NOT_ON_WASM = {"test_float_mode.c", "test_threads.c"}


@functools.cache
def setup_names(machine: str | None = None) -> dict:
    """The names in setup.py, and the arguments it gives to setuptools, for this CPU or another."""
    machine = machine or platform.machine()
    with (
        mock.patch("setuptools.setup") as setup,
        mock.patch("platform.machine", return_value=machine),
    ):
        names = runpy.run_path(str(ROOT / "setup.py"))
    return names | {"extension": setup.call_args.kwargs["ext_modules"][0]}


def run(*command: object, **arguments) -> str:
    """A command's output; its errors are the test's."""
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, **arguments)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def files_of(build: dict) -> dict[str, tuple[str, list[str]]]:
    """Name -> source and own flags of each object of the engine."""
    sources = [source for source in build["extension"].sources if source.endswith(".c")]
    return {Path(source).stem: (source, []) for source in sources} | build["isa_objects"]()


def objects_of_extension(build: dict) -> dict[str, Path]:
    """Name -> object that `setup.py build_ext --inplace` has left in build/, of the files of the
    engine for which it is newer than all sources.  Empty if the extension is not of gcc with
    setup.py's flags alone.
    """
    from fastwavenet import _engine

    compiler, _, flags = _engine.build_info().partition(", ")
    if not compiler.startswith("gcc ") or flags != " ".join(build["FLAGS"]):
        return {}
    if Path(_engine.__file__).parents[1] != ROOT:
        return {}
    sources = [*(ROOT / "csrc").rglob("*.[ch]"), ROOT / "setup.py"]
    newest, found = max(path.stat().st_mtime for path in sources), {}
    for name, (source, own_flags) in files_of(build).items():
        path = Path(name if own_flags else "", source).with_suffix(".o")
        for made in ROOT.glob(f"build/temp.*/{path}"):
            if made.stat().st_mtime > newest:
                found[name] = made
    return found


def compile_engine(
    build: dict, compiler: str, folder: Path, *flags: str, made: dict[str, Path] | None = None
) -> dict[str, Path]:
    """Name -> object of each file of the engine, with setup.py's flags and then these.

    Those that are made, or in the folder already, are not compiled again.
    """
    files = files_of(build)
    objects = {name: folder / f"{name}.o" for name in files} | (made or {})

    def compile_one(name: str) -> None:
        source, own_flags = files[name]
        options = [*build["FLAGS"], *own_flags, *WARN, *flags]
        if not objects[name].exists():
            run(*compiler.split(), *options, "-c", ROOT / source, "-o", objects[name])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, objects))
    return objects


def simd_of(isa: str) -> list[str]:
    """Options that give a program of tests/c the vocabulary of csrc/kernels/isa_<isa>.c."""
    source = (ROOT / "csrc" / "kernels" / f"isa_{isa}.c").read_text()
    macros = re.findall(r"^#define (\w+)$", source, re.MULTILINE)
    (header,) = re.findall(r'^#include "(simd_\w+\.h)"$', source, re.MULTILINE)
    return [f'-DSIMD="kernels/{header}"', *(f"-D{macro}" for macro in macros)]


def link(compiler: str, name: str, objects: dict[str, Path], folder: Path, *flags: str) -> Path:
    """The program tests/c/<name>.c, or all files of test_engine, with the engine in it."""
    options = ["-std=gnu11", *WARN, *flags, f"-I{ROOT / 'csrc'}"]
    program, sources = folder / name, [PROGRAMS / f"{name}.c"]
    on_wasm = "wasm32" in compiler
    if name == "test_engine":
        sources = [PROGRAMS / "allocator.c", *sorted(PROGRAMS.glob("test_*.c"))]
        sources = [path for path in sources if not (on_wasm and path.name in NOT_ON_WASM)]
    system = "-Wl,-z,stack-size=1048576" if on_wasm else "-pthread"  # 64 KiB otherwise
    run(*compiler.split(), *options, *sources, *objects.values(), "-lm", system, "-o", program)
    return program


def compiles(compiler: str, folder: Path, *flags: str) -> bool:
    """Whether there is such a compiler, and it makes a program with these flags."""
    source = folder / "empty.c"
    source.write_text("#include <math.h>\nint main(void) { return 0; }\n")
    command = [*compiler.split(), *flags, str(source), "-o", str(folder / "empty")]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def run_under_thread_sanitizer(
    compile_engine: Callable[..., dict[str, Path]], folder: Path, name: str, define: str
) -> None:
    """Runs tests/c/<name>.c with this option, or skips the test where that is impossible."""
    options = ["-O0", "-g1", "-fsanitize=thread"]
    if not compiles("gcc", folder, *options):
        pytest.skip("this machine has no gcc with the thread sanitizer")
    if subprocess.run([folder / "empty"], capture_output=True).returncode:
        pytest.skip("this kernel's address space is too random for the thread sanitizer")
    objects = compile_engine("gcc", *options)
    run(link("gcc", name, objects, folder, *options, define))
