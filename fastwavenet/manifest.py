"""The manifest of a corpus: its settings, and where the samples and frames of each recording lie.

It is written last and replaced whole, so that a folder with it is a whole corpus.  Samples and
frames lie one recording behind another in packs, files named by their content.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .atomic import read_regular
from .checks import check_fields
from .ends import FrameConditioning
from .shown import shown

MANIFEST = "fastwavenet-corpus.json"
UNFINISHED = ".unfinished"  # folder of the results that are in no pack yet
FORMAT, VERSION = "fastwavenet corpus", 1
LARGEST = 2**62  # bytes or samples
BYTES = 2  # of a sample
T = TypeVar("T")


class CorpusError(ValueError):
    """A corpus cannot be used: the expectation, the finding, and a way out."""


@dataclass(frozen=True)
class Options:
    """The settings that change the samples of a corpus.

    trim  dB of full scale below which both ends are cut off; None: nothing is cut
    gain  dB by which recordings are amplified
    """

    sample_rate: int
    convert: bool = False
    trim: float | None = None
    gain: float = 0.0
    speakers_from_folders: bool = False


@dataclass(frozen=True)
class Pack:
    """A file of the corpus.  size: bytes."""

    file: str
    size: int


@dataclass(frozen=True)
class FramesPlace:
    """The frames of a recording: at byte `at` of a pack, `frames` x channels numbers of `dtype`."""

    pack: int
    at: int
    frames: int
    dtype: str
    sha256: str


@dataclass(frozen=True)
class Entry:
    """A recording.

    path           in the source folder
    size, mtime    of the file when it was read: bytes, and nanoseconds since 1970
    sha256         of its samples
    pack, at       the pack, and the first sample's number in it
    seconds        duration
    level          RMS in dB of full scale; None: all samples are 0
    peak           largest amplitude; above 1, that of the recording before it was clipped
    dc             mean of the samples; 1 is full scale
    silence        share of its frames of 20 ms that are silent or constant, below -55 dB
    trimmed        samples cut off at its begin and its end
    speaker        None: the corpus has none
    held_out       samples at its end that are held out from a network without frames
    remark         an oddity of the file that is no error, or ""
    frames         name of a mel -> place
    """

    path: str
    size: int
    mtime: int
    sha256: str
    pack: int
    at: int
    samples: int
    seconds: float
    level: float | None
    peak: float
    dc: float
    silence: float
    trimmed: tuple[int, int]
    speaker: str | None
    held_out: int
    remark: str
    frames: dict[str, FramesPlace] = field(default_factory=dict)


@dataclass(frozen=True)
class Features:
    """The frames of a mel in a corpus: their convention, and the packs that hold them."""

    conditioning: FrameConditioning
    packs: tuple[Pack, ...]


@dataclass(frozen=True)
class Skipped:
    """A file that cannot be used, by its path in the source folder, and the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """The content of the file.

    source    the folder of the recordings, from that of the corpus
    packs     of samples, int16
    features  name of a mel -> its frames
    """

    options: Options
    source: str
    packs: tuple[Pack, ...]
    features: dict[str, Features]
    recordings: tuple[Entry, ...]
    skipped: tuple[Skipped, ...]

    @property
    def files(self) -> list[Pack]:
        """All packs."""
        return [*self.packs, *(p for kind in self.features.values() for p in kind.packs)]

    def dump(self) -> bytes:
        """The JSON, with a line for each recording."""
        head = {
            "format": FORMAT,
            "version": VERSION,
            "options": dataclasses.asdict(self.options),
            "source": self.source,
            "packs": [dataclasses.asdict(pack) for pack in self.packs],
            "features": {name: _features_dict(kind) for name, kind in self.features.items()},
        }
        lines = [f'"{key}": {json.dumps(value)}' for key, value in head.items()]
        lines += [_listed("recordings", self.recordings), _listed("skipped", self.skipped)]
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode()

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Reads and checks the manifest of a corpus, and the sizes of its packs.

        Raises CorpusError naming the file for a damaged one, one of another version or a pack that
        is missing or of another size; OSError if a file cannot be read.
        """
        file = folder / MANIFEST
        try:
            manifest = cls.parse(read_regular(file))
        except RecursionError:
            raise CorpusError(f"{shown(file)}: is damaged: nested too deeply") from None
        except ValueError as error:
            raise CorpusError(f"{shown(file)}: {error}") from None
        for pack in manifest.files:
            check_pack(folder, pack)
        return manifest

    @classmethod
    def parse(cls, text: bytes) -> Manifest:
        """The inverse of `dump`.  Raises ValueError, RecursionError."""
        try:
            about = json.loads(text)
        except ValueError:
            raise ValueError("is damaged: expected JSON; prepare the corpus again") from None
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise ValueError(f"is no manifest of a corpus: expected format {FORMAT!r}")
        if about.get("version") != VERSION:
            raise ValueError(
                f"is of version {shown(about.get('version'))}, this program reads version "
                f"{VERSION}: prepare the corpus again"
            )
        try:
            return cls._of(about)
        except KeyError as error:
            raise ValueError(f"is damaged: {shown(error.args[0])} is missing") from None
        except (TypeError, AttributeError) as error:
            raise ValueError(f"is damaged: {shown(str(error))}") from None

    @classmethod
    def _of(cls, about: dict[str, Any]) -> Manifest:
        features = {name: _features_of(kind) for name, kind in about["features"].items()}
        manifest = cls(
            _made(Options, about["options"]),
            _typed("source", about["source"], str),
            tuple(_made(Pack, pack) for pack in about["packs"]),
            features,
            tuple(_entry_of(entry) for entry in about["recordings"]),
            tuple(_made(Skipped, entry) for entry in about["skipped"]),
        )
        for pack in manifest.files:
            _check_pack_name(pack)
        for entry in manifest.recordings:
            _check_places(entry, manifest)
        return manifest


def is_corpus(path: Path) -> bool:
    """Whether a folder is a corpus, or would be one if its preparation had ended."""
    return (path / MANIFEST).exists() or is_unfinished(path)


def is_unfinished(path: Path) -> bool:
    """Whether the first preparation of a corpus was interrupted."""
    return (path / UNFINISHED).is_dir() and not (path / MANIFEST).exists()


def bytes_of_frames(place: FramesPlace, end: FrameConditioning) -> int:
    """The size of the frames of a recording."""
    return place.frames * end.channels * (2 if place.dtype == "float16" else 4)


def check_pack(folder: Path, pack: Pack) -> None:
    """Raises CorpusError unless the file is there, of the right size."""
    file = folder / pack.file
    if not file.is_file():
        raise CorpusError(f"{shown(file)}: is missing from the corpus: prepare it again")
    found = file.stat().st_size
    if found != pack.size:
        raise CorpusError(
            f"{shown(file)}: has {found} bytes, expected {pack.size}: prepare the corpus again"
        )


# ---- parts ---------------------------------------------------------------------------------------


def _listed(name: str, values: Iterable[Any]) -> str:
    """A JSON list, each item in a line of its own."""
    items = ",\n".join(json.dumps(dataclasses.asdict(value)) for value in values)
    return f'"{name}": [\n{items}\n]' if items else f'"{name}": []'


def _features_dict(kind: Features) -> dict[str, Any]:
    return {
        "conditioning": kind.conditioning.to_dict(),
        "packs": [dataclasses.asdict(pack) for pack in kind.packs],
    }


def _features_of(fields: dict[str, Any]) -> Features:
    end = {name: value for name, value in fields["conditioning"].items() if name != "kind"}
    check_fields(FrameConditioning, end, "conditioning")
    conditioning = FrameConditioning(**end)
    if conditioning.mel is None:
        raise ValueError("is damaged: features without a mel")
    return Features(conditioning, tuple(_made(Pack, pack) for pack in fields["packs"]))


def _entry_of(fields: dict[str, Any]) -> Entry:
    frames = {name: _made(FramesPlace, place) for name, place in fields["frames"].items()}
    trimmed = tuple(fields["trimmed"])
    if len(trimmed) != 2:
        raise ValueError(f"is damaged: trimmed is {shown(trimmed)}")
    return _made(Entry, fields | {"frames": frames, "trimmed": trimmed})


def _made(kind: type[T], fields: dict[str, Any]) -> T:
    """A dataclass of numbers and strings.  Raises ValueError for other fields or types."""
    if not isinstance(fields, dict):
        raise ValueError(f"is damaged: {kind.__name__} is {shown(fields)}")
    check_fields(kind, fields, kind.__name__.lower(), all_of_them=True)
    for name, expected in kind.__annotations__.items():
        value = fields[name]
        if expected == "int" and not (type(value) is int and 0 <= value < LARGEST):
            raise ValueError(f"is damaged: {name} is {shown(value)}, expected a whole number")
        if expected == "str":
            _typed(name, value, str)
        if expected == "float" and type(value) not in (int, float):
            raise ValueError(f"is damaged: {name} is {shown(value)}, expected a number")
        if expected == "str | None" and not isinstance(value, str | None):
            raise ValueError(f"is damaged: {name} is {shown(value)}, expected text")
    return kind(**fields)


def _typed(name: str, value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise ValueError(f"is damaged: {name} is {shown(value)}, expected {kind.__name__}")
    return value


def _check_pack_name(pack: Pack) -> None:
    if Path(pack.file).name != pack.file:
        raise ValueError(f"is damaged: {shown(pack.file)} is no name of a file in the folder")


def _check_places(entry: Entry, manifest: Manifest) -> None:
    """Raises ValueError unless samples and frames of a recording lie inside their packs."""
    name, rate = shown(Path(entry.path)), manifest.options.sample_rate
    relative = Path(entry.path)
    if relative.is_absolute() or ".." in relative.parts or not rate:
        raise ValueError(f"is damaged: {name} lies outside the source")
    end = BYTES * (entry.at + entry.samples)
    if not entry.samples or end > _size(manifest.packs, entry.pack):
        raise ValueError(f"is damaged: the samples of {name} lie outside their pack")
    if entry.frames.keys() != manifest.features.keys():
        raise ValueError(f"is damaged: frames of {name} are missing")
    for mel, place in entry.frames.items():
        kind = manifest.features[mel]
        if place.dtype not in ("float16", "float32"):
            raise ValueError(f"is damaged: the frames of {name} are {shown(place.dtype)}")
        size = bytes_of_frames(place, kind.conditioning)
        whole = entry.samples // kind.conditioning.hop
        if place.frames != whole or place.at + size > _size(kind.packs, place.pack):
            raise ValueError(f"is damaged: the frames of {name} are not those of its samples")


def _size(packs: tuple[Pack, ...], number: int) -> int:
    """Bytes of a pack; -1 if there is none of this number."""
    return packs[number].size if number < len(packs) else -1
