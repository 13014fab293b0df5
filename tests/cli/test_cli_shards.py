"""`--shard I/N`: the results of all shards together are those of a run without it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import random_frames, random_weights, small_spec
from recordings import record, tone

from fastwavenet import modelfile
from fastwavenet.cli.shards import Shard
from fastwavenet.ends import FrameConditioning

MEL_LIKE = small_spec(conditioning=FrameConditioning(3, 20, "linear"))


@given(st.lists(st.integers()), st.integers(1, 60))
def test_all_shards_in_their_order_are_the_list_and_differ_by_at_most_one(items, count):
    shards = [Shard(number, count).of(items) for number in range(1, count + 1)]
    assert sum(shards, []) == items
    lengths = list(map(len, shards))
    assert max(lengths) - min(lengths) <= 1


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def in_shards(count, call):
    """Calls of each shard in turn, the last one first."""
    for number in range(count, 0, -1):
        assert call("--shard", f"{number}/{count}")[0] == 0


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7])
def test_the_voices_of_all_shards_are_those_of_one_batch(run, voice, tmp_path, count):
    def generate(folder, *options):
        (tmp_path / folder).mkdir(exist_ok=True)
        line = ["generate", voice, "-o", tmp_path / folder / "out.wav", "--samples", 60]
        return run(*line, "--batch", 6, "--stream", 4, "--seed", 7, *options)

    assert generate("whole")[0] == 0
    in_shards(count, lambda *shard: generate("shards", *shard))
    assert content(tmp_path / "shards") == content(tmp_path / "whole")
    assert len(set(content(tmp_path / "whole").values())) == 6


@pytest.fixture
def vocoder(tmp_path):
    path = tmp_path / "vocoder.safetensors"
    modelfile.save(path, MEL_LIKE, random_weights(MEL_LIKE, 3))
    return path


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7])
def test_the_sounds_of_all_shards_are_those_of_one_call(run, vocoder, tmp_path, count):
    for folder, names in {"mels": "cab", "more": "fed"}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            frames = random_frames(MEL_LIKE, 20 * (ord(name) - 94), ord(name))
            np.save(tmp_path / folder / f"{name}.npy", frames)

    def vocode(folder, *options):
        sources = tmp_path / "more", tmp_path / "mels"
        line = ["vocode", *sources, "-m", vocoder, "-o", tmp_path / folder, "--seed", 7]
        return run(*line, "--batch", 2, *options)

    assert vocode("whole")[0] == 0
    in_shards(count, lambda *shard: vocode("shards", *shard))
    assert content(tmp_path / "shards") == content(tmp_path / "whole")
    assert len(content(tmp_path / "whole")) == 6


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_the_scores_of_all_shards_are_those_of_one_call(run, voice, tmp_path, count):
    for n, name in enumerate(("x/a.wav", "x/b.wav", "y/c.wav", "y/d.wav")):
        record(tmp_path / name, tone(100 + n), rate=8000)

    def score(*options):
        code, printed, errors = run(
            "score", voice, tmp_path / "y", tmp_path / "x", "--json", *options
        )
        assert (code, errors) == (0, "")
        return json.loads(printed)["files"]

    numbers = range(1, count + 1)
    assert sum((score("--shard", f"{number}/{count}") for number in numbers), []) == score()


def test_a_shard_without_inputs_is_no_error(run, voice, vocoder, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    record(tmp_path / "a.wav", tone(100), rate=8000)
    seeded = "--seed", 7, "--shard", "1/2"
    out = tmp_path / "out"
    generated = run("generate", voice, "-o", tmp_path / "o.wav", "--batch", 1, *seeded)
    vocoded = run("vocode", tmp_path / "a.npy", "-m", vocoder, "-o", out, *seeded)
    scored = run("score", voice, tmp_path / "a.wav", "--shard", "1/2")
    for result, inputs in (
        (generated, "voices"),
        (vocoded, "sounds"),
        (scored, "usable recordings"),
    ):
        assert result == (0, f"nothing to do: there are no {inputs} in shard 1/2\n", "")
    assert not out.exists() and not list(tmp_path.glob("o*.wav"))
    scored = run("score", voice, tmp_path / "a.wav", "--shard", "1/2", "--json")
    assert json.loads(scored[1]) == {"files": []}


def test_a_recording_that_cannot_be_used_is_skipped_in_its_shard(run, voice, tmp_path):
    record(tmp_path / "in" / "a.wav", tone(100), rate=8000)
    record(tmp_path / "in" / "b.wav", tone(100), rate=44100)
    code, printed, errors = run("score", voice, tmp_path / "in", "--shard", "2/2")
    assert (code, printed) == (0, "nothing to do: there are no usable recordings in shard 2/2\n")
    assert "skipped" in errors and "b.wav" in errors


@pytest.mark.parametrize(
    "text", ["0/2", "3/2", "a/b", "1", "1/0", "-1/2", "1/2/3", "", "٣/٤", "1/ 2"]
)
def test_a_wrong_shard_is_one_line(run, voice, text):
    code, printed, errors = run("score", voice, "x.wav", f"--shard={text}")
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert f"argument --shard: expected I/N with I from 1 to N, as 1/4, not {text!r}" in errors


def test_shards_without_a_seed_or_a_batch_are_refused(run, voice, vocoder, tmp_path):
    out = tmp_path / "out.wav"
    code, _, errors = run("generate", voice, "-o", out, "--batch", 3, "--shard", "1/2")
    assert (code, errors.count("\n")) == (2, 1)
    assert "--shard 1/2 needs --seed, the same for all shards" in errors
    code, _, errors = run("vocode", tmp_path, "-m", vocoder, "-o", out, "--shard", "1/2")
    assert code == 2 and "--shard 1/2 needs --seed" in errors
    code, _, errors = run("generate", voice, "-o", out, "--seed", 7, "--shard", "1/2")
    assert code == 2 and "--shard 1/2 needs --batch N, the voices of all shards" in errors


@pytest.mark.parametrize("stream", [-1, 2**32 - 1])
def test_the_streams_of_all_shards_must_exist(run, voice, tmp_path, stream):
    line = ["generate", voice, "-o", tmp_path / "out.wav", "--batch", 2, "--seed", 7]
    for number in (1, 2):
        code, _, errors = run(*line, f"--stream={stream}", "--shard", f"{number}/2")
        assert code == 2 and "stream must be" in errors
