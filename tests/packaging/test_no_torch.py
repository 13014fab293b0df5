"""Generating needs no torch: a whole round in a process that could not import it."""

import subprocess
import sys

from engines import weights_of
from networks import small_spec
from recordings import record, tone

from fastwavenet import modelfile

ROUND = """
import sys
sys.modules["torch"] = None  # importing it raises ImportError
import numpy as np
import fastwavenet as fw

model = fw.load(sys.argv[1])
audio = fw.generate(model, seconds=0.05, seed=7, temperature=0.9)
gen = fw.Generator(model, seed=7)
gen.prime(audio)
gen.clone().generate(10)
assert fw.score(model, audio).shape == (len(audio) - 1,)
assert fw.outputs(model, audio).shape == (len(audio), model.spec.levels)
assert fw.mu_law_decode(fw.mu_law_encode(audio)).shape == audio.shape
cost = fw.measure_precision(sys.argv[1], audio)
fw.record_precision_cost(sys.argv[1], cost)
assert fw.load(sys.argv[1]).precision_cost == cost
fw.record_sampling(sys.argv[1], fw.tune(model, fw.generate(model, 7), seconds=4).sampling)
assert [name for name in sys.modules if name.startswith("torch.")] == []
"""


def test_load_generate_and_score_without_torch(tmp_path):
    spec = small_spec()
    modelfile.save(tmp_path / "m.safetensors", spec, weights_of(spec))
    command = [sys.executable, "-c", ROUND, str(tmp_path / "m.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


PREPARE = """
import sys
sys.modules["torch"] = None
import fastwavenet as fw

assert fw.prepare(sys.argv[1], sys.argv[2], mel="hifigan-16k+pitch", workers=1).recordings == 1
assert [name for name in sys.modules if name.startswith("torch.")] == []
"""


def test_a_corpus_is_prepared_without_torch(tmp_path):
    path = record(tmp_path / "a.wav", tone(1000))
    command = [sys.executable, "-c", PREPARE, str(path), str(tmp_path / "c")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


DEMO = """
import sys
sys.modules["torch"] = sys.modules["matplotlib"] = None
from pathlib import Path
import fastwavenet.demo
from fastwavenet.cli import main

fastwavenet.demo.MELODY_SECONDS = 0.1
code = main(["demo", "-o", sys.argv[1]])
assert [name for name in sys.modules if name.startswith("torch.")] == []
sys.exit(code)
"""


def test_the_demo_needs_neither_torch_nor_matplotlib(tmp_path):
    command = [sys.executable, "-c", DEMO, str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert "No training: torch is missing: pip install 'fastwavenet[train]'" in done.stdout
    assert (tmp_path / "demo" / "index.html").is_file()
