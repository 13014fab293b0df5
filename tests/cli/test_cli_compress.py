"""fastwavenet compress and decompress: files, folders, damage."""

import json
import re
import signal
import tracemalloc

import numpy as np
import pytest
import soundfile
from networks import random_weights, small_spec
from recordings import record, tone

import fastwavenet as fw
from fastwavenet import audio_reading, cli, modelfile
from fastwavenet.block_coding import BlockCoder
from fastwavenet.cli import decompress
from fastwavenet.ends import MuLawCodec

SPEC = small_spec(levels=256)


@pytest.fixture
def model(tmp_path):
    modelfile.save(tmp_path / "m.safetensors", SPEC, random_weights(SPEC, 1))
    return tmp_path / "m.safetensors"


@pytest.fixture
def recording(tmp_path):
    pcm = (np.random.default_rng(1).standard_normal(900) * 5000).astype(np.int16)
    soundfile.write(tmp_path / "in.wav", pcm, 8000, "PCM_16")
    return tmp_path / "in.wav"


def pcm_of(path) -> np.ndarray:
    return soundfile.read(path, dtype="int16")[0]


def test_a_recording_comes_back_with_the_bytes_of_the_library(run, model, recording, tmp_path):
    packed, copy = tmp_path / "in.fwz", tmp_path / "copy.wav"
    code, said, errors = run("compress", recording, "-m", model, "-o", packed, "--block", "0.05")
    assert (code, errors) == (0, "")
    assert said.splitlines()[-1].startswith(f"900 samples in {packed.stat().st_size:,} bytes")
    assert packed.read_bytes() == fw.compress(fw.load(model), pcm_of(recording), block=400)
    code, said, errors = run("decompress", packed, "-m", model, "-o", copy)
    assert (code, errors) == (0, "")
    assert copy.read_bytes() == recording.read_bytes()
    assert re.fullmatch(r"900 samples in 1 file, [\d,.]+ x real time", said.splitlines()[-1])


def test_flac_and_other_files_of_16_bits_come_back(run, model, recording, tmp_path):
    for name, subtype in (("a.flac", "PCM_16"), ("b.wav", "PCM_24"), ("c.wav", "FLOAT")):
        soundfile.write(tmp_path / name, pcm_of(recording) / 2**15, 8000, subtype)
        assert not run("compress", tmp_path / name, "-m", model, "-o", tmp_path / "x.fwz")[0]
        assert not run("decompress", tmp_path / "x.fwz", "-m", model, "-o", tmp_path / "x.wav")[0]
        assert np.array_equal(pcm_of(tmp_path / "x.wav"), pcm_of(recording))


@pytest.mark.parametrize("pre_emphasis", [0.0, 0.85])
def test_codes_come_back_as_their_sound(run, tmp_path, recording, pre_emphasis):
    codec = MuLawCodec(255, 255, 255, pre_emphasis=pre_emphasis)
    spec, model = small_spec(levels=256, codec=codec), tmp_path / "m.safetensors"
    modelfile.save(model, spec, random_weights(spec, 1))
    packed, copy = tmp_path / "a.fwz", tmp_path / "a.wav"
    given = ("--mode", "codes", "--block", "0.03")
    assert not run("compress", recording, "-m", model, "-o", packed, *given)[0]
    audio = soundfile.read(recording, dtype="float32")[0]
    assert packed.read_bytes() == fw.compress(fw.load(model), audio, block=240)
    assert not run("decompress", packed, "-m", model, "-o", copy)[0]
    sound = fw.decompress(fw.load(model), packed.read_bytes())
    assert np.array_equal(pcm_of(copy), np.clip(np.rint(sound * 32768), -32768, 32767))


