"""Learned upsampling: PyTorch, numpy and C compute the same features, in any pieces."""

import dataclasses
import itertools
from random import Random

import numpy as np
import pytest
import torch
from engines import model_of, weights_of
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_codes, random_frames, random_weights, small_spec
from torch.nn import functional as F

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.ends import (
    FrameConditioning,
    Sampling,
    Start,
    UpsamplingStage,
    VoicedSampling,
    end_from_dict,
)
from fastwavenet.importers.folding import between_channels, stretched
from fastwavenet.modelfile import load, save
from fastwavenet.spec import WaveNetSpec
from fastwavenet.training.model import WaveNet
from fastwavenet.upsampled import UpsampledFrames
from fastwavenet.upsampling import rate

pytestmark = pytest.mark.usefixtures("one_thread")


def conditioning(*stages, channels=3, hop=None, **changes) -> FrameConditioning:
    hop = rate(stages) if hop is None else hop
    return FrameConditioning(channels, hop, upsampling=stages, **changes)


def engine_features(spec: WaveNetSpec, frames: np.ndarray, isa: str, weights=None) -> np.ndarray:
    """float32 (features, C'), of frames (F, C) and one frame more; all rows must agree."""
    end, model = spec.conditioning, fw.Model(spec, weights or weights_of(spec))
    rows = np.ascontiguousarray(np.stack([frames, -frames, frames], axis=1))
    upsampled = UpsampledFrames(model._network, isa, end, rows)
    (found, at), n = upsampled.of_samples(0, (len(frames) + 1) * end.hop - end.feature_hop), 0
    assert at == n and found[:, 0].tobytes() == found[:, 2].tobytes()
    return found[: (len(frames) + 1) * rate(end.upsampling), 0]


def torch_features(spec: WaveNetSpec, frames: np.ndarray, weights=None) -> np.ndarray:
    net = WaveNet(spec)
    tensors = weights or weights_of(spec)
    net.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
    with torch.no_grad():
        given = torch.from_numpy(frames.T)[None].double()
        return net.double().conditioning.upsampling(given)[0].T.numpy()


# ---- the same in PyTorch, numpy and C ----------------------------------------------------------


