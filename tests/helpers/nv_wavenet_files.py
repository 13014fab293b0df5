"""A writer of nv-wavenet's files, and its network in float64, as its reference computes it."""

import json
from pathlib import Path

import numpy as np
import torch_files
from hypothesis import strategies as st
from torch_files import module_of, tree

KINDS = {
    "embed": ("torch.nn.modules.sparse", "Embedding"),
    "upsample": ("torch.nn.modules.conv", "ConvTranspose1d"),
    "dilate_layers": ("torch.nn.modules.container", "ModuleList"),
}
FORMS = ("module", "state dict", "export")


@st.composite
def options(draw) -> dict:
    """Networks that take milliseconds, and how they are written."""
    width, stride = st.integers(1, 5), draw(st.integers(1, 6))
    return {
        "form": draw(st.sampled_from(FORMS)),
        "as_zip": draw(st.booleans()),
        "n_layers": draw(st.integers(1, 5)),
        "max_dilation": draw(st.sampled_from([1, 2, 4])),
        "n_residual_channels": draw(width),
        "n_skip_channels": draw(width),
        "n_out_channels": draw(st.sampled_from([129, 256])),
        "n_cond_channels": draw(width),
        "upsamp_stride": stride,
        "upsamp_window": stride + draw(st.integers(0, 2 * stride)),
        "tanh": draw(st.booleans()),
        "previous": draw(st.booleans()),
    }


def random_tensors(o: dict, seed: int = 0) -> dict[str, np.ndarray]:
    """float32, by the names of a module; "previous" is the embedding of an export alone."""
    rng, r, a, s = np.random.default_rng(seed), *(
        o[f"n_{name}_channels"] for name in ("residual", "out", "skip")
    )  # fmt: skip
    c, layers = o["n_cond_channels"], o["n_layers"]
    shapes = {
        "embed.weight": (a, r), "previous": (a, r),
        "upsample.weight": (c, c, o["upsamp_window"]), "upsample.bias": (c,),
        "cond_layers.conv.weight": (2 * r * layers, c, 1),
        "cond_layers.conv.bias": (2 * r * layers,),
        "conv_out.conv.weight": (a, s, 1), "conv_end.conv.weight": (a, a, 1),
    }  # fmt: skip
    for layer in range(layers):
        of_layer = {"dilate": (2 * r, r, 2), "res": (r, r, 1), "skip": (s, r, 1)}
        for name, shape in of_layer.items():
            if name != "res" or layer + 1 < layers:
                shapes[f"{name}_layers.{layer}.conv.weight"] = shape
                shapes[f"{name}_layers.{layer}.conv.bias"] = shape[:1]
    return {
        name: (rng.standard_normal(shape) * (1 if len(shape) == 2 else 0.5)).astype(np.float32)
        for name, shape in shapes.items()
    }


def exported(o: dict, t: dict[str, np.ndarray]) -> dict:
    """The dict of `export_weights()`."""
    layers = range(o["n_layers"])
    found = {
        "embedding_prev": t["previous"] if o["previous"] else np.zeros_like(t["previous"]),
        "embedding_curr": t["embed.weight"],
        "conv_out_weight": t["conv_out.conv.weight"],
        "conv_end_weight": t["conv_end.conv.weight"],
        "max_dilation": o["max_dilation"],
        "use_embed_tanh": o["tanh"],
    }
    for name in ("dilate", "res", "skip"):
        for kind, plural in (("weight", "weights"), ("bias", "biases")):
            arrays = [t.get(f"{name}_layers.{layer}.conv.{kind}") for layer in layers]
            found[f"{name}_{plural}"] = [array for array in arrays if array is not None]
    return found


def write(folder: Path, o: dict, t: dict[str, np.ndarray]) -> Path:
    """A file in the form of the options, with its config if it needs one."""
    own = {name: array for name, array in t.items() if name != "previous"}
    if o["form"] == "export":
        value = exported(o, t)
    elif o["form"] == "module":
        inner = tree(own, KINDS)
        inner["upsample"].state["stride"] = (o["upsamp_stride"],)
        sizes = ("n_layers", "max_dilation", "n_residual_channels", "n_out_channels")
        attributes = {name: o[name] for name in sizes}
        model = module_of(("wavenet", "WaveNet"), attributes, {}, inner)
        value = {"model": model, "iteration": 7, "learning_rate": 0.001}
    else:
        value = own
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wavenet_7").write_bytes(torch_files.saved_value(value, as_zip=o["as_zip"]))
    if o["form"] == "state dict":
        names = ("n_layers", "max_dilation", "n_cond_channels", "upsamp_window", "upsamp_stride")
        config = {"wavenet_config": {name: o[name] for name in names}}
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def upsampled(o: dict, t: dict[str, np.ndarray], mel: np.ndarray) -> np.ndarray:
    """What all layers add to their gates, (samples, layers, 2R)."""
    stride, window = o["upsamp_stride"], o["upsamp_window"]
    rows = np.zeros(((len(mel) - 1) * stride + window, mel.shape[1]))
    for frame, values in enumerate(mel.astype(np.float64)):
        for tap in range(window):
            rows[frame * stride + tap] += values @ t["upsample.weight"][:, :, tap]
    rows = (rows + t["upsample.bias"])[: len(mel) * stride]
    rows = rows @ t["cond_layers.conv.weight"][:, :, 0].T + t["cond_layers.conv.bias"]
    return rows.reshape(len(rows), o["n_layers"], -1)


def logits(o: dict, t: dict[str, np.ndarray], codes: np.ndarray, cond: np.ndarray) -> np.ndarray:
    """Row n: of sample n, from the samples before it, the first two of them code 128."""
    t = {name: array.astype(np.float64) for name, array in t.items()}
    fed = np.concatenate([[128], codes]).astype(int)
    x = t["embed.weight"][fed]
    if o["form"] == "export":
        if o["previous"]:
            x = x + t["previous"][np.concatenate([[128], fed[:-1]])]
        x = np.tanh(x) if o["tanh"] else x
    skip, r = 0, o["n_residual_channels"]
    for layer in range(o["n_layers"]):
        dilation = 2 ** (layer % o["max_dilation"].bit_length())
        past = np.vstack([np.zeros((dilation, r)), x])[: len(x)]
        weight = t[f"dilate_layers.{layer}.conv.weight"]
        h = past @ weight[:, :, 0].T + x @ weight[:, :, 1].T + cond[: len(x), layer]
        h = h + t[f"dilate_layers.{layer}.conv.bias"]
        z = np.tanh(h[:, :r]) / (1 + np.exp(-h[:, r:]))
        skip = skip + _pointwise(t, f"skip_layers.{layer}.conv", z)
        if layer + 1 < o["n_layers"]:
            x = x + _pointwise(t, f"res_layers.{layer}.conv", z)
    hidden = np.maximum(_pointwise(t, "conv_out.conv", np.maximum(skip, 0)), 0)
    return _pointwise(t, "conv_end.conv", hidden)


def _pointwise(t: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    return x @ t[f"{name}.weight"][:, :, 0].T + t.get(f"{name}.bias", 0)
