"""Audio files in a folder: found by suffix or content, and the rest counted."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from . import containers
from .audio_source import AudioError, Source
from .shown import shown

READ_SUFFIXES = (
    ".wav",
    ".rf64",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".aif",
    ".aiff",
    ".aifc",
)
# Folders of programs, with sounds of their own: by name, and by a file that each has.
PACKAGES = ("node_modules", "bower_components", "site-packages", "dist-packages", "__pycache__")
ENVIRONMENT = "pyvenv.cfg"
CONDA = "conda-meta"  # a folder
# The first bytes of audio in formats that are not read: AU, W64, CAF, WMA, and MP4 (.m4a) behind 4.
OTHER_AUDIO = (b".snd", b"riff\x2e\x91\xcf\x11", b"caff", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")
MP4 = b"ftypM4A"
MOST_LISTED = 6  # suffixes or folders in a remark


@dataclass(frozen=True)
class Found:
    """The result of a search.

    files     audio, sorted, by suffix or by content
    others    files that are no audio, hidden ones left out
    left_out  folders of programs, which were not searched
    odd       the kind of each file that looks like audio and cannot be read
    """

    root: Path
    files: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def remarks(self) -> list[str]:
        """A line for each thing about a folder with audio that is easily overlooked."""
        lines: list[str] = []
        if not self.files:
            return lines
        if self.others:
            lines.append(f"passed over {_files(self.others)} without audio: {self.suffixes()}")
        if self.odd:
            lines.append(f"passed over besides: {_counted(Counter(self.odd))}")
        if self.left_out:
            first = shown(self.left_out[0].relative_to(self.root))
            lines.append(
                f"left out {len(self.left_out)} of the folders, as those of programs: {first}"
                + " ..." * (len(self.left_out) > 1)
            )
        if len({file.parent for file in self.files} - {self.root}) > 1:
            folders = Counter(shown(file.parent.relative_to(self.root)) for file in self.files)
            lines.append(f"found audio in {len(folders)} folders: {_counted(folders)}")
        return lines

    def unusable(self) -> str:
        """The end of a message that no file could be used: how many there are, and which others."""
        if self.files:
            return f"{len(self.files)} unusable"
        besides = f", besides {_counted(Counter(self.odd))}" if self.odd else ""
        if not self.others:
            return f"none{besides}"
        return f"none among {_files(self.others)}: {self.suffixes()}{besides}"

    def suffixes(self) -> str:
        """The suffixes of the files that are no audio, each with their number."""
        return _counted(Counter(map(_suffix, self.others)))


def find_audio(path: str | os.PathLike[str]) -> list[Path]:
    """A file itself, or all audio files below a folder, sorted, as `search_audio` finds them."""
    return search_audio(path).files


def search_audio(path: str | os.PathLike[str]) -> Found:
    """A file itself, or all files below a folder, audio (by suffix or content) and others apart.

    Hidden files and folders are passed over, and so are links to folders, virtual environments and
    folders of packages.
    Raises FileNotFoundError if there is neither, AudioError if it is a device or a pipe, OSError if
    a folder cannot be listed.
    """
    root = Path(path)
    if root.is_file():
        return Found(root, [root])
    if root.exists() and not root.is_dir():
        raise AudioError(
            f"{shown(root)}: is a device or a pipe, expected an audio file or a folder"
        )
    if not root.is_dir():
        raise FileNotFoundError(f"{shown(root)}: no such file or folder")
    found = Found(root)
    for folder, below, names in os.walk(root, onerror=_raise):
        below[:] = sorted(name for name in below if not name.startswith("."))
        programs = [name for name in below if _is_of_programs(folder, name)]
        found.left_out.extend(Path(folder, name) for name in programs)
        below[:] = [name for name in below if name not in programs]
        links = [name for name in below if os.path.islink(os.path.join(folder, name))]
        found.odd.extend("link to a folder" for _ in links)
        for name in names:
            if not name.startswith("."):
                _sort(Path(folder, name), found)
    found.files.sort()
    return found


def _sort(file: Path, found: Found) -> None:
    named = file.suffix.lower() in READ_SUFFIXES
    if file.is_file():
        kind = "" if named else _odd_kind(file)
        if kind:
            found.odd.append(kind)
        else:
            (found.files if named or _is_audio(file) else found.others).append(file)
    elif named:
        found.odd.append("pipe or device" if file.exists() else "link to nothing")


def _odd_kind(file: Path) -> str:
    """Empty, if it is a file that can be read and is no audio of another format."""
    try:
        with open(file, "rb") as opened:
            head = opened.read(16)
    except OSError:
        return "file that may not be read"
    other = head.startswith(OTHER_AUDIO) or head[4:].startswith(MP4)
    return f"audio file of another format ({_suffix(file)})" if other else ""


def _raise(error: OSError) -> None:
    raise error


def _is_of_programs(folder: str, name: str) -> bool:
    inside = os.path.join(folder, name)
    environment = os.path.isfile(os.path.join(inside, ENVIRONMENT))
    return name in PACKAGES or environment or os.path.isdir(os.path.join(inside, CONDA))


def _is_audio(file: Path) -> bool:
    try:
        with open(file, "rb") as opened:
            return containers.is_known(Source(opened))
    except OSError:
        return False


def _suffix(file: Path) -> str:
    return shown(Path(file.suffix.lower())) if file.suffix else "no suffix"


def _files(files: list[Path]) -> str:
    return f"{len(files)} file" + "s" * (len(files) > 1)


def _counted(names: Counter[str]) -> str:
    parts = [f"{count} {name}" for name, count in names.most_common(MOST_LISTED)]
    return ", ".join(parts) + (" ..." if len(names) > MOST_LISTED else "")
