"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
from pathlib import Path

OPENED_FOLDERS = ("/dev", "/dev/fd", "/proc/self/fd")  # names there stand for what is open already


def replace_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Writes `data` to `path`, whose file is replaced whole or not at all.

    A file keeps its permissions, a symbolic link stays and what it points to is replaced, and what
    is no regular file (a device, a pipe, /dev/stdout) is written to.  A process that is killed may
    leave a hidden `.NAME-*.tmp` beside the file; an error or Ctrl-C does not.
    Raises OSError naming `path`, with any existing file intact.
    """
    check_target(path)
    try:
        if is_stream(path):
            with open(path, "ab") as stream:  # appends, for stdout may be a log
                stream.write(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def check_target(path: str | os.PathLike) -> None:
    """Raises OSError if it is known already that `path` cannot be written."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected a file name")
    if is_stream(path):
        return
    if target.is_symlink():  # what realpath leaves of a loop
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {target.parent} does not exist")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: the folder {target.parent} cannot be written to")


def is_stream(path: str | os.PathLike) -> bool:
    """Whether there is something at `path` to be written to, not replaced: no file, no folder."""
    path = Path(path)
    if not path.exists() or path.is_dir():
        return False
    return not path.is_file() or str(path.parent) in OPENED_FOLDERS


def remove_leftovers(path: str | os.PathLike) -> None:
    """Removes what killed processes left beside `path`; no other may be writing it."""
    target = Path(os.path.realpath(path))
    for temporary in target.parent.glob(_temporary(glob.escape(target.name[:32]), "*")):
        temporary.unlink(missing_ok=True)


def _temporary(name: str, token: str) -> str:
    return f".{name}-{token}.tmp"


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(_temporary(target.name[:32], secrets.token_hex(8)))
    try:
        with temporary.open("xb") as file:
            if target.exists():
                temporary.chmod(target.stat().st_mode & 0o777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:  # Ctrl-C too
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """So that the new name outlives a power cut; where folders cannot be synced, it may not."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
