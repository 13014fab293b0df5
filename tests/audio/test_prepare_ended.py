"""A corpus that is damaged, and a preparation that ends early: nothing half made is ever used."""

import itertools
import multiprocessing
import os
import shutil
import signal

import pytest
from corpora import NEVER, InThisProcess, at_time, content, damaged, prepare_and_die
from recordings import full_disk, noise, record

import fastwavenet as fw
from fastwavenet import preparation, preparing, worker_processes
from fastwavenet.manifest import MANIFEST, UNFINISHED

pytestmark = pytest.mark.usefixtures("in_this_process")
MEL, HOP = "hifigan-16k", 256


# ---- damage ----------------------------------------------------------------------------------


def packs(folder, suffix):
    return sorted(folder.glob(f"*{suffix}"))


@pytest.mark.parametrize("suffix", [".i16", ".frames"])
@pytest.mark.parametrize("how", ["remove", "cut", "lengthen"])
def test_a_pack_that_is_not_whole_is_made_again(source, tmp_path, suffix, how):
    fw.prepare(source, tmp_path / "c", mel=MEL)
    whole, (pack,) = content(tmp_path / "c"), packs(tmp_path / "c", suffix)
    if how == "remove":
        pack.unlink()
    else:
        os.truncate(pack, pack.stat().st_size + (1 if how == "lengthen" else -1))
    fw.prepare(source, tmp_path / "c", mel=MEL)
    assert content(tmp_path / "c") == whole


@pytest.mark.parametrize("suffix", [".i16", ".frames"])
def test_changed_bytes_are_found_and_mended_on_demand(source, tmp_path, suffix):
    fw.prepare(source, tmp_path / "c", mel=MEL)
    whole, (pack,) = content(tmp_path / "c"), packs(tmp_path / "c", suffix)
    data = bytearray(pack.read_bytes())
    data[-1] ^= 1
    pack.write_bytes(data)
    assert damaged(tmp_path / "c") == ["deep/c.wav"]
    done = InThisProcess.tasks
    fw.prepare(source, tmp_path / "c", mel=MEL, check=True)
    assert content(tmp_path / "c") == whole
    assert InThisProcess.tasks == done + 1  # the rest of the pack is intact


def test_changed_bytes_are_mended_beside_a_pack_that_is_missing(source, tmp_path):
    fw.prepare(source, tmp_path / "c", mel=MEL)
    whole = content(tmp_path / "c")
    packs(tmp_path / "c", ".frames")[0].unlink()
    (pack,) = packs(tmp_path / "c", ".i16")
    pack.write_bytes(bytes(pack.stat().st_size))
    fw.prepare(source, tmp_path / "c", mel=MEL, check=True)
    assert content(tmp_path / "c") == whole


def test_changed_bytes_are_never_copied_into_another_pack(source, tmp_path):
    fw.prepare(source, tmp_path / "c")
    before, (pack,) = content(tmp_path / "c"), packs(tmp_path / "c", ".i16")
    data = bytearray(pack.read_bytes())
    data[0] ^= 1
    pack.write_bytes(data)
    record(source / "new.wav", noise(100))
    with pytest.raises(ValueError, match=r"i16: is damaged, .* prepare the corpus .* --check"):
        fw.prepare(source, tmp_path / "c")
    assert (tmp_path / "c" / MANIFEST).read_bytes() == before[MANIFEST]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "fastwavenet corpus", "version": 2}'])
def test_a_manifest_that_cannot_be_used_is_made_again(source, tmp_path, text):
    fw.prepare(source, tmp_path / "c")
    whole = content(tmp_path / "c")
    (tmp_path / "c" / MANIFEST).write_text(text)
    assert fw.prepare(source, tmp_path / "c").decoded == 3
    assert content(tmp_path / "c") == whole


# ---- interrupted -----------------------------------------------------------------------------


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["fastwavenet.preparing", "corpora"])


def is_whole(folder):
    return not damaged(folder)


def die_at(at, source, output, number, options):
    process = FORKS.Process(target=prepare_and_die, args=(source, output, at, number, options))
    process.start()
    process.join()
    return process.exitcode


def check_death(source, tmp_path, at, number):
    """The exit code of a call that is ended while it changes a corpus, and later makes one."""
    fw.prepare(source, tmp_path / "c", mel=MEL)
    old = content(tmp_path / "c")
    at_time(source / "b.wav", noise(2001, 9), 2 * 10**18)
    (source / "a.wav").unlink()
    code = die_at(at, source, tmp_path / "c", number, {"mel": MEL})
    assert is_whole(tmp_path / "c")  # the old corpus, or the new one
    new = die_at(at, source, tmp_path / "new", number, {"mel": MEL})
    if (tmp_path / "new" / MANIFEST).exists():
        assert is_whole(tmp_path / "new")
    for name in ("c", "new", "fresh"):
        fw.prepare(source, tmp_path / name, mel=MEL)
    fresh = content(tmp_path / "fresh")
    assert fresh != old
    assert content(tmp_path / "c") == content(tmp_path / "new") == fresh
    return {code, new}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
