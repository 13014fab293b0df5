"""Says what was tested, and runs a test on every instruction set that asks for `isa`."""

from importlib import metadata

import hypothesis
import pytest

# A shared machine may stop any test for seconds: speed is asserted where it is the claim.
hypothesis.settings.register_profile("tests", deadline=None, print_blob=True)
hypothesis.settings.load_profile("tests")


def pytest_report_header():
    versions = [f"{name} {_version(name)}" for name in ("fastwavenet", "numpy", "torch")]
    return [", ".join(versions), _engine()]


@pytest.fixture(params=["scalar", "avx2", "avx512"])
def isa(request) -> str:
    """Each instruction set in turn; the ones that this machine lacks are reported as skipped."""
    from fastwavenet import available_isas

    if request.param not in available_isas():
        pytest.skip(f"this machine has no {request.param}, only {', '.join(available_isas())}")
    return request.param


@pytest.fixture(scope="module")
def one_thread():
    """PyTorch on one thread; afterwards as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _engine() -> str:
    try:
        from fastwavenet import available_isas, isa
    except ImportError as error:
        return f"engine: missing ({error})"
    return f"engine: {isa()}, available: {', '.join(available_isas())}"
