"""Trains on the sentence for 1,000 steps with weight decay 0.01 and with 1, for chapter 12.

python docs/course/experiments/by_heart.py writes by_heart.json beside this file.
It takes two to three minutes on two cores.
"""

import json
import sys
import tempfile
from pathlib import Path

import soundfile
import torch

import fastwavenet as fw
from fastwavenet.processor import cpu_name
from fastwavenet.training import train

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from course import RATE, sentence

STEPS = 1000
DECAYS = (0.01, 1.0)
TRAINED_ON = 44568  # samples: nine tenths


def run_with(weight_decay: float) -> dict:
    """The losses of the run's log, and of its last averaged weights on both parts of the sentence."""
    with tempfile.TemporaryDirectory() as folder:
        clip, run = Path(folder) / "sentence.flac", Path(folder) / "run"
        soundfile.write(clip, sentence(), RATE, subtype="PCM_16")
        train(
            clip,
            run,
            preset="tiny",
            steps=STEPS,
            weight_decay=weight_decay,
            bfloat16=False,
            tune=False,
            previews=0,
            progress=False,
        )
        lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        nats = fw.score(fw.load(run / "model.safetensors", precision="float32"), sentence())
    kept = ("step", "train_loss", "validation_loss")
    return {
        "log": [{key: round(line[key], 4) for key in kept} for line in lines],
        "trained_on": round(float(nats[: TRAINED_ON - 1].mean()), 4),
        "held_out": round(float(nats[TRAINED_ON:].mean()), 4),
    }


if __name__ == "__main__":
    results = {
        "cpu": cpu_name(),
        "torch": torch.__version__,
        "runs": {str(decay): run_with(decay) for decay in DECAYS},
    }
    (HERE / "by_heart.json").write_text(json.dumps(results, indent=1) + "\n")
