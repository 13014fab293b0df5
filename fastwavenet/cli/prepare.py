"""fastwavenet prepare: recordings to a corpus, which is trained on without decoding."""

from __future__ import annotations

import argparse
import sys

from ..mel_conventions import mel_presets
from ..preparing import Prepared, prepare
from ..recording_frames import DEFAULT_SAMPLE_RATE, WITH_PITCH
from ..shown import shown
from .arguments import add_command, path
from .report import Report, put
from .shards import add_shard
from .signals import ended_like_ctrl_c, exit_code

MOST_SKIPPED = 20  # files that are printed by name


def add(commands: argparse._SubParsersAction) -> None:
    option = add_command(
        commands,
        run,
        "decode recordings once, into a corpus to train on; again: only what has changed",
        "fastwavenet prepare recordings/ -o corpus/ --mel hifigan-16k",
    )
    option("source", type=path, help="an audio file, or a folder of them")
    option("-o", "--output", type=path, required=True, metavar="CORPUS", help="folder to make")
    option(
        "--sample-rate",
        type=int,
        metavar="HZ",
        help=f"rate of the corpus ({DEFAULT_SAMPLE_RATE}, or that of mel)",
    )
    option("--convert", action="store_true", help="mix down and resample what needs it")
    option(
        "--mel",
        action="append",
        default=[],
        metavar="NAME",
        help=f"store the frames of a mel preset too: {', '.join(mel_presets())}; with "
        f"{WITH_PITCH} behind the name the pitch too; may be given several times",
    )
    option(
        "--speakers-from-folders",
        action="store_true",
        help="each direct subfolder is a speaker, of which a part is held out",
    )
    option(
        "--trim",
        type=float,
        metavar="DB",
        help="cut off both ends while they are below DB of full scale, as -50 (nothing is cut)",
    )
    option(
        "--gain",
        type=float,
        default=0.0,
        metavar="DB",
        help="amplify all recordings by DB, before --trim (%(default)g)",
    )
    option("--workers", type=int, metavar="N", help="processes (one for each core)")
    option(
        "--check",
        action="store_true",
        help="compare all that is kept with its hashes, and make damaged parts anew",
    )
    add_shard(option, "recordings")


def run(arguments: argparse.Namespace) -> int:
    report = Report(arguments)
    with ended_like_ctrl_c() as signals, report.counting("recordings") as progress:
        try:
            prepared = prepare(
                arguments.source,
                arguments.output,
                sample_rate=arguments.sample_rate,
                convert=arguments.convert,
                mel=arguments.mel,
                speakers_from_folders=arguments.speakers_from_folders,
                trim=arguments.trim,
                gain=arguments.gain,
                workers=arguments.workers,
                check=arguments.check,
                shard=(arguments.shard.number, arguments.shard.count),
                progress=progress,
            )
        except KeyboardInterrupt:
            put("fastwavenet: interrupted: the same command goes on from here", sys.stderr)
            return exit_code(signals)
    _report(prepared, report)
    if not arguments.shard.is_whole:
        report.line("when all shards have ended, the same command without --shard makes the corpus")
    return 0


def _report(prepared: Prepared, report: Report) -> None:
    for line in prepared.skipped[:MOST_SKIPPED]:
        report.warn(f"skipped {line}")
    if len(prepared.skipped) > MOST_SKIPPED:
        report.warn(f"skipped {len(prepared.skipped) - MOST_SKIPPED} more")
    for line in prepared.remarks:
        report.warn(line)
    report.result(
        {
            "corpus": str(prepared.folder),
            "recordings": prepared.recordings,
            "seconds": prepared.seconds,
            "decoded": prepared.decoded,
            "kept": prepared.kept,
            "removed": prepared.removed,
            "skipped": prepared.skipped,
            "remarks": prepared.remarks,
        },
        f"{shown(prepared.folder)}: {prepared.seconds / 60:.2f} minutes in "
        f"{prepared.recordings} recordings; {prepared.decoded} decoded, {prepared.kept} kept, "
        f"{prepared.removed} removed, {len(prepared.skipped)} skipped",
    )
