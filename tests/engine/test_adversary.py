"""The standing adversary: any sequence of calls, cut into pieces anywhere, equals the slow twin.

Each sequence draws a network from the whole range of its spec, then generators of every kind, then
calls.  FASTWAVENET_SEQUENCES says how many sequences run; they differ from run to run, and a
failure prints the shortest sequence that fails and a line that repeats it.
"""

import contextlib
import copy
import dataclasses
import io
import itertools
import os
import pickle
from concurrent.futures import CancelledError
from random import Random

import drawn_calls as draw
import numpy as np
import pytest
from coded_twin import after_start, blocks_of, twin_of_block
from drawn_specs import specs
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from networks import PRECISIONS, random_weights
from slow_twin import (
    SlowTwin,
    check_against_numpy,
    frame_means,
    listen,
    slow_entropies,
    to_codes,
)

import fastwavenet as fw
from fastwavenet import scoring, vocoding
from fastwavenet.block_coding import Values
from fastwavenet.compressed_file import Blocks, read_header
from fastwavenet.compression import Coding
from fastwavenet.session import Session

SEQUENCES = int(os.environ.get("FASTWAVENET_SEQUENCES", "200"))
CALLS = 10  # of a sequence, at most
BLOCK = 7  # of an iterator; 256 would take the twin long
KNOWN = {  # of a call that takes known samples
    "n": draw.LENGTHS,
    "samples": draw.SAMPLES,
    "given": draw.GIVEN,
    "cut": draw.PIECES,
    "isa": draw.ISAS,
}
COPIES = [
    fw.Generator.clone,
    copy.copy,
    copy.deepcopy,
    lambda gen: pickle.loads(pickle.dumps(gen)),
]


@dataclasses.dataclass(eq=False)
class Pair:
    """A generator under test and its twin; both have been through the same calls."""

    fast: fw.Generator
    slow: SlowTwin

    @property
    def rows(self) -> int:
        return len(self.slow.voices)

    def shape(self, n: int) -> tuple[int, ...]:
        """Of n samples."""
        return (n,) if self.fast.batch is None else (self.rows, n)

    def check(self) -> None:
        assert self.fast.get_state() == b"".join(self.slow.get_state()[0])
        assert (self.fast.position, self.fast.seed) == (self.slow.position, self.slow.seed)


ENDED = (InterruptedError, CancelledError)


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()


# ---- calls -------------------------------------------------------------------------------------


