"""The bounds of a spec, which are those of the engine, and fields that are refused."""

import bisect
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import small_spec, widths

from fastwavenet import _engine
from fastwavenet.ends import CodeInput, FrameConditioning, MuLawCodec, Start, UpsamplingStage
from fastwavenet.spec import PRECISIONS, WaveNetSpec

# ---- bounds ----------------------------------------------------------------------------------

LOW_AND_HIGH = {
    "sample_rate": (1, 768_000),
    "levels": (2, 65_536),
    "residual": (1, 4096),
    "dilation_channels": (1, 4096),
    "skip": (1, 4096),
    "head": (1, 4096),
    "kernel": (2, 32),
}


@pytest.mark.parametrize("name", LOW_AND_HIGH)
def test_a_size_may_reach_its_bounds_and_not_pass_them(name):
    low, high = LOW_AND_HIGH[name]
    for value in (low, high):
        small_spec(**{name: value})
    for value in (low - 1, high + 1, -1, 2**64):
        with pytest.raises(ValueError, match=rf"\b{name} must be .* {low} to {high}, not {value}"):
            small_spec(**{name: value})


def test_dilations_and_layers_are_bounded():
    small_spec(dilations=(2**20,))
    small_spec(dilations=(1,) * 512)
    for dilations in ((0,), (-1,), (2**20 + 1,), (1, 2, True), (1.0,), (), (1,) * 513, 5, "12"):
        with pytest.raises(ValueError, match="dilations must be"):
            small_spec(dilations=dilations)


def test_the_start_code_is_one_of_the_codes():
    assert small_spec(start=Start(0)).start.code == 0
    assert small_spec(start=Start(np.int64(15))).start.code == 15
    for code in (-1, 16, 1.0, "0", None):
        with pytest.raises(ValueError, match="start code must be a whole number from 0 to 15"):
            small_spec(start=Start(code))


def test_what_a_voice_takes_is_bounded():
    spec = small_spec(residual=64, dilations=(2**20,) * 3 + (2**20 - 1024,))
    assert 2**30 - 2**18 < spec.voice_bytes <= 2**30
    with pytest.raises(ValueError, match=r"a voice would take \d+ bytes, more than 1073741824"):
        small_spec(residual=64, dilations=(2**20,) * 4)


@pytest.mark.parametrize("residual", [1, 15, 16])
def test_padding_counts_as_what_a_voice_takes(residual):
    """In int8 16 channels are two lines of 64 bytes and a scale, for each of 63 x 2^20 samples."""
    with pytest.raises(ValueError, match=r"a voice would take 872\d{7} bytes, more than"):
        small_spec(residual=residual, dilations=(2**20,) * 63)


def test_the_weights_are_bounded():
    small_spec(**widths(4096), dilations=(1,) * 5)  # 384 MiB a layer
    with pytest.raises(ValueError, match=r"weights would take .* bytes, more than 2147483648"):
        small_spec(**widths(4096), dilations=(1,) * 6)


# ---- the engine's bounds ---------------------------------------------------------------------


def admitted(fields: dict) -> bool:
    sizes = {name: size for name, size in fields.items() if name != "taps"}
    try:
        small_spec(**sizes, input=CodeInput(fields["taps"]))
    except ValueError:
        return False
    return True


def admitted_by_the_engine(fields: dict) -> bool:
    """It looks at the sizes before it misses the tensors."""
    sizes = {name: getattr(small_spec(), name) for name in WaveNetSpec.__dataclass_fields__}
    ends = {
        "input": SimpleNamespace(taps=fields["taps"], activation="none", padding="zeros"),
        "start": Start(0),
        "codec": MuLawCodec.symmetric(max(2, fields["levels"])),
    }
    sizes |= {"layers": len(fields["dilations"])} | ends | fields
    answers = set()
    for precision in PRECISIONS:
        with pytest.raises(ValueError, match="a size of the network|a tensor is missing") as caught:
            _engine.Network(SimpleNamespace(**sizes), {}, precision)
        answers.add("tensor is missing" in str(caught.value))
    (answer,) = answers
    return answer


def random_sizes(rng: np.random.Generator) -> dict:
    """Of every magnitude, in bounds one by one."""

    def size(high: float) -> int:
        return int(2 ** rng.uniform(0, high))

    layers, longest = size(9), rng.uniform(0, 20)
    return {
        **{name: size(12) for name in ("residual", "dilation_channels", "skip", "head")},
        "levels": max(2, size(16)),
        "taps": size(5),
        "dilations": tuple(size(longest) for _ in range(layers)),
        "kernel": tuple(max(2, size(rng.choice([1, 2, 5]))) for _ in range(layers)),
    }


