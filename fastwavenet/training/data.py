"""From recordings to clips: what is trained on, and what is held out.

All audio of a folder is kept in memory as mu-law codes: an hour at 16 kHz is 58 MB.  A vocoder's
mel frames are computed once, from the audio before mu-law, and kept as float16: 36 MB more with hop
256 and 80 mels.  Other frames are read from a file for each recording.  The samples and mel frames
of a corpus (`prepare`) are mapped, and codes are made when a window is cut.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sized
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..audio_finding import READ_SUFFIXES
from ..audio_reading import read_codes
from ..audio_source import AudioError
from ..clips import FEWEST, SHORTEST, Clip, count_samples, split_each
from ..corpus import CorpusFolder, MappedCodes
from ..frame_files import compact
from ..listing import Listing, Part, check_speakers, files_of, list_recordings
from ..recording_frames import FrameReader
from ..shown import shown
from ..spec import WaveNetSpec
from .clip_frames import FrameSource, GivenFrames, SavedFrames, count_frames

SILENT = 1e-3  # -60 dB of full scale


@dataclass(frozen=True)
class Corpus:
    """The clips to train on and to validate on, and lines about their files.

    skipped       a line for each skipped file, with the reason
    remarks       a line for each kind of unusual file that is used
    given_frames  whether the clips' frames come from files, not from the audio
    """

    train: list[Clip]
    validation: list[Clip]
    skipped: list[str]
    remarks: list[str]
    given_frames: bool = False

    def seconds(self, rate: int) -> float:
        """Of audio to train on."""
        return count_samples(self.train) / rate

    def fingerprint(self) -> dict[str, dict]:
        """Number of files, number of samples and SHA-256 of each part, for JSON.

        Also the number of speakers and the SHA-256 of frames that come from files, if there are.
        """
        parts = {"train": self.train, "validation": self.validation}
        return {name: _fingerprint(clips, self.given_frames) for name, clips in parts.items()}


def load_corpus(
    source: str | os.PathLike[str],
    spec: WaveNetSpec,
    validation: str | os.PathLike[str] | None = None,
    convert: bool = False,
    stop: threading.Event | None = None,
    frames: str | os.PathLike[str] | None = None,
) -> Corpus:
    """Reads a file, folder or corpus, and splits it by file unless a validation source is given.

    Every 20th usable file is held out.  If there are fewer, or if those are less than 2 or more
    than 20 % of the audio, the last tenth of all audio is, in the order of the files' names; it
    may begin within a file.  With speakers, whose names are those of the source's subfolders, each
    speaker's files are split in this way.  Files that cannot be used are listed in `skipped`.

    frames: folder of the frames' files; None: frames are computed from the audio
    Raises AudioError naming the folder if nothing usable is left, CorpusError for a corpus that
    cannot be used, ValueError for missing frames, other speakers than the network's or a speaker
    without usable files, OSError if a folder is not there, CancelledError if `stop` is set before a
    file is read.
    """
    listing = list_recordings(source, validation)
    reader = _Reader(listing, spec, convert, frames)
    clips, skipped, odd = _read_all(listing.train, reader, stop)
    reader.check_each_speaker(clips, skipped)
    given = frames is not None
    if listing.validation is None:
        return Corpus(*split_each(clips), skipped, odd + _remarks(clips, spec), given)
    judges, more, odd_judges = _read_all(listing.validation, reader, stop)
    remarks = odd + odd_judges + _remarks(clips + judges, spec)
    return Corpus(clips, judges, skipped + more, remarks, given)


class _Recording(NamedTuple):
    """A recording before it is a clip.

    remarks  about its file
    frames   float16 or float32 (frames, channels); None: the network has none
    """

    codes: np.ndarray | MappedCodes
    peak: float
    remarks: list[str]
    frames: np.ndarray | None


class _Reader:
    """Reads recordings as clips for a network, with their frames and speakers.

    speakers  name -> index
    saved     the source of frames that are read; None: there are no such frames
    """

    def __init__(
        self,
        listing: Listing,
        spec: WaveNetSpec,
        convert: bool,
        frames: str | os.PathLike[str] | None,
    ):
        self.spec, self.convert = spec, convert
        for part in listing.parts:
            if part.corpus is not None:
                part.corpus.check_rate(spec.sample_rate)
        end = spec.conditioning
        names = () if end is None else end.speakers
        self.speakers = {name: index for index, name in enumerate(names)}
        self.saved: SavedFrames | None = None
        if names:
            check_speakers(listing, names)
        if frames is not None and end is not None:
            self.saved = SavedFrames(listing.frames_files(Path(frames)), end.channels)
        elif end is not None and end.channels and end.mel is None:
            raise ValueError(
                "the network's frames are of no mel: expected a folder of them (--frames, frames=)"
            )

    def read(self, file: Path, part: Part) -> tuple[Clip, list[str]]:
        """The clip, and remarks about its file; samples behind the last frame are left out."""
        end, corpus = self.spec.conditioning, part.corpus
        recording = self._decoded(file) if corpus is None else self._mapped(file, corpus)
        codes, frames = recording.codes, recording.frames
        speaker = self.speakers[part.speaker(file)] if self.speakers else None
        clip = Clip(str(file), codes, recording.peak, speaker=speaker)
        if frames is None or end is None:
            _check_length(file, codes, SHORTEST)
            return clip, recording.remarks
        _check_length(file, codes, max(SHORTEST, FEWEST * end.hop))
        count = count_frames(file, len(codes), frames, end.hop)
        clip = replace(clip, frames=frames, hop=end.hop).part(0, count * end.hop)
        return clip, recording.remarks

    def _decoded(self, file: Path) -> _Recording:
        """A recording that is a file."""
        frames = self._frames(file)
        watch = None if frames is None else frames.feed
        codes, peak, odd = read_codes(file, self.spec, self.convert, watch)
        return _Recording(codes, peak, odd, None if frames is None else compact(frames.finish()))

    def _mapped(self, file: Path, corpus: CorpusFolder) -> _Recording:
        """A recording of a corpus."""
        entry, end, frames = corpus.recordings[file], self.spec.conditioning, None
        identity = entry.sha256
        if self.saved is not None:
            frames = self.saved.read(file)
        elif end is not None and end.mel is not None:
            name = corpus.name_of_frames(end)
            frames = corpus.frames(entry, name)
            identity += f" {entry.frames[name].sha256}"
        codes = MappedCodes(corpus.samples(entry), self.spec, identity)
        return _Recording(codes, entry.peak, [], frames)

    def _frames(self, file: Path) -> FrameSource | None:
        """The source of a recording's frames: the file beside it, or its audio."""
        if self.saved is not None:
            return GivenFrames(self.saved.read(file))
        end = self.spec.conditioning
        return None if end is None or end.mel is None else FrameReader(end)

    def check_each_speaker(self, clips: list[Clip], skipped: list[str]) -> None:
        """Raises AudioError if no file of a speaker to train on is usable."""
        found = {clip.speaker for clip in clips}
        for name in (name for name, index in self.speakers.items() if index not in found):
            inside = f"{os.sep}{shown(Path(name))}{os.sep}"
            first = next((f", the first: {line}" for line in skipped if inside in line), "")
            raise AudioError(
                f"no file of speaker {shown(name)} is usable: mend or remove its folder{first}"
            )


