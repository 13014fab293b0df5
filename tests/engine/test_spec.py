"""The spec of a network: its derived numbers, its ends, and JSON of this and older versions."""

import dataclasses
import json

import numpy as np
import pytest
from networks import every_network, random_codes, random_weights, small_spec

from fastwavenet import _engine
from fastwavenet.ends import (
    ENDS,
    CodeInput,
    FrameConditioning,
    MuLawCodec,
    Pitch,
    QuietSampling,
    Sampling,
    SoftmaxOutput,
    Start,
    VoicedSampling,
)
from fastwavenet.mel_conventions import mel_presets
from fastwavenet.older_specs import upgraded_spec
from fastwavenet.reference import teacher_forced
from fastwavenet.spec import PRECISIONS, WaveNetSpec

HIFIGAN = mel_presets()["hifigan-16k"]

SMALLEST = {
    "sample_rate": 8000,
    "residual": 4,
    "dilation_channels": 3,
    "skip": 6,
    "head": 5,
    "dilations": (1, 2),
}


def stacks(count: int, depth: int) -> tuple[int, ...]:
    return tuple(2**i for i in range(depth)) * count


@every_network
def test_json_and_back_is_the_same_spec(spec):
    assert WaveNetSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_a_spec_is_frozen_and_hashable():
    spec = small_spec()
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.residual = 8
    assert {spec: 1}[small_spec()] == 1


def test_defaults_are_written_out():
    spec = WaveNetSpec(**SMALLEST)
    assert (spec.levels, spec.kernel, spec.input.taps, spec.bias) == (256, (2, 2), 2, True)
    assert spec.codec == MuLawCodec(
        mu=255, steps=255, encode_offset=0.5, decode_offset=0, decode_divisor=255, pre_emphasis=0
    )
    assert spec.start == Start(128, fed=False)
    assert spec.sampling == Sampling(temperature=1, top_k=None, min_p=0)
    assert (spec.input, spec.conditioning, spec.output) == (CodeInput(2), None, SoftmaxOutput())


def test_one_kernel_means_one_for_every_layer():
    assert small_spec(kernel=3) == small_spec(kernel=(3, 3, 3)) == small_spec(kernel=[3, 3, 3])
    assert small_spec(dilations=[1, 2]).dilations == (1, 2)


# ---- derived numbers -------------------------------------------------------------------------


def reach(spec: WaveNetSpec, seed: int) -> int:
    """How many steps after a sample its change still changes the outputs, by trying."""
    weights = random_weights(spec, seed)
    codes = random_codes(spec, 2 * spec.receptive_field, seed)
    changed = codes.copy()
    changed[0] = (codes[0] + 1) % spec.levels
    differs = teacher_forced(spec, weights, codes) != teacher_forced(spec, weights, changed)
    return int(differs.any(axis=1).nonzero()[0].max(initial=0))


@every_network
def test_the_receptive_field_is_what_reaches_the_output(spec):
    assert max(reach(spec, seed) for seed in range(4)) == spec.receptive_field - 1


# Sizes, multiply-adds and weights as published or counted from these projects' own sources.
KNOWN = {
    "deep_voice_small": (32, 32, 128, 256, stacks(2, 10), 2, 2, 281_600, 2048),
    "deep_voice": (64, 64, 128, 256, stacks(2, 10), 2, 2, 667_648, 2048),
    "deep_voice_best": (64, 64, 256, 256, stacks(4, 10), 2, 2, 1_601_536, 4094),
    "ibab": (32, 32, 512, 512, stacks(5, 10), 2, 2, 1_467_392, 5117),
    "vincentherrmann": (32, 32, 1024, 512, stacks(3, 10), 2, 1, 1_790_976, 3070),
    "r9y9_mulaw256": (128, 128, 128, 128, stacks(3, 10), 3, 1, 3_964_928, 6139),
}


