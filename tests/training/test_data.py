"""From files to batches: what is held out, what is skipped, what a window shows and counts."""

import os

import numpy as np
import pytest
import runs
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import small_spec
from recordings import record, tone

from fastwavenet.audio import AudioError
from fastwavenet.clips import SHORTEST, Clip, excerpts
from fastwavenet.ends import FrameConditioning
from fastwavenet.mulaw import mu_law_encode
from fastwavenet.training.data import Corpus, load_corpus
from fastwavenet.training.windows import IGNORED, Windows

SPEC = small_spec(sample_rate=16000, levels=256)


def names(clips):
    return [clip.name.rpartition("/")[2] for clip in clips]


def counting(*lengths: int) -> list[Clip]:
    """Clips whose codes tell their own position; the first begins at 0, the next goes on."""
    ends = np.cumsum(lengths)
    return [
        Clip(str(end), np.arange(end - n, end, dtype=np.uint16))
        for n, end in zip(lengths, ends, strict=True)
    ]


def counted(targets: np.ndarray) -> np.ndarray:
    return targets[targets != IGNORED]


# ---- loading ---------------------------------------------------------------------------------


def test_a_clip_is_its_files_mu_law_codes(tmp_path):
    path = record(tmp_path / "a.wav", tone(1000), subtype="FLOAT")
    corpus = load_corpus(path, SPEC)
    codes = np.concatenate([corpus.train[0].codes, corpus.validation[0].codes])
    np.testing.assert_array_equal(codes, mu_law_encode(tone(1000)))
    assert codes.dtype == np.uint8


def test_more_than_256_levels_are_kept_in_16_bits(tmp_path):
    spec = small_spec(sample_rate=16000, levels=1024)
    clip = load_corpus(record(tmp_path / "a.wav"), spec).train[0]
    assert clip.codes.dtype == np.uint16
    assert clip.codes.max() > 255


def test_of_a_single_file_the_last_tenth_is_held_out(tmp_path):
    corpus = load_corpus(record(tmp_path / "a.wav", tone(1009)), SPEC)
    assert [len(clip.codes) for clip in corpus.train + corpus.validation] == [908, 101]


@pytest.mark.parametrize(("files", "held_out"), [(20, [19]), (39, [19]), (41, [19, 39])])
def test_every_twentieth_file_is_held_out(tmp_path, files, held_out):
    for i in range(files):
        record(tmp_path / f"{i:02}.wav", tone(40))
    corpus = load_corpus(tmp_path, SPEC)
    assert names(corpus.validation) == [f"{i:02}.wav" for i in held_out]
    assert names(corpus.train) == [f"{i:02}.wav" for i in range(files) if i not in held_out]


@pytest.mark.parametrize(
    "lengths",
    [
        [100, 100],  # within the last file
        [100, 10**4],
        [10**4, 100],  # within the last but one
        [1000] * 19,
        [800, 100],  # one sample into the last file: too few, it goes with the rest
        [900, 100],  # between two files
        [901, 100],  # one sample before its end
        [899, 101],
        [20] * 2,
        [100] * 19 + [10**4],  # every 20th file would be most of the audio
        [10**4] * 19 + [20],  # every 20th file would be next to nothing
    ],
)
def test_otherwise_the_last_tenth_of_all_audio_is_held_out(tmp_path, lengths):
    for i, n in enumerate(lengths):
        record(tmp_path / f"{i:02}.wav", tone(n, hz=440 + 50 * i))
    corpus = load_corpus(tmp_path, SPEC)
    total = sum(lengths)
    whole = mu_law_encode(np.concatenate([tone(n, hz=440 + 50 * i) for i, n in enumerate(lengths)]))
    found = [np.concatenate([c.codes for c in side]) for side in (corpus.train, corpus.validation)]
    assert total - 1 <= sum(map(len, found)) <= total
    assert abs(len(found[0]) - 0.9 * total) < 2
    for part, expected in zip(found, (whole, whole[::-1]), strict=True):
        part = part if expected is whole else part[::-1]
        same = part.astype(int) - expected[: len(part)]
        assert abs(same).max() <= 1  # a sound of 16 bits may fall on another code


def test_unusual_recordings_are_used_and_told(tmp_path):
    spec = small_spec(sample_rate=16000, dilations=(64,))
    record(tmp_path / "a.wav")
    record(tmp_path / "loud.wav", 3 * tone(), subtype="FLOAT")
    record(tmp_path / "quiet.wav", 1e-4 * tone())
    record(tmp_path / "silent.wav", np.zeros(16000))
    for n in (65, 66, 67):  # the receptive field is 66
        record(tmp_path / f"{n}.wav", tone(n))
    corpus = load_corpus(tmp_path, spec)
    assert corpus.skipped == []
    assert [line.removeprefix("used, although ") for line in corpus.remarks] == [
        f"silent, never above -60 dB of full scale: 2 of 7 files, the first {tmp_path}/quiet.wav",
        f"shorter than the receptive field of 66 samples: 1 of 7 files, "
        f"the first {tmp_path}/65.wav",
        f"louder than full scale, and clipped there: 1 of 7 files, the first {tmp_path}/loud.wav",
    ]