GROWN = {  # what grows -> the same network with n of it
    **{
        name: lambda fields, n, name=name: fields | {name: n}
        for name in ("residual", "dilation_channels", "skip", "head", "levels", "taps")
    },
    "dilations": lambda fields, n: fields | {"dilations": (n, *fields["dilations"][1:])},
    "kernel": lambda fields, n: fields | {"kernel": (n, *fields["kernel"][1:])},
    "layers": lambda fields, n: fields | {
        "dilations": (fields["dilations"] * n)[:n], "kernel": (fields["kernel"] * n)[:n]
    },
}  # fmt: skip
MOST_OF = {"dilations": 2**20, "layers": 512, "taps": 32} | {
    n: high for n, (_, high) in LOW_AND_HIGH.items()
}


@pytest.mark.parametrize("what", GROWN)
def test_what_is_admitted_here_is_admitted_by_the_engine_and_nothing_else(what):
    """At the last size that is admitted and the next, in networks of every magnitude."""
    rng, bounded = np.random.default_rng(1), 0
    for _ in range(60):
        fields = random_sizes(rng)
        last = bisect.bisect(
            range(2, MOST_OF[what] + 1),
            False,
            key=lambda n, fields=fields: not admitted(GROWN[what](fields, n)),
        ) + 1  # fmt: skip
        bounded += 2 < last < MOST_OF[what]
        for n in range(max(1, last - 1), last + 2):
            grown = GROWN[what](fields, n)
            assert admitted_by_the_engine(grown) == admitted(grown), grown
    assert bounded or what == "head"  # which is small beside the bounds, whatever its size


@pytest.mark.parametrize(("stride", "crop"), [(1, 0), (4, 0), (4, 3)])
def test_the_weights_of_upsampling_count_as_in_the_engine(stride, crop):
    found = {}
    for kernel in range(stride + crop, 40):
        stage = UpsamplingStage(4096, kernel, stride, crop)
        end = FrameConditioning(4096, 4, upsampling=(stage,))
        fields = {"levels": 16, "taps": 2, "dilations": (1,), "kernel": (2,), "conditioning": end}
        found[kernel] = admitted(fields)
        assert admitted_by_the_engine(fields) == found[kernel], kernel
    assert set(found.values()) == {True, False}


def network(spec: WaveNetSpec, precision: str) -> _engine.Network:
    weights = {name: np.zeros(shape, np.float32) for name, shape in spec.tensors().items()}
    return _engine.Network(spec, weights, precision)


SMALL_SIZES = st.builds(
    small_spec,
    **{n: st.integers(1, 70) for n in ("residual", "dilation_channels", "skip", "head")},
    levels=st.integers(2, 300),
    input=st.builds(CodeInput, st.integers(1, 32)),
    dilations=st.lists(st.sampled_from([1, 2, 15, 16, 17, 512, 2**16]), min_size=1, max_size=20),
    kernel=st.integers(2, 4),
    bias=st.booleans(),
    conditioning=st.sampled_from(
        [
            None,
            FrameConditioning(17, 5, "linear", ("ann", "bob"), 3),
            FrameConditioning(
                3, 12, upsampling=(UpsamplingStage(5, 4), UpsamplingStage(3, 9, 4, 5))
            ),
            FrameConditioning(80, 8, upsampling=(UpsamplingStage(17, 33, 8),)),
        ]
    ),
)


@hypothesis.settings(max_examples=80)
@given(SMALL_SIZES)
def test_the_engine_allocates_what_the_bounds_count_and_not_much_less(spec):
    found = {name: network(spec, name) for name in PRECISIONS}
    packed = {name: net.info()["arena_bytes"] for name, net in found.items()}
    biases_of_skip = 4 * (spec.layers - 1) * -(-spec.skip // 16) * 16  # the engine adds them up
    assert max(packed.values()) == packed["float32"] == spec.packed_bytes - biases_of_skip
    assert spec.weight_bytes() <= spec.packed_bytes
    voice = max(net.stream_bytes(1) for net in found.values())
    assert voice <= spec.voice_bytes < 2 * voice + 2**16


# ---- bad fields ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOW_AND_HIGH)
@pytest.mark.parametrize("value", [True, 2.0, "2", None, float("nan"), {}])
def test_a_size_that_is_not_a_whole_number_is_named(name, value):
    with pytest.raises(ValueError, match=rf"\b{name} must be a whole number .*, not "):
        small_spec(**{name: value})


def test_kernels_and_dilations_come_in_equal_numbers():
    with pytest.raises(ValueError, match=r"kernel .* 2 kernels for 3 dilations"):
        small_spec(kernel=(2, 2))


@pytest.mark.parametrize("value", [0, 1, "true", None, np.True_])
def test_bias_is_true_or_false(value):
    with pytest.raises(ValueError, match="bias must be true or false, not"):
        small_spec(bias=value)
