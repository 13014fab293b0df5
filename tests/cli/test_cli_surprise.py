"""`fastwavenet score` in frames: the CSV file, segments, labels, picture, thresholds, errors."""

import csv
import io
import json
import os

import numpy as np
import pytest
import soundfile
from networks import random_frames, random_weights, small_spec
from recordings import full_disk, noise, record, tone

import fastwavenet as fw
from fastwavenet import modelfile, scoring
from fastwavenet.ends import FrameConditioning
from fastwavenet.plots import Timeline, save_timelines

HOP = 400  # samples of 0.05 s at 8 kHz
SECONDS = HOP / 8000


def own(voice, n, seed):
    """The model's own samples: as normal as sound can be to it."""
    return fw.generate(fw.load(voice), n_samples=n, seed=seed, temperature=1)


@pytest.fixture
def normal(voice, tmp_path):
    for n in range(3):
        record(tmp_path / "normal" / f"{n}.wav", own(voice, 4000, n), rate=8000, subtype="FLOAT")
    return tmp_path / "normal"


@pytest.fixture
def new(voice, tmp_path):
    """Two recordings: samples of the model, and those with noise in frames 4 and 5."""
    odd = own(voice, 4100, 15)
    odd[4 * HOP : 6 * HOP - 20] = noise(2 * HOP - 20, amplitude=0.5)  # ends before frame 6
    record(tmp_path / "new" / "a.wav", own(voice, 4100, 11), rate=8000, subtype="FLOAT")
    record(tmp_path / "new" / "deeper" / "b.wav", odd, rate=8000, subtype="FLOAT")
    return tmp_path / "new"


def audio_of(path):
    return soundfile.read(path, dtype="float32")[0]


def surprises(voice, folder, smooth=1):
    model = fw.load(voice)
    files = sorted(folder.rglob("*.wav"))
    return {file: fw.surprise(model, audio_of(file), HOP, smooth=smooth) for file in files}


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def labels_of(path):
    """As Audacity reads them: begin, end, text."""
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    return [(float(begin), float(end), text) for begin, end, text in lines]


def result(run, *line):
    code, said, errors = run("score", *line, "--json")
    assert code == 0, errors
    return json.loads(said)


# ---- frames ------------------------------------------------------------------------------------


@pytest.mark.parametrize("smooth", [1, 3])
def test_the_csv_file_holds_the_frames_of_surprise(run, voice, new, tmp_path, smooth):
    out = tmp_path / "report.csv"
    said = result(run, voice, new, "-o", out, "--smooth", smooth)
    assert (said["hop_seconds"], said["smooth"], said["written"]) == (SECONDS, smooth, [str(out)])
    assert said["threshold"] is said["normal_frames"] is said["files"][0]["segments"] is None
    rows = rows_of(out)
    for file, expected in surprises(voice, new, smooth).items():
        of_file = [row for row in rows if row["file"] == str(file)]
        assert [np.float32(row["nats"]) for row in of_file] == list(expected.nats)
        assert [np.float32(row["expected"]) for row in of_file] == list(expected.expected)
        edges = [*np.arange(len(expected.nats)) * SECONDS, 4100 / 8000]
        assert [float(row["begin_s"]) for row in of_file] == pytest.approx(edges[:-1])
        assert [float(row["end_s"]) for row in of_file] == pytest.approx(edges[1:])
        assert {row["above"] for row in of_file} == {""}
    assert len(rows) == 20


def test_scores_are_the_same_with_frames_and_without(run, voice, new, tmp_path):
    plain = result(run, voice, new)
    framed = result(run, voice, new, "--hop", 0.01, "-o", tmp_path / "x.csv")
    assert framed["all"] == plain["all"]
    for a, b in zip(framed["files"], plain["files"], strict=True):
        assert {name: a[name] for name in b} == b
    assert "segments" not in plain["files"][0] and "hop_seconds" not in plain


@pytest.mark.parametrize(
    ("seconds", "frames"), [(0.00025, 2050), (0.1, 5), (0.5125, 1), (0.6, 1), (60, 1)]
)
def test_frames_of_any_length(run, voice, new, seconds, frames):
    said = result(run, voice, new / "a.wav", "--hop", seconds)
    assert said["files"][0]["frames"] == frames


