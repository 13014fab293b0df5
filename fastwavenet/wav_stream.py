"""WAV files in pieces, for sound that is written while the rest of it is generated.

Header, blocks and tail join to the bytes of `encode_wav`, which are those of `encode_audio`, except
that a FLOAT file has no PEAK chunk: that holds the loudest sample, which is unknown at the start.
"""

from __future__ import annotations

import struct

import numpy as np

from .audio import SUBTYPES, check_subtype, encoded, stored_samples

TAGS = {"FLOAT": 3, "ULAW": 7}  # of the format in a WAV header; the others are PCM, 1


def wav_header(n: int, sample_rate: int, subtype: str) -> bytes:
    """Everything before the samples of a mono file of n samples.

    Raises AudioError for a subtype that a WAV cannot hold.
    """
    check_subtype("WAV", subtype)
    width, tag = SUBTYPES["WAV"][subtype], TAGS.get(subtype, 1)
    form = struct.pack("<HHIIHH", tag, 1, sample_rate, sample_rate * width, width, 8 * width)
    chunks = _chunk(b"fmt ", form + (b"\0\0" if subtype == "ULAW" else b""))
    if tag != 1:
        chunks += _chunk(b"fact", struct.pack("<I", n))
    chunks += b"data" + struct.pack("<I", n * width)
    size = 4 + len(chunks) + n * width + len(wav_tail(n, subtype))
    return b"RIFF" + struct.pack("<I", size) + b"WAVE" + chunks


def wav_block(audio: np.ndarray, subtype: str) -> bytes:
    """The bytes of samples, float (n,), rounded and clipped as `encode_audio` does.

    Raises AudioError for values that are not finite.
    """
    samples = stored_samples(audio, subtype)
    return encoded(samples, 1, format="RAW", subtype=subtype, endian="LITTLE").getvalue()


def wav_tail(n: int, subtype: str) -> bytes:
    """Everything behind n samples: a chunk has an even length."""
    return b"\0" * (n * SUBTYPES["WAV"][subtype] % 2)


def encode_wav(audio: np.ndarray, sample_rate: int, subtype: str = "PCM_16") -> bytes:
    """The bytes of a mono WAV file, audio float (n,); those of a stream of the same samples."""
    n = len(audio)
    header = wav_header(n, sample_rate, subtype)
    return header + wav_block(audio, subtype) + wav_tail(n, subtype)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body
