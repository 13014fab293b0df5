"""One generator in many threads: each call that succeeds is whole, and they follow one another."""

import sys
import threading
import time
from concurrent.futures import CancelledError
from random import Random

import numpy as np
import pytest
from engines import generator
from networks import small_spec

import fastwavenet as fw
from fastwavenet.session import Session

SPEC = small_spec(levels=256)
WORKERS, BLOCKS = 4, 30  # blocks of each worker, at least
MOST = 100 * BLOCKS  # on a machine whose other work keeps the threads from meeting
LENGTHS = (16, 40)  # of blocks: a block of 256 levels is found in one place only


@pytest.fixture
def hasty():
    """Threads change as often as they can, also on busy cores, and between pieces of 5 samples."""
    before = sys.getswitchinterval()

    def pieces(session, n):
        for t in range(0, n, 5):
            time.sleep(0)
            yield t, min(5, n - t)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "chunks", pieces)
        sys.setswitchinterval(1e-6)
        yield
    sys.setswitchinterval(before)


def in_threads(*works) -> None:
    """Runs them all at once; the first failure is the test's."""
    failures, all_here = [], threading.Barrier(len(works))

    def guarded(work) -> None:
        try:
            all_here.wait()
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def until_free(call):
    """Calls until the generator is not in use; and how often it was."""
    busy = 0
    while True:
        try:
            return call(), busy
        except fw.BusyError:
            busy += 1


def order_of(blocks: list[np.ndarray], whole: np.ndarray) -> list[int]:
    """Ends of the blocks, put in the order in which they make up the whole (samples,)."""
    left, ends = list(blocks), [0]
    while left:
        start = ends[-1]
        fits = [b for b in left if np.array_equal(b, whole[start : start + len(b)])]
        assert len(fits) == 1, f"{len(fits)} of {len(left)} blocks continue sample {start}"
        left = [b for b in left if b is not fits[0]]
        ends.append(start + len(fits[0]))
    return ends


@pytest.mark.parametrize("threads", [1, 2])
def test_calls_of_many_threads_are_whole_and_follow_one_another(hasty, threads):
    gen, blocks, states, busy = generator(SPEC, threads=threads), [], [], []

    def work(seed: int) -> None:
        random = Random(seed)
        for n in range(MOST):
            if n >= BLOCKS and sum(busy):
                break
            block, refused = until_free(lambda: gen.generate(random.randint(*LENGTHS)))
            blocks.append(block)
            busy.append(refused)
            states.append(until_free(gen.get_state)[0])

    in_threads(*(lambda seed=seed: work(seed) for seed in range(WORKERS)))
    total = sum(map(len, blocks))
    assert sum(busy) > 0
    assert gen.position == total
    whole = generator(SPEC).generate(total + LENGTHS[1])
    ends = order_of(blocks, whole)
    later = generator(SPEC)
    for state in states:  # none was taken between two pieces
        later.set_state(state)
        assert later.position in ends
        expected = whole[later.position : later.position + LENGTHS[1]]
        assert np.array_equal(later.generate(LENGTHS[1]), expected)


def test_a_cancel_at_any_moment_ends_one_call_at_most_and_loses_no_place(hasty):
    gen, ended = generator(SPEC), threading.Event()
    kept, cancelled = [], []

    def work() -> None:
        for n in range(MOST):
            if n >= BLOCKS and cancelled:
                break
            before, out = gen.position, np.empty(LENGTHS[1], np.float32)
            try:
                gen.generate(LENGTHS[1], out=out)
            except CancelledError:
                cancelled.append(gen.position)
            kept.append(out[: gen.position - before])
        ended.set()

    def cancel() -> None:
        while not ended.is_set():
            gen.cancel()

    in_threads(work, cancel)
    assert cancelled
    whole = generator(SPEC).generate(gen.position)
    assert np.array_equal(np.concatenate(kept), whole)
