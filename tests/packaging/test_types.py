"""The stub of the extension says what the extension is."""

import inspect
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from engines import model_of, weights_of
from networks import small_spec

import fastwavenet
from fastwavenet import _engine

PACKAGE = Path(fastwavenet.__file__).parent
SPEC = small_spec()
CONSTRUCTORS = {
    "Network": lambda: {"spec": SPEC, "weights": weights_of(SPEC), "precision": "float32"},
    "Stream": lambda: {
        "network": model_of(SPEC)._network,
        "isa": "scalar",
        "rows": 1,
        "threads": 1,
    },
    "MuLaw": lambda: {"levels": 16, "codec": None},
}


@pytest.fixture(scope="module")
def stub() -> types.ModuleType:
    """A stub is Python: executed, it is a module of the same names without their deeds."""
    module = types.ModuleType(_engine.__name__)
    module.__package__ = fastwavenet.__name__
    path = PACKAGE / "_engine.pyi"
    exec(compile(path.read_text(), path, "exec"), vars(module))
    return module


def described(thing: object) -> dict[str, object]:
    """Public name -> what a caller must know: a function's parameters, a class's bases and members.

    Modules, and what was imported from them, are not a module's own.
    """
    members: dict[str, object] = {}
    for name, value in vars(thing).items():
        own = getattr(value, "__module__", _engine.__name__) == _engine.__name__
        if name.startswith("_") or not own or inspect.ismodule(value):
            continue
        if inspect.isclass(value):
            members[name] = (value.__bases__, described(value))
        elif isinstance(value, property) or inspect.isgetsetdescriptor(value):
            members[name] = "property"
        else:
            parameters = inspect.signature(value).parameters.values()
            members[name] = [(p.name, p.kind, p.default) for p in parameters]
    return members


def test_the_stub_has_the_names_parameters_and_defaults_of_the_extension(stub):
    assert described(stub) == described(_engine)
    assert set(described(stub)) > set(CONSTRUCTORS)


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_the_stubs_constructors_take_the_extensions_arguments(stub, name):
    arguments = CONSTRUCTORS[name]()
    assert list(inspect.signature(getattr(stub, name)).parameters) == list(arguments)
    getattr(_engine, name)(**arguments)
    with pytest.raises(TypeError):
        getattr(_engine, name)(**arguments, more=1)


# ---- the user's side ---------------------------------------------------------------------------

USER = Path(__file__).parent / "typed_user.py"


def checked(*command: object, folder: Path) -> str:
    """What a type checker has against the user's program; nothing if it passes."""
    line = [sys.executable, "-m", *map(str, command)]
    found = os.environ | {"MYPYPATH": str(PACKAGE.parent)}
    done = subprocess.run(line, cwd=folder, env=found, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_a_users_program_passes_mypy_strict(tmp_path):
    pytest.importorskip("mypy")
    assert checked("mypy", "--strict", "--follow-imports=silent", USER, folder=tmp_path) == ""


def test_a_users_program_passes_pyright_strict(tmp_path):
    pytest.importorskip("basedpyright")
    settings = {
        "include": [str(USER)],
        "typeCheckingMode": "strict",
        "pythonPlatform": "Linux",
        "extraPaths": [str(PACKAGE.parent)],
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    assert checked("basedpyright", "--project", tmp_path, folder=tmp_path) == ""


def test_the_users_program_names_all_that_is_public():
    text = USER.read_text()
    errors = {"NotFiniteError"}
    assert {name for name in fastwavenet.__all__ if f"fw.{name}" not in text} <= errors
