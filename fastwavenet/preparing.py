"""Preparing a corpus: each recording is decoded once, to mapped samples and frames.

The work is in preparation.py, and each file in a process of its own kind, preparing_worker.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .atomic import check_folder
from .audio_finding import READ_SUFFIXES
from .audio_source import AudioError
from .checks import whole, within
from .frame_conditioning import FrameConditioning
from .listing import Part, list_recordings
from .manifest import Entry, Manifest, Options, is_corpus
from .preparation import Preparation, Progress
from .recording_frames import DEFAULT_SAMPLE_RATE, recording_conditioning
from .shown import shown
from .spec import MAX_SAMPLE_RATE
from .worker_processes import WorkerProcesses

MAX_WORKERS = 1024
MAX_SHARDS = 10**9
LOWEST, HIGHEST = -200.0, 200.0  # dB


@dataclass(frozen=True)
class Prepared:
    """The result of `prepare`.

    recordings, seconds  of the corpus
    decoded              recordings that were decoded by this call, or by one that was interrupted
    kept                 recordings that were not, since they are those of the corpus before
    removed              recordings of the corpus before that are not in this one
    skipped              a line for each file that cannot be used, with the reason
    remarks              lines about unusual files and recordings that are used
    """

    folder: Path
    recordings: int
    seconds: float
    decoded: int
    kept: int
    removed: int
    skipped: list[str]
    remarks: list[str]


def prepare(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    sample_rate: int | None = None,
    convert: bool = False,
    mel: str | Sequence[str] = (),
    speakers_from_folders: bool = False,
    trim: float | None = None,
    gain: float = 0.0,
    workers: int | None = None,
    check: bool = False,
    shard: tuple[int, int] = (1, 1),
    progress: Progress | None = None,
) -> Prepared:
    """Decodes the recordings of a file or folder into the corpus `output`, a folder to train on.

    A corpus holds mono samples of 16 bits, clip(rint(32768 x)), and the frames of mels, which are
    mapped when it is trained on, and a manifest, fastwavenet-corpus.json, with a line of figures
    for each recording.  If `output` is a corpus already, recordings with an unchanged size and time
    are not decoded again, and those that are gone are removed.  An interrupted call leaves the old
    corpus as it was, and the next call goes on from there.

    sample_rate: Hz; None: that of the mels, or 16000.
    convert: mix several channels to their mean and resample, both of which are refused otherwise.
    mel: name or names of presets whose frames are stored, with "+pitch" behind them or not.
    speakers_from_folders: each direct subfolder is a speaker; recordings of each are held out.
    trim: dB of full scale; both ends are cut off up to the first and from the last 10 ms whose RMS
    is above.  None: nothing is cut.
    gain: dB by which the recordings are amplified, before `trim`; samples beyond full scale are
    clipped.
    workers: processes; None: one for each core.  A file that crashes or hangs the decoder ends its
    process and is skipped.
    check: compare all that is kept with its hashes, and make damaged parts anew.
    shard: (i, n), i from 1 to n: decodes part i of n of the recordings only, for n processes or
    machines with a common file system.  The same call without it makes the corpus of all results.
    progress: called with the number of recordings that are done, and of all.

    Raises AudioError if no recording can be used, ValueError for an argument that is out of bounds
    or an output that is no corpus, FileNotFoundError or OSError.
    """
    place, folder, mels = Path(source), Path(output), (mel,) if isinstance(mel, str) else mel
    features = {name: recording_conditioning(name) for name in sorted(set(mels))}
    options = Options(
        _rate(sample_rate, features),
        bool(convert),
        None if trim is None else within("trim", trim, LOWEST, 0.0),
        within("gain", gain, LOWEST, HIGHEST),
        bool(speakers_from_folders),
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = whole("workers", cores or 1 if workers is None else workers, 1, MAX_WORKERS)
    own = _shard(shard)
    _check_places(place, folder)
    part = _listed(place, folder, speakers_from_folders)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder, shared=own[1] > 1):
        job = Preparation(folder, part, options, features, progress, own)
        job.keep(check)
        with WorkerProcesses(count) as processes:
            job.decode(processes)
            job.make_frames(processes)
        return _summary(job, job.finish()) if job.is_whole else _part_summary(job)


def _shard(given: tuple[int, int]) -> tuple[int, int]:
    number, count = given
    count = whole("shard's number of parts", count, 1, MAX_SHARDS)
    return whole("shard's part", number, 1, count), count


def _rate(given: int | None, features: dict[str, FrameConditioning]) -> int:
    """Hz.  Raises ValueError if a mel has another rate."""
    rates = {name: end.mel.sample_rate for name, end in features.items() if end.mel is not None}
    rate = next(iter(rates.values()), DEFAULT_SAMPLE_RATE) if given is None else given
    rate = whole("sample_rate", rate, 1, MAX_SAMPLE_RATE, expected="a whole number of Hz")
    for name, expected in rates.items():
        if rate != expected:
            raise ValueError(f"mel {shown(name)} needs {expected} Hz, but sample_rate is {rate} Hz")
    return rate


def _check_places(source: Path, folder: Path) -> None:
    """Raises ValueError or OSError if the corpus cannot be made there."""
    if is_corpus(source):
        raise ValueError(f"{shown(source)}: is a corpus already, expected recordings")
    check_folder(folder)
    if folder.is_dir() and any(folder.iterdir()) and not is_corpus(folder):
        raise ValueError(f"{shown(folder)}: holds other files, expected a corpus or a new folder")


def _listed(source: Path, folder: Path, speakers: bool) -> Part:
    """The recordings, without those of the corpus.  Raises AudioError if there are none."""
    part, own = list_recordings(source).train, folder.resolve()
    files = [file for file in part.files if not file.resolve().is_relative_to(own)]
    part = dataclasses.replace(part, files=files)
    if not files:
        raise AudioError(
            f"{shown(source)}: expected audio files ({' '.join(READ_SUFFIXES)}), "
            f"found {part.found.unusable()}"
        )
    if speakers:
        part.speakers()
    return part


@contextlib.contextmanager
def _alone(folder: Path, shared: bool = False) -> Iterator[None]:
    """Raises OSError if another process prepares this corpus; of several shards all may."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            os.close(handle)
            raise OSError(
                f"{shown(folder)}: another process prepares this corpus: wait for its end"
            ) from None
    try:
        yield
    finally:
        os.close(handle)


