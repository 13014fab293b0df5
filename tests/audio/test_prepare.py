"""Preparing a corpus: what it holds, what a second call does, and what ends it too early."""

import hashlib
import itertools
import json
import os
import shutil

import numpy as np
import pytest
from corpora import InThisProcess, at_time, content, damaged, entries
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import noise, record, tone

import fastwavenet as fw
from fastwavenet import packing, preparing
from fastwavenet.corpus import CorpusFolder
from fastwavenet.manifest import MANIFEST

pytestmark = pytest.mark.usefixtures("in_this_process")
MEL, HOP = "hifigan-16k", 256


def samples_of(folder, path):
    corpus = CorpusFolder(folder)
    return corpus.samples(corpus.recordings[folder / path])


# ---- content ---------------------------------------------------------------------------------


def test_the_samples_of_16_bits_are_those_of_the_file(source, tmp_path):
    fw.prepare(source, tmp_path / "c")
    for path in ("a.wav", "b.wav", "deep/c.wav"):
        audio, _ = fw.read_audio(source / path)
        np.testing.assert_array_equal(samples_of(tmp_path / "c", path), audio * 2**15)


def test_other_samples_are_rounded_and_clipped(tmp_path):
    audio = np.float32([0, 0.4 / 2**15, 0.6 / 2**15, -0.6 / 2**15, 1, 1.5, -1, -1.5])
    prepared = fw.prepare(record(tmp_path / "a.wav", audio, subtype="FLOAT"), tmp_path / "c")
    stored = samples_of(tmp_path / "c", "a.wav").tolist()
    assert stored == [0, 0, 1, -1, 32767, 32767, -32768, -32768]
    assert entries(tmp_path / "c")["a.wav"]["peak"] == 1.5
    assert "clipped, since it is louder than full scale: 1 of 1 recordings" in prepared.remarks[-1]


def test_a_recording_has_its_figures(tmp_path):
    audio = np.concatenate([np.zeros(1600), 0.5 * np.ones(1600), 0.25 * np.tile([1, -1], 800)])
    fw.prepare(record(tmp_path / "in" / "a.wav", audio), tmp_path / "c")
    entry, stored = entries(tmp_path / "c")["a.wav"], samples_of(tmp_path / "c", "a.wav")
    assert entry["sha256"] == hashlib.sha256(stored.tobytes()).hexdigest()
    assert (entry["samples"], entry["seconds"]) == (4800, 0.3)
    assert (entry["peak"], entry["dc"]) == (0.5, pytest.approx(0.5 / 3))
    assert entry["silence"] == pytest.approx(2 / 3)  # constant, as zeros are
    assert entry["level"] == pytest.approx(10 * np.log10((0.25 + 0.0625) / 3), abs=1e-3)
    assert entry["held_out"] == 480
    assert (entry["speaker"], entry["trimmed"], entry["remark"]) == (None, [0, 0], "")


def test_digital_silence_has_no_level(tmp_path):
    prepared = fw.prepare(record(tmp_path / "a.wav", np.zeros(1000)), tmp_path / "c")
    entry = entries(tmp_path / "c")["a.wav"]
    assert (entry["level"], entry["silence"], entry["peak"]) == (None, 1.0, 0.0)
    assert "used, although all of it is silent: 1 of 1" in prepared.remarks[-1]


