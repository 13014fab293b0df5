"""fastwavenet._engine checks the arrays it is given: a wrong one must never reach C."""

import numpy as np
import pytest
from engines import model_of
from networks import small_spec

from fastwavenet import _engine
from fastwavenet.ends import FrameConditioning

SPEC = small_spec(
    conditioning=FrameConditioning(6, speakers=("a",), speaker_channels=2)
)  # 16 levels
ROWS, STEPS = 2, 5
ARRAYS = {  # name: shape and dtype that `run` expects
    "forced": ((ROWS, STEPS), np.uint16),
    "frames": ((STEPS, ROWS, 6), np.float32),
    "speakers": ((ROWS,), np.uint32),
    "frame_temperature": ((STEPS, ROWS), np.float32),
    "frame_min_p": ((STEPS, ROWS), np.float32),
    "codes": ((ROWS, STEPS), np.uint16),
    "audio": ((ROWS, STEPS), np.float32),
    "logp": ((ROWS, STEPS), np.float32),
    "logits": ((ROWS, STEPS, 16), np.float32),
}
every_array = pytest.mark.parametrize("name", ARRAYS)


@pytest.fixture
def stream() -> _engine.Stream:
    return _engine.Stream(model_of(SPEC)._network, "scalar", ROWS, 1)


def run(stream: _engine.Stream, name: str, array: np.ndarray) -> None:
    """With one array, and the conditioning that the network needs."""
    needed = {name: np.zeros(*ARRAYS[name]) for name in ("frames", "speakers")}
    stream.run(STEPS, **needed | {name: array})


def wrong_shapes(name: str) -> list[tuple[int, ...]]:
    """Each side one less, one more and 0, but for the number of frames, which may be any but 0."""
    shape, _ = ARRAYS[name]
    changed = [shape[:i] + (n,) + shape[i + 1 :]
               for i, side in enumerate(shape) for n in (0, side - 1, side + 1)]  # fmt: skip
    return [s for s in changed if name != "frames" or s[0] == 0 or s[1:] != shape[1:]]


@every_array
def test_an_array_of_another_shape_is_refused_by_name(stream, name):
    for shape in wrong_shapes(name):
        with pytest.raises(ValueError, match=rf"^{name} must have shape \(.*\), not \(.*\)$"):
            run(stream, name, np.zeros(shape, ARRAYS[name][1]))
    assert stream.info(0)["step"] == 0


@every_array
def test_an_array_of_another_dtype_or_that_is_not_contiguous_is_refused(stream, name):
    shape, dtype = ARRAYS[name]
    with pytest.raises(ValueError, match="dtype"):
        run(stream, name, np.zeros(shape, np.float64))
    with pytest.raises(ValueError, match="contiguous"):
        run(stream, name, np.zeros((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2])


@every_array
def test_what_is_written_must_be_writable_and_what_is_read_need_not_be(stream, name):
    array = np.zeros(*ARRAYS[name])
    array.flags.writeable = False
    if name in ("forced", "frames", "speakers", "frame_temperature", "frame_min_p"):
        run(stream, name, array)
    else:
        with pytest.raises(ValueError, match="read-only"):
            run(stream, name, array)


def test_no_steps_is_no_call(stream):
    stream.run(0, audio=np.zeros((ROWS, 0), np.float32))
    assert stream.info(0) == {"seed": 0, "step": 0, "id": 0, "begun": False, "last": 0}