def test_other_rates_and_channels_are_converted_with_codes_only(run, model, tmp_path):
    record(tmp_path / "a.wav", tone(2000), rate=16000)
    given = ("compress", tmp_path / "a.wav", "-m", model, "-o", tmp_path / "a.fwz")
    code, _, errors = run(*given)
    assert code == 2 and "16000 Hz, expected 8000 Hz" in errors
    code, _, errors = run(*given, "--convert")
    assert code == 2 and "--mode codes" in errors
    assert not (tmp_path / "a.fwz").exists()
    assert run(*given, "--convert", "--mode", "codes")[0] == 0
    found = fw.decompress(fw.load(model), (tmp_path / "a.fwz").read_bytes())
    assert len(found) == 1000


def test_samples_of_more_than_16_bits_are_refused_where_they_are(run, model, tmp_path):
    audio = np.zeros(700)
    audio[600] = 2.0**-20
    soundfile.write(tmp_path / "a.wav", audio, 8000, "FLOAT")
    given = ("compress", tmp_path / "a.wav", "-m", model, "-o", tmp_path / "a.fwz")
    code, _, errors = run(*given)
    assert code == 2 and "sample 600 is" in errors and "--mode codes" in errors
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav", "m.safetensors"]


def test_the_precision_of_the_file_is_that_of_the_model(run, model, recording, tmp_path):
    for precision in ("int8", "bfloat16", "float32"):
        packed, copy = tmp_path / "a.fwz", tmp_path / "a.wav"
        given = ("-m", model, "-o", packed, "--precision", precision, "--json")
        _, said, _ = run("compress", recording, *given)
        assert json.loads(said)["precision"] == precision
        assert run("decompress", packed, "-m", model, "-o", copy)[0] == 0
        assert copy.read_bytes() == recording.read_bytes()


