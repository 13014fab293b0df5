"""A SoundFont 2 file of one sample, for a synthesizer."""

import struct

import numpy as np


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def listed(kind: bytes, *chunks: bytes) -> bytes:
    return chunk(b"LIST", kind + b"".join(chunks))


def sound_font(sample: np.ndarray, rate: int, key: int, program: int) -> bytes:
    """A preset that loops `sample`, float32 (n,), whose pitch is that of a MIDI key.

    SoundFont Technical Specification 2.04, E-mu Systems (2006), sections 5 to 7: each list ends
    with a record of its own, and 46 zeros follow a sample.
    """
    n = len(sample)
    codes = np.rint(32767 * sample).astype("<i2")
    sample_id, sample_modes, instrument = 53, 54, 41  # generators
    records = {
        b"phdr": struct.pack("<20sHHHIII", b"tone", program, 0, 0, 0, 0, 0)
        + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0),
        b"pbag": struct.pack("<4H", 0, 0, 1, 0),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<4H", instrument, 0, 0, 0),
        b"inst": struct.pack("<20sH", b"tone", 0) + struct.pack("<20sH", b"EOI", 1),
        b"ibag": struct.pack("<4H", 0, 0, 2, 0),
        b"imod": bytes(10),
        b"igen": struct.pack("<6H", sample_modes, 1, sample_id, 0, 0, 0),
        b"shdr": struct.pack("<20s5IBbHH", b"tone", 0, n, 0, n, rate, key, 0, 0, 1)
        + struct.pack("<20s5IBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    info = listed(b"INFO", chunk(b"ifil", struct.pack("<HH", 2, 4)), chunk(b"INAM", b"tone\0\0"))
    data = listed(b"sdta", chunk(b"smpl", codes.tobytes() + bytes(2 * 46)))
    presets = listed(b"pdta", *(chunk(name, record) for name, record in records.items()))
    return chunk(b"RIFF", b"sfbk" + info + data + presets)
