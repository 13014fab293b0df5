"""`train`: from the arguments of a call to a finished run folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from ..modelfile import Contents, load
from ..shown import shown
from ..spec import WaveNetSpec
from .console import Console, stop_on_signals
from .data import load_corpus
from .distributed import Processes, joined
from .failures import explained
from .host import ONE_THREAD, own_settings, threads_are_lost
from .learner import choose_device
from .loop import Run, Summary
from .measures import record_measures
from .network import Network
from .reporters import Reporters
from .resume import choose_budget, choose_recordings, choose_settings
from .run import RunFolder
from .settings import CALL, RUN, Budget, Call, Settings
from .table import documented, given


@documented(
    {
        "Settings of a run, which its checkpoint keeps": RUN,
        "Settings of a call": CALL,
    }
)
def train(
    source: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    *,
    preset: str | None = None,
    sample_rate: int | None = None,
    mel: str | None = None,
    hop: int | None = None,
    speakers_from_folders: bool | None = None,
    upsample: str | None = None,
    pre_emphasis: float | None = None,
    from_: str | os.PathLike[str] | None = None,
    spec: WaveNetSpec | None = None,
    validation: str | os.PathLike[str] | None = None,
    frames: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    batch: int | None = None,
    window: int | None = None,
    accumulate: int | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    schedule: str | None = None,
    max_gradient_norm: float | None = None,
    ema_decay: float | None = None,
    convert: bool | None = None,
    bfloat16: bool | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    patience: int | None = None,
    resume: bool = False,
    device: str | None = None,
    tune: bool | None = None,
    previews: int = 1,
    tensorboard: bool = False,
    progress: bool = True,
    stop: threading.Event | None = None,
) -> Summary:
    """Trains a WaveNet on the recordings in `source` into the folder `output`.

    `source` is a file, a folder, or a corpus that `fastwavenet.prepare` has made of them.

    The folder holds the model files model.safetensors (the weights with the lowest loss on
    held-out audio, and the cost of smaller precisions there; with less than a minute of audio to
    train on the latest weights) and latest.safetensors;
    checkpoint.safetensors, all that is needed to resume; log.jsonl, a line per report; report.html
    with curves, remarks and sounds.  Where that cannot be made, a line is printed, and training
    goes on.

    A resumed run continues exactly: with a budget of steps, on a CPU with the same number of
    threads, a run that was stopped at any moment and resumed leaves the same bits as a run that was
    not.  `source`, `validation` and `frames` may be left out; if they are given, they must hold the
    same as before, at any place.  All settings of the run come from its checkpoint, and a given
    setting must be equal, but the learning rate may be lower.  The budget may differ: it is that of
    the whole run, and the learning rate follows it from then on.  Resuming a run first writes the
    files that a killed process left unwritten; a budget that is already spent is an error only if
    there are none.  If the checkpoint is damaged, the one before takes its place.

    Ctrl-C, SIGTERM or SIGHUP ends training early, with everything saved; a second Ctrl-C or SIGTERM
    ends it at once.  A file that cannot be written is tried again within a minute, and is an error
    before the first step and after the last one only.
    The host program's settings of PyTorch have no effect, and are restored (see
    `host.own_settings`).  Lines that cannot be printed are lost.

    Started by torchrun, several processes train one network: each computes a part of every batch.
    All return the summary; only the first one prints and writes.

    Raises AudioError if there is no usable audio, TrainingError if training diverges, ValueError
    for an argument that is out of bounds or differs from the run's, FileExistsError if `output`
    holds a run already and `resume` is false, BlockingIOError if another process trains into it,
    FileNotFoundError if there is no run to resume, ModelFormatError if both its checkpoints are
    damaged, MemoryError if a step does not fit into memory, OSError, and CancelledError (of
    concurrent.futures) if `stop` is set before all audio is read; nothing is written then.
    ModuleNotFoundError if `tensorboard` is true and its package is missing.
    Of several processes the first one raises these; the others raise FollowerError, a RuntimeError.
    """
    arguments = locals()  # all of the above, by name
    if output is None:
        raise TypeError("train() needs `output`, the folder for the run")
    call = Call(**given(Call, arguments))
    with joined() as processes:
        if processes.rank:
            return processes.follow(call, arguments)
        folder = RunFolder(Path(output))
        with folder.held(call.resume):
            return processes.finish(_train(call, folder, arguments, processes))


def _train(
    call: Call, folder: RunFolder, arguments: dict[str, Any], processes: Processes
) -> Summary:
    """`train` in the process that leads, in a folder that no other process trains into."""
    source, validation, frames = (arguments[key] for key in ("source", "validation", "frames"))
    started = folder.load() if call.resume else None
    network = Network(**given(Network, arguments))
    finished = started is not None and folder.is_published(started.progress.history)
    budget = choose_budget(started, given(Budget, arguments), finished)
    recordings = choose_recordings(started, source, validation, frames)
    model = open_model(network.from_)
    known = None if model is None else model.spec
    settings = choose_settings(started, network, given(Settings, arguments), recordings, known)
    chosen = choose_device(processes.device(call.device))
    processes.propose(settings, recordings.absolute())
    remarks = [ONE_THREAD] if threads_are_lost() else []
    if folder.damage is not None:
        remarks.append(f"going on from {shown(folder.previous)}, for {folder.damage}")
    with (
        own_settings(chosen),
        Console(call.progress) as console,
        Reporters(folder, console, call) as reporters,
    ):
        for remark in remarks:
            console.remark(remark)
        corpus = load_corpus(
            recordings.source,
            settings.spec,
            recordings.validation,
            settings.convert,
            call.stop,
            recordings.frames,
        )
        processes.compare(corpus.fingerprint())
        places = recordings.absolute()
        run = Run(settings, budget, corpus, places, chosen, folder, console, reporters, processes)
        with explained(run), stop_on_signals(call.stop) as stopped:
            run.begin(started, model)
            processes.spread(run.learner)
            loss = run.fit(processes.watch(stopped))
            tune = call.tune is not False
            sampling = record_measures(folder.model, corpus, tune, console, stopped)
            if sampling != settings.spec.sampling and not stopped():
                run.show_sampling(sampling)
    return run.summary(loss)


def open_model(path: str | os.PathLike[str] | None) -> Contents | None:
    """The model to fine-tune: a file, the best one of a run's folder, or a voice; None for none."""
    if path is None:
        return None
    place = Path(path)
    return load(RunFolder(place).model if place.is_dir() else place)
