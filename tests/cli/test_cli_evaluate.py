"""`fastwavenet evaluate`: its table and JSON, the sounds that it keeps, and all that it refuses."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from networks import random_weights, small_spec
from recordings import full_disk

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.cli import evaluate as command
from fastwavenet.ends import FrameConditioning, Pitch

MEL = fw.mel_presets()["hifigan-16k"]
END = FrameConditioning(80, 256, features=MEL)
OTHER = FrameConditioning(3, 80)  # no mel frames
FIXED = ["the recording itself", "codec alone (256 levels)"]
FITS = ["Griffin-Lim, 32 iterations", "Griffin-Lim, 200 iterations"]
USUAL = [*FIXED, *FITS, "noise, matched 32 x"]
USUAL += [f"float32, temperature 1{matched}" for matched in ("", ", matched 32 x")]
FEW = ["--griffin-lim", "1", "--match", "0"]


def saved(path, conditioning=END):
    spec = small_spec(conditioning=conditioning, sample_rate=16000, levels=256)
    modelfile.save(path, spec, random_weights(spec, 3))
    return path


@pytest.fixture
def voice(tmp_path):
    return saved(tmp_path / "voice.safetensors")


@pytest.fixture
def other(tmp_path):
    return saved(tmp_path / "other.safetensors", OTHER)


def noise(path, n: int, rate: int = 16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = np.random.default_rng(n).uniform(-0.5, 0.5, n)
    fw.write_audio(path, audio, rate)
    return path


@pytest.fixture
def speech(tmp_path):
    """A folder of three recordings of 3, 4 and 5 frames and a bit."""
    for frames, name in ((3, "a"), (4, "b"), (5, "c")):
        noise(tmp_path / f"speech/{name}.wav", 256 * frames + 77)
    return tmp_path / "speech"


@pytest.fixture
def frames(tmp_path, speech):
    """A folder with a file of frames for each."""
    (tmp_path / "f0").mkdir()
    for file in speech.iterdir():
        n = len(fw.read_audio(file)[0]) // 80
        np.save(tmp_path / f"f0/{file.stem}.npy", np.random.default_rng(n).standard_normal((n, 3)))
    return tmp_path / "f0"


@pytest.fixture
def found(run):
    """Runs the command with --json; the object."""

    def main(*argv) -> dict:
        code, said, errors = run("evaluate", *argv, "--json")
        assert code == 0, errors
        return json.loads(said)

    return main


def names(values: dict) -> list[str]:
    return [row["name"] for row in values["rows"]]


def files(values: dict) -> list[str]:
    return [os.path.basename(of["file"]) for of in values["recordings"]]


# ---- results -----------------------------------------------------------------------------------


def test_the_table_has_the_rows_of_the_file(run, voice, speech, tmp_path):
    out = tmp_path / "quality.json"
    code, said, errors = run("evaluate", "-m", voice, speech, "-o", out)
    assert (code, errors) == (0, "")
    *table, last = said.splitlines()
    assert last == f"{out}: written"
    values = json.loads(out.read_text())
    assert names(values) == USUAL and len(set(map(len, table))) == 1
    assert table[0].startswith("| 3 recordings, 0.2 s ")
    rows = fw.evaluate(fw.load(voice), [fw.read_audio(f)[0] for f in sorted(speech.iterdir())])
    for text, row, shown in zip(table[2:], rows, values["rows"], strict=True):
        expected = row.to_dict() | {"times_real_time": shown["times_real_time"]}
        assert shown == expected
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        assert cells[:-1] == [row.name, *command.cells(row)][:-1]


def test_passes_of_mel_matching_have_rows_of_their_own(found, refused, voice, speech):
    line = ["evaluate", "-m", voice, speech, "--griffin-lim", "none", "--match"]
    assert names(found(*line[1:], "2,0")) == [
        *FIXED,
        "noise, matched 2 x",
        "float32, temperature 1, matched 2 x",
        "float32, temperature 1",
    ]
    for wrong in ("", "-1", "1.5", "1001", "0,x"):
        assert "must be numbers from 0 to 1000, as 0,32" in refused(*line, wrong)


def test_json_has_all_figures_and_the_same_again(found, voice, speech, tmp_path):
    line = ["-m", voice, speech, "--precisions", "float32,int8", "--temperature", "1,0.8", *FEW]
    values = found(*line, "--min-p", "0.05", "--seed", 5)
    assert {key: values[key] for key in ("made_by", "format", "model", "seed", "missing")} == {
        "made_by": "fastwavenet evaluate",
        "format": 1,
        "model": str(voice),
        "seed": 5,
        "missing": [],
    }
    assert values["cpu"] and values["version"] == fw.__version__
    seconds = [(256 * frames + 77) / 16000 for frames in (3, 4, 5)]
    expected = [str(speech / f"{name}.wav") for name in "abc"]
    assert [(of["file"], of["seconds"]) for of in values["recordings"]] == list(
        zip(expected, seconds, strict=True)
    )
    draws = [f"temperature {t}; min_p 0.05" for t in ("1", "0.8")]
    models = [f"{of}, {draw}" for of in ("float32", "int8") for draw in draws]
    assert names(values) == [*FIXED, "Griffin-Lim, 1 iterations", *models]
    again = found(*line, "--min-p", "0.05", "--seed", 5, "-o", tmp_path / "file.json")
    for row in (*values["rows"], *again["rows"]):
        assert set(row) == {"name", *command.COLUMNS, "recordings"} and len(row["recordings"]) == 3
        assert set(row["recordings"][0]) == set(command.COLUMNS) - {"times_real_time"}
        row.pop("times_real_time")
    assert values == again
    written = json.loads((tmp_path / "file.json").read_text())
    for row in written["rows"]:
        row.pop("times_real_time")
    assert written == again


def test_nats_are_those_of_score(found, run, voice, speech):
    row = found("-m", voice, speech, "--griffin-lim", "none")["rows"][-1]
    scored = json.loads(run("score", voice, speech, "--json")[1])
    for of, file in zip(row["recordings"], scored["files"], strict=True):
        assert of["nats_per_sample"] == pytest.approx(file["nats_per_sample"], abs=1e-6)
    assert row["nats_per_sample"] == pytest.approx(scored["all"]["nats_per_sample"], abs=1e-6)


def test_quiet_says_nothing(run, voice, speech):
    assert run("evaluate", "-m", voice, speech, *FEW, "--quiet") == (0, "", "")


def test_a_run_folder_is_its_best_model(found, voice, speech, tmp_path):
    (tmp_path / "run").mkdir()
    voice.rename(tmp_path / "run/model.safetensors")
    assert names(found("-m", tmp_path / "run", speech)) == USUAL


def test_files_and_folders_come_in_their_order(found, voice, speech):
    values = found("-m", voice, speech / "c.wav", speech, *FEW)
    assert files(values) == ["c.wav", "a.wav", "b.wav", "c.wav"]
    row = values["rows"][-1]["recordings"]
    assert row[0] == row[3]


# ---- recordings that are left out --------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_first_recordings_take_part(run, voice, speech, tmp_path, count):
    out = tmp_path / "quality.json"
    code, _, errors = run("evaluate", "-m", voice, speech, *FEW, "--count", count, "-o", out)
    assert code == 0 and files(json.loads(out.read_text())) == ["a.wav", "b.wav", "c.wav"][:count]
    left_out = f"fastwavenet: took the first {count} of 3 recordings: --count 3 takes all\n"
    assert errors == (left_out if count < 3 else "")


def test_in_a_folder_unusable_recordings_are_skipped_with_a_warning(run, voice, speech):
    noise(speech / "short.wav", 255)
    noise(speech / "slow.wav", 4096, 8000)
    (speech / "broken.wav").write_bytes(b"RIFF")
    code, said, errors = run("evaluate", "-m", voice, speech, *FEW)
    assert code == 0 and "| 3 recordings" in said
    assert "broken.wav" in errors and "slow.wav: has 8000 Hz, expected 16000 Hz" in errors
    assert "short.wav: has 255 samples, expected at least a frame of 256" in errors
    assert [line[:21] for line in errors.splitlines()] == ["fastwavenet: skipped "] * 3


def test_convert_resamples_and_mixes_down(found, voice, tmp_path):
    fw.write_audio(tmp_path / "a.wav", np.zeros((8000, 2)) + 0.1, 8000)
    values = found("-m", voice, tmp_path / "a.wav", "--convert", *FEW)
    assert values["recordings"][0]["seconds"] == pytest.approx(1, abs=0.01)


# ---- frames and speakers -----------------------------------------------------------------------


def test_frames_of_other_features_come_from_a_folder_or_a_file(found, other, speech, frames):
    values = found("-m", other, speech, "--frames", frames)
    assert names(values) == [*FIXED, "float32, temperature 1"]
    one = found("-m", other, speech / "b.wav", "--frames", frames / "b.npy")
    each = values["rows"][-1]["recordings"]
    assert one["rows"][-1]["recordings"] == each[1:2]
    again = found("-m", other, speech / "b.wav", speech, "--frames", frames)
    assert again["rows"][-1]["recordings"] == [each[1], *each]


def test_mel_frames_without_pitch_are_taken_where_pitch_is_predicted(found, speech, tmp_path):
    end = FrameConditioning(83, 256, features=MEL, pitch=Pitch(hidden=4))
    model, file = saved(tmp_path / "pitch.safetensors", end), tmp_path / "b.npy"
    np.save(file, fw.mel(fw.read_audio(speech / "b.wav")[0], MEL))
    one = found("-m", model, speech / "b.wav", "--frames", file, *FEW)
    (tmp_path / "mels").mkdir()
    file.rename(tmp_path / "mels/b.npy")
    for name in ("a.wav", "c.wav"):
        (speech / name).unlink()
    again = found("-m", model, speech, "--frames", tmp_path / "mels", *FEW)
    assert one["rows"][-1]["recordings"] == again["rows"][-1]["recordings"]


def test_frames_that_are_missing_or_too_few_are_named(run, refused, other, speech, frames):
    (frames / "b.npy").unlink()
    np.save(frames / "c.npy", np.zeros((2, 3)))
    code, said, errors = run("evaluate", "-m", other, speech, "--frames", frames)
    assert code == 0 and "| 1 recording, " in said
    assert "b.npy" in errors and "need at least 16 frames, not 2" in errors
    line = ["evaluate", "-m", other, speech / "b.wav", "--frames", frames]
    assert "b.npy" in refused(*line)


def test_the_speaker_is_given_by_name_or_number(found, refused, speech, tmp_path):
    end = FrameConditioning(80, 256, speakers=("ann", "bob"), speaker_channels=3, features=MEL)
    voice = saved(tmp_path / "crowd.safetensors", end)
    line = ["-m", voice, speech, *FEW, "--speaker"]
    by_name, by_number = (found(*line, who)["rows"][-1] for who in ("bob", "1"))
    assert by_name["recordings"] == by_number["recordings"]
    assert "ann" in refused("evaluate", "-m", voice, speech)


# ---- without the packages of the extra ---------------------------------------------------------

HIDDEN = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None  # as if it were not installed
from fastwavenet.cli import main
code = main(sys.argv[2:])
assert not {"torch", "matplotlib"} & set(sys.modules)  # no other extra is needed
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("missing", "remark", "empty"),
    [
        (["pystoi"], "no ESTOI: pystoi missing", ["estoi"]),
        (["pesq"], "no PESQ-WB: pesq missing", ["pesq_wb"]),
        (["pystoi", "pesq"], "no ESTOI and PESQ-WB: pystoi and pesq missing", ["estoi", "pesq_wb"]),
    ],
)
def test_without_its_package_a_column_is_empty_and_a_remark_says_why(
    voice, tmp_path, missing, remark, empty
):
    file, out = noise(tmp_path / "a.wav", 8000), tmp_path / "quality.json"
    line = ["evaluate", "-m", voice, file, "-o", out, *FEW]
    words = [sys.executable, "-c", HIDDEN, ",".join(missing), *map(str, line)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    expected = f"fastwavenet: {remark}, pip install 'fastwavenet[evaluate]'\n"
    assert (done.returncode, done.stderr) == (0, expected)
    values = json.loads(out.read_text())
    assert values["missing"] == missing
    for row in values["rows"]:
        assert [key for key in ("estoi", "pesq_wb") if row[key] is None] == empty


# ---- sounds that are kept ----------------------------------------------------------------------


def test_kept_sounds_are_those_that_were_measured(found, voice, speech, tmp_path):
    kept = tmp_path / "kept"
    found("-m", voice, speech, *FEW, "--seed", 3, "--keep", kept)
    assert sorted(path.name for path in kept.iterdir()) == [
        "codec-alone-256-levels",
        "float32-temperature-1",
        "griffin-lim-1-iterations",
        "the-recording-itself",
    ]
    for name, count in (("a", 3), ("b", 4), ("c", 5)):
        audio = fw.read_audio(speech / f"{name}.wav")[0]
        read = {place.name: fw.read_audio(place / f"{name}.wav")[0] for place in kept.iterdir()}
        assert np.array_equal(read["the-recording-itself"], audio[: 256 * count])
        made = fw.vocode(fw.load(voice), audio, seed=3, match=0)
        assert np.abs(read["float32-temperature-1"] - made).max() <= 2**-15
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


def test_an_empty_folder_is_filled_and_another_one_is_refused(found, refused, voice, speech):
    kept = speech.parent / "kept"
    kept.mkdir()
    found("-m", voice, speech, *FEW, "--keep", kept)
    assert len(list(kept.iterdir())) == 4
    line = ["evaluate", "-m", voice, speech, *FEW, "--keep"]
    assert "kept is not empty: name a new folder" in refused(*line, kept)
    assert "voice.safetensors is a file, expected a folder" in refused(*line, voice)
    assert "none does not exist" in refused(*line, speech.parent / "none/kept")


def test_of_two_recordings_with_a_name_only_the_sounds_cannot_be_kept(
    run, refused, voice, speech, tmp_path
):
    noise(speech / "more/a.wav", 600)
    line = ["evaluate", "-m", voice, speech, *FEW, "--quiet"]
    assert run(*line) == (0, "", "")
    assert "1 names are those of several recordings, as 'a'" in refused(
        *line, "--keep", tmp_path / "kept"
    )
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "disk full")])
def test_an_error_leaves_neither_sounds_nor_figures(
    run, voice, speech, tmp_path, monkeypatch, error
):
    calls = []

    def fails_late(*arguments):
        calls.append(arguments)
        if len(calls) > 4:  # in the second row
            raise error
        return save(*arguments)

    save = command.KeptSounds.add.__globals__["save_voice"]
    monkeypatch.setitem(command.KeptSounds.add.__globals__, "save_voice", fails_late)
    before = set(tmp_path.iterdir())
    outputs = ["--keep", tmp_path / "kept", "-o", tmp_path / "quality.json"]
    code, _, errors = run("evaluate", "-m", voice, speech, *FEW, *outputs)
    assert code == (130 if error is KeyboardInterrupt else 2) and errors.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


def test_a_full_disk_leaves_nothing(run, voice, speech, tmp_path):
    before = set(tmp_path.iterdir())
    with full_disk(1000):
        code, _, errors = run("evaluate", "-m", voice, speech, *FEW, "--keep", tmp_path / "kept")
    assert code == 2 and errors.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


# ---- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-m", "VOICE"], "the following arguments are required: AUDIO"),
        (["SPEECH"], "the following arguments are required: -m/--model"),
        (["BOTH", "--count", "0"], "--count must be a whole number from 1 to 1000000, not 0"),
        (["BOTH", "--seed", "-1"], "--seed must be a whole number from 0"),
        (["BOTH", "--temperature", "1,-2"], "temperature must be 0"),
        (["BOTH", "--temperature", "1,,2"], "could not convert string to float: ''"),
        (["BOTH", "--min-p", "1.5"], "min_p must be from 0 to 1, not 1.5"),
        (["BOTH", "--precisions", "int8,int4"], "precision must be one of auto, float32"),
        (["BOTH", "--griffin-lim", "32,0"], "must be none or numbers from 1 to 10000"),
        (["BOTH", "--griffin-lim", "few"], "as 32,200, not 'few'"),
        (["BOTH", "--speaker", "ann"], "the model has no speakers"),
        (["BOTH", "--frames", "FRAMES"], "must have shape (frames, 80)"),
        (["BOTH", "-o", "none/out.json"], "none does not exist"),
        (["BOTH", "-o", "SPEECH"], "is a folder, expected a file name"),
        (["BOTH", "-o", "VOICE"], "voice.safetensors is read and would be replaced"),
        (["BOTH", "-o", "speech/b.wav"], "b.wav is read and would be replaced"),
        (["-m", "VOICE", "EMPTY"], "expected audio files (.wav"),
        (["-m", "VOICE", "NONE"], "no such file or folder"),
        (["-m", "NONE", "SPEECH"], "none"),
        (["-m", "VOICE", "SHORT"], "has 255 samples, expected at least a frame of 256"),
        (["-m", "VOICE", "SLOW"], "has 8000 Hz, expected 16000 Hz"),
        (["-m", "PLAIN", "SPEECH"], "takes no frames, so its sound follows no recording"),
        (["-m", "OTHER", "SPEECH"], "the model's frames are no mel frames of recordings"),
        (["-m", "OTHER", "SPEECH", "--frames", "F0/a.npy"], "belongs to one recording"),
        (["-m", "OTHER", "SPEECH/a.wav", "--frames", "NONE"], "none"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_the_work(
    voice, other, speech, frames, tmp_path, monkeypatch, refused, options, expected
):
    monkeypatch.setattr(fw.evaluation._Work, "measured", lambda *_: pytest.fail("measured"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    places = {
        "VOICE": voice,
        "OTHER": other,
        "PLAIN": saved(tmp_path / "plain.safetensors", None),
        "SPEECH": speech,
        "FRAMES": frames,
        "EMPTY": tmp_path / "empty",
        "NONE": tmp_path / "none",
        "SHORT": noise(tmp_path / "short.wav", 255),
        "SLOW": noise(tmp_path / "slow.wav", 4096, 8000),
        "SPEECH/a.wav": speech / "a.wav",
        "F0/a.npy": frames / "a.npy",
    }
    words = [w for o in options for w in (["-m", "VOICE", "SPEECH"] if o == "BOTH" else [o])]
    before = set(tmp_path.rglob("*"))
    assert expected in refused("evaluate", *(places.get(word, word) for word in words))
    assert set(tmp_path.rglob("*")) == before


def test_two_sources_whose_recordings_would_share_a_file_of_frames_are_refused(
    refused, other, speech, frames, tmp_path
):
    noise(tmp_path / "more/a.wav", 600)
    line = ["evaluate", "-m", other, speech, tmp_path / "more", "--frames", frames]
    assert "a.npy: would hold the frames of two recordings" in refused(*line)