def test_a_file_given_to_validate_on_is_told_too(tmp_path):
    record(tmp_path / "in" / "a.wav")
    quiet = record(tmp_path / "quiet.wav", np.zeros(100))
    (line,) = load_corpus(tmp_path / "in", SPEC, validation=quiet).remarks
    assert line.endswith(f"1 of 2 files, the first {quiet}")


def test_a_fingerprint_tells_other_audio_apart_but_not_other_names(tmp_path):
    for folder, hz, cut in (("a", 440, 0), ("same", 440, 0), ("other", 441, 0), ("cut", 440, 1)):
        record(tmp_path / folder / f"{folder}.wav", tone(1000 - cut, hz))
    folders = ("a", "same", "other", "cut")
    a, same, other, cut = (load_corpus(tmp_path / f, SPEC).fingerprint() for f in folders)
    assert a == same
    assert a["train"] == {"files": 1, "samples": 900, "sha256": a["train"]["sha256"]}
    for part in ("train", "validation"):
        assert len({fingerprint[part]["sha256"] for fingerprint in (a, other, cut)}) == 3
    assert cut["validation"]["samples"] == 100


def test_a_fingerprint_tells_where_a_file_ends():
    codes = np.arange(100, dtype=np.uint8)
    one, two = Clip("a", codes), [Clip("a", codes[:50]), Clip("b", codes[50:])]
    prints = [Corpus(train, [], [], []).fingerprint()["train"] for train in ([one], two)]
    assert prints[0]["sha256"] != prints[1]["sha256"]


def test_a_validation_folder_inside_the_source_is_not_trained_on(tmp_path):
    for name in ("a.wav", "b.wav", "held/c.wav", "held/d.wav"):
        record(tmp_path / name)
    corpus = load_corpus(tmp_path, SPEC, validation=tmp_path / "held")
    assert names(corpus.train) == ["a.wav", "b.wav"]
    assert names(corpus.validation) == ["c.wav", "d.wav"]


@pytest.mark.parametrize("held_out", [".", "a", "a/a.wav"])
def test_a_source_of_which_all_is_held_out_is_refused_by_both_names(tmp_path, held_out):
    record(tmp_path / "a" / "a.wav")
    validation = tmp_path / held_out
    for source in (tmp_path, tmp_path / "a", tmp_path / "a" / "a.wav"):
        with pytest.raises(AudioError) as refused:
            load_corpus(source, SPEC, validation=validation)
        assert str(refused.value) == (
            f"{source}: all audio here (1 file) is also in the validation {validation}, "
            "and none is left to train on: hold out a part of it, or leave validation out"
        )


def test_one_recording_that_is_not_held_out_is_enough(tmp_path):
    for name in ("a.wav", "b.wav"):
        record(tmp_path / name)
    corpus = load_corpus(tmp_path, SPEC, validation=tmp_path / "b.wav")
    assert (names(corpus.train), names(corpus.validation)) == (["a.wav"], ["b.wav"])


def test_a_name_in_a_remark_is_one_printable_line(tmp_path):
    name = os.fsdecode(b"a\n\x1b[31m\xff.wav")
    record(tmp_path / "a.wav", np.zeros(2000)).rename(tmp_path / name)
    (line,) = load_corpus(tmp_path, SPEC).remarks
    assert line.endswith("the first " + str(tmp_path) + r"/a\n\x1b[31m\udcff.wav")


def test_bad_files_among_good_ones_are_skipped_and_named(tmp_path):
    for name in ("a.wav", "b.wav"):
        record(tmp_path / name)
    (tmp_path / "text.wav").write_text("not audio")
    record(tmp_path / "short.wav", tone(SHORTEST - 1))
    record(tmp_path / "fast.wav", rate=44100)
    corpus = load_corpus(tmp_path, SPEC)
    assert set(names(corpus.train + corpus.validation)) == {"a.wav", "b.wav"}
    fast, short, text = corpus.skipped
    assert "fast.wav: has 44100 Hz, expected 16000 Hz" in fast
    assert f"short.wav: has 19 samples, expected at least {SHORTEST}" in short
    assert "text.wav: not a readable audio file" in text


