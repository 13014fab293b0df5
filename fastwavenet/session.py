"""Calls over `_engine.Stream`, shared by Generator, score, outputs and the benchmark.

A call runs in chunks of steps.  Between two chunks Python handles Ctrl-C, and `cancel` takes
effect.  No result depends on the lengths of the chunks.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _engine
from .checks import integer
from .ends import Sampling
from .model import Model, open_stream
from .samples import refuse_masked
from .spec import WaveNetSpec
from .types import Audio, Isa

LOOK_SECONDS = 0.02  # duration of a chunk, about
FIRST_MACS = 2**21  # of a call's first chunk, before the speed of the machine is measured
MAX_CHUNK = 2**14  # steps
MAX_SAMPLES = 2**40

Progress = Callable[[int, int], object]  # steps done, steps in all

_FORCED = Sampling()  # of calls that draw no code


# ---- frames ------------------------------------------------------------------------------------


class Frames(NamedTuple):
    """The conditioning of a call: step i uses row i // hop, or the only row.

    rows: float32 (frames, rows, layers, 2 D), C-contiguous; None for an unconditional network
    """

    rows: Audio | None = None
    hop: int = 1


def check_frames(
    spec: WaveNetSpec, cond: npt.ArrayLike | None, hop: int, *, steps: int, rows: int = 1
) -> Frames:
    """The frames of a call of `steps` steps and `rows` rows.

    cond: real numbers (frames, layers, 2 D), for all rows, or (frames, rows, layers, 2 D); one
    frame for each `hop` steps, or a single one for all.
    Raises ValueError for another shape, too few frames, NaN or infinity, and for a missing `cond`
    or one too many; TypeError for complex numbers or a mask.
    """
    hop = integer("hop", hop, 1, MAX_SAMPLES)
    if (cond is None) != (spec.conditioning is None):
        needs = "needs cond" if cond is None else "takes no cond"
        found = spec.conditioning and spec.conditioning.kind
        raise ValueError(f"a model with conditioning={found!r} {needs}")
    if cond is None:
        return Frames(None, hop)
    refuse_masked(cond, "cond")
    if np.iscomplexobj(cond):
        raise TypeError("cond must be real numbers, not complex")
    with np.errstate(all="ignore"):  # infinity is refused below, tiny numbers become 0
        frames = np.asarray(cond).astype(np.float32, copy=False)
    if frames.ndim == 3:
        frames = frames[:, None]
    frame = (spec.layers, 2 * spec.dilation_channels)
    if frames.shape[2:] != frame or frames.shape[1] not in (1, rows):
        raise ValueError(
            f"cond must have shape (frames, {frame[0]}, {frame[1]}) or (frames, "
            f"{rows}, {frame[0]}, {frame[1]}), not {np.shape(cond)}"
        )
    if len(frames) != 1 and len(frames) * hop < steps:
        raise ValueError(
            f"{steps} steps with hop {hop} need {-(-steps // hop)} frames of cond "
            f"or a single one, not {len(frames)}"
        )
    if not np.isfinite(frames).all():
        raise ValueError("cond must be finite, but holds NaN or infinity")
    every_row = np.broadcast_to(frames, (len(frames), rows, *frame))
    return Frames(np.require(every_row, None, ("C", "A")), hop)


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
        sampling: Sampling = _FORCED,
        **arrays: np.ndarray | None,
    ) -> None:
        """Runs n steps of every row, the first of which is step `start` of its call.

        sampling: of codes that are not forced.
        arrays: (rows, n) to read and write, as in `_engine.Stream.run`.
        Raises CancelledError if `cancel` or `close` was called during this use.
        """
        if self.stream is _CLOSED or (self.cancelled and self.cancelled == self.stream.use()):
            raise CancelledError(f"cancelled after {start} steps")
        began = time.perf_counter()
        self.stream.run(
            n,
            cond=frames.rows,
            hop=frames.hop,
            cond_step=start,
            temperature=sampling.temperature,
            top_k=sampling.top_k or 0,
            min_p=sampling.min_p,
            **arrays,
        )
        self.pace(n, time.perf_counter() - began)

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
