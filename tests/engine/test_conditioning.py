"""Conditioning of any kind is the same network in PyTorch, numpy and C."""

import numpy as np
import pytest
import torch
from engines import model_of, projected, weights_of
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import PRECISIONS, random_codes, random_frames, small_spec
from slow_twin import TWINS, check_against_numpy, logits_of_twin

import fastwavenet as fw
from fastwavenet import reference
from fastwavenet.ends import FrameConditioning, UpsamplingStage
from fastwavenet.spec import WaveNetSpec
from fastwavenet.training.model import WaveNet

pytestmark = pytest.mark.usefixtures("one_thread")

MOST = 300  # samples: more than a frame of the longest hop

STAGES = [
    (),
    (UpsamplingStage(3, 3, crop=1, activation="relu"),),
    (UpsamplingStage(2, 3, crop=1), UpsamplingStage(4, 4, 2, 1, padding="zeros")),
]


@st.composite
def conditionings(draw) -> FrameConditioning:
    channels = draw(st.sampled_from([3, 1, 80, 0]))
    names = st.sampled_from([(), ("ann",), ("ann", "bob", "cid")][channels == 0 :])
    hop, speakers = draw(st.sampled_from([1, 2, 5, 200, 256])), draw(names)
    fitting = [stages for stages in STAGES if channels and (len(stages) < 2 or hop % 2 == 0)]
    stages = draw(st.sampled_from(fitting or [()]))
    return FrameConditioning(
        channels,
        hop,
        draw(st.sampled_from(["held", "linear"])),
        speakers,
        draw(st.sampled_from([1, 5])) if speakers else 0,
        upsampling=stages,
        edges=draw(st.sampled_from(["held", "zeros"])) if stages else "held",
    )


def torch_logits(
    spec: WaveNetSpec, codes: np.ndarray, frames: np.ndarray | None, speaker: int | None
) -> np.ndarray:
    """(n, levels) by the network that is trained, in float64."""
    net = WaveNet(spec).double()
    net.load_state_dict({name: torch.from_numpy(a) for name, a in weights_of(spec).items()})
    given = None if frames is None else torch.from_numpy(frames.T).double()[None]
    speakers = None if speaker is None else torch.tensor([speaker])
    with torch.no_grad():
        return net(torch.from_numpy(codes)[None], given, speakers)[0].T.numpy()


@given(
    end=conditionings(),
    sample=st.sampled_from([0, 1, -1, 3]),
    frames=st.sampled_from([1, 2]),
    spare=st.sampled_from([0, 1, 2]),
    kernel=st.sampled_from([2, 3]),
    precision=st.sampled_from(PRECISIONS),
    isa=st.sampled_from(fw.available_isas()),
    seed=st.integers(0, 9),
)
@settings(max_examples=80, deadline=None)
def test_torch_and_numpy_and_c_compute_the_same_logits(
    end, sample, frames, spare, kernel, precision, isa, seed
):
    """Of sounds that end at any place in a frame, with as many frames as that takes or more."""
    spec, n = small_spec(conditioning=end, kernel=kernel), min(MOST, frames * end.hop + sample)
    n, speaker = max(n, 1), seed % len(end.speakers) if end.speakers else None
    codes = random_codes(spec, n, seed)
    given = random_frames(spec, n + spare * end.hop, seed) if end.channels else None
    rows = projected(spec, weights_of(spec), given, n, speaker)
    expected = reference.teacher_forced(spec, weights_of(spec), codes, rows)
    largest = max(1, np.abs(expected).max())
    found = torch_logits(spec, codes, given, speaker)
    assert np.abs(found - expected).max() <= 1e-12 * largest
    model = model_of(spec, precision=precision)
    found = fw.outputs(model, codes, frames=given, speaker=speaker, isa=isa)
    check_against_numpy(spec, weights_of(spec), precision, codes, given, speaker, found)


# ---- extremes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1e30, -1e30, 3e38, 1e-42, 1e-45])
@pytest.mark.parametrize("interpolation", ["held", "linear"])
def test_extreme_frames_are_the_twins_number_or_an_error(interpolation, value, precision, isa):
    spec = small_spec(conditioning=FrameConditioning(3, 4, interpolation))
    frames, codes = random_frames(spec, 12, 3), random_codes(spec, 10, 2)
    frames[1] = value
    frames[2, 1] = -value
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            found = fw.outputs(model_of(spec, precision=precision), codes, frames=frames, isa=isa)
        except fw.NotFiniteError:
            assert abs(value) > 1e37
            if precision in TWINS:
                expected = logits_of_twin(spec, weights_of(spec), precision, codes, frames)
                assert not np.isfinite(expected).all()
        else:
            check_against_numpy(spec, weights_of(spec), precision, codes, frames, None, found)
