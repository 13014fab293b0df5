"""fastwavenet export: a run's best weights as one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import modelfile
from ..files import replace_atomically
from .arguments import add_command
from .report import Report


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "copy the best model of a run into one checked file",
        "fastwavenet export run/ -o voice.safetensors",
    )
    option("folder", type=Path, metavar="RUN", help="folder left by `fastwavenet train`")
    option("-o", "--output", type=Path, required=True, metavar="FILE")
    option("--latest", action="store_true", help="the latest weights instead of the best")


def run(arguments: argparse.Namespace) -> int:
    folder, output = arguments.folder, arguments.output
    source = folder / ("latest.safetensors" if arguments.latest else "model.safetensors")
    if not source.is_file():
        raise FileNotFoundError(
            f"{folder}: expected a run folder of `fastwavenet train`, with {source.name}"
        )
    with modelfile.named_after(source):
        data = modelfile.read(source)
        spec = modelfile.parse(data).spec
    replace_atomically(output, data)
    Report(arguments).result(
        {"output": str(output), "source": str(source), "bytes": len(data)},
        f"{output}: {spec.layers} layers, {spec.sample_rate} Hz, {len(data):,} bytes",
    )
    return 0
