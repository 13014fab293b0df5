"""A call of a generator is one use, from its first to its last sample; cancels and forks in it."""

import asyncio
import contextlib
import os
import threading
from concurrent.futures import CancelledError

import numpy as np
import pytest
from engines import frames_of, generator
from networks import random_codes, small_spec

import fastwavenet as fw
from fastwavenet.ends import FrameConditioning
from fastwavenet.session import Session

SPEC = small_spec(conditioning=FrameConditioning(channels=3, hop=65536))
N = 3000
CODES, FRAMES = random_codes(SPEC, N + 1, 2), frames_of(SPEC, 10**7)
STATE = generator(SPEC, seed=3, batch=2).get_state()


def voices(**arguments) -> fw.Generator:
    return generator(SPEC, batch=2, **arguments)


CALLS = {
    "generate": lambda gen: gen.generate(N, frames=FRAMES),
    "prime": lambda gen: gen.prime(CODES, frames=FRAMES),
}
OTHERS = {
    "generate": lambda gen: gen.generate(1, frames=FRAMES),
    "generate_none": lambda gen: gen.generate(0, frames=FRAMES),
    "prime": lambda gen: gen.prime([1, 2], frames=FRAMES),
    "prime_none": lambda gen: gen.prime([], frames=FRAMES),
    "reset": lambda gen: gen.reset(1),
    "get_state": lambda gen: gen.get_state(),
    "set_state": lambda gen: gen.set_state(STATE),
    "clone": lambda gen: gen.clone(),
    "temperature": lambda gen: setattr(gen, "temperature", 0.5),
    "top_k": lambda gen: setattr(gen, "top_k", 1),
}


@contextlib.contextmanager
def in_a_call(gen: fw.Generator, call, outcome: list, monkeypatch):
    """Within it, another thread is between the first and the second piece of a call."""
    reached, go_on = threading.Event(), threading.Event()

    def pieces(self, n):
        for start in range(0, n, 100):
            if self is gen._session and n == N and start == 100:
                reached.set()
                go_on.wait()
            yield start, min(100, n - start)

    def work() -> None:
        try:
            outcome.append(call(gen))
        except BaseException as error:
            outcome.append(error)

    monkeypatch.setattr(Session, "chunks", pieces)
    thread = threading.Thread(target=work)
    thread.start()
    reached.wait()
    try:
        yield
    finally:
        go_on.set()
        thread.join()
        monkeypatch.undo()


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_between_the_first_and_the_last_sample_of_a_call_others_are_refused(
    call, other, monkeypatch
):
    gen, expected, outcome = voices(), voices(), []
    with in_a_call(gen, call, outcome, monkeypatch):
        for _ in range(3):
            with pytest.raises(fw.BusyError, match="in use"):
                other(gen)
    assert np.array_equal(outcome[0], call(expected)) or outcome[0] is None
    assert gen.get_state() == expected.get_state()
    assert (gen.temperature, gen.top_k) == (1.0, None)


def test_where_a_generator_is_may_be_read_during_a_call(monkeypatch):
    gen, outcome = voices(), []
    with in_a_call(gen, CALLS["generate"], outcome, monkeypatch):
        assert (gen.seed, gen.position, gen.threads) == (5, 100, 1)
    assert gen.position == N


def test_a_call_from_its_own_progress_is_refused():
    gen = voices()

    def progress(done, total):
        with pytest.raises(fw.BusyError):
            gen.generate(1, frames=FRAMES)

    found = gen.generate(N, frames=FRAMES, progress=progress)
    assert np.array_equal(found, voices().generate(N, frames=FRAMES))


@pytest.mark.parametrize("bad", [{"n": -1}, {"n": 1.5}, {"n": 5, "frames": None}])
def test_a_refused_call_leaves_the_generator_free(bad):
    gen = voices()
    with pytest.raises((ValueError, TypeError)):
        gen.generate(**{"n": 5, "frames": FRAMES} | bad)
    assert gen.generate(5, frames=FRAMES).shape == (2, 5)


# ---- cancelling --------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_cancel_ends_a_call_of_another_thread_and_leaves_a_usable_generator(call, monkeypatch):
    gen, outcome = voices(), []
    with in_a_call(gen, call, outcome, monkeypatch):
        canceller = threading.Thread(target=gen.cancel)
        canceller.start()
        while not gen._session.cancelled:
            pass
    canceller.join()
    assert isinstance(outcome[0], CancelledError)
    expected = voices()
    if call is CALLS["prime"]:
        expected.prime(CODES[:101], frames=FRAMES)
    else:
        expected.generate(100, frames=FRAMES)
    assert gen.get_state() == expected.get_state()
    assert gen.generate(1, frames=FRAMES).shape == (2, 1)


