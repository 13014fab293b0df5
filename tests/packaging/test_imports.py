"""Imports: the directions of dependency that keep the parts apart, and when a name is loaded.

torch may be imported by fastwavenet.training, and by the benchmark's peers that are made of it,
fastwavenet.bench.torch_*; onnx, onnxruntime and openvino by its peers of those names.  Nothing
else imports these before it needs them.
"""

import ast
import re
import subprocess
import sys

import pytest
from c_build import ROOT
from source_imports import EXTENSION, SOURCES, everything_behind, imports, roots

import fastwavenet


def test_the_import_reader_tells_modules_from_names_and_now_from_later(monkeypatch, tmp_path):
    path = tmp_path / "sample.py"
    monkeypatch.setitem(SOURCES, "fastwavenet.training.sample", path)
    path.write_text(
        "import os.path\n"
        "if TYPE_CHECKING:\n"
        "    import numpy\n"
        "else:\n"
        "    import math\n"
        "from .. import Generator, _engine, spec\n"
        "from .model import WaveNet\n"
        "class Later:\n"
        "    import json\n"
        "    def run(self):\n"
        "        import torch\n"
    )
    ours = {"", "._engine", ".spec", ".training.model"}
    now = {"os.path", "math", "json"} | {f"fastwavenet{name}" for name in ours}
    assert imports("fastwavenet.training.sample", at_import_time=True) == now
    assert imports("fastwavenet.training.sample") == now | {"torch"}


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.partition(".")[0] == "fastwavenet"}


# ---- directions --------------------------------------------------------------------------------

ROOT_PACKAGE = {"fastwavenet", "fastwavenet._version"}
BEHIND_SPEC = {
    f"fastwavenet.{name}"
    for name in (
        "checks",
        "end",
        "ends",
        "frame_conditioning",
        "mel_conventions",
        "quiet_sampling",
        "shown",
        "upsampling",
        "voiced_sampling",
    )
}


def test_importing_the_package_imports_no_module_but_the_version():
    assert ours(everything_behind("fastwavenet", at_import_time=True)) == ROOT_PACKAGE


def test_spec_imports_only_the_standard_library_and_the_checks_of_values():
    behind = everything_behind("fastwavenet.spec", at_import_time=True)
    assert ours(behind) == ROOT_PACKAGE | BEHIND_SPEC
    assert roots(behind) - {"fastwavenet"} <= sys.stdlib_module_names


TWINS = [name for name in SOURCES if name.startswith("fastwavenet.reference")]


@pytest.mark.parametrize("module", TWINS)
def test_the_slow_twins_know_the_spec_and_numpy_alone(module):
    behind = everything_behind(module, at_import_time=True)
    assert ours(behind) <= ROOT_PACKAGE | {*TWINS, "fastwavenet.spec"} | BEHIND_SPEC
    assert roots(behind) - {"fastwavenet"} <= sys.stdlib_module_names | {"numpy"}


@pytest.mark.parametrize("module", ["fastwavenet.modelfile", "fastwavenet.training.model"])
def test_the_file_and_the_torch_model_never_import_the_engine(module):
    assert EXTENSION not in everything_behind(module, at_import_time=True)
    assert EXTENSION not in imports(module)


WITH_TORCH = ("fastwavenet.training.", "fastwavenet.bench.torch_")
TABLE = (
    "fastwavenet.training.settings",
    "fastwavenet.training.table",
)  # of training, but torch-free
PAGE = (
    "fastwavenet.training.previews",
    "fastwavenet.training.report_page",
    "fastwavenet.training.reporters",
)  # torch-free too, so that they cannot affect training's random numbers
OF_PEERS = {
    "fastwavenet.bench.onnx_peer": {"onnx", "onnxruntime"},
    "fastwavenet.bench.openvino_peer": {"openvino"},
}
HEAVY = {"torch"}.union(*OF_PEERS.values())


@pytest.mark.parametrize(
    "module", [m for m in SOURCES if m in (*TABLE, *PAGE) or not m.startswith(WITH_TORCH)]
)
def test_only_training_and_torch_peers_import_torch_at_import_time(module):
    behind = everything_behind(module, at_import_time=True)
    assert not (HEAVY - OF_PEERS.get(module, set())) & roots(behind)


def test_no_module_imports_itself_by_way_of_others():
    within = {name: imports(name, at_import_time=True) & SOURCES.keys() for name in SOURCES}
    while leaves := [name for name, needed in within.items() if not needed]:
        within = {name: needed - {*leaves} for name, needed in within.items() if needed}
    assert within == {}  # else a circle, and who imports one of it


