"""Says what was tested, and runs a test for each `isa` and each `precision` if it asks for them."""

import fcntl
import functools
import hashlib
import json
import os
import signal
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import c_build
import hypothesis
import pytest
from networks import PRECISIONS

TESTS = Path(__file__).parent

# A shared machine may stop any test for seconds: speed is asserted where it is the claim.
hypothesis.settings.register_profile(
    "tests",
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tests")


def pytest_configure(config):
    """Has several processes take the files in their order here, not by their numbers of tests.

    Signals end the tests and their programs, also where a shell (&, nohup) had them ignored.
    """
    for number, handler in ((signal.SIGINT, signal.default_int_handler),
                            (signal.SIGHUP, signal.SIG_DFL)):  # fmt: skip
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    config.option.loadscopereorder = False  # of pytest-xdist


# The files that take 10 s and more, the longest first: one that began last would leave one process
# alone.
LONGEST = [
    "engine/test_c_engine.py",
    "engine/test_other_cpus.py",
    "packaging/test_packaging.py",
    "engine/test_fuzz.py",
    "training/test_distributed.py",
    "web/test_browser.py",
    "docs/test_docs.py",
    "docs/test_examples.py",
    "engine/test_extremes.py",
    "bench/test_bench.py",
    "training/test_train.py",
    "engine/test_same_bits.py",
    "training/test_resume.py",
    "packaging/test_types.py",
    "bench/test_bench_results.py",
    "training/test_train_mel.py",
    "bench/test_peers.py",
    "cli/test_cli_demo.py",
    "engine/test_engine_is_reference.py",
    "audio/test_prepare_ended.py",
    "training/test_corpus.py",
    "engine/test_adversary.py",
    "training/test_three_tones.py",
]


@functools.cache
def _place(path: Path) -> int:
    """Of a file before and behind others."""
    name = os.path.relpath(path, TESTS)
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def pytest_report_header():
    versions = [f"{name} {_version(name)}" for name in ("fastwavenet", "numpy", "torch")]
    return [", ".join(versions), _engine()]


ISAS = list(c_build.setup_names()["ISA_FLAGS"])
ADDED = c_build.setup_names()["PRECISIONS"]  # of instruction sets that add to some precisions only


@pytest.fixture(params=ISAS)
def isa(request) -> str:
    """Each instruction set in turn; the ones that this machine lacks are reported as skipped."""
    return _available(request.param)


@pytest.fixture(params=ISAS)
def another_isa(request) -> str:
    """The same once more, for what passes from one to another."""
    return _available(request.param)


@pytest.fixture(params=PRECISIONS)
def precision(request) -> str:
    """Each precision in turn."""
    return request.param


def pytest_collection_modifyitems(config, items):
    """Puts long files first; leaves out what runs the same code, and all but one precision of each
    combination of what is marked each_pair.
    """
    items.sort(key=lambda item: _place(item.path))
    same = {item for item in items if _runs_the_code_of_another(item)}
    items[:] = [item for item in items if item not in same]
    config.hook.pytest_deselected(items=same)
    if len(ISAS) < 3:
        return
    values = defaultdict(list)  # of each parameter of each test, in their order

    def number(item) -> int:
        total = 0
        for name, value in item.callspec.params.items():
            known = values[item.function, name]
            if value not in known:
                known.append(value)
            total += known.index(value)
        return total

    marked = [item for item in items if item.get_closest_marker("each_pair")]
    left_out = {item for item in marked if number(item) % len(PRECISIONS)}
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def _runs_the_code_of_another(item) -> bool:
    """Whether an instruction set adds nothing for the precision: dispatch.c then has another's."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if params.get("precision") not in PRECISIONS:
        return False
    number = PRECISIONS.index(params["precision"])
    sets = [params[name] for name in ("isa", "another_isa") if name in params]
    return any(number not in ADDED.get(isa, [number]) for isa in sets)


@pytest.fixture(scope="session")
def build() -> dict:
    """The names in setup.py, and the arguments it gives to setuptools."""
    return c_build.setup_names()


@pytest.fixture(scope="session")
def compile_engine(tmp_path_factory):
    """c_build.compile_engine, once for each compiler and flags in all processes of a run.

    Objects of gcc with setup.py's flags alone are those of the extension, where they are there.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    @functools.cache
    def compiled(compiler: str, *flags: str, machine: str | None = None):
        setup = c_build.setup_names(machine)
        asked = json.dumps([compiler, flags, machine])
        of_extension = json.loads(asked) == ["gcc", [], None]
        made = c_build.objects_of_extension(setup) if of_extension else None
        folder = shared / f"objects-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
        folder.mkdir(exist_ok=True)
        with open(folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return c_build.compile_engine(setup, compiler, folder, *flags, made=made)

    return compiled


@pytest.fixture(scope="module")
def one_thread():
    """PyTorch on one thread; afterwards as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def no_cpp_compiler(tmp_path_factory):
    """torch.compile finds neither a C++ compiler nor anything compiled before."""
    from torch._inductor import config

    empty = tmp_path_factory.mktemp("inductor")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(empty))
        with config.patch({"cpp.cxx": (None, str(empty / "no-compiler"))}):
            yield


def _available(isa: str) -> str:
    from fastwavenet import available_isas

    if isa not in available_isas():
        pytest.skip(f"this machine has no {isa}, only {', '.join(available_isas())}")
    return isa


# ---- the command line --------------------------------------------------------------------------


@pytest.fixture
def run(capsys):
    """Runs a command line; returns exit code, standard output and standard error."""
    from fastwavenet import cli

    def main(*argv):
        try:
            code = cli.main([str(argument) for argument in argv])
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    return main


@pytest.fixture
def refused(run):
    """Runs a command line that must fail; returns its one line."""

    def main(*argv):
        code, _, said = run(*argv)
        assert code == 2
        assert said.startswith("fastwavenet: error: ")
        assert said.count("\n") == 1
        assert said.endswith("\n")
        return said.removeprefix("fastwavenet: error: ").rstrip("\n")

    return main


@pytest.fixture
def voice(tmp_path):
    """The file of a small model of 8 kHz."""
    from networks import random_weights, small_spec

    from fastwavenet import modelfile

    path = tmp_path / "voice.safetensors"
    modelfile.save(path, small_spec(), random_weights(small_spec(), seed=1))
    return path


@pytest.fixture
def silent(tmp_path):
    """The file of a model whose output bias leaves one code to draw, that of silence."""
    import numpy as np
    from networks import random_weights, small_spec

    from fastwavenet import modelfile

    spec = small_spec(levels=256)
    weights = dict(random_weights(spec, seed=1))
    weights["head.output.bias"] = np.where(np.arange(256) == 128, 1000, 0).astype(np.float32)
    path = tmp_path / "silent.safetensors"
    modelfile.save(path, spec, weights)
    return path


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _engine() -> str:
    try:
        from fastwavenet import available_isas, isa
    except ImportError as error:
        return f"engine: missing ({error})"
    return f"engine: {isa()}, available: {', '.join(available_isas())}"
