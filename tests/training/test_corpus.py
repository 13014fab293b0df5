"""Training on a corpus: as on the recordings it is made of, bit for bit, without reading it all."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from corpora import edited
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import small_spec
from recordings import noise, record
from runs import SPEC, interrupt, left_behind, quick

import fastwavenet as fw
from fastwavenet.audio import AudioError
from fastwavenet.corpus import MappedCodes, as_float
from fastwavenet.ends import FrameConditioning, MuLawCodec
from fastwavenet.manifest import MANIFEST, UNFINISHED
from fastwavenet.mulaw import mu_law_encode
from fastwavenet.training.conditioning import with_mel, with_speakers
from fastwavenet.training.data import load_corpus
from fastwavenet.training.windows import Windows

pytestmark = pytest.mark.usefixtures("one_thread")
MEL, HOP = "hifigan-16k", 256
VOCODER = with_mel(SPEC, MEL)
LENGTHS = (19, 20, 255, 256, 511, 512, 513, 4000, 3000, 700)


def emphatic(spec):
    return dataclasses.replace(spec, codec=dataclasses.replace(spec.codec, pre_emphasis=0.85))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Recordings of two speakers, and their corpus with mel frames and pitch."""
    place = tmp_path_factory.mktemp("place")
    for number, n in enumerate(LENGTHS):
        record(place / "in" / "ab"[number % 2] / f"{number}.wav", noise(n, number))
    fw.prepare(place / "in", place / "c", mel=(MEL, f"{MEL}+pitch"))
    return place


@pytest.fixture
def copied(place, tmp_path):
    """A copy of both, to change."""
    shutil.copytree(place, tmp_path / "copy")
    return tmp_path / "copy"


# ---- the same as the recordings --------------------------------------------------------------


@pytest.mark.parametrize("levels", [256, 257, 1024])
@pytest.mark.parametrize("pre_emphasis", [0.0, 0.85])
@pytest.mark.parametrize("mel", [None, MEL, f"{MEL}+pitch"])
def test_the_clips_are_those_of_the_recordings(place, levels, pre_emphasis, mel):
    codec = dataclasses.replace(MuLawCodec.symmetric(levels), pre_emphasis=pre_emphasis)
    spec = small_spec(sample_rate=16000, levels=levels, codec=codec)
    spec = spec if mel is None else with_mel(spec, mel)
    files, corpus = load_corpus(place / "in", spec), load_corpus(place / "c", spec)
    assert len(files.skipped) == len(corpus.skipped) == (1 if mel is None else 5)
    for a, b in ((files.train, corpus.train), (files.validation, corpus.validation)):
        for clip, mapped in zip(a, b, strict=True):
            assert mapped.name == clip.name.replace("/in/", "/c/")
            assert (mapped.peak, mapped.hop, mapped.speaker) == (clip.peak, clip.hop, clip.speaker)
            assert mapped.codes.dtype == mapped.codes[:].dtype == clip.codes.dtype
            np.testing.assert_array_equal(mapped.codes[:], clip.codes)
            if mel is not None:
                assert mapped.frames.dtype == clip.frames.dtype
                np.testing.assert_array_equal(mapped.frames, clip.frames)


@pytest.mark.parametrize("spec", [SPEC, VOCODER], ids=["codes", "mel"])
def test_the_windows_are_those_of_the_recordings(place, spec):
    spec = emphatic(spec)
    windows = [
        Windows(load_corpus(place / name, spec).train, 50, 300, spec.conditioning)
        for name in ("in", "c")
    ]
    for seed in range(20):
        a, b = (each.batch(seed, 3) for each in windows)
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


@settings(max_examples=200)
@given(st.data())
def test_a_slice_of_codes_is_that_of_all_codes(data):
    samples = np.random.default_rng(1).integers(-(2**15), 2**15, 50).astype("<i2")
    codec = dataclasses.replace(
        MuLawCodec.symmetric(256), pre_emphasis=data.draw(st.sampled_from([0.0, 0.85]))
    )
    spec = small_spec(levels=256, codec=codec)
    whole = mu_law_encode(as_float(samples), 256, codec=codec)
    codes = MappedCodes(samples, spec, "")
    for _ in range(2):
        bound = st.none() | st.integers(-60, 60)
        start, stop = data.draw(bound), data.draw(bound)
        assert len(codes) == len(whole)
        np.testing.assert_array_equal(codes[start:stop], whole[start:stop])
        a, b = sorted(data.draw(st.integers(0, len(whole))) for _ in range(2))
        codes, whole = codes.part(a, b), whole[a:b]


