"""Training in a host program: its settings of PyTorch change nothing, and stay as they are."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from c_build import HELPERS
from networks import random_weights
from recordings import record, two_tones
from runs import SPEC, interrupt, left_behind, quick, weights

from fastwavenet import modelfile
from fastwavenet.audio import AudioError
from fastwavenet.training import load_model
from fastwavenet.training.host import ONE_THREAD
from fastwavenet.training.learner import Learner

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def alone(source, tmp_path_factory, one_thread):
    """bfloat16 -> what a run leaves in a process that never set anything."""
    folder = tmp_path_factory.mktemp("alone")
    for bfloat16 in (False, True):
        quick(source, folder / str(bfloat16), bfloat16=bfloat16)
    return {bfloat16: left_behind(folder / str(bfloat16)) for bfloat16 in (False, True)}


@contextlib.contextmanager
def setting(get, set_to, value):
    """A setting of the whole process, within a program that made it."""
    before = get()
    set_to(value)
    try:
        yield
    finally:
        set_to(before)


@contextlib.contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


HOSTS = {
    "float64": lambda: setting(torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "default device": default_device,
    "device": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True),
    "deterministic": lambda: setting(
        torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode, 2
    ),
    "products": lambda: setting(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"
    ),
    "numpy": lambda: np.errstate(all="raise"),
}


def settings():
    """Everything above, as the host program finds it."""
    return (
        torch.get_default_dtype(),
        torch.tensor([0.0]).device.type,
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.is_autocast_cache_enabled(),
        torch.is_anomaly_enabled(),
        torch.get_deterministic_debug_mode(),
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
        np.geterr(),
    )


@pytest.mark.parametrize(
    ("host", "bfloat16"), [(host, False) for host in HOSTS] + [("autocast", True), ("device", True)]
)
def test_no_setting_of_the_host_changes_a_bit_and_each_is_kept(
    source, tmp_path, alone, host, bfloat16
):
    with HOSTS[host]():
        before = settings()
        quick(source, tmp_path / "run", bfloat16=bfloat16)
        assert settings() == before
    assert left_behind(tmp_path / "run") == alone[bfloat16]


@pytest.mark.parametrize("host", ["anomaly", "deterministic", "products"])
def test_in_a_step_all_settings_are_those_of_a_fresh_process(source, tmp_path, monkeypatch, host):
    seen = []
    step = Learner.step
    monkeypatch.setattr(Learner, "step", lambda *args: (seen.append(settings()), step(*args))[1])
    quick(source, tmp_path / "alone", steps=1)
    with HOSTS[host]():
        quick(source, tmp_path / "run", steps=1)
    first, second = (list(found[:5] + found[6:-1]) for found in seen)
    assert first == second


@pytest.mark.parametrize("host", HOSTS)
def test_after_an_error_and_after_ctrl_c_the_hosts_settings_are_back(
    source, tmp_path, monkeypatch, host
):
    (tmp_path / "empty").mkdir()
    interrupt(monkeypatch, 1, times=2)
    with HOSTS[host]():
        before = settings()
        with pytest.raises(AudioError):
            quick(tmp_path / "empty", tmp_path / "run")
        assert settings() == before
        with pytest.raises(KeyboardInterrupt):
            quick(source, tmp_path / "run")
        assert settings() == before


@pytest.mark.parametrize("host", HOSTS)
def test_a_model_is_loaded_to_train_further_whatever_the_host_has_set(tmp_path, host):
    path = tmp_path / "m.safetensors"
    modelfile.save(path, SPEC, random_weights(SPEC, seed=1))
    random = torch.get_rng_state()
    with HOSTS[host]():
        module = load_model(path)
    assert torch.equal(torch.get_rng_state(), random)
    for name, parameter in module.named_parameters():
        assert (parameter.dtype, parameter.device.type) == (torch.float32, "cpu")
        assert parameter.requires_grad and not parameter.is_inference()
        np.testing.assert_array_equal(parameter.detach().numpy(), weights(path)[name])


# ---- forked processes ------------------------------------------------------------------------

FORK = """
import os, sys
from pathlib import Path
import torch
from runs import quick

folder = Path(sys.argv[1])
big = dict(steps=1, batch=2, window=4000)
torch.set_num_threads(2)
quick(folder / "recordings", folder / "parent", **big)  # leaves OpenMP with a second thread
if os.fork() == 0:
    print("child", flush=True)
    quick(folder / "recordings", folder / "child", progress=True, **big)
    quick(folder / "recordings", folder / "bfloat16", **big, bfloat16=True)
    print(torch.get_num_threads(), "threads", flush=True)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_forked_process_trains_on_one_thread_after_its_parent_trained(tmp_path):
    """On two it would wait for ever for a thread that only the parent has."""
    two_tones(tmp_path / "recordings")
    record(tmp_path / "recordings" / "c.wav")
    done = subprocess.run(
        [sys.executable, "-c", FORK, tmp_path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HELPERS), *sys.path])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    child, remark, *_, threads = done.stdout.splitlines()
    assert (child, remark, threads) == ("child", ONE_THREAD, "2 threads")
    for name in ("parent", "child", "bfloat16"):
        assert load_model(tmp_path / name / "model.safetensors").spec == SPEC
