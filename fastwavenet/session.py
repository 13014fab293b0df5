"""Calls over `_engine.Stream`, shared by Generator, score, outputs and the benchmark.

A call runs in chunks of steps.  Between two chunks Python handles Ctrl-C, and `cancel` takes
effect.  No result depends on the lengths of the chunks.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _engine
from .arrays import refuse_masked
from .drawing import Drawing
from .model import Model, open_stream
from .shown import shown
from .spec import WaveNetSpec
from .types import Audio, Isa, Speaker
from .upsampled import UpsampledFrames

LOOK_SECONDS = 0.02  # duration of a chunk, about
FIRST_MACS = 2**21  # of a call's first chunk, before the speed of the machine is measured
MAX_CHUNK = 2**14  # steps
MAX_SAMPLES = 2**40

Progress = Callable[[int, int], object]  # steps done, steps in all

_FORCED = Drawing()  # of calls that draw no code


# ---- conditioning ------------------------------------------------------------------------------


class Frames(NamedTuple):
    """The conditioning of a call: sample i belongs to frame (at + i) // hop, or the last one.

    values: float32 (frames, rows, channels), C-contiguous; None for a network without channels
    at: samples from the first frame's begin to the first sample that the call predicts
    speakers: uint32 (rows,); None for a network without speakers
    sounds: int64 (rows, 2), the numbers of the first frame of each row's sound, and of the one
    behind its last; None: the frames are the sound
    """

    values: Audio | None = None
    at: int = 0
    speakers: npt.NDArray[np.uint32] | None = None
    sounds: npt.NDArray[np.int64] | None = None


def check_frames(
    spec: WaveNetSpec,
    frames: npt.ArrayLike | None,
    speakers: npt.NDArray[np.uint32] | None,
    *,
    samples: int,
    at: int = 0,
    rows: int = 1,
) -> Frames:
    """The frames of a call that predicts `samples` samples of `rows` rows, the first one at `at`.

    frames: real numbers (frames, channels), for all rows, or (rows, frames, channels), which cover
    all samples.
    Raises ValueError for another shape, too few frames, NaN or infinity, and for missing frames or
    frames for a model without; TypeError for complex numbers or a mask.
    """
    end = spec.conditioning
    channels = 0 if end is None else end.channels
    if (frames is None) != (channels == 0):
        needs = f"needs frames of {channels} channels" if channels else "takes no frames"
        raise ValueError(f"the model {needs}")
    if frames is None or end is None:
        return Frames(None, at, speakers)
    values = frames_of(spec, frames, rows)
    needed = end.frames(at + samples) if samples else 0
    if values.shape[1] < max(needed, 1):
        raise ValueError(
            f"{at + samples} samples with hop {end.hop} need at least {max(needed, 1)} frames, "
            f"not {values.shape[1]}"
        )
    return Frames(np.require(values.transpose(1, 0, 2), np.float32, ("C", "A")), at, speakers)


def frames_of(
    spec: WaveNetSpec, frames: npt.ArrayLike, rows: int, channels: int | None = None
) -> Audio:
    """Frames of any number for a model with channels: float32 (rows, frames, channels).

    channels: None: those of the model.
    """
    refuse_masked(frames, "frames")
    array = np.asarray(frames)
    check_frames_array(spec, array.shape, array.dtype, rows, channels)
    with np.errstate(all="ignore"):  # infinity is refused below, tiny numbers become 0
        values = array.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        beyond = array.dtype.kind != "O" and np.isfinite(array).all()
        found = "numbers beyond float32: scale them" if beyond else "NaN or infinity"
        raise ValueError(f"frames must be finite, but hold {found}")
    return np.broadcast_to(values, (rows, *values.shape[-2:]))


def check_frames_array(
    spec: WaveNetSpec,
    shape: tuple[int, ...],
    dtype: np.dtype,
    rows: int,
    channels: int | None = None,
) -> None:
    """Raises ValueError for frames of another shape, TypeError for anything but real numbers."""
    if dtype.kind not in "biufO":  # O: numbers of Python, as of a list
        raise TypeError(f"frames must be real numbers, not {dtype}")
    if channels is None:
        channels = spec.conditioning.channels if spec.conditioning else 0
    leading = shape[:-2]
    if len(shape) < 2 or leading not in ((), (1,), (rows,)) or shape[-1] != channels:
        hint = ": transposed?" if len(shape) > 1 and shape[-2] == channels else ""
        raise ValueError(
            f"frames must have shape (frames, {channels}) or ({rows}, frames, {channels}), "
            f"not {shape}{hint}"
        )


def speaker_rows(
    spec: WaveNetSpec, speaker: Speaker | Sequence[Speaker] | None, batch: int | None
) -> npt.NDArray[np.uint32] | None:
    """uint32 (rows,), or None for a model without speakers.

    speaker: a name or an index for all rows, or a sequence of one for each row of a batch.
    Raises ValueError for one that is unknown, missing or not called for, TypeError for another
    type.
    """
    end, rows = spec.conditioning, 1 if batch is None else batch
    if end is None or not end.speakers:
        if speaker is not None:
            raise ValueError(f"the model has no speakers, but got speaker {shown(speaker)}")
        return None
    if speaker is None or isinstance(speaker, (str, int, np.integer)):
        return np.full(rows, end.speaker(speaker), np.uint32)
    each = list(speaker)
    if batch is None or len(each) != rows:
        raise ValueError(f"speaker must be one, or one for each of {rows} rows: {len(each)}")
    return np.array([end.speaker(one) for one in each], np.uint32)


# ---- streams -----------------------------------------------------------------------------------

_streams: weakref.WeakSet[_engine.Stream] = weakref.WeakSet()  # of all sessions


def _after_fork() -> None:
    """A child process has none of the parent's other threads, so their calls end here."""
    for stream in list(_streams):
        stream.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Closed:
    """In the place of a closed session's stream."""

    def __getattr__(self, name: str) -> Any:
        raise ValueError("this generator is closed")

    def use(self) -> int:
        return 0

    def __enter__(self) -> None:
        raise ValueError("this generator is closed")

    def __exit__(self, *_error: object) -> None: ...


