"""Saving: the old file or the new one, whatever breaks; links, devices and pipes as expected."""

import os
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from recordings import full_disk, mounted, nobody, public_folder

from fastwavenet import atomic
from fastwavenet.atomic import check_folder, check_target, replace_atomically

OLD, NEW = b"old " * 9999, b"new " * 99999  # not of one length


@pytest.fixture
def target(tmp_path):
    """A file that exists, alone in its folder."""
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def assert_untouched(target):
    assert list(target.parent.iterdir()) == [target]
    assert target.read_bytes() == OLD


# ---- a file ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 2**20 + 1])
def test_a_file_is_made_or_replaced(target, size):
    for path in (target, target.with_name("another")):
        replace_atomically(path, NEW[:1] * size)
        assert path.read_bytes() == NEW[:1] * size
    assert len(list(target.parent.iterdir())) == 2


@pytest.mark.parametrize("name", ["x" * 255, "звук " * 20, ".hidden", b"\xff\xfe.wav"])
def test_any_name_is_written(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    replace_atomically(path, NEW)
    assert path.read_bytes() == NEW


def test_permissions_follow_the_umask_or_the_file_replaced(tmp_path):
    path = tmp_path / "file"
    previous = os.umask(0o027)
    try:
        replace_atomically(path, OLD)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        replace_atomically(path, NEW)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(previous)


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o600, 0o666, 0o777])
def test_a_file_keeps_its_mode(target, mode):
    target.chmod(mode)
    replace_atomically(target, NEW)
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match=f"{tmp_path} is a folder, expected a file name"):
        replace_atomically(tmp_path, NEW)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none/file: the folder .*none does not exist"):
        replace_atomically(tmp_path / "none" / "file", NEW)


def test_a_file_in_the_place_of_a_folder_is_named(target):
    with pytest.raises(NotADirectoryError, match="file/new: .*/file is no folder, expected one"):
        check_target(target / "new")


@pytest.mark.parametrize(
    ("check", "make"), [(check_target, Path.mkdir), (check_folder, Path.touch)]
)
def test_a_name_is_shown_in_one_printable_line(tmp_path, check, make):
    odd = tmp_path / "a\n\x1b[31mb"
    make(odd)
    with pytest.raises(OSError, match=r"/a\\n\\x1b\[31mb is a ") as caught:
        check(odd)
    assert str(caught.value).isprintable()


# ---- links, devices and pipes ----------------------------------------------------------------


def test_a_link_stays_and_its_target_is_replaced(target, tmp_path):
    link = tmp_path / "link"
    link.symlink_to("folder/file")
    replace_atomically(link, NEW)
    assert link.readlink() == Path("folder/file")
    assert not target.is_symlink()
    assert target.read_bytes() == NEW
    assert list(target.parent.iterdir()) == [target]