def known(name: str, **changes) -> WaveNetSpec:
    residual, dilation_channels, skip, head, dilations, kernel, taps, _, _ = KNOWN[name]
    return WaveNetSpec(
        sample_rate=16000,
        residual=residual,
        dilation_channels=dilation_channels,
        skip=skip,
        head=head,
        dilations=dilations,
        kernel=kernel,
        input=CodeInput(taps),
        **changes,
    )


@pytest.mark.parametrize("name", KNOWN)
def test_published_networks_cost_what_their_sources_say(name):
    *_, macs, receptive_field = KNOWN[name]
    assert known(name).macs_per_sample == macs
    assert known(name).receptive_field == receptive_field


def test_weight_bytes_are_four_for_every_number():
    assert known("deep_voice_small").weight_bytes() == 4 * 302_976
    assert known("deep_voice_best").weight_bytes() == 4 * 1_652_736
    # ibab's checkpoint of 1,515,968 numbers has no bias in the first convolution, and has a
    # residual product (32 x 32 + 32) in the last layer, which nothing reads.
    assert known("ibab").weight_bytes() == 4 * (1_515_968 + 32 - 32 * 33)


def test_a_network_without_biases_has_the_same_weights_otherwise():
    with_biases, without = small_spec().tensors(), small_spec(bias=False).tensors()
    assert without == {n: s for n, s in with_biases.items() if not n.endswith(".bias")}
    assert small_spec(bias=False).macs_per_sample == small_spec().macs_per_sample


def test_the_last_layer_has_no_residual_product():
    names = [name for name in small_spec().tensors() if name.endswith("residual.weight")]
    assert names == ["layers.0.residual.weight", "layers.1.residual.weight"]


def test_the_precisions_are_those_of_the_engine_in_its_order():
    assert list(PRECISIONS) == _engine.precision_names()


def test_smaller_precisions_store_the_products_in_fewer_bytes():
    spec = known("r9y9_mulaw256")  # 30 layers, kernel 3, all channels 128, 256 levels
    apart = 4 * (256 * 128 + 128 + 29 * 128 + 30 * (256 + 128) + 128 + 256)  # table and biases
    scales = 30 * 3 * 256 + 29 * 128 + 128 + 128 + 256  # dilated, residual, skip, head
    assert spec.weight_bytes("float32") == spec.weight_bytes() == apart + 4 * 3_964_928
    assert spec.weight_bytes("bfloat16") == apart + 2 * 3_964_928
    assert spec.weight_bytes("int8") == apart + 3_964_928 + 4 * scales
    assert spec.weight_bytes("int8x8") == spec.weight_bytes("int8")


@pytest.mark.parametrize("precision", ["float63", "auto", "", None, 0])
def test_an_unknown_precision_is_refused_and_the_known_ones_are_listed(precision):
    known = "float32, bfloat16, int8, bfloat16x16, int8x8"
    expected = f"precision must be one of {known}, not {precision!r}$"
    with pytest.raises(ValueError, match=expected):
        small_spec().weight_bytes(precision)


# ---- ends ------------------------------------------------------------------------------------

NO_ENDS = {
    "input": ["codes", None, 1, "x" * 1000, SoftmaxOutput()],
    "conditioning": ["rows", "", False, CodeInput()],
    "output": ["softmax", None, CodeInput()],
    "codec": ["mu-law", [255], 255],
    "start": [128, "zeros"],
    "sampling": [None, 1.0, {}],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n in NO_ENDS for v in NO_ENDS[n]])
def test_a_field_for_an_end_takes_nothing_else(name, value):
    with pytest.raises(ValueError, match=rf"^{name} must be [A-Z].*, not ") as caught:
        small_spec(**{name: value})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("kind", ["scalar", None, 1, "x" * 1000, []])
@pytest.mark.parametrize("name", ENDS)
def test_a_kind_that_this_version_cannot_compute_is_refused_by_name(name, kind):
    fields = small_spec().to_dict()
    with pytest.raises(ValueError, match=rf"^{name} kind .* is not supported by this"):
        WaveNetSpec.from_dict(fields | {name: {"kind": kind}})
    for value in ("kind", [], 1):
        with pytest.raises(ValueError, match=f"^{name} must be a JSON object, not "):
            WaveNetSpec.from_dict(fields | {name: value})