# ---- the report ----------------------------------------------------------------------------------


def _summary(job: Preparation, manifest: Manifest) -> Prepared:
    entries, before = manifest.recordings, job.before
    gone = set() if before is None else {entry.path for entry in before.recordings}
    return Prepared(
        folder=job.folder,
        recordings=len(entries),
        seconds=sum(entry.seconds for entry in entries),
        decoded=len(entries) - job.unchanged,
        kept=job.unchanged,
        removed=len(gone - {entry.path for entry in entries}),
        skipped=[f"{shown(job.files[s.path])}: {s.reason}" for s in manifest.skipped],
        remarks=[*job.part.found.remarks(), *_remarks(entries, manifest.options)],
    )


def _part_summary(job: Preparation) -> Prepared:
    """Of a shard, whose results wait for a call without one."""
    seconds = sum(found.values["seconds"] for found in job.decoded.values())
    return Prepared(
        folder=job.folder,
        recordings=len(job.decoded),
        seconds=seconds,
        decoded=len(job.decoded) - job.unchanged,
        kept=job.unchanged,
        removed=0,
        skipped=[f"{shown(job.files[path])}: {why}" for path, why in sorted(job.skipped.items())],
        remarks=list(job.part.found.remarks()),
    )


def _remarks(entries: tuple[Entry, ...], options: Options) -> Iterator[str]:
    """Lines about recordings that are cut, amplified or clipped, or whose headers are wrong."""
    count, rate = len(entries), options.sample_rate
    if options.trim is not None:
        cut = [sum(entry.trimmed) for entry in entries if any(entry.trimmed)]
        yield (
            f"trimmed, below {options.trim:g} dB: {sum(cut) / rate:.2f} s of {len(cut)} of "
            f"{count} recordings"
        )
    if options.gain:
        yield f"amplified by {options.gain:g} dB: all {count} recordings"
    kinds = {
        "clipped, since it is louder than full scale": [e.path for e in entries if e.peak > 1],
        "used, although all of it is silent": [e.path for e in entries if e.silence == 1],
    }
    for what, paths in kinds.items():
        if paths:
            yield f"{what}: {len(paths)} of {count} recordings, the first {shown(Path(paths[0]))}"
    odd = [entry.remark for entry in entries if entry.remark]
    if odd:
        yield f"used, although a header is wrong: {len(odd)} of {count} recordings: {odd[0]}"
