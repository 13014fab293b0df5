"""`fastwavenet.evaluate`: its rows are the measures of the sounds that the library makes."""

import dataclasses
import json
import math

import numpy as np
import pytest
from networks import random_weights, small_spec

import fastwavenet as fw
from fastwavenet import sound_quality as quality
from fastwavenet.ends import FrameConditioning, MuLawCodec, Sampling
from fastwavenet.griffin_lim import griffin_lim
from fastwavenet.likeness import plain_mel
from fastwavenet.sound_measures import flatness, log_mel_distance, silent_share

MEL = fw.mel_presets()["hifigan-16k"]
HOP = MEL.hop
END = FrameConditioning(80, HOP, features=MEL)
FIXED = ["the recording itself", "codec alone (256 levels)"]
NAMES = [field.name for field in dataclasses.fields(fw.Quality)]


def vocoder(precision="float32", **changes) -> fw.Model:
    sizes = {"conditioning": END, "sample_rate": 16000, "levels": 256} | changes
    spec = small_spec(**sizes)
    return fw.Model(spec, random_weights(spec, 3), precision)


def noise(n: int, seed: int = 0, level: float = 0.2) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def voice(f0: float, n: int) -> np.ndarray:
    t = np.arange(n) / 16000
    return sum(np.sin(2 * np.pi * f0 * k * t) / k for k in range(1, 9)).astype(np.float32) / 9


SPEECH = [voice(140, 5 * HOP), noise(4 * HOP + 77, 1), voice(200, 30 * HOP + 5)]


def numbers(quality: fw.Quality) -> list[float | None]:
    return list(quality.to_dict().values())


def same(row: fw.Evaluation) -> dict:
    """All that does not depend on the time."""
    return row.to_dict() | {"times_real_time": None}


# ---- rows --------------------------------------------------------------------------------------


def test_rows_are_recording_codec_griffin_lim_noise_and_each_precision_and_sampling():
    rows = fw.evaluate(
        vocoder(),
        SPEECH[:1],
        precisions=["int8", "float32", "int8"],
        temperature=[1, 0.8],
        min_p=[0, 0.05],
        griffin_lim=[1, 2, 1],
        match=[3, 0, 3],
    )
    samplings = ["1", "1; min_p 0.05", "0.8", "0.8; min_p 0.05"]
    models = [
        f"{of}, temperature {words}{matched}"
        for of in ("int8", "float32")
        for words in samplings
        for matched in (", matched 3 x", "")
    ]
    fits = [*(f"Griffin-Lim, {n} iterations" for n in (1, 2)), "noise, matched 3 x"]
    assert [row.name for row in rows] == FIXED + fits + models


def test_by_default_the_model_has_its_own_precision_and_sampling():
    model = vocoder("bfloat16", sampling=Sampling(0.7, top_k=9))
    rows = fw.evaluate(model, SPEECH[0], griffin_lim=1)
    assert [row.name for row in rows[2:]] == [
        "Griffin-Lim, 1 iterations",
        "noise, matched 32 x",
        "bfloat16, temperature 0.7; top_k 9",
        "bfloat16, temperature 0.7; top_k 9, matched 32 x",
    ]


