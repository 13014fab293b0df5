import numpy as np
import pytest
import torch
from engines import projected
from networks import (
    NETWORKS,
    every_network,
    random_codes,
    random_frames,
    random_weights,
    small_spec,
)
from torch.autograd.functional import jacobian

from fastwavenet import reference
from fastwavenet.ends import FrameConditioning
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
def torch_logits(net: WaveNet, codes: np.ndarray, frames: np.ndarray | None = None) -> np.ndarray:
    """codes (n,), frames (frames, channels) -> logits (n, levels), as the reference has them."""
    if frames is not None:
        frames = torch.from_numpy(frames.T)[None].to(net.head.output.weight.dtype)
    speakers = None
    if net.spec.conditioning is not None and net.spec.conditioning.speakers:
        speakers = torch.tensor([0])
    return net(torch.from_numpy(codes)[None], frames, speakers)[0].T.numpy()


def example(spec: WaveNetSpec, n: int, seed: int) -> tuple:
    """Weights, codes and, for a network that wants it, conditioning."""
    frames = random_frames(spec, n, seed + 2) if spec.conditioning else None
    return random_weights(spec, seed), random_codes(spec, n, seed + 1), frames


TOLERANCE = [(torch.float64, 1e-12), (torch.float32, 2e-5)]


@every_network
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCE, ids=["float64", "float32"])
def test_torch_computes_the_logits_of_the_reference(spec, dtype, tolerance):
    weights, codes, frames = example(spec, n=spec.receptive_field + 20, seed=1)
    rows = projected(spec, weights, frames, len(codes))
    expected = reference.teacher_forced(spec, weights, codes, rows)
    found = torch_logits(torch_net(spec, weights, dtype), codes, frames)
    assert expected.std() > 0.1
    assert np.abs(found - expected).max() <= tolerance * max(1, np.abs(expected).max())


@every_network
@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_first_samples_are_computed_as_the_reference_computes_them(spec, n):
    weights, codes, frames = example(spec, n, seed=4)
    rows = projected(spec, weights, frames, len(codes))
    expected = reference.teacher_forced(spec, weights, codes, rows)
    found = torch_logits(torch_net(spec, weights), codes, frames)
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
    weights, codes, frames = example(spec, n, seed=1)
    net = torch_net(spec, weights)
    before = torch_logits(net, codes, frames)
    changed_somewhere = False
    for t in range(n):
        changed = codes.copy()
        changed[t] = (codes[t] + 1) % spec.levels
        after = torch_logits(net, changed, frames)
        assert np.array_equal(after[:t], before[:t])
        changed_somewhere |= not np.array_equal(after[t], before[t])
    assert changed_somewhere


def test_no_output_depends_on_later_conditioning():
    spec = NETWORKS["conditioned"]
    weights, codes, frames = example(spec, n=12, seed=1)
    net = torch_net(spec, weights)
    before = torch_logits(net, codes, frames)
    for t in range(12):
        changed = frames.copy()
        changed[t] += 1
        differs = (torch_logits(net, codes, changed) != before).any(axis=1)
        assert not differs[: max(t - 1, 0)].any()
        assert differs[max(t - 1, 0)] or t == 0  # row t predicts the sample of frame t + 1


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


@pytest.mark.parametrize("missing", ["frames", "speakers"])
def test_the_network_refuses_a_call_without_its_frames_or_speakers(missing):
    end = FrameConditioning(channels=2, speakers=("ann", "bob"), speaker_channels=3)
    given = {"frames": torch.zeros(1, 2, 4), "speakers": torch.zeros(1, dtype=torch.int64)}
    net, codes = WaveNet(small_spec(conditioning=end)), torch.zeros(1, 4, dtype=torch.int64)
    assert net(codes, **given).shape[2] == 4
    with pytest.raises(ValueError, match="exactly where the network has them"):
        net(codes, **{**given, missing: None})
