"""What a step computes in, bfloat16 or float32, and where."""

import dataclasses

import numpy as np
import pytest
import torch
from recordings import two_tones
from runs import SPEC, interrupt, log, quick, weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fastwavenet.training import checkpoint
from fastwavenet.training.data import load_corpus
from fastwavenet.training.layers import predict
from fastwavenet.training.learner import Learner
from fastwavenet.training.settings import Settings

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def source(tmp_path):
    return two_tones(tmp_path / "recordings")


@pytest.fixture
def learner(source):
    """One that has not been told whether to compute in bfloat16."""
    settings = Settings(spec=SPEC, batch=2, window=200)
    return Learner(settings, load_corpus(source, SPEC), torch.device("cpu"))


def test_a_tone_is_learnt_in_bfloat16(source, tmp_path):
    summary = quick(source, tmp_path / "run", steps=150, bfloat16=True)
    assert log(tmp_path / "run")[0]["train_loss"] > 4.5
    assert summary.validation_loss < 3


@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_loss_and_the_gradients_are_float32(learner, bfloat16, monkeypatch):
    products = []

    def predicted(*given, **options):
        products.append(options["dtype"])
        return predict(*given, **options)

    monkeypatch.setattr("fastwavenet.training.learner.predict", predicted)
    learner.settings = dataclasses.replace(learner.settings, bfloat16=bfloat16)
    loss, _ = learner._loss(learner.training.batch(0, 2))
    loss.backward()
    assert products == [torch.bfloat16 if bfloat16 else torch.float32]
    assert loss.dtype == torch.float32
    assert {p.grad.dtype for p in learner.model.parameters()} == {torch.float32}


@pytest.mark.parametrize(("ratio", "chosen"), [(0.5, True), (0.89, True), (0.91, False)])
def test_bfloat16_is_used_where_it_is_clearly_faster(learner, monkeypatch, ratio, chosen):
    first = {True: 9.0, False: 0.1}  # a first step prepares things, and tells nothing

    def took(_learner, bfloat16):
        return first.pop(bfloat16, ratio if bfloat16 else 1.0)

    monkeypatch.setattr(Learner, "_time_step", took)
    said = learner.choose_precision()
    assert learner.settings.bfloat16 is chosen
    name = "bfloat16" if chosen else "float32"
    assert said == f"computing in {name}: bfloat16 takes {ratio:.2f} of the time"


def test_finding_out_what_is_faster_changes_nothing_else(learner):
    before = learner.state()
    learner.choose_precision()
    chosen = learner.settings.bfloat16
    assert (learner.steps, learner.samples) == (0, 0)
    assert all(p.grad is None for p in learner.model.parameters())
    after = learner.state()
    for group, tensors in before.items():
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(after[group][name], tensor)
    assert chosen in (True, False)


def test_what_was_found_out_is_said_kept_and_used_again(source, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Learner, "_time_step", lambda _, bfloat16: 0.5 if bfloat16 else 1.0)
    interrupt(monkeypatch, at=2)
    quick(source, tmp_path / "run", bfloat16=None, steps=9, progress=True)
    assert "computing in bfloat16: bfloat16 takes 0.50 of the time\n" in capsys.readouterr().out
    assert checkpoint.load(tmp_path / "run" / "checkpoint.safetensors").settings.bfloat16 is True
    used = []
    monkeypatch.setattr(Learner, "_time_step", lambda *_: pytest.fail("it was decided"))
    monkeypatch.setattr(Learner, "step", lambda x, _: used.append(x.settings.bfloat16) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        quick(source, tmp_path / "run", resume=True)
    assert used == [True]


# ---- devices -----------------------------------------------------------------------------------


def test_naming_the_cpu_changes_no_bits(source, tmp_path):
    named, left_out = (
        weights(quick(source, tmp_path / name, **device).model)
        for name, device in (("named", {"device": "cpu"}), ("left_out", {}))
    )
    if torch.cuda.is_available():
        pytest.skip("there is a GPU, which is used unless the CPU is named")
    assert all(np.array_equal(named[name], left_out[name]) for name in named)


class Devices(TorchDispatchMode):
    """Notes where the tensors are that PyTorch computes with; moving them is not computing."""

    MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.lift_fresh.default)

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor) and x.ndim]
        if function not in self.MOVES:
            self.found |= {tensor.device.type for tensor in tensors}
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_all_that_is_computed_with_is_on_the_device(source, device):
    """Shown with torch's device without memory, as there may be no GPU."""
    settings = Settings(spec=SPEC, window=200)
    learner = Learner(settings, load_corpus(source, SPEC), torch.device(device))
    with Devices() as devices:
        loss, count = learner._loss(learner.training.batch(0, 1))
        (loss / count).backward()
        learner.optimizer.step()
    assert devices.found == {device}
