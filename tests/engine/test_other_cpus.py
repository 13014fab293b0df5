"""The same bits on every CPU: tests/c built for this one, cross-built for aarch64 with NEON and run
under qemu, by gcc and by clang, and built for WebAssembly and run in node."""

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
    HELPERS,
    NOT_ON_WASM,
    PROGRAMS,
    ROOT,
    WARN,
    WRAP,
    compiles,
    link,
    run,
    setup_names,
    simd_of,
)

from fastwavenet import available_isas

SYSROOT = "/usr/aarch64-linux-gnu"  # where Debian's cross compiler has its C library

MACHINES = {
    "x86_64": {"scalar", "avx2", "avxvnni", "avx512", "vnni", "avx512bf16", "amx"},
    "AMD64": {"scalar", "avx2", "avxvnni", "avx512", "vnni", "avx512bf16", "amx"},
    "aarch64": {"scalar", "neon"},
    "arm64": {"scalar", "neon"},
    "wasm32": {"scalar", "wasm"},
}

VOCABULARY = re.compile(r"^static inline \w+ (v[fi]_\w+)\(", re.MULTILINE)

# What tests/c/print_bits.c prints on every instruction set.  Another digest means that models
# sound different in this version than in the last.
BITS = """
case                float32          bfloat16         int8             bfloat16x16
drawn_0             837382637a41cad7 031f0bd28af8c9a0 a58b493605999a6d 00aa8df08206ed14
primed_and_scored_0 4b607b9fe8e06c62 28c5e1bc92bb3de1 78c1c3d1b8e64398 655d4ef17cd1a20f
most_probable_0     beb942a6acff3ff3 1f5df96c5d72d44b 58c3417889eec0ac 87458488144af7b6
encoded_0           789e4dd50b8c6a18 0486f94db7556e40 0c4f568134581421 a87d65ede3b61eaa
conditioned_batch_0 3640fb03f8a3728a b7f7372c8b15ca47 3d80863acb8be921 d12856f074c4c544
drawn_1             3effa8a4404003b9 824541d5ddf45152 fc23f8cd46c61b44 bbf61ef1388ceb86
primed_and_scored_1 7eded39cecbcaef5 b4e995fcdcba2fe9 6b05a1bf084c2773 525b2b01ff5bb6da
most_probable_1     71d2d6fe4389d71f 66d6b64ebb56eca4 99fbbc7456f16e91 80764d24afd82c0a
encoded_1           887443052b86aff4 253c0420749dbe9f e5010cc5892ad345 3bf89364473afcfe
conditioned_batch_1 b5e893e543b774db 5f2b24cfc5838c48 fba56de4865fecd7 f7440f055f76f89a
drawn_2             d8aa642874dbe821 08ad24381b85a72b d30f2e20a4d5e5e1 37e08d13987c9730
primed_and_scored_2 90c1b8338ca02a79 fa107c49db7604d9 49262a1e05ecccfa a2a619e1467c03cf
most_probable_2     86c06779928e8341 d8d1f40b735e5067 ada36d675b6ce9d0 d327aafeeb7a83bf
encoded_2           13031ac977411518 356b398dd5a94be1 1b9a8e35f3c5e741 c9f09c3100a6de71
conditioned_batch_2 981d594e0ab9ca1f fc4dd629c003a6ed 8814d5154f2e7fe8 0aa2290f225ca2b4
drawn_3             e754c18334d5e326 56e7b46a1a7c8544 f8cfe833d0315b21 3f7da30ae85ce01a
primed_and_scored_3 ce48ca4e49f31525 ee4b50ca1877b4c1 525067ee2e147983 f5c187b809c59153
most_probable_3     52e706035ff27232 8f7ea1affd73cb3b 17116645b45d5d7a c05702c8b0c38cdb
encoded_3           a37c17651c9df0cc 4ef49cb93ffbdac2 2b6fa6242d37769a 380a27548c839e08
conditioned_batch_3 d4e92b216dc1e495 28f6bfa65e1955f5 a1545a235f5bf908 7c92e2fb4fc25f03
drawn_4             f9536ce69a4d3975 85af7995b1d96a79 60c85ba290c89f1d 17397ed346557f22
primed_and_scored_4 cd0978ade978b35b 86a7158c40b9efdf 63f8e8e4dc4f31f7 beff8c1555b06a38
most_probable_4     453c9228e1322716 b57b2c69b3adb721 ecbeed197d52b95e b5168e5039399928
encoded_4           612b05f864670f2e 3c69cb25b92b9546 cf1ae4c196c0b506 6b92faa9c1459571
conditioned_batch_4 ef8373852cc0b9b5 71418760d995c775 8fea23d0a5fe3bc7 ea3bf64ab7077acb

case                int8x8
drawn_0             92c42d763c8463de
primed_and_scored_0 76e39ad75d1f1266
most_probable_0     a81d9653b01764cb
encoded_0           2d55a216a18199b1
conditioned_batch_0 dd00a28750018a47
drawn_1             609debdd59ce0176
primed_and_scored_1 1487245d1966fbca
most_probable_1     76bd05b598907e9f
encoded_1           25ad88242b6d006b
conditioned_batch_1 93d97a7b2ad86e3e
drawn_2             636e54cc37239363
primed_and_scored_2 d0b634a1ccffaad6
most_probable_2     954bdf4d08a3ea5f
encoded_2           715241cb3e27fde1
conditioned_batch_2 c95a48f7c30e1854
drawn_3             a914d5ad463c2008
primed_and_scored_3 e713d87c8522c857
most_probable_3     2f8876b2996a87ed
encoded_3           4107799e13fc376c
conditioned_batch_3 6e3ac90f15c94366
drawn_4             9afd9ac5eb3fe524
primed_and_scored_4 420045c16325fc0b
most_probable_4     d12e2f3866aed610
encoded_4           9d08e2b3800274bb
conditioned_batch_4 63b9018a2d771cff

case                mulaw
levels_2            6c3cbce9a3c15c85
levels_3            20ff5298b6cf2789
levels_255          d6c1ba349ed20872
levels_256          f70569e13c1e261c
levels_257          18c480a0c004f085
levels_1000         f9469858494b18e9
levels_65536        48cdf2d8e9aa3b5d

case                upsampling
stage_0             7b2eb8503e41ca17
stage_1             fff88433ff2f8595
stage_2             110c41fdac70fb95
"""


