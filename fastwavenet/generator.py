"""Generator and generate: sampling from a model.

The network is csrc/kernels/flow.h, and session.py runs it in chunks.  Here arguments are checked,
and each call is one use of the session's stream.

It is longer than other files because docstrings of methods are their reference.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .checks import integer, within
from .drawing import drawing_of, for_all
from .instruction_sets import isa as resolve_isa
from .model import Model, check_model
from .mulaw import output_array
from .samples import check_rate, to_codes
from .session import MAX_SAMPLES, Progress, Session, check_frames, frames_of, speaker_rows
from .types import Audio, Isa, Speaker

BLOCK = 256  # samples of a block of the iterator


class Generator:
    """One voice, or `batch` voices in step, with the state from which the next samples follow.

    model        from `load`
    seed         0 .. 2**64 - 1; None draws one, which the property `seed` returns
    stream       number of the random stream; row i of a batch uses stream + i, and equals a
                 single generator with that stream
    batch        None: arrays are (n,); else (batch, n)
    temperature  1: as trained; lower: more predictable; 0: always the most probable code
    top_k        draw among the k most probable codes only; `levels`: all
    min_p        draw codes of at least min_p times the largest probability only; 0: all.  None, of
                 these three, stands for the model's own, `model.spec.sampling`, which may differ
                 between unvoiced and voiced frames
    speaker      for a model with speakers: a name or an index, or one for each row of a batch
    isa          instruction set; None: $FASTWAVENET_ISA or the best.  Results do not depend on it
    threads      2: with a second thread, if a short measurement finds that faster, see the
                 property `threads`.  Results do not depend on it

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
        temperature: float | None = None,
        top_k: int | None = None,
        min_p: float | None = None,
        speaker: Speaker | Sequence[Speaker] | None = None,
        isa: Isa | None = None,
        threads: int = 1,
    ):
        check_model(model)
        rows = 1 if batch is None else integer("batch", batch, 1, 65536)
        self.model = model
        self.batch = batch
        self.isa = resolve_isa(isa)
        self._wanted_isa = isa
        self._given = {"temperature": temperature, "top_k": top_k, "min_p": min_p}
        self._sampling = model.spec.own_sampling(temperature, top_k, min_p)
        self._speaker = speaker
        self._speakers = speaker_rows(model.spec, speaker, batch)
        self._first_stream = integer("stream", stream, 0, 2**32 - rows)
        self._threads = integer("threads", threads, 1, 2)
        self._session = Session(model, self.isa, rows, self._threads)
        self.reset(seed)

    @property
    def temperature(self) -> float:
        """Of unvoiced frames, if the model's own differs between frames, as `min_p` is.

        May be changed between two calls; None sets the model's own, as for the next two.
        """
        return self._sampling.temperature

    @temperature.setter
    def temperature(self, value: float | None) -> None:
        self._set_sampling(temperature=value)

    @property
    def top_k(self) -> int | None:
        """May be changed between two calls."""
        return self._sampling.top_k

    @top_k.setter
    def top_k(self, value: int | None) -> None:
        self._set_sampling(top_k=value)

    @property
    def min_p(self) -> float:
        """May be changed between two calls."""
        return self._sampling.min_p

    @min_p.setter
    def min_p(self, value: float | None) -> None:
        self._set_sampling(min_p=value)

    def _set_sampling(self, **changed: float | None) -> None:
        given: dict[str, Any] = self._given | changed
        checked = self.model.spec.own_sampling(**given)
        with self._session.stream:
            self._given, self._sampling = given, checked

    @property
    def speaker(self) -> Speaker | Sequence[Speaker] | None:
        """As given to the constructor."""
        return self._speaker

    @property
    def threads(self) -> int:
        """Number of threads that generate: 2 if the constructor got 2 and they are the faster."""
        return self._session.stream.threads()

    @property
    def seed(self) -> int:
        return self._session.stream.info(0)["seed"]

    @property
    def position(self) -> int:
        """Steps since reset: samples generated, and samples primed after the first."""
        return self._session.stream.info(0)["step"]

    def reset(self, seed: int | None = None) -> None:
        """Back to silence and step 0; with `seed` None a new seed is drawn."""
        if seed is None:
            seed = secrets.randbits(32)
        integer("seed", seed, 0, 2**64 - 1)
        self._session.reset(seed, self._first_stream)

    def prime(
        self,
        samples: npt.ArrayLike,
        *,
        sample_rate: int | None = None,
        frames: npt.ArrayLike | None = None,
    ) -> None:
        """Takes given samples into the generator's past; it then continues after them.

        samples: (n,) for all rows, or (batch, n); codes or audio at the model's sample rate.
        sample_rate: Hz of the audio; another one than the model's is refused.
        frames: as in `generate`; the first one begins at the first of these samples.
        """
        check_rate(sample_rate, self.model.sample_rate)
        spec, session = self.model.spec, self._session
        with session.stream:
            known = to_codes(samples, spec, self.isa, batch=self.batch, before=session.last())
            codes, last = known
            begin = codes.shape[1] > 0 and not spec.start.fed and not session.begun()
            steps = codes.shape[1] - begin
            given = check_frames(
                spec, frames, self._speakers, samples=steps, at=int(begin), rows=session.rows
            )
            if begin:
                session.begin(codes[:, 0])
            for start, n in session.chunks(steps):
                following = codes[:, start + begin : start + begin + n]
                session.run(start, n, given, forced=np.ascontiguousarray(following, np.uint16))
            if last is not None:
                session.set_last(last)

    def generate(
        self,
        n: int,
        *,
        frames: npt.ArrayLike | None = None,
        at: int = 0,
        temperature: npt.ArrayLike | None = None,
        min_p: npt.ArrayLike | None = None,
        out: Audio | None = None,
        progress: Progress | None = None,
    ) -> Audio:
        """The next n samples: float32 (n,), or (batch, n), in [-1, 1].

        out: an array of that shape and dtype to write them to, of any strides; it is returned.
        When the call ends early, it holds the samples made until then.  It may overlap `frames`.

        frames: for models that need them, (frames, channels) for all rows or (batch, frames,
        channels), real numbers; frame i belongs to samples i hop .. (i + 1) hop - 1 of this call,
        hop is `model.spec.conditioning.hop`, and all samples must have a frame.
        at: samples between the begin of the first frame and that of this call.  Calls with the
        frames of a whole sound and at = 0, n and so on join to one, also where samples depend on
        earlier frames (`model.spec.conditioning.reach`); a call after `prime` has at = its samples.
        temperature, min_p: of this call: a number, or one for each of the frames, (frames,) for all
        rows or (batch, frames), which holds for the frame's samples; None: the generator's.
        progress(done, total) is called after each chunk, in samples of one row; an exception that
        it raises ends the call.
        """
        n = integer("n", n, 0, MAX_SAMPLES)
        at = integer("at", at, 0, MAX_SAMPLES)
        if at and frames is None:
            raise ValueError(f"at is the place of a call in its frames, but at {at} has no frames")
        return self._generate(n, frames, at, temperature, min_p, out, progress)

    def _generate(
        self,
        n: int,
        frames: npt.ArrayLike | None,
        at: int,
        temperature: npt.ArrayLike | None = None,
        min_p: npt.ArrayLike | None = None,
        out: Audio | None = None,
        progress: Progress | None = None,
        sound: tuple[int, int] | None = None,
    ) -> Audio:
        """`generate`, where the first frame begins `at` samples before the first sample.

        sound: the number of a sound's first frame and of the one behind its last; None: the frames
        are the sound.
        """
        spec, session = self.model.spec, self._session
        given = check_frames(spec, frames, self._speakers, samples=n, at=at, rows=session.rows)
        if sound is not None:
            given = given._replace(sounds=np.tile(np.array(sound), (session.rows, 1)))
        audio = np.empty((session.rows, n), np.float32) if out is None else self._out(out, n)
        if given.values is not None and np.may_share_memory(given.values, audio):
            given = given._replace(values=given.values.copy())  # or samples would be read as frames
        drawing = drawing_of(self._sampling, given.values, temperature, min_p)
        with session.stream:
            for start, length in session.chunks(n):
                part = audio if length == n else audio[:, start : start + length]
                made = part if part.flags.carray else np.empty(part.shape, np.float32)
                session.run(start, length, given, drawing=drawing, audio=made)
                if made is not part:
                    part[...] = made
                if progress is not None:
                    progress(start + length, n)
        if out is not None:
            return out
        return audio[0] if self.batch is None else audio

    def vocode(self, chunks: Iterable[npt.ArrayLike]) -> Iterator[Audio]:
        """The samples of frames that arrive in chunks, as soon as they are determined.

        chunks: arrays as `frames` of `generate`, of any number of frames, also none.  The blocks
        together are the samples of all frames at once, bit for bit, those of `fw.vocode` without
        mel matching (match=0).  With linear interpolation the
        samples of a frame need the next one, and with upsampling perhaps more: the samples of the
        last frames come at the end.
        Raises ValueError and TypeError as `generate`, before any sample of the chunk is made.
        """
        conditioning = self.model.spec.conditioning
        if conditioning is None or not conditioning.channels:
            raise ValueError("the model takes no frames")
        return self._vocoded(chunks, conditioning.hop, conditioning.reach)

    def _vocoded(
        self, chunks: Iterable[npt.ArrayLike], hop: int, reach: tuple[int, int]
    ) -> Iterator[Audio]:
        """reach: frames before and after one on which its samples depend."""
        before, after = reach
        kept: np.ndarray | None = None  # frames on which samples to come depend
        done = 0  # of these: frames whose samples are made
        left = 0  # frames before these
        for chunk in chunks:
            new = frames_of(self.model.spec, chunk, self._session.rows)
            kept = new if kept is None else np.concatenate([kept, new], axis=1)
            ready = kept.shape[1] - after
            if ready > done:
                sound = (-left, MAX_SAMPLES)  # its end is not known, but out of reach
                yield self._generate((ready - done) * hop, kept, done * hop, sound=sound)
                first = max(ready - before, 0)
                kept, done, left = kept[:, first:], ready - first, left + first
        if kept is not None and kept.shape[1] > done:
            sound = (-left, kept.shape[1])
            yield self._generate((kept.shape[1] - done) * hop, kept, done * hop, sound=sound)

    def stream(self, chunk: int = 256, n_samples: int | None = None) -> Iterator[Audio]:
        """Blocks of `chunk` samples, for ever or `n_samples` in all; the last may be shorter."""
        chunk = integer("chunk", chunk, 1, MAX_SAMPLES)
        left = None if n_samples is None else integer("n_samples", n_samples, 0, MAX_SAMPLES)
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

        Any other method raises ValueError afterwards.
        """
        self._session.close()

    def __repr__(self) -> str:
        rows = "" if self.batch is None else f", batch {self.batch}"
        place = "closed" if self._session.closed else f"seed {self.seed}, position {self.position}"
        return f"<Generator of {self.model!r}{rows}, {place}>"

    def get_state(self) -> bytes:
        """All that the next samples depend on, besides model, options, speakers and frames.

        The bytes are the same for every instruction set and may be kept in a file.
        """
        return self._session.save()

    def set_state(self, state: bytes) -> None:
        """Continues exactly where `get_state` was called, on any machine.

        Raises StateError, with the generator unchanged, for anything but a state of this model
        and batch size.
        """
        if not isinstance(state, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"state must be a string of bytes, as from get_state, not {type(state).__name__}"
            )
        self._session.load(bytes(state))

    def cancel(self, wait: bool = True) -> bool:
        """Ends the call that another thread is in, which raises concurrent.futures.CancelledError.

        Returns whether there was one; with `wait` when it has ended, after a chunk of about
        0.02 s.  A thread for which a `progress` function waits must not wait for the call;
        in a `progress` function itself it never does.  Samples made until then are in `out`, if one
        was given, and lost otherwise; the generator goes on behind them.
        """
        return self._session.cancel(wait)

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
            **self._given,
            "speaker": self._speaker,
            "isa": self._wanted_isa,
            "threads": self._threads,
        }
        return self.model, arguments, self.get_state()

    def _out(self, out: Audio, n: int) -> Audio:
        """The caller's array as (rows, n)."""
        shape = (n,) if self.batch is None else (self.batch, n)
        checked = output_array(out, shape, np.dtype(np.float32))
        return checked[None] if self.batch is None else checked


