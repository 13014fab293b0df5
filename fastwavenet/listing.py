"""The recordings of a run in their folders, and the place of each: its speaker, its frames' file.

Nothing is decoded here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from .audio_finding import Found, search_audio
from .audio_source import AudioError
from .corpus import CorpusFolder
from .frame_files import SUFFIX
from .manifest import is_corpus
from .shown import shown

MOST_NAMED = 20  # speakers in a message


T = TypeVar("T")


def shard_of(items: Sequence[T], number: int, count: int) -> Sequence[T]:
    """Part `number`, from 1 on, of `count` parts of a list; their lengths differ by at most 1."""
    begin, end = (len(items) * i // count for i in (number - 1, number))
    return items[begin:end]


@dataclass(frozen=True)
class Part:
    """The recordings to train on, or those to validate on.

    found   the result of the search
    files   the recordings among them that belong to this part; in a corpus, as if they lay there
    corpus  that holds them; None: they are files
    """

    found: Found
    files: list[Path]
    corpus: CorpusFolder | None = None

    @property
    def folder(self) -> Path:
        """The folder that was searched, or that of a single file."""
        root = self.found.root
        return root.parent if root.is_file() else root

    def speaker(self, file: Path) -> str:
        """The name of the direct subfolder that holds a recording.

        Raises ValueError for a recording outside of them.
        """
        inner = file.relative_to(self.folder).parts
        if self.found.root.is_file():
            raise ValueError(
                f"{shown(file)}: is a file, expected a folder that holds a folder for each speaker"
            )
        if len(inner) == 1:
            raise ValueError(
                f"{shown(file)}: lies beside the folders of the speakers: move it into the folder "
                f"of its speaker, or train without speakers"
            )
        return inner[0]

    def speakers(self) -> tuple[str, ...]:
        """The names of the direct subfolders with recordings, sorted.

        Raises ValueError for a recording outside of them, or a name that is no text.
        """
        names = tuple(sorted({self.speaker(file) for file in self.files}))
        for name in names:
            if not name.isprintable():
                raise ValueError(
                    f"{shown(self.folder / name)}: the name of a speaker's folder must be "
                    f"printable text: rename it"
                )
        return names


@dataclass(frozen=True)
class Listing:
    """Both parts; validation: None for a part of the recordings."""

    train: Part
    validation: Part | None = None

    @property
    def parts(self) -> list[Part]:
        """One or two."""
        return [self.train] if self.validation is None else [self.train, self.validation]

    def frames_files(self, folder: Path) -> dict[Path, Path]:
        """Recording -> file of its frames: in `folder` at the recording's place in its own folder.

        A recording to validate on may lie inside the folder to train on, and then has its place
        in that.  Raises ValueError if two recordings have the same file, or there is no folder.
        """
        if not folder.is_dir():
            raise ValueError(
                f"{shown(folder)}: expected a folder with a {SUFFIX} file for each recording"
            )
        roots = [part.folder.resolve() for part in self.parts]
        files: dict[Path, Path] = {}  # file of frames -> recording
        for part, root in zip(self.parts, roots, strict=True):
            for recording in part.files:
                place = root / recording.relative_to(part.folder)
                home = next(root for root in roots if place.is_relative_to(root))
                frames = folder / place.relative_to(home).with_suffix(SUFFIX)
                if frames in files:
                    raise ValueError(
                        f"{shown(frames)}: would hold the frames of both {shown(files[frames])} "
                        f"and {shown(recording)}: rename one of them"
                    )
                files[frames] = recording
        return {recording: frames for frames, recording in files.items()}


def list_recordings(
    source: str | os.PathLike[str], validation: str | os.PathLike[str] | None = None
) -> Listing:
    """The recordings of `source`, without those of `validation`, which may lie inside it.

    Both are files or folders of recordings, or both are corpora; of these, recordings with the
    samples of one in `validation` are left out.
    Raises FileNotFoundError or OSError for a missing folder, AudioError if nothing is left,
    CorpusError for a corpus that cannot be used, ValueError for a corpus beside recordings.
    """
    part = _searched(Path(source))
    if validation is None:
        return Listing(part)
    held_out = _searched(Path(validation))
    if (part.corpus is None) != (held_out.corpus is None):
        other = part if part.corpus is None else held_out
        raise ValueError(
            f"{shown(other.found.root)}: expected a corpus, as the other of source and validation "
            f"is one: make it with fastwavenet prepare"
        )
    apart = {_identity(held_out, file) for file in held_out.files}
    files = [file for file in part.files if _identity(part, file) not in apart]
    if part.files and not files:
        raise AudioError(
            f"{shown(Path(source))}: all audio here ({files_of(part.files)}) is also in the "
            f"validation {shown(Path(validation))}, and none is left to train on: "
            f"hold out a part of it, or leave validation out"
        )
    return Listing(replace(part, files=files), held_out)


def _searched(place: Path) -> Part:
    """All recordings of a file, a folder or a corpus."""
    if is_corpus(place):
        corpus = CorpusFolder(place)
        recordings = list(corpus.recordings)
        return Part(Found(place, recordings), recordings, corpus)
    found = search_audio(place)
    return Part(found, found.files)


def _identity(part: Part, file: Path) -> Path | str:
    """Equal for a recording that is in two parts: its file, or in corpora its samples' hash."""
    return file.resolve() if part.corpus is None else part.corpus.recordings[file].sha256


def check_speakers(listing: Listing, known: tuple[str, ...]) -> None:
    """Raises ValueError unless the folders of the speakers are those of a network's speakers.

    A part to validate on may lack some of them.
    """
    found = listing.train.speakers()
    if found != tuple(sorted(known)):
        raise ValueError(
            f"{shown(listing.train.folder)}: expected a folder for each speaker of the network, "
            f"{named(known)}; found {named(found) or 'none'}"
        )
    for name in [] if listing.validation is None else listing.validation.speakers():
        if name not in known:
            raise ValueError(
                f"{shown(listing.parts[1].folder / name)}: is no folder of a speaker to train on, "
                f"expected one of {named(known)}"
            )


def named(speakers: Iterable[str]) -> str:
    """The names of speakers for a message."""
    names = [shown(Path(name)) for name in speakers]
    return ", ".join(names[:MOST_NAMED]) + ", ..." * (len(names) > MOST_NAMED)


def files_of(files: Sized) -> str:
    """Their number."""
    return f"{len(files)} file{'s' * (len(files) != 1)}"
