"""The parts of a computer on which the last bits of a training step depend."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import checks
from ..shown import shown

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Computer:
    """Parts with which a run was computed.  Raises ValueError for values of another kind.

    threads    of PyTorch on the CPU
    processor  its instruction sets, as PyTorch names them
    pytorch    its version
    device     "cpu", or the name of a GPU
    """

    threads: int
    processor: str
    pytorch: str
    device: str

    def __post_init__(self) -> None:
        checks.whole("threads", self.threads, low=1, high=2**31, expected="a number of threads")
        for name in ("processor", "pytorch", "device"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a name, not {shown(getattr(self, name))}")

    @classmethod
    def here(cls, device: torch.device) -> Computer:
        """Those of this process."""
        import torch  # not at the top: checkpoints are read without it

        on_gpu = device.type == "cuda"
        return cls(
            threads=torch.get_num_threads(),
            processor=torch.backends.cpu.get_cpu_capability(),
            pytorch=str(torch.__version__),
            device=torch.cuda.get_device_name(device) if on_gpu else device.type,
        )

    def change(self, before: Computer) -> str | None:
        """A line about the parts that were others before; None if all are the same."""
        changed = [
            f"{field.name} {shown(getattr(self, field.name))}, "
            f"before {shown(getattr(before, field.name))}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != getattr(before, field.name)
        ]
        if not changed:
            return None
        return (
            f"the weights will differ in their last bits from those of a run without the "
            f"interruption: {'; '.join(changed)}"
        )
