"""A writer of vincentherrmann/pytorch-wavenet's snapshots, and its network in float64."""

from pathlib import Path

import numpy as np
import torch_files
from hypothesis import strategies as st
from torch_files import module_of, tree

KINDS = {
    f"{name}_convs": ("torch.nn.modules.container", "ModuleList")
    for name in ("filter", "gate", "residual", "skip")
}


@st.composite
def options(draw) -> dict:
    """Networks that take milliseconds, and how they are written."""
    width = st.integers(1, 5)
    return {
        "as_zip": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "layers": draw(st.integers(1, 4)),
        "blocks": draw(st.integers(1, 3)),
        "kernel_size": draw(st.integers(2, 3)),
        "residual_channels": draw(width),
        "dilation_channels": draw(width),
        "skip_channels": draw(width),
        "end_channels": draw(width),
        "classes": draw(st.sampled_from([2, 16, 100, 256])),
    }


def random_tensors(o: dict, seed: int = 0) -> dict[str, np.ndarray]:
    rng, r, d, s, e, q = np.random.default_rng(seed), *(
        o[name]
        for name in ("residual_channels", "dilation_channels", "skip_channels", "end_channels",
                     "classes")
    )  # fmt: skip
    k = o["kernel_size"]
    shapes = {"start_conv": (r, q, 1), "end_conv_1": (e, s, 1), "end_conv_2": (q, e, 1)}
    for layer in range(o["layers"] * o["blocks"]):
        shapes[f"filter_convs.{layer}"] = shapes[f"gate_convs.{layer}"] = (d, r, k)
        shapes[f"residual_convs.{layer}"] = (r, d, 1)
        shapes[f"skip_convs.{layer}"] = (s, d, 1)
    tensors = {}
    for name, shape in shapes.items():
        tensors[f"{name}.weight"] = rng.standard_normal(shape).astype(np.float32)
        if o["bias"] or name.startswith("end_conv"):
            tensors[f"{name}.bias"] = rng.standard_normal(shape[0]).astype(np.float32)
    return tensors


def snapshot(o: dict, t: dict[str, np.ndarray]) -> bytes:
    """A file with the whole module, as its trainer saves it."""
    names = ("layers", "blocks", "classes", "kernel_size", "residual_channels",
             "dilation_channels", "skip_channels")  # fmt: skip
    queues = [torch_files.Instance("wavenet_modules", "DilatedQueue", {"in_pos": 0})]
    attributes = {name: o[name] for name in names} | {"dilated_queues": queues}
    model = module_of(("wavenet_model", "WaveNetModel"), attributes, {}, tree(t, KINDS))
    return torch_files.saved_value(model, as_zip=o["as_zip"])


def write(folder: Path, o: dict, t: dict[str, np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "chaconne_model_2018-01-05_10-20-30"
    path.write_bytes(snapshot(o, t))
    return path


def logits(o: dict, t: dict[str, np.ndarray], codes: np.ndarray) -> np.ndarray:
    """Row n: of sample n + 1, from samples 0 to n."""
    t = {name: array.astype(np.float64) for name, array in t.items()}
    x, skip = t["start_conv.weight"][:, codes, 0].T + t.get("start_conv.bias", 0), 0
    for layer in range(o["layers"] * o["blocks"]):
        dilation = 2 ** (layer % o["layers"])
        z = np.tanh(convolved(t, f"filter_convs.{layer}", x, dilation))
        z = z / (1 + np.exp(-convolved(t, f"gate_convs.{layer}", x, dilation)))
        skip = skip + convolved(t, f"skip_convs.{layer}", z)
        x = x + convolved(t, f"residual_convs.{layer}", z)
    hidden = np.maximum(convolved(t, "end_conv_1", np.maximum(skip, 0)), 0)
    return convolved(t, "end_conv_2", hidden)


def convolved(t: dict[str, np.ndarray], name: str, x: np.ndarray, dilation: int = 1) -> np.ndarray:
    """Causal, over time (n, in), with zeros before the first sample."""
    weight = t[f"{name}.weight"]
    past = (weight.shape[2] - 1) * dilation
    padded = np.vstack([np.zeros((past, x.shape[1])), x])
    taps = range(weight.shape[2])
    sums = [padded[tap * dilation :][: len(x)] @ weight[:, :, tap].T for tap in taps]
    return sum(sums) + t.get(f"{name}.bias", 0)
