"""`fastwavenet bench --vocoder`: its rows, its table and file, and what it refuses."""

import json
import math

import numpy as np
import pytest
from networks import random_weights, small_spec

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.bench import vocoder_quality
from fastwavenet.bench.griffin_lim import griffin_lim
from fastwavenet.cli import main
from fastwavenet.ends import FrameConditioning, MuLawCodec

MEL = fw.mel_presets()["hifigan-16k"]
END = FrameConditioning(80, 256, features=MEL)
FIXED = ["the recording itself", "codec alone (256 levels)", "Griffin-Lim (fast, 60 iterations)"]
BOTH = ["--vocoder", "VOICE", "--recordings", "SPEECH"]  # names of `places` below


@pytest.fixture(scope="module")
def spec():
    return small_spec(conditioning=END, sample_rate=16000, levels=256)


@pytest.fixture
def voice(spec, tmp_path):
    return saved(tmp_path / "voice.safetensors", spec)


@pytest.fixture
def speech(tmp_path):
    """A folder of three recordings of 3, 4 and 5 frames and a bit."""
    folder = tmp_path / "speech"
    folder.mkdir()
    for frames, name in ((3, "a"), (4, "b"), (5, "c")):
        rng = np.random.default_rng(frames)
        fw.write_audio(folder / f"{name}.wav", rng.uniform(-0.5, 0.5, 256 * frames + 77), 16000)
    return folder


def saved(path, spec):
    modelfile.save(path, spec, random_weights(spec, 3))
    return path


def bench(*words) -> int:
    return main(["bench", *(str(word) for word in words)])


def test_a_row_for_each_precision_and_sampling_beside_griffin_lim_and_the_codec(
    voice, speech, tmp_path, capsys
):
    out = tmp_path / "quality.json"
    line = ["--vocoder", voice, "--recordings", speech, "--precisions", "float32,int8"]
    assert bench(*line, "--temperature", "1,0.8", "--min-p", "0,0.05", "-o", out) == 0
    found = json.loads(out.read_text())
    draws = [f"temperature {t}, min_p {p}" for t in ("1", "0.8") for p in ("0", "0.05")]
    models = [f"{precision}, {draw}" for precision in ("float32", "int8") for draw in draws]
    assert [row["name"] for row in found["rows"]] == FIXED + models
    assert found["recordings"] == [str(speech / f"{name}.wav") for name in "abc"]
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(printed) == 2 + len(found["rows"]) and len(set(map(len, printed))) == 1
    assert "| 3 recordings, 0 s " in printed[0]
    for text, row in zip(printed[2:], found["rows"], strict=True):
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        assert cells == [row["name"], *vocoder_quality.cells(row)]


def test_the_figures_are_those_of_the_sounds_that_the_library_makes(voice, speech, tmp_path):
    out, model = tmp_path / "quality.json", fw.load(voice, "int8")
    line = ["--vocoder", voice, "--recordings", speech / "c.wav", "--precisions", "int8"]
    assert bench(*line, "--temperature", "0.8", "--seed", 5, "-o", out) == 0
    audio = fw.read_audio(speech / "c.wav")[0][: 5 * 256]
    frames = fw.mel(audio, MEL)
    results = {
        FIXED[0]: audio,
        FIXED[1]: fw.mu_law_decode(fw.mu_law_encode(audio)),
        FIXED[2]: griffin_lim(frames, MEL, 5),
        "int8, temperature 0.8": fw.vocode(model, audio, seed=5, temperature=0.8),
    }
    rows = json.loads(out.read_text())["rows"]
    for row, (name, result) in zip(rows, results.items(), strict=True):
        assert row["name"] == name
        expected = vocoder_quality.measures([audio], [result], MEL)
        for key, number in expected.items():
            assert row[key] == (None if math.isnan(number) else number), (name, key)
    nats = fw.score(model, audio, frames=frames).mean(dtype=np.float64)
    assert rows[-1]["nats_per_sample"] == pytest.approx(nats)
    assert [row["nats_per_sample"] for row in rows[:3]] == [None] * 3
    assert [row["times_real_time"] is None for row in rows] == [True, True, False, False]


def test_recordings_count_alike_and_frames_of_pitch_count_alike():
    t = np.arange(16384) / 16000
    tone = sum(np.sin(2 * np.pi * 200 * k * t) / k for k in range(1, 9)).astype(np.float32) / 9
    higher = sum(np.sin(2 * np.pi * 212 * k * t) / k for k in range(1, 9)).astype(np.float32) / 9
    one = vocoder_quality.measures([tone], [higher], MEL)
    both = vocoder_quality.measures([tone, tone], [tone, higher], MEL)
    assert one["above_50_cents"] > 0.9 and one["pitch_cents"] == pytest.approx(100.9, abs=1)
    for key in ("log_mel_l1", "log_stft_l1", "above_50_cents", "voicing_error"):
        assert both[key] == pytest.approx(one[key] / 2, abs=0.02), key