@pytest.mark.parametrize("changes", [{}, {"mel": MEL}, {"speakers_from_folders": True}])
def test_training_leaves_the_bits_of_training_on_the_recordings(place, tmp_path, changes):
    changes = changes | {"spec": emphatic(SPEC), "steps": 2, "window": 300}
    for name in ("in", "c"):
        quick(place / name, tmp_path / name, **changes)
    a, b = ([*left_behind(tmp_path / name)] for name in ("in", "c"))
    assert a[4] != b[4]  # the fingerprint of the recordings
    del a[4], b[4]
    assert a == b


def test_the_frames_of_a_folder_go_with_a_corpus(place, tmp_path):
    spec = dataclasses.replace(SPEC, conditioning=FrameConditioning(2, 100, "linear"))
    for number, n in enumerate(LENGTHS):
        file = tmp_path / "f0" / "ab"[number % 2] / f"{number}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, noise(2 * (n // 100), number).reshape(-1, 2))
    a, b = (load_corpus(place / name, spec, frames=tmp_path / "f0") for name in ("in", "c"))
    assert a.fingerprint()["train"]["frames"] == b.fingerprint()["train"]["frames"]
    for clip, mapped in zip(a.train + a.validation, b.train + b.validation, strict=True):
        np.testing.assert_array_equal(mapped.codes[:], clip.codes)
        np.testing.assert_array_equal(mapped.frames, clip.frames)


def test_speakers_of_a_corpus_are_those_of_the_recordings(place):
    spec = with_speakers(SPEC, ("a", "b"))
    a, b = (load_corpus(place / name, spec) for name in ("in", "c"))
    for x, y in ((a.train, b.train), (a.validation, b.validation)):
        assert [(clip.speaker, len(clip.codes)) for clip in x] == [
            (clip.speaker, len(clip.codes)) for clip in y
        ]


@pytest.mark.parametrize("speakers", [False, True])
def test_the_manifest_shows_what_is_held_out(place, tmp_path, speakers):
    fw.prepare(place / "in", tmp_path / "c", speakers_from_folders=speakers)
    spec = with_speakers(SPEC, ("a", "b")) if speakers else SPEC
    clips = load_corpus(tmp_path / "c", spec).validation
    recordings = json.loads((tmp_path / "c" / MANIFEST).read_text())["recordings"]
    shown = {entry["path"]: entry["held_out"] for entry in recordings if entry["held_out"]}
    assert shown == {str(os.path.relpath(c.name, tmp_path / "c")): len(c.codes) for c in clips}
    assert {entry["speaker"] for entry in recordings} == ({"a", "b"} if speakers else {None})


def test_files_that_prepare_skipped_are_remarked(tmp_path):
    record(tmp_path / "in" / "a.wav", noise(100))
    (tmp_path / "in" / "b.wav").write_text("no audio")
    fw.prepare(tmp_path / "in", tmp_path / "c")
    remark = load_corpus(tmp_path / "c", SPEC).remarks[-1]
    assert "/c: was prepared without 1 file that cannot be used, the first: b.wav: not a " in remark


# ---- held out --------------------------------------------------------------------------------


def test_a_corpus_is_validated_on_another_whose_recordings_are_left_out(place, tmp_path):
    fw.prepare(place / "in" / "b", tmp_path / "held")
    corpus = load_corpus(place / "c", SPEC, validation=tmp_path / "held")
    assert {clip.name.split("/")[-2] for clip in corpus.train} == {"a"}
    assert len(corpus.train + corpus.validation) == len(LENGTHS) - 1
    with pytest.raises(AudioError, match="none is left to train on"):
        load_corpus(tmp_path / "held", SPEC, validation=place / "c")


def test_a_corpus_and_recordings_are_not_mixed(place):
    for pair in (("in", "c"), ("c", "in")):
        source, validation = (place / name for name in pair)
        with pytest.raises(ValueError, match=r"in: expected a corpus, as the other of source and"):
            load_corpus(source, SPEC, validation=validation)


