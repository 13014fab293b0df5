"""Compressed files that are damaged, cut off, or of another model: one error, or what is left."""

import os
import random
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from engines import model_of
from mutated_bytes import mutant
from networks import NETWORKS, PRECISIONS, random_codes, small_spec

import fastwavenet as fw
from fastwavenet import compressed_file
from fastwavenet.compressed_file import HEAD_BYTES, HEADER_BYTES, MAGIC, VERSION
from fastwavenet.ends import MuLawCodec

SPEC = NETWORKS["width_1"]
MODEL = model_of(SPEC)
BLOCK = 30
CODES = random_codes(SPEC, 100, 1).astype(np.uint8)
DATA = fw.compress(MODEL, CODES, block=BLOCK)
MUTANTS = int(os.environ.get("FASTWAVENET_MUTANTS", "1000"))


def refused(data: bytes) -> str:
    with pytest.raises(fw.CompressionError) as caught:
        fw.decompress(MODEL, data, codes=True)
    return str(caught.value)


def places(data: bytes) -> list[int]:
    """Where the heads of the blocks and of the end begin."""
    found = [HEADER_BYTES]
    while int.from_bytes(data[found[-1] + 4 : found[-1] + 8], "little") > 0:  # samples
        size = int.from_bytes(data[found[-1] + 8 : found[-1] + 12], "little")
        found.append(found[-1] + HEAD_BYTES + size)
    return found


PLACES = places(DATA)


def sealed(data: bytes) -> bytes:
    return data + struct.pack("<I", zlib.crc32(data))


# ---- every byte --------------------------------------------------------------------------------


def test_a_change_of_any_byte_is_one_error():
    for at in range(len(DATA)):
        for bit in (1, 16, 128):
            changed = bytearray(DATA)
            changed[at] ^= bit
            refused(bytes(changed))


def test_a_file_that_is_cut_off_anywhere_is_one_error():
    for size in range(len(DATA)):
        refused(DATA[:size])


def test_bytes_behind_the_end_are_an_error():
    for more in (b"\0", DATA[-HEAD_BYTES:], DATA):
        refused(DATA + more)


@pytest.mark.parametrize("count", [MUTANTS, pytest.param(100_000, marks=pytest.mark.slow)])
def test_random_damage_is_an_error_or_none(count):
    chance = random.Random(count)
    for _ in range(count):
        data = mutant(DATA, chance)
        try:
            found = fw.decompress(MODEL, data, codes=True)
        except fw.CompressionError:
            continue
        assert np.array_equal(found, CODES)
        assert data == DATA


def test_damage_outside_of_a_part_does_not_matter_to_it():
    for at in range(PLACES[1], len(DATA)):
        changed = bytearray(DATA)
        changed[at] ^= 1
        is_head = any(place <= at < place + HEAD_BYTES for place in PLACES)
        given = {"codes": True, "first": 3, "n_samples": 27}
        if is_head:  # heads lead to the number of samples
            with pytest.raises(fw.CompressionError):
                fw.decompress(MODEL, bytes(changed), **given)
        else:
            found = fw.decompress(MODEL, bytes(changed), **given)
            assert np.array_equal(found, CODES[3:30])


def test_damage_within_a_part_is_one_error():
    for at in range(PLACES[1] + HEAD_BYTES, PLACES[2]):
        changed = bytearray(DATA)
        changed[at] ^= 1
        with pytest.raises(fw.CompressionError, match="block 1 has a wrong checksum"):
            fw.decompress(MODEL, bytes(changed), first=35, n_samples=1)


def test_nothing_is_computed_for_damaged_bytes(monkeypatch):
    monkeypatch.setattr("fastwavenet.compression.BlockCoder.decode", None)
    changed = bytearray(DATA)
    changed[PLACES[0] + HEAD_BYTES] ^= 1
    refused(bytes(changed))


@pytest.mark.parametrize("given", [None, "FWZ", 7, np.zeros(3)])
def test_only_bytes_are_decompressed(given):
    with pytest.raises(TypeError, match="data must be bytes"):
        fw.decompress(MODEL, given)


def test_bytes_of_other_kinds_are_taken():
    for kind in (bytes, bytearray, memoryview):
        assert np.array_equal(fw.decompress(MODEL, kind(DATA), codes=True), CODES)


# ---- another model, precision or version -------------------------------------------------------


