"""A writer of r9y9/wavenet_vocoder's files, and its network in float64, of HEAD and of v0.1.1."""

import json
from pathlib import Path

import numpy as np
import torch_files
from hypothesis import strategies as st
from vincentherrmann_files import convolved

CHECKPOINT = "checkpoint_step000001000_ema.pth"
FORMS = ("plain", "weight_norm", "parametrizations")


@st.composite
def options(draw) -> dict:
    """Networks that take milliseconds, and how they are written."""
    width, stacks = st.integers(1, 4), draw(st.integers(1, 3))
    head = draw(st.booleans())
    upsampled, cin = draw(st.booleans()), draw(st.sampled_from([-1, 1, 3, 4]))
    return {
        "head": head,
        "as_zip": draw(st.booleans()),
        "form": draw(st.sampled_from(FORMS)),
        "legacy": draw(st.booleans()),
        "quantize_channels": draw(st.sampled_from([16, 100, 256])),
        "layers": stacks * draw(st.integers(1, 2)),
        "stacks": stacks,
        "residual_channels": draw(width),
        "gate_channels": 2 * draw(width),
        "skip_out_channels": draw(width),
        "kernel_size": draw(st.integers(2, 3)),
        "cin_channels": cin,
        "cin_pad": draw(st.integers(0, 2)),
        "upsample_conditional_features": upsampled and cin > 0,
        "upsample_scales": draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)),
        "freq_axis_kernel_size": draw(st.sampled_from([1, 3])),
        "upsample_activation": draw(st.sampled_from(["none", "ReLU"])) if head else "none",
        "gin_channels": draw(st.sampled_from([-1, 2])),
        "n_speakers": 3,
    }


