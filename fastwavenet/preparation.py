"""A corpus that is being made: the parts that are kept, decoded, and packed.

The results of worker processes lie in the folder `.unfinished`, by hashes of all that they depend
on.  When all are there, they are copied into packs, the manifest is replaced, and all other files
are removed.  Whenever this ends early, the folder is the old corpus, and the next call finds the
results.  The bytes of a corpus depend on the recordings and the settings, not on earlier calls.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .atomic import read_regular, remove_leftovers, replace_atomically
from .audio_finding import READ_SUFFIXES
from .audio_source import AudioError
from .clips import SHORTEST, Clip, split_each
from .frame_conditioning import FrameConditioning
from .listing import Part, shard_of
from .manifest import (
    BYTES,
    MANIFEST,
    UNFINISHED,
    CorpusError,
    Entry,
    Features,
    FramesPlace,
    Manifest,
    Options,
    Pack,
    Skipped,
    bytes_of_frames,
    check_pack,
)
from .packing import PACK_SUFFIXES, Piece, hash_of, is_intact, write_packs
from .shown import shown
from .worker_processes import Task, WorkerProcesses

FROM_DECODING = ("sha256", "seconds", "level", "peak", "dc", "silence", "remark")
Progress = Callable[[int, int], None]  # recordings done, and all of them


@dataclass(frozen=True)
class Decoded:
    """A recording whose samples lie in a file: those of a corpus, or a result of a process.

    values  FROM_DECODING, "samples" and "trimmed" of its entry
    """

    stat: tuple[int, int]
    piece: Piece
    values: dict[str, Any]


class Preparation:
    """A corpus that is being made.

    files    path in the source -> file, those of the shard
    is_whole whether that is all of them
    old      the corpus before, if it has the same source and settings
    kept     its packs that need not be written again: name -> size
    decoded  path -> recording
    frames   name of a mel, hash of samples -> piece and values of its frames
    skipped  path -> reason
    """

    def __init__(
        self,
        folder: Path,
        part: Part,
        options: Options,
        features: dict[str, FrameConditioning],
        progress: Progress | None,
        shard: tuple[int, int] = (1, 1),
    ):
        self.folder, self.part, self.options, self.features = folder, part, options, features
        self.is_whole = shard[1] == 1
        files = shard_of(part.files, *shard)
        self.files = {str(file.relative_to(part.folder)): file for file in files}
        self.source = os.path.relpath(os.path.realpath(part.found.root), os.path.realpath(folder))
        self.stats = dict[str, tuple[int, int]]()
        self.unfinished = folder / UNFINISHED
        self.progress = progress or (lambda done, total: None)
        self.before = _manifest(folder)
        self.kept: dict[str, int] = {}
        self.decoded: dict[str, Decoded] = {}
        self.frames: dict[tuple[str, str], tuple[Piece, dict[str, Any]]] = {}
        self.skipped: dict[str, str] = {}
        self.unchanged = 0
        self.unfinished.mkdir(exist_ok=True)
        for path, file in self.files.items():
            try:
                self.stats[path] = _stat(file)
            except OSError as error:
                self.skipped[path] = error.strerror or str(error)

    # ---- the corpus before ---------------------------------------------------------------------

    def keep(self, check: bool) -> None:
        """Takes from the corpus before all that is unchanged and whole."""
        old = self.before
        if old is None or old.source != self.source or _other_samples(old.options, self.options):
            return
        self.kept = {pack.file: pack.size for pack in old.files if _is_whole(self.folder, pack)}
        whole, damaged = set(self.kept), set[Piece]()
        for entry in old.recordings if check else ():
            for pack, piece in self._pieces(old, entry):
                if pack in whole and not is_intact(piece):
                    damaged.add(piece)
                    self.kept.pop(pack, None)
        for entry in old.recordings:
            if self.stats.get(entry.path) == (entry.size, entry.mtime):
                self._keep(old, entry, lambda pack, piece: pack in whole and piece not in damaged)
        self.unchanged = len(self.decoded)

    def _pieces(self, old: Manifest, entry: Entry) -> Iterator[tuple[str, Piece]]:
        """Pack and piece of the samples of a recording, then of the frames of each mel."""
        pack = old.packs[entry.pack].file
        size = BYTES * entry.samples
        yield pack, Piece(self.folder / pack, BYTES * entry.at, size, entry.sha256)
        for name, place in entry.frames.items():
            kind = old.features[name]
            pack = kind.packs[place.pack].file
            size = bytes_of_frames(place, kind.conditioning)
            yield pack, Piece(self.folder / pack, place.at, size, place.sha256)

    def _keep(self, old: Manifest, entry: Entry, is_sound: Callable[[str, Piece], bool]) -> None:
        """Takes samples and frames of a recording, those that are sound."""
        (pack, samples), *frames = self._pieces(old, entry)
        for (name, place), own in zip(entry.frames.items(), frames, strict=True):
            same = old.features[name].conditioning == self.features.get(name)
            if same and is_sound(*own):
                self.frames[name, entry.sha256] = own[1], _about(place)
        if is_sound(pack, samples):
            values = {name: getattr(entry, name) for name in (*FROM_DECODING, "samples", "trimmed")}
            self.decoded[entry.path] = Decoded((entry.size, entry.mtime), samples, values)

    # ---- processes -----------------------------------------------------------------------------

    def decode(self, processes: WorkerProcesses) -> None:
        """Decodes the recordings that are left."""
        tasks = {}
        for path in [path for path in self.stats if path not in self.decoded]:
            task: Task = {
                "kind": "decode",
                "file": str(self.files[path]),
                "rate": self.options.sample_rate,
                "convert": self.options.convert,
                "trim": self.options.trim,
                "gain": self.options.gain,
            }
            tasks[path] = self._aimed(task, [self.source, path, *self.stats[path]])
        total = len(self.files)
        for path, values in self._work(processes, tasks, total - len(tasks), total):
            if isinstance(values, str):
                self.skipped[path] = values
                continue
            size = BYTES * values["samples"]
            piece = Piece(Path(tasks[path]["target"]), BYTES * values["at"], size, values["sha256"])
            values["trimmed"] = tuple(values["trimmed"])
            self.decoded[path] = Decoded(self.stats[path], piece, values)
        self._check_any()

    def make_frames(self, processes: WorkerProcesses) -> None:
        """Computes the frames that are left, once for equal samples."""
        tasks: dict[tuple[str, str], Task] = {}
        pairs = itertools.product(self.features.items(), self.decoded.values())
        for (name, end), found in pairs:
            key = name, found.piece.sha256
            if key in self.frames or key in tasks:
                continue
            task: Task = {
                "kind": "frames",
                "file": str(found.piece.file),
                "at": found.piece.at // BYTES,
                "samples": found.values["samples"],
                "rate": self.options.sample_rate,
                "conditioning": {k: v for k, v in end.to_dict().items() if k != "kind"},
            }
            tasks[key] = self._aimed(task, [name, end.to_dict(), found.piece.sha256])
        total = len(self.features) * len(self.decoded)
        for key, values in self._work(processes, tasks, total - len(tasks), total):
            if isinstance(values, str):
                raise CorpusError(f"the frames of {key[0]} cannot be made: {values}")
            place, end = FramesPlace(0, 0, **values), self.features[key[0]]
            size = bytes_of_frames(place, end)
            piece = Piece(Path(tasks[key]["target"]), 0, size, place.sha256)
            self.frames[key] = piece, _about(place)

    def _aimed(self, task: Task, depends_on: list[Any]) -> Task:
        """The task with its target, which is named by a hash of all that the result depends on."""
        settings = {k: v for k, v in task.items() if k not in ("file", "at")}
        name = hash_of(json.dumps([settings, depends_on]).encode())
        return task | {"target": str(self.unfinished / name)}

    def _work(
        self, processes: WorkerProcesses, tasks: dict[Any, Task], done: int, total: int
    ) -> Iterator[tuple[Any, dict[str, Any] | str]]:
        """Key and result of each task, from an interrupted call or from a process."""
        left = {}
        for key, task in tasks.items():
            values = _result(Path(task["target"]))
            if values is None:
                left[key] = task
            else:
                done += 1
                yield key, values
        keys = list(left)
        self.progress(done, total)
        for number, result in processes.results(list(left.values())):
            if not isinstance(result, str):
                _note(Path(left[keys[number]]["target"]), result)
            yield keys[number], result
            done += 1
            self.progress(done, total)

    def _check_any(self) -> None:
        """Raises AudioError if no recording can be used."""
        if self.decoded or not self.is_whole:
            return
        shutil.rmtree(self.unfinished, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()  # unless it holds a corpus
        path, reason = min(self.skipped.items())
        root = self.part.found.root
        first = f"{shown(self.files[path])}: {reason}"
        if root.is_file():
            raise AudioError(first)
        raise AudioError(
            f"{shown(root)}: expected audio files ({' '.join(READ_SUFFIXES)}) of "
            f"{self.options.sample_rate} Hz, found {self.part.found.unusable()}, the first: {first}"
        )

    # ---- the corpus ----------------------------------------------------------------------------

    def finish(self) -> Manifest:
        """Writes the corpus, and removes all that is not in it."""
        manifest = self._packed()
        replace_atomically(self.folder / MANIFEST, manifest.dump())
        remove_leftovers(self.folder / MANIFEST)
        shutil.rmtree(self.unfinished, ignore_errors=True)
        own = {pack.file for pack in manifest.files}
        for file in self.folder.iterdir():
            if file.suffix in PACK_SUFFIXES and file.name not in own:
                file.unlink()
        return manifest

    def _packed(self) -> Manifest:
        """Writes all packs."""
        paths = sorted(self.decoded, key=Path)  # as a search of the folder finds them
        sizes = sum(self.decoded[path].values["samples"] for path in paths)
        pieces = {path: self.decoded[path].piece for path in paths}
        packs, places = write_packs(self.folder, "samples", pieces, sizes, self.kept)
        features, frames = {}, dict[str, dict[str, FramesPlace]]()
        for name, end in self.features.items():
            of_paths = {path: self.frames[name, pieces[path].sha256] for path in paths}
            of_mel = {path: piece for path, (piece, _) in of_paths.items()}
            own, where = write_packs(self.folder, name, of_mel, sizes, self.kept)
            features[name] = Features(end, own)
            for path, (_, values) in of_paths.items():
                frames.setdefault(path, {})[name] = FramesPlace(*where[path], **values)
        held_out = self._held_out(paths)
        entries = tuple(
            self._entry(path, places[path], frames.get(path, {}), held_out.get(path, 0))
            for path in paths
        )
        skipped = tuple(Skipped(path, reason) for path, reason in sorted(self.skipped.items()))
        return Manifest(self.options, self.source, packs, features, entries, skipped)

    def _entry(
        self, path: str, place: tuple[int, int], frames: dict[str, FramesPlace], held_out: int
    ) -> Entry:
        found, pack, at = self.decoded[path], place[0], place[1] // BYTES
        values = {name: found.values[name] for name in (*FROM_DECODING, "samples", "trimmed")}
        return Entry(
            path,
            *found.stat,
            pack=pack,
            at=at,
            speaker=self._speaker(path),
            held_out=held_out,
            frames=frames,
            **values,
        )

    def _speaker(self, path: str) -> str | None:
        speakers = self.options.speakers_from_folders
        return self.part.speaker(self.files[path]) if speakers else None

    def _held_out(self, paths: list[str]) -> dict[str, int]:
        """Path -> samples at the end of a recording that are held out."""
        speakers = {path: self._speaker(path) for path in paths}
        numbers = {
            name: number for number, name in enumerate(sorted({*map(str, speakers.values())}))
        }
        clips = []
        for path in paths:
            samples = self.decoded[path].values["samples"]
            codes = np.broadcast_to(np.uint8(0), (samples,))  # takes no memory
            if samples >= SHORTEST:
                clips.append(Clip(path, codes, speaker=numbers[str(speakers[path])]))
        return {clip.name: len(clip.codes) for clip in split_each(clips)[1]}


def _other_samples(a: Options, b: Options) -> bool:
    """Whether samples by one of the options differ from those by the other."""
    return a != dataclasses.replace(b, speakers_from_folders=a.speakers_from_folders)


def _about(place: FramesPlace) -> dict[str, Any]:
    """The values of a place that do not depend on the pack."""
    return {"frames": place.frames, "dtype": place.dtype, "sha256": place.sha256}


def _stat(file: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds since 1970."""
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def _manifest(folder: Path) -> Manifest | None:
    """The manifest of the corpus before; None: there is none that can be used."""
    try:
        return Manifest.parse(read_regular(folder / MANIFEST))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def _is_whole(folder: Path, pack: Pack) -> bool:
    try:
        check_pack(folder, pack)
    except CorpusError:
        return False
    return True


def _note(target: Path, values: dict[str, Any]) -> None:
    """Writes the values of a result beside it, which makes it one of this and later calls."""
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(values))
    temporary.replace(target.with_suffix(".json"))


def _result(target: Path) -> dict[str, Any] | None:
    """The values of a result of an interrupted call; None: there is none."""
    try:
        values = json.loads(target.with_suffix(".json").read_text())
        return values if isinstance(values, dict) and target.exists() else None
    except (OSError, ValueError):
        return None
