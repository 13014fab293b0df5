"""From recordings to training batches.

All audio is kept in memory as mu-law codes: an hour at 16 kHz is 58 MB.  A vocoder's mel frames
are computed once, from the audio before mu-law, and kept as float16: 36 MB more with hop 256 and
80 mels.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..audio_finding import READ_SUFFIXES, Found, search_audio
from ..audio_reading import read_codes
from ..audio_source import AudioError
from ..recording_frames import FrameReader
from ..shown import shown
from ..spec import WaveNetSpec

HELD_OUT_EVERY = 20  # every 20th file is for validation ...
FAIR_SHARE = (0.02, 0.2)  # ... if those files hold such a part of the audio
SHORTEST = 20  # samples, so that the last tenth of a clip holds an input and its target
SHORTEST_FRAMES = 2  # of a clip with frames, one for each part
SILENT = 1e-3  # -60 dB of full scale
IGNORED = -100  # the target that cross_entropy ignores


@dataclass(frozen=True)
class Clip:
    """One recording, or a part of one.

    codes   uint8 (n,), or uint16 above 256 levels
    peak    the recording's largest amplitude; 1 is full scale
    frames  float16 (n / hop, channels), of whole frames; None: the network has none
    hop     samples of a frame; 1 without frames
    """

    name: str
    codes: np.ndarray
    peak: float = 1.0
    frames: np.ndarray | None = None
    hop: int = 1

    def part(self, start: int, stop: int) -> Clip:
        """Samples start to stop - 1 with their frames; both are multiples of hop."""
        frames = self.frames
        if frames is not None:
            frames = frames[start // self.hop : stop // self.hop]
        return replace(self, codes=self.codes[start:stop], frames=frames)


@dataclass(frozen=True)
class Corpus:
    """The clips to train on and to validate on, and lines about their files.

    skipped  a line for each skipped file, with the reason
    remarks  a line for each kind of unusual file that is used
    """

    train: list[Clip]
    validation: list[Clip]
    skipped: list[str]
    remarks: list[str]

    def fingerprint(self) -> dict[str, dict]:
        """Number of files, number of samples and SHA-256 of each part, for JSON."""
        return {"train": _fingerprint(self.train), "validation": _fingerprint(self.validation)}


def load_corpus(
    source: str | os.PathLike[str],
    spec: WaveNetSpec,
    validation: str | os.PathLike[str] | None = None,
    convert: bool = False,
    stop: threading.Event | None = None,
) -> Corpus:
    """Reads a file or folder, and splits it by file unless a validation file or folder is given.

    Every 20th usable file is held out.  If there are fewer, or if those are less than 2 or more
    than 20 % of the audio, the last tenth of all audio is, in the order of the files' names; it
    may begin within a file.  Files that cannot be used are listed in `skipped`.
    Raises AudioError naming the folder if nothing usable is left, OSError if it is not there,
    CancelledError if `stop` is set before a file is read.
    """
    held_out = None if validation is None else search_audio(validation)
    # a validation folder may lie inside the source
    apart = set() if held_out is None else {file.resolve() for file in held_out.files}
    found = search_audio(source)
    files = [file for file in found.files if file.resolve() not in apart]
    if found.files and not files:
        raise AudioError(
            f"{shown(Path(source))}: all audio here ({_files(found.files)}) is also in the "
            f"validation {shown(Path(validation or ''))}, and none is left to train on: "
            f"hold out a part of it, or leave validation out"
        )
    clips, skipped, odd = _read_all(files, found, spec, convert, stop)
    if held_out is None:
        return Corpus(*_split(clips), skipped, odd + _remarks(clips, spec))
    judges, more, odd_judges = _read_all(held_out.files, held_out, spec, convert, stop)
    remarks = odd + odd_judges + _remarks(clips + judges, spec)
    return Corpus(clips, judges, skipped + more, remarks)


def _read_all(
    files: list[Path],
    found: Found,
    spec: WaveNetSpec,
    convert: bool,
    stop: threading.Event | None = None,
) -> tuple[list[Clip], list[str], list[str]]:
    """The usable files as clips, a line for each of the others, and remarks about the folder."""
    clips, skipped, odd = [], [], []
    for file in files:
        if stop is not None and stop.is_set():
            raise CancelledError("stopped before all audio was read; nothing was written")
        try:
            clip, oddities = _read_clip(file, spec, convert)
        except (AudioError, OSError) as error:
            skipped.append(str(error))
            continue
        clips.append(clip)
        odd += oddities
    if len(skipped) == 1 and found.root.is_file():
        raise AudioError(skipped[0])
    if not clips:
        raise AudioError(
            f"{shown(found.root)}: expected audio files ({' '.join(READ_SUFFIXES)}) "
            f"of {spec.sample_rate} Hz, found {found.unusable()}"
            + (f", the first: {skipped[0]}" if skipped else "")
        )
    if odd:
        odd = [f"used, although a header is wrong: {len(odd)} of {len(clips)} files: {odd[0]}"]
    return clips, skipped, found.remarks() + odd


def _read_clip(file: Path, spec: WaveNetSpec, convert: bool) -> tuple[Clip, list[str]]:
    """The clip, and remarks about its file; samples behind the last whole frame are left out."""
    end = spec.conditioning
    if end is None:
        codes, peak, odd = read_codes(file, spec, convert)
        _check_length(file, codes, SHORTEST)
        return Clip(str(file), codes, peak), odd
    frames = FrameReader(end)
    codes, peak, odd = read_codes(file, spec, convert, frames.feed)
    _check_length(file, codes, max(SHORTEST, SHORTEST_FRAMES * end.hop))
    whole = len(codes) - len(codes) % end.hop
    return Clip(str(file), codes[:whole], peak, frames.finish().astype(np.float16), end.hop), odd


def _check_length(file: Path, codes: np.ndarray, shortest: int) -> None:
    if len(codes) < shortest:
        raise AudioError(f"{shown(file)}: has {len(codes)} samples, expected at least {shortest}")


def _remarks(clips: list[Clip], spec: WaveNetSpec) -> list[str]:
    """A line for each kind of unusual recording: how many there are, and the first one's name."""
    field = spec.receptive_field
    kinds = (
        ("silent, never above -60 dB of full scale", [c for c in clips if c.peak < SILENT]),
        (
            f"shorter than the receptive field of {field} samples",
            [c for c in clips if len(c.codes) < field],
        ),
        ("louder than full scale, and clipped there", [c for c in clips if c.peak > 1]),
    )
    return [
        f"used, although {what}: {len(found)} of {len(clips)} files, "
        f"the first {shown(Path(found[0].name))}"
        for what, found in kinds
        if found
    ]


