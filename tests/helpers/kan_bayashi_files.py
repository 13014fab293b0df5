"""A writer of kan-bayashi/PytorchWaveNetVocoder's files, and its network in float64."""

from pathlib import Path

import hdf5_files
import numpy as np
import torch_files
from hypothesis import strategies as st
from vincentherrmann_files import convolved

CHECKPOINT = "checkpoint-final.pkl"


@st.composite
def options(draw) -> dict:
    """Networks that take milliseconds, and how they are written."""
    width = st.integers(1, 5)
    return {
        "as_zip": draw(st.booleans()),
        "final": draw(st.booleans()),
        "n_quantize": draw(st.sampled_from([16, 100, 256])),
        "n_aux": draw(width),
        "n_resch": draw(width),
        "n_skipch": draw(width),
        "dilation_depth": draw(st.integers(1, 3)),
        "dilation_repeat": draw(st.integers(1, 2)),
        "kernel_size": draw(st.integers(2, 3)),
        "upsampling_factor": draw(st.sampled_from([2, 3, 5])),
        "use_upsampling_layer": draw(st.sampled_from([False, True, 0, 1])),
        "feature_type": draw(st.sampled_from(["world", "melspc"])),
        "stats": draw(st.sampled_from([None, "<f8", "<f4", ">f8"])),
    }


def random_tensors(o: dict, seed: int = 0) -> dict[str, np.ndarray]:
    rng, q, a, r, s, k = np.random.default_rng(seed), *(
        o[name] for name in ("n_quantize", "n_aux", "n_resch", "n_skipch", "kernel_size")
    )  # fmt: skip
    shapes = {"causal.conv": (r, q, k), "conv_post_1": (s, s, 1), "conv_post_2": (q, s, 1)}
    if o["use_upsampling_layer"]:
        shapes["upsampling.conv"] = (1, 1, 1, o["upsampling_factor"])
    for layer in range(o["dilation_depth"] * o["dilation_repeat"]):
        for gate in ("sigmoid", "tanh"):
            shapes[f"dil_{gate}.{layer}.conv"] = (r, r, k)
            shapes[f"aux_1x1_{gate}.{layer}"] = (r, a, 1)
        shapes[f"skip_1x1.{layer}"] = (s, r, 1)
        shapes[f"res_1x1.{layer}"] = (r, r, 1)
    tensors = {}
    for name, shape in shapes.items():
        tensors[f"{name}.weight"] = rng.standard_normal(shape).astype(np.float32)
        tensors[f"{name}.bias"] = rng.standard_normal(shape[0]).astype(np.float32)
    return tensors


def statistics(o: dict) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    mean, scale = 3 * rng.standard_normal(o["n_aux"]), rng.uniform(0.5, 2, o["n_aux"])
    return {"mean": np.float32(mean), "scale": np.float32(scale)}


def write(folder: Path, o: dict, t: dict[str, np.ndarray]) -> Path:
    """Checkpoint, model.conf, and stats.h5 if the options have one."""
    folder.mkdir(parents=True, exist_ok=True)
    value = {"model": t}
    if not o["final"]:
        value |= {"optimizer": {"state": {}, "param_groups": []}, "iterations": 7}
    (folder / CHECKPOINT).write_bytes(torch_files.saved_value(value, as_zip=o["as_zip"]))
    own = {name: each for name, each in o.items() if name not in ("as_zip", "final", "stats")}
    conf = torch_files.Instance("argparse", "Namespace", own | {"lr": 1e-4, "stats": "s/stats.h5"})
    (folder / "model.conf").write_bytes(torch_files.saved_value(conf, as_zip=o["as_zip"]))
    if o["stats"]:
        data = hdf5_files.written(o["feature_type"], statistics(o), o["stats"])
        (folder / "stats.h5").write_bytes(data)
    return folder


def normalised(o: dict, features: np.ndarray) -> np.ndarray:
    """Features (frames, n_aux) by the statistics that the files hold."""
    if not o["stats"]:
        return features
    return (features - statistics(o)["mean"]) / statistics(o)["scale"]


def upsampled(o: dict, t: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    """(samples, n_aux) of normalised features (frames, n_aux)."""
    factor = o["upsampling_factor"]
    if not o["use_upsampling_layer"]:
        return np.repeat(features, factor, axis=0)
    kernel = t["upsampling.conv.weight"][0, 0, 0].astype(np.float64)
    rows = features[:, None, :] * kernel[:, None] + t["upsampling.conv.bias"][0]
    return rows.reshape(-1, features.shape[1])


def logits(o: dict, t: dict[str, np.ndarray], codes: np.ndarray, cond: np.ndarray) -> np.ndarray:
    """Row n: of sample n + 1, from samples 0 to n and rows 0 to n of the conditioning."""
    t = {name: array.astype(np.float64) for name, array in t.items()}
    x, skip = convolved(t, "causal.conv", np.eye(o["n_quantize"])[codes]), 0
    for layer in range(o["dilation_depth"] * o["dilation_repeat"]):
        dilation, gates = 2 ** (layer % o["dilation_depth"]), {}
        for gate in ("sigmoid", "tanh"):
            gates[gate] = convolved(t, f"dil_{gate}.{layer}.conv", x, dilation)
            gates[gate] = gates[gate] + convolved(t, f"aux_1x1_{gate}.{layer}", cond)
        z = np.tanh(gates["tanh"]) / (1 + np.exp(-gates["sigmoid"]))
        skip = skip + convolved(t, f"skip_1x1.{layer}", z)
        x = x + convolved(t, f"res_1x1.{layer}", z)
    hidden = np.maximum(convolved(t, "conv_post_1", np.maximum(skip, 0)), 0)
    return convolved(t, "conv_post_2", hidden)