@pytest.mark.parametrize("name", [MEL, f"{MEL}+pitch"])
@pytest.mark.parametrize("n", [1, HOP - 1, HOP, HOP + 1, 5000])
def test_frames_are_those_of_the_stored_samples(tmp_path, name, n):
    fw.prepare(record(tmp_path / "a.wav", tone(n)), tmp_path / "c", mel=name)
    corpus = CorpusFolder(tmp_path / "c")
    (entry,) = corpus.manifest.recordings
    frames, audio = corpus.frames(entry, name), samples_of(tmp_path / "c", "a.wav") / 2**15
    expected = fw.mel(audio, MEL).astype(np.float16)
    assert frames.dtype == np.float16
    np.testing.assert_array_equal(frames[:, :80], expected)
    assert frames.shape == (n // HOP, 80 + 3 * name.endswith("pitch"))


def test_files_that_cannot_be_used_are_skipped_with_the_reason(source, tmp_path):
    (source / "text.wav").write_text("no audio")
    record(source / "stereo.wav", np.zeros((100, 2)))
    record(source / "fast.wav", tone(100), rate=44100)
    prepared = fw.prepare(source, tmp_path / "c")
    assert prepared.recordings == 3
    fast, stereo, text = prepared.skipped
    assert fast.startswith(f"{source}/fast.wav: has 44100 Hz, expected 16000 Hz")
    assert "stereo.wav: has 2 channels" in stereo
    assert "text.wav: not a readable audio file" in text
    skipped = json.loads((tmp_path / "c" / MANIFEST).read_text())["skipped"]
    assert [entry["path"] for entry in skipped] == ["fast.wav", "stereo.wav", "text.wav"]
    assert not any(str(tmp_path) in entry["reason"] for entry in skipped)


def test_conversion_gives_the_samples_that_reading_gives(tmp_path):
    path = record(tmp_path / "a.wav", np.stack([tone(9999), noise(9999)], axis=1), rate=22050)
    fw.prepare(path, tmp_path / "c", convert=True)
    audio, _ = fw.read_audio(path, 16000, convert=True)
    np.testing.assert_array_equal(samples_of(tmp_path / "c", "a.wav"), np.rint(audio * 2**15))


@pytest.mark.parametrize(("before", "after"), [(0, 0), (159, 161), (160, 160), (3200, 7)])
def test_both_ends_are_trimmed_by_whole_frames_of_10_ms(tmp_path, before, after):
    audio = np.concatenate([np.zeros(before), np.full(1600, 0.25), 1e-4 * noise(after)])
    prepared = fw.prepare(record(tmp_path / "a.wav", audio), tmp_path / "c", trim=-50)
    entry = entries(tmp_path / "c")["a.wav"]
    cut = before // 160 * 160
    loud = -(-(before + 1600) // 160) * 160
    assert entry["trimmed"] == [cut, max(before + 1600 + after - loud, 0)]
    whole, _ = fw.read_audio(tmp_path / "a.wav")
    kept = whole[cut : min(loud, len(whole))]
    np.testing.assert_array_equal(samples_of(tmp_path / "c", "a.wav"), kept * 2**15)
    assert entry["samples"] == len(kept)
    assert any(line.startswith("trimmed, below -50 dB: ") for line in prepared.remarks)


def test_a_recording_below_the_level_of_trimming_is_skipped(source, tmp_path):
    record(source / "quiet.wav", 1e-4 * tone(1000))
    (line,) = fw.prepare(source, tmp_path / "c", trim=-50).skipped
    assert line.endswith("quiet.wav: is silent: no 10 ms of it are above -50 dB")


def test_a_gain_amplifies_before_rounding(tmp_path):
    audio = 0.01 * tone(1000)
    path = record(tmp_path / "a.wav", audio, subtype="FLOAT")
    prepared = fw.prepare(path, tmp_path / "c", gain=20)
    np.testing.assert_array_equal(
        samples_of(tmp_path / "c", "a.wav"), np.rint(audio * np.float32(10) * np.float32(2**15))
    )
    assert prepared.remarks[-1] == "amplified by 20 dB: all 1 recordings"


def test_nothing_is_trimmed_or_amplified_unless_asked(tmp_path):
    audio = np.concatenate([np.zeros(5000), 0.1 * tone(100), np.zeros(5000)])
    path = record(tmp_path / "a.wav", audio, subtype="FLOAT")
    prepared = fw.prepare(path, tmp_path / "c")
    expected = np.rint(audio.astype(np.float32) * 2**15)
    np.testing.assert_array_equal(samples_of(tmp_path / "c", "a.wav"), expected)
    assert entries(tmp_path / "c")["a.wav"]["trimmed"] == [0, 0]
    assert len(prepared.remarks) == 0


def test_recordings_are_spread_over_packs_by_their_names(source, tmp_path, monkeypatch):
    fw.prepare(source, tmp_path / "one", mel=MEL)
    monkeypatch.setattr(packing, "PACK_SAMPLES", 100)
    fw.prepare(source, tmp_path / "many", mel=MEL)
    one, many = CorpusFolder(tmp_path / "one"), CorpusFolder(tmp_path / "many")
    assert len(one.manifest.packs) == 1 < len(many.manifest.packs)
    for a, b in zip(one.manifest.recordings, many.manifest.recordings, strict=True):
        np.testing.assert_array_equal(one.samples(a), many.samples(b))
        np.testing.assert_array_equal(one.frames(a, MEL), many.frames(b, MEL))


@pytest.mark.parametrize(
    ("samples", "count"), [(1, 1), (99, 1), (100, 1), (101, 2), (200, 2), (201, 4), (10**9, 128)]
)
def test_packs_are_a_power_of_two(monkeypatch, samples, count):
    monkeypatch.setattr(packing, "PACK_SAMPLES", 100)
    assert packing.pack_count(samples) == count


# ---- again -----------------------------------------------------------------------------------


def test_a_second_call_decodes_what_has_changed_and_removes_what_is_gone(source, tmp_path):
    first = fw.prepare(source, tmp_path / "c", mel=MEL)
    assert (first.decoded, first.kept, first.removed) == (3, 0, 0)
    before, done = content(tmp_path / "c"), InThisProcess.tasks
    same = fw.prepare(source, tmp_path / "c", mel=MEL)
    assert (same.decoded, same.kept, same.removed) == (0, 3, 0)
    assert (content(tmp_path / "c"), InThisProcess.tasks) == (before, done)
    at_time(source / "b.wav", noise(1001, 9), 2 * 10**18)  # of the same size
    at_time(source / "d.wav", noise(500, 8), 2 * 10**18)
    (source / "a.wav").unlink()
    changed = fw.prepare(source, tmp_path / "c", mel=MEL)
    assert (changed.decoded, changed.kept, changed.removed) == (2, 1, 1)
    assert InThisProcess.tasks == done + 4
    fw.prepare(source, tmp_path / "fresh", mel=MEL)
    assert content(tmp_path / "c") == content(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("options", "decoded"),
    [
        ({}, 0),
        ({"mel": (MEL, f"{MEL}+pitch")}, 0),
        ({"speakers_from_folders": True}, 0),
        ({"trim": -40}, 3),
        ({"gain": -1}, 3),
        ({"convert": True}, 3),
        ({"convert": True, "sample_rate": 8000}, 3),
    ],
)
def test_other_settings_decode_only_if_the_samples_depend_on_them(tmp_path, options, decoded):
    for number, name in enumerate("abc"):
        at_time(tmp_path / "in" / name / "a.wav", noise(5000, number), 10**18)
    fw.prepare(tmp_path / "in", tmp_path / "c", mel=MEL)
    assert fw.prepare(tmp_path / "in", tmp_path / "c", **options).decoded == decoded
    fw.prepare(tmp_path / "in", tmp_path / "fresh", **options)
    assert content(tmp_path / "c") == content(tmp_path / "fresh")


def test_recordings_of_another_source_are_never_taken_for_those_before(tmp_path):
    for folder, seed in (("one", 1), ("two", 2)):
        at_time(tmp_path / folder / "a.wav", noise(1000, seed), 10**18)  # same size, same time
    fw.prepare(tmp_path / "one", tmp_path / "c")
    assert fw.prepare(tmp_path / "two", tmp_path / "c").decoded == 1


def test_a_moved_corpus_beside_its_moved_source_is_kept(source, tmp_path):
    fw.prepare(source, tmp_path / "c")
    (tmp_path / "there").mkdir()
    for name in ("in", "c"):
        (tmp_path / name).rename(tmp_path / "there" / name)
    assert fw.prepare(tmp_path / "there/in", tmp_path / "there/c").kept == 3


def test_a_corpus_inside_its_source_is_no_recording(source):
    fw.prepare(source, source / "corpus")
    assert fw.prepare(source, source / "corpus").recordings == 3


LENGTHS = (0, 1, 19, 20, HOP - 1, HOP, HOP + 1, 2 * HOP, 700)
RECORDING = st.tuples(
    st.sampled_from(LENGTHS),
    st.sampled_from([16000, 16000, 22050]),
    st.sampled_from([1, 1, 2]),
    st.sampled_from(["noise", "silent", "text"]),
)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "x/a", "x/b", "y-z/a"]), st.none() | RECORDING),
    min_size=1,
    max_size=5,
)
OPTIONS = st.fixed_dictionaries(
    {
        "convert": st.booleans(),
        "mel": st.sampled_from([(), (MEL,), (f"{MEL}+pitch",)]),
        "trim": st.sampled_from([None, None, -45]),
    }
)