def _split(clips: list[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Clips to train on and clips held out."""
    training = [c for i, c in enumerate(clips, 1) if i % HELD_OUT_EVERY]
    held_out = clips[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    low, high = FAIR_SHARE
    if low <= _samples(held_out) / _samples(clips) <= high:
        return training, held_out
    return _cut(clips, _samples(clips) * 9 // 10)


def _cut(clips: list[Clip], at: int) -> tuple[list[Clip], list[Clip]]:
    """The first `at` samples of all clips, and the rest; a part can predict a sample, or is none.

    Both have clips if each clip has SHORTEST samples and SHORTEST_FRAMES frames, and a tenth of all
    is left on either side.  A clip with frames is cut between two of them.
    """
    before: list[Clip] = []
    behind: list[Clip] = []
    for clip in clips:
        here = min(max(at, 0), len(clip.codes))
        here -= here % clip.hop
        for start, stop, side in ((0, here, before), (here, len(clip.codes), behind)):
            if stop - start > 1:
                side.append(clip.part(start, stop))
        at -= len(clip.codes)
    return before, behind


def excerpts(clips: list[Clip], least: int, most: int) -> list[Clip]:
    """Parts from the middles of evenly spaced clips, at most `most` samples in all.

    Beginnings and ends are often silent.  Each excerpt has at least `least` samples, or all of its
    clip; with frames, a whole number of them, rounded down to at least one.
    """
    chosen = clips[:: -(-len(clips) * least // most)]
    share = most // len(chosen)
    return [_middle(clip, max(share - share % clip.hop, clip.hop)) for clip in chosen]


def _middle(clip: Clip, samples: int) -> Clip:
    """The part of so many samples, a multiple of hop, in the middle of a clip."""
    start = max(len(clip.codes) - samples, 0) // 2
    start -= start % clip.hop
    return clip.part(start, min(start + samples, len(clip.codes)))


def _files(files: list[Path]) -> str:
    return f"{len(files)} file{'s' * (len(files) != 1)}"


def _samples(clips: list[Clip]) -> int:
    return sum(len(clip.codes) for clip in clips)


def _fingerprint(clips: list[Clip]) -> dict:
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(len(clip.codes).to_bytes(8, "little"))
        digest.update(clip.codes.astype("<u2").tobytes())
    return {"files": len(clips), "samples": _samples(clips), "sha256": digest.hexdigest()}


class Batch(NamedTuple):
    """Windows of one length T, and their frames if the network has frames.

    inputs, targets  int64 (B, T); targets that do not count are IGNORED
    frames           float16 (B, C, F), from the frame of input 0 on; None: the network has none
    at               the number, from the first frame's begin, of the sample that target 0 is
    """

    inputs: np.ndarray
    targets: np.ndarray
    frames: np.ndarray | None = None
    at: int = 1


class Windows:
    """Cuts clips into network inputs (T,) int64 and targets (T,) int64, T = context + fresh.

    A target counts only if the window holds its whole receptive field.  The past of a clip's first
    sample is the model's own padding, so that all targets of a window at a beginning count.  Inside
    a clip the first `context` inputs serve as context only: their targets are IGNORED, as are
    targets beyond the clip's end.  T is shorter if no clip is that long.

    The frames of a window last to one behind its last target, towards which the features are
    interpolated; after a clip's last frame that frame is repeated, which holds its features.
    """

    def __init__(self, clips: list[Clip], context: int, fresh: int):
        self.clips = clips
        self.context = context
        self.fresh = fresh
        lengths = [len(clip.codes) for clip in clips]
        self.length = min(context + fresh, max(lengths) - 1)
        self.ends = np.cumsum(lengths)
        self.hop = clips[0].hop
        self.frame_count = (self.hop + self.length - 1) // self.hop + 2  # for any start

    def cut(self, clip: int, start: int) -> tuple[np.ndarray, np.ndarray]:
        """The window whose first input is sample `start` of a clip."""
        codes = self.clips[clip].codes[start : start + self.length + 1]
        n = len(codes) - 1
        inputs = np.zeros(self.length, np.int64)
        targets = np.full(self.length, IGNORED, np.int64)
        inputs[:n] = codes[:-1]
        known = self.context if start else 0
        targets[known:n] = codes[known + 1 :]
        return inputs, targets

    def cut_frames(self, clip: int, start: int) -> np.ndarray | None:
        """float16 (C, F): the frames of the window whose first input is sample `start`."""
        frames = self.clips[clip].frames
        if frames is None:
            return None
        first = start // self.hop
        return frames[np.arange(first, first + self.frame_count).clip(max=len(frames) - 1)].T

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """`size` random windows.

        A clip is chosen in proportion to its length.  `fresh` of its starts stand for the first
        sample, so that beginnings are drawn about as often as any other part.  A window with frames
        begins with a frame, so that all have the same `at`.
        """
        clips = np.searchsorted(self.ends, rng.integers(self.ends[-1], size=size), side="right")
        places = []
        for clip in clips:
            last = max(len(self.clips[clip].codes) - 1 - self.length, 0)
            start = max(int(rng.integers(1 - self.fresh, last + 1)), 0)
            places.append((int(clip), start - start % self.hop))
        return self._stack(places)

    def tiles(self, most: int) -> Iterator[Batch]:
        """Batches of one that together count every target once; at most `most`, evenly spaced."""
        places = []
        for number, clip in enumerate(self.clips):
            end = max(len(clip.codes) - 1 - self.context, 1)
            places += [(number, start) for start in range(0, end, self.fresh)]
        for place in places[:: -(-len(places) // most)]:
            yield self._stack([place])

    def _stack(self, places: list[tuple[int, int]]) -> Batch:
        """The windows at these clips and starts, which are as far behind a frame's begin."""
        inputs, targets = zip(*(self.cut(*place) for place in places), strict=True)
        batch = Batch(np.stack(inputs), np.stack(targets))
        frames = [f for place in places if (f := self.cut_frames(*place)) is not None]
        if not frames:
            return batch
        return batch._replace(frames=np.stack(frames), at=places[0][1] % self.hop + 1)


def with_wrong_frames(batches: list[Batch]) -> list[Batch]:
    """Batches with frames, each with those of the batch half of all batches away.

    A single batch has its own, shifted by half of their number.
    """
    half = len(batches) // 2
    if not half:
        return [batch._replace(frames=_shifted(batch.frames)) for batch in batches]
    return [batch._replace(frames=batches[i - half].frames) for i, batch in enumerate(batches)]


def _shifted(frames: np.ndarray | None) -> np.ndarray | None:
    return None if frames is None else np.roll(frames, frames.shape[2] // 2, axis=2)