def test_a_link_to_nothing_makes_its_target(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("file")
    replace_atomically(link, NEW)
    assert link.is_symlink()
    assert (tmp_path / "file").read_bytes() == NEW


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links") as caught:
        replace_atomically(tmp_path / "a", NEW)
    assert caught.value.filename == str(tmp_path / "a")
    assert (tmp_path / "a").is_symlink()


def test_the_null_device_stays_a_device():
    replace_atomically("/dev/null", NEW)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_device_is_an_error_with_its_name():
    for data in (b"1", NEW):
        with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
            replace_atomically("/dev/full", data)


def test_a_pipe_is_written_through(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    replace_atomically(pipe, NEW)
    reader.join()
    assert read == [NEW]
    assert list(tmp_path.iterdir()) == [pipe]


def alone(script, *argv):
    """A command line that runs a script with atomic.py and no numpy, which takes a second."""
    load = (
        "import sys, types\n"
        "package = sys.modules['fastwavenet'] = types.ModuleType('fastwavenet')\n"
        f"package.__path__ = [{str(Path(atomic.__file__).parent)!r}]\n"
        "from fastwavenet import atomic\n"
    )
    return [sys.executable, "-S", "-B", "-c", load + script, *map(str, argv)]


SAY = "atomic.replace_atomically('/dev/stdout', b'said')"


def test_standard_output_can_be_a_pipe():
    assert subprocess.check_output(alone(SAY)) == b"said"


def test_standard_output_can_be_a_file_and_keeps_what_is_there(target):
    with target.open("ab") as log:
        subprocess.run(alone(SAY), stdout=log, check=True)
        log.write(b" and more")
    assert target.read_bytes() == OLD + b"said and more"


def test_a_pipe_with_a_name_waits_and_one_that_is_open_does_not(target, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    ours, _ = os.pipe()
    waits = [atomic.is_named_pipe(path) for path in (pipe, tmp_path / "link")]
    others = (target, tmp_path, tmp_path / "none", "/dev/null", f"/dev/fd/{ours}")
    assert waits == [True, True]
    assert not any(atomic.is_named_pipe(path) for path in others)


def test_a_socket_is_refused_beforehand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("door")
        with pytest.raises(OSError, match="door is a socket, expected a file name"):
            check_target("door")


def test_a_pipe_that_may_not_be_written_is_refused_beforehand():
    with public_folder() as folder:
        os.mkfifo(folder / "pipe", 0o600)
        with nobody(), pytest.raises(PermissionError, match="pipe cannot be written to"):
            check_target(folder / "pipe")


def test_a_file_beside_the_devices_is_no_stream(target):
    assert not atomic.is_special_file(target)
    assert not atomic.is_special_file(target.parent)
    assert not atomic.is_special_file("/dev/there-is-no-such-thing")


# ---- disks that are full or cannot be written ------------------------------------------------


def test_a_file_too_large_leaves_the_old_one(target):
    with full_disk(len(NEW) - 1), pytest.raises(OSError, match="File too large") as caught:
        replace_atomically(target, NEW)
    assert caught.value.filename == str(target)
    assert_untouched(target)


def test_a_full_disk_leaves_the_old_file(tmp_path):
    with mounted(tmp_path / "disk", "size=256k") as disk:
        target = disk / "file"
        replace_atomically(target, OLD)
        with pytest.raises(OSError, match="No space left on device") as caught:
            replace_atomically(target, NEW)
        assert caught.value.filename == str(target)
        assert_untouched(target)


def test_a_disk_for_reading_only_is_refused_beforehand(tmp_path):
    with mounted(tmp_path / "disk", "ro") as disk:
        for attempt in (check_target, lambda path: replace_atomically(path, NEW)):
            with pytest.raises(PermissionError, match="file: the folder .* cannot be written to"):
                attempt(disk / "file")


def test_a_folder_for_reading_only_is_an_error():
    with public_folder() as folder:
        target = folder / "file"
        target.write_bytes(OLD)
        folder.chmod(0o555)
        with nobody(), pytest.raises(PermissionError, match=str(target)):
            replace_atomically(target, NEW)
        assert_untouched(target)


def test_the_file_of_another_user_in_a_sticky_folder_is_refused_beforehand():
    with public_folder() as folder:
        folder.chmod(0o1777)
        (folder / "file").write_bytes(OLD)
        with nobody():
            with pytest.raises(PermissionError, match="file belongs to another user"):
                check_target(folder / "file")
            replace_atomically(folder / "own", OLD)
            replace_atomically(folder / "own", NEW)
            assert (folder / "own").read_bytes() == NEW


# ---- folders ---------------------------------------------------------------------------------


def test_a_folder_that_can_be_written_in_is_accepted_whether_it_exists_or_not(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    for name in (".", "new", "new/and/below", "link", "link/new"):
        check_folder(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_what_is_no_folder_is_refused_beforehand(target, tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(NotADirectoryError, match="folder/file is a file, expected a folder"):
        check_folder(target)
    with pytest.raises(NotADirectoryError, match="file/a/b: .*/file is no folder, expected one"):
        check_folder(target / "a" / "b")
    with pytest.raises(FileNotFoundError, match="link is a link to nothing"):
        check_folder(tmp_path / "link")


def test_a_folder_for_reading_only_is_refused_beforehand():
    with public_folder() as folder:
        folder.chmod(0o555)
        for path in (folder, folder / "a", folder / "a" / "b"):
            with nobody(), pytest.raises(PermissionError, match="cannot be written to"):
                check_folder(path)


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