def test_stretches_and_threads_change_no_byte(run, voice, new, tmp_path, monkeypatch):
    result(run, voice, new, "-o", tmp_path / "one.csv")
    monkeypatch.setattr(scoring, "STRETCH", 333)
    result(run, voice, new, "-o", tmp_path / "two.csv", "--threads", 3)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_names_of_files_come_back_from_the_csv_file(run, voice, tmp_path):
    names = ['a,"b".wav', "ä.wav", "x\ny.wav"]
    for name in names:
        record(tmp_path / "odd" / name, tone(500), rate=8000)
    result(run, voice, tmp_path / "odd", "-o", tmp_path / "out.csv")
    assert sorted({os.path.basename(row["file"]) for row in rows_of(tmp_path / "out.csv")}) == (
        sorted(names)
    )


def test_a_name_that_is_no_text_is_written_with_its_bytes(run, voice, tmp_path):
    folder = tmp_path / "odd"
    record(folder / "a.wav", tone(500), rate=8000)
    os.rename(folder / "a.wav", os.fsencode(folder) + b"/\xff.wav")
    result(run, voice, folder, "-o", tmp_path / "out.csv")
    assert b"/\xff.wav," in (tmp_path / "out.csv").read_bytes()


# ---- thresholds and segments -------------------------------------------------------------------


@pytest.mark.parametrize("by", ["excess", "nats"])
@pytest.mark.parametrize("quantile", [0.5, 0.9, 1])
def test_the_threshold_is_a_quantile_of_the_normal_frames(run, voice, normal, new, by, quantile):
    line = (voice, new, "--normal", normal, "--quantile", quantile, "--by", by)
    said = result(run, *line)
    frames = [getattr(found, by) for found in surprises(voice, normal).values()]
    assert said["threshold"] == fw.surprise_threshold(frames, quantile)
    assert (said["by"], said["quantile"]) == (by, quantile)
    assert (said["normal_recordings"], said["normal_frames"]) == (3, 30)
    for of_file, found in zip(said["files"], surprises(voice, new).values(), strict=True):
        nats = getattr(found, by)
        segments = fw.surprise_segments(nats, said["threshold"])
        assert len(of_file["segments"]) == len(segments)
        for segment, (first, end) in zip(of_file["segments"], segments, strict=True):
            assert segment["begin"] == pytest.approx(first * SECONDS)
            assert segment["end"] == pytest.approx(end * SECONDS if end < 10 else 4100 / 8000)
            assert segment["peak"] == nats[first:end].max()
            assert segment["mean"] == pytest.approx(nats[first:end].mean())


def test_the_noise_is_found_and_nothing_else(run, voice, normal, new, tmp_path):
    labels = tmp_path / "labels"
    said = result(run, voice, new, "--normal", normal, "--quantile", 1, "--labels", labels)
    a, b = (file["segments"] for file in said["files"])
    assert a == []
    assert [(s["begin"], s["end"]) for s in b] == [(0.2, 0.3)]
    assert sorted(file.relative_to(labels).as_posix() for file in labels.rglob("*.txt")) == [
        "a.txt",
        "deeper/b.txt",
    ]
    assert labels_of(labels / "a.txt") == []
    assert labels_of(labels / "deeper" / "b.txt") == [(0.2, 0.3, f"{b[0]['peak']:.2f} nats")]


def test_a_known_threshold_gives_the_segments_of_the_recordings_that_it_comes_from(
    run, voice, normal, new, tmp_path
):
    first = result(run, voice, new, "--normal", normal, "--quantile", 0.9, "-o", tmp_path / "1.csv")
    again = result(run, voice, new, "--threshold", first["threshold"], "-o", tmp_path / "2.csv")
    assert again["files"] == first["files"]
    assert (again["quantile"], again["normal_frames"]) == (None, None)
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    assert {row["above"] for row in rows_of(tmp_path / "1.csv")} == {"0", "1"}


def test_people_get_a_table_of_segments(run, voice, normal, new, tmp_path):
    out = tmp_path / "out.csv"
    line = ("score", voice, new, "--normal", normal, "--quantile", 1, "-o", out)
    lines = run(*line)[1].splitlines()
    assert lines[4].startswith("1 segment above ")
    assert lines[4].endswith(
        " nats of excess, 2 of 20 frames of 0.05 s (threshold: quantile 1 of 30 frames of 3 normal "
        "recordings)"
    )
    assert lines[5].split() == ["begin,", "s", "end,", "s", "peak", "mean", "file"]
    assert lines[6].split()[:2] == ["0.200", "0.300"] and lines[6].endswith("b.wav")
    assert lines[7:] == [f"{out}: written"]


def test_a_negative_threshold_is_one(run, voice, new):
    said = result(run, voice, new / "a.wav", "--threshold", "-9.5")
    assert [(s["begin"], s["end"]) for s in said["files"][0]["segments"]] == [(0, 4100 / 8000)]


