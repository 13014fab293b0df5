"""`stop=`: another thread, or the program around, ends training early with everything saved."""

import asyncio
import multiprocessing
import threading
from concurrent.futures import CancelledError

import pytest
from recordings import record, tone
from runs import LONG, SPEC, left_behind, quick

import fastwavenet as fw
from fastwavenet.training.data import load_corpus
from fastwavenet.training.learner import Learner

pytestmark = pytest.mark.usefixtures("one_thread")


def stop_at(monkeypatch, step, event):
    """Sets the event during a step."""
    take = Learner.step

    def stopping(learner, factor):
        if learner.steps == step:
            event.set()
        return take(learner, factor)

    monkeypatch.setattr(Learner, "step", stopping)


@pytest.mark.parametrize("kind", [threading.Event, multiprocessing.Event, asyncio.Event])
def test_an_event_ends_training_after_its_step_with_everything_saved(
    source, tmp_path, monkeypatch, whole, kind
):
    with monkeypatch.context() as context:
        stop = kind()
        stop_at(context, 7, stop)
        summary = quick(source, tmp_path / "run", stop=stop, **LONG)
    assert (summary.interrupted, summary.steps) == (True, 8)
    assert fw.load(summary.model).precision_cost
    assert not quick(source, tmp_path / "run", resume=True, stop=kind()).interrupted
    assert left_behind(tmp_path / "run") == whole


@pytest.mark.parametrize("step", [0, 18, 19, 20])
def test_an_event_in_the_last_step_interrupts_nothing(source, tmp_path, monkeypatch, step):
    stop = threading.Event()
    stop_at(monkeypatch, step, stop)
    summary = quick(source, tmp_path / "run", stop=stop, **LONG)
    assert (summary.steps, summary.interrupted) == (min(step + 1, 20), step < 19)


def test_training_in_a_thread_is_ended_from_another(source, tmp_path, monkeypatch):
    stop, stepping, summaries = threading.Event(), threading.Event(), []
    take = Learner.step
    monkeypatch.setattr(Learner, "step", lambda *args: (stepping.set(), take(*args))[1])
    options = LONG | {"steps": 10**6, "stop": stop}
    thread = threading.Thread(
        target=lambda: summaries.append(quick(source, tmp_path / "run", **options))
    )
    thread.start()
    assert stepping.wait(300)
    stop.set()
    thread.join(300)
    assert summaries[0].interrupted


@pytest.mark.parametrize("resume", [False, True])
def test_an_event_before_the_audio_is_read_leaves_all_as_it_was(source, tmp_path, resume):
    run, stop = tmp_path / "run", threading.Event()
    if resume:
        quick(source, run)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*")}
    stop.set()
    with pytest.raises(CancelledError, match="stopped before all audio was read; nothing was"):
        quick(source, run, resume=resume, stop=stop)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.*")} == before
    assert run.exists() == resume


@pytest.mark.parametrize("files", range(4))
def test_an_event_is_heeded_before_every_file(tmp_path, files):
    """Of the recordings and of those held out."""
    for name in ("in/a.wav", "in/b.wav", "held/c.wav"):
        record(tmp_path / name, tone(100))
    looks = iter([False] * files)

    class Stop:
        def is_set(self):
            return next(looks, True)

    load = lambda: load_corpus(tmp_path / "in", SPEC, tmp_path / "held", stop=Stop())  # noqa: E731
    if files == 3:
        assert len(load().train) == 2
    else:
        with pytest.raises(CancelledError):
            load()


@pytest.mark.parametrize("stop", [True, 1, "now"])
def test_what_is_no_event_is_refused(source, tmp_path, stop):
    with pytest.raises(TypeError, match=rf"stop must be an event with is_set\(\), not {stop!r}"):
        quick(source, tmp_path / "run", stop=stop)
    assert not (tmp_path / "run").exists()