def test_a_folder_is_compressed_and_comes_back_file_by_file(run, model, recording, tmp_path):
    for name in ("in/a.wav", "in/deeper/b.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(recording.read_bytes())
    packed = tmp_path / "packed"
    code, said, _ = run("compress", tmp_path / "in", "-m", model, "-o", packed, "--json")
    assert code == 0 and len(json.loads(said)["files"]) == 2
    assert run("decompress", packed, "-m", model, "-o", tmp_path / "out")[0] == 0
    for name in ("a.wav", "deeper/b.wav"):
        assert (tmp_path / "out" / name).read_bytes() == recording.read_bytes()


@pytest.mark.parametrize("batch", [1, 3, 4, 16])
def test_blocks_of_short_files_of_a_folder_are_computed_in_step(
    run, model, tmp_path, monkeypatch, batch
):
    """Files of 1, 2, 3, 1 and 1 blocks and of 3 samples, each as it is alone."""
    (tmp_path / "in").mkdir()
    pcm = np.arange(900, dtype=np.int16) * 7
    for number, length in enumerate((80, 160, 170, 80, 79, 3)):
        soundfile.write(tmp_path / f"in/{number}.wav", pcm[:length], 8000, "PCM_16")
    sizes = {"encode": [], "decode": []}
    for name, each in sizes.items():
        call = getattr(BlockCoder, name)

        def counted(coder, group, call=call, each=each):
            each.append(len(group))
            return call(coder, group)

        monkeypatch.setattr(BlockCoder, name, counted)
    given = ("-m", model, "--batch", batch)
    packed, out = tmp_path / "packed", tmp_path / "out"
    assert not run("compress", tmp_path / "in", *given, "-o", packed, "--block", "0.01")[0]
    assert not run("decompress", packed, *given, "-o", out)[0]
    full, rest = divmod(9, batch)
    assert sizes == dict.fromkeys(sizes, [batch] * full + [rest] * (rest > 0))
    for file in (tmp_path / "in").iterdir():
        alone = fw.compress(fw.load(model), pcm_of(file), block=80)
        assert (packed / f"{file.stem}.fwz").read_bytes() == alone
        assert (out / file.name).read_bytes() == file.read_bytes()


def test_an_error_in_a_file_of_a_folder_keeps_those_before_it(run, model, recording, tmp_path):
    """All of them would fit in one group of blocks."""
    (tmp_path / "in").mkdir()
    for name in "abc":
        (tmp_path / f"in/{name}.wav").write_bytes(recording.read_bytes())
    given = ("-m", model, "-o", tmp_path / "packed")
    assert not run("compress", tmp_path / "in", *given)[0]
    data = bytearray((tmp_path / "packed/b.fwz").read_bytes())
    data[-30] ^= 1
    (tmp_path / "packed/b.fwz").write_bytes(data)
    audio = pcm_of(recording) / 2**15 + 2.0**-20
    soundfile.write(tmp_path / "in/b.wav", audio, 8000, "FLOAT")
    for line, wrong in (
        (("compress", tmp_path / "in", "-m", model, "-o", tmp_path / "again"), "in/b.wav"),
        (("decompress", tmp_path / "packed", "-m", model, "-o", tmp_path / "out"), "packed/b.fwz"),
    ):
        code, _, errors = run(*line)
        assert code == 2 and str(tmp_path / wrong) in errors
    assert [file.name for file in (tmp_path / "again").iterdir()] == ["a.fwz"]
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["a.wav"]
    assert (tmp_path / "out/a.wav").read_bytes() == recording.read_bytes()


def test_files_of_one_precision_load_the_model_once(run, model, recording, tmp_path, monkeypatch):
    folder, copies, loaded = tmp_path / "packed", tmp_path / "copies", []
    folder.mkdir()
    for name, precision in (("a", "int8"), ("b", "float32"), ("c", "int8")):
        given = ("-m", model, "-o", folder / f"{name}.fwz", "--precision", precision)
        assert not run("compress", recording, *given)[0]
    load = decompress.load_model
    monkeypatch.setattr(
        decompress, "load_model", lambda path, of: loaded.append(of) or load(path, of)
    )
    assert not run("decompress", folder, "-m", model, "-o", copies)[0]
    assert loaded == ["int8", "float32"]
    assert {copy.read_bytes() for copy in copies.iterdir()} == {recording.read_bytes()}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_files_that_are_whole(
    run, model, recording, tmp_path, monkeypatch, number, threads
):
    given = ("-m", model, "--block", "0.01", "--batch", "1", "--threads", threads)
    assert not run("compress", recording, *given[:4], "-o", tmp_path / "a.fwz")[0]
    (tmp_path / "old.fwz").write_text("older")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for name, line in {
        "encode": ("compress", recording, *given, "-o", tmp_path / "old.fwz"),
        "decode": ("decompress", tmp_path / "a.fwz", *given[:2], "-o", tmp_path / "b.wav"),
    }.items():
        call, calls = getattr(BlockCoder, name), []

        def interrupted(coder, *group, call=call, calls=calls):
            calls.append(group)
            if len(calls) == 2:
                signal.raise_signal(number)
            return call(coder, *group)

        monkeypatch.setattr(BlockCoder, name, interrupted)
        line += ("--batch", "1", "--threads", threads)
        code, _, errors = run(*line)
        assert (code, errors) == (128 + number, "fastwavenet: interrupted\n")
        assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_two_files_of_a_folder_that_would_get_one_name_are_refused(run, model, recording, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / "in" / name, pcm_of(recording), 8000)
    code, _, errors = run("compress", tmp_path / "in", "-m", model, "-o", tmp_path / "packed")
    assert code == 2 and "would both become" in errors and not (tmp_path / "packed").exists()


@pytest.mark.parametrize("to", ["-", "/dev/stdout"])
@pytest.mark.parametrize("given", [(), ("--json",), ("--quiet",)])
def test_standard_output_has_the_bytes_of_the_file_and_no_others(
    model, recording, tmp_path, capfdbinary, to, given
):
    packed = tmp_path / "a.fwz"
    packed.write_bytes(fw.compress(fw.load(model), pcm_of(recording)))
    for line, expected in {
        ("compress", recording): packed.read_bytes(),
        ("decompress", packed): recording.read_bytes(),
    }.items():
        capfdbinary.readouterr()
        words = map(str, (*line, "-m", model, "-o", to, *given))
        assert cli.main(list(words)) == 0
        out, errors = capfdbinary.readouterr()
        assert out == expected
        assert (b"900" in errors) == (given != ("--quiet",))


def test_no_output_replaces_the_recording_or_the_model(run, model, recording, tmp_path):
    for suffix, command in (".fwz", "compress"), (".wav", "decompress"):
        for file in (recording, model):
            before, link = file.read_bytes(), tmp_path / f"link{suffix}"
            link.unlink(missing_ok=True)
            link.hardlink_to(file)
            code, _, errors = run(command, recording, "-m", model, "-o", link)
            assert code == 2 and "is read and would be replaced" in errors
            assert file.read_bytes() == before


def test_a_decompressed_file_is_a_wav_file(run, model, recording, tmp_path):
    run("compress", recording, "-m", model, "-o", tmp_path / "a.fwz")
    code, _, errors = run("decompress", tmp_path / "a.fwz", "-m", model, "-o", tmp_path / "a.flac")
    assert code == 2 and "must end in .wav" in errors and not (tmp_path / "a.flac").exists()


def test_damage_leaves_nothing_under_the_name_and_salvage_what_is_whole(
    run, model, recording, tmp_path
):
    packed, copy = tmp_path / "a.fwz", tmp_path / "a.wav"
    run("compress", recording, "-m", model, "-o", packed, "--block", "0.0125")
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 1
    packed.write_bytes(data)
    code, _, errors = run("decompress", packed, "-m", model, "-o", copy)
    assert code == 2 and len(errors.splitlines()) == 1
    assert errors.startswith(f"fastwavenet: error: {packed}: ") and "--salvage" in errors
    assert not copy.exists() and not list(tmp_path.glob(".*"))
    code, said, errors = run("decompress", packed, "-m", model, "-o", copy, "--salvage", "--json")
    ((first, end),) = json.loads(said)["files"][0]["lost"]
    assert code == 0 and end - first == 100 and f"lost {first / 8000:.3f} s" in errors
    found, expected = pcm_of(copy), pcm_of(recording)
    assert not found[first:end].any()
    found[first:end] = expected[first:end]
    assert np.array_equal(found, expected)


def test_an_older_output_outlives_an_error_in_the_last_block(run, model, recording, tmp_path):
    packed, copy = tmp_path / "a.fwz", tmp_path / "a.wav"
    run("compress", recording, "-m", model, "-o", packed, "--block", "0.01")
    data = bytearray(packed.read_bytes())
    data[-30] ^= 1  # in the last block's bytes, which are read after others were decoded
    packed.write_bytes(data)
    copy.write_text("older")
    code, _, _ = run("decompress", packed, "-m", model, "-o", copy, "--batch", "1")
    assert code == 2 and copy.read_text() == "older" and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("pre_emphasis", [0.0, 0.85])
def test_a_part_is_that_of_the_whole_file(run, tmp_path, recording, pre_emphasis):
    spec = small_spec(levels=256, codec=MuLawCodec(255, 255, 255, pre_emphasis=pre_emphasis))
    model, packed, copy = (tmp_path / name for name in ("m.safetensors", "a.fwz", "a.wav"))
    modelfile.save(model, spec, random_weights(spec, 1))
    given = ("--mode", "codes", "--block", "0.0125")
    assert not run("compress", recording, "-m", model, "-o", packed, *given)[0]
    run("decompress", packed, "-m", model, "-o", copy)
    whole = pcm_of(copy)
    for part, now in {
        ("--begin", "0.05"): slice(400, None),
        ("--seconds", "0.02"): slice(0, 160),
        ("--begin", "0.03", "--seconds", "0.01"): slice(240, 320),
        ("--begin", "0.1125"): slice(900, None),
        ("--seconds", "0"): slice(0, 0),
    }.items():
        code, said, _ = run("decompress", packed, "-m", model, "-o", copy, *part, "--json")
        assert code == 0 and np.array_equal(pcm_of(copy), whole[now])
        assert json.loads(said)["files"][0]["samples"] == len(whole[now])


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (("--begin", "0.2"), "--begin must be from 0 to the file's 0.1125 seconds, not 0.2"),
        (("--begin", "-1"), "--begin must be from 0"),
        (("--begin", "nan"), "--begin must be from 0"),
        (("--begin", "0.1", "--seconds", "0.1"), "--seconds must be from 0 to the 0.0125 seconds"),
        (("--begin", "0.1", "--salvage"), "--salvage gives whole files"),
        (("--start", "0.1"), "--begin"),
    ],
)
def test_a_part_that_is_not_there_is_one_error(run, model, recording, tmp_path, part, message):
    packed, copy = tmp_path / "a.fwz", tmp_path / "a.wav"
    run("compress", recording, "-m", model, "-o", packed)
    code, _, errors = run("decompress", packed, "-m", model, "-o", copy, *part)
    assert code == 2 and message in errors and len(errors.splitlines()) == 1
    assert not copy.exists()