def pinned() -> list[str]:
    """The digests of BITS, line by line as they are printed."""
    lines = []
    for table in BITS.strip().split("\n\n"):
        (_, *columns), *rows = (line.split() for line in table.splitlines())
        for i, column in enumerate(columns):
            lines += [f"{column} {case} {digests[i]}" for case, *digests in rows]
    return lines


class Target(NamedTuple):
    compiler: str
    machine: str  # as platform.machine() says it
    emulator: tuple[str, ...] = ()


QEMU = ("qemu-aarch64", "-L", SYSROOT)
NODE = ("node", "--no-warnings", str(HELPERS / "run_wasi.mjs"))
TARGETS = {
    "gcc": Target("gcc", platform.machine()),
    "clang": Target("clang", platform.machine()),
    "aarch64_gcc": Target("aarch64-linux-gnu-gcc", "aarch64", QEMU),
    "aarch64_clang": Target("clang --target=aarch64-linux-gnu", "aarch64", QEMU),
    "wasm": Target("clang --target=wasm32-wasi", "wasm32", NODE),
}


class Built(NamedTuple):
    target: Target
    folder: Path
    setup: dict  # of setup.py
    objects: Callable[[], dict[str, Path]]

    def program(self, name: str, *flags: str) -> Path:
        return link(self.target.compiler, name, self.objects(), self.folder, *flags)

    def run(self, program: Path, *arguments: str) -> str:
        return run(*self.target.emulator, program, *arguments)

    def isas(self) -> list[str]:
        """The instruction sets that can be run."""
        there = None if self.target.emulator else available_isas()
        return [isa for isa in self.setup["ISA_FLAGS"] if there is None or isa in there]

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
        run(*self.target.compiler.split(), *flags, *simd_of(isa), source, "-lm", "-o", program)
        return self.run(program).splitlines()