def test_the_codec_alone_is_the_models_with_its_pre_emphasis(tmp_path):
    codec = MuLawCodec(255, 255, 255, pre_emphasis=0.85)
    spec = small_spec(conditioning=END, sample_rate=16000, levels=256, codec=codec)
    audio = np.random.default_rng(1).uniform(-0.4, 0.4, 512).astype(np.float32)
    _, by_codec, *_ = vocoder_quality.contenders(
        [fw.Model(spec, random_weights(spec, 1))], [audio], [{}], 0
    )
    assert by_codec.name == "codec alone (256 levels, pre-emphasis 0.85)"
    expected = fw.mu_law_decode(fw.mu_law_encode(audio, codec=codec), codec=codec)
    assert np.array_equal(by_codec.make([audio])[0], expected)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_first_recordings_by_name_take_part(voice, speech, tmp_path, count, capsys):
    out = tmp_path / "quality.json"
    assert bench("--vocoder", voice, "--recordings", speech, "--count", count, "-o", out) == 0
    names = [str(speech / f"{name}.wav") for name in "abc"]
    assert json.loads(out.read_text())["recordings"] == names[:count]
    assert f"| {min(count, 3)} recordings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--vocoder", "VOICE"], "--vocoder needs --recordings: files or folders"),
        (["--recordings", "SPEECH"], "--recordings goes with --vocoder MODEL, which is missing"),
        (["--seed", "0"], "--seed goes with --vocoder MODEL"),
        (["BOTH", "--quick"], "--quick is for measurements of speed, not for --vocoder"),
        (["BOTH", "--suite", "mu-law"], "--suite is for measurements of speed"),
        (["BOTH", "--from", "a.json"], "--from is for measurements of speed"),
        (["BOTH", "--count", "0"], "--count must be a whole number from 1 to 1000000, not 0"),
        (["BOTH", "--seed", "-1"], "--seed must be a whole number from 0"),
        (["BOTH", "--temperature", "1,-2"], "temperature must be 0"),
        (["BOTH", "--temperature", "1,,2"], "could not convert string to float: ''"),
        (["BOTH", "--min-p", "1.5"], "min_p must be from 0 to 1, not 1.5"),
        (["BOTH", "--precisions", "int8,int4"], "precision must be one of auto, float32"),
        (["BOTH", "-o", "none/out.json"], "none does not exist"),
        (["BOTH", "-o", "VOICE"], "voice.safetensors is read and would be replaced"),
        (["BOTH", "-o", "speech/b.wav"], "b.wav is read and would be replaced"),
        (["--vocoder", "VOICE", "--recordings", "EMPTY"], "expected audio files, found none"),
        (["--vocoder", "VOICE", "--recordings", "SHORT"], "has 255 samples, expected at least 256"),
        (["--vocoder", "VOICE", "--recordings", "SLOW"], "has 8000 Hz, expected 16000 Hz"),
        (["--vocoder", "PLAIN", "--recordings", "SPEECH"], "must be a model of mel frames"),
        (["--vocoder", "CROWD", "--recordings", "SPEECH"], "without speakers"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_the_work(
    voice, speech, tmp_path, monkeypatch, capsys, options, expected
):
    monkeypatch.setattr(vocoder_quality, "print_rows", lambda *_: pytest.fail("measured"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name, n, rate in (("short", 255, 16000), ("slow", 4096, 8000)):
        fw.write_audio(tmp_path / f"{name}.wav", np.full(n, 0.1), rate)
    crowd = FrameConditioning(80, 256, "held", ("ann", "bob"), 3, MEL)
    places = {
        "VOICE": voice,
        "SPEECH": speech,
        "EMPTY": tmp_path / "empty",
        "SHORT": tmp_path / "short.wav",
        "SLOW": tmp_path / "slow.wav",
        "PLAIN": saved(tmp_path / "plain.safetensors", small_spec()),
        "CROWD": saved(
            tmp_path / "crowd.safetensors", small_spec(conditioning=crowd, sample_rate=16000)
        ),
    }
    words = [w for o in options for w in (BOTH if o == "BOTH" else [o])]
    try:
        code = bench(*(places.get(word, word) for word in words))
    except SystemExit as end:
        code = end.code
    error = capsys.readouterr().err
    assert code == 2 and expected in error and error.count("\n") == 1
