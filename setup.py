"""Builds the extension: one module that holds the engine compiled for every instruction set."""

import glob
import json
import os
import platform
import shutil
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, PlatformError

# Results must not depend on the compiler's taste (docs/arithmetic.md): no contraction, no
# reassociation.  -O3 stands here because CFLAGS from outside would replace Python's own.
FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fno-fast-math", "-fno-math-errno",
         "-fno-trapping-math", "-fvisibility=hidden"]  # fmt: skip
# A user's -Ofast at link time would switch denormals off for the whole process; the last wins.
LINK_FLAGS = ["-O3", "-fno-fast-math", "-fno-unsafe-math-optimizations"]

ISA_FLAGS = {"scalar": []}
MACHINE = platform.machine().lower()
if MACHINE in ("x86_64", "amd64"):
    ISA_FLAGS["avx2"] = ["-mavx2", "-mfma"]
    ISA_FLAGS["avxvnni"] = [*ISA_FLAGS["avx2"], "-mavxvnni"]
    ISA_FLAGS["avx512"] = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"]
    ISA_FLAGS["vnni"] = [*ISA_FLAGS["avx512"], "-mavx512vnni"]
    ISA_FLAGS["avx512bf16"] = [*ISA_FLAGS["avx512"], "-mavx512bf16"]
    ISA_FLAGS["amx"] = [*ISA_FLAGS["vnni"], "-mamx-tile", "-mamx-int8"]
elif MACHINE in ("aarch64", "arm64"):
    ISA_FLAGS["neon"] = []
elif MACHINE == "wasm32":
    ISA_FLAGS["wasm"] = ["-msimd128"]

COMMON = (
    "arena",
    "model",
    "pack",
    "upsample",
    "stream",
    "run",
    "state",
    "threads",
    "pool",
    "mulaw",
    "range_coder",
    "probe",
    "dispatch",
)

# Each file is compiled for every precision (float32, bfloat16, int8, bfloat16x16, int8x8), unless
# it adds to some only.
PRECISIONS = {"avxvnni": [2, 4], "vnni": [2, 4], "amx": [2, 4], "avx512bf16": [3]}


def isa_objects() -> dict[str, tuple[str, list[str]]]:
    """Name -> source and flags of everything that is compiled for an instruction set."""
    return {
        f"isa_{isa}_{precision}": (
            f"csrc/kernels/isa_{isa}.c",
            [f"-DFWN_PRECISION={precision}", *flags],
        )
        for isa, flags in ISA_FLAGS.items()
        for precision in PRECISIONS.get(isa, [0, 1, 2, 3, 4])
    }


# CPython's stable ABI: one binary for 3.11 and everything later.  A call costs 0.1 to 0.4 us more,
# 3 % where samples are asked for one by one.  Cython knows none for free-threaded CPython yet.
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
STABLE_ABI = sys.implementation.name == "cpython" and not FREE_THREADED


INSTALL = (
    "Debian, Ubuntu: apt install build-essential python3-dev; "
    "Fedora: dnf install gcc python3-devel; macOS: xcode-select --install"
)


class BuildExtension(build_ext):
    """Compiles csrc/kernels/isa_<name>.c with the flags of its instruction set, and links it.

    Up to four compilers run at once, each of which may take half a GB.
    """

    def build_extensions(self) -> None:
        """Raises PlatformError with what to install if there is no C compiler that can do it."""
        compiler = getattr(self.compiler, "compiler", ["cl"])[0]
        if os.name == "posix" and shutil.which(compiler) is None:
            raise PlatformError(f"no C compiler: {compiler!r} was not found. {INSTALL}")
        headers = sysconfig.get_paths()["include"]
        if not os.path.exists(os.path.join(headers, "Python.h")):
            raise PlatformError(f"no Python.h in {headers}: its headers are missing. {INSTALL}")
        try:
            super().build_extensions()
        except CompileError:
            raise PlatformError(
                f"{compiler!r} failed as shown above: expected gcc 11, clang 12 or newer, with the "
                f"headers of C. {INSTALL}"
            ) from None

    def build_extension(self, ext: Extension) -> None:
        def compiled(item: tuple[str, tuple[str, list[str]]]) -> list[str]:
            name, (source, flags) = item
            return self.compiler.compile(
                [source],
                output_dir=os.path.join(self.build_temp, name),
                include_dirs=ext.include_dirs,
                debug=self.debug,
                extra_postargs=[*FLAGS, *flags],
                depends=ext.depends,
            )

        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            objects = sum(pool.map(compiled, isa_objects().items()), [])
        saved = list(ext.extra_objects)
        ext.extra_objects = saved + objects
        try:
            super().build_extension(ext)
        finally:
            ext.extra_objects = saved


def used_flags() -> list[str]:
    """Flags of the engine's common files, those of the environment first, as the compiler sees."""
    return [*os.environ.get("CFLAGS", "").split(), *FLAGS]


MACROS = [("FWN_FLAGS", json.dumps(" ".join(used_flags())))]  # for `fastwavenet info`
if STABLE_ABI:
    MACROS.append(("Py_LIMITED_API", "0x030B0000"))

setup(
    ext_modules=[
        Extension(
            "fastwavenet._engine",
            ["fastwavenet/_engine.pyx"] + [f"csrc/{name}.c" for name in COMMON],
            include_dirs=["csrc"],
            define_macros=MACROS,
            depends=[
                *sorted(glob.glob("csrc/**/*.[ch]", recursive=True)),
                "fastwavenet/_engine.pxd",
            ],
            libraries=["m", "pthread"],
            extra_compile_args=FLAGS,
            extra_link_args=LINK_FLAGS,
            py_limited_api=STABLE_ABI,
        )
    ],
    cmdclass={"build_ext": BuildExtension},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {},
)
