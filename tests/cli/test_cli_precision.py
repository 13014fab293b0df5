"""--precision, `fastwavenet export --measure` and what `fastwavenet info` says of precisions."""

import json

import numpy as np
import pytest
import soundfile
from networks import random_weights, small_spec
from recordings import full_disk, record, tone

import fastwavenet as fw
from fastwavenet import modelfile

SECONDS = 0.2  # of a.wav and b.wav together


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    record(folder / "a.wav", tone(600), rate=8000)
    record(folder / "deeper" / "b.wav", tone(1000, hz=300), rate=8000)
    return folder


@pytest.fixture
def copy(tmp_path):
    return tmp_path / "copy.safetensors"


@pytest.fixture
def trained(voice, tmp_path):
    """A run folder with the voice as its best model, and another as its latest."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(voice.read_bytes())
    latest = random_weights(small_spec(), seed=2)
    modelfile.save(folder / "latest.safetensors", small_spec(), latest)
    return folder


def measured(path, folder):
    """What `measure_precision` finds on the recordings."""
    files = (folder / "a.wav", folder / "deeper" / "b.wav")
    return fw.measure_precision(path, *(soundfile.read(f, dtype="float32")[0] for f in files))


def tensors(path):
    """A model file's bytes behind its header."""
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little") :]


# ---- --precision -----------------------------------------------------------------------------


def test_generate_computes_in_the_precision_it_is_given(run, voice, tmp_path, precision):
    out = tmp_path / "out.wav"
    line = ("generate", voice, "-o", out, "--samples", 500, "--seed", 1, "--subtype", "FLOAT")
    said = json.loads(run(*line, "--precision", precision, "--json")[1])
    assert said["precision"] == precision
    expected = fw.generate(fw.load(voice, precision), n_samples=500, seed=1)
    np.testing.assert_array_equal(soundfile.read(out, dtype="float32")[0], expected)
    assert f", seed 1, {precision}, " in run(*line, "--precision", precision)[1]


def test_score_computes_in_the_precision_it_is_given(run, voice, recordings, precision):
    line = ("score", voice, recordings / "a.wav", "--precision", precision)
    said = json.loads(run(*line, "--json")[1])
    nats = fw.score(fw.load(voice, precision), soundfile.read(line[2], dtype="float32")[0])
    assert said["precision"] == precision
    assert said["all"]["nats_per_sample"] == nats.mean(dtype=float)
    assert run(*line)[1].splitlines()[-1].startswith(f"(in {precision}; guessing costs ")


@pytest.mark.parametrize("command", ["generate", "score"])
def test_without_it_the_file_decides(run, voice, recordings, tmp_path, command):
    more = {"generate": ("-o", tmp_path / "out.wav", "--samples", 9), "score": (recordings,)}
    for cost, expected in (({}, "float32"), ({"int8": 0.0}, "int8"), ({"int8": 1.0}, "float32")):
        fw.record_precision_cost(voice, cost)
        for options in ((), ("--precision", "auto")):
            said = json.loads(run(command, voice, *more[command], *options, "--json")[1])
            assert said["precision"] == expected


def test_an_unknown_precision_is_refused_and_the_known_ones_are_listed(refused, voice, tmp_path):
    expected = (
        "precision must be one of auto, float32, bfloat16, int8, bfloat16x16, int8x8, not 'int4'"
    )
    out = tmp_path / "out.wav"
    assert refused("generate", voice, "-o", out, "--precision", "int4") == expected
    assert refused("score", voice, out, "--precision", "int4") == expected
    assert not out.exists()


# ---- info ------------------------------------------------------------------------------------


def described(run, voice):
    """What `info` says to people: name -> text."""
    lines = (line.split("  ", 1) for line in run("info", voice)[1].splitlines())
    return {name: text.strip() for name, text in lines}


@pytest.mark.parametrize(
    ("cost", "expected", "said"),
    [
        ({}, "float32", "others were not measured: see fastwavenet export --measure"),
        ({"int8": 0.003}, "float32", "against float32: int8 +0.00300 nats per sample"),
        (
            {"bfloat16": -0.00001, "int8": 0.003},
            "bfloat16",
            "against float32: bfloat16 -0.00001, int8 +0.00300 nats per sample",
        ),
    ],
)
def test_info_says_what_is_recorded_and_what_follows(run, voice, cost, expected, said):
    fw.record_precision_cost(voice, cost)
    facts = json.loads(run("info", voice, "--json")[1])
    assert (facts["precision"], facts["precision_cost"]) == (expected, cost)
    read = fw.load(voice, expected).info()["step_bytes"]
    assert facts["bytes_read_per_sample"] == read
    assert facts["weight_bytes"] == small_spec().weight_bytes()
    text = described(run, voice)
    assert text["precision"] == f"{expected} ({said})"
    assert text["per sample"].endswith(f" {read:,} bytes read")


# ---- export --measure ------------------------------------------------------------------------


def test_export_writes_what_was_measured_into_the_file(run, trained, copy, recordings):
    code, said, errors = run("export", trained, "-o", copy, "--measure", recordings)
    best = trained / "model.safetensors"
    cost, model = measured(best, recordings), fw.load(copy)
    assert (code, errors, model.precision_cost) == (0, "", cost)
    assert tensors(copy) == tensors(best)
    assert said.splitlines() == [
        f"against float32 on {SECONDS} s: bfloat16 {cost['bfloat16']:+.5f}, "
        f"int8 {cost['int8']:+.5f}, bfloat16x16 {cost['bfloat16x16']:+.5f}, "
        f"int8x8 {cost['int8x8']:+.5f} nats per sample",
        f"{copy}: 3 layers, 8000 Hz, {copy.stat().st_size:,} bytes, {model.precision}",
    ]


