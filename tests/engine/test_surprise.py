"""`fastwavenet.surprise`: means of `score` per frame, expected nats, thresholds and segments."""

import dataclasses
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import every_network, random_codes, random_frames, random_weights, small_spec
from recordings import noise, tone
from slow_twin import frame_means, slow_entropies

import fastwavenet as fw
from fastwavenet import scoring
from fastwavenet.ends import FrameConditioning, Start
from fastwavenet.unusual import MAX_SMOOTH, FrameSums

SPEC = small_spec()
MODEL = fw.Model(SPEC, random_weights(SPEC, seed=1))
FED = small_spec(start=Start(8, True))


def entropies_of(model, codes, **how) -> np.ndarray:
    """Of the distributions whose outcomes `score` measures."""
    return slow_entropies(fw.outputs(model, codes, **how))[:-1]


# ---- frames ------------------------------------------------------------------------------------

N = 60
HOPS = [2, 3, 7, 29, 30, 31, N - 1, N, N + 1, 10**6]


@pytest.mark.parametrize("smooth", [1, 3, 5, MAX_SMOOTH])
@pytest.mark.parametrize("hop", HOPS)
@pytest.mark.parametrize("fed", [False, True])
def test_frames_are_the_means_of_score_and_of_the_entropies(fed, hop, smooth):
    spec = FED if fed else SPEC
    model, codes = fw.Model(spec, random_weights(spec, seed=1)), random_codes(SPEC, N, seed=2)
    found = fw.surprise(model, codes, hop, smooth=smooth)
    nats, expected = fw.score(model, codes), entropies_of(model, codes)
    assert len(nats) == len(expected) == N - (not fed)
    assert found.nats.dtype == found.expected.dtype == found.excess.dtype == np.float32
    of_nats = frame_means(nats, N, hop, not fed, smooth)
    np.testing.assert_allclose(found.nats, of_nats, rtol=1e-6)
    np.testing.assert_allclose(
        found.expected, frame_means(expected, N, hop, not fed, smooth), rtol=1e-5
    )
    np.testing.assert_array_equal(found.excess, found.nats - found.expected)


@pytest.mark.parametrize("hop", HOPS)
def test_the_mean_of_all_frames_is_that_of_score(hop):
    codes = random_codes(SPEC, N, seed=3)
    found = fw.surprise(MODEL, codes, hop).nats
    weights = np.diff([1, *range(hop, N - hop + 1, hop), N])
    mean = fw.score(MODEL, codes).mean(dtype=float)
    assert np.average(found, weights=weights) == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("n", [0, 1, 2, 9, 10, 11, 19, 20, 21])
