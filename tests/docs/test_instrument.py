"""examples/instrument.py: recordings of a SoundFont, their piano rolls, and a model that plays."""

import subprocess
import sys

import numpy as np
import pytest
from c_build import ROOT
from example_files import EXAMPLES
from sound_fonts import sound_font

import fastwavenet as fw

RATE, KEY, HOP, PERIOD = 48000, 57, 160, 218.18  # samples of a period of 220 Hz


def call(*arguments):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "instrument.py", *map(str, arguments)],
        env={"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Half a minute of a tone of 220 Hz with five harmonics as an instrument."""
    pytest.importorskip("tinysoundfont")
    folder = tmp_path_factory.mktemp("instrument")
    t = np.arange(round(11 * PERIOD)) / RATE
    tone = sum(np.sin(2 * np.pi * 220 * k * t) / k for k in range(1, 6)) / 3
    (folder / "tone.sf2").write_bytes(sound_font(tone.astype(np.float32), RATE, KEY, program=42))
    line = ["--minutes", "0.5", "--program", "42", "--keys", "57-69"]
    call(folder / "tone.sf2", "-o", folder / "tone", *line)
    return folder


def parts(folder):
    """(audio, piano roll) of each recording."""
    files = sorted((folder / "tone/wav").iterdir())
    rolls = [np.load(folder / "tone/frames" / f"{file.stem}.npy") for file in files]
    return [(fw.read_audio(file, 16000)[0], roll) for file, roll in zip(files, rolls, strict=True)]


def test_each_recording_has_15_s_and_a_roll_of_its_frames(folder):
    found = parts(folder)
    assert [(len(audio), roll.shape) for audio, roll in found] == [(240_000, (1500, 14))] * 2
    assert max(np.abs(audio).max() for audio, _ in found) == pytest.approx(0.8, abs=1e-3)


def test_a_recording_has_the_pitch_of_the_roll_where_it_sounds(folder):
    for audio, roll in parts(folder):
        keys = roll[:, :-1]
        log_f0, voicing = fw.pitch(audio, 16000, HOP, fmin=150, fmax=600)[:, :2].T
        # Frames amid a note: equal to those 30 ms before and behind, which windows reach.
        steady = np.all([keys[3:-3] == keys[i : len(keys) - 6 + i] for i in range(7)], axis=(0, 2))
        steady = np.concatenate([[False] * 3, steady & keys[3:-3].any(axis=1), [False] * 3])
        expected = 12 * np.log2(220) + keys.argmax(axis=1)
        cents = 100 * np.abs(12 * log_f0 / np.log(2) - expected)
        assert steady.mean() > 0.3
        assert np.median(cents[steady]) < 10
        assert voicing[steady].mean() > 0.9


def test_melodies_visit_the_whole_range(folder):
    sounding = np.concatenate([roll[:, :-1] for _, roll in parts(folder)]).any(axis=0)
    assert sounding.all()


def test_the_trained_model_plays_notes(folder):
    line = ["--train", folder / "tone", "-o", folder / "run", "--preset", "tiny", "--steps", "2"]
    call(*line, "--no-tune")
    model = fw.load(folder / "run/model.safetensors")
    assert len(fw.generate(model, frames=fw.melody(model, "A3:0.05 A4:0.05"), seed=1)) == 1600
    with pytest.raises(ValueError, match="from A3 to A4"):
        fw.melody(model, "G3")
