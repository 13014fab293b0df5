"""The C engine computes what the float64 reference computes: promise 1 of the design."""

import functools

import numpy as np
import pytest
import torch
from engines import changed_model, frames_of, model_of, projected, run, weights_of
from networks import every_network, random_codes, random_frames, small_spec, widths
from slow_twin import TWINS, logits_of_twin

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.ends import FrameConditioning, UpsamplingStage
from fastwavenet.reference import bfloat16_weights
from fastwavenet.training.model import WaveNet

PROMISED = 1e-4  # of max(1, the largest logit) ...
REACHED = 2e-6  # ... and what these small networks stay within


pytestmark = pytest.mark.usefixtures("one_thread")


@functools.cache
def expected_logits(spec, n: int) -> np.ndarray:
    rows = projected(spec, weights_of(spec), frames_of(spec, n), n)
    return reference.teacher_forced(spec, weights_of(spec), random_codes(spec, n, 2), rows)


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """Relative to the largest logit."""
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / max(1, np.abs(expected).max())


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


# ---- logits and scores -------------------------------------------------------------------------


@every_network
def test_outputs_are_the_references(spec, isa):
    n = spec.receptive_field + 40
    found = fw.outputs(model_of(spec), random_codes(spec, n, 2), frames=frames_of(spec, n), isa=isa)
    assert found.dtype == np.float32
    assert expected_logits(spec, n).std() > 0.1
    assert error(found, expected_logits(spec, n)) <= REACHED < PROMISED


def test_a_deep_network_keeps_the_promise_too(isa):
    spec = small_spec(**widths(24), levels=64, dilations=(1, 2, 4, 8, 16) * 4)
    n = spec.receptive_field + 10
    found = fw.outputs(model_of(spec), random_codes(spec, n, 2), isa=isa)
    assert error(found, expected_logits(spec, n)) <= 1e-5 < PROMISED


@every_network
def test_score_is_the_references_log_softmax(spec, isa):
    n = spec.receptive_field + 40
    codes, frames = random_codes(spec, n, 2), frames_of(spec, n)
    logits = expected_logits(spec, n)
    expected = -log_softmax(logits)[np.arange(n - 1), codes[1:]]
    found = fw.score(model_of(spec), codes, frames=frames, isa=isa)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 4 * REACHED * max(1, np.abs(logits).max())


def test_audio_counts_as_its_codes(isa):
    spec = small_spec(levels=256)
    audio = np.random.default_rng(1).uniform(-1.1, 1.1, 50)
    codes = fw.mu_law_encode(audio, 256)
    for listen in (fw.outputs, fw.score):
        expected = listen(model_of(spec), codes, isa=isa)
        assert np.array_equal(listen(model_of(spec), audio, isa=isa), expected)
        assert np.array_equal(listen(model_of(spec), audio.astype(np.float32), isa=isa), expected)


@every_network
@pytest.mark.parametrize("n", [1, 2])
def test_the_first_outputs_are_the_references(spec, n, isa):
    codes, frames = random_codes(spec, n, 2), frames_of(spec, n)
    found = fw.outputs(model_of(spec), codes, frames=frames, isa=isa)
    rows = projected(spec, weights_of(spec), frames, n)
    expected = reference.teacher_forced(spec, weights_of(spec), codes, rows)
    assert error(found, expected) <= REACHED


@every_network
def test_of_no_sample_or_one_there_is_nothing_to_score(spec, isa):
    model, nothing = model_of(spec), frames_of(spec, 0)
    assert fw.outputs(model, [], frames=nothing, isa=isa).shape == (0, spec.levels)
    assert fw.score(model, [], frames=nothing, isa=isa).shape == (0,)
    assert fw.score(model, [1], frames=nothing, isa=isa).shape == (0,)


# ---- conditioning ------------------------------------------------------------------------------


ENDS = [
    FrameConditioning(channels=1, hop=1),
    FrameConditioning(channels=3, hop=2, interpolation="linear"),
    FrameConditioning(channels=80, hop=5),
    FrameConditioning(channels=80, hop=5, interpolation="linear"),
    FrameConditioning(channels=3, hop=200, interpolation="linear"),
    FrameConditioning(channels=80, hop=256),
    FrameConditioning(speakers=("ann", "bob", "cid"), speaker_channels=4),
    FrameConditioning(channels=17, hop=7, speakers=("ann", "bob"), speaker_channels=16),
    FrameConditioning(3, 4, "linear", ("ann",), 1),
    FrameConditioning(3, 5, upsampling=(UpsamplingStage(4, 3, crop=1, activation="relu"),)),
    FrameConditioning(1, 6, "linear", upsampling=(UpsamplingStage(3, 7, 3, 2),), edges="zeros"),
    FrameConditioning(
        80,
        8,
        "linear",
        ("ann", "bob"),
        3,
        upsampling=(
            UpsamplingStage(17, 5, crop=2, activation="relu"),
            UpsamplingStage(16, 16, 8, 4),
        ),
    ),
]
every_end = pytest.mark.parametrize("end", ENDS, ids=str)