def _read_all(
    part: Part, reader: _Reader, stop: threading.Event | None = None
) -> tuple[list[Clip], list[str], list[str]]:
    """The usable files as clips, a line for each of the others, and remarks about the folder."""
    clips, skipped, odd = [], [], []
    found = part.found
    for file in part.files:
        if stop is not None and stop.is_set():
            raise CancelledError("stopped before all audio was read; nothing was written")
        try:
            clip, oddities = reader.read(file, part)
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
            f"of {reader.spec.sample_rate} Hz, found {found.unusable()}"
            + (f", the first: {skipped[0]}" if skipped else "")
        )
    if odd:
        odd = [f"used, although a header is wrong: {len(odd)} of {len(clips)} files: {odd[0]}"]
    return clips, skipped, found.remarks() + odd + _left_out(part)


def _left_out(part: Part) -> list[str]:
    """A line about the files that are not in a corpus since they could not be used."""
    skipped = () if part.corpus is None else part.corpus.manifest.skipped
    return [
        f"{shown(part.found.root)}: was prepared without {files_of(skipped)} that cannot be used, "
        f"the first: {shown(Path(first.path))}: {first.reason}"
        for first in skipped[:1]
    ]


def _check_length(file: Path, codes: Sized, shortest: int) -> None:
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


def _fingerprint(clips: list[Clip], given_frames: bool) -> dict:
    digest, frames = hashlib.sha256(), hashlib.sha256()
    speakers = {clip.speaker for clip in clips} - {None}
    for clip in clips:
        digest.update(len(clip.codes).to_bytes(8, "little"))
        digest.update(_bytes(clip.codes))
        if clip.speaker is not None:
            digest.update(clip.speaker.to_bytes(8, "little"))
        if given_frames and clip.frames is not None:
            frames.update(clip.frames.astype("<f4").tobytes())
    about = {"files": len(clips), "samples": count_samples(clips), "sha256": digest.hexdigest()}
    if speakers:
        about["speakers"] = len(speakers)
    if given_frames:
        about["frames"] = frames.hexdigest()
    return about


def _bytes(codes: np.ndarray | MappedCodes) -> bytes:
    """All codes, or the fingerprint of mapped ones, which needs no reading."""
    return codes.astype("<u2").tobytes() if isinstance(codes, np.ndarray) else codes.fingerprint
