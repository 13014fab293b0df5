"""Several processes of torchrun train one network, as a single process would."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from c_build import ROOT
from recordings import noise, record, two_tones
from runs import SPEC, log, quick, weights

from fastwavenet.training import checkpoint, train
from fastwavenet.training.distributed import Together
from fastwavenet.training.launch import Place, place
from fastwavenet.training.settings import Recordings, Settings
from fastwavenet.training.windows import Batch

pytestmark = pytest.mark.usefixtures("one_thread")
LONG = {"steps": 50, "batch": 4, "window": 50}
ACCUMULATED = LONG | {"steps": 5, "batch": 2, "accumulate": 3}
OPTIONS = f"LONG, ACCUMULATED = {LONG}, {ACCUMULATED}"
VARIABLES = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4",
             "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}  # fmt: skip

# Each rank runs it; what it returns is in the file of its rank.
COMMON = """
import hashlib, json, os, pathlib, sys, threading
sys.path.insert(0, {helpers!r})
import runs, torch
from fastwavenet.training.learner import Learner

torch.set_num_threads(1)
folder, rank = pathlib.Path({folder!r}), int(os.environ["RANK"])
source, learners, stop_at, step = folder / "in", {{}}, {{}}, Learner.step


def stepping(learner, factor):
    learners["last"] = learner
    if stop_at.get("step") == learner.steps:
        stop_at["event"].set()
    return step(learner, factor)


def state():
    arrays = [a for group in learners["last"].state().values() for a in group.values()]
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def outcome(source, run, **options):
    try:
        summary = runs.quick(source, folder / run, **options)
    except Exception as error:
        return [type(error).__name__, str(error)]
    return [summary.steps, summary.interrupted, str(summary.model), state()]


Learner.step = stepping
results = {{}}
"""
STEPS = """
results["whole"] = outcome(source, "whole", **LONG)
stop_at |= {"step": 20, "event": threading.Event()} if rank == 1 else {}
results["stopped"] = outcome(source, "stopped", stop=stop_at.get("event"), **LONG)
stop_at.clear()
results["begun alone"] = outcome(source, "alone", resume=True)
results["unequal"] = outcome(folder / ("other" if rank else "in"), "unequal", **LONG)
results["missing"] = outcome(folder / ("none" if rank else "in"), "missing", **LONG)
results["odd"] = outcome(source, "odd", **LONG | {"batch": 3})
results["diverged"] = outcome(source, "diverged", **LONG | {"learning_rate": 1e30})
results["timed"] = outcome(source, "timed", **LONG | {"steps": 2, "bfloat16": None})
results["accumulated"] = outcome(source, "accumulated", **ACCUMULATED)
(folder / f"{rank}.json").write_text(json.dumps(results))
"""
# Each rank that is well within training has a file with the number of its process.
CALL = """
def at_work(learner, factor):
    if learner.steps == 20:
        (folder / f"{rank}.begun").write_text(str(os.getpid()))
        (folder / f"{rank}.begun").rename(folder / f"{rank}.pid")
    return step(learner, factor)


