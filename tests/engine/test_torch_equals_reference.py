import numpy as np
import pytest
import torch
from networks import NETWORKS, every_network, random_codes, random_cond, random_weights, small_spec
from torch.autograd.functional import jacobian

from fastwavenet import reference
from fastwavenet.modelfile import ModelFormatError, load
from fastwavenet.spec import WaveNetSpec
from fastwavenet.training.export import export_model
from fastwavenet.training.model import DilatedConv, WaveNet

pytestmark = pytest.mark.usefixtures("one_thread")


def torch_net(spec: WaveNetSpec, weights: dict[str, np.ndarray], dtype=torch.float64) -> WaveNet:
    net = WaveNet(spec)
    net.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return net.to(dtype)


@torch.no_grad()
def torch_logits(net: WaveNet, codes: np.ndarray, cond: np.ndarray | None = None) -> np.ndarray:
    """codes (n,), cond (n, layers, 2D) -> logits (n, levels), as the reference has them."""
    if cond is not None:
        cond = torch.from_numpy(cond).permute(1, 2, 0)[None].to(net.head.output.weight.dtype)
    return net(torch.from_numpy(codes)[None], cond)[0].T.numpy()


def example(spec: WaveNetSpec, n: int, seed: int) -> tuple:
    """Weights, codes and, for a network that wants it, conditioning."""
    cond = random_cond(spec, n, seed + 2) if spec.conditioning else None
    return random_weights(spec, seed), random_codes(spec, n, seed + 1), cond


TOLERANCE = [(torch.float64, 1e-12), (torch.float32, 2e-5)]


@every_network
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCE, ids=["float64", "float32"])
def test_torch_computes_the_logits_of_the_reference(spec, dtype, tolerance):
    weights, codes, cond = example(spec, n=spec.receptive_field + 20, seed=1)
    expected = reference.teacher_forced(spec, weights, codes, cond)
    found = torch_logits(torch_net(spec, weights, dtype), codes, cond)
    assert expected.std() > 0.1
    assert np.abs(found - expected).max() <= tolerance * max(1, np.abs(expected).max())


@every_network
@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_first_samples_are_computed_as_the_reference_computes_them(spec, n):
    weights, codes, cond = example(spec, n, seed=4)
    expected = reference.teacher_forced(spec, weights, codes, cond)
    found = torch_logits(torch_net(spec, weights), codes, cond)
    assert found.shape == expected.shape == (n, spec.levels)
    assert np.abs(found - expected).max() <= 1e-12 * max(1, np.abs(expected).max())


def test_a_batch_is_its_rows():
    spec = NETWORKS["first_kernel_3"]
    net = torch_net(spec, random_weights(spec, 1))
    rows = np.stack([random_codes(spec, 40, seed) for seed in range(3)])
    with torch.no_grad():
        batch = net(torch.from_numpy(rows)).numpy()  # (3, Q, 40)
    for logits, codes in zip(batch, rows, strict=True):
        assert np.allclose(logits.T, torch_logits(net, codes), rtol=0, atol=1e-12)


@every_network
def test_the_parameters_are_the_tensors_of_the_spec(spec):
    parameters = WaveNet(spec).state_dict()
    assert {name: tuple(p.shape) for name, p in parameters.items()} == spec.tensors()


@pytest.mark.parametrize(
    ("x", "taps", "dilation", "expected"),
    [
        ([1, 2, 3, 4], [1, 2], 1, [2, 5, 8, 11]),
        ([1, 2, 3, 4], [1, 2], 2, [2, 4, 7, 10]),
        (list(range(1, 21)), [1, 1], 4, np.convolve(range(1, 21), [1, 0, 0, 0, 1])[:20].tolist()),
        ([1, 2], [3, 5, 7], 4, [7, 14]),
    ],
)
def test_tap_0_of_a_dilated_convolution_is_the_oldest_sample(x, taps, dilation, expected):
    conv = DilatedConv(1, 1, len(taps), dilation=dilation, bias=False)
    conv.weight.data = torch.tensor([[taps]], dtype=torch.float32)
    assert conv(torch.tensor([[x]], dtype=torch.float32))[0, 0].tolist() == expected


# ---- causality -------------------------------------------------------------------------------


@every_network
def test_no_output_depends_on_a_later_sample(spec):
    n = 12
    weights, codes, cond = example(spec, n, seed=1)
    net = torch_net(spec, weights)
    before = torch_logits(net, codes, cond)
    changed_somewhere = False
    for t in range(n):
        changed = codes.copy()
        changed[t] = (codes[t] + 1) % spec.levels
        after = torch_logits(net, changed, cond)
        assert np.array_equal(after[:t], before[:t])
        changed_somewhere |= not np.array_equal(after[t], before[t])
    assert changed_somewhere


def test_no_output_depends_on_later_conditioning():
    spec = NETWORKS["conditioned"]
    weights, codes, cond = example(spec, n=12, seed=1)
    net = torch_net(spec, weights)
    before = torch_logits(net, codes, cond)
    for t in range(12):
        changed = cond.copy()
        changed[t] += 1
        differs = (torch_logits(net, codes, changed) != before).any(axis=1)
        assert not differs[:t].any()
        assert differs[t]


@pytest.mark.parametrize("name", ["kernel_2", "kernel_3", "kernels_mixed"])
def test_the_jacobian_is_lower_triangular_and_as_wide_as_the_receptive_field(name):
    spec = NETWORKS[name]
    n = spec.receptive_field + 3
    net = torch_net(spec, random_weights(spec, 1))
    embedded = torch.randn(spec.residual, n, dtype=torch.float64)
    codes = torch.zeros(1, n, dtype=torch.long)

    def logits_of(x: torch.Tensor) -> torch.Tensor:
        hook = net.first.register_forward_hook(lambda *_: x[None])
        try:
            return net(codes)[0]  # (Q, n)
        finally:
            hook.remove()

    depends = jacobian(logits_of, embedded).abs().sum(dim=(0, 2)) > 0  # (n out, n in)
    reach = spec.receptive_field - spec.input.taps + 1  # the first convolution is left out
    out, past = torch.arange(n)[:, None], torch.arange(n)
    assert torch.equal(depends, depends & (past <= out) & (past > out - reach))
    assert depends.diagonal().any()
    assert depends[reach - 1 :].diagonal().any()


# ---- to the file -----------------------------------------------------------------------------


@every_network
def test_an_exported_file_holds_the_weights_of_the_module(spec, tmp_path):
    net = WaveNet(spec)
    export_model(net, tmp_path / "m.safetensors")
    loaded, weights, _ = load(tmp_path / "m.safetensors")
    assert loaded == spec
    assert list(weights) == list(spec.tensors())
    for name, parameter in net.state_dict().items():
        assert np.array_equal(weights[name], parameter.numpy())


def test_a_module_in_half_precision_is_exported_in_float32(tmp_path):
    net = WaveNet(small_spec()).to(torch.bfloat16)
    export_model(net, tmp_path / "m.safetensors")
    weights = load(tmp_path / "m.safetensors")[1]
    assert torch.equal(torch.from_numpy(weights["first.weight"].copy()), net.first.weight.float())


def test_a_module_that_diverged_is_not_exported(tmp_path):
    net = WaveNet(small_spec())
    net.head.output.bias.data[3] = float("nan")
    with pytest.raises(ModelFormatError, match=r"'head.output.bias' must be finite"):
        export_model(net, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())
