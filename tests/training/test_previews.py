"""Previews: the sound of a validation's weights, which costs little and changes nothing."""

import dataclasses

import numpy as np
import pytest
import torch
from networks import random_weights
from pages import read_page
from recordings import record, tone
from runs import SPEC, interrupt, left_behind, quick
from snapshots import rec, snapshot

import fastwavenet as fw
from fastwavenet.clips import Clip
from fastwavenet.frame_conditioning import FrameConditioning
from fastwavenet.mulaw import mu_law_decode
from fastwavenet.training import previews
from fastwavenet.training.data import Corpus
from fastwavenet.training.previews import CONTEXT_SECONDS, SAMPLES, SHARE, Previews
from fastwavenet.training.settings import MOST_PREVIEWS, Call

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """No preview is cut short, however busy the machine is."""
    monkeypatch.setattr(previews, "LEAST_SECONDS", 1e6)
    monkeypatch.setattr(previews, "MOST_SECONDS", 1e6)


# ---- no change of training ---------------------------------------------------------------------


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(previews, "SECONDS", 0.1)


def test_previews_leave_the_same_weights_log_and_checkpoint(source, tmp_path, short):
    for count in (0, 2):
        quick(source, tmp_path / str(count), steps=5, previews=count)
    assert left_behind(tmp_path / "0") == left_behind(tmp_path / "2")


@pytest.mark.parametrize("then", [0, 2])
def test_a_resumed_run_has_the_same_bits_with_other_previews(
    source, tmp_path, monkeypatch, short, then
):
    quick(source, tmp_path / "whole", steps=30)
    with monkeypatch.context() as context:
        interrupt(context, at=7)
        quick(source, tmp_path / "run", steps=30, previews=2 - then)
    quick(source, tmp_path / "run", resume=True, previews=then)
    assert left_behind(tmp_path / "run") == left_behind(tmp_path / "whole")


def test_previews_draw_no_random_numbers_of_numpy_or_torch():
    np.random.seed(1)
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    Previews(2).make(snapshot([rec(1)]))
    assert np.array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.get_rng_state())


# ---- which sounds ------------------------------------------------------------------------------


def test_a_continuation_is_the_engines_after_the_first_half_of_a_recording():
    now = snapshot([rec(1)])
    (made,) = Previews(1).make(now)
    clip = now.corpus.validation[0]
    audio = mu_law_decode(clip.codes, codec=SPEC.codec)
    model = fw.Model(SPEC, now.weights, "bfloat16")
    field, middle = SPEC.receptive_field, len(clip.codes) // 2
    context = round(min(CONTEXT_SECONDS * 16000, middle))
    assert made.begins == context
    np.testing.assert_array_equal(made.audio[:context], audio[middle - context : middle])
    expected = fw.generate(
        model, n_samples=80_000, seed=0, prime=clip.codes[middle - max(field, context) : middle]
    )
    np.testing.assert_array_equal(made.generated, expected)
    np.testing.assert_array_equal(made.original, audio[middle - context :])


def test_previews_without_frames_are_continued_and_from_silence_in_turn():
    now = snapshot([rec(1)])
    made = Previews(5).make(now)
    assert [preview.title for preview in made] == [
        "continuation of a",
        "from silence",
        "continuation of b",
        "from silence",
        "from silence",
    ]
    model = fw.Model(SPEC, now.weights, "bfloat16")
    for index in (1, 3, 4):
        expected = fw.generate(model, n_samples=80_000, seed=0, stream=index)
        np.testing.assert_array_equal(made[index].audio, expected)
        assert made[index].original is None


VOCODER = dataclasses.replace(
    SPEC,
    conditioning=FrameConditioning(
        channels=2, hop=10, interpolation="linear", speakers=("anna", "bert"), speaker_channels=2
    ),
)


def vocoder_snapshot(clips):
    now = snapshot([rec(1)])
    return dataclasses.replace(
        now,
        settings=dataclasses.replace(now.settings, spec=VOCODER),
        corpus=Corpus(clips, clips, [], []),
        weights=random_weights(VOCODER, seed=3),
    )


def framed(frames, speaker, seed=1):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, 10 * frames).astype(np.uint8)
    given = rng.normal(size=(frames, 2)).astype(np.float16)
    return Clip("a", codes, frames=given, hop=10, speaker=speaker)


@pytest.mark.parametrize("frames", [1, 2, 15, 16, 17, 100])
def test_a_vocoders_preview_is_the_engines_of_a_held_out_recordings_frames(frames):
    clip = framed(frames, speaker=1)
    now = vocoder_snapshot([clip])
    (made,) = Previews(2).make(now)
    model = fw.Model(VOCODER, now.weights, "bfloat16")
    expected = fw.vocode(model, clip.frames.astype(np.float32), seed=0, speaker="bert")
    np.testing.assert_array_equal(made.audio, expected)
    np.testing.assert_array_equal(made.original, mu_law_decode(clip.codes, codec=VOCODER.codec))
    assert made.begins == 0