def test_another_precision_is_named():
    model = model_of(SPEC, precision="int8")
    with pytest.raises(fw.CompressionError, match=r"in float32, but .* in int8: load it with"):
        fw.decompress(model, DATA)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (model_of(SPEC, seed=2), "another model: its fingerprint"),
        (model_of(replace(SPEC, sample_rate=8001)), "sample_rate 8000, not 8001"),
        (model_of(small_spec(levels=17)), "levels 16, not 17"),
        (
            model_of(replace(SPEC, codec=replace(MuLawCodec.symmetric(16), encode_offset=0.4))),
            "the same weights, but another codec",
        ),
    ],
    ids=["weights", "rate", "levels", "codec"],
)
def test_another_model_is_refused(model, message):
    with pytest.raises(fw.CompressionError, match=message):
        fw.decompress(model, DATA)


def header(**changes) -> bytes:
    names = ["version", "mode", "precision", "rate", "block", "levels", "fingerprint", "rules"]
    values = dict(zip(names, struct.unpack("<HBBIIIQI", DATA[8:36]), strict=True)) | changes
    return sealed(MAGIC + struct.pack("<HBBIIIQI", *values.values()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": VERSION + 1}, "format version 2, expected 1"),
        ({"version": 0}, "format version 0, expected 1"),
        ({"mode": 0}, "header is damaged"),
        ({"mode": 3}, "header is damaged"),
        ({"precision": len(PRECISIONS)}, "header is damaged"),
        ({"block": 0}, "blocks have 0 samples"),
        ({"block": 2**20 + 1}, "blocks have 1048577 samples"),
        ({"block": 2**32 - 1}, "blocks have 4294967295 samples"),
    ],
)
def test_headers_with_valid_checksums_are_checked(changes, message):
    assert header() == DATA[:HEADER_BYTES]
    assert message in refused(header(**changes) + DATA[HEADER_BYTES:])


def test_other_files_are_named_as_such():
    for data in (b"", b"RIFF", MAGIC[:-1] + b"\r", DATA.replace(b"\r\n", b"\n")):
        assert "not a compressed file" in refused(data)


# ---- forged heads with valid checksums ---------------------------------------------------------


def head(number: int, samples: int, size: int, check: int = 0, crc: int = 0) -> bytes:
    return sealed(struct.pack("<5I", number, samples, size, check, crc))


@pytest.mark.parametrize(
    "body",
    [
        head(0, 2**32 - 1, 1),
        head(0, BLOCK, 0),
        head(0, BLOCK, 2**32 - 1),
        head(0, BLOCK, 8 * BLOCK + 3),
        head(1, BLOCK, 1),
        head(0, BLOCK, 3, 0, zlib.crc32(b"abc")) + b"abc",
        head(0, BLOCK, 3, 0, zlib.crc32(b"abc")) + b"abc" + head(1, 0, BLOCK),
        head(1, 0, BLOCK),
        head(0, 0, 1),
        head(0, 0, 0) + b"x",
        head(2**32 - 1, 0, 1),
    ],
)
def test_absurd_heads_are_one_error(body):
    refused(DATA[:HEADER_BYTES] + body)


def test_a_block_of_other_samples_than_its_checksum_is_refused_and_lost():
    """Whole bytes, which an encoder of another network may have written."""
    block, number = DATA[PLACES[1] : PLACES[2]], struct.unpack("<5I", DATA[PLACES[1] :][:20])
    forged = sealed(struct.pack("<5I", *number[:3], number[3] ^ 1, number[4])) + block[HEAD_BYTES:]
    data = DATA[: PLACES[1]] + forged + DATA[PLACES[2] :]
    assert "block 1 gives other samples" in refused(data)
    with pytest.raises(fw.CompressionError, match="block 1 gives other samples"):
        fw.decompress(MODEL, data, first=30, n_samples=1)
    assert fw.salvage(MODEL, data).lost == [(30, 60)]


def test_a_file_of_no_samples_is_a_header_and_an_end():
    data = fw.compress(MODEL, CODES[:0])
    assert len(data) == HEADER_BYTES + HEAD_BYTES
    assert fw.decompress(MODEL, data).shape == (0,)


def test_blocks_in_another_order_or_from_another_file_are_refused():
    first, second = DATA[PLACES[0] : PLACES[1]], DATA[PLACES[1] : PLACES[2]]
    assert "expected block 0" in refused(DATA[: PLACES[0]] + second + first + DATA[PLACES[2] :])
    refused(DATA[: PLACES[1]] + DATA[PLACES[2] :])
    other = fw.compress(MODEL, CODES[::-1].copy(), block=BLOCK)
    exchanged = other[:HEADER_BYTES] + first + other[places(other)[1] :]
    assert "the samples have a wrong checksum" in refused(exchanged)


# ---- salvage -----------------------------------------------------------------------------------