def test_cancel_from_progress_ends_the_call_after_this_piece():
    gen = voices()
    with pytest.raises(CancelledError):
        gen.generate(10**7, frames=FRAMES, progress=lambda done, total: gen.cancel())
    assert 0 < gen.position < 10**7


def test_closing_from_progress_cancels_the_call():
    gen = generator(SPEC)
    with pytest.raises(CancelledError):
        gen.generate(10**7, frames=FRAMES, progress=lambda done, total: gen.close())


def test_a_thread_that_progress_waits_for_may_cancel_without_waiting():
    gen = generator(SPEC)

    def progress(done, total):
        canceller = threading.Thread(target=gen.cancel, kwargs={"wait": False})
        canceller.start()
        canceller.join()

    with pytest.raises(CancelledError):
        gen.generate(10**7, frames=FRAMES, progress=progress)


def test_cancel_without_a_call_changes_nothing():
    gen = voices()
    assert gen.cancel() is False
    assert np.array_equal(gen.generate(N, frames=FRAMES), voices().generate(N, frames=FRAMES))


def test_a_cancelled_asyncio_task_leaves_a_usable_generator():
    async def work(gen: fw.Generator) -> None:
        task = asyncio.create_task(asyncio.to_thread(gen.generate, 10**7, frames=FRAMES))
        while not gen.position:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert gen.cancel() is True

    gen = generator(SPEC)
    asyncio.run(work(gen))
    gen.reset(5)
    assert np.array_equal(
        gen.generate(50, frames=FRAMES), generator(SPEC).generate(50, frames=FRAMES)
    )


# ---- forks -------------------------------------------------------------------------------------


def in_a_child(work) -> None:
    """Runs work() in a forked process; its failure is the test's."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_after_a_fork_during_a_call_the_child_goes_on_after_reset_or_set_state(
    call, threads, monkeypatch
):
    gen, outcome = voices(threads=threads), []
    first = voices().generate(50, frames=FRAMES)
    later = voices(seed=3).generate(50, frames=FRAMES)

    def child() -> None:
        for other in ("generate", "prime", "get_state"):
            with pytest.raises(RuntimeError, match="forked"):
                OTHERS[other](gen)
        copy = gen
        copy.reset(5)
        assert np.array_equal(copy.generate(50, frames=FRAMES), first)
        copy.set_state(STATE)
        assert np.array_equal(copy.generate(50, frames=FRAMES), later)

    def restored() -> None:
        gen.set_state(STATE)
        assert np.array_equal(gen.generate(50, frames=FRAMES), later)

    with in_a_call(gen, call, outcome, monkeypatch):
        in_a_child(child)
        in_a_child(restored)
    assert not isinstance(outcome[0], BaseException)
    expected = voices()
    call(expected)
    assert gen.get_state() == expected.get_state()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_score_by_threads_whose_progress_forks_ends_in_the_child_with_an_error(monkeypatch):
    model, codes, children, raised = generator().model, [1] * 3000, [], None
    forked = threading.Event()

    def pieces(_session, n):
        """After the first one each part waits for the fork."""
        for start in range(0, n, 500):
            if start:
                forked.wait()
            yield start, min(500, n - start)

    def progress(done, total):
        if not children:
            children.append(os.fork())
            if children != [0]:
                forked.set()

    monkeypatch.setattr(Session, "chunks", pieces)

    try:
        fw.score(model, codes, threads=2, progress=progress)
    except RuntimeError as error:
        raised = error
    if children == [0]:
        os._exit(0 if raised is not None and "forked" in str(raised) else 1)
    assert os.waitpid(children[0], 0)[1] == 0
    assert raised is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_in_the_middle_of_a_step_leaves_a_copy_that_can_be_reset():
    """The fork comes while the engine runs, wherever it is."""
    gen = generator(SPEC, batch=2)
    done = threading.Event()
    expected = voices().generate(50, frames=FRAMES)

    def work() -> None:
        while not done.is_set():
            gen.generate(500, frames=FRAMES)

    def child() -> None:
        gen.reset(5)
        assert np.array_equal(gen.generate(50, frames=FRAMES), expected)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(20):
            in_a_child(child)
    finally:
        done.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_call_whose_own_progress_forks_goes_on_in_parent_and_child(threads, monkeypatch):
    pieces = lambda gen, n: ((t, min(100, n - t)) for t in range(0, n, 100))  # noqa: E731
    monkeypatch.setattr(Session, "chunks", pieces)
    gen, expected, children = voices(threads=threads), voices().generate(N, frames=FRAMES), []
    alike = False

    def progress(done, total):
        if not children:
            children.append(os.fork())

    try:
        alike = np.array_equal(gen.generate(N, frames=FRAMES, progress=progress), expected)
        alike &= gen.generate(1, frames=FRAMES).shape == (2, 1)
    finally:
        if children == [0]:
            os._exit(0 if alike else 1)
    assert os.waitpid(children[0], 0)[1] == 0
    assert alike
