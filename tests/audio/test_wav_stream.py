"""WAV in pieces: the bytes of the whole, for every subtype and every cut."""

import io
import os
import signal
import threading
import time

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from fastwavenet import audio as audio_module
from fastwavenet.audio import SUBTYPES, AudioError, encode_audio
from fastwavenet.wav_stream import encode_wav, wav_block, wav_header, wav_tail

every_subtype = pytest.mark.parametrize("subtype", SUBTYPES["WAV"])


def sound(n: int) -> np.ndarray:
    """float32 (n,), full scale and beyond included."""
    audio = np.random.default_rng(n).uniform(-1.2, 1.2, n).astype(np.float32)
    audio[:3] = [-1, 1, 0][:n]
    return audio


def without_peak(wav: bytes) -> bytes:
    """A WAV file without its PEAK chunk."""
    at = wav.find(b"PEAK")
    if at < 0:
        return wav
    size = int.from_bytes(wav[4:8], "little") - 24
    return wav[:4] + size.to_bytes(4, "little") + wav[8:at] + wav[at + 24 :]


@every_subtype
@pytest.mark.parametrize("n", [1, 2, 3, 4095, 4096, 4097])
@pytest.mark.parametrize("rate", [1, 8000, 768000])
def test_a_file_has_the_bytes_of_encode_audio_but_no_peak_chunk(subtype, n, rate):
    expected = encode_audio(sound(n), rate, "WAV", subtype)
    assert encode_wav(sound(n), rate, subtype) == without_peak(expected)
    assert (b"PEAK" in expected) == (subtype == "FLOAT")


@every_subtype
@settings(max_examples=30)
@given(sizes=st.lists(st.integers(0, 70), min_size=1, max_size=9))
def test_blocks_of_any_size_join_to_the_file(subtype, sizes):
    n, cuts = sum(sizes), np.cumsum(sizes)[:-1]
    pieces = [wav_header(n, 8000, subtype)]
    pieces += [wav_block(part, subtype) for part in np.split(sound(n), cuts)]
    pieces.append(wav_tail(n, subtype))
    assert b"".join(pieces) == encode_wav(sound(n), 8000, subtype)


@every_subtype
def test_libsndfile_reads_as_many_samples_as_the_header_states(subtype):
    with soundfile.SoundFile(io.BytesIO(encode_wav(sound(101), 8000, subtype))) as file:
        assert (file.frames, file.samplerate, file.channels) == (101, 8000, 1)
        assert (file.format, file.subtype) == ("WAV", subtype)


def test_a_subtype_that_a_wav_cannot_hold_is_refused():
    with pytest.raises(AudioError, match="subtype of a WAV must be one of PCM_16, .* not 'MP3'"):
        wav_header(1, 8000, "MP3")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(AudioError, match="sample 2 is .*, expected finite numbers"):
        wav_block(np.array([0, 1, value], np.float32), "PCM_16")


@pytest.mark.parametrize("encode", [lambda x: wav_block(x, "PCM_16"), lambda x: encode_audio(x, 1)])
def test_an_interruption_while_libsndfile_writes_is_raised_and_not_lost(monkeypatch, encode):
    """The signal comes in the callback; an exception there would be printed, and lost."""
    write = io.BytesIO.write
    interrupted = []

    class Interrupting(io.BytesIO):
        def write(self, data):
            if not interrupted:
                interrupted.append(threading.current_thread())
                os.kill(os.getpid(), signal.SIGINT)
            return write(self, data)

    monkeypatch.setattr(audio_module.io, "BytesIO", Interrupting)
    with pytest.raises(KeyboardInterrupt):
        encode(sound(100))
        time.sleep(1)  # until Python sees the signal
    assert interrupted[0] is not threading.main_thread()