_CLOSED: Any = _Closed()


# ---- sessions ----------------------------------------------------------------------------------


class Session:
    """Rows of a model in step.

    stream        the engine's rows; `with session.stream:` makes the calls within one use, between
                  which no other thread can come
    rows          number of rows
    chunk         steps of the next chunk
    cancelled     number of the use that `cancel` ends, 0 before the first
    """

    def __init__(self, model: Model, isa: Isa, rows: int = 1, threads: int = 1):
        self.stream = open_stream(model, isa, rows, threads)
        _streams.add(self.stream)
        self.isa, self.conditioning, self.start = isa, model.spec.conditioning, model.spec.start
        self.upsampled: tuple[Frames, UpsampledFrames] | None = None  # of the newest call
        self.rows = rows
        self.chunk = min(MAX_CHUNK, max(1, FIRST_MACS // (model.spec.macs_per_sample * rows)))
        self.cancelled = 0

    @property
    def closed(self) -> bool:
        return self.stream is _CLOSED

    def reset(self, seed: int, id: int) -> None:
        """Back to silence and step 0; row i draws from the random stream id + i."""
        with self.stream:
            for row in range(self.rows):
                self.stream.reset(row, seed, id + row)

    def save(self) -> bytes:
        """The states of all rows, one after the other."""
        with self.stream:
            return b"".join([self.stream.save(row) for row in range(self.rows)])

    def load(self, state: bytes) -> None:
        """Restores all rows.  Raises StateError, with all of them unchanged, for another state."""
        rows, size = self.rows, self.stream.state_bytes()
        if len(state) != size * rows:
            raise _engine.StateError(
                f"a state of this model with {rows} rows has {size * rows} bytes, not {len(state)}"
            )
        parts = [state[row * size : (row + 1) * size] for row in range(rows)]
        if len({self.stream.check(part)["begun"] for part in parts}) > 1:
            raise _engine.StateError("some rows have begun and some have not")
        with self.stream:
            for row, part in enumerate(parts):
                self.stream.load(row, part)

    def begin(self, codes: np.ndarray) -> None:
        """Sets the first sample of rows that have none.  codes: (rows,), of any integer type."""
        for row, code in enumerate(codes):
            self.stream.begin(row, int(code))

    def begun(self) -> bool:
        """Whether the rows have a first sample."""
        return self.stream.info(0)["begun"]

    def last(self) -> Audio:
        """(rows,): the amplitudes from which pre-emphasis continues."""
        return np.array([self.stream.info(row)["last"] for row in range(self.rows)], np.float32)

    def set_last(self, last: Audio) -> None:
        """Sets them after the codes of audio were forced.  last: (rows,)"""
        for row, amplitude in enumerate(last):
            self.stream.set_last(row, amplitude)

    def chunks(self, n: int) -> Iterator[tuple[int, int]]:
        """(start, length) of the chunks of a call of n steps, of LOOK_SECONDS each, about."""
        start = 0
        while start < n:
            length = min(self.chunk, n - start)
            yield start, length
            start += length

    def run(
        self,
        start: int,
        n: int,
        frames: Frames,
        *,
        drawing: Drawing = _FORCED,
        coders: _engine.Coders | None = None,
        **arrays: np.ndarray | None,
    ) -> None:
        """Runs n steps of every row, the first of which is step `start` of its call.

        drawing: of codes that are not forced.
        coders: of the rows; forced codes are encoded, others decoded.
        arrays: (rows, n) to read and write, as in `_engine.Stream.run`.
        Raises CancelledError if `cancel` or `close` was called during this use.
        """
        if self.stream is _CLOSED or (self.cancelled and self.cancelled == self.stream.use()):
            raise CancelledError(f"cancelled after {start} steps")
        if n and self.start.times > 1 and not self.begun():
            self.feed_start(frames, frames.at + start)
        began = time.perf_counter()
        values, at, drawing = self._features(frames, frames.at + start, n, drawing)
        self.stream.run(
            n,
            frames=values,
            frame_at=at,
            speakers=frames.speakers,
            coders=coders,
            **(drawing.arguments() | arrays),
        )
        self.pace(n, time.perf_counter() - began)

    def feed_start(self, frames: Frames, at: int) -> None:
        """Feeds the start code as often as it is fed before the step whose distribution counts.

        at: of the sample that this step predicts, whose features hold until then.
        """
        n = self.start.times - 1
        codes = np.full((self.rows, n), self.start.code, np.uint16)
        values, at, _ = self._features(frames, at, 1, _FORCED)
        steps, end = self.chunks(n), self.conditioning
        if values is not None and end is not None:
            if end.interpolation == "linear" and at % end.feature_hop:
                steps = ((step, 1) for step in range(n))  # in a longer one the features would move
            else:
                number = min(at // end.feature_hop, len(values) - 1)
                values, at = np.ascontiguousarray(values[number : number + 1]), 0
        for first, length in steps:
            self.stream.run(
                length,
                frames=values,
                frame_at=at,
                speakers=frames.speakers,
                forced=np.ascontiguousarray(codes[:, first : first + length]),
                **_FORCED.arguments(),
            )
        self.set_last(np.zeros(self.rows, np.float32))  # these codes are no samples

    def _features(
        self, frames: Frames, at: int, n: int, drawing: Drawing
    ) -> tuple[Audio | None, int, Drawing]:
        """The frames that the engine takes for n samples, the place of the first sample in them,
        and their drawing.
        """
        end = self.conditioning
        if frames.values is None or end is None or not end.upsampling or n == 0:
            return frames.values, at, drawing
        if self.upsampled is None or self.upsampled[0] is not frames:
            network = self.stream.network
            made = UpsampledFrames(network, self.isa, end, frames.values, frames.sounds)
            self.upsampled = (frames, made)
        upsampled = self.upsampled[1]
        return *upsampled.of_samples(at, n), upsampled.drawing(drawing)

    def pace(self, steps: int, seconds: float) -> None:
        """Sets the length of the next chunk by the duration of one of `steps` steps."""
        if seconds > 2 * LOOK_SECONDS:
            self.chunk = max(1, int(steps * LOOK_SECONDS / seconds))
        elif seconds < LOOK_SECONDS / 2 and steps == self.chunk:
            self.chunk = min(2 * steps, MAX_CHUNK)

    def cancel(self, wait: bool = True) -> bool:
        """Ends the use by another thread at its next chunk, and with `wait` waits for the end.

        Returns whether there was one.  A use by the calling thread is not waited for.
        """
        use = self.stream.use()
        self.cancelled = use
        while wait and use and self.stream.use() == use and not self.stream.used_here():
            time.sleep(0.001)
        return use > 0

    def close(self) -> None:
        """Ends a use, and frees the stream; any later use raises ValueError."""
        self.cancel()
        self.stream = _CLOSED