def salvaged(data: bytes) -> fw.Salvaged:
    found = fw.salvage(MODEL, data, codes=True)
    known = np.ones(len(found.samples), bool)
    for first, end in found.lost:
        known[first:end] = False
    length = min(len(known), len(CODES))
    assert np.array_equal(found.samples[:length][known[:length]], CODES[:length][known[:length]])
    assert (found.samples[~known] == SPEC.start.code).all()
    return found


def test_a_whole_file_has_nothing_to_salvage():
    found = salvaged(DATA)
    assert np.array_equal(found.samples, CODES)
    assert (found.lost, found.cut_off) == ([], False)


def test_any_changed_byte_loses_one_block_at_most():
    for at in range(HEADER_BYTES, len(DATA)):
        changed = bytearray(DATA)
        changed[at] ^= 0x10
        found, block = salvaged(bytes(changed)), sum(place <= at for place in PLACES) - 1
        if block == len(PLACES) - 1:
            assert (len(found.samples), found.lost, found.cut_off) == (100, [], True)
        else:
            assert found.lost == [(BLOCK * block, min(BLOCK * (block + 1), 100))]
            assert (len(found.samples), found.cut_off) == (100, False)


def test_a_file_that_is_cut_off_keeps_its_whole_blocks():
    for size in range(HEADER_BYTES, len(DATA)):
        found = salvaged(DATA[:size])
        whole = sum(place <= size for place in PLACES[1:])
        assert found.cut_off and not [lost for lost in found.lost if lost[1] <= BLOCK * whole]
        assert len(found.samples) >= min(BLOCK * whole, 100)


def test_missing_and_added_bytes_lose_the_block_in_which_they_are():
    for number, at in enumerate(PLACES[:-1]):
        for data in (DATA[: at + 5] + DATA[at + 6 :], DATA[: at + 30] + b"\r" + DATA[at + 30 :]):
            found = salvaged(data)
            assert found.lost == [(BLOCK * number, min(BLOCK * (number + 1), 100))]


def test_runs_of_lost_blocks_are_one():
    changed = bytearray(DATA)
    changed[PLACES[1] : PLACES[3]] = bytes(PLACES[3] - PLACES[1])
    assert salvaged(bytes(changed)).lost == [(30, 90)]


def test_a_changed_byte_of_the_header_is_corrected():
    chance = random.Random(7)
    for at in range(HEADER_BYTES):
        changed = bytearray(DATA)
        changed[at] ^= chance.randint(1, 255)
        found = salvaged(bytes(changed))
        assert np.array_equal(found.samples, CODES) and not found.lost and not found.cut_off


def test_two_changed_bytes_of_the_header_cannot_be_salvaged():
    for at in range(HEADER_BYTES - 1):
        changed = bytearray(DATA)
        changed[at] ^= 1
        changed[at + 1] ^= 1
        with pytest.raises(fw.CompressionError):
            fw.salvage(MODEL, bytes(changed))


def test_random_damage_is_salvaged(monkeypatch):
    monkeypatch.setattr(compressed_file, "SCANNED", 64)  # heads lie across windows
    chance = random.Random(5)
    for _ in range(300):
        data = DATA[:HEADER_BYTES] + mutant(DATA[HEADER_BYTES:], chance)
        salvaged(data)


def test_a_forged_number_does_not_become_hours_of_silence():
    forged = head(2**31, BLOCK, 3, 0, zlib.crc32(b"abc")) + b"abc"
    found = salvaged(DATA[: PLACES[1]] + forged)
    assert found.cut_off and len(found.samples) <= 2 * BLOCK


@pytest.mark.parametrize("step", [1, 5])
@pytest.mark.parametrize("size", [8 * BLOCK, 1])
def test_forged_heads_become_a_bounded_length_of_silence(monkeypatch, step, size):
    """Each of them a block that seems to be damaged, or numbers of blocks between that are lost."""
    monkeypatch.setattr(compressed_file, "MORE_LOST", 20 * BLOCK)
    monkeypatch.setattr(compressed_file, "LOST_SAMPLES", 0)
    monkeypatch.setattr(compressed_file, "MOST_SEARCHED", 10)
    forged = b"".join(head(step * n, BLOCK, size) + b"x" for n in range(200))
    found = fw.salvage(MODEL, DATA[:HEADER_BYTES] + forged)
    assert found.cut_off and found.lost == [(0, len(found.samples))]
    assert 0 < len(found.samples) <= 20 * BLOCK


def test_searching_among_forged_heads_ends(monkeypatch):
    monkeypatch.setattr(compressed_file, "MOST_SEARCHED", 10)
    forged = b"".join(head(n, BLOCK, 8 * BLOCK) for n in range(2000))
    found = fw.salvage(MODEL, DATA[:HEADER_BYTES] + forged)
    assert found.cut_off and len(found.lost) == 1
