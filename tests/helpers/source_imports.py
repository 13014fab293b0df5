"""Reads the imports of the package's modules from their source, without running them."""

import ast
from collections.abc import Iterator

from c_build import ROOT

PACKAGE = ROOT / "fastwavenet"
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
EXTENSION = "fastwavenet._engine"


def nodes(tree: ast.AST, at_import_time: bool) -> Iterator[ast.AST]:
    """Everything in a module but the imports for type checkers, or without bodies of functions."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for other in child.orelse:
                yield other
                yield from nodes(other, at_import_time)
        elif not (at_import_time and isinstance(child, (ast.FunctionDef, ast.Lambda))):
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


def packages(module: str) -> set[str]:
    """Those that a module is in: importing it runs their __init__.py first."""
    parts = module.split(".")
    return {".".join(parts[:n]) for n in range(1, len(parts))}


def everything_behind(module: str, at_import_time: bool = False) -> set[str]:
    """A module's packages and imports, and of those that are ours their imports, and so on."""
    seen, waiting = set(), [module, *packages(module)]
    while waiting:
        new = imports(waiting.pop(), at_import_time)
        new |= {package for name in new & SOURCES.keys() for package in packages(name)}
        new -= seen
        seen |= new
        waiting += new & SOURCES.keys()
    return seen


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}
