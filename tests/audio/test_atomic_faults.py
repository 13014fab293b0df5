"""Saving while system calls fail and signals come: the old file or the new one, and no other."""

import os
import random
import re
import shutil
import signal
import subprocess
import time

import pytest
from recordings import nobody, public_folder
from saving import NEW, OLD, alone, old_file

from fastwavenet import atomic


@pytest.fixture
def target(tmp_path):
    """A file that exists, alone in its folder."""
    return old_file(tmp_path / "folder")


# ---- faults and signals at every system call -------------------------------------------------

SAVE = """
import os
try:
    atomic.replace_atomically(sys.argv[1], b"new " * 99999)
except KeyboardInterrupt:
    os._exit(130)
except OSError as error:
    os._exit(3 if error.filename == sys.argv[1] else 4)
"""
CALLS = {  # as one machine or another has them
    "write": "?write",
    "fsync": "?fsync",
    "chmod": "?chmod,?fchmodat,?fchmodat2",  # called for a mode that the umask would narrow
    "rename": "?rename,?renameat,?renameat2",
}


@pytest.fixture
def sweep(target, tmp_path):
    """Saves with a fault at the 1st, 2nd, ... call of a kind; yields the exit code of each."""
    if not shutil.which("strace"):
        pytest.skip("system calls cannot be made to fail: strace is missing")
    if subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("system calls cannot be made to fail: strace may not trace here")
    log = tmp_path / "log"

    def with_fault(calls, fault):
        for number in range(1, 99):
            target.write_bytes(OLD)
            target.chmod(0o666)
            inject = ["-e", f"trace={calls}", "-e", f"inject={calls}:{fault}:when={number}"]
            traced = ["strace", "-o", log, *inject, *alone(SAVE, target)]
            code = subprocess.run(traced, capture_output=True).returncode
            if not re.search("INJECTED|SIGINT|SIGKILL", log.read_text()):
                assert code == 0
                break
            yield code

    return with_fault


@pytest.mark.parametrize("fault", ["error=ENOSPC", "error=EIO", "signal=SIGINT"])
@pytest.mark.parametrize("call", CALLS)
def test_a_failed_or_interrupted_call_leaves_a_whole_file_and_nothing_else(
    sweep, target, call, fault
):
    codes = []
    for code in sweep(CALLS[call], fault):
        codes.append(code)
        assert list(target.parent.iterdir()) == [target]
        assert target.read_bytes() == (OLD if code == 3 else NEW if code == 0 else either(target))
    interrupted = fault == "signal=SIGINT"
    expected = 130 if interrupted else 3
    # A mode is not worth a file.  The second fsync is the folder's: the new file is there by then.
    errors = {"fsync": [3, 0], "chmod": [0]}.get(call, [3])
    assert codes == ([expected] * len(errors) if interrupted else errors)


@pytest.mark.parametrize("fault", ["EPERM", "EACCES", "EINVAL", "ENOSYS", "EOPNOTSUPP"])
@pytest.mark.parametrize("call", ["chmod", "fsync"])
def test_a_file_system_without_modes_or_fsync_takes_the_file(sweep, target, call, fault):
    for code in sweep(CALLS[call], f"error={fault}"):
        assert code == 0
        assert target.read_bytes() == NEW
        assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("call", ["rename", "write"])
def test_a_refused_rename_or_write_is_an_error_also_where_nothing_can_be_removed(
    sweep, target, call
):
    calls = f"{CALLS[call]},?unlink,?unlinkat"
    for code in sweep(calls, "error=EPERM"):
        assert code == 3 or target.read_bytes() == NEW
        assert target.read_bytes() == (OLD if code == 3 else NEW)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400, 0o666])
def test_the_temporary_of_a_file_has_its_mode_from_the_start(target, tmp_path, mode):
    if not shutil.which("strace"):
        pytest.skip("system calls cannot be seen: strace is missing")
    target.chmod(mode)
    log = tmp_path / "log"
    subprocess.run(
        ["strace", "-o", log, "-e", "trace=openat", *alone(SAVE, target)], check=True, umask=0
    )
    created = re.findall(r'\.file-\w+\.tmp", [\w|]*O_CREAT[\w|]*, (0\d+)', log.read_text())
    assert [int(found, 8) for found in created] == [mode]


@pytest.mark.parametrize("call", CALLS)
def test_a_kill_at_any_call_leaves_a_whole_file(sweep, target, call):
    codes = []
    for code in sweep(CALLS[call], "signal=SIGKILL"):
        codes.append(code)
        assert either(target)
        others = [path.name for path in target.parent.iterdir() if path != target]
        assert all(name.startswith(".file-") and name.endswith(".tmp") for name in others)
        assert len(others) <= 1
        for name in others:
            target.with_name(name).unlink()
    assert codes and set(codes) <= {-9, 137}


def either(target):
    """The content of the file, which must be whole."""
    content = target.read_bytes()
    assert content in (OLD, NEW)
    return content


# ---- signals at random moments ---------------------------------------------------------------

SAVE_UNTIL_TOLD = """
import os
old, new = b"old " * 9999, b"new " * 99999
path = sys.argv[1]
while True:
    try:
        print("ready", flush=True)
        while True:
            atomic.replace_atomically(path, new)
            atomic.replace_atomically(path, old)
    except KeyboardInterrupt:
        with open(path, "rb") as file:
            assert file.read() in (old, new)
        assert os.listdir(os.path.dirname(path)) == ["file"], os.listdir(os.path.dirname(path))
"""


@pytest.fixture
def saving(target):
    """A process that saves over and over, as (process, wait until it does)."""
    process = subprocess.Popen(alone(SAVE_UNTIL_TOLD, target), stdout=subprocess.PIPE)
    moments = random.Random(1)

    def let_it_save():
        assert process.stdout.readline() == b"ready\n"
        time.sleep(moments.uniform(0, 0.004))

    yield process, let_it_save
    process.kill()
    process.communicate()


def test_ctrl_c_at_any_moment_leaves_a_whole_file_and_nothing_else(saving):
    process, let_it_save = saving
    for _ in range(300):
        let_it_save()
        process.send_signal(signal.SIGINT)
    let_it_save()
    assert process.poll() is None  # it checks after each


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    target, others = tmp_path / "[a].wav", {"[a].wav", "a.tmp", ".[b].wav-0123.tmp"}
    for name in (*others, ".[a].wav-0123.tmp", ".[a].wav-4567.tmp"):
        (tmp_path / name).touch()
    atomic.remove_leftovers(target)
    assert set(os.listdir(tmp_path)) == others


def test_what_killed_processes_left_may_stay_where_it_cannot_be_removed():
    with public_folder() as folder:
        (folder / ".file-0123.tmp").touch()
        folder.chmod(0o555)
        with nobody():
            atomic.remove_leftovers(folder / "file")
        assert os.listdir(folder) == [".file-0123.tmp"]