def _restored(model: Model, arguments: dict[str, Any], state: bytes) -> Generator:
    gen = Generator(model, **arguments)
    gen.set_state(state)
    return gen


def generate(
    model: Model,
    seconds: float | None = None,
    *,
    n_samples: int | None = None,
    seed: int | None = None,
    stream: int = 0,
    batch: int | None = None,
    temperature: npt.ArrayLike | None = None,
    top_k: int | None = None,
    min_p: npt.ArrayLike | None = None,
    prime: npt.ArrayLike | None = None,
    sample_rate: int | None = None,
    frames: npt.ArrayLike | None = None,
    speaker: Speaker | Sequence[Speaker] | None = None,
    isa: Isa | None = None,
    threads: int = 1,
    out: Audio | None = None,
    progress: Progress | None = None,
) -> Audio:
    """Generates audio: float32 (n,), or (batch, n) with `batch`; values in [-1, 1].

    seconds or n_samples: the length; neither: that of the frames.  prime: audio or codes to
    continue from; they are not part of the result.  sample_rate: Hz of that audio; another one than
    the model's is refused.  frames, temperature, min_p, out, progress: as in `Generator.generate`,
    for the samples generated.  The rest as in `Generator`.  The same arguments give the same
    samples on every CPU.
    """
    n = _length(check_model(model), seconds, n_samples, frames)
    check_rate(sample_rate, model.sample_rate)
    gen = Generator(
        model,
        seed=seed,
        stream=stream,
        batch=batch,
        temperature=for_all(temperature),
        top_k=top_k,
        min_p=for_all(min_p),
        speaker=speaker,
        isa=isa,
        threads=threads,
    )
    if prime is not None:
        gen.prime(prime, sample_rate=sample_rate)
    return gen.generate(
        n, frames=frames, temperature=temperature, min_p=min_p, out=out, progress=progress
    )


def _length(
    model: Model, seconds: float | None, n_samples: int | None, frames: npt.ArrayLike | None
) -> int:
    conditioning, shape = model.spec.conditioning, np.shape(frames) if frames is not None else ()
    if seconds is None and n_samples is None and conditioning is not None and len(shape) > 1:
        return shape[-2] * conditioning.hop
    if (seconds is None) == (n_samples is None):
        raise ValueError("give either seconds or n_samples")
    if n_samples is not None:
        return integer("n_samples", n_samples, 0, MAX_SAMPLES)
    most = MAX_SAMPLES / model.sample_rate
    checked = within("seconds", seconds, 0, most, expected="a number from 0", wrong_type=TypeError)
    return round(checked * model.sample_rate)