def test_a_file_that_is_cut_off_is_said_to_be(run, model, recording, tmp_path):
    packed = tmp_path / "a.fwz"
    run("compress", recording, "-m", model, "-o", packed, "--block", "0.0125")
    packed.write_bytes(packed.read_bytes()[:-40])
    given = ("decompress", packed, "-m", model, "-o", tmp_path / "a.wav")
    assert "cut off" in run(*given)[2]
    code, _, errors = run(*given, "--salvage")
    assert code == 0 and "cut off; blocks behind" in errors


def test_another_model_or_file_is_one_error(run, model, recording, tmp_path):
    packed, other = tmp_path / "a.fwz", tmp_path / "other.safetensors"
    run("compress", recording, "-m", model, "-o", packed)
    modelfile.save(other, SPEC, random_weights(SPEC, 2))
    code, _, errors = run("decompress", packed, "-m", other, "-o", tmp_path / "a.wav")
    assert code == 2 and "compressed with another model" in errors
    code, _, errors = run("decompress", recording, "-m", model, "-o", tmp_path / "a.wav")
    assert code == 2 and "not a compressed file" in errors
    code, _, errors = run("decompress", tmp_path / "none", "-m", model, "-o", tmp_path / "a.wav")
    assert code == 2 and "No such file" in errors


