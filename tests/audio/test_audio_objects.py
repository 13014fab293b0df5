"""File objects: read from and written to whatever they do, errors and Ctrl-C passed on."""

import io
import mmap
import os
import signal
import time

import numpy as np
import pytest
from recordings import RATE, record, tone

import fastwavenet as fw
from fastwavenet.audio import AudioError, encode_audio, read_audio


class Foreign(io.RawIOBase):
    """A file that reads a few bytes at a time, and fails on demand."""

    def __init__(self, data: bytes, fails: Exception | None = None):
        self.bytes, self.fails = io.BytesIO(data), fails

    def seekable(self):
        return True

    def seek(self, at, whence=0):
        return self.bytes.seek(at, whence)

    def read(self, n=-1):
        if self.fails and self.bytes.tell() > 1000:
            raise self.fails
        return self.bytes.read(min(n, 100))


def test_a_file_object_is_read_from_its_beginning_and_stays_open():
    data = encode_audio(tone(), RATE)
    for file in (io.BytesIO(data), Foreign(data)):
        file.seek(1234)
        audio, rate = fw.read_audio(file)
        np.testing.assert_allclose(audio, tone(), atol=2**-15)
        assert (rate, file.closed) == (RATE, False)


def test_an_open_file_is_named_in_errors(tmp_path):
    path = record(tmp_path / "a.wav", rate=44100)
    with path.open("rb") as file, pytest.raises(AudioError, match=rf"^{path}: has 44100 Hz"):
        fw.read_audio(file, RATE)
    with pytest.raises(AudioError, match="^the file object: has 44100 Hz"):
        fw.read_audio(io.BytesIO(path.read_bytes()), RATE)


@pytest.mark.parametrize("container", ["WAV", "FLAC"])
def test_what_a_file_object_raises_is_raised_and_printed_nowhere(container, capfd):
    data = encode_audio(tone(), RATE, container)
    with pytest.raises(OSError, match="^the network is gone$"):
        fw.read_audio(Foreign(data, OSError("the network is gone")))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("data", [b"", b"RIFF", encode_audio(tone(9), RATE)[:44], b"OggS" * 99])
def test_nothing_is_printed_about_damaged_files(data, capfd):
    with pytest.raises(AudioError):
        fw.read_audio(io.BytesIO(data))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("file", [7, None, object(), io.StringIO("text"), [1.0]])
def test_what_is_no_file_is_refused(file):
    with pytest.raises(TypeError, match="^file must be a path, or an object that reads bytes and"):
        fw.read_audio(file)


def test_what_cannot_seek_is_refused():
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read, "rb") as file, pytest.raises(AudioError, match="cannot seek, .*BytesIO"):
        fw.read_audio(file)


@pytest.mark.parametrize("rate", [0, -1, 16000.0, "fast", float("nan")])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="^sample_rate must be a whole number of Hz, not "):
        fw.read_audio(io.BytesIO(encode_audio(tone(), RATE)), rate)


def test_a_file_object_gets_the_bytes_of_a_file(tmp_path):
    buffer = io.BytesIO()
    fw.write_audio(buffer, tone(), RATE, "PCM_24")
    assert buffer.getvalue() == encode_audio(tone(), RATE, "WAV", "PCM_24")
    with open(tmp_path / "a.flac", "wb") as file:
        fw.write_audio(file, tone(), RATE)
    assert (tmp_path / "a.flac").read_bytes() == encode_audio(tone(), RATE, "FLAC")
    with pytest.raises(AudioError, match="^the file object: sample 1 is nan"):
        fw.write_audio(buffer, np.array([0, np.nan]), RATE)
    with pytest.raises(TypeError, match="^file must be a path, or an object that takes bytes"):
        fw.write_audio(7, tone(), RATE)


@pytest.mark.parametrize("slow", [0, 0.2])
def test_ctrl_c_while_reading_is_neither_lost_nor_printed(capfd, slow):
    """It comes while libsndfile calls back for bytes, and goes on doing so for a while."""

    class Interrupted(Foreign):
        sent = False

        def read(self, n=-1):
            if self.bytes.tell() > 1000 and not self.sent:
                self.sent = True
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(slow)
            return super().read(n)

    with pytest.raises(KeyboardInterrupt):
        fw.read_audio(Interrupted(encode_audio(tone(), RATE, "FLAC")))
    assert capfd.readouterr() == ("", "")


class Raw(io.RawIOBase):
    """A file without a buffer, that takes a few bytes at a time and at last no more."""

    def __init__(self, takes: int, at_last: int | None = None):
        self.taken, self.takes, self.at_last = b"", takes, at_last

    def write(self, data):
        part = bytes(data[: min(1000, self.takes - len(self.taken))])
        self.taken += part
        return len(part) or self.at_last


def test_an_object_that_takes_few_bytes_at_a_time_gets_them_all():
    file = Raw(10**9)
    fw.write_audio(file, tone(), RATE)
    assert file.taken == encode_audio(tone(), RATE)


@pytest.mark.parametrize("at_last", [None, 0])
def test_an_object_that_takes_no_more_bytes_is_an_error(at_last):
    with pytest.raises(
        BlockingIOError, match="the file object: took no more bytes, 17044 are left"
    ):
        fw.write_audio(Raw(15000, at_last), tone(), RATE)


def test_an_object_that_does_not_count_gets_all_bytes_once():
    class Plain:
        taken = ()

        def write(self, data):
            self.taken += (data,)

    file = Plain()
    fw.write_audio(file, tone(), RATE)
    assert file.taken == (encode_audio(tone(), RATE),)


def test_the_name_of_an_object_decides_as_that_of_a_path(tmp_path):
    path = tmp_path / "a.flac"
    with open(os.fsencode(path), "wb") as file:
        fw.write_audio(file, tone(), RATE)
    assert path.read_bytes() == encode_audio(tone(), RATE, "FLAC")
    with (
        open(tmp_path / "a.ogg", "wb") as file,
        pytest.raises(AudioError, match=r"a\.ogg: the name must end in \.wav or \.flac$"),
    ):
        fw.write_audio(file, tone(), RATE)
    with open(tmp_path / "a.part", "wb") as file:
        fw.write_audio(file, tone(), RATE)


def test_a_memory_map_and_an_object_with_little_are_read(tmp_path):
    class Little:
        def __init__(self, data):
            self.read, self.seek = (inner := io.BytesIO(data)).read, inner.seek

    path = record(tmp_path / "a.wav")
    expected, _ = read_audio(path)
    np.testing.assert_array_equal(fw.read_audio(Little(path.read_bytes()))[0], expected)
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        np.testing.assert_array_equal(fw.read_audio(mapped)[0], expected)


def test_an_object_without_bytes_yet_is_an_os_error():
    class Late(Foreign):
        def read(self, n=-1):
            return super().read(n) if self.bytes.tell() < 1000 else None

    with pytest.raises(BlockingIOError, match="has no bytes yet"):
        fw.read_audio(Late(encode_audio(tone(), RATE)))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_request_to_end_within_an_object_is_neither_lost_nor_printed(kind, capfd):
    with pytest.raises(kind):
        fw.read_audio(Foreign(encode_audio(tone(), RATE, "FLAC"), kind()))
    assert capfd.readouterr() == ("", "")