@st.composite
def stages(draw):
    kernel = draw(st.integers(1, 5))
    stride = draw(st.sampled_from([1, 1, 2, 3, 5]))
    kernel = max(kernel, stride) + draw(st.sampled_from([0, 0, stride]))
    crop = draw(st.sampled_from([0, (kernel - stride) // 2, kernel - stride]))
    activation = draw(st.sampled_from(["none", "relu"]))
    channels = draw(st.sampled_from([1, 3, 16, 17, 80]))
    bias, padding = draw(st.booleans()), draw(st.sampled_from(["none", "zeros"]))
    return UpsamplingStage(channels, kernel, stride, crop, activation, bias, padding)


@given(
    given=st.lists(stages(), min_size=1, max_size=3),
    channels=st.sampled_from([1, 3, 80]),
    feature_hop=st.sampled_from([1, 4]),
    edges=st.sampled_from(["held", "zeros"]),
    speakers=st.sampled_from([(), ("ann", "bob")]),
    bias=st.booleans(),
    frames=st.integers(1, 9),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_torch_and_numpy_and_c_compute_the_same_features(
    given, channels, feature_hop, edges, speakers, bias, frames, seed
):
    end = conditioning(
        dataclasses.replace(given[0], padding="none"),
        *given[1:],
        channels=channels,
        hop=rate(tuple(given)) * feature_hop,
        edges=edges,
        speakers=speakers,
        speaker_channels=2 * bool(speakers),
    )
    spec = small_spec(conditioning=end, bias=bias)
    weights, x = random_weights(spec, seed), random_frames(spec, frames * end.hop, seed)
    expected = reference.upsample(spec, weights, x)
    assert expected.shape == ((frames + 1) * rate(end.upsampling), end.feature_channels)
    exact = reference.upsample_float32(spec, weights, x)
    tolerance = max(1, np.abs(expected).max())
    assert np.abs(torch_features(spec, x, weights) - expected).max() <= 1e-12 * tolerance
    assert np.abs(exact - expected).max() <= 1e-5 * tolerance
    for isa in fw.available_isas():
        found = engine_features(spec, x, isa, weights)
        assert found.tobytes() == exact[: len(found)].tobytes()


# ---- as the known projects have it -------------------------------------------------------------

FRAMES = np.random.default_rng(1).standard_normal((6, 3)).astype(np.float32)


def with_weights(end: FrameConditioning, weight, bias=None) -> np.ndarray:
    """The features of FRAMES by one stage with these weights, in float64."""
    tensors = {"conditioning.upsampling.0.weight": np.asarray(weight)}
    if bias is not None:
        tensors["conditioning.upsampling.0.bias"] = np.asarray(bias)
    found = reference.upsample(small_spec(conditioning=end), tensors, FRAMES)
    return found[: len(FRAMES) * rate(end.upsampling)]


def numbers(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(2).standard_normal(shape))


X = torch.from_numpy(FRAMES.T).double()[None]


def test_a_window_of_several_hops_is_that_of_nv_wavenet():
    """ConvTranspose1d, whose last window - hop outputs are cut off."""
    weight, bias = numbers(3, 4, 16), numbers(4)
    expected = F.conv_transpose1d(X, weight, bias, stride=4)[:, :, : -(16 - 4)]
    end = conditioning(UpsamplingStage(4, 16, 4), edges="zeros")
    np.testing.assert_allclose(with_weights(end, weight, bias), expected[0].T, atol=1e-12)


def test_one_kernel_for_all_channels_is_that_of_kan_bayashi():
    """ConvTranspose2d(1, 1, (1, factor)): here a matrix with that kernel on its diagonal."""
    kernel, bias = numbers(1, 1, 1, 5), numbers(1)
    expected = F.conv_transpose2d(X[:, None], kernel, bias, stride=(1, 5))[0, 0]
    weight = torch.eye(3)[:, :, None] * kernel[0, 0, 0]
    found = with_weights(conditioning(UpsamplingStage(3, 5, 5)), weight, bias.expand(3))
    np.testing.assert_allclose(found, expected.T, atol=1e-12)


def test_a_causal_convolution_with_relu_is_that_of_wavenet_coding():
    weight, bias = numbers(4, 3, 3), numbers(4)
    expected = F.relu(F.conv1d(F.pad(X, (2, 0)), weight, bias))
    end = conditioning(UpsamplingStage(4, 3, activation="relu"), edges="zeros")
    np.testing.assert_allclose(with_weights(end, weight, bias), expected[0].T, atol=1e-12)


@pytest.mark.parametrize(("edges", "mode"), [("held", "replicate"), ("zeros", "constant")])
def test_a_centred_convolution_without_bias_is_the_conv_in_of_r9y9(edges, mode):
    weight = numbers(3, 3, 5)
    expected = F.conv1d(F.pad(X, (2, 2), mode=mode), weight)
    end = conditioning(UpsamplingStage(3, 5, crop=2, bias=False), edges=edges)
    np.testing.assert_allclose(with_weights(end, weight), expected[0].T, atol=1e-12)


@pytest.mark.parametrize("scales", [(4, 5), (2, 1, 3)])
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_stretches_and_convolutions_padded_with_zeros_are_those_of_r9y9(scales, frames):
    x = numbers(1, 3, frames)
    weight, stages, tensors = numbers(3, 3, 5), [UpsamplingStage(3, 5, crop=2, bias=False)], []
    expected = F.conv1d(F.pad(x, (2, 2), mode="replicate"), weight)[:, None]
    for number, scale in enumerate(scales):
        kernel = numbers(scales[0] + number, 1, 1, 1, 2 * scale + 1)[-1]
        expected = F.interpolate(expected, scale_factor=(1, scale), mode="nearest")
        expected = F.conv2d(expected, kernel, padding=(0, scale))
        made = stretched(kernel[0, 0].numpy())
        tensors.append(
            between_channels(made, 3) if scale > 1 else np.eye(3)[:, :, None] * kernel[0].numpy()
        )
        stages.append(UpsamplingStage(3, 3 * scale, scale, scale, bias=False, padding="zeros"))
    spec = small_spec(conditioning=conditioning(*stages))
    names = [f"conditioning.upsampling.{number}.weight" for number in range(len(stages))]
    given = dict(zip(names, [weight.numpy(), *tensors], strict=True))
    found = reference.upsample(spec, weights_of(spec) | given, x[0].T.numpy())
    np.testing.assert_allclose(found[: expected.shape[3]], expected[0, 0].T, atol=1e-12)


def test_the_first_stage_has_no_padding():
    for edges in ("held", "zeros"):
        with pytest.raises(ValueError, match="padding of the first stage must be 'none', not 'zer"):
            conditioning(UpsamplingStage(3, 5, padding="zeros"), edges=edges)
    with pytest.raises(ValueError, match="upsampling padding .*'none' or 'zeros'|padding 'ones'"):
        UpsamplingStage(3, 5, padding="ones")


# ---- pieces and places -------------------------------------------------------------------------

CENTRED = conditioning(
    UpsamplingStage(5, 5, crop=2, activation="relu"), UpsamplingStage(4, 8, 4, 2), hop=8,
    interpolation="linear",
)  # fmt: skip
CAUSAL = conditioning(
    UpsamplingStage(5, 3, activation="relu"), UpsamplingStage(4, 11, 4), hop=4, edges="zeros"
)
AHEAD = conditioning(UpsamplingStage(2, 3, crop=2), UpsamplingStage(2, 6, 2, 4), hop=6)
PADDED = conditioning(
    UpsamplingStage(5, 3, crop=1), UpsamplingStage(4, 6, 2, 2, "relu", padding="zeros"),
    UpsamplingStage(3, 9, 3, 3, padding="zeros"),
)  # fmt: skip
OF_FRAMES = conditioning(UpsamplingStage(3, 3, crop=1), interpolation="linear")  # one of each
every_upsampling = pytest.mark.parametrize(
    "end",
    [CENTRED, CAUSAL, AHEAD, PADDED, OF_FRAMES],
    ids=["centred", "causal", "ahead", "padded", "of_frames"],
)


@every_upsampling
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_features_in_any_pieces_have_the_same_bits(end, rows, isa):
    """And the layout in memory that the engine reads."""
    spec, random = small_spec(conditioning=end), Random(1)
    model, n = model_of(spec), 9 * end.hop
    each = [random_frames(spec, n, 3 + row) for row in range(rows)]
    whole = np.stack([engine_features(spec, frames, isa) for frames in each], axis=1)
    frames = np.stack(each, axis=1)
    pieces = UpsampledFrames(model._network, isa, end, frames)
    for _ in range(60):
        at = random.randrange(n)
        found, place = pieces.of_samples(at, random.randint(1, n - at))
        first = (at - place) // end.feature_hop
        assert first >= 0 and 0 <= place < end.hop
        expected = whole[first : first + len(found)]
        assert found[: len(expected)].tobytes() == expected.tobytes()
        assert found.flags.c_contiguous


@every_upsampling
@pytest.mark.parametrize("chunk", [1, 2, 7, 100])
def test_frames_in_chunks_give_the_samples_of_all_at_once(end, chunk, precision, isa):
    spec = small_spec(conditioning=end)
    model, frames = model_of(spec, precision=precision), random_frames(spec, 9 * end.hop, 3)
    whole = fw.generate(model, seed=1, frames=frames, isa="scalar")
    chunks = [frames[i : i + chunk] for i in range(0, 9, chunk)] + [frames[:0]]
    blocks = [*fw.Generator(model, seed=1, isa=isa).vocode(iter(chunks))]
    assert np.concatenate(blocks).tobytes() == whole.tobytes()


@every_upsampling
def test_calls_with_all_frames_and_their_place_join_to_one(end, precision, isa):
    spec = small_spec(conditioning=end)
    model, frames = model_of(spec, precision=precision), random_frames(spec, 9 * end.hop, 3)
    n = 9 * end.hop
    whole = fw.generate(model, seed=1, frames=frames, isa="scalar")
    cuts = sorted({0, 1, end.hop, 4 * end.hop + end.hop // 2, n - 1, n})
    gen = fw.Generator(model, seed=1, isa=isa)
    parts = [
        gen.generate(end_of_part - at, frames=frames, at=at)
        for at, end_of_part in itertools.pairwise(cuts)
    ]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


@every_upsampling
def test_a_primed_sound_continues_with_the_frames_of_the_whole(end, precision):
    spec = small_spec(conditioning=end, start=Start(3, fed=True))
    model, frames = model_of(spec, precision=precision), random_frames(spec, 9 * end.hop, 3)
    codes = random_codes(spec, 4 * end.hop, 1)
    greedy = fw.Generator(model, seed=1, temperature=0)
    greedy.prime(codes, frames=frames)
    audio = greedy.generate(5 * end.hop, frames=frames, at=len(codes))
    following = fw.mu_law_encode(audio, spec.levels)
    logits = fw.outputs(model, np.concatenate([codes, following]), frames=frames)
    assert np.array_equal(logits[len(codes) : -1].argmax(axis=1), following)


def test_a_place_that_is_none_is_refused():
    spec = small_spec(conditioning=conditioning(UpsamplingStage(2, 3)))
    gen, frames = fw.Generator(model_of(spec), seed=1), random_frames(spec, 5, 3)
    for at, message in ((-1, "at must be a whole number from 0"), (3, "6 samples with hop 1 need")):
        with pytest.raises(ValueError, match=message):
            gen.generate(3, frames=frames, at=at)
    with pytest.raises(ValueError, match="at 3 has no frames"):
        fw.Generator(model_of(small_spec()), seed=1).generate(3, at=3)
    with pytest.raises(TypeError, match="at must be a whole number"):
        gen.generate(1, frames=frames, at=1.0)


@every_upsampling
def test_samples_wait_for_no_more_frames_than_they_depend_on(end):
    spec, taken = small_spec(conditioning=end), []
    frames = random_frames(spec, 9 * end.hop, 3)
    chunks = (taken.append(i) or frames[i : i + 1] for i in range(9))
    for made, block in enumerate(fw.Generator(model_of(spec), seed=1).vocode(chunks), 1):
        assert len(taken) == min(made + end.reach[1], 9)
        assert len(block) == end.hop * (1 if made + end.reach[1] <= 9 else end.reach[1])


@every_upsampling
def test_sounds_that_are_vocoded_together_have_the_bits_that_each_has_alone(end, precision):
    spec = small_spec(conditioning=end)
    model = model_of(spec, precision=precision)
    frames = [random_frames(spec, n * end.hop, n) for n in (3, 1, 70, 5)]
    for batch in (1, 3):
        audio = fw.vocode(model, frames, seed=7, batch=batch)
        for each, own in zip(audio, frames, strict=True):
            assert each.tobytes() == fw.generate(model, frames=own, seed=7).tobytes()


@every_upsampling
def test_the_numbers_of_a_frame_hold_for_its_samples(end, precision, isa):
    """Temperature and min_p are of given frames, of which each has several features."""
    spec = small_spec(conditioning=end)
    model, frames = model_of(spec, precision=precision), random_frames(spec, 9 * end.hop, 3)
    numbers = {"temperature": np.linspace(0.5, 3, 9), "min_p": np.linspace(0.3, 0, 9)}
    whole = fw.generate(model, seed=1, frames=frames, isa=isa, **numbers)
    voice = fw.Generator(model, seed=1, isa=isa)
    voice._session.chunk = 1 + end.hop // 2
    parts = [
        voice._generate(end.hop, frames, i * end.hop, *(each[i] for each in numbers.values()))
        for i in range(9)
    ]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    constant = fw.generate(model, seed=1, frames=frames, isa=isa, temperature=np.full(9, 0.7))
    assert (
        constant.tobytes() == fw.generate(model, seed=1, frames=frames, temperature=0.7).tobytes()
    )
    assert constant.tobytes() != whole.tobytes()


@every_upsampling
def test_a_rule_by_voicing_holds_in_chunks_and_in_lists(end, precision):
    rule = Sampling(1.0, min_p=0.01, voiced=VoicedSampling(1, 0.2, 0.3))
    spec = small_spec(conditioning=end, sampling=rule)
    model = model_of(spec, precision=precision)
    each = [random_frames(spec, n * end.hop, n) for n in (3, 1, 70, 5)]
    alone = [fw.generate(model, frames=frames, seed=7) for frames in each]
    for batch in (1, 3):
        for audio, expected in zip(fw.vocode(model, each, seed=7, batch=batch), alone, strict=True):
            assert audio.tobytes() == expected.tobytes()
    for frames, expected in zip(each, alone, strict=True):
        chunks = (frames[i : i + 2] for i in range(0, len(frames), 2))
        blocks = [*fw.Generator(model, seed=7).vocode(chunks)]
        assert np.concatenate(blocks).tobytes() == expected.tobytes()
    plain = fw.generate(model, frames=each[2], seed=7, temperature=1.0, min_p=0.01)
    assert plain.tobytes() != alone[2].tobytes()


@every_upsampling
def test_a_frame_affects_the_features_within_its_reach_and_no_other(end):
    spec = small_spec(conditioning=end)
    x, n = random_frames(spec, 12 * end.hop, 3), rate(end.upsampling)
    before, after = end.reach
    features = reference.upsample(spec, weights_of(spec), x)
    for frame in range(12):
        changed = x.copy()
        changed[frame] += 1
        found = reference.upsample(spec, weights_of(spec), changed)
        differs = np.flatnonzero((found != features).any(axis=1))
        last = len(features) if frame == 11 and end.edges == "held" else (frame + before + 1) * n
        assert differs.min() >= (frame - after) * n and differs.max() < last
    expected = {CENTRED: (3, 3), CAUSAL: (4, 0), AHEAD: (0, 4), PADDED: (3, 3), OF_FRAMES: (1, 2)}
    assert (before, after) == expected[end]


@every_upsampling
def test_scores_and_priming_take_the_same_features(end, precision, isa):
    spec = small_spec(conditioning=end)
    model, n = model_of(spec, precision=precision), 6 * end.hop
    codes, frames = random_codes(spec, n, 2), random_frames(spec, n, 3)
    one = fw.score(model, codes, frames=frames, isa="scalar")
    assert fw.score(model, codes, frames=frames, isa=isa, threads=3).tobytes() == one.tobytes()
    whole, parts = (fw.Generator(model, seed=1, isa=isa) for _ in range(2))
    whole.prime(codes, frames=frames)
    parts._session.chunk = 3
    parts.prime(codes, frames=frames)
    assert whole.get_state() == parts.get_state()


# ---- extremes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1e30, -1e30, 1e-42, 3e38, 0])
def test_extreme_frames_are_the_twins_number_or_an_error(value, precision, isa):
    spec = small_spec(conditioning=CENTRED)
    frames, codes = np.full((3, 3), value, np.float32), random_codes(spec, 9, 2)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = reference.upsample_float32(spec, weights_of(spec), frames)
    found = engine_features(spec, frames, isa)
    assert found.tobytes() == expected[: len(found)].tobytes() or np.isnan(expected).any()
    try:
        assert np.isfinite(
            fw.outputs(model_of(spec, precision=precision), codes, frames=frames, isa=isa)
        ).all()
    except fw.NotFiniteError:
        assert abs(value) > 1e20


# ---- descriptions ------------------------------------------------------------------------------

BAD_STAGES = [
    ({"channels": 0}, "upsampling channels must be a whole number from 1 to 4096, not 0"),
    ({"channels": 2.5}, "upsampling channels must be .* not 2.5"),
    ({"kernel": 0}, "upsampling kernel must be a whole number from 1 to 65536, not 0"),
    ({"stride": 0}, "upsampling stride must be"),
    ({"stride": 4}, "kernel must be at least stride . crop: kernel 3, stride 4, crop 0"),
    ({"crop": 3}, "kernel must be at least stride . crop: kernel 3, stride 1, crop 3"),
    ({"crop": -1}, "upsampling crop must be"),
    ({"activation": "elu"}, "upsampling activation 'elu' is not supported by this version"),
    ({"bias": 1}, "upsampling bias must be true or false, not 1"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_STAGES, ids=[m for _, m in BAD_STAGES])
def test_a_bad_stage_is_refused_by_the_name_of_its_field(changes, message):
    with pytest.raises(ValueError, match=message):
        UpsamplingStage(**{"channels": 2, "kernel": 3} | changes)


STAGE = UpsamplingStage(2, 3, 3)
BAD_ENDS = [
    ({"hop": 4}, "hop 4 must be a multiple of the product of the upsampling's strides, 3"),
    ({"channels": 0}, "upsampling needs channels of frames, not 0"),
    ({"upsampling": ()}, "edges must be 'held' without upsampling, not 'zeros'"),
    ({"edges": "odd"}, "conditioning edges 'odd' is not supported"),
    ({"upsampling": 5}, "upsampling must be a list of at most 16 stages, not 5"),
    ({"upsampling": (STAGE,) * 17}, "upsampling must be a list of at most 16 stages"),
    ({"upsampling": (3,)}, "each stage of conditioning upsampling must be an UpsamplingStage"),
    ({"upsampling": [{"channels": 2}]}, "upsampling field 'kernel' is missing"),
    ({"upsampling": [{"size": 2}]}, "unknown upsampling field 'size'"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_ENDS, ids=[m for _, m in BAD_ENDS])
def test_a_bad_upsampling_is_refused_by_name(changes, message):
    right = {"channels": 3, "hop": 6, "upsampling": (STAGE,), "edges": "zeros"}
    FrameConditioning(**right)
    with pytest.raises(ValueError, match=message):
        FrameConditioning(**right | changes)


def test_a_description_without_upsampling_is_that_of_older_files():
    fields = FrameConditioning(channels=3).to_dict()
    assert not {"upsampling", "edges"} & fields.keys()
    assert end_from_dict("conditioning", fields) == FrameConditioning(channels=3)


@every_upsampling
def test_a_file_holds_the_stages_and_their_weights(end, tmp_path, precision):
    spec = small_spec(conditioning=end)
    save(tmp_path / "m.safetensors", spec, weights_of(spec))
    contents = load(tmp_path / "m.safetensors")
    assert contents.spec == spec
    frames = random_frames(spec, 2 * end.hop, 1)
    loaded = fw.load(tmp_path / "m.safetensors", precision=precision)
    made = fw.generate(loaded, frames=frames, seed=1)
    expected = fw.generate(model_of(spec, precision=precision), frames=frames, seed=1)
    assert made.tobytes() == expected.tobytes()


def test_other_stages_or_weights_make_another_model():
    specs = [small_spec(conditioning=end) for end in (CENTRED, CAUSAL)]
    relu = dataclasses.replace(CAUSAL.upsampling[0], activation="none")
    other = dataclasses.replace(CAUSAL, upsampling=(relu, CAUSAL.upsampling[1]))
    specs.append(small_spec(conditioning=other))
    models = [model_of(spec) for spec in specs] + [model_of(specs[0], seed=2)]
    assert len({model.info()["fingerprint"] for model in models}) == 4


def test_sizes_of_the_upsampling_are_counted():
    """Multiply-adds of a frame: 80 x 80 x 5, and 80 x 80 x 16 x 3; weights stay float32."""
    stages = UpsamplingStage(80, 5, crop=2), UpsamplingStage(80, 32, 16, 8)
    with_stages, without = (
        small_spec(conditioning=FrameConditioning(80, hop, "linear", upsampling=upsampling))
        for hop, upsampling in ((256, stages), (16, ()))
    )
    more = with_stages.macs_per_sample - without.macs_per_sample
    assert more == -(-(80 * 80 * 5 + 80 * 80 * 16 * 3) // 256)
    numbers = 80 * 80 * (5 + 32) + 160
    for precision in fw.spec.PRECISIONS:
        more = with_stages.weight_bytes(precision) - without.weight_bytes(precision)
        assert more == 4 * numbers
