"""A step that does not fit into memory ends with one line, and with its checkpoint."""

import os
import subprocess
import sys

import pytest
import torch
from recordings import noise, record, two_tones
from runs import SPEC, quick

from fastwavenet.training import checkpoint
from fastwavenet.training.console import REMARKS
from fastwavenet.training.failures import free_memory, step_bytes
from fastwavenet.training.learner import Learner
from fastwavenet.training.presets import preset_spec
from fastwavenet.training.settings import Settings

pytestmark = pytest.mark.usefixtures("one_thread")

# The command line, with `room` MB of address space beyond that of the imports.
PROGRAM = """
import resource, sys
import torch
import torch._dynamo, fastwavenet.training.call
from fastwavenet.cli import main

torch.set_num_threads(1)
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
room = int(sys.argv[1]) << 20
resource.setrlimit(resource.RLIMIT_AS, (size + room, size + room))
sys.exit(main(sys.argv[2:]))
"""


def train_within(room, *arguments):
    command = [sys.executable, "-c", PROGRAM, str(room), "train", *map(str, arguments)]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for name in ("a.wav", "b.wav"):
        record(folder / name, noise(16000 * 8))
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
def test_a_step_that_does_not_fit_is_one_line_with_what_to_reduce(source, tmp_path):
    run = tmp_path / "run"
    large = "--preset", "tiny", "--steps", 2, "--window", 100_000, "--batch", 3, "--no-bfloat16"
    done = train_within(600, source, "-o", run, *large)
    assert done.returncode == 2
    assert done.stderr == (
        "fastwavenet: error: not enough memory: a step of --batch 3 with --window 100000 takes "
        "about 4.4 GiB beyond the weights: lower --window first, then --batch, or take a smaller "
        "--preset, in another run; the checkpoint of step 0 remains, and --resume goes on from it "
        "where there is more memory\n"
    )
    assert checkpoint.load(run / "checkpoint.safetensors").progress.steps == 0
    assert not list(run.glob(".*"))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't "
                     "allocate memory: you tried to allocate 99999999999 bytes."),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
    ],
)  # fmt: skip
def test_every_kind_of_it_is_recognised_later_in_a_run_too(tmp_path, monkeypatch, error):
    step = Learner.step

    def failing(learner, factor):
        if learner.steps == 2:
            raise error
        return step(learner, factor)

    monkeypatch.setattr(Learner, "step", failing)
    with pytest.raises(MemoryError, match="^a step of --batch 2 with --window 200 .* step 2 "):
        quick(two_tones(tmp_path / "in"), tmp_path / "run")


def test_another_runtime_error_stays_itself(tmp_path, monkeypatch):
    def failing(*_arguments):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Learner, "step", failing)
    with pytest.raises(RuntimeError, match=r"^mat1 and mat2"):
        quick(two_tones(tmp_path / "in"), tmp_path / "run")


# Measured on one thread, MB: the growth of a process's peak over a step.
MEASURED = [
    ("tiny", 60_000, 1, False, 1127),
    ("tiny", 60_000, 1, True, 523),
    ("small", 4096, 8, False, 753),
    ("base", 4096, 8, False, 1427),
    ("base", 4096, 8, True, 1028),
    ("ibab", 4096, 4, False, 1265),
]


@pytest.mark.parametrize(("preset", "window", "batch", "bfloat16", "measured"), MEASURED)
def test_the_estimate_is_near_the_memory_that_was_measured(
    preset, window, batch, bfloat16, measured
):
    spec = preset_spec(preset, 16000)
    settings = Settings(spec=spec, window=window, batch=batch, bfloat16=bfloat16)
    assert 0.7 < step_bytes(settings) / 2**20 / measured < 1.3


def test_the_estimate_grows_with_window_and_batch():
    pairs = [(100, 1), (200, 1), (200, 2)]
    sizes = [step_bytes(Settings(spec=SPEC, window=w, batch=b)) for w, b in pairs]
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[2] == 2 * sizes[1]


def test_a_step_that_takes_more_than_is_free_is_remarked_before_it(tmp_path, monkeypatch):
    """Linux may end the process without an error."""
    source, said = two_tones(tmp_path / "in"), []
    token = REMARKS.set(said.append)
    quick(source, tmp_path / "enough", steps=1)
    assert said == []
    monkeypatch.setattr("fastwavenet.training.loop.free_memory", lambda: 2**20)
    quick(source, tmp_path / "run", steps=1)
    REMARKS.reset(token)
    (line,) = said
    assert line.startswith("a step takes about 0.0") and "0.00098 GiB are free: the sys" in line
    assert line.endswith("lower --window first, then --batch, or take a smaller --preset")


@pytest.mark.parametrize(
    ("text", "free"),
    [("MemTotal: 9 kB\nMemAvailable:    123 kB\nSwap: 1 kB\n", 123 * 1024), ("", None)],
)
def test_free_memory_is_that_of_linux(tmp_path, text, free):
    (tmp_path / "meminfo").write_text(text)
    assert free_memory(tmp_path / "meminfo") == free
    assert free_memory(tmp_path / "none") is None
