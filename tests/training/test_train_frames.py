"""Training on frames from files: one .npy (frames, channels) for each recording."""

import dataclasses
import json

import numpy as np
import pytest
from recordings import noise, record, tone
from runs import SPEC, interrupt, left_behind, log, quick, weights

import fastwavenet as fw
from fastwavenet.audio import AudioError
from fastwavenet.ends import FrameConditioning
from fastwavenet.frame_files import compact
from fastwavenet.training.data import load_corpus
from fastwavenet.training.settings import Recordings
from fastwavenet.training.table import all_fields

pytestmark = pytest.mark.usefixtures("one_thread")

HOP = 80
FRAMED = dataclasses.replace(SPEC, conditioning=FrameConditioning(2, HOP, "linear"))


@pytest.fixture
def source(tmp_path):
    for seed, name in enumerate(("a.wav", "deep/b.wav")):
        record(tmp_path / "speech" / name, noise(1600, seed))
    return tmp_path / "speech"


@pytest.fixture
def f0(source, tmp_path):
    """20 frames of 2 channels for each recording."""
    for seed, name in enumerate(("a", "deep/b")):
        keep(tmp_path / "f0" / name, np.random.default_rng(seed).normal(size=(20, 2)))
    return tmp_path / "f0"


def keep(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path.with_suffix(".npy"), frames)


def framed(source, output, **changes):
    return quick(source, output, **{"hop": HOP, "steps": 1} | changes)


# ---- two routes to the same numbers ----------------------------------------------------------


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("order", "CF")
def test_mel_frames_from_files_train_the_weights_that_the_audio_does(source, tmp_path, kind, order):
    for name in ("a", "deep/b"):
        audio, _ = fw.read_audio(source / f"{name}.wav")
        keep(tmp_path / "mel" / name, np.asarray(fw.mel(audio, "nv-16k"), kind, order=order))
    given = framed(source, tmp_path / "given", frames=tmp_path / "mel", hop=200, steps=2)
    made = quick(source, tmp_path / "made", mel="nv-16k", steps=2)
    assert given.spec.conditioning == dataclasses.replace(
        made.spec.conditioning, features=None
    )  # the stored convention is the only difference
    for name, array in weights(made.model).items():
        np.testing.assert_array_equal(weights(given.model)[name], array)
    without_time = [[r | {"seconds": 0} for r in log(tmp_path / f)] for f in ("given", "made")]
    assert without_time[0] == without_time[1]


def test_a_spec_may_name_the_convention_of_frames_from_files(source, tmp_path, f0):
    end = dataclasses.replace(FRAMED.conditioning, features="f0", interpolation="held")
    spec = dataclasses.replace(SPEC, conditioning=end)
    assert framed(source, tmp_path / "run", frames=f0, hop=None, spec=spec).spec == spec
    assert fw.load(tmp_path / "run" / "model.safetensors").spec == spec


def test_frames_from_files_and_speakers_go_together(source, tmp_path):
    (source / "a.wav").rename(source / "deep" / "a.wav")
    for name in "ab":
        keep(tmp_path / "f0" / "deep" / name, np.ones((20, 1)))
    run = tmp_path / "run"
    spec = framed(source, run, frames=tmp_path / "f0", speakers_from_folders=True).spec
    assert (spec.conditioning.channels, spec.conditioning.speakers) == (1, ("deep",))
    how = {"hop": HOP, "speakers_from_folders": True, "spec": SPEC, "frames": tmp_path / "f0"}
    quick(source, run, resume=True, steps=2, **how)


# ---- frames and samples ----------------------------------------------------------------------


