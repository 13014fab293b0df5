"""fastwavenet import: another project's network as a model file."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .. import modelfile
from ..importers.call import AUTO, FORMATS, imported
from ..shown import shown
from .arguments import add_command, path
from .export import check_model_name
from .report import Report


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "make a model file of another WaveNet project's network",
        "fastwavenet import checkpoint/ -o voice.safetensors",
    )
    option(
        "source",
        type=path,
        metavar="SOURCE",
        help="file with its weights, their folder, or the prefix of a TensorFlow checkpoint",
    )
    option("-o", "--output", type=path, required=True, metavar="FILE")
    option(
        "--format",
        default=AUTO,
        metavar="PROJECT",
        help=f"{', '.join(FORMATS)} (%(default)s: by the names of its tensors)",
    )
    option(
        "--config",
        type=path,
        metavar="FILE",
        help="its hyperparameters (the file of the project's usual name beside the weights)",
    )
    option(
        "--set",
        type=_value,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a hyperparameter that no file holds, by the project's own name, as JSON; may be "
        "repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    report, output = Report(arguments), arguments.output
    check_model_name(output)
    given = _once(arguments.set)
    network = imported(arguments.source, arguments.format, arguments.config, given)
    for source in (network.file, arguments.config):
        if source is not None and output.is_file() and output.samefile(source):
            raise ValueError(f"{shown(output)} is read and would be replaced: name another output")
    modelfile.save(output, network.spec, network.weights)
    size = network.spec.weight_bytes()
    report.result(
        {
            "output": str(output),
            "source": str(network.file),
            "format": network.project,
            "weight_bytes": size,
        },
        f"{shown(output)}: from {network.project}, {network.spec.layers} layers, "
        f"{network.spec.sample_rate} Hz, {size:,} bytes",
    )
    return 0


def _value(text: str) -> tuple[str, Any]:
    """NAME=VALUE; a value that is no JSON is a string."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, not {shown(text)}")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--set {name} is given {names.count(name)} times, expected once")
    return dict(pairs)
