"""Vocoding: the audio of frames, or of recordings by way of their mel frames.

Of a list, up to `batch` utterances run in step, each in a row of a session.  A row whose utterance
ends takes the next one, at a frame's border, where all rows are.  A row's samples depend on no
other row, so each utterance has the samples that it has alone.
"""

from __future__ import annotations

import functools
import operator
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict, Unpack, overload

import numpy as np
import numpy.typing as npt

from .checks import integer
from .drawing import Drawing, drawing_of, for_all
from .ends import FrameConditioning
from .instruction_sets import isa as resolve_isa
from .mel_matching import MAX_PASSES, PASSES, match_mel
from .model import Model, check_model
from .pitch_prediction import with_predicted_pitch
from .recording_frames import recording_frames
from .session import Frames, Progress, Session, frames_of, speaker_rows
from .types import Audio, Isa, Speaker
from .upsampling import continued

SEGMENT = 64  # frames of a run, at most
MAX_BATCH = 65536

Sound = npt.NDArray[Any]  # frames (frames, channels), or audio (n,)


class Options(TypedDict, total=False):
    """The keywords of `vocode`, for type checkers."""

    seed: int | None
    stream: int
    sample_rate: int | None
    speaker: Speaker | Sequence[Speaker] | None
    temperature: float | None
    top_k: int | None
    min_p: float | None
    match: int | None
    batch: int
    isa: Isa | None
    threads: int
    progress: Progress | None


@overload
def vocode(
    model: Model, sounds: list[Sound] | tuple[Sound, ...], **options: Unpack[Options]
) -> list[Audio]: ...
@overload
def vocode(model: Model, sounds: Sound, **options: Unpack[Options]) -> Audio: ...
def vocode(
    model: Model,
    sounds: Sound | list[Sound] | tuple[Sound, ...],
    *,
    seed: int | None = None,
    stream: int = 0,
    sample_rate: int | None = None,
    speaker: Speaker | Sequence[Speaker] | None = None,
    temperature: npt.ArrayLike | None = None,
    top_k: int | None = None,
    min_p: npt.ArrayLike | None = None,
    match: int | None = None,
    batch: int = 16,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Audio | list[Audio]:
    """The audio of frames: float32 (frames x hop,) in [-1, 1]; of a list, a list.

    sounds: frames (frames, channels), or audio (n,), float32 or float64, of which the frames of
    the model's convention are taken, mel and pitch.  Mel frames without pitch, for a model that has
    it behind them, get the pitch that its network predicts, if it has one.  A list or tuple of
    sounds runs in `batch` rows, which is faster.  Each result is that of `vocode` of the one sound
    with the same seed and stream.
    seed: as in `Generator`, the same for all sounds.  sample_rate: Hz of audio, to be compared
    with the model's.  speaker: one, or one for each sound of a list.  temperature, min_p: a number,
    or for one sound (frames,), a number for each of its frames.
    progress(done, total) is called after each chunk, in samples of all sounds together.  The rest
    as in `Generator`.  The same arguments give the same samples on every CPU.
    Raises ValueError for frames as `Generator.generate`, and for audio if the model's frames are
    no mel frames.
    """
    check_model(model)
    several = isinstance(sounds, (list, tuple))
    each = sounds if isinstance(sounds, (list, tuple)) else [sounds]
    frames = [frames_of_sound(model, sound, sample_rate) for sound in each]
    if several and (np.ndim(temperature) or np.ndim(min_p)):  # type: ignore[arg-type]
        raise ValueError("temperature and min_p of a list of sounds must be one number each")
    made = vocode_each(
        model,
        [Utterance(len(given), functools.partial(np.asarray, given)) for given in frames],
        speakers=speaker_rows(model.spec, speaker, len(frames) if several else None),
        seed=seed,
        stream=stream,
        temperature=temperature,
        top_k=top_k,
        min_p=min_p,
        match=match,
        batch=batch,
        isa=isa,
        threads=threads,
        progress=progress,
    )
    audio = [audio for _, audio in sorted(made, key=operator.itemgetter(0))]
    return audio if several else audio[0]


class Utterance(NamedTuple):
    """frames: their number, or about; read: returns them, float32 (frames, channels)."""

    frames: int
    read: Callable[[], Audio]


def vocode_each(
    model: Model,
    utterances: Sequence[Utterance],
    *,
    speakers: npt.NDArray[np.uint32] | None,
    temperature: npt.ArrayLike | None = None,
    top_k: int | None = None,
    min_p: npt.ArrayLike | None = None,
    seed: int | None = None,
    stream: int = 0,
    match: int | None = None,
    batch: int = 16,
    isa: Isa | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Audio]]:
    """The number and the audio (frames x hop,) of each utterance, in the order in which they end.

    An utterance is read when a row is free for it.
    speakers: of each utterance; None for a model without.  The rest as in `vocode`.
    """
    seed = secrets.randbits(32) if seed is None else integer("seed", seed, 0, 2**64 - 1)
    start = (seed, integer("stream", stream, 0, 2**32 - 1))
    rows = min(integer("batch", batch, 1, MAX_BATCH), max(len(utterances), 1))
    threads = integer("threads", threads, 1, 2)
    sampling = model.spec.own_sampling(for_all(temperature), top_k, for_all(min_p))  # checked
    sampling = model.spec.own_sampling(None, sampling.top_k, None)

    def drawing(frames: Audio) -> Drawing:
        return drawing_of(sampling, frames, temperature, min_p)

    passes = passes_of(_conditioning(model), match)
    work = _Utterances(model, utterances, speakers, drawing=drawing, reset=start, passes=passes)
    return work.run(resolve_isa(isa), rows, threads, progress)


