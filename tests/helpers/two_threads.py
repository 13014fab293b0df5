"""Generators of one thread and of two, for the tests of the second thread."""

from engines import model_of
from networks import NETWORKS, small_spec

import fastwavenet as fw

# Small networks, where one thread is faster, and some whose products both threads share.
SHARED = {
    "wide_skip": small_spec(skip=130, head=70, levels=256),
    "wide_layers": small_spec(residual=48, dilation_channels=64, dilations=(1, 2, 4, 8, 16, 32)),
    "many_layers": small_spec(skip=64, kernel=3, dilations=(1, 2, 4, 8) * 8),
}
NAMES = ["kernels_mixed", "dilations_around_16", "conditioned", *SHARED]
SPECS = NETWORKS | SHARED


def two(gen: fw.Generator) -> fw.Generator:
    """The same one; it was made with threads=2, and now uses them even if one is faster."""
    gen._session.stream.set_threads(2)
    assert gen.threads == 2
    return gen


def generator(name: str, precision: str = "float32", **arguments) -> fw.Generator:
    return fw.Generator(model_of(SPECS[name], precision=precision), **{"seed": 5} | arguments)
