"""The C engine computes what the float64 reference computes: promise 1 of the design."""

import functools

import numpy as np
import pytest
import torch
from engines import changed_model, cond_of, model_of, run, weights_of
from networks import NETWORKS, every_network, random_codes, random_cond, small_spec, widths

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.reference import Int8Steps, bfloat16_weights
from fastwavenet.training.model import WaveNet

PROMISED = 1e-4  # of max(1, the largest logit) ...
REACHED = 2e-6  # ... and what these small networks stay within


pytestmark = pytest.mark.usefixtures("one_thread")


@functools.cache
def expected_logits(spec, n: int) -> np.ndarray:
    return reference.teacher_forced(
        spec, weights_of(spec), random_codes(spec, n, 2), cond_of(spec, n)
    )


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
    found = fw.outputs(model_of(spec), random_codes(spec, n, 2), cond=cond_of(spec, n), isa=isa)
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
    codes, cond = random_codes(spec, n, 2), cond_of(spec, n)
    logits = expected_logits(spec, n)
    expected = -log_softmax(logits)[np.arange(n - 1), codes[1:]]
    found = fw.score(model_of(spec), codes, cond=None if cond is None else cond[:-1], isa=isa)
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
    codes, cond = random_codes(spec, n, 2), cond_of(spec, n)
    found = fw.outputs(model_of(spec), codes, cond=cond, isa=isa)
    expected = reference.teacher_forced(spec, weights_of(spec), codes, cond)
    assert error(found, expected) <= REACHED


@every_network
def test_of_no_sample_or_one_there_is_nothing_to_score(spec, isa):
    model, nothing = model_of(spec), cond_of(spec, 0)
    assert fw.outputs(model, [], cond=nothing, isa=isa).shape == (0, spec.levels)
    assert fw.score(model, [], cond=nothing, isa=isa).shape == (0,)
    assert fw.score(model, [1], cond=nothing, isa=isa).shape == (0,)


# ---- conditioning ------------------------------------------------------------------------------