def frames_of_sound(model: Model, sound: Sound, sample_rate: int | None = None) -> Audio:
    """Frames as `vocode` takes them from a sound: float32 (frames, channels)."""
    end = _conditioning(model)
    if np.ndim(sound) == 1:
        return recording_frames(end, sound, sample_rate)
    channels = end.channels_given(np.shape(sound))
    frames = frames_of(model.spec, sound, 1, channels)[0]
    if end.pitch is None or channels == end.channels:
        return frames
    return with_predicted_pitch(end.pitch, model.weights, frames)


def passes_of(end: FrameConditioning, match: int | None) -> int:
    """The argument `match` of `vocode` as a number.  Raises ValueError as that does."""
    passes = integer(
        "match", PASSES * (end.mel is not None) if match is None else match, 0, MAX_PASSES
    )
    if passes and end.mel is None:
        raise ValueError(f"match is {passes}, expected 0: the model states no mel convention")
    return passes


def _conditioning(model: Model) -> FrameConditioning:
    end = model.spec.conditioning
    if end is None or not end.channels:
        raise ValueError("the model takes no frames")
    return end


@dataclass
class _Row:
    """An utterance in a row of the session; `done` of its frames have their samples.

    frames   float32 (frames, 1, channels)
    drawing  of these frames
    audio    float32 (frames x hop,)
    """

    index: int
    frames: Audio
    drawing: Drawing
    audio: Audio
    done: int = 0


