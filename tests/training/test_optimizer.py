"""The update of the weights: Muon for convolutions, AdamW for the rest."""

import dataclasses

import numpy as np
import pytest
import torch

from fastwavenet.ends import FrameConditioning
from fastwavenet.spec import WaveNetSpec
from fastwavenet.training.checkpoint import MOMENTS
from fastwavenet.training.model import WaveNet
from fastwavenet.training.optimizer import MOMENTUM, STEP, Optimizer, orthogonal

SPEC = WaveNetSpec(
    sample_rate=8000, levels=16, residual=6, dilation_channels=5, skip=7, head=9,
    dilations=(1, 2, 4), conditioning=FrameConditioning(3, 7, "linear", ("a", "b"), 2),
)  # fmt: skip


def network(seed=0):
    torch.manual_seed(seed)
    return WaveNet(SPEC)


def with_gradients(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 8, 8), (2, 5, 20), (2, 20, 5), (1, 128, 3)])
def test_singular_values_become_nearly_1_and_vectors_stay(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = orthogonal(matrices)
    values = torch.linalg.svdvals(found)
    assert (values > 0.3).all() and (values < 1.3).all()
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    turned = u.mT @ found @ v.mT
    off = turned - torch.diag_embed(turned.diagonal(dim1=1, dim2=2))
    assert off.abs().max() < 1e-3
    torch.testing.assert_close(orthogonal(1e6 * matrices), found, rtol=1e-3, atol=1e-3)


def test_nothing_is_orthogonal_to_nothing():
    assert (orthogonal(torch.zeros(2, 3, 4)) == 0).all()


def test_a_convolution_moves_by_the_orthogonal_matrix_of_its_momentum():
    model = network()
    optimizer = Optimizer(model, 0.1, weight_decay=0.5)
    weight = model.layers[1].dilated.weight  # (10, 6, 2)
    momentum = torch.zeros(10, 12)
    for step in range(3):
        with_gradients(model, step)
        before, gradient = weight.detach().clone(), weight.grad.reshape(10, 12)
        momentum = (1 - MOMENTUM) * gradient + MOMENTUM * momentum
        optimizer.step()
        direction = orthogonal((gradient.lerp(momentum, MOMENTUM))[None]).view(10, 6, 2)
        wanted = before * (1 - 0.1 * 0.5) - 0.1 * STEP * 12**0.5 * direction
        torch.testing.assert_close(weight.detach(), wanted, rtol=1e-5, atol=1e-6)


def test_tables_and_biases_move_as_with_adamw():
    model, plain = network(), network()
    optimizer = Optimizer(model, 0.1, weight_decay=0.5)
    named = dict(plain.named_parameters())
    names = [name for name, p in named.items() if p.ndim < 3 or name == "first.weight"]
    adam = torch.optim.AdamW([named[name] for name in names], 0.1, weight_decay=0.5)
    for step in range(3):
        for net in (model, plain):
            with_gradients(net, step)
        optimizer.step()
        adam.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, named[name]) == (name in names), name


def test_a_parameter_without_a_gradient_decays_only():
    model = network()
    optimizer = Optimizer(model, 0.1, weight_decay=0.5)
    with_gradients(model, 0)
    skipped = model.layers[0].skip.weight
    before, skipped.grad = skipped.detach().clone(), None
    optimizer.step()
    torch.testing.assert_close(skipped.detach(), 0.95 * before)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_an_optimizer_goes_on_from_its_moments_bit_for_bit(steps):
    whole, part = network(), network()
    first, second = (Optimizer(model, 0.01, 0.01) for model in (whole, part))
    for step in range(steps):
        for model, optimizer in ((whole, first), (part, second)):
            with_gradients(model, step)
            optimizer.step()
    moments = second.moments()
    shapes = {name: p.shape for name, p in part.named_parameters()}
    assert all({n: m.shape for n, m in moments[group].items()} == shapes for group in MOMENTS)
    assert all((moment >= 0).all() for moment in moments[MOMENTS[1]].values())
    resumed = Optimizer(part, 0.01, 0.01)
    resumed.restore(moments, steps)
    for model, optimizer in ((whole, first), (part, resumed)):
        with_gradients(model, 9)
        optimizer.set_rate(0.005)
        optimizer.step()
    for name, parameter in whole.named_parameters():
        np.testing.assert_array_equal(
            parameter.detach(), dict(part.named_parameters())[name].detach()
        )


def test_moments_are_copies():
    model = network()
    optimizer = Optimizer(model, 0.1, 0.01)
    moments = optimizer.moments()
    with_gradients(model, 0)
    optimizer.step()
    assert all((m == 0).all() for group in moments.values() for m in group.values())


def test_a_network_without_conditioning_or_biases_has_an_optimizer_too():
    torch.manual_seed(0)
    model = WaveNet(dataclasses.replace(SPEC, conditioning=None, bias=False))
    optimizer = Optimizer(model, 0.1, 0.01)
    with_gradients(model, 0)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step()
    assert all((p.detach() != before[name]).any() for name, p in model.named_parameters())