def test_the_figures_are_those_of_the_sounds_that_the_library_makes():
    model, audio = vocoder("int8"), SPEECH[2]
    kept, frames = audio[: 30 * HOP], fw.mel(audio, MEL)
    rows = fw.evaluate(model, audio, temperature=0.8, griffin_lim=3, match=[2, 0], seed=5)
    hiss = 0.05 * np.random.default_rng(5).standard_normal(30 * HOP, np.float32)
    sounds = [
        kept,
        fw.mu_law_decode(fw.mu_law_encode(kept)),
        griffin_lim(frames, MEL, 3, 5),
        fw.match_mel(hiss, frames, MEL, passes=2),
        fw.vocode(model, audio, seed=5, temperature=0.8, match=2),
        fw.vocode(model, audio, seed=5, temperature=0.8, match=0),
    ]
    for row, sound in zip(rows, sounds, strict=True):
        cents, voicing = quality.pitch_errors(*(quality.contour(x, 16000) for x in (kept, sound)))
        expected = {
            "log_spectral_db": quality.log_spectral_distance(kept, sound, 16000),
            "log_mel": log_mel_distance(kept, sound, MEL),
            "high_band_db": quality.log_spectral_distance(kept, sound, 16000, 4000),
            "pitch_cents": np.median(cents) if len(cents) else math.nan,
            "above_50_cents": (cents > 50).mean() if len(cents) else math.nan,
            "voicing_error": voicing,
            "estoi": quality.estoi(kept, sound, 16000),
            "pesq_wb": quality.pesq_wb(kept, sound, 16000),
            "silent_share": silent_share(sound, 16000),
            "flatness": flatness(sound),
        }
        for name, value in expected.items():
            assert getattr(row.quality, name) == pytest.approx(value, nan_ok=True), (row, name)
    nats = fw.score(model, kept, frames=frames).mean(dtype=np.float64)
    assert rows[-1].quality.nats_per_sample == pytest.approx(nats)
    no_nats = [math.isnan(row.quality.nats_per_sample) for row in rows]
    assert no_nats == [True, True, True, True, False, False]
    untimed = [math.isnan(row.times_real_time) for row in rows]
    assert untimed == [True, True, False, False, False, False]


def test_the_codec_alone_is_the_models_with_its_pre_emphasis():
    codec = MuLawCodec(255, 255, 255, pre_emphasis=0.85)
    made = {}
    fw.evaluate(
        vocoder(codec=codec),
        SPEECH[0],
        griffin_lim=(),
        row_done=lambda row, sounds: made.update({row.name: sounds}),
    )
    expected = fw.mu_law_decode(fw.mu_law_encode(SPEECH[0], codec=codec), codec=codec)
    assert np.array_equal(made["codec alone (256 levels, pre-emphasis 0.85)"][0], expected)


def test_recordings_count_alike_and_samples_and_frames_of_pitch_count_alike():
    recordings = [voice(150, 20 * HOP), voice(150, 60 * HOP)]
    row = fw.evaluate(vocoder(), recordings, griffin_lim=())[-1]
    short, long = row.recordings
    for name in ("log_spectral_db", "log_mel", "voicing_error", "flatness"):
        each = [getattr(of, name) for of in (short, long)]
        assert getattr(row.quality, name) == pytest.approx(np.mean(each)), name
    samples = [20 * HOP - 1, 60 * HOP - 1]
    nats = np.average([short.nats_per_sample, long.nats_per_sample], weights=samples)
    assert row.quality.nats_per_sample == pytest.approx(nats)


# ---- the same numbers --------------------------------------------------------------------------


def test_the_same_arguments_have_the_same_numbers_and_another_seed_others():
    first, again, other = (
        fw.evaluate(vocoder(), SPEECH[2], griffin_lim=1, seed=seed) for seed in (0, 0, 1)
    )
    assert [same(row) for row in first] == [same(row) for row in again]
    assert [same(row) for row in first[:2]] == [same(row) for row in other[:2]]
    for row, changed in zip(first[2:], other[2:], strict=True):
        assert row.quality.log_mel != changed.quality.log_mel


@pytest.fixture(scope="module")
def usual():
    return fw.evaluate(vocoder(), SPEECH, griffin_lim=1, temperature=0.9)


@pytest.mark.parametrize("number", range(len(SPEECH)))
def test_a_recordings_numbers_are_those_that_it_has_alone(usual, number):
    rows = fw.evaluate(vocoder(), SPEECH[number], griffin_lim=1, temperature=0.9)
    for row, of_all in zip(rows, usual, strict=True):
        assert numbers(row.quality) == numbers(of_all.recordings[number])