# ---- private names -----------------------------------------------------------------------------

PUBLIC = {"_replace", "_asdict", "_fields", "_SubParsersAction"}  # of named tuples and argparse


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in PUBLIC


@pytest.mark.parametrize("module", SOURCES)
def test_no_module_uses_a_private_name_of_another_one(module):
    found = list(ast.walk(ast.parse(SOURCES[module].read_text())))
    attributes = [node for node in found if isinstance(node, ast.Attribute)]
    own = {node.attr for node in attributes if ast.unparse(node.value) in ("self", "cls")}
    foreign = {node.attr for node in attributes if is_private(node.attr)} - own
    imported = {
        alias.name
        for node in found
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if node.module or f"fastwavenet.{alias.name}" not in {*SOURCES, EXTENSION}
    }
    assert foreign == set()
    assert {name for name in imported if is_private(name)} == set()


# ---- in a process of its own -------------------------------------------------------------------


def in_a_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(module: str, names: set[str]) -> str:
    return in_a_process(f"import sys, {module}; print(sorted({names} & set(sys.modules)))")


@pytest.mark.parametrize(
    "module",
    [
        "fastwavenet",
        "fastwavenet.bench",
        "fastwavenet.bench.command",
        "fastwavenet.cli.program",
        "fastwavenet.training",
        *TABLE,
    ],
)
def test_importing_fastwavenet_its_commands_and_its_settings_imports_nothing_heavy(module):
    assert loaded_by(module, HEAVY | {"matplotlib"}) == "[]\n"


def test_importing_fastwavenet_loads_neither_audio_libraries_nor_the_engine():
    unneeded = {"soundfile", "soxr", "safetensors", "numpy", EXTENSION}
    assert loaded_by("fastwavenet", unneeded) == "[]\n"


@pytest.mark.parametrize(
    "module", ["spec", "reference", "reference.int8", "modelfile", "atomic", "training.model"]
)
def test_without_the_extension_spec_reference_and_torch_model_can_be_imported(module):
    if module.startswith("training"):
        pytest.importorskip("torch")
    in_a_process(
        f"import sys; sys.modules[{EXTENSION!r}] = None\n"  # importing it raises ImportError
        f"import fastwavenet, fastwavenet.{module}\n"
        "fastwavenet.WaveNetSpec, fastwavenet.ModelFormatError\n"
        "try: fastwavenet.Generator\n"
        "except ImportError: pass\n"
        "else: raise AssertionError\n"
    )


# ---- the names of the package ------------------------------------------------------------------


def names_for_type_checkers() -> dict[str, str]:
    """Name -> module, of the imports that type checkers alone read."""
    body = ast.parse(SOURCES["fastwavenet"].read_text()).body
    (block,) = (node for node in body if isinstance(node, ast.If))
    return {alias.name: node.module for node in block.body for alias in node.names}


def test_type_checkers_and_python_find_each_public_name_in_the_same_module():
    assert names_for_type_checkers() == fastwavenet._MODULE_OF
    assert [*fastwavenet.__all__] == sorted(fastwavenet._MODULE_OF)
    assert {*fastwavenet.__all__, "__version__"} <= {*dir(fastwavenet)}


@pytest.mark.parametrize("name", fastwavenet.__all__)
def test_each_public_name_is_what_its_module_calls_so(name):
    assert getattr(fastwavenet, name).__name__ == name
    assert vars(fastwavenet)[name] is getattr(fastwavenet, name)  # kept after the first use


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fastwavenet' has no attribute 'sing'"):
        _ = fastwavenet.sing
    assert not hasattr(fastwavenet, "__wrapped__")


# ---- C -----------------------------------------------------------------------------------------

C_SOURCES = sorted((ROOT / "csrc").rglob("*.[ch]"))
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
PRINTS = r"stdout|stderr|f?open|fread|f?write|f?puts|putchar|perror|(?!snprintf)[a-z]*printf"


def test_the_engine_has_sources():
    assert "fastwavenet.h" in {path.name for path in C_SOURCES}


@pytest.mark.parametrize("path", C_SOURCES, ids=lambda path: path.name)
def test_the_engine_knows_no_python_opens_no_file_and_prints_nothing(path):
    assert re.findall(rf"\b(?:Python\.h|{PRINTS})\b", COMMENT.sub("", path.read_text())) == []