def speaker_of(end: FrameConditioning) -> int | None:
    return len(end.speakers) - 1 if end.speakers else None


def given(spec, n: int, seed: int = 3) -> dict:
    """frames and speaker for n samples."""
    end = spec.conditioning
    frames = random_frames(spec, n, seed) if end.channels else None
    return {"frames": frames, "speaker": speaker_of(end)}


@every_end
@pytest.mark.parametrize("n", [1, 2, 150])
def test_outputs_with_frames_and_speakers_are_the_references(end, n, isa):
    spec = small_spec(conditioning=end, kernel=3)
    codes, frames = random_codes(spec, n, 2), given(spec, n)["frames"]
    rows = projected(spec, weights_of(spec), frames, n, speaker_of(end))
    expected = reference.teacher_forced(spec, weights_of(spec), codes, rows)
    found = fw.outputs(model_of(spec), codes, **given(spec, n), isa=isa)
    assert error(found, expected) <= 5 * REACHED < PROMISED
    scores = fw.score(model_of(spec), codes, **given(spec, n), isa=isa, threads=2)
    expected = -log_softmax(expected)[np.arange(n - 1), codes[1:]]
    assert np.abs(scores - expected).max(initial=0) <= 20 * REACHED * max(1, np.abs(found).max())


@every_end
@pytest.mark.parametrize("precision", TWINS)
def test_frames_and_speakers_have_the_bits_of_the_slow_twin(precision, end, isa):
    spec, n = small_spec(conditioning=end), 60
    codes, frames = random_codes(spec, n, 2), given(spec, n)["frames"]
    expected = logits_of_twin(spec, weights_of(spec), precision, codes, frames, speaker_of(end))
    model = model_of(spec, precision=precision)
    assert fw.outputs(model, codes, **given(spec, n), isa=isa).tobytes() == expected.tobytes()


@every_end
def test_an_output_depends_on_no_frame_before_it_begins(end, isa):
    """With interpolation a frame counts from one frame earlier on, with upsampling from more."""
    if not end.channels:
        pytest.skip("there are no frames")
    spec, n = small_spec(conditioning=end), 3 * end.hop + 2
    codes, frames = random_codes(spec, n, 2), random_frames(spec, n, 3)
    before = fw.outputs(model_of(spec), codes, frames=frames, speaker=speaker_of(end), isa=isa)
    for frame in range(len(frames)):
        changed = frames.copy()
        changed[frame] += 1
        after = fw.outputs(model_of(spec), codes, frames=changed, speaker=speaker_of(end), isa=isa)
        first = (frame - end.reach[1]) * end.hop  # sample
        if not end.upsampling:
            first += end.interpolation == "linear"  # at its begin the frame before counts alone
        same = np.all(after == before, axis=1)  # row t predicts sample t + 1
        assert same[: max(first - 1, 0)].all()
        if 1 <= first <= n and not end.upsampling:
            assert not same[first - 1]


@every_end
def test_rows_of_a_batch_have_frames_and_speakers_of_their_own(end, precision, isa):
    spec, n, rows = small_spec(conditioning=end), 40, 3
    model = model_of(spec, precision=precision)
    frames, speakers = None, None
    if end.channels:
        frames = np.stack([random_frames(spec, n, seed) for seed in range(rows)])
    if end.speakers:
        speakers = [row % len(end.speakers) for row in range(rows)]
    together = fw.Generator(model, seed=1, batch=rows, speaker=speakers, isa=isa)
    audio = together.generate(n, frames=frames)
    for row in range(rows):
        one = None if speakers is None else end.speakers[speakers[row]]
        alone = fw.Generator(model, seed=1, stream=row, speaker=one)
        own = None if frames is None else frames[row]
        assert alone.generate(n, frames=own).tobytes() == audio[row].tobytes()


