"""Training in several processes, started by torchrun: each computes a part of every batch.

Process 0, the leader, is an ordinary run: it alone chooses settings, keeps the time, validates,
prints and writes.  The others follow.  They get the settings, the weights and each step's learning
rate from the leader, and all add their gradients.

Gradients are added by one all-reduce a step, and not by DistributedDataParallel.  That class sends
gradients while others are still computed; here those of all layers come out of one function at the
same moment (layers.py).  And it takes the mean over processes, while the loss of a step is the mean
over all targets, of which the processes may have unequal numbers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from .checkpoint import Weights
from .data import load_corpus
from .launch import FollowerError, Place, place
from .resume import check_corpus
from .settings import Call, Recordings, Settings
from .windows import Batch

if TYPE_CHECKING:
    from .learner import Learner
    from .loop import Summary

# A process that ends is noticed at once; it is the leader's validation that may take long.
TIMEOUT = datetime.timedelta(days=1)
# After the last message gloo's threads release its tensors, for which they need the interpreter:
# a process that ends meanwhile aborts.
RELEASE_SECONDS = 0.2
CALLS = itertools.count()  # of `joined`, the same in all processes


class Processes:
    """A run in a single process, for which nothing is to be done; `Together` is one in several."""

    rank = 0

    def device(self, name: str | None) -> str | None:
        """The argument of `choose_device` for this process."""
        return name

    def propose(self, settings: Settings, recordings: Recordings) -> None:
        """Sends the leader's settings.  Raises ValueError if the batch cannot be shared."""

    def compare(self, fingerprint: dict) -> None:
        """Raises ValueError on the leader if another process has other recordings, or none."""

    def spread(self, learner: Learner) -> None:
        """Sends the leader's weights, moments and precision.  All later steps are common ones."""

    def announce(self, factor: float) -> None:
        """Begins a common step at `factor` times the learning rate."""

    def part(self, batch: Batch) -> Batch:
        """The windows of a batch that this process computes."""
        return batch

    def add(self, parameters: Iterable[nn.Parameter], loss: float) -> float:
        """Adds the gradients of all processes; returns the sum of their losses."""
        return loss

    def watch(self, stopped: Callable[[], bool]) -> Callable[[], bool]:
        """Whether any process is to stop; `stopped`: whether this one is."""
        return stopped

    def finish(self, summary: Summary) -> Summary:
        """Ends the followers."""
        return summary

    def follow(self, call: Call, arguments: Mapping[str, Any]) -> Summary:
        """The work of a process that does not lead; the leader's summary."""
        raise NotImplementedError


ALONE = Processes()


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """The processes of this run, connected by gloo, and by NCCL for gradients on GPUs.

    Raises FollowerError in a follower if another process has ended.
    """
    where, distributed = place(), torch.distributed
    if where.size == 1:
        yield ALONE
        return
    own = not distributed.is_initialized()
    if own:
        _connect()
    together = Together(where)
    try:
        yield together
    except BaseException:
        together.fail()
        raise
    finally:
        if own:
            distributed.destroy_process_group()
            time.sleep(RELEASE_SECONDS)


def _connect() -> None:
    """Connects all processes, by keys of this call: those of earlier ones stay in the store."""
    store, rank, size = next(rendezvous("env://"))
    own = PrefixStore(f"fastwavenet.{next(CALLS)}", store)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    torch.distributed.init_process_group(
        backend, store=own, rank=rank, world_size=size, timeout=TIMEOUT
    )


