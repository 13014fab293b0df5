"""Pieces of held-out recordings, beside which generated sound is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .activity import MOST
from .ends import FrameConditioning
from .mulaw import mu_law_decode
from .recording_frames import recording_frames
from .samples import check_rate, to_codes
from .session import frames_of, speaker_rows
from .sound_measures import silent_share
from .spec import WaveNetSpec
from .types import Audio, Isa, Speaker

LEAST_SECONDS = 2.0  # of recordings that are long enough for a piece
PIECE_SECONDS = 1.0  # that are judged, without frames
PIECE_OF_FRAMES_SECONDS = 0.5
MOST_CUTS = 256


class Recording(NamedTuple):
    """A recording as the network's codec has it.

    audio    float32 (n,)
    frames   float32 (n / hop, channels), of whole frames; None: the model takes none
    speaker  index; None: the model has none
    """

    audio: Audio
    frames: Audio | None = None
    speaker: int | None = None


class Pieces(NamedTuple):
    """Pieces of recordings, all of a length.

    before    float32 (count, receptive field), the audio before each piece; (count, 0) with frames
    audio     float32 (count, n)
    frames    float32 (count, n / hop, channels); None: the model takes none
    speakers  an index for each; None: the model has none
    """

    before: Audio
    audio: Audio
    frames: Audio | None
    speakers: list[int] | None

    def rows(self, rows: slice) -> Pieces:
        """Some of them."""
        frames = None if self.frames is None else self.frames[rows]
        speakers = None if self.speakers is None else self.speakers[rows]
        return Pieces(self.before[rows], self.audio[rows], frames, speakers)


class TooLittleAudio(ValueError):
    """The recordings are too short, too few or silent."""


def recording_of(
    spec: WaveNetSpec,
    samples: npt.ArrayLike,
    frames: npt.ArrayLike | None,
    speaker: Speaker | None,
    sample_rate: int | None,
    isa: Isa,
) -> Recording:
    """Samples (n,), audio or codes as in `score`, with their frames.

    frames: None: the mel frames of the samples, if the model takes those.
    Raises ValueError and TypeError as `score`.
    """
    check_rate(sample_rate, spec.sample_rate)
    end, array = spec.conditioning, np.asarray(samples)
    codes = to_codes(samples, spec, isa).codes[0]
    coded = mu_law_decode(codes, spec.levels, codec=spec.codec, isa=isa)
    speakers = speaker_rows(spec, speaker, None)
    index = None if speakers is None else int(speakers[0])
    if frames is None and end is not None and end.mel is not None:
        frames = recording_frames(end, array.ravel() if array.dtype.kind == "f" else coded)
    if (frames is None) != (end is None or not end.channels):
        needs = "needs frames" if frames is None else "takes no frames"
        raise ValueError(f"the model {needs}")
    if frames is None or end is None:
        return Recording(coded, None, index)
    values = frames_of(spec, frames, 1)[0]
    count = min(len(coded) // end.hop, len(values))
    return Recording(coded[: count * end.hop], values[:count], index)


def check_amount(spec: WaveNetSpec, recordings: Sequence[Recording]) -> None:
    """Raises TooLittleAudio if they are too short or too silent to judge by."""
    before, n = _lengths(spec)
    rate, long = spec.sample_rate, [r.audio for r in recordings if len(r.audio) >= before + n]
    seconds = sum(map(len, long)) / rate
    if seconds < LEAST_SECONDS:
        of_all = sum(len(r.audio) for r in recordings) / rate
        raise TooLittleAudio(
            f"expected at least {LEAST_SECONDS:g} s of audio in recordings of at least "
            f"{(before + n) / rate:.2f} s to compare with, found {seconds:.2f} s in "
            f"{len(long)} of {len(recordings)} recordings, of {of_all:.2f} s in all"
        )
    silent = silent_share(np.concatenate(long), rate)
    if silent >= MOST:
        raise TooLittleAudio(
            f"{silent:.0%} of the audio is silent (below -55 dB) or one value: expected recordings "
            f"with sound to compare with"
        )


def pieces_of(spec: WaveNetSpec, recordings: Sequence[Recording], seconds: float) -> Pieces:
    """Pieces of so many seconds in all, or about, evenly spaced over the recordings.

    A multiple of 4 pieces, of which the first half is evenly spaced too.  They overlap where the
    recordings are shorter than that.
    """
    before, n = _lengths(spec)
    hop = _hop(spec.conditioning)
    count = 4 * max(1, round(seconds * spec.sample_rate / n / 4))
    places = _places(recordings, before + n, hop, count)
    spans = np.stack([r.audio[first : first + before + n] for r, first in places])
    frames = [r.frames[at // hop : (at + n) // hop] for r, at in places if r.frames is not None]
    speakers = [r.speaker for r, _ in places if r.speaker is not None]
    return Pieces(
        spans[:, :before], spans[:, before:], np.stack(frames) if frames else None, speakers or None
    )


def _places(
    recordings: Sequence[Recording], n: int, hop: int, count: int
) -> list[tuple[Recording, int]]:
    """The recording and the first sample, a multiple of hop, of `count` spans of n samples."""
    long = [r for r in recordings if len(r.audio) >= n]
    starts = np.array([(len(r.audio) - n) // hop + 1 for r in long])
    ends = np.cumsum(starts)
    evenly = (2 * np.arange(count) + 1) * ends[-1] // (2 * count)
    at = np.concatenate([evenly[::2], evenly[1::2]])
    which = np.searchsorted(ends, at, side="right")
    first = (at - (ends - starts)[which]) * hop
    return [(long[i], int(sample)) for i, sample in zip(which, first, strict=True)]


def cuts_of(spec: WaveNetSpec, recordings: Sequence[Recording]) -> Audio:
    """The recordings cut to pieces, float32 (count, n): all, or MOST_CUTS that are evenly spaced.

    Unlike the pieces that can have audio before them, they hold the recordings' beginnings.
    """
    n = _lengths(spec)[1]
    cuts = [r.audio[: len(r.audio) // n * n].reshape(-1, n) for r in recordings]
    found = np.concatenate(cuts)
    return found[np.arange(min(len(found), MOST_CUTS)) * len(found) // min(len(found), MOST_CUTS)]


def _lengths(spec: WaveNetSpec) -> tuple[int, int]:
    """Samples before a piece, and of the piece: whole frames."""
    end = spec.conditioning
    if end is None or not end.channels:
        return spec.receptive_field, max(1, round(PIECE_SECONDS * spec.sample_rate))
    frames = max(1, round(PIECE_OF_FRAMES_SECONDS * spec.sample_rate / end.hop))
    return 0, frames * end.hop


def _hop(end: FrameConditioning | None) -> int:
    return 1 if end is None or not end.channels else end.hop