CODEC = {"mu": 15, "steps": 15, "decode_divisor": 15}
WRONG_ENDS = [
    (lambda: CodeInput(0), "input taps must be a whole number from 1 to 32, not 0"),
    (lambda: CodeInput(33), "input taps must be a whole number from 1 to 32, not 33"),
    (lambda: CodeInput(2.0), "input taps must be a whole number from 1 to 32, not 2.0"),
    (lambda: CodeInput(2, "relu"), "input activation 'relu' is not supported by this version"),
    (lambda: CodeInput(2, padding="edge"), "input padding 'edge' is not supported by this version"),
    *(
        (
            lambda name=name, value=value: MuLawCodec(**CODEC | {name: value}),
            f"codec {name} must be",
        )
        for name, values in {
            "mu": (0.5, 65537, -1, float("nan"), "255", None, True),
            "steps": (0, 65537, float("inf"), None),
            "decode_divisor": (0, -1, 131073, float("nan")),
            "encode_offset": (-65537, 65537, float("nan"), "0.5"),
            "decode_offset": (-65537, 65537, float("nan"), None),
            "pre_emphasis": (-0.1, 1, float("nan"), "0.85"),
        }.items()
        for value in values
    ),
    (lambda: Start(0, fed=1), "start fed must be true or false, not 1"),
    (lambda: Start(0, fed=True, times=0), "start times must be a whole number from 1 to 1048576"),
    (lambda: Start(0, times=2), "start times must be 1 unless the code is fed, not 2"),
    (
        lambda: Sampling(temperature=-1),
        r"temperature must be 0 \(always the most probable\) or from",
    ),
    (lambda: Sampling(temperature=1e-4), "temperature must be 0"),
    (lambda: Sampling(min_p=1.1), "min_p must be from 0 to 1, not 1.1"),
    (lambda: Sampling(min_p=float("nan")), "min_p must be from 0 to 1, not nan"),
    (lambda: VoicedSampling(-1, 0.5), "sampling voiced channel must be a whole number from 0 to"),
    (lambda: VoicedSampling(4096, 0.5), "sampling voiced channel must be a whole number from 0 to"),
    (lambda: VoicedSampling(0.0, 0.5), "sampling voiced channel must be a whole number"),
    (lambda: VoicedSampling(0), "sampling voiced needs a temperature or min_p, but has neither"),
    (lambda: VoicedSampling(0, 1e-4), "temperature must be 0"),
    (lambda: VoicedSampling(0, min_p=1.1), "min_p must be from 0 to 1, not 1.1"),
    (lambda: Sampling(voiced=0.5), "sampling voiced must be a VoicedSampling or None, not 0.5"),
    (lambda: Sampling(voiced={"channel": 0, "tone": 1}), "unknown sampling voiced field 'tone'"),
    (lambda: Sampling(voiced={"min_p": 1}), "sampling voiced field 'channel' is missing"),
    (lambda: QuietSampling(-1, 0.5), "sampling quiet channel must be a whole number from 0 to"),
    (lambda: QuietSampling(0, float("inf")), "sampling quiet below must be a finite number"),
    (lambda: QuietSampling(0, "low"), "sampling quiet below must be a number, not 'low'"),
    (lambda: Sampling(quiet=0.5), "sampling quiet must be a QuietSampling or None, not 0.5"),
    (lambda: Sampling(quiet={"channel": 0}), "sampling quiet field 'below' is missing"),
    (
        lambda: small_spec(sampling=Sampling(quiet=QuietSampling(0, 1))),
        "sampling quiet channel must be below the 0 channels of the frames, not 0",
    ),
    *(
        (
            lambda end=end: small_spec(
                conditioning=end, sampling=Sampling(voiced=VoicedSampling(2, 0.5))
            ),
            f"sampling voiced channel must be below the {channels} channels of the frames, not 2",
        )
        for end, channels in (
            (None, 0),
            (FrameConditioning(speakers=("a",), speaker_channels=3), 0),
            (FrameConditioning(2), 2),
        )
    ),
    (lambda: small_spec(sampling=Sampling(top_k=17)), "top_k must be a whole number from 1 to 16"),
    (lambda: small_spec(sampling=Sampling(top_k=0)), "top_k must be a whole number from 1 to 16"),
]


