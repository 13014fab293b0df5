"""The same bits on every CPU: tests/c built for this one, and cross-built for aarch64 with NEON and
run under qemu, by gcc and by clang."""

import functools
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from c_build import (
    CLAIMS,
    PROGRAMS,
    ROOT,
    WARN,
    WRAP,
    compile_engine,
    compiles,
    link,
    run,
    setup_names,
)

SYSROOT = "/usr/aarch64-linux-gnu"  # where Debian's cross compiler has its C library

MACHINES = {
    "x86_64": {"scalar", "avx2", "avx512"},
    "AMD64": {"scalar", "avx2", "avx512"},
    "aarch64": {"scalar", "neon"},
    "arm64": {"scalar", "neon"},
}

VOCABULARY = re.compile(r"^static inline \w+ (v[fi]_\w+)\(", re.MULTILINE)

# What tests/c/print_bits.c prints on every instruction set.  Another digest means that models
# sound different in this version than in the last.
BITS = """
drawn_0 837382637a41cad7
primed_and_scored_0 4b607b9fe8e06c62
most_probable_0 beb942a6acff3ff3
conditioned_batch_0 623f17de6bf72695
drawn_1 3effa8a4404003b9
primed_and_scored_1 7eded39cecbcaef5
most_probable_1 71d2d6fe4389d71f
conditioned_batch_1 dba25f5bd6276fec
drawn_2 d8aa642874dbe821
primed_and_scored_2 90c1b8338ca02a79
most_probable_2 86c06779928e8341
conditioned_batch_2 b654d0d4f7c93025
drawn_3 e754c18334d5e326
primed_and_scored_3 ce48ca4e49f31525
most_probable_3 52e706035ff27232
conditioned_batch_3 f0963d09bd534028
mulaw_2 6c3cbce9a3c15c85
mulaw_3 20ff5298b6cf2789
mulaw_255 d6c1ba349ed20872
mulaw_256 f70569e13c1e261c
mulaw_257 18c480a0c004f085
mulaw_1000 f9469858494b18e9
mulaw_65536 48cdf2d8e9aa3b5d
"""


class Target(NamedTuple):
    compiler: str
    machine: str  # as platform.machine() says it
    emulator: tuple[str, ...] = ()


QEMU = ("qemu-aarch64", "-L", SYSROOT)
TARGETS = {
    "gcc": Target("gcc", platform.machine()),
    "clang": Target("clang", platform.machine()),
    "aarch64_gcc": Target("aarch64-linux-gnu-gcc", "aarch64", QEMU),
    "aarch64_clang": Target("clang --target=aarch64-linux-gnu", "aarch64", QEMU),
}


class Built(NamedTuple):
    target: Target
    folder: Path
    setup: dict  # of setup.py
    objects: dict[str, Path]

    def program(self, name: str, *flags: str) -> Path:
        return link(self.target.compiler, name, self.objects, self.folder, *flags)

    def run(self, program: Path, *arguments: str) -> str:
        return run(*self.target.emulator, program, *arguments)

    def bits(self) -> dict[str, list[str]]:
        """Instruction set -> what tests/c/print_bits.c prints, for those that the CPU supports."""
        found = {}
        for line in self.run(self.program("print_bits")).splitlines():
            isa, bits = line.split(maxsplit=1)
            found.setdefault(isa, []).append(bits)
        return found

    def vocabulary(self, isa: str) -> list[str]:
        """What tests/c/print_vocabulary.c prints for this instruction set."""
        program = self.folder / f"vocabulary_{isa}"
        flags = [*self.setup["FLAGS"], *self.setup["ISA_FLAGS"][isa], *WARN, f"-I{ROOT / 'csrc'}"]
        source = PROGRAMS / "print_vocabulary.c"
        run(*self.target.compiler.split(), *flags, f'-DSIMD="simd_{isa}.h"', source, "-lm",
            "-o", program)  # fmt: skip
        return self.run(program).splitlines()


@pytest.fixture(scope="session")
def build_for(tmp_path_factory) -> Callable[[str], Built]:
    @functools.cache
    def build_for(name: str) -> Built:
        target, folder = TARGETS[name], tmp_path_factory.mktemp(name)
        for tool in (target.compiler.split()[0], *target.emulator[:1]):
            if shutil.which(tool) is None:
                pytest.skip(f"this machine has no {tool}")
        command = [*target.emulator, folder / "empty"]
        if not compiles(target.compiler, folder) or subprocess.run(command).returncode:
            pytest.skip(f"this machine has no C library that {target.compiler} finds")
        setup = setup_names(target.machine)
        return Built(target, folder, setup, compile_engine(setup, target.compiler, folder))

    return build_for


@pytest.fixture(params=TARGETS)
def built(request, build_for) -> Built:
    return build_for(request.param)


def test_every_instruction_set_of_every_cpu_prints_the_same_bits(built):
    found = built.bits()
    assert set(found) <= set(built.setup["ISA_FLAGS"]) and "scalar" in found
    if built.target.machine == "aarch64":
        assert list(found) == ["scalar", "neon"]
    for isa, bits in found.items():
        assert bits == BITS.split("\n")[1:-1], isa


def test_every_instruction_set_has_the_vocabulary_of_the_portable_code(built, build_for):
    """For operands, too, that no network has: NaN, infinities, denormals, zeros of both signs."""
    expected = build_for("gcc").vocabulary("scalar")
    assert len(expected) > 20
    for isa in built.bits():
        assert built.vocabulary(isa) == expected, isa


def test_every_name_of_the_vocabulary_is_defined_by_all_and_compared():
    headers = {path.stem: path.read_text() for path in (ROOT / "csrc").glob("simd_*.h")}
    names = {name: set(VOCABULARY.findall(text)) for name, text in headers.items()}
    assert set(names) == {f"simd_{isa}" for isas in MACHINES.values() for isa in isas}
    for header, found in names.items():
        assert found == names["simd_scalar"], header
    program = (PROGRAMS / "print_vocabulary.c").read_text()
    assert set(re.findall(r"\bv[fi]_\w+", program)) == names["simd_scalar"]


@pytest.mark.parametrize(
    "operands", [10_000_000, pytest.param(1_000_000_000, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_portable_fused_multiply_add_is_the_c_librarys(compiler, operands, build_for):
    built = build_for(compiler)
    program = built.folder / "check_fma"
    run(compiler, *built.setup["FLAGS"], *WARN, f"-I{ROOT / 'csrc'}", PROGRAMS / "check_fma.c",
        "-lm", "-o", program)  # fmt: skip
    built.run(program, str(operands))


@pytest.mark.parametrize("claim", CLAIMS)
def test_in_c_on_aarch64(claim, build_for):
    built = build_for("aarch64_gcc")
    program = built.folder / "test_engine"
    if not program.exists():
        built.program("test_engine", *WRAP)
    built.run(program, claim)


def test_setup_builds_the_instruction_sets_of_the_cpu_it_runs_on():
    sets = {machine: set(setup_names(machine)["ISA_FLAGS"]) for machine in MACHINES}
    assert sets == MACHINES
