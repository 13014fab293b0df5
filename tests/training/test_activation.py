"""The activations that may take the place of the gate, to be compared with it."""

import pytest
import torch
from networks import small_spec

from fastwavenet.ends import FrameConditioning
from fastwavenet.training import WaveNet, export_model
from fastwavenet.training.layers import predict
from fastwavenet.training.model import ResidualLayer

FUNCTIONS = {"tanh": torch.tanh, "relu": torch.relu, "linear": lambda h: h}
each_activation = pytest.mark.parametrize("activation", FUNCTIONS)
CODES = torch.arange(12)[None] % 16


def test_the_gate_is_the_default():
    torch.manual_seed(0)
    first = WaveNet(small_spec())
    torch.manual_seed(0)
    second = WaveNet(small_spec(), activation="gate")
    assert torch.equal(first(CODES), second(CODES))
    assert {n: tuple(t.shape) for n, t in second.state_dict().items()} == second.spec.tensors()


@each_activation
def test_an_activation_is_applied_to_the_dilated_convolution(activation):
    layer = ResidualLayer(small_spec(), 1, activation)
    x = torch.randn(2, 4, 9)
    z = FUNCTIONS[activation](layer.dilated(x))
    assert z.shape == (2, 3, 9)
    x_next, skip = layer(x)
    assert torch.equal(x_next, x + layer.residual(z)) and torch.equal(skip, layer.skip(z))


@each_activation
def test_a_layer_without_a_gate_takes_frames_and_has_gradients(activation):
    model = WaveNet(small_spec(conditioning=FrameConditioning(channels=2)), activation=activation)
    model(CODES, torch.randn(1, 2, 14)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


@each_activation
def test_a_network_without_gates_is_not_exported_nor_given_to_predict(activation, tmp_path):
    model = WaveNet(small_spec(), activation=activation)
    with pytest.raises(ValueError, match=f"gates, found activation '{activation}'.*make"):
        export_model(model, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=f"gates, found activation '{activation}'.*call"):
        predict(model, CODES)


@pytest.mark.parametrize("activation", ["", "Gate", "sigmoid", None])
def test_another_activation_is_refused_with_the_names_of_those_there_are(activation):
    with pytest.raises(ValueError, match="one of gate, tanh, relu, linear, not"):
        WaveNet(small_spec(), activation=activation)
