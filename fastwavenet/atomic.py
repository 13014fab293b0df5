"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import functools
import glob
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .shown import shown

OPENED_FOLDERS = ("/dev", "/dev/fd", "/proc/self/fd")  # names there are open descriptors
# fsync's errors that mean a file system without it (S3 and GCS mounts, CIFS, FUSE), not lost data.
NO_SYNC = {
    errno.EPERM,
    errno.EACCES,
    errno.EINVAL,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOTTY,
    errno.EROFS,
}
# link's errors that mean a file system without hard links (FAT, many network mounts).
NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}


def replace_atomically(
    path: str | os.PathLike[str], data: bytes | bytearray, keep: Path | None = None
) -> None:
    """Writes `data` to `path`, whose file is replaced whole or not at all.

    keep: a name in the same folder that the replaced file gets, in the place of a file there; at
    every moment one of the two names is that of a whole file.

    A file keeps its permissions where the file system allows it, and its successor never has more
    than that.  A symbolic link stays and its target is replaced.  A device or a pipe (/dev/stdout)
    is written to; a named pipe waits for its reader.  A process that is killed may leave a hidden
    `.NAME-*.tmp` beside the file; an error or Ctrl-C does not.
    Raises OSError naming `path`, with any existing file intact.
    """
    check_target(path)
    try:
        if is_special_file(path):
            with open(path, "ab") as file:  # appends, for stdout may be a log
                file.write(data)
        else:
            _replace(Path(os.path.realpath(path)), data, keep)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


