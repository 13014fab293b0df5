"""What users call to generate: Generator, generate.

The network is csrc/kernels/flow.h; here arguments are checked, calls are cut into pieces, and
each call is one use of the stream.
"""

from __future__ import annotations

import numbers
import os
import secrets
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from . import _engine
from .checks import whole
from .instruction_sets import isa as resolve_isa
from .model import Model, check_model
from .mulaw import output_array
from .samples import check_rate, refuse_masked, to_codes
from .shown import shown
from .types import Audio, Isa

LOOK_SECONDS = 0.02  # between two looks at Ctrl-C, about
FIRST_MACS = 2**21  # before the first look, when nothing is known about the machine's speed
MAX_PIECE = 2**14  # steps
MAX_SAMPLES = 2**40
BLOCK = 256  # samples that iterating gives at a time

Progress = Callable[[int, int], object]

_integer = partial(whole, wrong_type=TypeError)

_streams: weakref.WeakSet[_engine.Stream] = weakref.WeakSet()  # of all generators


def _after_fork() -> None:
    """In a child process no thread of the parent goes on with its call."""
    for stream in list(_streams):
        stream.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Generator:
    """One voice, or `batch` voices in step, that generates samples and remembers its past.

    model        from `load`
    seed         0 .. 2**64 - 1; None draws one, which `seed` tells
    stream       number of the random stream; row i of a batch uses stream + i, and equals a
                 single generator with that stream
    batch        None: arrays are (n,); else (batch, n)
    temperature  1: as trained; lower: more predictable; 0: always the most probable code
    top_k        draw among the k most probable codes only; None: all
    isa          instruction set; None: $FASTWAVENET_ISA or the best.  Results do not depend on it
    threads      2: with a second thread, if a short measurement finds that faster; the property
                 `threads` tells.  Results do not depend on it

    It is an endless iterator over blocks of BLOCK samples, and a context manager, which closes it.
    A copy or a pickle is a generator of its own in the same state.

    One call at a time: any other one, while a thread is between the first and the last sample of a
    call, raises BusyError and changes nothing.  `seed`, `position`, `threads` and `cancel` may be
    used at any time.  After a fork in the middle of a call the child's copy must be reset, or given
    a state, before it goes on; until then it raises RuntimeError.
    """

    def __init__(
        self,
        model: Model,
        *,
        seed: int | None = None,
        stream: int = 0,
        batch: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        isa: Isa | None = None,
        threads: int = 1,
    ):
        check_model(model)
        rows = 1 if batch is None else _integer("batch", batch, 1, 65536)
        self.model = model
        self.batch = batch
        self.isa = resolve_isa(isa)
        self._wanted_isa = isa
        self._temperature = _temperature(temperature)
        self._top_k = _top_k(top_k, model.spec.levels)
        self._first_stream = _integer("stream", stream, 0, 2**32 - rows)
        self._threads = _integer("threads", threads, 1, 2)
        self._rows = _engine.Stream(model._network, self.isa, rows, self._threads)
        _streams.add(self._rows)
        self._cancelled = 0
        self._piece = min(MAX_PIECE, max(1, FIRST_MACS // (model.spec.macs_per_sample * rows)))
        self.reset(seed)

    @property
    def temperature(self) -> float:
        """May be changed between two calls."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        checked = _temperature(value)
        with self._rows:
            self._temperature = checked

    @property
    def top_k(self) -> int | None:
        """May be changed between two calls."""
        return self._top_k

    @top_k.setter
    def top_k(self, value: int | None) -> None:
        checked = _top_k(value, self.model.spec.levels)
        with self._rows:
            self._top_k = checked

    @property
    def threads(self) -> int:
        """How many threads generate.  2 if so many were asked for and are faster than one."""
        return self._rows.threads()

    @property
    def seed(self) -> int:
        return self._rows.info(0)["seed"]

    @property
    def position(self) -> int:
        """Steps since reset: samples generated, and samples primed after the first."""
        return self._rows.info(0)["step"]

    def reset(self, seed: int | None = None) -> None:
        """Back to silence and step 0; with `seed` None a new seed is drawn."""
        if seed is None:
            seed = secrets.randbits(32)
        _integer("seed", seed, 0, 2**64 - 1)
        with self._rows:
            for row in range(self._rows.rows):
                self._rows.reset(row, seed, self._first_stream + row)

    def prime(
        self,
        samples: npt.ArrayLike,
        *,
        sample_rate: int | None = None,
        cond: npt.ArrayLike | None = None,
        hop: int = 1,
    ) -> None:
        """Feeds known samples to the generator, which then continues after them.

        samples: (n,) for all rows, or (batch, n); codes or audio at the model's sample rate.
        sample_rate: Hz of the audio; another one than the model's is refused.
        cond: as in `generate`; one step is taken per sample, none for a generator's very first.
        """
        check_rate(sample_rate, self.model.sample_rate)
        codes, hop = self._codes(samples), _integer("hop", hop, 1, MAX_SAMPLES)
        with self._rows:
            begin = codes.shape[1] > 0 and not self._rows.info(0)["begun"]
            steps = codes.shape[1] - begin
            rows = self._cond(cond, steps, hop)
            if begin:
                for row in range(self._rows.rows):
                    self._rows.begin(row, int(codes[row, 0]))
            for start, n in self._pieces(steps):
                piece = codes[:, start + begin : start + begin + n]
                self._run(start, n, rows, hop, forced=np.ascontiguousarray(piece, np.uint16))

    def generate(
        self,
        n: int,
        *,
        cond: npt.ArrayLike | None = None,
        hop: int = 1,
        out: Audio | None = None,
        progress: Progress | None = None,
    ) -> Audio:
        """The next n samples: float32 (n,), or (batch, n), in [-1, 1].

        out: an array of that shape and dtype to write them to, of any strides; it is returned.
        When the call ends early, it holds the samples made until then.  It may overlap `cond`.

        cond: for models with conditioning="rows": float32 (frames, layers, 2 D), or
        (frames, batch, layers, 2 D); step i of this call adds frame i // hop before the gates; a
        single frame holds for all steps.
        progress(done, total) is called now and then, in samples of one row; what it raises ends
        the call.
        """
        n, hop = _integer("n", n, 0, MAX_SAMPLES), _integer("hop", hop, 1, MAX_SAMPLES)
        rows = self._cond(cond, n, hop)
        audio = np.empty((self._rows.rows, n), np.float32) if out is None else self._out(out, n)
        if rows is not None and np.may_share_memory(rows, audio):
            rows = rows.copy()  # or samples would be read as frames
        with self._rows:
            for start, m in self._pieces(n):
                piece = audio if m == n else audio[:, start : start + m]
                self._generate(start, m, rows, hop, piece)
                if progress is not None:
                    progress(start + m, n)
        if out is not None:
            return out
        return audio[0] if self.batch is None else audio

    def _generate(self, start: int, n: int, cond: Audio | None, hop: int, audio: Audio) -> None:
        """n samples, `start` steps into a call, to `audio` (rows, n) of any strides."""
        if audio.flags.carray:
            self._run(start, n, cond, hop, audio=audio)
        else:
            piece = np.empty(audio.shape, np.float32)
            self._run(start, n, cond, hop, audio=piece)
            audio[...] = piece

    def stream(self, chunk: int = 256, n_samples: int | None = None) -> Iterator[Audio]:
        """Blocks of `chunk` samples, for ever or `n_samples` in all; the last may be shorter."""
        chunk = _integer("chunk", chunk, 1, MAX_SAMPLES)
        left = None if n_samples is None else _integer("n_samples", n_samples, 0, MAX_SAMPLES)
        return self._blocks(chunk, left)

    def _blocks(self, chunk: int, left: int | None) -> Iterator[Audio]:
        while left is None or left > 0:
            n = chunk if left is None else min(chunk, left)
            yield self.generate(n)
            left = None if left is None else left - n

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Audio:
        """The next BLOCK samples; there is always more."""
        return self.generate(BLOCK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends a running call, and gives back memory and the second thread; harmless if repeated.

        Whatever else is called afterwards raises ValueError.
        """
        self.cancel()
        self._rows = _CLOSED

    def __repr__(self) -> str:
        rows = "" if self.batch is None else f", batch {self.batch}"
        closed = self._rows is _CLOSED
        place = "closed" if closed else f"seed {self.seed}, position {self.position}"
        return f"<Generator of {self.model!r}{rows}, {place}>"

    def get_state(self) -> bytes:
        """All that the next samples depend on, besides model, temperature and top_k.

        The bytes are the same for every instruction set and may be kept in a file.
        """
        with self._rows:
            return b"".join([self._rows.save(row) for row in range(self._rows.rows)])

    def set_state(self, state: bytes) -> None:
        """Continues exactly where `get_state` was called, on any machine.

        Raises StateError, with the generator unchanged, for anything but a state of this model
        and batch size.
        """
        if not isinstance(state, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"state must be a string of bytes, as from get_state, not {type(state).__name__}"
            )
        rows, size, state = self._rows.rows, self._rows.state_bytes(), bytes(state)
        if len(state) != size * rows:
            raise _engine.StateError(
                f"a state of this model with {rows} rows has {size * rows} bytes, not {len(state)}"
            )
        parts = [state[row * size : (row + 1) * size] for row in range(rows)]
        if len({self._rows.check(part)["begun"] for part in parts}) > 1:
            raise _engine.StateError("some rows have begun and some have not")
        with self._rows:
            for row, part in enumerate(parts):
                self._rows.load(row, part)

    def cancel(self, wait: bool = True) -> bool:
        """Ends the call that another thread is in, which raises concurrent.futures.CancelledError.

        Returns whether there was one; with `wait` when it has ended, after a piece of about
        LOOK_SECONDS.  A thread for which a `progress` function waits must not wait for the call;
        in a `progress` function itself it never does.  Samples made until then are in `out`, if one
        was given, and lost otherwise; the generator goes on behind them.
        """
        use = self._rows.use()
        self._cancelled = use
        while wait and use and self._rows.use() == use and not self._rows.used_here():
            time.sleep(0.001)
        return use > 0

    def clone(self) -> Generator:
        """A second generator in the same state, independent from now on; also `copy.copy`."""
        return _restored(*self._parts())

    def __copy__(self) -> Generator:
        return self.clone()

    def __deepcopy__(self, memo: dict) -> Generator:
        return self.clone()  # the model is shared, since nothing changes it

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, self._parts()

    def _parts(self) -> tuple[Model, dict[str, Any], bytes]:
        """Model, arguments and state, from which a generator can be made again."""
        arguments = {
            "seed": self.seed,
            "stream": self._first_stream,
            "batch": self.batch,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "isa": self._wanted_isa,
            "threads": self._threads,
        }
        return self.model, arguments, self.get_state()

    def _run(
        self, start: int, n: int, cond: Audio | None, hop: int, **arrays: np.ndarray | None
    ) -> None:
        """n steps, `start` steps into a call; arrays as in _engine.Stream.run."""
        closed = self._rows is _CLOSED
        if closed or (self._cancelled and self._cancelled == self._rows.use()):
            raise CancelledError(f"cancelled after {start} steps")
        began = time.perf_counter()
        self._rows.run(
            n,
            cond=cond,
            hop=hop,
            cond_step=start,
            temperature=self.temperature,
            top_k=self.top_k or 0,
            **arrays,
        )
        self._pace(n, time.perf_counter() - began)

    def _pace(self, steps: int, seconds: float) -> None:
        """Chooses the length of the next piece from the time that this one took."""
        if seconds > 2 * LOOK_SECONDS:
            self._piece = max(1, int(steps * LOOK_SECONDS / seconds))
        elif seconds < LOOK_SECONDS / 2 and steps == self._piece:
            self._piece = min(2 * steps, MAX_PIECE)

    def _pieces(self, n: int) -> Iterator[tuple[int, int]]:
        """(start, length) of the pieces of a call for n steps; no result depends on them.

        Between two pieces Python handles Ctrl-C, so they are made to last LOOK_SECONDS each.
        """
        start = 0
        while start < n:
            length = min(self._piece, n - start)
            yield start, length
            start += length

    def _cond(self, cond: npt.ArrayLike | None, steps: int, hop: int) -> Audio | None:
        """float32 (frames, rows, layers, 2 D), or None for a model without conditioning."""
        spec = self.model.spec
        if (cond is None) != (spec.conditioning is None):
            needs = "needs cond" if cond is None else "takes no cond"
            raise ValueError(f"a model with conditioning={spec.conditioning!r} {needs}")
        if cond is None:
            return None
        refuse_masked(cond, "cond")
        if np.iscomplexobj(cond):
            raise TypeError("cond must be real numbers, not complex")
        with np.errstate(all="ignore"):  # infinity is refused below, tiny numbers become 0
            rows = np.asarray(cond).astype(np.float32, copy=False)
        one_row = (spec.layers, 2 * spec.dilation_channels)
        if rows.ndim == 3:
            rows = rows[:, None]
        if rows.shape[2:] != one_row or rows.shape[1] not in (1, self._rows.rows):
            raise ValueError(
                f"cond must have shape (frames, {one_row[0]}, {one_row[1]}) or (frames, "
                f"{self._rows.rows}, {one_row[0]}, {one_row[1]}), not {np.shape(cond)}"
            )
        if len(rows) != 1 and len(rows) * hop < steps:
            raise ValueError(
                f"{steps} steps with hop {hop} need {-(-steps // hop)} frames of cond "
                f"or a single one, not {len(rows)}"
            )
        if not np.isfinite(rows).all():
            raise ValueError("cond must be finite, but holds NaN or infinity")
        shape = (len(rows), self._rows.rows, *one_row)
        return np.require(np.broadcast_to(rows, shape), None, ("C", "A"))

    def _out(self, out: Audio, n: int) -> Audio:
        """The caller's array as (rows, n)."""
        shape = (n,) if self.batch is None else (self.batch, n)
        checked = output_array(out, shape, np.dtype(np.float32))
        return checked[None] if self.batch is None else checked

    def _codes(self, samples: npt.ArrayLike) -> np.ndarray:
        """Codes (rows, n), of any integer type."""
        return to_codes(samples, self.model.spec.levels, self.isa, batch=self.batch)


def _restored(model: Model, arguments: dict[str, Any], state: bytes) -> Generator:
    gen = Generator(model, **arguments)
    gen.set_state(state)
    return gen


class _Closed:
    """In the place of a closed generator's stream."""

    def __getattr__(self, name: str) -> Any:
        raise ValueError("this generator is closed")

    def use(self) -> int:
        return 0

    def __enter__(self) -> None:
        raise ValueError("this generator is closed")

    def __exit__(self, *_error: object) -> None: ...


_CLOSED: Any = _Closed()


def generate(
    model: Model,
    seconds: float | None = None,
    *,
    n_samples: int | None = None,
    seed: int | None = None,
    stream: int = 0,
    batch: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    prime: npt.ArrayLike | None = None,
    sample_rate: int | None = None,
    cond: npt.ArrayLike | None = None,
    hop: int = 1,
    isa: Isa | None = None,
    threads: int = 1,
    out: Audio | None = None,
    progress: Progress | None = None,
) -> Audio:
    """Generates audio: float32 (n,), or (batch, n) with `batch`; values in [-1, 1].

    seconds or n_samples: how much.  prime: audio or codes to continue from; they are not part of
    the result.  sample_rate: Hz of that audio; another one than the model's is refused.  cond, hop,
    out, progress: as in `Generator.generate`, for the samples generated.  The rest as in
    `Generator`.  The same arguments give the same samples on every CPU.
    """
    n = _length(check_model(model), seconds, n_samples)
    check_rate(sample_rate, model.sample_rate)
    gen = Generator(
        model,
        seed=seed,
        stream=stream,
        batch=batch,
        temperature=temperature,
        top_k=top_k,
        isa=isa,
        threads=threads,
    )
    if prime is not None:
        gen.prime(prime, sample_rate=sample_rate)
    return gen.generate(n, cond=cond, hop=hop, out=out, progress=progress)


def _length(model: Model, seconds: float | None, n_samples: int | None) -> int:
    if (seconds is None) == (n_samples is None):
        raise ValueError("give either seconds or n_samples")
    if n_samples is not None:
        return _integer("n_samples", n_samples, 0, MAX_SAMPLES)
    if not isinstance(seconds, numbers.Real):
        raise TypeError(f"seconds must be a number, not {shown(seconds)}")
    if not 0 <= seconds <= MAX_SAMPLES / model.sample_rate:  # not NaN either
        raise ValueError(f"seconds must be a number from 0, not {shown(seconds)}")
    return round(float(seconds) * model.sample_rate)


def _temperature(value: float) -> float:
    if not isinstance(value, numbers.Real):
        raise TypeError(f"temperature must be a number, not {shown(value)}")
    if not (value == 0 or 1e-3 <= value <= 1e3):
        raise ValueError(
            f"temperature must be 0 (always the most probable) or from 0.001 to 1000, "
            f"not {shown(value)}"
        )
    return float(value)


def _top_k(value: int | None, levels: int) -> int | None:
    return None if value is None else _integer("top_k", value, 1, levels)
