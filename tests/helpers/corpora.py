"""Corpora to compare: prepared without processes, read back as bytes."""

import hashlib
import json
import os
import signal
import sys

from recordings import record

from fastwavenet import preparing, preparing_worker
from fastwavenet.corpus import CorpusFolder
from fastwavenet.manifest import MANIFEST


class InThisProcess:
    """In place of WorkerProcesses: without processes, which take a second to start."""

    tasks = 0  # worked on, in all

    def __init__(self, count):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def results(self, tasks):
        for number, task in enumerate(tasks):
            InThisProcess.tasks += 1
            line = preparing_worker.answer(task | {"timeout": 60}, lambda allow: None)
            if "failed" in line:
                raise OSError(*line["failed"])
            yield number, line.get("done") or line["refused"]


def content(folder):
    """Name -> bytes of all files of a corpus."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def entries(folder):
    """Path -> entry of the manifest."""
    about = json.loads((folder / MANIFEST).read_text())
    return {entry["path"]: entry for entry in about["recordings"]}


def damaged(folder):
    """Paths of the recordings whose samples or frames differ from their hashes."""
    corpus, found = CorpusFolder(folder), []
    for entry in corpus.manifest.recordings:
        stored = [(corpus.samples(entry), entry.sha256)]
        stored += [(corpus.frames(entry, k), place.sha256) for k, place in entry.frames.items()]
        if any(hashlib.sha256(array.tobytes()).hexdigest() != digest for array, digest in stored):
            found.append(entry.path)
    return found


def edited(folder, change):
    """Changes the manifest; the folder."""
    about = json.loads((folder / MANIFEST).read_text())
    change(about)
    (folder / MANIFEST).write_text(json.dumps(about))
    return folder


def at_time(path, audio, time, **how):
    """Records a file that was changed at a time of its own: clocks may tick every few ms only."""
    record(path, audio, **how)
    os.utime(path, ns=(time, time))
    return path


NEVER = 3  # the exit code of a call that touched its files less often


def prepare_and_die(source, output, at, number, options):
    """Prepares in this process, which sends itself a signal when it touches the corpus."""
    touched = 0

    def touch(event, arguments):
        nonlocal touched
        if event.partition(".")[0] in ("open", "os", "shutil") and str(output) in str(arguments):
            touched += 1
            if touched == at:
                os.kill(os.getpid(), number)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    preparing.WorkerProcesses = InThisProcess
    sys.addaudithook(touch)
    try:
        preparing.prepare(source, output, **options)
    except KeyboardInterrupt:
        sys.exit(130)
    if touched < at:
        sys.exit(NEVER)