def test_export_says_in_json_what_was_measured(run, trained, copy, recordings):
    said = json.loads(run("export", trained, "-o", copy, "--measure", recordings, "--json")[1])
    source = trained / "model.safetensors"
    assert said == {
        "output": str(copy),
        "source": str(source),
        "bytes": copy.stat().st_size,
        "precision_cost": measured(source, recordings),
        "precision": fw.load(copy).precision,
    }


def test_one_recording_is_enough_to_measure_on(run, trained, copy, recordings):
    file = recordings / "a.wav"
    assert run("export", trained, "-o", copy, "--measure", file, "--latest")[0] == 0
    audio = soundfile.read(file, dtype="float32")[0]
    expected = fw.measure_precision(trained / "latest.safetensors", audio)
    assert fw.load(copy).precision_cost == expected


def test_a_model_file_can_be_measured_in_its_place(run, voice, recordings):
    before, expected = tensors(voice), measured(voice, recordings)
    fw.record_precision_cost(voice, {"int8": 9.0})
    assert run("export", voice, "-o", voice, "--measure", recordings)[0] == 0
    assert fw.load(voice).precision_cost == expected
    assert tensors(voice) == before


def test_what_was_recorded_is_copied_along(run, voice, copy):
    fw.record_precision_cost(voice, {"bfloat16": 0.0})
    code, said, _ = run("export", voice, "-o", copy)
    assert (code, copy.read_bytes()) == (0, voice.read_bytes())
    assert said.endswith(" bytes, bfloat16\n")


def test_recordings_that_cannot_be_used_are_skipped_and_said(run, voice, copy, recordings):
    expected = measured(voice, recordings)
    record(recordings / "other.wav", tone(900), rate=16000)
    code, _, errors = run("export", voice, "-o", copy, "--measure", recordings)
    assert (code, fw.load(copy).precision_cost) == (0, expected)
    assert errors.startswith(f"fastwavenet: skipped {recordings / 'other.wav'}: has 16000 Hz, exp")
    assert run("export", voice, "-o", copy, "--measure", recordings, "--convert")[2] == ""


def test_what_cannot_be_measured_on_is_refused_by_name(refused, voice, copy, recordings, tmp_path):
    (tmp_path / "empty").mkdir()
    cases = {
        tmp_path / "none": "no such file or folder",
        tmp_path / "empty": "expected audio files (.wav .rf64 .flac ",
        record(tmp_path / "rate.wav"): "has 16000 Hz, expected 8000 Hz: ",
        record(tmp_path / "stereo.wav", np.zeros((9, 2)), rate=8000): "has 2 channels, expected 1",
        record(tmp_path / "one.wav", tone(1), rate=8000): "has 1 sample, expected at least 2",
    }
    for source, message in cases.items():
        line = refused("export", voice, "-o", copy, "--measure", source)
        assert line.startswith(f"{source}: {message}")
        assert not copy.exists()


def test_the_latest_weights_are_those_of_a_run(refused, voice, copy):
    line = refused("export", voice, "-o", copy, "--latest")
    assert line == f"{voice} is a file, expected a run folder to take --latest from"


def test_where_the_file_cannot_be_written_is_known_before_the_work(refused, voice, tmp_path):
    out = tmp_path / "none" / "voice.safetensors"
    line = refused("export", voice, "-o", out, "--measure", tmp_path / "unread")
    assert line == f"{out}: the folder {out.parent} does not exist"


def test_a_full_disk_keeps_the_file_that_was_measured(refused, voice, recordings):
    before = voice.read_bytes()
    with full_disk(1000):
        line = refused("export", voice, "-o", voice, "--measure", recordings)
    assert line == f"{voice}: File too large"
    assert voice.read_bytes() == before


# ---- export --round-for-int8 -----------------------------------------------------------------


def test_export_rounds_on_the_recordings_of_a_folder(run, voice, copy, recordings):
    assert run("export", voice, "-o", copy, "--round-for-int8", recordings)[0] == 0
    files = (recordings / "a.wav", recordings / "deeper" / "b.wav")
    fw.round_for_int8(voice, *(soundfile.read(f, dtype="float32")[0] for f in files))
    assert copy.read_bytes() == voice.read_bytes()
    assert fw.load(copy).precision_cost == {}


def test_what_is_measured_is_the_rounded_network(run, voice, copy, recordings):
    line = ("export", voice, "-o", copy, "--measure", recordings, "--round-for-int8", recordings)
    assert run(*line)[0] == 0
    assert fw.load(copy).precision_cost == measured(copy, recordings)


def test_what_cannot_be_rounded_is_refused(refused, voice, copy, recordings, tmp_path):
    both = ("--measure", recordings, "--round-for-int8", recordings)
    assert refused("export", voice, "-o", copy, *both, "--frames", tmp_path / "a.npy") == (
        "--frames are those of one recording: round first, then measure in a call of its own"
    )
    to = ("--to", "wavenet-coding", "--round-for-int8", recordings)
    assert refused("export", voice, "-o", tmp_path / "folder", *to) == (
        "--round-for-int8 makes a model file: leave out --to, or round first"
    )
    assert not copy.exists()