@pytest.mark.parametrize("fed", [False, True])
def test_there_is_a_frame_for_each_hop_and_one_for_less(n, fed):
    model = fw.Model(FED, random_weights(FED, seed=1)) if fed else MODEL
    found = fw.surprise(model, random_codes(SPEC, n, seed=2), 10)
    predicted = n if fed else max(0, n - 1)
    count = max(1, n // 10) if predicted else 0
    assert found.nats.shape == found.expected.shape == (count,)
    assert np.isfinite(found.excess).all()


@every_network
def test_every_network_has_surprise(spec):
    model, codes = fw.Model(spec, random_weights(spec, seed=4)), random_codes(spec, 40, seed=5)
    frames = random_frames(spec, 40, 6) if spec.conditioning else None
    found = fw.surprise(model, codes, 8, frames=frames)
    nats, expected = (
        fw.score(model, codes, frames=frames),
        entropies_of(model, codes, frames=frames),
    )
    np.testing.assert_allclose(found.nats, frame_means(nats, 40, 8, 1, 1), rtol=1e-6)
    np.testing.assert_allclose(
        found.expected, frame_means(expected, 40, 8, 1, 1), rtol=1e-4, atol=1e-5
    )


def test_frames_and_speaker_condition_the_prediction():
    spec = small_spec(
        conditioning=FrameConditioning(3, 20, "linear", speakers=("a", "b"), speaker_channels=2)
    )
    model, codes = fw.Model(spec, random_weights(spec, 3)), random_codes(spec, 90, 2)
    how = {"frames": random_frames(spec, 90, 1), "speaker": "b"}
    found = fw.surprise(model, codes, 15, **how)
    np.testing.assert_allclose(
        found.nats, frame_means(fw.score(model, codes, **how), 90, 15, 1, 1), rtol=1e-6
    )
    with pytest.raises(ValueError, match="needs frames of 3 channels"):
        fw.surprise(model, codes, 15, speaker="b")
    with pytest.raises(ValueError, match="need at least 5 frames, not 4"):
        fw.surprise(model, codes, 15, frames=how["frames"][:4], speaker="b")


def test_audio_is_scored_as_its_codes_are():
    audio = tone(500, rate=8000)
    a, b = (
        fw.surprise(MODEL, given, 50) for given in (audio, fw.mu_law_encode(audio, SPEC.levels))
    )
    np.testing.assert_array_equal(a.nats, b.nats)
    np.testing.assert_array_equal(a.expected, b.expected)


def test_silence_has_finite_frames():
    found = fw.surprise(MODEL, np.zeros(400, np.float32), 40)
    assert np.isfinite(found.excess).all()
    assert (found.nats >= 0).all() and (found.expected >= 0).all()


def test_the_models_own_samples_have_no_excess_and_noise_has():
    own = fw.generate(MODEL, n_samples=40000, seed=3)
    assert abs(fw.surprise(MODEL, own, 40000).excess[0]) < 0.02
    assert fw.surprise(MODEL, noise(40000, amplitude=0.5), 40000).excess[0] > 0.2


@pytest.mark.parametrize("levels", [1, 2, 16, 300])
def test_entropies_of_extreme_logits_are_finite(levels):
    top = np.finfo(np.float32).max
    rows = np.array([np.resize(row, levels) for row in ([0], [top, -top], [-top], [0, -1e4, 1e4])])
    with np.errstate(all="raise"):
        found = scoring.entropies(rows.astype(np.float32))
    maxima = [np.sum(row == row.max()) for row in rows]
    np.testing.assert_allclose(found, np.log(maxima), atol=1e-6)


# ---- what may differ ---------------------------------------------------------------------------


@pytest.mark.parametrize("stretch", [1, 9, 10, 11, 64])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("logits", [1, 16 * 7, 1 << 18])
def test_stretches_threads_and_blocks_change_no_bit(monkeypatch, stretch, threads, logits):
    codes = random_codes(SPEC, 333, seed=5)
    whole = fw.surprise(MODEL, codes, 10, smooth=3)
    monkeypatch.setattr(scoring, "STRETCH", stretch)
    monkeypatch.setattr(scoring, "LOGITS", logits)
    found = fw.surprise(MODEL, codes, 10, smooth=3, threads=threads)
    np.testing.assert_array_equal(found.nats, whole.nats)
    np.testing.assert_array_equal(found.expected, whole.expected)


def test_every_instruction_set_has_the_same_bits(isa, precision):
    model, codes = fw.Model(SPEC, random_weights(SPEC, 1), precision), random_codes(SPEC, 200, 5)
    found, best = fw.surprise(model, codes, 16, isa=isa), fw.surprise(model, codes, 16)
    np.testing.assert_array_equal(found.nats, best.nats)
    np.testing.assert_array_equal(found.expected, best.expected)


@given(st.data())
def test_numbers_in_any_pieces_have_the_sums_of_all_at_once(data):
    n, hop = data.draw(st.integers(0, 400)), data.draw(st.integers(2, 90))
    smooth = 2 * data.draw(st.integers(0, 4)) + 1
    numbers = np.random.default_rng(n).exponential(size=n).astype(np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=8)))
    at_once, pieces = FrameSums(SPEC, hop), FrameSums(SPEC, hop)
    at_once.add(numbers)
    for piece in np.split(numbers, cuts):
        pieces.add(piece)
    np.testing.assert_array_equal(pieces.finish(smooth), at_once.finish(smooth))


def test_a_frame_depends_on_its_own_samples_and_neighbours_only():
    codes = random_codes(SPEC, 400, seed=7)
    changed = codes.copy()
    changed[205] = (codes[205] + 5) % 16
    a, b = (fw.surprise(MODEL, given, 10, smooth=3) for given in (codes, changed))
    last = (205 + SPEC.receptive_field) // 10 + 1
    differ = np.flatnonzero(a.nats != b.nats)
    assert differ.min() == 19 and differ.max() <= last


def test_progress_counts_samples():
    seen = []
    fw.surprise(MODEL, random_codes(SPEC, 50, 1), 10, progress=lambda *at: seen.append(at))
    assert seen[-1] == (49, 49)


def test_an_error_in_progress_ends_the_call():
    def stop(done, total):
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        fw.surprise(MODEL, random_codes(SPEC, 500, 1), 10, threads=2, progress=stop)
    assert threading.active_count() == before


# ---- thresholds and segments -------------------------------------------------------------------