def test_too_few_normal_frames_for_the_quantile_are_remarked(run, voice, normal, new):
    errors = run("score", voice, new, "--normal", normal)[2].splitlines()
    assert (
        "fastwavenet: the threshold is the maximum of 30 normal frames: the quantile 0.999 "
        in (errors[-1])
    )
    assert errors[-1].endswith("needs at least 1,000")
    for quantile in (0.9, 1):
        assert (
            "maximum" not in run("score", voice, new, "--normal", normal, "--quantile", quantile)[2]
        )


def test_normal_recordings_shorter_than_a_frame_are_left_out(run, voice, normal, new):
    line = (voice, new, "--normal", normal, "--quantile", 1)
    expected = result(run, *line)
    record(normal / "short.wav", noise(HOP - 1), rate=8000)
    assert result(run, *line) == expected
    assert "short.wav: shorter than a frame: left out" in run("score", *line)[2]
    record(normal / "short.wav", noise(HOP), rate=8000)
    assert result(run, *line)["normal_frames"] == 31


def test_normal_recordings_without_a_whole_frame_are_an_error(run, voice, normal, new):
    code, said, errors = run("score", voice, new, "--normal", normal, "--hop", 0.6)
    message = "fastwavenet: error: --normal: expected a recording of at least a frame, 0.6 s"
    assert (code, said) == (2, "") and errors.splitlines()[-1] == message


# ---- labels and picture ------------------------------------------------------------------------


def test_labels_of_one_recording_are_one_file(run, voice, normal, new, tmp_path):
    out = tmp_path / "labels.txt"
    file = new / "deeper" / "b.wav"
    result(run, voice, file, "--normal", normal, "--quantile", 1, "--labels", out)
    assert [label[:2] for label in labels_of(out)] == [(0.2, 0.3)]


def test_labels_of_several_sources_lie_at_their_places(run, voice, new, tmp_path):
    out = tmp_path / "labels"
    line = (voice, new / "a.wav", new / "deeper", "--threshold", 0, "--labels", out)
    result(run, *line)
    assert sorted(file.name for file in out.iterdir()) == ["a.txt", "b.txt"]
    again = result(run, *line)  # files are replaced
    assert again["written"] == [str(out)]


@pytest.mark.parametrize("threshold", [(), ("--threshold", 0.1)])
def test_the_picture_shows_each_recording(run, voice, new, tmp_path, threshold):
    pytest.importorskip("matplotlib")
    out = tmp_path / "p.png"
    result(run, voice, new, "--plot", out, *threshold)
    assert out.read_bytes().startswith(b"\x89PNG")
    short = record(tmp_path / "short.wav", tone(3), rate=8000)
    result(run, voice, short, "--plot", out, *threshold)


def test_the_picture_of_a_long_recording_shows_segments_narrower_than_a_pixel(tmp_path):
    pytest.importorskip("matplotlib")
    edges = np.arange(0, 600.05, 0.05)
    nats = np.zeros(len(edges) - 1, np.float32)
    plain = Timeline("a", np.zeros((2, 2)), 8000, edges, nats, "nats", 1.0, [])
    pictures = set()
    for begin in (None, 63.3, 160.95, 163.8, 525.25):
        segments = [] if begin is None else [(begin, begin + 0.05)]
        save_timelines(tmp_path / "p.png", [plain._replace(segments=segments)])
        pictures.add((tmp_path / "p.png").read_bytes())
    assert len(pictures) == 5