class _Utterances:
    """Utterances, and the rows in which they run.

    waiting  numbers of those that have no row yet
    held     the utterance in each row, or None
    ended    those whose audio is complete
    total    samples of all utterances
    passes   of mel matching
    """

    def __init__(
        self,
        model: Model,
        utterances: Sequence[Utterance],
        speakers: npt.NDArray[np.uint32] | None,
        *,
        drawing: Callable[[Audio], Drawing],
        reset: tuple[int, int],
        passes: int,
    ):
        self.model, self.end = model, _conditioning(model)
        self.hop, (self.before, after) = self.end.hop, self.end.reach
        self.after = max(after, 1)
        self.utterances, self.speakers = utterances, speakers
        self.drawing, self.start, self.passes = drawing, reset, passes
        longest_first = sorted(range(len(utterances)), key=lambda i: -utterances[i].frames)
        self.waiting = deque(longest_first)
        self.held: list[_Row | None] = []
        self.ended: list[_Row] = []
        self.total = sum(each.frames for each in utterances) * self.hop

    def run(
        self, isa: Isa, rows: int, threads: int, progress: Progress | None
    ) -> Iterator[tuple[int, Audio]]:
        """The number and the audio of each utterance, when it ends."""
        session, self.held, made = Session(self.model, isa, rows, threads), [None] * rows, 0
        while True:
            self._fill(session)
            if None in self.held:  # nothing waits: go on without the rows that have ended
                session = self._moved(session, isa, threads)
            for samples in self._run_segment(session) if self.held else ():
                made += samples
                if progress is not None:
                    progress(made, self.total)
            while self.ended:
                row = self.ended.pop()
                yield row.index, self._matched(row)
            if not self.held:
                return

    def _matched(self, row: _Row) -> Audio:
        mel = self.end.mel
        if mel is None or not self.passes:
            return row.audio
        return match_mel(row.audio, row.frames[:, 0, : mel.mels], mel, passes=self.passes)

    def _fill(self, session: Session) -> None:
        """Gives each free row the next utterance that has frames."""
        for row, held in enumerate(self.held):
            while held is None and self.waiting:
                read = self._read(self.waiting.popleft())
                if len(read.frames):
                    session.stream.reset(row, *self.start)
                    if self.model.spec.start.times > 1:
                        session.stream.load(row, self._after_start(read, session.isa))
                    self.held[row] = held = read
                else:
                    self.ended.append(read)

    def _after_start(self, row: _Row, isa: Isa) -> bytes:
        """The state of a row that has been fed the start code, but the last time."""
        session = Session(self.model, isa)
        session.reset(*self.start)
        speakers = None if self.speakers is None else self.speakers[[row.index]]
        with session.stream:
            session.feed_start(Frames(row.frames, 0, speakers), 0)
        return session.save()

    def _read(self, index: int) -> _Row:
        frames = self.utterances[index].read()[:, None]
        self.total += (len(frames) - self.utterances[index].frames) * self.hop
        audio = np.empty(len(frames) * self.hop, np.float32)
        return _Row(index, frames, self.drawing(frames), audio)

    def _moved(self, session: Session, isa: Isa, threads: int) -> Session:
        """The rows that hold an utterance, in a session of their own."""
        kept = [row for row, held in enumerate(self.held) if held is not None]
        self.held = [self.held[row] for row in kept]
        if not kept:
            return session
        smaller = Session(self.model, isa, len(kept), threads)
        for to, row in enumerate(kept):
            smaller.stream.load(to, session.stream.save(row))
        return smaller

    def _run_segment(self, session: Session) -> Iterator[int]:
        """Runs all rows until one of them ends.  Yields samples made, after each chunk."""
        rows = [held for held in self.held if held is not None]
        count = min(SEGMENT, *(len(row.frames) - row.done for row in rows))
        numbers = np.arange(-self.before, count + self.after)  # within reach of the next frames
        values = _next_frames([row.frames for row in rows], rows, numbers, self.end.edges)
        first = [self.before - row.done for row in rows]
        sounds = np.array([(at, at + len(row.frames)) for at, row in zip(first, rows, strict=True)])
        given = Frames(values, self.before * self.hop, self._speakers_of(rows), sounds)
        drawing = _next_drawing(rows, numbers)
        with session.stream:
            for start, n in session.chunks(count * self.hop):
                audio = np.empty((len(rows), n), np.float32)
                session.run(start, n, given, drawing=drawing, audio=audio)
                for row, samples in zip(rows, audio, strict=True):
                    at = row.done * self.hop + start
                    row.audio[at : at + n] = samples
                yield audio.size
        for number, row in enumerate(rows):
            row.done += count
            if row.done == len(row.frames):
                self.held[number] = None
                self.ended.append(row)

    def _speakers_of(self, rows: list[_Row]) -> npt.NDArray[np.uint32] | None:
        return None if self.speakers is None else self.speakers[[row.index for row in rows]]


def _next_drawing(rows: list[_Row], numbers: np.ndarray) -> Drawing:
    temperatures, top_ks, min_ps = zip(*(row.drawing for row in rows), strict=True)
    return Drawing(
        _next_frames(temperatures, rows, numbers), top_ks[0], _next_frames(min_ps, rows, numbers)
    )


def _next_frames(
    each: Sequence[Any], rows: list[_Row], numbers: np.ndarray, edges: str = "held"
) -> Any:
    """float32 (len(numbers), rows, ...) of each row's (frames, 1, ...); a number stands for itself.

    numbers: of frames, from the next one of each row on, which has the number 0; there may be more
    than the utterance has.  edges: as in `FrameConditioning`.
    """
    if not isinstance(each[0], np.ndarray):
        return each[0]
    following = [
        continued(array, row.done + numbers, edges) for array, row in zip(each, rows, strict=True)
    ]
    return np.ascontiguousarray(np.concatenate(following, axis=1))
