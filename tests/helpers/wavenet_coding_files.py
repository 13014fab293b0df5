"""A writer of wavenet-coding's files, and its network in float64 from its documentation."""

import json
from pathlib import Path

import numpy as np
import safetensors.numpy
from hypothesis import strategies as st

# The fields of its config that a network depends on, as its own code writes them.
CONFIG = {
    "model_name": "drawn", "mode": "parametric", "sample_rate": 16000, "quantization_channels": 16,
    "mu": 255, "num_blocks": 2, "layers_per_block": 2, "residual_channels": 3,
    "dilation_channels": 4, "skip_channels": 5, "filter_width": 2, "use_conditioning": True,
    "cond_dim": 3, "cond_conv_channels": 4, "cond_conv_kernel_size": 3, "temperature": 0.85,
    "learning_rate": 0.001, "seed": 42,
}  # fmt: skip


@st.composite
def configs(draw) -> dict:
    """Its options, with networks that take milliseconds."""
    width = st.integers(1, 6)
    conv = draw(st.integers(0, 4))
    return CONFIG | {
        "sample_rate": draw(st.sampled_from([1, 8000, 16000, 48000])),
        "quantization_channels": draw(st.sampled_from([2, 4, 16, 256])),
        "num_blocks": draw(st.integers(1, 3)),
        "layers_per_block": draw(st.integers(1, 4)),
        "residual_channels": draw(width),
        "dilation_channels": draw(width),
        "skip_channels": draw(width),
        "filter_width": draw(st.integers(2, 3)),
        "use_conditioning": draw(st.booleans()),
        "cond_dim": draw(width),
        "cond_conv_channels": conv,
        "cond_conv_kernel_size": draw(st.integers(1, 4)) if conv else 1,
        "temperature": draw(st.sampled_from([0.0, 0.5, 0.85, 1.0])),
    }


def random_tensors(config: dict, seed: int = 0) -> dict[str, np.ndarray]:
    """float32 kernels (taps, in, out) and biases, by Keras layers' names."""
    rng, tensors = np.random.default_rng(seed), {}
    for name, shape in _shapes(config).items():
        size = (shape[0] * shape[1]) ** -0.5
        tensors[f"{name}.kernel"] = (1.5 * size * rng.standard_normal(shape)).astype(np.float32)
        tensors[f"{name}.bias"] = (0.3 * rng.standard_normal(shape[2])).astype(np.float32)
    return tensors


def _shapes(config: dict) -> dict[str, tuple[int, int, int]]:
    taps, r, d, s = (
        config[f"{name}"]
        for name in ("filter_width", "residual_channels", "dilation_channels", "skip_channels")
    )
    shapes, features = {"causal_input_conv": (taps, 1, r)}, config["cond_dim"]
    if config["use_conditioning"] and config["cond_conv_channels"]:
        rows, features = config["cond_conv_kernel_size"], config["cond_conv_channels"]
        shapes["cond_conv"] = (rows, config["cond_dim"], features)
    layers = config["num_blocks"] * config["layers_per_block"]
    for layer in range(layers):
        shapes[f"dilated_filter_{layer}"] = shapes[f"dilated_gate_{layer}"] = (taps, r, d)
        if config["use_conditioning"]:
            shapes[f"cond_filter_{layer}"] = shapes[f"cond_gate_{layer}"] = (1, features, d)
        shapes[f"skip_out_{layer}"] = (1, d, s)
        if layer + 1 < layers:
            shapes[f"res_out_{layer}"] = (1, d, r)
    levels = config["quantization_channels"]
    return shapes | {"post_conv_1": (1, s, s), "logits_conv": (1, s, levels)}


def write(folder: Path, config: dict, tensors: dict[str, np.ndarray]) -> Path:
    """config.json and model.safetensors in a new folder."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(safetensors.numpy.save(tensors))
    return folder


def decode(codes: np.ndarray, levels: int) -> np.ndarray:
    """Amplitudes float64: the code in the middle is 0."""
    k = np.asarray(codes, np.float64) - levels / 2
    return np.sign(k) / (levels - 1) * (levels ** (abs(k) / (levels / 2)) - 1)


def logits(config: dict, tensors: dict, codes: np.ndarray, cond: np.ndarray | None) -> np.ndarray:
    """Logits (n, levels) in float64; row i predicts sample i from those before it.

    cond: (n, cond_dim), of which row i conditions sample i.
    """
    amplitudes = decode(codes, config["quantization_channels"])
    x = _conv(tensors, "causal_input_conv", np.concatenate([[0.0], amplitudes[:-1]])[:, None])
    if cond is not None and "cond_conv.kernel" in tensors:
        cond = np.maximum(_conv(tensors, "cond_conv", cond.astype(np.float64)), 0)
    skip = 0
    for layer in range(config["num_blocks"] * config["layers_per_block"]):
        dilation = 2 ** (layer % config["layers_per_block"])
        halves = []
        for half in ("filter", "gate"):
            h = _conv(tensors, f"dilated_{half}_{layer}", x, dilation)
            halves.append(h + (0 if cond is None else _conv(tensors, f"cond_{half}_{layer}", cond)))
        z = np.tanh(halves[0]) / (1 + np.exp(-halves[1]))
        skip = skip + _conv(tensors, f"skip_out_{layer}", z)
        if f"res_out_{layer}.kernel" in tensors:
            x = x + _conv(tensors, f"res_out_{layer}", z)
    hidden = np.maximum(_conv(tensors, "post_conv_1", np.maximum(skip, 0)), 0)
    return _conv(tensors, "logits_conv", hidden)


def _conv(tensors: dict, name: str, x: np.ndarray, dilation: int = 1) -> np.ndarray:
    """A causal convolution of x (n, in): zeros come before the first row."""
    kernel = tensors[f"{name}.kernel"].astype(np.float64)
    taps = len(kernel)
    padded = np.pad(x, (((taps - 1) * dilation, 0), (0, 0)))
    sums = sum(padded[tap * dilation :][: len(x)] @ kernel[tap] for tap in range(taps))
    return sums + tensors[f"{name}.bias"]