Learner.step = at_work
from fastwavenet.cli import main
sys.exit(main(sys.argv[1:]))
"""


def command(folder, body, *arguments):
    script = folder / "script.py"
    helpers = str(ROOT / "tests" / "helpers")
    script.write_text(COMMON.format(helpers=helpers, folder=str(folder)) + f"{OPTIONS}\n" + body)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*launcher, "--nproc-per-node", "2", str(script), *map(str, arguments)]


def environment():
    search = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": search, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, one_thread):
    """Recordings, a whole run of one process, and one that was stopped."""
    folder = tmp_path_factory.mktemp("together")
    two_tones(folder / "in")
    record(folder / "in" / "c.wav", noise(3000))
    record(folder / "other" / "a.wav", noise(3000))
    quick(folder / "in", folder / "single", **LONG)
    return folder


@pytest.fixture(scope="module")
def results(folder):
    """What each rank of two processes returns for each call."""
    stop_after(folder / "in", folder / "alone", 20)
    done = subprocess.run(
        command(folder, STEPS), env=environment(), capture_output=True, timeout=550
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


class AtStep:
    """An event that is set after so many looks at it, of which there is one a step."""

    def __init__(self, steps):
        self.left = steps

    def is_set(self):
        self.left -= 1
        return self.left < 0


def stop_after(source, run, steps):
    summary = quick(source, run, stop=AtStep(steps), **LONG)
    assert summary.interrupted and 0 < summary.steps < LONG["steps"]


def assert_close(run, expected):
    """The reports of two runs are those of the same steps, with nearly the same losses."""
    found, expected = log(run), log(expected)
    assert [line["step"] for line in found] == [line["step"] for line in expected]
    for name in ("train_loss", "validation_loss"):
        losses = [[line[name] for line in lines] for lines in (found, expected)]
        np.testing.assert_allclose(*losses, rtol=1e-4)


def test_two_processes_have_the_losses_of_one_with_the_same_batch(folder, results):
    assert_close(folder / "whole", folder / "single")
    assert results[0]["whole"][:3] == [50, False, str(folder / "whole" / "model.safetensors")]
    one, two = (checkpoint.load(folder / run / "checkpoint.safetensors").progress.samples
                for run in ("single", "whole"))  # fmt: skip
    assert one == two


def test_accumulated_batches_are_shared_too(folder, results):
    quick(folder / "in", folder / "accumulated alone", **ACCUMULATED)
    assert_close(folder / "accumulated", folder / "accumulated alone")


def test_all_processes_have_the_same_weights_and_moments_bit_for_bit(results):
    for name in ("whole", "stopped", "begun alone", "timed", "accumulated"):
        assert results[0][name] == results[1][name]
        assert len(results[0][name]) == 4


def test_a_process_that_is_to_stop_ends_all_with_everything_saved(folder, results):
    steps, interrupted, *_ = results[0]["stopped"]
    assert (steps, interrupted) == (21, True)
    assert checkpoint.load(folder / "stopped" / "checkpoint.safetensors").progress.steps == 21


def test_a_run_is_resumed_with_another_number_of_processes(folder, results):
    assert results[0]["begun alone"][:2] == [50, False]
    assert_close(folder / "alone", folder / "single")
    assert quick(folder / "in", folder / "stopped", resume=True).steps == 50
    assert_close(folder / "stopped", folder / "single")
    for name in ("first.weight", "head.output.weight"):
        found, expected = (weights(folder / run / "latest.safetensors")[name]
                           for run in ("stopped", "single"))  # fmt: skip
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("unequal", "ValueError", "process 1: not the audio that this run began with: to train on"),
        ("missing", "ValueError", "process 1: "),
        ("odd", "ValueError", "batch must be divisible by the number of processes, 2, not 3"),
        ("diverged", "TrainingError", "training diverged at step"),
    ],
)
def test_an_error_is_that_of_the_first_process_and_ends_all(folder, results, name, kind, message):
    assert results[0][name][0] == kind
    assert results[0][name][1].startswith(message)
    assert results[1][name][0] == "FollowerError"
    assert (folder / name).exists() == (name == "diverged")


@pytest.mark.parametrize(
    "rank", [*(pytest.param(rank, marks=pytest.mark.slow) for rank in (0, 1)), None]
)  # None: torchrun itself
def test_sigterm_of_one_process_ends_all_and_is_reported_once(folder, tmp_path, rank):
    run = tmp_path / "run"
    arguments = ["train", folder / "in", "-o", run, "--preset", "tiny", "--batch", 2, "--window"]
    line = command(tmp_path, CALL, *arguments, 50, "--steps", 10**6, "--no-bfloat16")
    with subprocess.Popen(
        line, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        ranks = processes_at_work(tmp_path, process)
        os.kill(process.pid if rank is None else ranks[rank], signal.SIGTERM)
        printed, errors = process.communicate(timeout=300)
    assert printed.count("interrupted after") == 1, errors
    assert rank is None or "exitcode  : 130" in errors
    assert checkpoint.load(run / "checkpoint.safetensors").progress.steps > 0


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_process_that_is_killed_ends_all_and_the_run_is_resumed(folder, tmp_path, rank):
    run = tmp_path / "run"
    arguments = ["train", folder / "in", "-o", run, "--preset", "tiny", "--batch", 2, "--window"]
    line = command(tmp_path, CALL, *arguments, 50, "--steps", 10**6, "--no-bfloat16")
    with subprocess.Popen(
        line, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        os.kill(processes_at_work(tmp_path, process)[rank], signal.SIGKILL)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 1 and "exitcode  : -9" in errors
    assert errors.count("fastwavenet: error:") <= rank
    steps = checkpoint.load(run / "checkpoint.safetensors").progress.steps
    summary = train(folder / "in", run, resume=True, steps=steps + 2, progress=False)
    assert summary.steps == steps + 2


def processes_at_work(folder, launcher):
    """The numbers of the processes of both ranks, once they train."""
    files = [folder / f"{rank}.pid" for rank in (0, 1)]
    while not all(file.exists() for file in files):
        assert launcher.poll() is None, launcher.stderr.read()
        time.sleep(0.02)
    return [int(file.read_text()) for file in files]


# ---- without processes -------------------------------------------------------------------------


def test_the_place_is_that_of_torchrun_if_there_are_several_processes(monkeypatch):
    assert place() == Place(0, 0, 1)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    assert place() == Place(1, 1, 4)
    for name, value in (("WORLD_SIZE", "1"), ("RANK", "x"), ("MASTER_ADDR", "")):
        with monkeypatch.context() as context:
            context.setenv(name, value)
            assert place() == Place(0, 0, 1)


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_the_parts_of_a_batch_are_the_batch(size):
    rng = np.random.default_rng(0)
    batch = Batch(
        rng.integers(0, 256, (6, 5)),
        rng.integers(0, 256, (6, 5)),
        rng.standard_normal((6, 3, 2)),
        7,
        np.arange(6),
    )
    parts = [Together(Place(rank, rank, size)).part(batch) for rank in range(size)]
    for name in ("inputs", "targets", "frames", "speakers"):
        whole = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(whole, getattr(batch, name))
    assert {part.at for part in parts} == {7}
    bare = batch._replace(frames=None, speakers=None)
    assert Together(Place(0, 0, size)).part(bare).frames is None


def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert Together(Place(3, 1, 4)).device(None) == "cuda:1"
    assert Together(Place(2, 0, 4)).device("cuda") == "cuda:0"
    assert Together(Place(3, 1, 4)).device("cpu") == "cpu"
    assert chosen == [1, 0]
    with pytest.raises(ValueError, match="2 GPUs here, too few for process 2 of this machine"):
        Together(Place(2, 2, 4)).device("cuda")
    with pytest.raises(ValueError, match="cpu or cuda in several processes.*, not cuda:1"):
        Together(Place(1, 1, 4)).device("cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert Together(Place(1, 1, 4)).device(None) == "cpu"


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_a_batch_that_cannot_be_shared_is_refused(batch):
    settings = Settings(spec=SPEC, batch=batch)
    message = f"batch must be divisible by the number of processes, 2, not {batch}"
    with pytest.raises(ValueError, match=message):
        Together(Place(0, 0, 2)).propose(settings, Recordings("in"))