@pytest.fixture(scope="session")
def build_for(compile_engine, tmp_path_factory) -> Callable[[str], Built]:
    @functools.cache
    def build_for(name: str) -> Built:
        target, folder = TARGETS[name], tmp_path_factory.mktemp(name)
        for tool in (target.compiler.split()[0], *target.emulator[:1]):
            if shutil.which(tool) is None:
                pytest.skip(f"this machine has no {tool}")
        command = [*target.emulator, folder / "empty"]
        if not compiles(target.compiler, folder) or subprocess.run(command).returncode:
            pytest.skip(f"this machine has no C library that {target.compiler} finds")
        cross = target.machine if target.emulator else None
        objects = functools.partial(compile_engine, target.compiler, machine=cross)
        return Built(target, folder, setup_names(target.machine), objects)

    return build_for


def targets(*slow: str) -> list:
    """All of them; some are for `make test-slow`."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in slow)) for name in TARGETS]


@pytest.fixture(params=targets("aarch64_clang"))  # gcc builds for that CPU too
def built(request, build_for) -> Built:
    return build_for(request.param)


# clang builds the engine for WebAssembly, and for this CPU without optimization for test_fuzz.py.
@pytest.mark.parametrize("name", targets("clang", "aarch64_clang"))
def test_every_instruction_set_of_every_cpu_prints_the_same_bits(name, build_for):
    built = build_for(name)
    found = built.bits()
    assert list(found) == built.isas()
    for isa, bits in found.items():
        assert bits == pinned(), isa


def test_every_instruction_set_has_the_vocabulary_of_the_portable_code(built, build_for):
    """For operands, too, that no network has: NaN, infinities, denormals, zeros of both signs."""
    expected = build_for("gcc").vocabulary("scalar")
    assert len(expected) > 20
    for isa in built.isas():
        assert built.vocabulary(isa) == expected, isa


def names_of(header: str) -> set[str]:
    """What a header of csrc/kernels/ defines of the vocabulary, and those that it includes."""
    text = (ROOT / "csrc" / "kernels" / header).read_text()
    included = re.findall(r'^#include "(simd_\w+\.h)"$', text, re.MULTILINE)
    return set(VOCABULARY.findall(text)).union(*map(names_of, included))


def test_every_name_of_the_vocabulary_is_defined_by_all_and_compared():
    headers = {path.name for path in (ROOT / "csrc" / "kernels").glob("simd_*.h")}
    used = {simd_of(isa)[0] for isas in MACHINES.values() for isa in isas}
    assert {f'-DSIMD="kernels/{header}"' for header in headers} == used
    expected = names_of("simd_scalar.h")
    assert {header for header in headers if names_of(header) != expected} == set()
    program = (PROGRAMS / "print_vocabulary.c").read_text()
    assert set(re.findall(r"\bv[fi]_\w+", program)) == expected


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


@pytest.mark.parametrize(
    "operands", [10_000_000, pytest.param(1_000_000_000, marks=pytest.mark.slow)]
)
def test_a_product_of_pairs_is_two_fused_multiply_adds(operands, build_for):
    """Those of bfloat16x16: its factors leave nothing that the instruction would flush to 0."""
    if "avx512bf16" not in available_isas():
        pytest.skip("this machine has no AVX512-BF16")
    built = build_for("gcc")
    program, flags = built.folder / "check_pairs", built.setup["ISA_FLAGS"]["avx512bf16"]
    run("gcc", *built.setup["FLAGS"], *flags, *WARN, f"-I{ROOT / 'csrc'}",
        PROGRAMS / "check_pairs.c", "-lm", "-o", program)  # fmt: skip
    built.run(program, str(operands))


def check_claim(built: Built, claim: str) -> None:
    program = built.folder / "test_engine"
    if not program.exists():
        built.program("test_engine", *WRAP)
    built.run(program, claim)


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS)
def test_in_c_on_aarch64(claim, build_for):
    check_claim(build_for("aarch64_gcc"), claim)


@pytest.mark.slow
@pytest.mark.parametrize(
    "claim", [claim for claim, file in CLAIMS.items() if file not in NOT_ON_WASM]
)
def test_in_c_on_webassembly(claim, build_for):
    check_claim(build_for("wasm"), claim)


def test_setup_builds_the_instruction_sets_of_the_cpu_it_runs_on():
    sets = {machine: set(setup_names(machine)["ISA_FLAGS"]) for machine in MACHINES}
    assert sets == MACHINES
