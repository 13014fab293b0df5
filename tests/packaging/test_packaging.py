"""From the source to a wheel to a machine that has neither a compiler nor torch."""

import email
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from c_build import ROOT
from engines import model_of, weights_of
from networks import NETWORKS

import fastwavenet as fw
from fastwavenet import _engine, modelfile
from fastwavenet.audio import write_audio

requirements = pytest.importorskip("packaging.requirements")
SPEC = NETWORKS["wider_than_a_vector"]
VOICE_FILES = tuple(  # without suffixes
    f"fastwavenet/voices/{name}" for name in ("recorder-16k", "speech-16k", "speech-16k-small")
)
WORST_FLAGS = "-Ofast -ffast-math -funsafe-math-optimizations -ffp-contract=fast -march=native"
WORST = {"CFLAGS": f"{WORST_FLAGS} -Wall -Wextra", "LDFLAGS": WORST_FLAGS}

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into ELF files"),
    pytest.mark.timeout(1500),  # a wheel is built in a minute, if nobody else works
]


def run(*command: object, **arguments) -> str:
    """A command's output; its errors are the test's."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1200, **arguments)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


# ---- source, sdist, wheel ----------------------------------------------------------------------


@pytest.fixture(scope="session")
def tracked() -> set[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what belongs to the source is not known")
    return set(run("git", "ls-files", "-z", cwd=ROOT).rstrip("\0").split("\0"))


@pytest.fixture(scope="session")
def sdist(tracked, tmp_path_factory) -> Path:
    """Made in a copy of the source, among files of an earlier build."""
    for module in ("setuptools", "Cython"):
        pytest.importorskip(module, reason=f"building needs {module}")
    source = tmp_path_factory.mktemp("source")
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    for left in ("_engine.c", "_engine.abi3.so", "__pycache__/spec.cpython-311.pyc"):
        path = source / "fastwavenet" / left
        path.parent.mkdir(exist_ok=True)
        path.write_text("#error left over\n")
    make = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    run(sys.executable, "-c", make, cwd=source)
    return next((source / "dist").iterdir())


def build_wheel(sdist: Path, folder: Path, **environment: str) -> Path:
    """A wheel, of whose C code the compiler has nothing to remark."""
    log = folder / "log"
    folder.mkdir(exist_ok=True)
    run(sys.executable, "-m", "pip", "wheel", "--verbose", "--log", log, "--no-index", "--no-deps",
        "--no-build-isolation", "-w", folder, sdist, env=os.environ | environment)  # fmt: skip
    said = log.read_text()
    assert "csrc/model.c" in said
    assert re.findall(r"^.*csrc/\S+:\d+:\d+: warning: .*", said, re.MULTILINE) == []
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def wheel(sdist, tmp_path_factory) -> Path:
    """Built under a user's worst flags, of which nothing in it may show."""
    return build_wheel(sdist, tmp_path_factory.mktemp("wheel"), **WORST)