def change(source, changes, times):
    for name, recording in changes:
        file = source / f"{name}.wav"
        if recording is None:
            file.unlink(missing_ok=True)
            continue
        n, rate, channels, kind = recording
        time = next(times)
        if kind == "text":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("no audio")
        else:
            audio = noise(n * channels, time) * (kind == "noise")
            record(file, audio.reshape(n, channels), rate=rate)
        os.utime(file, ns=(time, time))


@settings(max_examples=30)
@given(rounds=st.lists(st.tuples(CHANGES, OPTIONS), min_size=2, max_size=4))
def test_after_any_changes_a_corpus_is_that_of_a_fresh_start(tmp_path_factory, rounds):
    place, times = tmp_path_factory.mktemp("any"), itertools.count(10**18, 10**9)
    at_time(place / "in" / "always.wav", noise(600), next(times))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "WorkerProcesses", InThisProcess)
        patch.setattr(packing, "PACK_SAMPLES", 500)
        for changes, options in rounds:
            change(place / "in", changes, times)
            fw.prepare(place / "in", place / "c", **options)
            shutil.rmtree(place / "fresh", ignore_errors=True)
            fw.prepare(place / "in", place / "fresh", **options)
            assert content(place / "c") == content(place / "fresh")
            assert damaged(place / "c") == []


