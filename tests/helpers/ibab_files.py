"""A writer of ibab/tensorflow-wavenet's checkpoints, and its network in float64."""

import json
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from tensorflow_files import Options, write_bundle

ANONYMOUS = {
    "filter_bias": "Variable",
    "gate_bias": "Variable_1",
    "dense_bias": "Variable_2",
    "skip_bias": "Variable_3",
    "postprocess1_bias": "Variable",
    "postprocess2_bias": "Variable_1",
}
IN_CONFIG = ("filter_width", "sample_rate", "dilations", "residual_channels", "dilation_channels",
             "quantization_channels", "skip_channels", "use_biases", "scalar_input",
             "initial_filter_width")  # fmt: skip
BIASES = ("none", "anonymous", "named", "as its code spells them")


@st.composite
def options(draw) -> dict:
    """Networks that take milliseconds, and how they are written."""
    width = st.integers(1, 5)
    biases = draw(st.sampled_from(BIASES))
    conditioned = draw(st.booleans())
    return {
        "filter_width": draw(st.integers(2, 3)),
        "sample_rate": draw(st.sampled_from([8000, 16000])),
        "dilations": draw(st.lists(st.sampled_from([1, 2, 3, 8]), min_size=1, max_size=12)),
        "residual_channels": draw(width),
        "dilation_channels": draw(width),
        "quantization_channels": draw(st.sampled_from([2, 100, 256])),
        "skip_channels": draw(width),
        "use_biases": biases != "none",
        "scalar_input": draw(st.booleans()),
        "initial_filter_width": draw(st.sampled_from([1, 2, 5, 32])),
        "gc_channels": draw(width) if conditioned else 0,
        "gc_cardinality": draw(width) if conditioned else 0,
        "biases": biases,
        "scope": draw(st.sampled_from(["wavenet/", "wavenet_1/", "model/wavenet/", ""])),
        "optimizer": draw(st.booleans()),
        "bundle": Options(
            shards=draw(st.integers(1, 3)),
            block_size=draw(st.sampled_from([1, 300, 2**18])),
            restart_interval=draw(st.sampled_from([1, 2, 16])),
            big_endian=draw(st.booleans()),
        ),
    }


def random_tensors(o: dict, seed: int = 0) -> dict[str, np.ndarray]:
    """float32, by names in its scope, biases by names."""
    rng, k, r, d, s, q = np.random.default_rng(seed), *(
        o[name]
        for name in ("filter_width", "residual_channels", "dilation_channels", "skip_channels",
                     "quantization_channels")
    )  # fmt: skip
    first = (o["initial_filter_width"], 1, r) if o["scalar_input"] else (k, q, r)
    post = "postprocessing/postprocess"
    shapes = {"causal_layer/filter": first, f"{post}1": (1, s, s), f"{post}2": (1, s, q)}
    for layer in range(len(o["dilations"])):
        place = f"dilated_stack/layer{layer}"
        shapes |= {f"{place}/filter": (k, r, d), f"{place}/gate": (k, r, d)}
        shapes |= {f"{place}/dense": (1, d, r), f"{place}/skip": (1, d, s)}
        if o["gc_channels"]:
            of_speaker = (1, o["gc_channels"], d)
            shapes |= {f"{place}/gc_filter": of_speaker, f"{place}/gc_gate": of_speaker}
    if o["use_biases"]:
        biased = [n for n in shapes if n != "causal_layer/filter" and "/gc_" not in n]
        shapes |= {f"{name}_bias": shapes[name][2:] for name in biased}
    if o["gc_channels"]:
        shapes["embeddings/gc_embedding"] = (o["gc_cardinality"], o["gc_channels"])
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def variables(o: dict, t: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By the names of a checkpoint, with an optimizer's state and counters where it has them."""
    found = {f"{o['scope']}{_variable(o, name)}": array for name, array in t.items()}
    if o["optimizer"]:
        found |= {f"{n}/{slot}": 0 * a for n, a in found.items() for slot in ("Adam", "Adam_1")}
        found |= {"beta1_power": np.float32(0.9), "beta2_power": np.float32(0.999)}
        found["global_step"] = np.int64(1234)
    return found


def _variable(o: dict, name: str) -> str:
    place, _, last = name.rpartition("/")
    if last.endswith("_bias") and o["biases"] == "anonymous":
        last = ANONYMOUS[last]
    if last == "skip_bias" and o["biases"] == BIASES[3]:
        last = "slip_bias"
    return f"{place}/{last}"


def write(folder: Path, o: dict, t: dict[str, np.ndarray], step: int = 1234) -> Path:
    """A folder as its trainer leaves it, with the hyperparameters in it.

    Returns the prefix of the checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prefix = folder / f"model.ckpt-{step}"
    write_bundle(prefix, variables(o, t), o["bundle"])
    prefix.with_name(f"{prefix.name}.meta").write_bytes(b"a graph")
    (folder / "checkpoint").write_text(
        f'model_checkpoint_path: "/home/them/logdir/{prefix.name}"\n'
        f'all_model_checkpoint_paths: "/home/them/logdir/model.ckpt-50"\n'
    )
    config = {name: o[name] for name in IN_CONFIG}
    (folder / "wavenet_params.json").write_text(json.dumps(config))
    return prefix


def logits(
    o: dict, t: dict[str, np.ndarray], samples: np.ndarray, speaker: int | None = None
) -> np.ndarray:
    """Row n: of sample n + 1, from samples 0 to n, which are codes, or amplitudes if it takes them.

    Nothing comes before the first sample.
    """
    t = {name: array.astype(np.float64) for name, array in t.items()}
    levels = o["quantization_channels"]
    inputs = samples[:, None] if o["scalar_input"] else np.eye(levels)[samples]
    x, skip = _conv(t, "causal_layer/filter", inputs), 0
    for layer, dilation in enumerate(o["dilations"]):
        place = f"dilated_stack/layer{layer}"
        gates = [_conv(t, f"{place}/{part}", x, dilation) for part in ("filter", "gate")]
        if speaker is not None:
            row = t["embeddings/gc_embedding"][speaker]
            gates[0] = gates[0] + row @ t[f"{place}/gc_filter"][0]
            gates[1] = gates[1] + row @ t[f"{place}/gc_gate"][0]
        z = np.tanh(gates[0]) / (1 + np.exp(-gates[1]))
        skip = skip + _conv(t, f"{place}/skip", z)
        x = x + _conv(t, f"{place}/dense", z)
    hidden = _conv(t, "postprocessing/postprocess1", np.maximum(skip, 0))
    return _conv(t, "postprocessing/postprocess2", np.maximum(hidden, 0))


def _conv(t: dict[str, np.ndarray], name: str, x: np.ndarray, dilation: int = 1) -> np.ndarray:
    """Causal, over time (n, in); a weight is (taps, in, out)."""
    weight = t[name]
    padded = np.vstack([np.zeros(((len(weight) - 1) * dilation, x.shape[1])), x])
    sums = [padded[tap * dilation :][: len(x)] @ each for tap, each in enumerate(weight)]
    return sum(sums) + t.get(f"{name}_bias", 0)