@pytest.mark.parametrize("at", [2, 20, 40])
def test_a_call_that_is_ended_leaves_a_whole_corpus_and_is_completed_by_the_next(
    source, tmp_path, at, number, code
):
    assert check_death(source, tmp_path, at, number) <= {code, NEVER}


@pytest.mark.slow
def test_a_call_may_be_ended_at_any_moment(tmp_path):
    for at in itertools.count(1):
        place = tmp_path / str(at)
        for number, name in enumerate(("a.wav", "b.wav", "deep/c.wav")):
            at_time(place / "in" / name, noise(1000 + number, number), 10**18 + number)
        codes = check_death(place / "in", place, at, signal.SIGKILL)
        shutil.rmtree(place)
        if codes == {NEVER}:
            break
    assert at > 30


def test_results_of_an_interrupted_call_are_not_made_again(source, tmp_path, monkeypatch):
    pack = preparation.Preparation._packed
    monkeypatch.setattr(preparation.Preparation, "_packed", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fw.prepare(source, tmp_path / "c", mel=MEL)
    assert (tmp_path / "c" / UNFINISHED).is_dir()
    monkeypatch.setattr(preparation.Preparation, "_packed", pack)
    done = InThisProcess.tasks
    assert fw.prepare(source, tmp_path / "c", mel=MEL).decoded == 3
    assert InThisProcess.tasks == done


@pytest.mark.parametrize("room", [100, 1500, 7000])
def test_a_full_disk_leaves_the_old_corpus(source, tmp_path, room):
    fw.prepare(source, tmp_path / "c", mel=MEL)
    old = content(tmp_path / "c")
    for number in range(3):
        at_time(source / f"new{number}.wav", noise(1000, number), 10**18)
    with full_disk(room), pytest.raises(OSError, match="too large"):
        fw.prepare(source, tmp_path / "c", mel=MEL)
    now = content(tmp_path / "c")
    assert {name: now[name] for name in old} == old
    fw.prepare(source, tmp_path / "c", mel=MEL)
    fw.prepare(source, tmp_path / "fresh", mel=MEL)
    assert content(tmp_path / "c") == content(tmp_path / "fresh")


# ---- processes -------------------------------------------------------------------------------

AWKWARD = """
import os, signal, time
from fastwavenet import preparing_worker
decode = preparing_worker.read_blocks
def read_blocks(file, *arguments):
    name = os.path.basename(file)
    if "crash" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "exit" in name:
        os._exit(7)
    if "hang" in name:
        time.sleep(1000)
    if "print" in name:
        print("a decoder prints", flush=True)
    return decode(file, *arguments)
preparing_worker.read_blocks = read_blocks
"""
processes = pytest.mark.processes


class Hurried(worker_processes.WorkerProcess):
    """Waits for a file that hangs for a second, and for all others as long as usual."""

    def give(self, number, task):
        super().give(number, task)
        if "hang" in task["file"]:
            self.deadline -= worker_processes.TIMEOUT - 1


@processes
@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_crashes_or_hangs_the_decoder_loses_only_itself(
    source, tmp_path, monkeypatch, workers
):
    before, _, call = worker_processes.MAIN.rpartition("main()")
    monkeypatch.setattr(worker_processes, "MAIN", f"{before}{call}\n{AWKWARD}\nmain()")
    monkeypatch.setattr(worker_processes, "WorkerProcess", Hurried)
    for name in ("crash", "exit", "hang", "print"):
        record(source / f"{name}.wav", noise(100))
    counted = []
    prepared = fw.prepare(
        source, tmp_path / "c", workers=workers, progress=lambda *at: counted.append(at)
    )
    assert prepared.skipped == [
        f"{source}/crash.wav: crashes the decoder: SIGSEGV",
        f"{source}/exit.wav: crashes the decoder: exit code 7",
        f"{source}/hang.wav: gives no sample for 60 s: the decoder hangs",
    ]
    assert prepared.recordings == 4
    assert counted[:8] == [(done, 7) for done in range(8)]


@processes
def test_processes_give_the_corpus_of_one(source, tmp_path, monkeypatch):
    (source / "text.wav").write_text("no audio")
    fw.prepare(source, tmp_path / "c", mel=f"{MEL}+pitch", workers=3)
    monkeypatch.setattr(preparing, "WorkerProcesses", InThisProcess)
    fw.prepare(source, tmp_path / "d", mel=f"{MEL}+pitch")
    assert content(tmp_path / "c") == content(tmp_path / "d")


@processes
def test_processes_that_cannot_start_are_an_error_of_their_own(source, tmp_path, monkeypatch):
    monkeypatch.setattr(worker_processes, "MAIN", "import sys; sys.exit(5)")
    with pytest.raises(RuntimeError, match="ended before its first file, by exit code 5"):
        fw.prepare(source, tmp_path / "c")


@processes
def test_a_target_that_cannot_be_written_ends_the_call(source, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation.Preparation, "_aimed", lambda self, task, _: task | {
        "target": str(tmp_path / "nowhere" / "a")})  # fmt: skip
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fw.prepare(source, tmp_path / "c")
