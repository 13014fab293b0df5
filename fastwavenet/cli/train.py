"""fastwavenet train: recordings to a run folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..training.launch import FollowerError, place
from ..training.settings import CALL, RUN
from ..training.table import Setting
from .arguments import AddOption, add_command, path
from .report import Report

OPTIONS = [setting for setting in (*RUN, *CALL) if setting.option]


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "train a WaveNet on recordings; Ctrl-C stops early and keeps what was learnt",
        "fastwavenet train recordings/ -o run/ --preset small --minutes 10",
        extra="train",
    )
    option(
        "source",
        type=path,
        nargs="?",
        help="an audio file, a folder of them, or a corpus; with --resume, that of the run",
    )
    option("-o", "--output", type=path, required=True, metavar="RUN", help="folder for the run")
    for setting in OPTIONS:
        _add_setting(option, setting)


def _add_setting(option: AddOption, setting: Setting) -> None:
    """The option of a setting; one that is not given is no argument of `train`."""
    how: dict[str, Any] = {"dest": setting.name, "default": argparse.SUPPRESS}
    if setting.kind is not bool:
        kind = path if setting.kind is Path else setting.kind
        text = setting.explained
        how |= {"type": kind, "metavar": setting.metavar}
    elif setting.optional:
        text = setting.explained
        how |= {"action": argparse.BooleanOptionalAction}
    else:
        text = setting.help
        how |= {"action": "store_true"}
    option(setting.flag, help=text.replace("%", "%%"), **how)


def run(arguments: argparse.Namespace) -> int:
    from ..training import train
    from ..training.console import REMARKS

    follows = place().rank > 0  # the first process prints for all
    arguments.quiet, arguments.json = arguments.quiet or follows, arguments.json and not follows
    report = Report(arguments)
    names = [setting.name for setting in OPTIONS if hasattr(arguments, setting.name)]
    settings = {name: getattr(arguments, name) for name in names}
    progress = not (arguments.quiet or arguments.json)
    told = REMARKS.set(report.warn if arguments.json else None)
    try:
        summary = train(arguments.source, arguments.output, progress=progress, **settings)
    except FollowerError:
        return 0  # the exit code is that of the process with the error
    finally:
        REMARKS.reset(told)
    report.result(
        {
            "model": str(summary.model),
            "nats_per_sample": summary.validation_loss,
            "steps": summary.steps,
            "seconds": summary.seconds,
            "samples_per_second": summary.samples_per_second,
            "interrupted": summary.interrupted,
        },
        f"{'interrupted' if summary.interrupted else 'done'} after {summary.steps} steps and "
        f"{summary.seconds:.0f} s; the best model has {summary.validation_loss:.3f} nats per "
        f"sample on held-out audio: {summary.model}",
    )
    return 130 if summary.interrupted and not follows else 0