@every_end
@pytest.mark.parametrize("chunk", [1, 2, 7, 100])
def test_frames_in_chunks_give_the_samples_of_all_at_once(end, chunk, precision):
    if not end.channels:
        pytest.skip("there are no frames")
    spec = small_spec(conditioning=end)
    model, frames = model_of(spec, precision=precision), random_frames(spec, 9 * end.hop, 3)
    whole = fw.generate(model, seed=1, frames=frames, speaker=speaker_of(end))
    assert len(whole) == 9 * end.hop
    chunks = [frames[i : i + chunk] for i in range(0, 9, chunk)] + [frames[:0]]
    gen = fw.Generator(model, seed=1, speaker=speaker_of(end))
    blocks = [*gen.vocode(iter(chunks))]
    assert np.concatenate(blocks).tobytes() == whole.tobytes()


# ---- greedy and causal -------------------------------------------------------------------------


@functools.cache
def naive_logits(spec, codes: tuple[int, ...]) -> np.ndarray:
    """(n, levels) by PyTorch in float64, the whole receptive field again for each sample."""
    net = WaveNet(spec).double()
    net.load_state_dict({name: torch.from_numpy(a) for name, a in weights_of(spec).items()})
    frames, rows = frames_of(spec, len(codes)), []
    for end in range(1, len(codes) + 1):
        window = slice(max(0, end - spec.receptive_field), end)
        given = None
        if frames is not None:  # column t predicts the sample that frame t belongs to
            given = torch.from_numpy(frames[window].T).double()[None]
        with torch.no_grad():
            rows.append(net(torch.tensor([codes[window]]), given, at=0)[0, :, -1].numpy())
    return np.array(rows)


@every_network
def test_greedy_codes_are_those_of_naive_recomputation(spec, isa):
    n = spec.receptive_field + 10
    gen = fw.Generator(model_of(spec), seed=1, temperature=0, isa=isa)
    drawn = run(gen, n, frames=frames_of(spec, n)).codes[0]
    logits = naive_logits(spec, (spec.start.code, *drawn[:-1].tolist()))
    runner_up, best = np.sort(logits, axis=1)[:, -2:].T
    clear = best - runner_up > 2 * PROMISED * np.maximum(1, np.abs(logits).max(axis=1))
    assert clear.mean() > 0.7
    assert np.array_equal(drawn[clear], logits.argmax(axis=1)[clear])


@every_network
def test_no_output_depends_on_a_later_sample(spec, isa):
    n = 70  # more than a block
    codes, frames = random_codes(spec, n, 2), frames_of(spec, n)
    before = fw.outputs(model_of(spec), codes, frames=frames, isa=isa)
    changed_somewhere = False
    for t in (0, 1, 15, 16, 17, 63, 64, 69):
        changed = codes.copy()
        changed[t] = (codes[t] + 1) % spec.levels
        after = fw.outputs(model_of(spec), changed, frames=frames, isa=isa)
        assert np.array_equal(after[:t], before[:t])
        changed_somewhere |= not np.array_equal(after[t], before[t])
    assert changed_somewhere


# ---- out of range ------------------------------------------------------------------------------


@pytest.mark.parametrize("tensor", [t for t in small_spec().tensors() if t.endswith(".weight")])
@pytest.mark.parametrize("value", [3e38, -3e38])
def test_an_overflow_is_an_error_and_never_a_wrong_number(tensor, value, precision, isa):
    spec = small_spec()
    model = changed_model(spec, precision, **{tensor.replace(".", "_"): value})
    codes = random_codes(spec, 30, 2)
    expected = logits_of_overflowing(spec, tensor, value, precision)
    try:
        found = fw.outputs(model, codes, isa=isa)
    except fw.NotFiniteError:
        assert precision not in TWINS or not np.isfinite(expected).all()
    else:
        assert error(found, expected) <= (0 if precision in TWINS else PROMISED)


@functools.cache
def logits_of_overflowing(spec, tensor: str, value: float, precision: str) -> np.ndarray:
    """By the twin of the precision; those of float32 and bfloat16 do not overflow themselves."""
    filled = np.full(spec.tensors()[tensor], value, np.float32)
    weights = dict(weights_of(spec)) | {tensor: filled}
    if precision == "bfloat16":
        weights = bfloat16_weights(weights)
    network = TWINS[precision][0] if precision in TWINS else reference.WaveNetSteps
    with np.errstate(over="ignore"):
        return reference.teacher_forced(spec, weights, random_codes(spec, 30, 2), network=network)
