"""Vocodes a folder of .npy files of frames with Ray Data, on one machine or a cluster.

    python examples/ray_vocode.py voice.safetensors mels/ out/ SEED

Each file becomes a WAV file of 32-bit floats with the samples of `fastwavenet.vocode`, whichever
worker made it.  Needs Ray (pip install "ray[data]"), and fastwavenet on every machine.  Frames are
read and sounds are written by this process; only arrays travel.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import ray

import fastwavenet as fw

ROWS = 16  # sounds that a worker makes in step


class Vocoder:
    """A worker: the model arrives pickled, once."""

    def __init__(self, model: fw.Model, seed: int):
        self.model, self.seed = model, seed

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Columns name and frames, a list of rows for each file, to columns name and audio."""
        frames = [np.stack(rows).astype(np.float32) for rows in batch["frames"]]
        sounds = np.empty(len(frames), object)
        sounds[:] = fw.vocode(self.model, frames, seed=self.seed, batch=ROWS)
        return {"name": batch["name"], "audio": sounds}


def main(voice: str, source: str, output: str, seed: str) -> None:
    model, folder = fw.load(voice), Path(output)
    folder.mkdir(exist_ok=True)
    files = sorted(Path(source).glob("*.npy"))
    items = ray.data.from_items(
        [{"name": file.stem, "frames": list(np.load(file))} for file in files]
    )
    made = items.map_batches(
        Vocoder, fn_constructor_args=(model, int(seed)), batch_size=ROWS, concurrency=1
    )
    for row in made.iter_rows():
        fw.write_audio(folder / f"{row['name']}.wav", row["audio"], model.sample_rate, "FLOAT")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: ray_vocode.py MODEL MELS OUTPUT SEED")
    main(*sys.argv[1:])