class Calls(RuleBasedStateMachine):
    """Any calls of any generators of one model."""

    pairs = Bundle("pairs")
    states = Bundle("states")

    def __init__(self):
        super().__init__()
        self.cut = 0
        self.made: list[Pair] = []
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(Session, "chunks", lambda session, n: self.pieces(n))
        self.patch.setattr(fw.generator, "BLOCK", BLOCK)

    def teardown(self):
        self.patch.undo()
        for pair in self.made:  # also those that no later call was meant to touch
            pair.check()

    def pieces(self, n: int):
        """(start, length) of the pieces of a call for n steps."""
        start, random = 0, Random(self.cut)
        while start < n:
            length = min(n - start, random.randint(1, 1 + self.cut % 20))
            yield start, length
            start += length

    def add(self, pair: Pair, two: bool) -> Pair:
        if two:
            pair.fast._session.stream.set_threads(2)  # whether it is faster or not
        pair.check()
        self.made.append(pair)
        return pair

    @initialize(
        target=pairs,
        spec=specs(),
        precision=st.sampled_from(PRECISIONS),
        seed=draw.SMALL,
        arguments=draw.ARGUMENTS,
    )
    def a_model(self, spec, precision, seed, arguments):
        self.spec, self.precision = spec, precision
        self.weights = random_weights(spec, seed)
        self.model = fw.Model(spec, self.weights, precision)
        return self.a_pair(arguments)

    @rule(target=pairs, arguments=draw.ARGUMENTS)
    def a_generator(self, arguments):
        return self.a_pair(arguments)

    def a_pair(self, arguments: draw.Arguments) -> Pair:
        fast = fw.Generator(self.model, **arguments.within(self.spec))
        return self.add(Pair(fast, arguments.twin(self.model)), arguments.threads == 2)

    @rule(target=pairs, pair=pairs, copied=st.sampled_from(COPIES))
    def copy(self, pair, copied):
        twin = copied(pair.fast)
        assert (twin.isa, twin.batch) == (pair.fast.isa, pair.fast.batch)
        return self.add(Pair(twin, pair.slow.copy()), pair.fast._threads == 2)

    @rule(pair=pairs, threads=st.sampled_from([1, 2]))
    def use_threads(self, pair, threads):
        threads = min(threads, pair.fast._threads)
        pair.fast._session.stream.set_threads(threads)
        assert pair.fast.threads == threads

    @rule(
        pair=pairs,
        n=draw.LENGTHS,
        given=draw.GIVEN,
        at=draw.PLACES,
        numbers=draw.NUMBERS,
        cut=draw.PIECES,
        out=draw.OUTS,
    )
    def generate(self, pair, n, given, at, numbers, cut, out):
        self.cut, n = cut, min(n, draw.STEPS // pair.rows)
        at = at if draw.has_frames(self.spec) else 0
        frames, out = given.frames(self.spec, n + at, pair.rows), out(pair.shape(n))
        numbers = numbers.of(frames, pair.rows)
        found = pair.fast.generate(n, frames=frames, at=at, **numbers, out=out)
        assert out is None or found is out
        expected = pair.slow.generate(n, frames, at, **numbers)
        same(found, expected.reshape(pair.shape(n)))
        pair.check()

    @rule(
        pair=pairs,
        n=draw.LENGTHS,
        given=draw.GIVEN,
        cut=draw.PIECES,
        calls=st.sampled_from([1, 2, 3, 4]),
        cancels=st.booleans(),
    )
    def generate_until_progress_ends_it(self, pair, n, given, cut, calls, cancels):
        self.cut, n, seen = cut, min(n, draw.STEPS // pair.rows), []
        frames, out = given.frames(self.spec, n, pair.rows), draw.dense(pair.shape(n))

        def progress(done, total):
            assert total == n
            seen.append(done)
            if len(seen) == calls and cancels:
                assert pair.fast.cancel()
            elif len(seen) == calls:
                raise InterruptedError

        ends = [start + length for start, length in self.pieces(n)]
        too_late = len(ends) < calls + cancels  # a cancelled call ends before its next piece
        with contextlib.nullcontext() if too_late else pytest.raises(ENDED):
            pair.fast.generate(n, frames=frames, out=out, progress=progress)
        assert seen == (ends if too_late else ends[:calls])
        done = seen[-1] if seen else 0
        expected = pair.slow.generate(done, frames)
        same(out[..., :done], expected.reshape(pair.shape(done)))
        assert (out[..., done:] == 9).all()
        pair.check()

    @precondition(lambda self: not draw.has_frames(self.spec))
    @rule(pair=pairs, n=draw.LENGTHS, chunk=st.integers(1, 20), cut=draw.PIECES)
    def stream(self, pair, n, chunk, cut):
        self.cut, n = cut, min(n, draw.STEPS // pair.rows)
        blocks = list(pair.fast.stream(chunk, n))
        assert [block.shape[-1] for block in blocks[:-1]] == [chunk] * (-(-n // chunk) - 1)
        self.joined(pair, blocks, n)

    @precondition(lambda self: not draw.has_frames(self.spec))
    @rule(pair=pairs, blocks=st.sampled_from([0, 1, 2]), cut=draw.PIECES)
    def iterate(self, pair, blocks, cut):
        self.cut = cut
        self.joined(pair, list(itertools.islice(pair.fast, blocks)), blocks * BLOCK)

    def joined(self, pair: Pair, blocks: list[np.ndarray], n: int) -> None:
        """The blocks are the next n samples."""
        expected = pair.slow.generate(n).reshape(pair.shape(n))
        same(np.concatenate([expected[..., :0], *blocks], axis=-1), expected)
        pair.check()

    @precondition(lambda self: draw.has_frames(self.spec))
    @rule(pair=pairs, given=draw.GIVEN, cuts=st.lists(st.integers(0, 4), max_size=4))
    def vocode(self, pair, given, cuts):
        """Frames in chunks, some of them empty: of so few that the twin can take all samples."""
        hop = self.spec.conditioning.hop
        count = draw.STEPS // pair.rows // hop
        frames = given.frames(self.spec, count * hop, pair.rows)[..., :count, :]
        ends = [0, *sorted(min(cut, count) for cut in cuts), count]
        chunks = [frames[..., a:b, :] for a, b in itertools.pairwise(ends)]
        self.cut = len(cuts)
        blocks = [*pair.fast.vocode(iter(chunks))]
        expected = pair.slow.generate(count * hop, frames).reshape(pair.shape(count * hop))
        same(np.concatenate([expected[..., :0], *blocks], axis=-1), expected)
        pair.check()

    @rule(pair=consumes(pairs), name=st.sampled_from(["reset", "get_state", "clone"]))
    def close(self, pair, name):
        self.made.remove(pair)
        pair.fast.close()
        pair.fast.close()
        with pytest.raises(ValueError, match="closed"):
            getattr(pair.fast, name)()

    @rule(pair=pairs, n=draw.LENGTHS, samples=draw.SAMPLES, given=draw.GIVEN, cut=draw.PIECES)
    def prime(self, pair, n, samples, given, cut):
        self.cut, n = cut, min(n, draw.STEPS // pair.rows)
        known = samples.array(self.spec, n, pair.rows, pair.fast.batch)
        frames = given.frames(self.spec, n, pair.rows)
        rate = None if samples.kind == "codes" else self.spec.sample_rate
        pair.fast.prime(known, sample_rate=rate, frames=frames)
        pair.slow.prime(np.broadcast_to(known, (pair.rows, n)), frames)
        pair.check()

    @rule(pair=pairs, seed=draw.SEEDS)
    def reset(self, pair, seed):
        pair.fast.reset(seed)
        pair.slow.reset(seed)
        pair.check()

    @rule(pair=pairs, temperature=draw.TEMPERATURES, top_k=draw.TOP_K, min_p=draw.MIN_P)
    def set_sampling(self, pair, temperature, top_k, min_p):
        top_k, own, fast = top_k and min(top_k, self.spec.levels), self.spec.sampling, pair.fast
        fast.temperature, fast.top_k, fast.min_p = temperature, top_k, min_p
        assert fast.temperature == (own.temperature if temperature is None else temperature)
        assert fast.top_k == (own.top_k if top_k is None else top_k)
        assert fast.min_p == (own.min_p if min_p is None else min_p)
        pair.slow.set_sampling(temperature, top_k, min_p)

    @rule(target=states, pair=pairs)
    def get_state(self, pair):
        return pair.slow.get_state()

    @rule(pair=pairs, state=states, first=st.integers(0, 21))
    def set_state(self, pair, state, first):
        """Rows of any batch, into any other."""
        (saved, begun), order = state, range(first, first + pair.rows)
        rows = [saved[row % len(saved)] for row in order]
        pair.fast.set_state(b"".join(rows))
        pair.slow.set_state((rows, begun))
        pair.check()

    @rule(pair=pairs, name=st.sampled_from(sorted(draw.REFUSED)))
    def refuse(self, pair, name):
        before, threads = pair.fast.get_state(), pair.fast.threads
        frames = draw.Given(0, True, 0).frames(self.spec, 1, pair.rows)
        with pytest.raises((ValueError, TypeError)):
            draw.REFUSED[name](pair.fast, frames)
        assert (pair.fast.get_state(), pair.fast.threads) == (before, threads)
        fast, voice = pair.fast, pair.slow.voices[0]
        found = (fast.temperature, fast.top_k, fast.min_p)
        assert found == (voice.temperature, voice.top_k, voice.min_p)

    @rule(**KNOWN, parts=draw.PARTS)
    def score(self, n, samples, given, cut, isa, parts):
        known, conditioned = self.known(n, samples, given, cut)
        found = fw.score(self.model, known, **conditioned, isa=isa, threads=parts)
        same(found, -listen(self.model, known, **conditioned)[1])

    @rule(**KNOWN)
    def outputs(self, n, samples, given, cut, isa):
        known, conditioned = self.known(n, samples, given, cut)
        found = fw.outputs(self.model, known, **conditioned, isa=isa)
        same(found, listen(self.model, known, **conditioned)[0])
        codes = to_codes(known, self.spec)[:6]
        if len(codes):
            numpy_given = (self.spec, self.weights, self.precision, codes)
            check_against_numpy(*numpy_given, **conditioned, found=found[: len(codes)])

    @rule(
        **KNOWN,
        parts=draw.PARTS,
        stretch=draw.STRETCHES,
        hop=draw.SURPRISE_HOPS,
        smooth=draw.SMOOTH,
    )
    def surprise(self, n, samples, given, cut, isa, parts, stretch, hop, smooth):
        """Of any stretches and parts: the means of the twin's nats and entropies."""
        at = int(not self.spec.start.fed)
        self.patch.setattr(scoring, "STRETCH", stretch)
        known, conditioned = self.known(n, samples, given, cut)
        how = {"hop": hop, "smooth": smooth, "isa": isa, "threads": parts}
        found = fw.surprise(self.model, known, **conditioned, **how)
        logits, logp = listen(self.model, known, **conditioned)
        if not len(logp):
            assert found.nats.shape == found.expected.shape == (0,)
            return
        nats, entropies = -logp, slow_entropies(logits)[:-1]
        np.testing.assert_allclose(found.nats, frame_means(nats, n, hop, at, smooth), rtol=1e-6)
        expected = frame_means(entropies, n, hop, at, smooth)
        np.testing.assert_allclose(found.expected, expected, rtol=1e-4, atol=1e-5)

    @precondition(lambda self: self.spec.conditioning is None)
    @rule(
        n=draw.LENGTHS,
        samples=draw.SAMPLES,
        cut=draw.PIECES,
        block=st.sampled_from([1, 3, 16, 1000]),
        isas=st.tuples(draw.ISAS, draw.ISAS),
        batches=st.tuples(st.integers(1, 4), st.integers(1, 4)),
        parts=draw.PARTS,
    )
    def compress(self, n, samples, cut, block, isas, batches, parts):
        """Codes, audio or 16-bit samples: the twin's bytes, and back by way of another ISA."""
        self.cut = cut
        known = samples.array(self.spec, n, 1, None)
        wide = samples.kind == "float64" and not self.spec.codec.pre_emphasis
        values = Values(self.spec, "pcm16" if wide else "codes")
        if wide:
            known = np.clip(known * 2**15, -(2**15), 2**15 - 1).astype(np.int16)
        given = {"block": block, "isa": isas[0], "batch": batches[0], "threads": parts}
        data = fw.compress(self.model, known, **given)
        given = {"isa": isas[1], "batch": batches[1], "threads": 4 - parts}
        found = fw.decompress(self.model, data, codes=not wide, **given)
        expected = known if wide else to_codes(known, self.spec)[int(self.spec.start.fed) :]
        assert np.array_equal(found, expected)
        first = cut % (len(expected) + 1)
        given |= {"first": first, "n_samples": (len(expected) - first) // 2}
        found = fw.decompress(self.model, data, codes=not wide, **given)
        assert np.array_equal(found, expected[first : first + given["n_samples"]])
        self.compress_in_step(values, [expected[:first], expected[:0], expected[first:]], given)
        block_0 = expected[:block].astype(values.dtype)
        if len(block_0):
            codes, places = values.split(block_0)
            logits = listen(self.model, after_start(self.model, codes), None, None)[0]
            twin = twin_of_block(logits, codes, places, values.widths)
            assert blocks_of(data)[0] == twin

    def compress_in_step(self, values: Values, recordings: list[np.ndarray], given) -> None:
        """Blocks of several recordings in the same groups: each file is that which it is alone."""
        mode = "codes" if values.widths is None else "pcm16"
        coding = Coding(self.model, mode, given["isa"], given["batch"], given["threads"])
        together = coding.compressed(([recording] for recording in recordings), 3)
        data = [b"".join(parts) for parts in together]
        assert data == [fw.compress(self.model, each, block=3) for each in recordings]
        files = [io.BytesIO(each) for each in data]
        decoded = coding.decoded([Blocks(file, read_header(file)) for file in files])
        for recording, blocks in zip(recordings, decoded, strict=True):
            samples = [recording[:0], *(block.samples for block in blocks)]
            assert np.array_equal(np.concatenate(samples), recording)

    def known(self, n: int, samples, given, cut) -> tuple[np.ndarray, dict]:
        """n samples, which go through the engine in pieces, and their frames and speaker."""
        self.cut = cut
        conditions = {"frames": given.frames(self.spec, n, 1), "speaker": self.any_speaker(cut)}
        return samples.array(self.spec, n, 1, None), conditions

    def any_speaker(self, number: int) -> int | None:
        end = self.spec.conditioning
        return number % len(end.speakers) if end is not None and end.speakers else None

    @precondition(lambda self: draw.has_frames(self.spec))
    @rule(
        counts=draw.UTTERANCES,
        batch=st.sampled_from([1, 2, 3, 16]),
        segment=st.sampled_from([1, 2, 64]),
        cut=draw.PIECES,
        args=draw.ARGUMENTS,
        another_isa=draw.ISAS,
    )
    def vocode_utterances(self, counts, batch, segment, cut, args, another_isa):
        """Of unequal lengths, some of them none, together: each as it is alone, then matched."""
        self.cut, mel = cut, self.spec.conditioning.mel
        passes = 0 if mel is None else cut % 3
        self.patch.setattr(vocoding, "SEGMENT", segment)
        hop = self.spec.conditioning.hop
        frames = [draw.some_frames(self.spec, count, cut + i) for i, count in enumerate(counts)]
        speakers = [self.any_speaker(cut + i) for i in range(len(counts))]
        options = args.within(self.spec)
        for name in ("batch", "speaker"):
            del options[name]
        speaker = speakers if self.spec.conditioning.speakers else None
        found = fw.vocode(self.model, frames, batch=batch, speaker=speaker, match=passes, **options)
        assert [len(audio) for audio in found] == [len(given) * hop for given in frames]
        options |= {"isa": another_isa, "threads": 1}
        for audio, given, one in zip(found, frames, speakers, strict=True):
            if len(given):
                alone = fw.generate(self.model, frames=given, speaker=one, **options)
                if passes:
                    alone = fw.match_mel(alone, given[:, : mel.mels], mel, passes=passes)
                same(audio, alone)

    @rule(
        n=draw.LENGTHS,
        known=draw.SAMPLES,
        given=draw.GIVEN,
        numbers=draw.NUMBERS,
        cut=draw.PIECES,
        args=draw.ARGUMENTS,
    )
    def generate_at_once(self, n, known, given, numbers, cut, args):
        self.cut, rows, slow = cut, args.batch or 1, args.twin(self.model)
        n = min(n, draw.STEPS // rows)
        frames = given.frames(self.spec, n, rows)
        numbers, samples = numbers.of(frames, rows), None
        if frames is None:
            samples = known.array(self.spec, n, rows, args.batch)
            slow.prime(np.broadcast_to(samples, (rows, n)))
        found = fw.generate(
            self.model,
            n_samples=n,
            prime=samples,
            frames=frames,
            **args.within(self.spec) | numbers,
        )
        expected = slow.generate(n, frames, **numbers)
        same(found, expected[0] if args.batch is None else expected)


@pytest.mark.timeout(0)
def test_any_sequence_of_calls_in_any_pieces_is_that_of_the_slow_twin():
    run_state_machine_as_test(
        Calls,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=CALLS,
            derandomize=False,
            phases=set(Phase) - {Phase.explain},
            suppress_health_check=list(HealthCheck),
        ),
    )


# What a user finds on a Generator, and the rule that tries it.  A new name needs a rule here.
TRIED = {
    "generate": Calls.generate,
    "cancel": Calls.generate_until_progress_ends_it,
    "stream": Calls.stream,
    "vocode": Calls.vocode,
    "speaker": Calls.copy,
    "__iter__": Calls.iterate,
    "__next__": Calls.iterate,
    "close": Calls.close,
    "prime": Calls.prime,
    "reset": Calls.reset,
    "get_state": Calls.get_state,
    "set_state": Calls.set_state,
    "clone": Calls.copy,
    "__copy__": Calls.copy,
    "__deepcopy__": Calls.copy,
    "__reduce__": Calls.copy,
    "temperature": Calls.set_sampling,
    "top_k": Calls.set_sampling,
    "min_p": Calls.set_sampling,
    "threads": Calls.use_threads,
    "position": Pair.check,
    "seed": Pair.check,
}
NOT_TRIED = {"__init__", "__enter__", "__exit__", "__repr__"}


def test_every_method_of_a_generator_is_tried():
    found = {name for name, value in vars(fw.Generator).items() if callable(value)}
    found = {name for name in found if name.startswith("__") or not name.startswith("_")}
    assert found | {n for n in dir(fw.Generator) if n[0] != "_"} == set(TRIED) | NOT_TRIED
