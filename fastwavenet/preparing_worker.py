"""The work of a process of `prepare`: decoding a recording, or computing its frames.

A task is a JSON object in a line of standard input, and each answer a line of standard output:

    {"ready": true}                  once, before the first task
    {"allow": seconds}               progress, and the time until the next sign of it
    {"done": {...}}                  the result; the data lie in the task's "target"
    {"refused": reason}              the file cannot be used
    {"failed": [errno, name, file]}  the target cannot be written

Standard error is not used, since decoders write there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .activity import Activity
from .audio_reading import read_blocks
from .audio_source import AudioError
from .corpus import SAMPLE, as_float, as_int16
from .frame_conditioning import FrameConditioning
from .frame_files import compact
from .recording_frames import FrameReader
from .shown import shown
from .types import Audio

TRIM_SECONDS = 0.01  # of the frames whose level decides
BLOCK = 1 << 18  # samples
SLOWEST = 2.0  # x real time: pitch, whose progress is not seen
ORPHAN = 60  # seconds after the allowed time, in which the parent would have ended this process
MEASURES = ("sha256", "at", "samples", "seconds", "level", "peak", "dc", "silence", "trimmed")

Task = dict[str, Any]
Beat = Callable[[float], None]  # called with the seconds until the next call


class WriteError(Exception):
    """The target cannot be written; `error` is the OSError."""

    def __init__(self, error: OSError):
        self.error = error


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = str(target)
        raise WriteError(error) from None


def decode(task: Task, beat: Beat) -> dict[str, Any]:
    """Writes the samples of a file to the target, int16, and measures them.

    The result has MEASURES and "remark" of an `Entry`; `at` is the first sample that is not cut
    off.  Raises AudioError or OSError for a file that cannot be used, WriteError.
    """
    target, factor, peak = Path(task["target"]), np.float32(10 ** (task["gain"] / 20)), 0.0
    with _writing(target):
        file = target.open("wb")

    def take(block: Audio) -> None:
        nonlocal peak
        audio = block * factor if task["gain"] else block
        peak = max(peak, float(np.abs(audio).max()))
        with _writing(target):
            file.write(as_int16(audio).tobytes())
        beat(task["timeout"])

    try:
        remarks = read_blocks(task["file"], task["rate"], task["convert"], take)
    finally:
        with _writing(target):
            file.close()
    samples = np.memmap(target, SAMPLE, "r").view(np.ndarray)
    start, stop = 0, len(samples)
    if task["trim"] is not None:
        start, stop = loud_part(samples, task["rate"], task["trim"])
    found = measure(samples[start:stop], task["rate"], lambda: beat(task["timeout"]))
    found["peak"] = peak if peak > 1 else found["peak"]
    trimmed = start, len(samples) - stop
    return found | {"at": start, "trimmed": trimmed, "remark": "".join(remarks[:1])}


def loud_part(samples: npt.NDArray[np.int16], rate: int, level: float) -> tuple[int, int]:
    """The first sample of the first frame of 10 ms above a level in dB, and the end of the last.

    Raises AudioError if there is none.
    """
    size, limit = max(1, round(TRIM_SECONDS * rate)), 10 ** (level / 10) * 2.0**30
    first, end = None, 0
    for start in range(0, len(samples), 1000 * size):
        block = samples[start : start + 1000 * size].astype(np.float64)
        begins = np.arange(0, len(block), size)
        counts = np.minimum(size, len(block) - begins)
        above = begins[np.add.reduceat(block**2, begins) > limit * counts]
        if len(above):
            first = start + int(above[0]) if first is None else first
            end = start + int(above[-1]) + size
    if first is None:
        raise AudioError(f"is silent: no {1000 * TRIM_SECONDS:g} ms of it are above {level:g} dB")
    return first, min(end, len(samples))


def measure(samples: npt.NDArray[np.int16], rate: int, beat: Callable[[], None]) -> dict[str, Any]:
    """The measures of an `Entry` that follow from its samples."""
    total, squares, peak, n = 0, 0, 0, len(samples)
    digest, activity = hashlib.sha256(), Activity(1, rate)
    for start in range(0, n, BLOCK):
        block = samples[start : start + BLOCK]
        digest.update(block.tobytes())
        activity.add(as_float(block)[None])
        exact = block.astype(np.int64)
        total += int(exact.sum())
        squares += int((exact**2).sum())
        peak = max(peak, int(np.abs(exact).max()))
        beat()
    return {
        "sha256": digest.hexdigest(),
        "samples": n,
        "seconds": n / rate,
        "level": round(10 * math.log10(squares / n / 2**30), 3) if squares else None,
        "peak": peak / 2**15,
        "dc": total / n / 2**15,
        "silence": round(activity.share(), 6),
    }


def make_frames(task: Task, beat: Beat) -> dict[str, Any]:
    """Writes the frames of stored samples to the target; the rest of a `FramesPlace`."""
    end, n = FrameConditioning(**task["conditioning"]), task["samples"]
    offset = SAMPLE.itemsize * task["at"]
    samples = np.memmap(task["file"], SAMPLE, "r", offset, (n,)).view(np.ndarray)
    reader = FrameReader(end)
    for start in range(0, n, BLOCK):
        reader.feed(as_float(samples[start : start + BLOCK]))
        beat(task["timeout"])
    beat(task["timeout"] + n / task["rate"] / SLOWEST)
    frames = compact(reader.finish())
    data = frames.astype(frames.dtype.newbyteorder("<"), copy=False).tobytes()
    with _writing(Path(task["target"])):
        Path(task["target"]).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return {"frames": len(frames), "dtype": frames.dtype.name, "sha256": digest}


KINDS = {"decode": decode, "frames": make_frames}


def answer(task: Task, beat: Beat) -> dict[str, Any]:
    """The last line for a task."""
    try:
        return {"done": KINDS[task["kind"]](task, beat)}
    except WriteError as failed:
        error = failed.error
        return {"failed": [error.errno, error.strerror, error.filename]}
    except OSError as error:
        return {"refused": error.strerror or str(error)}
    except MemoryError:
        return {"refused": "takes more memory than there is: split it into parts"}
    except AudioError as error:
        return {"refused": str(error).removeprefix(f"{shown(Path(task['file']))}: ")}


def main() -> None:
    """Answers tasks until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):  # decoders may print
        os.dup2(nowhere, number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides

    def say(line: dict[str, Any]) -> None:
        print(json.dumps(line), file=answers, flush=True)

    def beat(allow: float) -> None:
        signal.alarm(math.ceil(allow) + ORPHAN)  # ends a process whose parent was killed
        say({"allow": allow})

    say({"ready": True})
    for line in sys.stdin:
        task = json.loads(line)
        try:
            say(answer(task, beat))
        except BrokenPipeError:
            return
        except Exception:
            say({"error": traceback.format_exc()})
        signal.alarm(0)
