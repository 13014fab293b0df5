"""Trains on the sentence for 1,000 steps with weight decay 0.01 and with 1, for chapter 12.

python docs/course/experiments/by_heart.py writes by_heart.json beside this file, in four minutes of
one core.  With OMP_NUM_THREADS=1 the numbers are the same each time on a CPU with one PyTorch.
"""

import json
import sys
import tempfile
from pathlib import Path

import soundfile
import torch

from fastwavenet.processor import cpu_name
from fastwavenet.training import train

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from course import RATE, sentence  # noqa: E402

STEPS = 1000
DECAYS = (0.01, 1.0)
COLUMNS = ("step", "train_loss", "validation_loss")


def losses(weight_decay: float) -> list[list[float]]:
    """COLUMNS of each line of a run's log."""
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
        log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [[round(line[name], 4) for name in COLUMNS] for line in log]


def lines(runs: dict[str, list[list[float]]]) -> str:
    """JSON with a line for each validation."""
    parts = (
        f'  "{decay}": [\n' + ",\n".join(f"   {json.dumps(row)}" for row in rows) + "\n  ]"
        for decay, rows in runs.items()
    )
    return (
        f'{{\n "command": "python by_heart.py",\n "cpu": {json.dumps(cpu_name())},\n'
        f' "torch": {json.dumps(torch.__version__)},\n'
        f' "columns": {json.dumps(COLUMNS)},\n "runs": {{\n' + ",\n".join(parts) + "\n }\n}\n"
    )


if __name__ == "__main__":
    results = {str(decay): losses(decay) for decay in DECAYS}
    (HERE / "by_heart.json").write_text(lines(results))