@pytest.mark.parametrize("hop", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("name", ["conditioned", "conditioned_kernel_3_no_bias"])
def test_a_frame_of_cond_holds_for_hop_steps(name, hop, isa):
    spec, n = NETWORKS[name], 150
    codes, frames = random_codes(spec, n, 2), random_cond(spec, -(-n // hop) + 1, 4)
    per_step = frames[np.arange(n) // hop]
    expected = reference.teacher_forced(spec, weights_of(spec), codes, per_step)
    found = fw.outputs(model_of(spec), codes, cond=frames, hop=hop, isa=isa)
    assert error(found, expected) <= REACHED
    assert np.array_equal(found, fw.outputs(model_of(spec), codes, cond=per_step, isa=isa))


@pytest.mark.parametrize("hop", [1, 3, 1000])
def test_a_single_frame_holds_for_all_steps(hop, isa):
    spec, n = NETWORKS["conditioned"], 50
    codes, frame = random_codes(spec, n, 2), random_cond(spec, 1, 4)
    expected = reference.teacher_forced(spec, weights_of(spec), codes, frame.repeat(n, axis=0))
    assert (
        error(fw.outputs(model_of(spec), codes, cond=frame, hop=hop, isa=isa), expected) <= REACHED
    )


@pytest.mark.parametrize("hop", [1, 3, 1000, 4095, 4096, 4097, 5000, 10**6])
def test_frames_are_found_in_every_chunk_of_a_long_call(hop):
    spec, n = NETWORKS["conditioned"], 13_000
    codes, frames = random_codes(spec, n, 2), random_cond(spec, -(-n // hop), 4)
    per_step = frames[np.arange(n) // hop]
    for listen, steps in ((fw.outputs, n), (fw.score, n - 1)):
        found = listen(model_of(spec), codes, cond=frames, hop=hop)
        assert np.array_equal(found, listen(model_of(spec), codes, cond=per_step[:steps]))
    by_frames, by_steps = (fw.Generator(model_of(spec), seed=1) for _ in range(2))
    by_frames.prime(codes[:9001], cond=frames, hop=hop)
    by_steps.prime(codes[:9001], cond=per_step)
    assert by_frames.get_state() == by_steps.get_state()


def test_rows_of_a_batch_have_cond_of_their_own(isa):
    spec, n, rows = NETWORKS["conditioned"], 40, 3
    codes = np.stack([random_codes(spec, n, seed) for seed in range(rows)])
    cond = np.stack([random_cond(spec, n, seed + 10) for seed in range(rows)], axis=1)
    gen = fw.Generator(model_of(spec), seed=0, batch=rows, isa=isa)
    gen.prime(codes[:, :1], cond=cond[:1])
    logits = run(gen, n, forced=np.roll(codes, -1, axis=1), cond=cond).logits
    for row in range(rows):
        expected = reference.teacher_forced(spec, weights_of(spec), codes[row], cond[:, row])
        assert error(logits[row], expected) <= REACHED


# ---- greedy and causal -------------------------------------------------------------------------


@functools.cache
def naive_logits(spec, codes: tuple[int, ...]) -> np.ndarray:
    """(n, levels) by PyTorch in float64, the whole receptive field again for each sample."""
    net = WaveNet(spec).double()
    net.load_state_dict({name: torch.from_numpy(a) for name, a in weights_of(spec).items()})
    cond = cond_of(spec, len(codes))
    rows = []
    for end in range(1, len(codes) + 1):
        window = slice(max(0, end - spec.receptive_field), end)
        given = None
        if cond is not None:
            given = torch.from_numpy(cond[window]).double().permute(1, 2, 0)[None]
        with torch.no_grad():
            rows.append(net(torch.tensor([codes[window]]), given)[0, :, -1].numpy())
    return np.array(rows)


@every_network
def test_greedy_codes_are_those_of_naive_recomputation(spec, isa):
    n = spec.receptive_field + 10
    gen = fw.Generator(model_of(spec), seed=1, temperature=0, isa=isa)
    drawn = run(gen, n, cond=cond_of(spec, n)).codes[0]
    logits = naive_logits(spec, (spec.start.code, *drawn[:-1].tolist()))
    runner_up, best = np.sort(logits, axis=1)[:, -2:].T
    clear = best - runner_up > 2 * PROMISED * np.maximum(1, np.abs(logits).max(axis=1))
    assert clear.mean() > 0.7
    assert np.array_equal(drawn[clear], logits.argmax(axis=1)[clear])


@every_network
def test_no_output_depends_on_a_later_sample(spec, isa):
    n = 70  # more than a block
    codes, cond = random_codes(spec, n, 2), cond_of(spec, n)
    before = fw.outputs(model_of(spec), codes, cond=cond, isa=isa)
    changed_somewhere = False
    for t in (0, 1, 15, 16, 17, 63, 64, 69):
        changed = codes.copy()
        changed[t] = (codes[t] + 1) % spec.levels
        after = fw.outputs(model_of(spec), changed, cond=cond, isa=isa)
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
        assert precision != "int8" or not np.isfinite(expected).all()
    else:
        assert error(found, expected) <= (0 if precision == "int8" else PROMISED)


@functools.cache
def logits_of_overflowing(spec, tensor: str, value: float, precision: str) -> np.ndarray:
    """By the twin of the precision; those of float32 and bfloat16 do not overflow themselves."""
    filled = np.full(spec.tensors()[tensor], value, np.float32)
    weights = dict(weights_of(spec)) | {tensor: filled}
    if precision == "bfloat16":
        weights = bfloat16_weights(weights)
    network = Int8Steps if precision == "int8" else reference.WaveNetSteps
    with np.errstate(over="ignore"):
        return reference.teacher_forced(spec, weights, random_codes(spec, 30, 2), network=network)
