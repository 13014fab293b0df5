"""Folds: each is equal to the arithmetic that it replaces."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import NETWORKS, random_weights, small_spec

import fastwavenet as fw
from fastwavenet.ends import FrameConditioning, MuLawCodec, UpsamplingStage
from fastwavenet.importers import folding, parts
from fastwavenet.importers.folding import Convolution

rng = np.random.default_rng(1)


def conv(*shape: int, bias: bool = True) -> Convolution:
    return Convolution(rng.standard_normal(shape), rng.standard_normal(shape[0]) if bias else None)


@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 1, 1), (1, 1, 3, 9), (5, 2)])
def test_weight_norm_is_pytorchs(shape):
    v = torch.from_numpy(rng.standard_normal(shape))
    g = torch.from_numpy(rng.standard_normal((shape[0], *[1] * (len(shape) - 1))))
    expected = torch._weight_norm(v, g, 0).numpy()
    np.testing.assert_allclose(folding.weight_normed(g.numpy(), v.numpy()), expected, rtol=1e-12)
    np.testing.assert_allclose(
        folding.weight_normed(g.numpy().ravel(), v.numpy()), expected, rtol=1e-12
    )


@pytest.mark.parametrize("biases", [(True, True), (True, False), (False, True), (False, False)])
def test_stacked_and_side_by_side_are_both_convolutions(biases):
    a, b = conv(3, 2, 1, bias=biases[0]), conv(3, 2, 1, bias=biases[1])
    x, y = rng.standard_normal(2), rng.standard_normal(2)
    of_a, of_b = (c.weight[:, :, 0] @ v + c.bias_or_zeros for c, v in ((a, x), (b, y)))
    both = folding.side_by_side(a, b)
    found = both.weight[:, :, 0] @ np.concatenate([x, y]) + both.bias_or_zeros
    np.testing.assert_allclose(found, of_a + of_b)
    assert (both.bias is None) == (biases == (False, False))
    stack = folding.stacked(a, Convolution(b.weight, b.bias))
    found = stack.weight[:, :, 0] @ x + stack.bias_or_zeros
    np.testing.assert_allclose(found[:3], of_a)
    assert (stack.bias is None) == (biases == (False, False))


def test_scaled_multiplies_weight_and_bias_apart():
    c = conv(3, 2, 1)
    found = folding.scaled(c, 0.5, 3)
    np.testing.assert_array_equal(found.weight, c.weight / 2)
    np.testing.assert_array_equal(found.bias, 3 * c.bias)
    assert folding.scaled(conv(1, 1, 1, bias=False), 2, 2).bias is None


CODECS = {
    "symmetric": MuLawCodec.symmetric(16),
    "zero in the middle": MuLawCodec(mu=15, steps=16, decode_divisor=16),
    "no full scale": MuLawCodec(mu=15, steps=15, decode_divisor=17, decode_offset=-1),
}


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("taps", [1, 2, 32])
def test_a_table_of_amplitudes_is_the_convolution_and_shows_its_kernel(name, taps):
    codec, weight = CODECS[name], rng.standard_normal((3, 1, taps)).astype(np.float32)
    table = folding.scalar_table(weight, 16, codec)
    assert (table.shape, table.dtype) == ((taps, 16, 3), np.float32)
    amplitudes = fw.mu_law_decode(np.arange(16), 16, codec=codec)
    for tap in range(taps):
        np.testing.assert_allclose(table[tap], np.outer(amplitudes, weight[:, 0, tap]), rtol=1e-5)
    kernel = folding.scalar_kernel(table, codec)
    if name == "no full scale":
        assert kernel is None
    else:
        assert kernel.tobytes() == weight.tobytes()
        table[0, 3, 0] = np.nextafter(table[0, 3, 0], np.float32(9))
        assert folding.scalar_kernel(table, codec) is None


# ---- parts -------------------------------------------------------------------------------------

TABLE = {
    "layers.{}.filter": "filter_{}",
    "layers.{}.gate": "gate_{}",
    "layers.{}.residual": "residual_{}",
    "layers.{}.skip": "skip_{}",
    "head.hidden": "hidden",
    "head.output": "output",
    "layers.{}.conditioning.filter": "cond_filter_{}",
    "layers.{}.conditioning.gate": "cond_gate_{}",
    "upsampling.0": "up",
}
STAGE = UpsamplingStage(4, 3, crop=1)
UPSAMPLED = small_spec(conditioning=FrameConditioning(3, upsampling=(STAGE,)))


@pytest.mark.parametrize("style", [parts.TORCH, parts.KERAS, parts.TENSORFLOW], ids="tkf")
@pytest.mark.parametrize("spec", [*NETWORKS.values(), UPSAMPLED])
def test_parts_of_a_network_make_the_same_network(spec, style):
    weights, layers = random_weights(spec, 1), spec.layers
    found = parts.disassembled(spec, weights)
    table = {part: (f"{name}.w", f"{name}.b") for part, name in TABLE.items()}
    tensors = parts.named_tensors(found, table, style, layers)
    own = {part: name for part, name in table.items() if name[0].format(0) in tensors}
    if layers == 1:
        own["layers.{}.residual"] = table["layers.{}.residual"]  # none, of the only layer
    again = parts.named_parts(tensors, own, style, layers, all_biases=True)
    first = Convolution(weights["first.weight"].transpose(2, 1, 0), weights.get("first.bias"))
    end = spec.conditioning
    fields = {} if end is None else {"channels": end.channels, "upsampling": end.upsampling}
    made, tensors = parts.assembled(
        again | {"first": first},
        sample_rate=spec.sample_rate,
        dilations=spec.dilations,
        conditioning=None if end is None else fields,
    )
    sizes = ("levels", "residual", "dilation_channels", "skip", "head", "kernel", "conditioning")
    assert [getattr(made, name) for name in sizes] == [getattr(spec, name) for name in sizes]
    for name, array in weights.items():
        np.testing.assert_array_equal(tensors[name], array)


def test_all_names_are_used_or_ignored():
    tensors = {"a.weight": np.ones((1, 1, 1)), "b.weight": np.ones((1, 1, 1))}
    with pytest.raises(fw.ModelFormatError, match=r"unexpected tensor 'b\.weight'"):
        parts.named_parts(tensors, {"first": "a"}, parts.TORCH, 0)
    found = parts.named_parts(tensors, {"first": "a"}, parts.TORCH, 0, ignored=("b.",))
    assert found["first"].bias is None
    with pytest.raises(fw.ModelFormatError, match=r"tensor 'a\.bias' is missing"):
        parts.named_parts(tensors, {"first": "a"}, parts.TORCH, 0, all_biases=True)


@pytest.mark.parametrize("names", [("weight_g", "weight_v"), tuple(
    f"parametrizations.weight.original{i}" for i in (0, 1))])  # fmt: skip
def test_a_normed_weight_is_found_by_either_of_pytorchs_names(names):
    g, v = rng.standard_normal((3, 1, 1)), rng.standard_normal((3, 2, 2))
    tensors = {f"a.{names[0]}": g, f"a.{names[1]}": v}
    found = parts.named_parts(tensors, {"first": "a"}, parts.TORCH, 0)["first"].weight
    np.testing.assert_array_equal(found, folding.weight_normed(g, v))


@given(st.integers(0, 5))
def test_layers_are_counted_up_to_the_first_gap(count):
    tensors = dict.fromkeys([*(f"conv.{i}.weight" for i in range(count)), "conv.9.weight"])
    assert parts.layers_of(tensors, "conv.{}.weight") == count
