"""The forward pass of training has the logits and the gradients of the network to read."""

import numpy as np
import pytest
import torch

from fastwavenet.ends import FrameConditioning, UpsamplingStage
from fastwavenet.spec import WaveNetSpec
from fastwavenet.training.layers import predict
from fastwavenet.training.model import WaveNet

TIME = 40
STAGES = UpsamplingStage(4, 3, crop=1, activation="relu"), UpsamplingStage(2, 5, 3, 1)
CONDITIONINGS = {
    "none": None,
    "held": FrameConditioning(3, 7),
    "linear": FrameConditioning(3, 7, "linear"),
    "each sample": FrameConditioning(2, 1),
    "one frame": FrameConditioning(2, 64, "linear"),
    "speakers": FrameConditioning(speakers=("a", "b"), speaker_channels=4),
    "both": FrameConditioning(3, 5, "linear", ("a", "b", "c"), 2),
    "upsampled": FrameConditioning(3, 12, "linear", ("a", "b"), 2, upsampling=STAGES),
    "upsampled and held": FrameConditioning(3, 12, upsampling=STAGES, edges="zeros"),
}


def network(conditioning=None, **sizes):
    sizes = {
        "sample_rate": 8000, "residual": 6, "dilation_channels": 5, "skip": 7, "head": 9,
        "levels": 16, "dilations": (1, 2, 4), "conditioning": conditioning,
    } | sizes  # fmt: skip
    torch.manual_seed(0)
    model = WaveNet(WaveNetSpec(**sizes))
    with torch.no_grad():  # biases begin at 0, which would hide one that is left out
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


def given(model, batch, seed=0):
    """Random codes, frames and speakers."""
    rng, end = np.random.default_rng(seed), model.spec.conditioning
    codes = torch.from_numpy(rng.integers(0, model.spec.levels, (batch, TIME)))
    frames = speakers = None
    if end is not None and end.channels:
        count = -(-(TIME + end.hop) // end.hop) + 1
        frames = torch.from_numpy(rng.standard_normal((batch, end.channels, count), np.float32))
    if end is not None and end.speakers:
        speakers = torch.from_numpy(rng.integers(0, len(end.speakers), batch))
    return codes, frames, speakers


def compare(model, batch=2, at=1, known=0):
    """Asserts equal logits, and equal gradients of a random function of them."""
    inputs = given(model, batch)
    wanted = model(*inputs, at=at)[:, :, known:]  # (B, Q, T - known)
    factors = torch.randn_like(wanted)
    gradients = []
    for logits in (wanted, predict(model, *inputs, at, known=known).permute(1, 2, 0)):
        torch.testing.assert_close(logits, wanted, rtol=1e-5, atol=1e-5)
        model.zero_grad()
        (logits * factors).sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        scale = gradient.abs().max().item()
        torch.testing.assert_close(
            gradients[1][name], gradient, rtol=0, atol=2e-6 * max(scale, 1), msg=name
        )


@pytest.mark.parametrize("at", [0, 1, 6, 30])
@pytest.mark.parametrize("kind", CONDITIONINGS)
def test_logits_and_gradients_are_those_of_the_network_to_read(kind, at):
    compare(network(CONDITIONINGS[kind]), at=at)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("known", [0, 1, TIME - 1])
def test_so_they_are_behind_any_column(known, batch):
    compare(network(CONDITIONINGS["linear"]), batch, known=known)


@pytest.mark.parametrize(
    "sizes",
    [
        {"dilations": (1,)},
        {"dilations": (TIME - 1, TIME, TIME + 1)},
        {"kernel": (3, 2, 5)},
        {"bias": False},
        {"dilation_channels": 1, "residual": 1, "skip": 1, "head": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["none", "linear"])
def test_so_they_are_for_networks_of_any_size(sizes, kind):
    compare(network(CONDITIONINGS[kind], **sizes))


@pytest.mark.parametrize("kind", ["none", "linear"])
def test_products_in_bfloat16_change_the_logits_by_their_rounding_only(kind):
    model = network(CONDITIONINGS[kind], residual=32, dilation_channels=32)
    inputs = given(model, 2)
    exact = predict(model, *inputs)
    rounded = predict(model, *inputs, dtype=torch.bfloat16)
    assert rounded.dtype == torch.bfloat16
    error = (rounded.float() - exact).abs().max() / exact.abs().max()
    assert 1e-4 < error < 3e-2
    rounded.float().square().sum().backward()
    assert {p.grad.dtype for p in model.parameters()} == {torch.float32}