@contextlib.contextmanager
def written_at_end(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file for data that come in pieces: at the end of the block it takes the name `path`.

    After an exception, Ctrl-C too, there is no new file; everything else is as in
    `replace_atomically`, but to a device or a pipe the pieces go at once.
    """
    check_target(path)
    try:
        if is_special_file(path):
            with open(path, "ab") as file:
                yield file
        else:
            target = Path(os.path.realpath(path))
            with _replacement(target, None, _new_temporary(target)) as file:
                yield file
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """A regular file's bytes; a named pipe is refused at once instead of waited for.

    Raises ValueError if it is a pipe or a device, OSError if it cannot be read.
    """
    with open_regular(path) as file:
        return file.read()


@contextlib.contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A regular file, open for reading.  Raises as `read_regular`."""
    with open(path, "rb", opener=without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{shown(Path(path))} is a pipe or a device, expected a file")
        yield file


def without_waiting(path: str, flags: int) -> int:
    """An opener for `open` that gets a named pipe at once, though nobody writes it.

    For a regular file it makes no difference.
    """
    return os.open(path, flags | os.O_NONBLOCK)


def check_target(path: str | os.PathLike[str]) -> None:
    """Raises OSError if `path` cannot be written, as far as that shows before the work."""
    target, name = Path(os.path.realpath(path)), shown(Path(path))
    if target.is_dir():
        raise IsADirectoryError(f"{name} is a folder, expected a file name")
    if is_special_file(path):
        _check_special_file(Path(path))
        return
    if target.is_symlink():  # realpath leaves only a loop as a link
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    _check_writable(target.parent, name)
    if target.exists() and _belongs_to_others(target):
        raise PermissionError(f"{name} belongs to another user: choose another name or folder")


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raises OSError if no files can be written in a folder `path`, as far as that shows now.

    It need not exist yet, nor need those above it.
    """
    folder, name = Path(path), shown(Path(path))
    if folder.is_symlink() and not folder.exists():
        raise FileNotFoundError(f"{name} is a link to nothing: remove it, or choose another name")
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{name} is a file, expected a folder or a new name")
    nearest = Path(os.path.realpath(folder))
    while not nearest.exists():
        nearest = nearest.parent
    _check_writable(nearest, name)


def is_special_file(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is a device, a pipe or a socket, which is written to instead of replaced.

    A name of an open descriptor, such as /dev/fd/3, is one too, whatever lies behind it.
    """
    path = Path(path)
    if not path.exists() or path.is_dir():
        return False
    return not path.is_file() or str(path.parent) in OPENED_FOLDERS


def is_named_pipe(path: str | os.PathLike[str]) -> bool:
    """Whether writing to `path` waits until another program reads from it."""
    path = Path(path)
    return path.is_fifo() and str(path.parent) not in OPENED_FOLDERS


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Removes the temporary files of killed processes beside `path`, as far as that is allowed.

    No other process may be writing `path`.
    """
    target = Path(os.path.realpath(path))
    for temporary in target.parent.glob(_temporary(glob.escape(target.name[:32]), "*")):
        _remove(temporary)


def _check_writable(folder: Path, name: str) -> None:
    """name: of the file or folder to be made in it, for the message."""
    if not folder.exists():
        raise FileNotFoundError(f"{name}: the folder {shown(folder)} does not exist")
    if not folder.is_dir():
        raise NotADirectoryError(f"{name}: {shown(folder)} is no folder, expected one")
    if not _may(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{name}: the folder {shown(folder)} cannot be written to")


def _check_special_file(path: Path) -> None:
    if path.is_socket():
        raise OSError(f"{shown(path)} is a socket, expected a file name")
    if not _may(path, os.W_OK):
        raise PermissionError(f"{shown(path)} cannot be written to")


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _belongs_to_others(target: Path) -> bool:
    """Whether a folder's sticky bit, as that of /tmp, keeps this user from replacing the file."""
    folder, user = target.parent.stat(), os.geteuid()
    return bool(folder.st_mode & stat.S_ISVTX) and user not in (
        0, folder.st_uid, target.stat().st_uid
    )  # fmt: skip


def _new_temporary(target: Path) -> Path:
    return target.with_name(_temporary(target.name[:32], secrets.token_hex(8)))


def _temporary(name: str, token: str) -> str:
    return f".{name}-{token}.tmp"


def _replace(target: Path, data: bytes | bytearray, keep: Path | None) -> None:
    temporary = _new_temporary(target)
    try:
        with _replacement(target, keep, temporary) as file:
            file.write(data)
    except BaseException:  # Ctrl-C within contextlib, of which the generator learns later
        _remove(temporary)
        raise


@contextlib.contextmanager
def _replacement(target: Path, keep: Path | None, temporary: Path) -> Iterator[BinaryIO]:
    mode = target.stat().st_mode & 0o777 if target.exists() else None
    try:
        with open(temporary, "xb", opener=_creating(0o666 if mode is None else mode)) as file:
            if mode is not None:
                _set_mode(temporary, mode)
            yield file
            file.flush()
            _sync(file.fileno())
        if keep is not None and target.exists():
            _keep(target, keep)
        temporary.replace(target)
    except BaseException:  # Ctrl-C too
        _remove(temporary)
        raise
    _sync_folder(target.parent)


def _keep(target: Path, keep: Path) -> None:
    """Gives a file a second name; on a file system without links, that name alone."""
    link = _new_temporary(keep)
    try:
        os.link(target, link)
        link.replace(keep)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        target.replace(keep)
    finally:
        _remove(link)  # is still there if both names were those of one file


def _creating(mode: int) -> functools.partial[int]:
    """An opener whose files have `mode` from the start: nobody else may read a private one."""
    return functools.partial(os.open, mode=mode)


def _set_mode(path: Path, mode: int) -> None:
    """Gives back the bits that the umask took, where the file system allows it."""
    with contextlib.suppress(OSError):
        if path.stat().st_mode & 0o777 != mode:
            path.chmod(mode)


def _sync(handle: int) -> None:
    """Raises OSError if the data did not reach the disk; without fsync, the system decides when."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def _sync_folder(folder: Path) -> None:
    """So that the new name outlives a power cut; where folders cannot be synced, it may not."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove(temporary: Path) -> None:
    """An error here would hide the one that matters."""
    with contextlib.suppress(OSError):
        temporary.unlink()
