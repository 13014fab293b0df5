"""Writes the records of the voices that ship: digests, and the networks that their cards show.

    python tests/helpers/voice_records.py

For each voice of fastwavenet/voices/ it computes the digest of 1,000 samples in each precision,
into tests/golden/voices.json, and replaces the block of section "Network" of its card by lines of
`fastwavenet info`.  Run it after a model was added or replaced; the tests compare both.
"""

import contextlib
import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np

import fastwavenet as fw
from fastwavenet import cli
from fastwavenet.spec import PRECISIONS

RECORDS = Path(__file__).parents[1] / "golden" / "voices.json"
SAMPLES = 1000
FACTS = (
    "sample rate",
    "layers",
    "channels",
    "conditioning",
    "sampling",
    "receptive field",
    "weights",
    "precision",
)
BLOCK = re.compile(r"(?<=^## Network\n\n```text\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)


def frames_for(spec: fw.WaveNetSpec, samples: int) -> np.ndarray | None:
    """float32 (frames, channels) from 0 up to 1, the same on every machine; None for no frames."""
    end = spec.conditioning
    if end is None or not end.channels:
        return None
    rng = np.random.default_rng(7)
    return rng.random((samples // end.hop + 2, end.channels), dtype=np.float32)


def samples_of(name: str, precision: str, isa: str) -> np.ndarray:
    """SAMPLES samples of a voice, float32 (n,)."""
    model = fw.load(name, precision)
    frames = frames_for(model.spec, SAMPLES)
    return fw.generate(model, n_samples=SAMPLES, seed=7, frames=frames, isa=isa)


def digest(samples: np.ndarray) -> str:
    return hashlib.sha256(samples.tobytes()).hexdigest()[:16]


def network_of(name: str) -> str:
    """The lines of `fastwavenet info` that a card shows."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert cli.main(["info", name]) == 0
    lines = out.getvalue().splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith(FACTS))


def main() -> None:
    records = {}
    for voice in fw.voices():
        records[voice.name] = {
            precision: digest(samples_of(voice.name, precision, fw.isa()))
            for precision in PRECISIONS
        }
        network = network_of(voice.name)
        card, count = BLOCK.subn(lambda _, new=network: new, voice.card)
        assert count == 1, f"{voice.name}: the card needs a section Network with a text block"
        voice.path.with_suffix(".md").write_text(card)
    RECORDS.write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