@pytest.mark.parametrize(("end", "message"), WRONG_ENDS)
def test_a_number_of_an_end_out_of_bounds_is_named(end, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        end()


@pytest.mark.parametrize(
    "codec",
    [CODEC | {"decode_divisor": 13}, CODEC | {"decode_offset": 2}, CODEC | {"decode_offset": -2}],
)
def test_a_codec_whose_outermost_codes_lie_far_outside_is_refused(codec):
    with pytest.raises(ValueError, match=r"^codec decodes code (0|15) to -?1\.\d* before"):
        small_spec(codec=MuLawCodec(**codec))
    small_spec(codec=MuLawCodec(**codec | {"decode_offset": 0.5, "decode_divisor": 15}))


ENDLESS = [
    {"input": CodeInput(5)},
    {"conditioning": FrameConditioning(3, 5, "linear", ["a", "b"], 4, "mel")},
    {
        "sample_rate": 16000,
        "conditioning": FrameConditioning(83, 256, features=HIFIGAN, pitch=Pitch(50, 400)),
    },
    {"conditioning": FrameConditioning(80, 256, "linear", features=HIFIGAN), "sample_rate": 16000},
    {"codec": MuLawCodec(mu=16, steps=15.5, decode_divisor=16, encode_offset=0, pre_emphasis=0.85)},
    {"start": Start(3, fed=True)},
    {"start": Start(3, fed=True, times=9)},
    {"sampling": Sampling(temperature=0.9, top_k=5, min_p=0.01)},
    *(
        {
            "sampling": Sampling(voiced=VoicedSampling(np.int64(1), temperature, min_p)),
            "conditioning": FrameConditioning(2),
        }
        for temperature, min_p in ((0.5, None), (None, np.float32(0.5)), (0, 1))
    ),
    {
        "sampling": Sampling(quiet=QuietSampling(np.int64(1), np.float32(-0.5))),
        "conditioning": FrameConditioning(2),
    },
    {"sampling": Sampling(temperature=np.float32(0.5), top_k=np.int64(5), min_p=np.float64(0.5))},
]


@pytest.mark.parametrize("changes", ENDLESS)
def test_every_end_survives_json(changes):
    spec = small_spec(**changes)
    assert spec != small_spec()
    assert WaveNetSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("channels", "hop", "rate"), [(79, 256, 16000), (80, 200, 16000), (80, 256, 8000)]
)
def test_frames_that_are_not_of_the_size_of_their_mel_are_refused(channels, hop, rate):
    end = FrameConditioning(channels, hop, features=HIFIGAN)
    with pytest.raises(ValueError, match=r"features, \(80, 256, 16000\)$"):
        small_spec(conditioning=end, sample_rate=rate)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (3, "must be a Mel, a name or None, not 3"),
        ({"hop": 256}, "mel field 'sample_rate' is missing"),
    ],
)
def test_features_that_are_no_convention_are_refused(features, message):
    with pytest.raises(ValueError, match=message):
        FrameConditioning(80, 256, features=features)


@pytest.mark.parametrize(
    ("pitch", "message"),
    [
        (3, "conditioning pitch must be a Pitch or None, not 3"),
        ({"fmin": 60, "octaves": 2}, "unknown conditioning pitch field 'octaves'"),
        ({"fmin": 9}, "pitch fmin must be from 10"),
        ({"fmin": 60, "fmax": 119}, "pitch fmax must be from 120"),
    ],
)
def test_channels_of_pitch_that_are_none_are_refused(pitch, message):
    with pytest.raises(ValueError, match=message):
        FrameConditioning(83, 256, features=HIFIGAN, pitch=pitch)


