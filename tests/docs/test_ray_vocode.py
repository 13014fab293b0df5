"""examples/ray_vocode.py: workers of Ray make the samples of `vocode`."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from c_build import ROOT
from example_files import EXAMPLES
from networks import random_frames, random_weights, small_spec

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.ends import FrameConditioning

SPEC = small_spec(conditioning=FrameConditioning(3, 20, "linear"))
SLOW = "The current node timed out during startup"  # Ray waits for 30 s, also on a busy machine


def call(*arguments):
    search = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    alone = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": ""}
    return subprocess.run(
        [sys.executable, EXAMPLES / "ray_vocode.py", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": search} | alone,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_folder_becomes_the_sounds_of_vocode_bit_for_bit(tmp_path):
    pytest.importorskip("ray.data", reason="Ray Data is not installed: pip install 'ray[data]'")
    voice, mels, out = (tmp_path / name for name in ("voice.safetensors", "mels", "out"))
    modelfile.save(voice, SPEC, random_weights(SPEC, 3))
    mels.mkdir()
    counts = [4, 1, 7, *([2] * 15)]  # more than a worker's rows
    frames = [random_frames(SPEC, 20 * count, number) for number, count in enumerate(counts)]
    for number, array in enumerate(frames):
        np.save(mels / f"{number:02}.npy", array)
    done = call(voice, mels, out, 7)
    if SLOW in done.stderr:
        pytest.skip("Ray did not start within its 30 s on this busy machine")
    assert done.returncode == 0, done.stderr
    expected = fw.vocode(fw.load(voice), frames, seed=7)
    assert len(list(out.iterdir())) == len(expected)
    for number, audio in enumerate(expected):
        found, rate = soundfile.read(out / f"{number:02}.wav", dtype="float32")
        assert rate == SPEC.sample_rate
        np.testing.assert_array_equal(found, audio)
