"""The Python files of examples/ as modules."""

import importlib.util
from types import ModuleType

from c_build import ROOT

EXAMPLES = ROOT / "examples"


def example(name: str) -> ModuleType:
    """examples/<name>.py as a module."""
    found = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


dump = example("dump_model").dump