# ---- resumed ---------------------------------------------------------------------------------


def test_a_run_goes_on_with_its_corpus_at_another_place(copied, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, at=1)
        quick(copied / "c", tmp_path / "run", steps=3, window=100)
    (copied / "c").rename(copied / "moved")
    quick(copied / "moved", tmp_path / "run", resume=True)
    quick(copied / "moved", tmp_path / "whole", steps=3, window=100)
    assert left_behind(tmp_path / "run") == left_behind(tmp_path / "whole")


def test_a_changed_corpus_is_refused(copied, tmp_path):
    quick(copied / "c", tmp_path / "run", steps=1, window=100)
    record(copied / "in" / "a" / "0.wav", noise(21))
    fw.prepare(copied / "in", copied / "c")
    with pytest.raises(ValueError, match="not the audio that this run began with"):
        quick(None, tmp_path / "run", resume=True, steps=2)


def test_a_fingerprint_needs_no_samples_and_tells_everything_apart(place, tmp_path, monkeypatch):
    monkeypatch.setattr(MappedCodes, "__getitem__", lambda self, cut: 1 / 0)
    whole = load_corpus(place / "c", VOCODER).fingerprint()
    assert load_corpus(place / "c", VOCODER).fingerprint() == whole

    def with_another(change):
        shutil.rmtree(tmp_path / "c", ignore_errors=True)
        shutil.copytree(place / "c", tmp_path / "c")
        edited(tmp_path / "c", change)
        return load_corpus(tmp_path / "c", VOCODER).fingerprint()

    def hash_of_samples(about):
        about["recordings"][3]["sha256"] = "0" * 64

    def hash_of_frames(about):
        about["recordings"][3]["frames"][MEL]["sha256"] = "0" * 64

    def order(about):
        about["recordings"].reverse()

    def fewer(about):
        del about["recordings"][3]

    assert with_another(lambda about: None) == whole
    changed = [with_another(x) for x in (hash_of_samples, hash_of_frames, order, fewer)]
    assert len({json.dumps(each) for each in (whole, *changed)}) == 5


# ---- refused ---------------------------------------------------------------------------------


def cut(suffix, by):
    def act(folder):
        (pack, *_) = sorted(folder.glob(f"*{suffix}"))
        os.truncate(pack, pack.stat().st_size + by)

    return act


def remove(suffix):
    return lambda folder: sorted(folder.glob(f"*{suffix}"))[0].unlink()


def unfinished(folder):
    (folder / MANIFEST).unlink()
    (folder / UNFINISHED).mkdir()


def manifest(text):
    return lambda folder: (folder / MANIFEST).write_text(text)


def entry(**fields):
    return lambda folder: edited(folder, lambda about: about["recordings"][0].update(fields))


def place_of_frames(**fields):
    return lambda folder: edited(
        folder, lambda about: about["recordings"][0]["frames"][MEL].update(fields)
    )


def another_version(folder):
    edited(folder, lambda about: about.update(version=2))


def outside(folder):
    edited(folder, lambda about: about["packs"][0].update(file="../c.i16"))


