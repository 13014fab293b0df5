"""Saving: the old file or the new one, whatever breaks; links, devices and pipes as expected."""

import os
import socket
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from recordings import full_disk, mounted, nobody, public_folder
from saving import NEW, OLD, alone, old_file

from fastwavenet import atomic
from fastwavenet.atomic import check_folder, check_target, replace_atomically


@pytest.fixture
def target(tmp_path):
    """A file that exists, alone in its folder."""
    return old_file(tmp_path / "folder")


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