@pytest.mark.parametrize(("batch", "order"), [(1, [0, 1, 2]), (2, [2, 0, 1]), (3, [1, 2, 0])])
def test_numbers_depend_on_neither_batch_nor_order(usual, batch, order):
    given = [SPEECH[i] for i in order]
    rows = fw.evaluate(vocoder(), given, batch=batch, griffin_lim=1, temperature=0.9)
    for row, expected in zip(rows, usual, strict=True):
        each = [numbers(of) for of in row.recordings]
        assert each == [numbers(expected.recordings[i]) for i in order]
        assert numbers(row.quality) == numbers(expected.quality)


def test_neither_the_instruction_set_nor_the_threads_change_a_number(isa):
    expected = [same(row) for row in fw.evaluate(vocoder("int8"), SPEECH[:2], griffin_lim=1)]
    rows = fw.evaluate(vocoder("int8"), SPEECH[:2], griffin_lim=1, isa=isa, threads=2)
    assert [same(row) for row in rows] == expected


# ---- short and silent recordings ---------------------------------------------------------------


@pytest.mark.parametrize("n", [HOP, HOP + 1, 2 * HOP - 1, 6399, 6400])
@pytest.mark.parametrize("level", [0, 0.2])
def test_short_and_silent_recordings_have_a_number_or_none(n, level):
    for row in fw.evaluate(vocoder(), noise(n, level=level), griffin_lim=1):
        values = row.quality.to_dict()
        assert values["log_mel"] is not None and values["log_spectral_db"] is not None
        if n < 6400 or not level:
            assert values["estoi"] is None and values["pesq_wb"] is None
        json.dumps(row.to_dict(), allow_nan=False)


@pytest.mark.parametrize("n", [0, 1, HOP - 1])
def test_a_recording_without_a_frame_is_refused(n):
    with pytest.raises(ValueError, match=f"has {n} samples, expected at least a frame of {HOP}"):
        fw.evaluate(vocoder(), [SPEECH[0], noise(n)])


# ---- frames and speakers -----------------------------------------------------------------------