def no_frames(folder):
    edited(folder, lambda about: about["recordings"][0].update(frames={}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (unfinished, "c: is an unfinished corpus, whose preparation was interrupted: run fastw"),
        (another_version, r"corpus.json: is of version 2, this program reads version 1: prepare"),
        (manifest(""), "corpus.json: is damaged: expected JSON"),
        (manifest('{"format": "fastwavenet corpus"'), "corpus.json: is damaged: expected JSON"),
        (manifest("[" * 10**5), "corpus.json: is damaged"),
        (manifest("{}"), "corpus.json: is no manifest of a corpus"),
        (
            manifest('{"format": "fastwavenet corpus", "version": 1}'),
            "json: is damaged: 'features' is missing",
        ),
        (cut(".i16", -1), r"i16: has \d+ bytes, expected \d+: prepare the corpus again"),
        (cut(".i16", 2), r"i16: has \d+ bytes, expected \d+: prepare the corpus again"),
        (cut(".frames", -2), r"frames: has \d+ bytes, expected \d+: prepare the corpus"),
        (remove(".i16"), "i16: is missing from the corpus: prepare it again"),
        (remove(".frames"), "frames: is missing from the corpus: prepare it again"),
        (entry(samples=10**6), "the samples of a/0.wav lie outside their pack"),
        (entry(samples=0), "the samples of a/0.wav lie outside their pack"),
        (entry(at=-1), "at is -1, expected a whole number"),
        (entry(at=True), "at is True, expected a whole number"),
        (entry(pack=1), "the samples of a/0.wav lie outside their pack"),
        (entry(path="../a.wav"), "lies outside the source"),
        (entry(path=1), "path is 1, expected str"),
        (entry(peak="1"), "peak is '1', expected a number"),
        (entry(speaker=1), "speaker is 1, expected text"),
        (entry(more=1), "unknown entry field 'more'"),
        (place_of_frames(frames=7), "the frames of a/0.wav are not those of its samples"),
        (place_of_frames(pack=1), "the frames of a/0.wav are not those of its samples"),
        (place_of_frames(at=10**9), "the frames of a/0.wav are not those of its samples"),
        (place_of_frames(dtype="O"), "the frames of a/0.wav are 'O'"),
        (no_frames, "frames of a/0.wav are missing"),
        (outside, "'../c.i16' is no name of a file in the folder"),
    ],
)
def test_a_damaged_corpus_is_refused_in_one_line(copied, refused, damage, message):
    damage(copied / "c")
    line = refused("train", copied / "c", "-o", copied / "run", "--steps", 1)
    assert re.search(message, line)
    assert not (copied / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sample-rate", 8000], "has 16000 Hz, but the network 8000 Hz: train with --"),
        (["--mel", "hifigan-22k"], "has 16000 Hz, but the network 22050 Hz"),
        (["--mel", "nv-16k"], "has no frames of 'nv-16k', found hifigan-16k, hifigan-16k+pitch: "
                              "prepare it with --mel nv-16k"),
        (["--frames", "nowhere", "--hop", 100], "nowhere: expected a folder"),
    ],
)  # fmt: skip
def test_a_corpus_of_another_kind_is_refused(place, tmp_path, refused, options, message):
    line = refused("train", place / "c", "-o", tmp_path / "run", "--steps", 1, *options)
    assert message in line
    assert not (tmp_path / "run").exists()


def test_recordings_of_another_length_than_their_frames_are_skipped(place, tmp_path):
    spec = dataclasses.replace(SPEC, conditioning=FrameConditioning(1, 100, "linear"))
    for number, n in enumerate(LENGTHS):
        file = tmp_path / "f0" / "ab"[number % 2] / f"{number}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        if number != 9:
            np.save(file, np.ones((n // 100 + 3 * (number == 8), 1)))
    skipped = load_corpus(place / "c", spec, frames=tmp_path / "f0").skipped
    assert any("8.wav: has 3000 samples, 30 frames with hop 100" in line for line in skipped)
    assert any("9.npy: no such file, expected the frames of" in line for line in skipped)


# ---- memory ----------------------------------------------------------------------------------

PEAK = """
import re, sys
from pathlib import Path
import numpy as np
from networks import small_spec
from fastwavenet.training.data import load_corpus
from fastwavenet.training.windows import Windows

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10

before = peak()
corpus = load_corpus(sys.argv[1], small_spec(sample_rate=16000))
corpus.fingerprint()
windows = Windows(corpus.train, 2000, 4096)
for seed in range(500):
    windows.batch(seed, 1)
print((peak() - before) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_corpus_larger_than_memory_takes_little(tmp_path):
    record(tmp_path / "a.wav", noise(100))
    folder, samples = tmp_path / "c", 2**35  # 64 GiB, of which the disk holds next to nothing
    fw.prepare(tmp_path / "a.wav", folder)
    (pack,) = folder.glob("*.i16")
    os.truncate(pack, 2 * samples)

    def enlarge(about):
        about["packs"][0]["size"] = 2 * samples
        about["recordings"][0]["samples"] = samples

    edited(folder, enlarge)
    command = [sys.executable, "-c", PEAK, folder]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert int(done.stdout) < 200  # 67 of them are the order of the windows