@given(
    st.lists(st.lists(st.integers(-5, 5), max_size=20), max_size=5),
    st.floats(0, 1),
)
def test_at_most_a_share_of_the_normal_frames_is_above_the_threshold(each, quantile):
    arrays = [np.array(nats, np.float32) for nats in each]
    pooled = np.concatenate([np.empty(0), *arrays])
    if not len(pooled):
        return
    threshold = fw.surprise_threshold(arrays, quantile)
    assert threshold in pooled
    assert (pooled > threshold).mean() <= 1 - quantile + 1e-9
    lower = pooled[pooled < threshold]
    assert not len(lower) or (pooled > lower.max()).mean() > 1 - quantile - 1e-9


def test_the_threshold_of_one_array_is_that_of_a_list_of_it():
    nats = np.arange(10, dtype=np.float32)
    assert fw.surprise_threshold(nats, 0.5) == fw.surprise_threshold([nats], 0.5) == 4
    assert fw.surprise_threshold(nats, 1) == 9
    assert fw.surprise_threshold(nats, 0) == 0
    assert fw.surprise_threshold(nats) == 9


@given(st.lists(st.integers(-3, 3), max_size=40), st.integers(-4, 4))
def test_segments_are_the_runs_of_frames_above_the_threshold(values, threshold):
    nats = np.array(values, np.float32)
    segments = fw.surprise_segments(nats, threshold)
    assert segments.dtype == np.int64 and segments.shape == (len(segments), 2)
    above = np.zeros(len(nats), bool)
    for first, end in segments:
        assert first < end
        assert first == 0 or not above[first - 1]
        above[first:end] = True
    np.testing.assert_array_equal(above, nats > threshold)
    assert (np.diff(segments[:, 0]) > 0).all()


def test_a_frame_at_the_threshold_is_not_above_it():
    nats = np.array([0.1, 0.7, 0.3], np.float32)
    threshold = fw.surprise_threshold(nats, 1)
    assert len(fw.surprise_segments(nats, threshold)) == 0
    assert fw.surprise_segments(nats, 0.5).tolist() == [[1, 2]]


# ---- errors ------------------------------------------------------------------------------------

CODES = random_codes(SPEC, 30, 1)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "hop must be a whole number from 2", lambda: fw.surprise(MODEL, CODES, 0)),
        (ValueError, "hop must be a whole number from 2", lambda: fw.surprise(MODEL, CODES, 1)),
        (TypeError, "hop must be", lambda: fw.surprise(MODEL, CODES, 0.05)),
        (ValueError, "smooth must be an odd", lambda: fw.surprise(MODEL, CODES, 2, smooth=2)),
        (ValueError, "smooth must be an odd", lambda: fw.surprise(MODEL, CODES, 2, smooth=0)),
        (ValueError, "smooth must be an odd", lambda: fw.surprise(MODEL, CODES, 2, smooth=1001)),
        (TypeError, "smooth must be an odd", lambda: fw.surprise(MODEL, CODES, 2, smooth=1.5)),
        (ValueError, "threads must be", lambda: fw.surprise(MODEL, CODES, 2, threads=0)),
        (ValueError, "16000 Hz", lambda: fw.surprise(MODEL, CODES, 2, sample_rate=16000)),
        (ValueError, "audio must be finite", lambda: fw.surprise(MODEL, [0.0, np.nan], 2)),
        (TypeError, "model", lambda: fw.surprise("voice", CODES, 2)),
        (ValueError, "quantile must be from 0 to 1", lambda: fw.surprise_threshold([[1]], 1.1)),
        (ValueError, "quantile must be from 0", lambda: fw.surprise_threshold([[1]], np.nan)),
        (TypeError, "quantile must be a number", lambda: fw.surprise_threshold([[1]], "0.9")),
        (ValueError, "at least a frame", lambda: fw.surprise_threshold([])),
        (ValueError, "at least a frame", lambda: fw.surprise_threshold([np.empty(0)])),
        (ValueError, "normal must be finite: nan at index 1",
         lambda: fw.surprise_threshold([[1, np.nan]])),
        (ValueError, r"shape \(frames,\)", lambda: fw.surprise_threshold([[[1.0]]])),
        (TypeError, "normal must be numbers", lambda: fw.surprise_threshold(["abc"])),
        (TypeError, "without a mask", lambda: fw.surprise_threshold([np.ma.zeros(2)])),
        (ValueError, "threshold must be a finite number, not nan",
         lambda: fw.surprise_segments([1.0], np.nan)),
        (ValueError, "threshold must be a finite", lambda: fw.surprise_segments([1.0], np.inf)),
        (TypeError, "threshold must be a number", lambda: fw.surprise_segments([1.0], None)),
        (ValueError, "nats must be finite: inf", lambda: fw.surprise_segments([np.inf], 1)),
        (TypeError, "nats must be numbers", lambda: fw.surprise_segments([True], 1)),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_a_result_cannot_be_changed_by_assignment():
    found = fw.surprise(MODEL, CODES, 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.nats = found.expected
