"""Who may know of whom: the directions of dependency that keep the parts apart.

torch may be imported by fastwavenet.training, and by the benchmark's peers that are made of it,
fastwavenet.bench.torch_*; onnx, onnxruntime and openvino by its peers of those names.  Nothing
else imports these before it needs them.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fastwavenet"
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
EXTENSION = "fastwavenet._engine"


def nodes(tree: ast.AST, at_import_time: bool) -> Iterator[ast.AST]:
    """Everything in a module, or all but the bodies of its functions."""
    for child in ast.iter_child_nodes(tree):
        if not (at_import_time and isinstance(child, (ast.FunctionDef, ast.Lambda))):
            yield child
            yield from nodes(child, at_import_time)


def imports(module: str, at_import_time: bool = False) -> set[str]:
    """Absolute names of what a module imports; `from . import x` is x if x is a module."""
    path = SOURCES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in nodes(ast.parse(path.read_text()), at_import_time):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: -(node.level - 1) or None] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names = {f"{base}.{alias.name}" for alias in node.names}
            inner = {name for name in names if name in SOURCES or name == EXTENSION}
            found |= inner | ({base} if len(inner) < len(names) else set())
    return found


def everything_behind(module: str) -> set[str]:
    """A module's imports, and of those that are ours their imports, and so on."""
    seen, waiting = set(), [module]
    while waiting:
        new = imports(waiting.pop()) - seen
        seen |= new
        waiting += new & SOURCES.keys()
    return seen


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_the_import_reader_tells_modules_from_names_and_now_from_later(monkeypatch, tmp_path):
    path = tmp_path / "sample.py"
    monkeypatch.setitem(SOURCES, "fastwavenet.training.sample", path)
    path.write_text(
        "import os.path\n"
        "from .. import Generator, _engine, spec\n"
        "from .model import WaveNet\n"
        "class Later:\n"
        "    import json\n"
        "    def run(self):\n"
        "        import torch\n"
    )
    ours = {"", "._engine", ".spec", ".training.model"}
    now = {"os.path", "json"} | {f"fastwavenet{name}" for name in ours}
    assert imports("fastwavenet.training.sample", at_import_time=True) == now
    assert imports("fastwavenet.training.sample") == now | {"torch"}


def test_spec_imports_only_the_standard_library_and_the_checks_of_values():
    behind = everything_behind("fastwavenet.spec")
    assert {name for name in behind if name.startswith("fastwavenet")} == {
        "fastwavenet.checks",
        "fastwavenet.shown",
    }
    assert roots(behind) - {"fastwavenet"} <= sys.stdlib_module_names


TWINS = ["fastwavenet.modelfile", *(m for m in SOURCES if m.startswith("fastwavenet.reference"))]


@pytest.mark.parametrize("module", TWINS)
def test_the_slow_twin_and_the_file_know_neither_engine_nor_torch(module):
    behind = everything_behind(module)
    assert not {EXTENSION, "fastwavenet"} & behind
    assert "torch" not in roots(behind)


def test_the_torch_model_never_imports_the_engine():
    assert not {EXTENSION, "fastwavenet"} & everything_behind("fastwavenet.training.model")


WITH_TORCH = ("fastwavenet.training", "fastwavenet.bench.torch_")
OF_PEERS = {
    "fastwavenet.bench.onnx_peer": {"onnx", "onnxruntime"},
    "fastwavenet.bench.openvino_peer": {"openvino"},
}
HEAVY = {"torch"}.union(*OF_PEERS.values())


@pytest.mark.parametrize("module", [m for m in SOURCES if not m.startswith(WITH_TORCH)])
def test_only_training_and_torch_peers_import_torch_at_import_time(module):
    imported = imports(module, at_import_time=True)
    assert not (HEAVY - OF_PEERS.get(module, set())) & roots(imported)
    assert not any(name.startswith(WITH_TORCH) for name in imported)


@pytest.mark.parametrize(
    "module", ["fastwavenet", "fastwavenet.bench", "fastwavenet.bench.command"]
)
def test_importing_fastwavenet_and_its_benchmark_imports_nothing_heavy(module):
    code = f"import sys, {module}; print(sorted({HEAVY | {'matplotlib'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# ---- C -----------------------------------------------------------------------------------------

C_SOURCES = sorted((ROOT / "csrc").rglob("*.[ch]"))
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
PRINTS = r"stdout|stderr|f?open|fread|f?write|f?puts|putchar|perror|(?!snprintf)[a-z]*printf"


def test_the_engine_has_sources():
    assert "fastwavenet.h" in {path.name for path in C_SOURCES}


@pytest.mark.parametrize("path", C_SOURCES, ids=lambda path: path.name)
def test_the_engine_knows_no_python_opens_no_file_and_prints_nothing(path):
    assert re.findall(rf"\b(?:Python\.h|{PRINTS})\b", COMMENT.sub("", path.read_text())) == []