def test_shards_write_the_labels_of_all(run, voice, new, tmp_path):
    for part in ("1/3", "2/3", "3/3"):  # one is empty
        line = ("score", voice, new, "--threshold", 0, "--labels", tmp_path / "out")
        assert run(*line, "--shard", part)[0] == 0
    assert run("score", voice, new, "--threshold", 0, "--labels", tmp_path / "whole")[0] == 0
    for name in ("a.txt", "deeper/b.txt"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


# ---- conditioned models ------------------------------------------------------------------------


def test_a_vocoder_takes_the_mel_frames_of_each_recording(run, tmp_path, normal, new):
    mel = fw.Mel(sample_rate=8000, n_fft=256, hop=20, window=256, mels=5, fmin=0, fmax=4000)
    spec = small_spec(conditioning=FrameConditioning(5, 20, "linear", features=mel))
    voice = tmp_path / "mel.safetensors"
    modelfile.save(voice, spec, random_weights(spec, 3))
    out = tmp_path / "out.csv"
    said = result(run, voice, new / "a.wav", "--normal", normal, "--quantile", 0.9, "-o", out)
    audio = audio_of(new / "a.wav")
    found = fw.surprise(fw.load(voice), audio, HOP, frames=fw.mel(audio, mel))
    assert [np.float32(row["nats"]) for row in rows_of(out)] == list(found.nats)
    assert said["normal_frames"] == 30


def test_other_frames_are_those_of_the_file_and_take_a_known_threshold(
    run, refused, tmp_path, normal, new
):
    spec = small_spec(conditioning=FrameConditioning(3, 20))
    voice, frames = tmp_path / "pitch.safetensors", tmp_path / "frames.npy"
    modelfile.save(voice, spec, random_weights(spec, 3))
    np.save(frames, random_frames(spec, 4100, 1))
    line = (voice, new / "a.wav", "--frames", frames)
    assert len(result(run, *line, "--threshold", 0)["files"][0]["segments"]) >= 1
    message = "--normal: the model's frames are no mel frames of recordings: give --threshold"
    assert refused("score", *line, "--normal", normal) == message


# ---- errors ------------------------------------------------------------------------------------


def test_options_that_do_not_fit_are_one_line_before_the_work(
    refused, run, voice, normal, new, tmp_path
):
    (tmp_path / "empty").mkdir()
    for number in range(9):
        record(tmp_path / "nine" / f"{number}.wav", tone(100), rate=8000)
    both = record(tmp_path / "twins" / "a.flac", tone(100), rate=8000)
    record(tmp_path / "twins" / "a.wav", tone(100), rate=8000)
    a, out = new / "a.wav", tmp_path / "out"
    cases = {
        (a, "--hop", 0): "--hop must be from 0.00025 to 60 seconds, not 0.0",
        (a, "--hop", 800): "--hop must be from 0.00025 to 60 seconds, not 800.0",
        (a, "--hop", "nan"): "--hop must be from",
        (a, "--hop", "0.05s"): "invalid float value: '0.05s'",
        (a, "--smooth", 2): "smooth must be an odd whole number of frames from 1 to 999, not 2",
        (a, "--by", "bits"): "choose from",
        (a, "--normal", normal, "--quantile", 1.5): "--quantile must be from 0 to 1, not 1.5",
        (a, "--normal", normal, "--quantile", "nan"): "--quantile must be from 0 to 1, not nan",
        (a, "--quantile", 0.9): "--quantile belongs to --normal: name normal recordings",
        (a, "--normal", normal, "--threshold", 1): "each state a threshold: leave one out",
        (a, "--threshold", "inf"): "threshold must be a finite number, not inf",
        (a, "--labels", out): "--labels needs a threshold: name --normal recordings, or",
        (a, "--normal", tmp_path / "empty"): "empty: expected audio files",
        (a, "--normal", tmp_path / "none"): "none: no such file or folder",
        (a, "-o", tmp_path / "no" / "x.csv"): "the folder",
        (a, "-o", a): "is read and would be replaced: name another output",
        (a, "--normal", normal, "-o", normal / "1.wav"): "is read and would be replaced",
        (a, "-o", voice): "is read and would be replaced: name another output",
        (a, "--hop", 0.1, "-o", out, "--plot", out): "the name must end in .png",
        (a, "--threshold", 0, "-o", out, "--labels", out): "would be written twice",
        (a, "--plot", tmp_path / "p.jpg"): "p.jpg: the name must end in .png",
        (tmp_path / "nine", "--plot", tmp_path / "p.png"): "draws up to 8 recordings, not 9",
        (tmp_path / "twins", "--threshold", 0, "--labels", out): "would hold the labels of both",
        (new, "--threshold", 0, "--labels", both): "is a file, expected a folder",
    }
    for line, message in cases.items():
        assert message in refused("score", voice, *line), line
    assert not out.exists()


def test_an_error_in_the_middle_leaves_no_file(refused, voice, new, tmp_path):
    (tmp_path / "bad.wav").write_text("no audio")
    files = (tmp_path / "out.csv", tmp_path / "out")
    line = (new, tmp_path / "bad.wav", "--threshold", 0, "-o", files[0], "--labels", files[1])
    assert "bad.wav" in refused("score", voice, *line)
    assert not any(file.exists() for file in files)


def test_a_full_disk_leaves_the_old_report(refused, voice, new, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("old")
    with full_disk(100):
        assert "out.csv" in refused("score", voice, new, "-o", out)
    assert out.read_text() == "old"
    assert sorted(file.name for file in tmp_path.glob(".*")) == []