def test_names_of_voices_are_known_and_conditioned_ones_are_refused(run, recording, tmp_path):
    given = ("compress", recording, "-m", "recorder-16k", "-o", tmp_path / "a.fwz")
    code, _, errors = run(*given)
    assert code == 2 and "the model has conditioning" in errors
    assert not (tmp_path / "a.fwz").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--block", "0"), "--block"),
        (("--block", "nan"), "--block"),
        (("--batch", "0"), "batch"),
        (("--threads", "0"), "threads"),
        (("--isa", "mmx"), "mmx"),
        (("--mode", "flac"), "pcm16"),
        (("-o", "no/such/folder.fwz"), "does not exist"),
        (("-o", "a.flac"), "must end in .fwz"),
    ],
)
def test_wrong_options_are_one_line(run, model, recording, tmp_path, given, message):
    code, _, errors = run("compress", recording, "-m", model, "-o", tmp_path / "a.fwz", *given)
    assert code == 2 and message in errors and len(errors.splitlines()) == 1
    assert not (tmp_path / "a.fwz").exists()


def test_memory_does_not_grow_with_the_recording(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr(audio_reading, "BLOCK", 2**14)
    peaks = []
    for n in (1_000, 50_000, 700_000):  # the first loads modules and fills caches
        soundfile.write(tmp_path / "a.wav", np.zeros(n, np.int16), 8000, "PCM_16")
        tracemalloc.start()
        packed, copy = tmp_path / "a.fwz", tmp_path / "b.wav"
        given = ("--batch", "4", "--block", "0.2")
        assert not run("compress", tmp_path / "a.wav", "-m", model, "-o", packed, *given)[0]
        assert not run("decompress", packed, "-m", model, "-o", copy, *given[:2])[0]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] + 650_000  # 1.3 MB more, had it been held in 16 bits
