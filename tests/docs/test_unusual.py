"""examples/unusual.py: its measures are their definitions, and the experiment is repeatable."""

import sys

import numpy as np
import pytest
from example_files import EXAMPLES
from hypothesis import given
from hypothesis import strategies as st
from networks import random_frames, random_weights, small_spec
from recordings import noise, record, tone

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.ends import FrameConditioning

sys.path.insert(0, str(EXAMPLES))
import unusual

NUMBERS = st.lists(st.integers(0, 5), min_size=1, max_size=12)


@given(NUMBERS, NUMBERS)
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(high, low):
    pairs = [(a > b) + (a == b) / 2 for a in high for b in low]
    found = unusual.roc_auc(np.array(high, float), np.array(low, float))
    assert found == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("n", [1, 2, 100, 3999, 4000, 4001, 32000, 32001, 63999])
@pytest.mark.parametrize("name", unusual.DAMAGES)
def test_damage_is_finite_and_within_its_stretches(name, n):
    audio = noise(n, seed=n)
    changed = unusual.damaged(audio, unusual.DAMAGES[name], 8000, seed=3)
    assert changed.dtype == np.float32 and changed.shape == (n,)
    assert np.isfinite(changed).all() and abs(changed).max() <= 1
    again = unusual.damaged(audio, unusual.DAMAGES[name], 8000, seed=3)
    np.testing.assert_array_equal(changed, again)
    at = np.flatnonzero(changed != audio)
    for begin in range(0, n, 32000):
        inside = at[(at >= begin) & (at < begin + 32000)]
        assert not len(inside) or np.ptp(inside) < 4000


def test_stretches_are_counted_over_recordings():
    flags = [np.array(text, bool) for text in ([1, 1, 0, 1], [1, 0], [0, 0], [1])]
    numbers = [unusual.stretches(each) for each in flags]
    frames = unusual.joined([unusual.Frames(each, each, each, each) for each in numbers])
    assert frames.stretch.tolist() == [1, 1, 0, 2, 3, 0, 0, 0, 4]


@pytest.fixture
def folders(tmp_path):
    for folder, count in {"normal": 2, "held-out": 2, "ann": 1}.items():
        for number in range(count):
            sound = tone(3000 + number, hz=200 + 20 * number, rate=8000)
            record(tmp_path / folder / f"{folder}{number}.wav", sound, rate=8000)
    return tmp_path


def table(capsys, *line):
    unusual.main([str(word) for word in line])
    head, alarms, _, heads, rule, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("Threshold ") and alarms.startswith("False alarms: ")
    assert len(heads.split("|")) == len(rule.split("|"))
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]


def test_the_experiment_has_a_row_for_each_kind_and_voice(voice, folders, capsys):
    line = (voice, folders / "normal", folders / "held-out", "--other", folders / "ann")
    rows = table(capsys, *line)
    assert [row[0] for row in rows] == [*unusual.DAMAGES, "other: ann"]
    for row in rows:
        assert all(0 <= float(cell) <= 1 for cell in row[2:5])
    assert rows == table(capsys, *line)
    assert rows[-1][1] == "7"  # frames of 3000 samples


def test_a_model_of_other_frames_takes_them_from_files(folders, capsys):
    spec = small_spec(conditioning=FrameConditioning(3, 20))
    modelfile.save(folders / "m.safetensors", spec, random_weights(spec, 3))
    (folders / "frames").mkdir()
    for folder in ("normal", "held-out"):
        for number in range(2):
            frames = random_frames(spec, 3000 + number, number)
            np.save(folders / "frames" / f"{folder}{number}.npy", frames)
    line = (folders / "m.safetensors", folders / "normal", folders / "held-out")
    options = ("--frames", folders / "frames", "--hop", 0.01, "--smooth", 3)
    rows = table(capsys, *line, *options, "--kinds", "hum", "click")
    assert [row[0] for row in rows] == ["hum", "click"]


def test_a_vocoder_takes_the_mel_frames_of_the_damaged_sound(folders, capsys):
    mel = fw.Mel(sample_rate=8000, n_fft=256, hop=20, window=256, mels=5, fmin=0, fmax=4000)
    spec = small_spec(conditioning=FrameConditioning(5, 20, "linear", features=mel))
    modelfile.save(folders / "m.safetensors", spec, random_weights(spec, 3))
    rows = table(capsys, folders / "m.safetensors", folders / "normal", folders / "held-out")
    assert len(rows) == len(unusual.DAMAGES)