def shapes_of(o: dict) -> dict[str, tuple[int, ...]]:
    """Of the weights of all convolutions."""
    q, r, g, s, c, e = (
        o[f"{name}_channels"] for name in ("quantize", "residual", "gate", "skip_out", "cin", "gin")
    )
    shapes = {"first_conv": (r, q, 1), "last_conv_layers.1": (s, s, 1)}
    shapes["last_conv_layers.3"] = (q, s, 1)
    for layer in range(o["layers"]):
        name = f"conv_layers.{layer}"
        shapes |= {
            f"{name}.conv": (g, r, o["kernel_size"]),
            f"{name}.conv1x1_out": (r, g // 2, 1),
            f"{name}.conv1x1_skip": (s, g // 2, 1),
        }
        if c > 0:
            shapes[f"{name}.conv1x1c"] = (g, c, 1)
        if e > 0:
            shapes[f"{name}.conv1x1g"] = (g, e, 1)
    return shapes | (upsampling_shapes(o) if o["upsample_conditional_features"] else {})


def upsampling_shapes(o: dict) -> dict[str, tuple[int, ...]]:
    shapes, c, rows = {}, o["cin_channels"], o["freq_axis_kernel_size"]
    if o["head"]:
        shapes["upsample_net.conv_in"] = (c, c, 2 * o["cin_pad"] + 1)
    for number, scale in enumerate(o["upsample_scales"]):
        shapes[up_name(o, number)] = (1, 1, rows, 2 * scale + 1 if o["head"] else scale)
    return shapes


def up_name(o: dict, number: int) -> str:
    if not o["head"]:
        return f"upsample_conv.{2 * number}"
    step = 2 if o["upsample_activation"] == "none" else 3
    return f"upsample_net.upsample.up_layers.{1 + step * number}"


def has_bias(o: dict, name: str) -> bool:
    if name.startswith("upsample_net"):
        return False
    return not o["head"] or not name.endswith(("conv1x1c", "conv1x1g"))


def random_tensors(o: dict, seed: int = 0) -> dict[str, np.ndarray]:
    """float32, folded: `weight` and `bias` of each convolution."""
    rng, tensors = np.random.default_rng(seed), {}
    for name, shape in shapes_of(o).items():
        tensors[f"{name}.weight"] = rng.standard_normal(shape).astype(np.float32)
        if has_bias(o, name):
            tensors[f"{name}.bias"] = rng.standard_normal(max(shape[0], 1)).astype(np.float32)
    if o["gin_channels"] > 0:
        shape = (o["n_speakers"], o["gin_channels"])
        tensors["embed_speakers.weight"] = rng.standard_normal(shape).astype(np.float32)
    return tensors


def normed(o: dict, t: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same weights in the form of the options; v is 3 x the weight."""
    if o["form"] == "plain":
        return t
    old = o["form"] == "weight_norm"
    ends = ("weight_g", "weight_v") if old else tuple(
        f"parametrizations.weight.original{n}" for n in (0, 1)
    )  # fmt: skip
    found = {}
    for name, array in t.items():
        conv, _, end = name.rpartition(".")
        if end == "bias" or conv in ("embed_speakers", "upsample_net.conv_in"):
            found[name] = array
            continue
        axes = tuple(range(1, array.ndim))
        g = np.sqrt(np.square(array.astype(np.float64)).sum(axes, keepdims=True))
        found[f"{conv}.{ends[0]}"], found[f"{conv}.{ends[1]}"] = g.astype(np.float32), 3 * array
    return found


def config(o: dict) -> dict:
    names = ("quantize_channels", "layers", "stacks", "residual_channels", "gate_channels",
             "skip_out_channels", "kernel_size", "cin_channels", "gin_channels", "n_speakers",
             "upsample_conditional_features")  # fmt: skip
    found = {name: o[name] for name in names} | {"input_type": "mulaw-quantize"}
    found |= {"out_channels": o["quantize_channels"], "sample_rate": 8000}
    if o["head"]:
        params = ("upsample_scales", "freq_axis_kernel_size", "upsample_activation")
        found |= {"cin_pad": o["cin_pad"]}
        if o["upsample_conditional_features"]:
            found["upsample_params"] = {name: o[name] for name in params}
        return found
    found |= {"legacy": o["legacy"], "builder": "wavenet"}
    return found | ({"upsample_scales": o["upsample_scales"]} if o["cin_channels"] > 0 else {})


def write(folder: Path, o: dict, t: dict[str, np.ndarray]) -> Path:
    """Checkpoint and hparams.json."""
    folder.mkdir(parents=True, exist_ok=True)
    value = {"state_dict": normed(o, t), "optimizer": None, "global_step": 1000}
    (folder / CHECKPOINT).write_bytes(torch_files.saved_value(value, as_zip=o["as_zip"]))
    (folder / "hparams.json").write_text(json.dumps(config(o)))
    return folder


def hop_of(o: dict) -> int:
    return int(np.prod(o["upsample_scales"])) if o["upsample_conditional_features"] else 1


def upsampled(o: dict, t: dict[str, np.ndarray], mel: np.ndarray) -> np.ndarray:
    """(samples, channels) of frames (frames, channels)."""
    if not o["upsample_conditional_features"]:
        return mel
    x = mel.astype(np.float64)
    if o["head"]:
        pad, weight = o["cin_pad"], t["upsample_net.conv_in.weight"].astype(np.float64)
        x = np.pad(x, ((pad, pad), (0, 0)), mode="edge")
        taps = range(2 * pad + 1)
        x = sum(x[tap : len(x) - 2 * pad + tap] @ weight[:, :, tap].T for tap in taps)
    for number, scale in enumerate(o["upsample_scales"]):
        name = up_name(o, number)
        kernel = t[f"{name}.weight"][0, 0].astype(np.float64)
        x = _stretched(x, kernel, scale) if o["head"] else _transposed(x, kernel, scale)
        x = x + t.get(f"{name}.bias", 0)
        relu = not o["head"] or o["upsample_activation"] == "ReLU"
        x = np.maximum(x, 0) if relu else x
    return x


def _stretched(x: np.ndarray, kernel: np.ndarray, scale: int) -> np.ndarray:
    """Nearest neighbours, and a convolution with zeros around (samples, channels)."""
    x, rows = np.repeat(x, scale, axis=0), len(kernel) // 2
    padded = np.pad(x, ((scale, scale), (rows, rows)))
    n, channels = x.shape
    return sum(
        kernel[row, tap] * padded[tap : tap + n, row : row + channels]
        for row in range(len(kernel))
        for tap in range(kernel.shape[1])
    )


def _transposed(x: np.ndarray, kernel: np.ndarray, scale: int) -> np.ndarray:
    """A transposed convolution, whose outputs beyond the channels are cut off."""
    rows, (n, channels) = len(kernel) // 2, x.shape
    full = np.zeros((n * scale, channels + 2 * rows))
    for row in range(len(kernel)):
        for tap in range(scale):
            full[tap::scale, row : row + channels] += kernel[row, tap] * x
    return full[:, rows : rows + channels]


def logits(
    o: dict, t: dict[str, np.ndarray], codes: np.ndarray, cond: np.ndarray, speaker: int | None
) -> np.ndarray:
    """Row n: of sample n + 1, from samples 0 to n and rows 0 to n of the conditioning."""
    t = {name: array.astype(np.float64) for name, array in t.items()}
    half, skips = 0.5**0.5, []
    x = convolved(t, "first_conv", np.eye(o["quantize_channels"])[codes])
    for layer in range(o["layers"]):
        name = f"conv_layers.{layer}"
        h = convolved(t, f"{name}.conv", x, 2 ** (layer % (o["layers"] // o["stacks"])))
        if o["cin_channels"] > 0:
            h = h + convolved(t, f"{name}.conv1x1c", cond)
        if speaker is not None:
            h = h + convolved(t, f"{name}.conv1x1g", t["embed_speakers.weight"][speaker][None])
        tanh, sigmoid = np.split(h, 2, axis=1)
        z = np.tanh(tanh) / (1 + np.exp(-sigmoid))
        skips.append(convolved(t, f"{name}.conv1x1_skip", z))
        x = (x + convolved(t, f"{name}.conv1x1_out", z)) * half
    total = skips[0]
    for skip in skips[1:]:
        total = (total + skip) * (half if o["legacy"] and not o["head"] else 1)
    total = total * (1 / o["layers"]) ** 0.5 if o["head"] else total
    hidden = np.maximum(convolved(t, "last_conv_layers.1", np.maximum(total, 0)), 0)
    return convolved(t, "last_conv_layers.3", hidden)