def test_conversion_makes_other_rates_usable(tmp_path):
    record(tmp_path / "a.wav", tone(44100, rate=44100), rate=44100)
    record(tmp_path / "b.wav", np.stack([tone(), tone()], axis=1))
    corpus = load_corpus(tmp_path, SPEC, convert=True)
    assert sum(len(clip.codes) for clip in corpus.train + corpus.validation) == 32000
    assert corpus.skipped == []


def test_an_empty_folder_is_refused_by_name(tmp_path):
    (tmp_path / "notes.txt").write_text("no audio")
    with pytest.raises(AudioError, match=rf"{tmp_path}: expected audio files .*16000 Hz.* none"):
        load_corpus(tmp_path, SPEC)


def test_a_folder_without_a_usable_file_is_refused_with_a_reason(tmp_path):
    record(tmp_path / "a.wav", rate=8000)
    record(tmp_path / "b.wav", rate=8000)
    with pytest.raises(AudioError, match=r"2 unusable, the first: .*a\.wav: has 8000 Hz"):
        load_corpus(tmp_path, SPEC)


def test_a_single_bad_file_is_refused_with_its_own_reason(tmp_path):
    path = record(tmp_path / "a.wav", rate=8000)
    with pytest.raises(AudioError, match=rf"^{path}: has 8000 Hz"):
        load_corpus(path, SPEC)


def test_a_validation_folder_without_audio_is_refused_by_name(tmp_path):
    record(tmp_path / "a.wav")
    (tmp_path / "held").mkdir()
    with pytest.raises(AudioError, match="held: expected audio files"):
        load_corpus(tmp_path, SPEC, validation=tmp_path / "held")


# ---- what is measured on ---------------------------------------------------------------------


def test_an_excerpt_is_the_middle_of_a_clip():
    (excerpt,) = excerpts(counting(100), least=5, most=20)
    assert excerpt.codes.tolist() == list(range(40, 60))


@pytest.mark.parametrize("n", [2, 19, 20])
def test_of_a_clip_that_is_no_longer_everything_is_taken(n):
    (excerpt,) = excerpts(counting(n), least=5, most=20)
    assert excerpt.codes.tolist() == list(range(n))


@pytest.mark.parametrize("count", range(1, 14))
def test_excerpts_are_nearly_as_much_as_asked_for_and_none_is_short(count):
    found = excerpts(counting(*[100] * count), least=5, most=20)
    lengths = [len(excerpt.codes) for excerpt in found]
    assert 15 <= sum(lengths) <= 20
    assert len(set(lengths)) == 1 and min(lengths) >= 5