@pytest.fixture(scope="session")
def about(wheel) -> email.message.Message:
    with zipfile.ZipFile(wheel) as file:
        name = next(n for n in file.namelist() if n.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(file.read(name))


def test_the_sdist_is_what_git_tracks(sdist, tracked):
    with tarfile.open(sdist) as file:
        names = {member.name.partition("/")[2] for member in file if member.isfile()}
    made = {name for name in names if ".egg-info/" in name} | {"PKG-INFO", "setup.cfg"}
    assert names - made == {name for name in tracked if not name.startswith(".")}


def test_the_wheel_has_the_modules_the_types_the_data_and_one_extension(wheel, tracked):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    inside = {name for name in tracked if name.startswith("fastwavenet/")}
    wanted = {name for name in inside if name.endswith((".py", ".pyi", "py.typed"))}
    wanted |= {name for name in inside if name.startswith(("fastwavenet/data/", *VOICE_FILES))}
    extension = {f"fastwavenet/{Path(_engine.__file__).name}"}
    assert {name for name in names if ".dist-info/" not in name} == wanted | extension
    assert names >= {f"{file}{end}" for file in VOICE_FILES for end in (".safetensors", ".md")}


def test_the_wheel_is_for_every_python_from_3_11_on(wheel):
    if "abi3" not in Path(_engine.__file__).name:
        pytest.skip("this Python has no stable ABI")
    assert "-cp311-abi3-" in wheel.name


def test_the_version_is_one_number_in_one_place(about, tracked):
    assert about["Version"] == fw.__version__
    numbers = [ROOT / name for name in tracked if name.endswith((".py", ".toml", ".pyx", ".h"))]
    assert [p.name for p in numbers if f'"{fw.__version__}"' in p.read_text()] == ["_version.py"]


def test_the_licences_are_named_and_enclosed(wheel, about):
    assert about["License-Expression"] == "MIT"
    listed = about.get_all("License-File")
    notices = [f"{file}.COPYING.txt" for file in VOICE_FILES]
    notices += ["LICENSE", "fastwavenet/data/arctic_a0009.COPYING.txt"]
    assert sorted(listed) == sorted(notices)
    with zipfile.ZipFile(wheel) as file:
        texts = {name.partition("/licenses/")[2]: file.read(name) for name in file.namelist()}
    assert all(texts[name] == (ROOT / name).read_bytes() for name in listed)


def needed(about: email.message.Message, extra: str = "") -> set[str]:
    """Names of the distributions that an extra, or none, asks for."""
    found = map(requirements.Requirement, about.get_all("Requires-Dist"))
    core = {r.name for r in found if r.marker is None}
    if not extra:
        return core
    found = map(requirements.Requirement, about.get_all("Requires-Dist"))
    return {r.name for r in found if r.marker and r.marker.evaluate({"extra": extra})} - core


def test_generating_needs_four_packages_and_training_and_plots_their_own(about):
    assert needed(about) == {"numpy", "soundfile", "soxr", "safetensors"}
    assert needed(about, "train") == {"torch", "tqdm"}
    assert needed(about, "plot") == {"matplotlib"}
    assert needed(about, "evaluate") == {"pesq", "pystoi"}
    assert set(about.get_all("Provides-Extra")) == {
        "train", "plot", "tensorboard", "evaluate", "bench", "wavenet-coding", "docs", "dev"
    }  # fmt: skip
    assert about["Requires-Python"] == ">=3.11"


def test_the_constraints_pin_what_the_extras_ask_for(about):
    pins = re.findall(r"^([\w-]+)==[\w.]+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    asked = set().union(*(needed(about, extra) for extra in about.get_all("Provides-Extra")))
    assert {name.lower() for name in needed(about) | asked} - {"fastwavenet"} <= set(pins)


def test_the_extension_needs_only_the_c_library(wheel, tmp_path):
    if shutil.which("readelf") is None:
        pytest.skip("this machine has no readelf")
    with zipfile.ZipFile(wheel) as file:
        built = file.extract(f"fastwavenet/{Path(_engine.__file__).name}", tmp_path)
    for extension in (built, _engine.__file__):
        libraries = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", "-W", extension))
        assert [n for n in libraries if not re.match(r"(lib(c|m|pthread)|ld-[\w-]+)\.", n)] == []


# ---- installed ---------------------------------------------------------------------------------


def dependencies(name: str) -> dict[str, metadata.Distribution]:
    """A distribution and all that it needs, by name."""
    found = {name: metadata.distribution(name)}
    for text in found[name].requires or ():
        r = requirements.Requirement(text)
        if r.marker is None or r.marker.evaluate({"extra": ""}):
            found |= dependencies(r.name)
    return found


def install(wheel: Path, folder: Path) -> Path:
    """A new environment's bin folder: our wheel, what it depends on, and nothing else."""
    venv.create(folder, with_pip=False, symlinks=True)
    links, packages = folder / "links", next(folder.glob("lib/python*/site-packages"))
    links.mkdir()
    needs = {n: d for name in DEPENDENCIES for n, d in dependencies(name).items()}
    for distribution in needs.values():
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (links / top).symlink_to(distribution.locate_file(top))
    (packages / "links.pth").write_text(f"{links}\n")
    run(sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--no-index",
        "--no-deps", wheel, env={"PATH": str(folder / "bin")})  # fmt: skip
    return folder / "bin"


DEPENDENCIES = ("numpy", "soundfile", "soxr", "safetensors")


@pytest.fixture(scope="session")
def bin(wheel, tmp_path_factory) -> Path:
    return install(wheel, tmp_path_factory.mktemp("environment"))


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    modelfile.save(path, SPEC, weights_of(SPEC))
    return path


def alone(bin: Path, *command: object) -> str:
    """Output of a program of the new environment, which sees nothing outside it."""
    return run(bin / str(command[0]), *command[1:], env={"PATH": str(bin)}, cwd=bin)


def test_the_new_environment_has_no_compiler_no_torch_and_not_this_source(bin):
    compilers = ("cc", "gcc", "g++", "clang", "c99", "tcc")
    assert [name for name in compilers if shutil.which(name, path=str(bin))] == []
    code = "import importlib.util as u, fastwavenet as f; print(u.find_spec('torch'), f.__file__)"
    torch, place = alone(bin, "python", "-c", code).split()
    assert torch == "None"
    assert Path(place).is_relative_to(bin.parent)


def test_the_installed_command_generates_the_same_file(bin, model, tmp_path):
    made, expected = tmp_path / "made.wav", tmp_path / "expected.wav"
    alone(bin, "fastwavenet", "generate", model, "-o", made, "--samples", 400, "--seed", 7)
    audio = fw.generate(model_of(SPEC), n_samples=400, seed=7)
    write_audio(expected, audio, SPEC.sample_rate)
    assert made.read_bytes() == expected.read_bytes()


def test_the_installed_command_lists_the_voices_and_shows_their_cards(bin):
    listed = alone(bin, "fastwavenet", "voices").splitlines()
    names = [Path(file).name for file in VOICE_FILES]
    assert [line.split()[0] for line in listed] == names
    for name in names:
        assert alone(bin, "fastwavenet", "voices", name).startswith(f"# {name}\n")


def test_the_installed_command_vocodes_and_plays_by_the_names_of_voices(bin, tmp_path):
    clip, again = ROOT / "fastwavenet" / "data" / "arctic_a0009.flac", tmp_path / "again.wav"
    expected, audio = tmp_path / "expected.wav", fw.read_audio(clip)[0]
    for match, off in ((0, 0), (32, 2)):  # another numpy has other last bits of a spectrum
        line = ("vocode", clip, "-m", "speech-16k", "-o", again, "--seed", 7, "--match", match)
        alone(bin, "fastwavenet", *line)
        sound = fw.vocode(fw.load("speech-16k"), audio, seed=7, match=match)
        write_audio(expected, sound, 16000)
        found, same = (fw.read_audio(path)[0] for path in (again, expected))
        assert np.abs(found - same).max() <= off / 32768

    played, recorder = tmp_path / "played.wav", fw.load("recorder-16k")
    alone(bin, "fastwavenet", "generate", "-o", played, "--seconds", 0.2, "--seed", 7)
    frames = fw.melody(recorder, seconds=0.2, seed=7)
    write_audio(expected, fw.generate(recorder, frames=frames, seed=7), 16000)
    assert played.read_bytes() == expected.read_bytes()


def test_the_installed_version_is_known_to_python(bin):
    code = "import fastwavenet, importlib.metadata as m; print(m.version('fastwavenet'))"
    assert alone(bin, "python", "-c", code).strip() == fw.__version__


# One line per instruction set, of everything that is computed; denormals must be left alone.
BITS = """
import hashlib, math, sys
import numpy as np
import fastwavenet as fw

assert math.nextafter(0, 1) * 1.0 != 0 and np.float32(1e-40) * np.float32(1) != 0
models = [fw.load(sys.argv[1], precision) for precision in ("float32", "bfloat16", "int8")]
for isa in fw.available_isas():
    codes = fw.mu_law_encode(np.linspace(-1, 1, 4001), isa=isa)
    parts = [codes, fw.mu_law_decode(codes, isa=isa)]
    for model in models:
        gen = fw.Generator(model, seed=7, batch=2, temperature=0.8, top_k=50, isa=isa)
        audio = gen.generate(int(sys.argv[2]))
        parts += [audio, fw.outputs(model, audio[0], isa=isa), fw.score(model, audio[0], isa=isa)]
        parts += [np.array(gen.get_state())]
    print(isa, hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""


@pytest.fixture(scope="session")
def expected_bits(model) -> str:
    lines = run(sys.executable, "-c", BITS, model, 300, cwd=ROOT)
    assert [line.split()[0] for line in lines.splitlines()] == fw.available_isas()
    assert len({line.split()[1] for line in lines.splitlines()}) == 1
    return lines


def test_a_users_compiler_flags_change_no_bit_and_no_float_mode(bin, model, expected_bits):
    assert alone(bin, "python", "-c", BITS, model, 300) == expected_bits


@pytest.mark.slow
@pytest.mark.parametrize("flags", [{}, WORST], ids=["own_flags", "worst_flags"])
def test_clang_changes_no_bit_and_no_float_mode(sdist, model, expected_bits, tmp_path, flags):
    if shutil.which("clang") is None:
        pytest.skip("this machine has no clang")
    wheel = build_wheel(sdist, tmp_path / "wheel", CC="clang", **flags)
    bin = install(wheel, tmp_path / "environment")
    assert alone(bin, "python", "-c", BITS, model, 300) == expected_bits


USER = """
import fastwavenet as fw

spec = fw.WaveNetSpec(
    sample_rate=8000, residual=4, dilation_channels=4, skip=4, head=4, dilations=(1, 2), kernel=3
)
reveal_type(spec.kernel)
reveal_type(spec.start.code)
reveal_type(fw.load("m").info())
fw.WaveNetSpec(sample_rate=8000, dilations=(1,), residual=4, dilation_channels=4, skip=4, head="4")
"""


def test_a_users_type_checker_sees_our_types(bin, tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed")
    (tmp_path / "user.py").write_text(USER)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "user.py"]
    command += ["--python-executable", str(bin / "python")]
    environment = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    said = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    assert said[:3] == [f'note: Revealed type is "{name}"'
                        for name in ("tuple[int, ...]", "int", "dict[str, int]")]  # fmt: skip
    assert 'Argument "head" to "WaveNetSpec" has incompatible type "str"' in said[3]
    assert done.stdout.endswith("Found 1 error in 1 file (checked 1 source file)\n")


# ---- other CPUs --------------------------------------------------------------------------------

# What qemu calls a CPU -> the instruction sets that are to be found on it.
CPUS = {
    "Nehalem": ["scalar"],
    "Haswell": ["scalar", "avx2"],
    "Haswell,-fma": ["scalar"],
    "Haswell,-xsave": ["scalar"],  # an operating system that does not save the wide registers
}


def emulated(cpu: str, *arguments: object) -> str:
    """Output of this Python and this source on another CPU."""
    emulator = shutil.which("qemu-x86_64")
    if platform.machine() != "x86_64" or emulator is None:
        pytest.skip("this machine is no x86-64 with qemu-x86_64")
    python = [emulator, "-cpu", cpu, sys.executable, "-c"]
    if subprocess.run([*python, "import numpy"], capture_output=True).returncode:
        pytest.skip(f"numpy does not run on {cpu}")
    return run(*python, *arguments, cwd=ROOT)


@pytest.mark.parametrize("cpu", CPUS)
def test_a_cpu_is_not_said_to_have_what_it_lacks(cpu):
    assert emulated(cpu, "import fastwavenet as f; print(*f.available_isas())").split() == CPUS[cpu]


def test_a_cpu_without_avx_computes_the_same_bits(model):
    """Not asked of AVX2: qemu 7.2 gathers wrongly where the index is in register 4."""
    here = run(sys.executable, "-c", BITS, model, 20, cwd=ROOT)
    assert emulated("Nehalem", BITS, model, 20).splitlines() == here.splitlines()[:1]