@pytest.mark.parametrize("extra", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("hop", [1, 80])
def test_a_file_may_have_a_frame_more_or_fewer(tmp_path, hop, extra):
    whole = 1600 // hop
    for name, more in (("a", 0), ("b", extra)):
        record(tmp_path / "in" / f"{name}.wav", noise(1600 + hop // 2))
        keep(tmp_path / "f0" / name, np.arange(whole + more)[:, None])
    spec = dataclasses.replace(SPEC, conditioning=FrameConditioning(1, hop, "linear"))
    place = record(tmp_path / "held" / "c.wav", noise(1600))
    keep(tmp_path / "f0" / "c", np.arange(whole)[:, None])
    corpus = load_corpus(tmp_path / "in", spec, place, frames=tmp_path / "f0")
    if abs(extra) == 2:
        (line,) = corpus.skipped
        n, found = 1600 + hop // 2, whole + extra
        assert f"b.wav: has {n} samples, {whole} frames with hop {hop}, but its file" in line
        assert f"of frames holds {found}" in line
        assert ("; a hop of " in line) == (hop == 80)
    else:
        clip = corpus.train[1]
        assert len(clip.frames) == whole + min(extra, 0)
        assert len(clip.codes) == hop * len(clip.frames)
        np.testing.assert_array_equal(clip.frames[:, 0], np.float32(range(len(clip.frames))))


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        (np.float64([[65504]]), np.float16),
        (np.float64([[65505]]), np.float32),
        (np.uint32([[70000, 1]]), np.float32),
        (np.int16([[-32768, 1]]), np.float16),
        (np.float32([[2**-14, 0]]), np.float16),
        (np.float32([[2**-15, 0]]), np.float32),
        (np.zeros((3, 1)), np.float16),
        (np.zeros((0, 1)), np.float16),
    ],
)
def test_frames_are_kept_in_16_bits_unless_their_range_is_too_large_or_too_small(frames, kind):
    kept = compact(frames)
    assert kept.dtype == kind
    np.testing.assert_allclose(kept, frames, rtol=2**-11)


def test_mel_frames_beyond_16_bits_are_kept_in_32(tmp_path):
    mel = dataclasses.replace(fw.mel_presets()["nv-16k"], deviation=1e-5)
    end = FrameConditioning(80, 200, "linear", features=mel)
    audio, _ = fw.read_audio(record(tmp_path / "a.wav", noise(1600)))
    corpus = load_corpus(tmp_path / "a.wav", dataclasses.replace(SPEC, conditioning=end))
    frames = np.concatenate([corpus.train[0].frames, corpus.validation[0].frames])
    assert frames.dtype == np.float32 and np.abs(frames).max() > 65504
    np.testing.assert_array_equal(frames, fw.mel(audio, mel))


# ---- files that cannot be used ---------------------------------------------------------------

BAD = {
    "missing": (None, r"b\.npy: no such file, expected the frames of .*b\.wav"),
    "nan": (np.full((20, 2), np.nan), "frames must be finite, but hold NaN"),
    "infinite": (np.full((20, 2), np.inf), "frames must be finite, but hold NaN"),
    "large": (np.full((20, 2), 1e39), "numbers beyond float32: scale them"),
    "flat": (np.zeros(20), r"real numbers \(frames, channels\), found float64 \(20,\)"),
    "complex": (np.zeros((20, 2), complex), r"real numbers \(frames, channels\), found complex"),
    "structured": (np.zeros(20, [("x", float)]), r"real numbers \(frames, channels\), found"),
    "truth": (np.zeros((20, 2), bool), r"real numbers \(frames, channels\), found bool"),
    "text": (np.full((20, 2), "a"), r"real numbers \(frames, channels\), found"),
    "pickled": (np.array([[None]]), r"real numbers \(frames, channels\), found object"),
    "transposed": (np.zeros((2, 20)), r"but its file of frames holds 2: transposed\?"),
    "none": (np.zeros((0, 2)), "but its file of frames holds 0"),
    "nothing": (b"", r"b\.npy: "),
    "zip": (b"PK\3\4", r"b\.npy: "),
    "damaged": (b"\x93NUMPY\x01\x00\x0c\x00{'descr': (\n", r"b\.npy: "),
    "cut off": (b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': "
                b"(99999999999, 2), }".ljust(108) + b"\n", r"b\.npy: "),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_recording_without_usable_frames_is_skipped_in_one_line(source, f0, name):
    content, message = BAD[name]
    bad = f0 / "deep" / "b.npy"
    bad.unlink()
    if isinstance(content, bytes):
        bad.write_bytes(content)
    elif content is not None:
        np.save(bad, content, allow_pickle=True)
    spec = FRAMED
    if name == "transposed":
        end = FrameConditioning(20, HOP, "linear")
        spec = dataclasses.replace(SPEC, conditioning=end)
        np.save(f0 / "a.npy", np.zeros((20, 20)))
    corpus = load_corpus(source, spec, frames=f0)
    (line,) = corpus.skipped
    assert "\n" not in line
    with pytest.raises(AudioError, match=message):
        raise AudioError(line)
    assert {clip.name for clip in corpus.train} == {str(source / "a.wav")}


def test_files_of_other_channels_are_an_error_naming_both(source, f0, tmp_path):
    np.save(f0 / "deep" / "b.npy", np.zeros((20, 3)))
    message = r"b\.npy: expected frames of 2 channels, as .*a\.npy has, found shape \(20, 3\)$"
    with pytest.raises(ValueError, match=message):
        framed(source, tmp_path / "run", frames=f0)
    np.save(f0 / "deep" / "b.npy", np.zeros((2, 19)))
    with pytest.raises(ValueError, match=r"found shape \(2, 19\): transposed\?$"):
        framed(source, tmp_path / "run", frames=f0)


def test_no_usable_frames_at_all_are_an_error_naming_the_first(source, tmp_path):
    with pytest.raises(ValueError, match="f0: expected a folder with a .npy file for each"):
        framed(source, tmp_path / "run", frames=tmp_path / "f0")
    (tmp_path / "f0").mkdir()
    message = r"^none of 2 files of frames .* f0/a\.npy: no such file, expected the frames of"
    with pytest.raises(ValueError, match=message.replace("f0", f"{tmp_path}/f0")):
        framed(source, tmp_path / "run", frames=tmp_path / "f0")
    for name in ("a", "deep/b"):
        keep(tmp_path / "f0" / name, np.zeros((10, 1)))
    message = r"2 unusable, the first: .*a\.wav: has 1600 samples, 20 frames with hop 80, but"
    with pytest.raises(AudioError, match=message):
        framed(source, tmp_path / "run", frames=tmp_path / "f0")
    assert not (tmp_path / "run").exists()


# ---- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hop": None}, r"frames need a hop, the samples of a frame \(--hop, hop=\)"),
        ({"frames": None}, "hop is that of frames from files: give their folder"),
        ({"hop": 0}, "hop must be a positive whole number, not 0"),
        ({"hop": 70000}, "conditioning hop must be a whole number from 1 to 65536, not 70000"),
        ({"mel": "nv-16k"}, "give either mel, frames of the audio, or frames from files"),
        ({"spec": FRAMED, "hop": 40}, "the spec has frames of 2 channels with hop 80, but the giv"),
        ({"spec": FRAMED, "frames": None, "hop": None}, "the network's frames are of no mel"),
    ],
)
def test_settings_of_frames_that_do_not_fit_are_refused(source, f0, tmp_path, changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        framed(source, tmp_path / "run", **{"frames": f0} | changes)
    assert not (tmp_path / "run").exists()


def test_frames_to_validate_on_are_found_by_the_place_of_their_recording(source, f0, tmp_path):
    inside = load_corpus(source, FRAMED, source / "deep", frames=f0)
    np.testing.assert_array_equal(
        inside.validation[0].frames, np.load(f0 / "deep" / "b.npy").astype(np.float16)
    )
    held = record(tmp_path / "held" / "c.wav", tone(1600)).parent
    keep(f0 / "c", np.ones((20, 2)))
    assert (load_corpus(source, FRAMED, held, frames=f0).validation[0].frames == 1).all()
    record(held / "a.wav", tone(1600))
    message = r"f0/a\.npy: would hold the frames of both .*speech/a\.wav and .*held/a\.wav: rename"
    with pytest.raises(ValueError, match=message):
        load_corpus(source, FRAMED, held, frames=f0)


# ---- resuming --------------------------------------------------------------------------------


def test_a_run_with_frames_is_resumed_bit_for_bit_without_naming_them(
    source, f0, tmp_path, monkeypatch
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    framed(source, whole, frames=f0, steps=4)
    with monkeypatch.context() as context:
        interrupt(context, at=2)
        framed(source, parts, frames=f0, steps=4)
    quick(None, parts, resume=True)
    assert left_behind(parts) == left_behind(whole)


def test_a_resumed_run_refuses_other_frames_and_finds_moved_ones(source, f0, tmp_path):
    run, moved = tmp_path / "run", tmp_path / "moved"
    framed(source, run, frames=f0)
    f0.rename(moved)
    with pytest.raises(FileNotFoundError, match="expected their new place as frames"):
        quick(None, run, resume=True, steps=2)
    quick(None, run, resume=True, steps=2, frames=moved, hop=HOP)
    with pytest.raises(ValueError, match="^hop is 80 in this run, not 40: leave it out"):
        quick(None, run, resume=True, steps=3, hop=40)
    np.save(moved / "a.npy", np.zeros((20, 2)))
    with pytest.raises(ValueError, match="not the audio .* of the frames .* source, frames"):
        quick(None, run, resume=True, steps=3)


def test_frames_inside_the_recordings_move_with_them(source, f0, tmp_path):
    f0.rename(source / "f0")
    framed(source, tmp_path / "run", frames=source / "f0")
    source.rename(tmp_path / "moved")
    quick(tmp_path / "moved", tmp_path / "run", resume=True, steps=2)


def test_a_run_without_frames_from_files_takes_none_when_it_is_resumed(source, f0, tmp_path):
    quick(source, tmp_path / "run", steps=1)
    for given in ({"frames": f0}, {"hop": 80}):
        (name,) = given
        with pytest.raises(ValueError, match=f"^{name} is not given in this run, not .*: leave it"):
            quick(source, tmp_path / "run", resume=True, steps=2, **given)


def test_places_are_absolute_in_a_checkpoint():
    places = Recordings("/a", "/b", "c").absolute()
    assert places.frames.startswith("/") and places.frames.endswith("/c")
    assert Recordings("/a").absolute() == Recordings("/a")


def test_a_checkpoint_that_is_older_than_frames_from_files_has_none():
    older = {"source": "/a", "validation": None}
    assert all_fields(Recordings, older) == older | {"frames": None}


def test_the_command_line_trains_on_frames_and_vocodes_them(source, f0, tmp_path, run):
    words = ("train", source, "-o", tmp_path / "run", "--preset", "tiny", "--steps", 1)
    code, said, _ = run(*words, "--frames", f0, "--hop", 80, "--window", 64, "--json")
    assert code == 0
    assert fw.load(json.loads(said)["model"]).spec.conditioning == FRAMED.conditioning
    code, _, _ = run("vocode", f0 / "a.npy", "-m", tmp_path / "run", "-o", tmp_path / "a.wav")
    assert code == 0
    assert len(fw.read_audio(tmp_path / "a.wav")[0]) == 1600
    code, _, said = run(*words[:3], tmp_path / "two", "--frames", f0)
    assert (code, said.count("\n")) == (2, 1)
    assert "frames need a hop" in said