def test_excerpts_are_of_clips_evenly_apart():
    found = excerpts(counting(*[100] * 12), least=5, most=20)
    assert [excerpt.codes[0] // 100 for excerpt in found] == [0, 3, 6, 9]


# ---- windows ---------------------------------------------------------------------------------


def test_targets_follow_their_inputs():
    inputs, targets = Windows(counting(100), context=5, fresh=20).cut(0, 30)
    np.testing.assert_array_equal(inputs, np.arange(30, 55))
    np.testing.assert_array_equal(targets[5:], np.arange(36, 56))


def test_inside_a_clip_only_targets_with_their_whole_past_count():
    _, targets = Windows(counting(100), context=5, fresh=20).cut(0, 30)
    assert (targets[:5] == IGNORED).all()
    assert len(counted(targets)) == 20


def test_at_a_clips_beginning_every_target_counts():
    _, targets = Windows(counting(100), context=5, fresh=20).cut(0, 0)
    np.testing.assert_array_equal(targets, np.arange(1, 26))


def test_behind_a_clips_end_nothing_counts():
    windows = Windows(counting(30, 100), context=5, fresh=60)
    inputs, targets = windows.cut(0, 0)
    assert inputs.shape == targets.shape == (65,)
    np.testing.assert_array_equal(counted(targets), np.arange(1, 30))


def test_windows_are_no_longer_than_the_longest_clip():
    assert Windows(counting(30, 40), context=100, fresh=60).length == 39
    assert Windows(counting(30, 40), context=100, fresh=60, start=9).length == 40


FED = 9999  # a start code that no sample of `counting` has


@pytest.mark.parametrize("n", [1, 2, 5, 6, 24, 25, 26, 100])
def test_a_start_code_that_is_fed_precedes_a_clip_and_its_first_sample_is_a_target(n):
    windows = Windows(counting(n, 50), context=5, fresh=20, start=FED)
    sequence = np.concatenate([[FED], windows.clips[0].codes])
    for start in range(n):
        inputs, targets = windows.cut(0, start)
        count, known = min(windows.length, n - start), 5 if start else 0
        np.testing.assert_array_equal(inputs[:count], sequence[start : start + count])
        expected = sequence[start + 1 + known : start + 1 + count]
        np.testing.assert_array_equal(counted(targets), expected)
    targets = np.concatenate([counted(tile.targets) for tile in windows.tiles(most=1000)])
    assert sorted(targets) == list(range(n + 50))


@pytest.mark.parametrize("hop", [1, 10])
def test_with_a_start_code_the_frames_of_a_window_begin_with_its_first_target(hop):
    clips = runs.counting(5, 30, hop=hop)
    windows = Windows(clips, 5, 20, FrameConditioning(1, hop), start=FED)
    for start in range(5 * hop):
        batch = windows._stack([(0, start)])
        for i, target in enumerate(batch.targets[0]):
            if target != IGNORED:
                assert batch.frames[0, 0, (batch.at + i) // hop] == target // hop


@pytest.mark.parametrize("n", [2, 5, 6, 7, 24, 25, 26, 27, 45, 46, 47, 100])
def test_tiles_count_every_target_once(n):
    windows = Windows(counting(n, 3, 50), context=5, fresh=20)
    targets = np.concatenate([counted(tile.targets) for tile in windows.tiles(most=1000)])
    firsts = {0, n, n + 3}  # nothing predicts a clip's first sample
    assert sorted(targets) == [t for t in range(n + 53) if t not in firsts]


@pytest.mark.parametrize("most", [1, 2, 3, 7, 8, 9])
def test_tiles_are_few_the_same_and_spread_out(most):
    windows = Windows(counting(1000), context=5, fresh=20)
    places = [tile.inputs[0, 0] for tile in windows.tiles(most)]
    assert 0.5 * most <= len(places) <= most
    assert places == [tile.inputs[0, 0] for tile in windows.tiles(most)]
    assert np.ptp(places) >= 1000 * (1 - 2 / most)


def test_a_batch_depends_on_its_number_and_the_seed_alone():
    def batch(number, seed=1, before=()):
        windows = Windows(counting(500, 300), context=5, fresh=20, seed=seed)
        for other in before:
            windows.batch(other, 4)
        return windows.batch(number, 4)

    for number in (0, 9, 10, 11, 1000):  # the first pass has 41 windows
        a, b = batch(number), batch(number, before=(0, 500, number, 7))
        np.testing.assert_array_equal(a[:2], b[:2])
        assert any((a[0] != other[0]).any() for other in (batch(number + 1), batch(number, seed=2)))
        assert a[0].shape == a[1].shape == (4, 25)
        assert a[0].dtype == a[1].dtype == np.int64


@settings(max_examples=200)
@given(
    st.lists(st.integers(2, 120), min_size=1, max_size=5),
    st.integers(0, 30),
    st.integers(1, 40),
    st.integers(0, 3),
)
def test_a_pass_has_every_target_once_and_only_those_before_a_clips_end_twice(
    lengths, context, fresh, number
):
    windows = Windows(counting(*lengths), context, fresh)
    size = int(windows.order.ends[-1])
    targets = counted(windows.batch(number, size).targets)
    seen = np.bincount(targets, minlength=sum(lengths))
    firsts = np.cumsum([0, *lengths[:-1]])
    assert (seen[firsts] == 0).all()  # nothing predicts a clip's first sample
    for first, length in zip(firsts, lengths, strict=True):
        own = seen[first + 1 : first + length]
        assert set(own) <= {1, 2} and (own[: -2 * fresh or None] == 1).all()


@settings(max_examples=200)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(0, 30), st.integers(1, 40))
def test_a_pass_with_frames_has_windows_that_begin_with_a_frame_and_have_targets(
    frames, context, fresh
):
    windows = Windows(runs.counting(*frames), context, fresh)
    size = int(windows.order.ends[-1])
    targets = windows.batch(0, size).targets
    assert (targets != IGNORED).any(axis=1).all()
    if fresh >= windows.hop:
        ends = np.cumsum([10 * n for n in frames])
        firsts = {0, *ends[:-1]}
        assert set(counted(targets)) == set(range(ends[-1])) - firsts


def test_each_pass_has_an_order_of_its_own():
    windows = Windows(counting(2000), context=5, fresh=20)
    size = int(windows.order.ends[-1])
    first, second = (windows.batch(number, size).inputs[:, 0] for number in (0, 1))
    assert (first != second).any() and (first != np.sort(first)).any()
    assert sorted(first) == sorted(second)


def test_a_batch_may_lie_in_two_passes():
    windows = Windows(counting(45), context=5, fresh=20)  # two windows a pass
    whole = windows.batch(0, 9).inputs
    np.testing.assert_array_equal(whole[6:9], windows.batch(2, 3).inputs)
    assert (np.bincount(whole[:8, 0], minlength=45) > 0).sum() == 2