# ---- refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mel": "no"}, "unknown mel preset 'no'"),
        (
            {"mel": (MEL, "hifigan-22k")},
            "'hifigan-22k' needs 22050 Hz, but sample_rate is",
        ),
        ({"mel": MEL, "sample_rate": 8000}, "needs 16000 Hz, but sample_rate is 8000 Hz"),
        ({"sample_rate": 0}, "sample_rate must be a whole number of Hz, not 0"),
        ({"trim": 1}, "trim must be from -200.0 to 0.0, not 1"),
        ({"gain": float("nan")}, "gain must be from -200.0 to 200.0, not nan"),
        ({"workers": 0}, "workers must be a whole number from 1 to 1024, not 0"),
        ({"speakers_from_folders": True}, "lies beside the folders of the speakers"),
    ],
)
def test_a_bad_argument_is_refused_and_nothing_is_written(source, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        fw.prepare(source, tmp_path / "c", **options)
    assert not (tmp_path / "c").exists()


def test_a_folder_without_usable_recordings_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "in").mkdir()
    for _ in range(2):
        with pytest.raises(fw.AudioError, match=r"in: expected audio files .*, found (none|1 unu)"):
            fw.prepare(tmp_path / "in", tmp_path / "c")
        assert not (tmp_path / "c").exists()
        record(tmp_path / "in" / "a.wav", tone(100), rate=8000)


def test_an_output_that_is_no_corpus_is_refused(source, tmp_path):
    with pytest.raises(ValueError, match="in: holds other files, expected a corpus or a new"):
        fw.prepare(source, source)
    with pytest.raises(NotADirectoryError, match=r"a\.wav is a file"):
        fw.prepare(source, source / "a.wav")
    fw.prepare(source, tmp_path / "c")
    with pytest.raises(ValueError, match="c: is a corpus already, expected recordings"):
        fw.prepare(tmp_path / "c", tmp_path / "d")


def test_only_one_process_prepares_a_corpus(source, tmp_path):
    (tmp_path / "c").mkdir()
    with preparing._alone(tmp_path / "c"), pytest.raises(OSError, match="c: another process"):
        fw.prepare(source, tmp_path / "c")
    assert fw.prepare(source, tmp_path / "c").recordings == 3


# ---- shards ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_all_shards_and_a_call_without_one_make_the_corpus_of_a_single_call(
    source, tmp_path, count
):
    (source / "text.wav").write_text("not audio")
    fw.prepare(source, tmp_path / "single", mel=MEL)
    parts = [
        fw.prepare(source, tmp_path / "c", mel=MEL, shard=(number, count))
        for number in range(count, 0, -1)
    ]
    assert sum(part.recordings for part in parts) == 3
    assert sum(len(part.skipped) for part in parts) == 1
    if count > 1:
        assert not (tmp_path / "c" / MANIFEST).exists()
        done = InThisProcess.tasks
        fw.prepare(source, tmp_path / "c", mel=MEL)
        assert InThisProcess.tasks == done + 1  # the file that is not audio is tried again
    assert content(tmp_path / "c") == content(tmp_path / "single")


def test_shards_of_a_corpus_decode_what_is_new_and_leave_the_old_one(source, tmp_path):
    fw.prepare(source, tmp_path / "c")
    old = content(tmp_path / "c")
    at_time(source / "new.wav", noise(1100, 9), 10**18)
    decoded = [fw.prepare(source, tmp_path / "c", shard=(i, 2)).decoded for i in (1, 2)]
    assert sorted(decoded) == [0, 1]
    now = content(tmp_path / "c")
    assert {name: now[name] for name in old} == old
    assert fw.prepare(source, tmp_path / "c").recordings == 4


def test_shards_may_run_at_the_same_time_but_not_beside_the_whole(source, tmp_path):
    (tmp_path / "c").mkdir()
    with preparing._alone(tmp_path / "c", shared=True):
        assert fw.prepare(source, tmp_path / "c", shard=(1, 2)).recordings == 1
        with pytest.raises(OSError, match="another process prepares this corpus"):
            fw.prepare(source, tmp_path / "c")
    with preparing._alone(tmp_path / "c"), pytest.raises(OSError, match="another"):
        fw.prepare(source, tmp_path / "c", shard=(1, 2))


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (1, 0), (1.5, 2), ("1", 2)])
def test_a_shard_that_there_is_not_is_refused(source, tmp_path, shard):
    with pytest.raises((ValueError, TypeError), match="shard's "):
        fw.prepare(source, tmp_path / "c", shard=shard)
    assert not (tmp_path / "c").exists()