class Together(Processes):
    """See `Processes`.

    is_common        whether steps are
    expects_message  whether followers wait for a message of the leader, and not for the gradients
                     or the fingerprints of all
    """

    def __init__(self, where: Place):
        self.rank, self.local, self.size = where.rank, where.local, where.size
        self.is_common, self.expects_message = False, True
        self.stopped: Callable[[], bool] = lambda: False
        self.any_stopped = False

    # ---- before the first step -------------------------------------------------------------

    def device(self, name: str | None) -> str | None:
        gpus = torch.cuda.device_count()
        if name == "cpu" or (name is None and not gpus):
            return "cpu"
        if name not in (None, "cuda"):
            raise ValueError(
                f"device must be cpu or cuda in several processes, each of which has a GPU of its "
                f"own, not {name}"
            )
        if self.local >= gpus:
            raise ValueError(
                f"device cuda has {gpus} GPUs here, too few for process {self.local} of this "
                f"machine: start fewer processes, or give the device cpu"
            )
        torch.cuda.set_device(self.local)
        return f"cuda:{self.local}"

    def propose(self, settings: Settings, recordings: Recordings) -> None:
        if settings.batch % self.size:
            raise ValueError(
                f"batch must be divisible by the number of processes, {self.size}, "
                f"not {settings.batch}"
            )
        self._send((settings.to_dict(), dataclasses.asdict(recordings)))
        self.expects_message = False

    def compare(self, fingerprint: dict) -> None:
        each = self._gathered(fingerprint)
        self.expects_message = True
        for rank, found in enumerate(each):
            try:
                if isinstance(found, str):
                    raise ValueError(found)
                check_corpus(fingerprint, found)
            except ValueError as error:
                raise ValueError(f"process {rank}: {error}") from None

    def spread(self, learner: Learner) -> None:
        self._send((learner.steps, learner.samples, learner.settings.bfloat16))
        self._broadcast(_flattened(learner.state()))
        self.is_common = True

    # ---- a step ----------------------------------------------------------------------------

    def announce(self, factor: float) -> None:
        if self.rank == 0:
            self._send(factor)
        self.expects_message = False

    def part(self, batch: Batch) -> Batch:
        size = len(batch.inputs) // self.size
        own = slice(self.rank * size, (self.rank + 1) * size)
        return batch._replace(
            inputs=batch.inputs[own],
            targets=batch.targets[own],
            frames=None if batch.frames is None else batch.frames[own],
            speakers=None if batch.speakers is None else batch.speakers[own],
            sounds=None if batch.sounds is None else batch.sounds[own],
        )

    def add(self, parameters: Iterable[nn.Parameter], loss: float) -> float:
        if not self.is_common:  # a step that is timed, to choose the precision
            return loss
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        sums = torch.tensor([loss, self.stopped()], dtype=torch.float64)
        with self._connected():
            torch.distributed.all_reduce(flat)
            torch.distributed.all_reduce(sums)
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        self.any_stopped, self.expects_message = bool(sums[1]), True
        return float(sums[0])

    def watch(self, stopped: Callable[[], bool]) -> Callable[[], bool]:
        self.stopped = stopped
        return lambda: stopped() or self.any_stopped

    def finish(self, summary: Summary) -> Summary:
        self._send(summary)
        return summary

    def fail(self) -> None:
        """Ends the followers after an error of the leader.

        Those that wait for something else than a message end when the connection is closed.
        """
        if self.rank == 0 and self.expects_message:
            with contextlib.suppress(OSError):
                self._send(None)

    # ---- a follower ------------------------------------------------------------------------

    def follow(self, call: Call, arguments: Mapping[str, Any]) -> Summary:
        """arguments: its recordings, where they are at another place than the leader's."""
        from .console import stop_on_signals
        from .host import own_settings
        from .learner import Learner, TrainingError, choose_device

        fields, places = self._received()
        settings = Settings.from_dict(fields)
        own = {name: os.fsdecode(arguments[name]) for name in places if arguments[name] is not None}
        try:
            device = choose_device(self.device(call.device))
            corpus = _read(settings, Recordings(**places | own), call)
        except (ValueError, OSError) as error:
            self._gathered(str(error))
            raise FollowerError(str(error)) from error
        self._gathered(corpus.fingerprint())
        with own_settings(device), stop_on_signals(call.stop) as stopped:
            learner = Learner(settings, corpus, device, self)
            self.watch(stopped)
            self._start(learner)
            while isinstance(received := self._received(), float):
                with contextlib.suppress(TrainingError):  # which the leader has too
                    learner.step(received)
        return received

    def _start(self, learner: Learner) -> None:
        """The other side of `spread`."""
        steps, samples, bfloat16 = self._received()
        state = learner.state()
        flat = _flattened(state)
        self._broadcast(flat)
        learner.settings = dataclasses.replace(learner.settings, bfloat16=bfloat16)
        learner.restore(_unflattened(flat, state), steps, samples)
        self.is_common = True

    # ---- messages --------------------------------------------------------------------------

    def _send(self, message: object) -> None:
        with self._connected():
            torch.distributed.broadcast_object_list([message], 0)

    def _received(self) -> Any:
        """A message of the leader; None after an error."""
        message: list[Any] = [None]
        with self._connected():
            torch.distributed.broadcast_object_list(message, 0)
        if message[0] is None:
            raise FollowerError("the leading process has ended with an error")
        return message[0]

    def _gathered(self, value: object) -> list[Any]:
        """The values of all processes."""
        values: list[Any] = [None] * self.size
        with self._connected():
            torch.distributed.all_gather_object(values, value)
        return values

    def _broadcast(self, tensor: Tensor) -> None:
        with self._connected():
            torch.distributed.broadcast(tensor, 0)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        """Raises FollowerError, or OSError in the leader, if another process has ended."""
        try:
            yield
        except RuntimeError as error:
            if self.rank:
                raise FollowerError("another process has ended") from error
            raise OSError(
                "another process of this run has ended, for the reason that it gives: start all "
                "again with --resume"
            ) from error


def _read(settings: Settings, recordings: Recordings, call: Call) -> Any:
    return load_corpus(
        recordings.source,
        settings.spec,
        recordings.validation,
        settings.convert,
        call.stop,
        recordings.frames,
    )


def _flattened(state: dict[str, Weights]) -> Tensor:
    """All numbers of a learner's state, float32 (n,)."""
    arrays = [array for weights in state.values() for array in weights.values()]
    return torch.cat([torch.from_numpy(array).flatten() for array in arrays])


def _unflattened(flat: Tensor, like: dict[str, Weights]) -> dict[str, Weights]:
    """The inverse, for a state of these names and shapes."""
    sizes = [array.size for weights in like.values() for array in weights.values()]
    parts = iter(flat.split(sizes))
    return {
        group: {name: next(parts).view(array.shape).numpy() for name, array in weights.items()}
        for group, weights in like.items()
    }
