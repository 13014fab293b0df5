"""The sounds of `evaluate` as files: a folder that is written whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ..atomic import check_folder
from ..shown import shown
from ..types import Audio
from .sound import save_voice

SUBTYPE = "PCM_16"


def check_kept(folder: Path) -> None:
    """Before the work.  Raises OSError unless `folder` can be made, or is empty."""
    check_folder(folder)
    if not folder.parent.is_dir():
        raise FileNotFoundError(
            f"{shown(folder)}: the folder {shown(folder.parent)} does not exist"
        )
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{shown(folder)} is not empty: name a new folder")


class KeptSounds:
    """A folder for each row in a folder, which gets its name when the context ends without error.

    Before, it is a hidden `.NAME-*.tmp` beside it, and is removed after an error or Ctrl-C.
    """

    def __init__(self, folder: Path | None, names: Sequence[str], sample_rate: int):
        """folder: None: nothing is written.  names: of the recordings, without suffix.

        Raises ValueError if two recordings have a name.
        """
        self.folder = folder and Path(os.path.realpath(folder))
        self.names, self.sample_rate = names, sample_rate
        twice = [name for name, count in Counter(names).items() if count > 1]
        if folder is not None and twice:
            raise ValueError(
                f"--keep: {len(twice)} names are those of several recordings, as {twice[0]!r}"
            )

    def __enter__(self) -> Self:
        if self.folder is not None:
            token = secrets.token_hex(8)
            self.temporary = self.folder.with_name(f".{self.folder.name[:32]}-{token}.tmp")
            self.temporary.mkdir()
        return self

    def add(self, row: str, sounds: Sequence[Audio]) -> None:
        """Writes the sound of each recording.  Raises OSError."""
        if self.folder is None:
            return
        place = self.temporary / re.sub(r"[^a-z0-9.]+", "-", row.lower()).strip("-")
        place.mkdir()
        for name, sound in zip(self.names, sounds, strict=True):
            save_voice(place / f"{name}.wav", sound, self.sample_rate, SUBTYPE)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.folder is None:
            return
        try:
            if kind is None:
                self.temporary.rename(self.folder)
        finally:
            shutil.rmtree(self.temporary, ignore_errors=True)  # is not there after renaming
