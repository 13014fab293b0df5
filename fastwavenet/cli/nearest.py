"""The right option for a wrong one: by other programs' names, or by its letters."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

# Our names -> those of other programs; one without a dash is an argument without an option.
FOREIGN = {
    "--steps --minutes": "epoch epochs num-epochs max-epochs n-epochs iterations iters num-iters "
    "num-steps max-steps train-steps niter max-iter",
    "--learning-rate": "lr max-lr learnrate base-lr",
    "--weight-decay": "wd decay l2",
    "--batch": "batch-size batchsize bs b num-voices voices n-voices",
    "--window": "seq-len seq-length segment segment-size segment-length crop chunk sample-size "
    "window-size receptive-field",
    "--preset": "size config model-size arch architecture hparams",
    "--resume": "restore restore-from continue resume-from load-checkpoint",
    "--validation": "val valid val-data validation-data val-dir test-data eval-data",
    "--sample-rate": "sr fs rate samplerate sampling-rate",
    "--convert": "resample mono mix to-mono",
    "--device": "gpu gpus cuda cpu accelerator",
    "--bfloat16": "amp fp16 bf16 half mixed-precision mixed",
    "--precision": "dtype quantize quantise bits-per-weight compute-type",
    "--begin": "start ss offset skip seek from",
    "--seconds": "length duration time secs sec n-seconds",
    "--samples": "n-samples num-samples n length-samples sample-count",
    "--seed": "random-seed rng-seed manual-seed s",
    "--temperature": "temp t tau",
    "--top-k": "topk k top-p topp nucleus",
    "--prime": "prompt primer wav-seed seed-audio prime-audio prefix init-audio",
    "--subtype": "format bit-depth bits encoding wav-format",
    "--raw": "pcm s16le headerless no-header",
    "--plot": "spectrogram image figure png",
    "--threads": "num-threads n-threads workers num-workers jobs j cores cpus",
    "--output": "out outfile out-file output-file out-path output-path wav-out-path out-dir "
    "output-dir save-dir save logdir log-dir run run-dir checkpoint-dir export-dir",
    "--measure": "calibrate calibration calibration-data",
    "--latest": "last final",
    "--isa": "simd arch-isa instruction-set",
    "--quiet": "silent no-progress",
    "model": "model checkpoint ckpt weights load model-path checkpoint-path",
    "source": "data data-dir dataset input input-dir audio audio-dir train-data",
    "sources": "data data-dir dataset input input-dir audio audio-dir test-data",
}


def nearest(wrong: str, options: Sequence[str], places: Mapping[str, str]) -> str:
    """A hint that names the right option; empty if none is near.

    options: all names of the command's options, with dashes.  places: names of arguments that are
    given without an option -> how the command's help shows them.
    """
    word = wrong.lstrip("-").lower().replace("_", "-")
    meant = [ours for ours, theirs in FOREIGN.items() if word in theirs.split()]
    names = [name for ours in meant for name in ours.split()]
    for name in names:
        if name in places:
            return f"{places[name]} is given without an option"
    names = [name for name in names if name in options]
    if not names and wrong.startswith("-"):
        words = [name[2:] for name in options if name.startswith("--")]
        names = [f"--{near}" for near in difflib.get_close_matches(word, words, n=1)]
    return f"the nearest option is {' or '.join(names)}" if names else ""
