"""A file that is saved over, and a process that saves by atomic.py alone."""

import sys
from pathlib import Path

from fastwavenet import atomic

OLD, NEW = b"old " * 9999, b"new " * 99999  # not of one length


def old_file(folder: Path) -> Path:
    """A file that holds OLD, alone in a folder that is made for it."""
    path = folder / "file"
    folder.mkdir()
    path.write_bytes(OLD)
    return path


def alone(script: str, *argv: object) -> list[str]:
    """A command line that runs a script with atomic.py and no numpy, which takes a second."""
    load = (
        "import sys, types\n"
        "package = sys.modules['fastwavenet'] = types.ModuleType('fastwavenet')\n"
        f"package.__path__ = [{str(Path(atomic.__file__).parent)!r}]\n"
        "from fastwavenet import atomic\n"
    )
    return [sys.executable, "-S", "-B", "-c", load + script, *map(str, argv)]