def test_of_a_long_recording_the_middle_is_vocoded():
    clip = framed(20_000, speaker=0)
    (made,) = Previews(1).make(vocoder_snapshot([clip]))
    assert len(made.audio) <= len(made.original) == 80_000
    middle = clip.codes[60_000:140_000]
    np.testing.assert_array_equal(made.original, mu_law_decode(middle, codec=VOCODER.codec))


def test_previews_are_of_different_recordings_and_evenly_spaced_ones():
    clips = [framed(5 + i, i % 2) for i in range(6)]
    made = Previews(3).make(vocoder_snapshot(clips))
    assert [len(preview.audio) for preview in made] == [50, 70, 90]
    assert len(Previews(MOST_PREVIEWS).make(vocoder_snapshot(clips))) == 6


def test_a_sound_has_no_more_samples_than_the_bound_at_high_rates():
    spec = dataclasses.replace(SPEC, sample_rate=96000)
    now = snapshot([rec(1)])
    now = dataclasses.replace(now, settings=dataclasses.replace(now.settings, spec=spec))
    (_, made) = Previews(2).make(now)
    assert len(made.audio) == SAMPLES


@pytest.mark.parametrize("samples", [2, 3, 9, 10, 11, 33])
def test_a_short_held_out_recording_is_continued(samples, short):
    codes = np.full(samples, 128, np.uint8)
    now = snapshot([rec(1)], corpus=Corpus([Clip("a", codes)], [Clip("b", codes)], [], []))
    (made,) = Previews(1).make(now)
    assert made.begins == samples // 2 and len(made.generated) == 1600


# ---- how many, and how long --------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """Each set of previews takes `clock.cost` seconds."""

    class Clock:
        cost = 1.0
        now = 0.0
        deadlines: list = []

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(previews, "LEAST_SECONDS", 5.0)
    monkeypatch.setattr(previews, "MOST_SECONDS", 20.0)
    clock.deadlines = []

    def make(now, count, deadline):
        clock.deadlines.append(deadline - clock.now)
        clock.now += clock.cost
        return ["a preview"] * count

    monkeypatch.setattr(previews.time, "monotonic", clock.monotonic)
    monkeypatch.setattr(previews, "_make", make)
    return clock


def test_previews_take_a_small_share_of_the_time_after_the_first(clock):
    clock.cost, maker, now = 2.0, Previews(1), snapshot([rec(1)])
    times = 10.0 * np.arange(1, 1000)
    made = [i for i, s in enumerate(times) if maker.make(dataclasses.replace(now, seconds=s))]
    assert made[0] == 0
    assert np.diff(made[1:]) == pytest.approx(clock.cost / SHARE / 10, abs=1)
    assert maker.spent <= SHARE * 9990 + clock.cost


def test_previews_are_made_at_the_end_and_once_for_the_same_weights(clock):
    maker = Previews(1)
    assert maker.make(snapshot([rec(1)]))
    assert not maker.make(snapshot([rec(2)]))
    assert maker.make(snapshot([rec(3)], spent=1.0))
    assert not maker.make(snapshot([rec(3)], steps=4))  # not of the last record
    assert not maker.make(snapshot([]))
    assert not Previews(0).make(snapshot([rec(1)]))


def test_previews_may_take_a_few_seconds_of_a_short_run_and_not_many_of_a_long_one(clock):
    maker = Previews(1)
    maker.make(snapshot([rec(1)], seconds=1.0))
    maker.make(snapshot([rec(2)], seconds=401.0))
    maker.make(snapshot([rec(3)], seconds=100_001.0))
    assert clock.deadlines == pytest.approx([5.0, SHARE * 400 - 1, 20.0])


def test_a_slow_preview_is_cut_short(monkeypatch):
    monkeypatch.setattr(previews, "MOST_SECONDS", 0.0)
    first, second = Previews(2).make(snapshot([rec(1)]))
    assert len(first.generated) == len(second.audio) == 80_000 // 16
    whole = Previews(2)
    monkeypatch.setattr(previews, "MOST_SECONDS", 1e6)
    for cut, full in zip((first, second), whole.make(snapshot([rec(1)])), strict=True):
        np.testing.assert_array_equal(cut.audio, full.audio[: len(cut.audio)])


@pytest.mark.parametrize("count", [-1, MOST_PREVIEWS + 1, 1.5, "2", None])
def test_a_wrong_number_of_previews_is_refused(count):
    with pytest.raises(ValueError, match="previews must be a whole number from 0 to 8, not"):
        Call(previews=count)


def test_training_with_frames_of_a_mel_leaves_a_preview_beside_its_recording(tmp_path):
    source = record(tmp_path / "a.wav", tone(16000))
    spec = dataclasses.replace(SPEC, conditioning=None)
    quick(source, tmp_path / "run", spec=spec, mel="hifigan-16k", steps=2, previews=1)
    found = read_page(tmp_path / "run").sounds()
    assert len(found[2, 0][1]) == len(found[0, 0][1]) > 0
    assert found[2, 0][0]["title"] == "a.wav, from its frames"