def test_pitch_needs_a_mel_and_three_channels():
    with pytest.raises(ValueError, match="pitch needs features that are a Mel"):
        FrameConditioning(3, 256, pitch=Pitch())
    end = FrameConditioning(80, 256, features=HIFIGAN, pitch=Pitch())
    with pytest.raises(ValueError, match=r"features, \(83, 256, 16000\)$"):
        small_spec(conditioning=end, sample_rate=16000)


# ---- older versions --------------------------------------------------------------------------

OLD = {
    "sample_rate": 16000, "levels": 256, "residual": 4, "dilation_channels": 3, "skip": 6,
    "head": 5, "dilations": [1, 2], "kernel": [2, 3], "first_kernel": 3, "bias": True,
    "input": "codes", "output": "softmax",
    "codec": {"mu": 255, "encode_offset": 0.5, "decode_offset": 0.0, "decode_divisor": 255},
    "start_code": 127, "start_state": "zeros", "conditioning": None,
}  # fmt: skip


def test_a_spec_of_version_1_or_2_is_read_for_ever():
    assert WaveNetSpec.from_dict(upgraded_spec(OLD)) == WaveNetSpec(
        **SMALLEST | {"sample_rate": 16000}, kernel=(2, 3), input=CodeInput(3), start=Start(127)
    )
    least = {name: OLD[name] for name in SMALLEST}
    assert WaveNetSpec.from_dict(upgraded_spec(least)).input == CodeInput(2)
    codec = OLD["codec"] | {"mu": 256, "encode_offset": 0.0}
    found = WaveNetSpec.from_dict(upgraded_spec(OLD | {"codec": codec})).codec
    assert found == MuLawCodec(mu=256, steps=256, decode_divisor=255, encode_offset=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": "scalar"}, "input 'scalar' is not supported by this version, only 'codes'"),
        ({"output": None}, "output None is not supported by this version, only 'softmax'"),
        ({"start_state": "silence"}, "start_state 'silence' is not supported by this version"),
        ({"conditioning": "rows"}, "conditioning 'rows' is not supported by this version"),
        ({"conditioning": "mel"}, "conditioning 'mel' is not supported by this version"),
        ({"conditioning": False}, "conditioning False is not supported by this version"),
        ({"codec": "mu-law"}, "codec must be a JSON object, not 'mu-law'"),
        ({"codec": OLD["codec"] | {"alpha": 1}}, "unknown codec field 'alpha'"),
        ({"codec": {"encode_offset": 0.5}}, "codec field 'mu' is missing"),
        ({"first_kernel": 0}, "input taps must be a whole number from 1 to 32, not 0"),
        ({"start_code": 256}, "start code must be a whole number from 0 to 255, not 256"),
        ({"sampling": {}}, "unknown spec field 'sampling'"),
        ({"wavelets": 1}, "unknown spec field 'wavelets'"),
    ],
)
def test_a_wrong_field_of_an_older_spec_is_named(changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        WaveNetSpec.from_dict(upgraded_spec(OLD | changes))


# ---- whole specs -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALLEST)
def test_a_missing_field_is_named(name):
    fields = small_spec().to_dict()
    del fields[name]
    with pytest.raises(ValueError, match=f"spec field '{name}' is missing"):
        WaveNetSpec.from_dict(fields)


def test_unknown_fields_are_named():
    fields = small_spec().to_dict()
    with pytest.raises(ValueError, match="unknown spec field 'wavelets'"):
        WaveNetSpec.from_dict(fields | {"wavelets": 1})
    with pytest.raises(ValueError, match="unknown codec field 'alpha'"):
        WaveNetSpec.from_dict(fields | {"codec": fields["codec"] | {"alpha": 1}})
    with pytest.raises(ValueError, match="codec field 'mu' is missing"):
        WaveNetSpec.from_dict(
            fields | {"codec": {k: v for k, v in fields["codec"].items() if k != "mu"}}
        )


@pytest.mark.parametrize("value", [None, [], "spec", 1])
def test_a_spec_is_made_from_a_json_object_only(value):
    with pytest.raises(ValueError, match="a spec must be a JSON object, not"):
        WaveNetSpec.from_dict(value)