def test_other_frames_than_mel_are_given_and_griffin_lim_is_left_out():
    model = vocoder(conditioning=FrameConditioning(3, 80))
    frames = [noise(3 * len(audio)).reshape(-1, 3)[: len(audio) // 80 + 1] for audio in SPEECH]
    made = {}
    rows = fw.evaluate(
        model,
        SPEECH,
        frames=frames,
        row_done=lambda row, sounds: made.update({row.name: sounds}),
    )
    assert [row.name for row in rows] == [*FIXED, "float32, temperature 1"]
    for audio, given, sound in zip(SPEECH, frames, made["float32, temperature 1"], strict=True):
        assert np.array_equal(sound, fw.vocode(model, given[: len(audio) // 80], seed=0))
    kept = SPEECH[2][: 30 * HOP]
    coded = fw.mu_law_decode(fw.mu_law_encode(kept))
    assert rows[1].recordings[2].log_mel == log_mel_distance(kept, coded, plain_mel(16000))


def test_frames_given_for_a_model_of_mel_frames_take_their_place():
    made = {}
    other = fw.mel(SPEECH[1], MEL)
    fw.evaluate(
        vocoder(),
        SPEECH[0][: 4 * HOP],
        frames=other,
        griffin_lim=2,
        row_done=lambda row, sounds: made.update({row.name: sounds[0]}),
    )
    assert np.array_equal(made["Griffin-Lim, 2 iterations"], griffin_lim(other, MEL, 2, 0))
    assert np.array_equal(
        made["float32, temperature 1"], fw.vocode(vocoder(), other, seed=0, match=0)
    )


def test_each_recording_has_its_speaker():
    model = vocoder(
        conditioning=dataclasses.replace(END, speakers=("ann", "bob"), speaker_channels=3)
    )
    both = fw.evaluate(model, SPEECH[:2], speaker=["bob", 0], griffin_lim=())[-1]
    for audio, speaker, found in zip(SPEECH[:2], ("bob", "ann"), both.recordings, strict=True):
        alone = fw.evaluate(model, audio, speaker=speaker, griffin_lim=())[-1]
        assert numbers(found) == numbers(alone.quality)


# ---- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "voice.safetensors"}, TypeError, "use fastwavenet.load"),
        ({"model": fw.Model}, TypeError, "must be a fastwavenet.Model"),
        ({"recordings": []}, ValueError, "at least one recording, found none"),
        ({"recordings": "a.wav"}, TypeError, "read the file first"),
        ({"recordings": np.zeros(512, np.int16)}, TypeError, "divide it by 32768"),
        ({"recordings": np.full(512, np.nan, np.float32)}, ValueError, "at index 0"),
        ({"recordings": np.zeros((2, 512), np.float32)}, ValueError, "one mono recording"),
        ({"sample_rate": 8000}, ValueError, "8000 Hz, expected the model's 16000 Hz"),
        ({"precisions": "int4"}, ValueError, "precision must be one of auto"),
        ({"precisions": ["int8", "int4"]}, ValueError, "not 'int4'"),
        ({"temperature": -1}, ValueError, "temperature must be 0"),
        ({"temperature": [1, "hot"]}, TypeError, "temperature must be a number"),
        ({"min_p": [0, 1.5]}, ValueError, "min_p must be from 0 to 1"),
        ({"griffin_lim": 0}, ValueError, "griffin_lim must be a whole number from 1"),
        ({"griffin_lim": [32, 1.5]}, TypeError, "griffin_lim must be a whole number"),
        ({"match": [0, -1]}, ValueError, "match must be a whole number from 0"),
        ({"match": 1.5}, TypeError, "match must be a whole number"),
        ({"seed": -1}, ValueError, "seed must be a whole number"),
        ({"seed": None}, TypeError, "seed must be a whole number"),
        ({"batch": 0}, ValueError, "batch must be a whole number from 1"),
        ({"threads": 3}, ValueError, "threads must be a whole number from 1 to 2"),
        ({"speaker": "ann"}, ValueError, "the model has no speakers"),
        ({"frames": []}, ValueError, "frames must be those of each of 1 recordings: 0"),
        ({"frames": [np.zeros((4, 80))]}, ValueError, "need at least 5 frames, not 4"),
        ({"frames": [np.zeros((5, 79))]}, ValueError, "79"),
        ({"frames": [np.zeros(1280, np.float32)]}, ValueError, "frames must have shape"),
    ],
)
def test_wrong_arguments_are_refused_before_a_row(arguments, error, message):
    call = {"model": vocoder(), "recordings": [SPEECH[0]]} | arguments
    with pytest.raises(error, match=message):
        fw.evaluate(**call, row_done=lambda *_: pytest.fail("measured"))


def test_a_model_without_frames_is_refused_with_the_commands_that_measure_it():
    with pytest.raises(ValueError, match=r"takes no frames.*fastwavenet score.*fastwavenet tune"):
        fw.evaluate(vocoder(conditioning=None), SPEECH[0])
    crowd = FrameConditioning(0, 1, speakers=("ann", "bob"), speaker_channels=2)
    with pytest.raises(ValueError, match="takes no frames"):
        fw.evaluate(vocoder(conditioning=crowd), SPEECH[0], speaker="ann")


# ---- while it runs -----------------------------------------------------------------------------


def test_progress_counts_all_samples_made_and_measured():
    seen = []
    rows = fw.evaluate(
        vocoder(), SPEECH, griffin_lim=1, progress=lambda *counts: seen.append(counts)
    )
    samples = sum(len(audio) // HOP * HOP for audio in SPEECH)
    assert {total for _, total in seen} == {2 * samples * len(rows)}
    done = [count for count, _ in seen]
    assert done == sorted(done) and done[-1] == seen[0][1] and len(set(done)) > 3 * len(rows)


def test_an_exception_of_a_callback_ends_the_call():
    def stop(*_):
        raise RuntimeError("enough")

    for name in ("progress", "row_done"):
        with pytest.raises(RuntimeError, match="enough"):
            fw.evaluate(vocoder(), SPEECH[0], **{name: stop})
