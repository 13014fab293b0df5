"""The exclusive right to a run folder, without a file that a killed process could leave."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ..shown import shown


class FolderLock:
    """A lock on the folder itself (flock), which ends with the process that has it.

    On a file system without such locks there is none, and two processes can train into one folder.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.handle: int | None = None

    def take(self) -> bool:
        """Locks the folder; whether it was not yet locked here.

        A folder that was removed and made again since is locked anew.
        Raises BlockingIOError if another process, or another call in this one, has it.
        """
        try:
            handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        except PermissionError:  # may be written to, but not read
            return True
        if self.handle is not None and os.path.samestat(os.fstat(handle), os.fstat(self.handle)):
            os.close(handle)
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise BlockingIOError(
                f"{shown(self.folder)}: another process trains into this folder: wait for its end, "
                f"stop it, or choose another folder"
            ) from None
        except OSError:  # such as ENOLCK and EBADF of network mounts
            os.close(handle)
            return True
        self.release()
        self.handle = handle
        return True

    def release(self) -> None:
        """Unlocks the folder, if it is locked here."""
        if self.handle is not None:
            fcntl.flock(self.handle, fcntl.LOCK_UN)  # also if a forked process has the handle too
            os.close(self.handle)
            self.handle = None
