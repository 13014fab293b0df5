"""Training inside a host program: PyTorch's global settings, and forked processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from . import IMPORTED_IN

ONE_THREAD = (
    "computing on one thread: this process was forked, and a fork has none of the threads that "
    "PyTorch computes with; start it with multiprocessing's spawn to use all"
)
T = TypeVar("T")


@contextlib.contextmanager
def own_settings(device: torch.device | None = None) -> Iterator[None]:
    """A context in which PyTorch computes as in a fresh process; on leaving it all is restored.

    The default device, gradients, inference mode, autocast and anomaly detection belong to this
    thread.  The default dtype, deterministic algorithms and the precision of float32 products
    belong to the process: meanwhile other threads have PyTorch's defaults, too.  The number of
    threads stays that of the host program, except in a forked process (see `threads_are_lost`).

    device: the device of the computation besides the CPU.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autograd.set_detect_anomaly(False))
        stack.enter_context(torch.device("cpu"))
        for kind in {"cpu", device.type if device else "cpu"}:
            # Within a host's autocast the cache would keep the first step's weights for ever.
            stack.enter_context(torch.autocast(kind, enabled=False, cache_enabled=False))
        _set(stack, torch.get_default_dtype, torch.set_default_dtype, torch.float32)
        _set(stack, torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode, 0)
        with contextlib.suppress(
            RuntimeError
        ):  # the host used the newer interface, which is per device
            precision = torch.set_float32_matmul_precision
            _set(stack, torch.get_float32_matmul_precision, precision, "highest")
        if threads_are_lost():
            _set(stack, torch.get_num_threads, torch.set_num_threads, 1)
        yield


def threads_are_lost() -> bool:
    """Whether a parallel computation could wait for ever for threads of the parent process.

    GNU OpenMP keeps its threads for the next computation, but a forked process has only the thread
    that called fork.  A forked process cannot find out whether its parent had computed anything.
    """
    return os.getpid() != IMPORTED_IN and torch.get_num_threads() > 1


def _set(
    stack: contextlib.ExitStack, get: Callable[[], T], set_to: Callable[[T], object], value: T
) -> None:
    """Sets a global setting of PyTorch until the stack is left."""
    before = get()
    if before != value:
        stack.callback(set_to, before)
        set_to(value)
