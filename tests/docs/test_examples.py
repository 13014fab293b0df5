"""examples/: the C program under sanitizers, with good and bad dumps; the Python files as used."""

import io
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from c_build import ROOT, SANITIZE, WARN, compiles, run
from engines import model_of, weights_of
from example_files import EXAMPLES, dump, example
from networks import NETWORKS, random_frames, small_spec

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.ends import FrameConditioning, MuLawCodec
from fastwavenet.spec import WaveNetSpec

SPEC = small_spec(levels=256, sample_rate=16000)


# ---- generate.c --------------------------------------------------------------------------------


# clang's sanitizers run the fuzzer of test_fuzz.py each time, and this program in `make test-slow`.
@pytest.fixture(scope="session", params=["gcc", pytest.param("clang", marks=pytest.mark.slow)])
def programs(request, compile_engine, tmp_path_factory) -> Path:
    """A folder with each C program."""
    compiler, folder = request.param, tmp_path_factory.mktemp(f"example_{request.param}")
    if not compiles(compiler, folder, *SANITIZE):
        pytest.skip(f"this machine has no {compiler} with sanitizers")
    objects = compile_engine(compiler, *SANITIZE)
    options = ["-std=c11", "-Wpedantic", *WARN, *SANITIZE, f"-I{ROOT / 'csrc'}"]
    for name in ("generate", "vocode"):
        run(compiler, *options, EXAMPLES / f"{name}.c", *objects.values(), "-lm",
            "-pthread", "-o", folder / name)  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def generate(programs) -> Path:
    return programs / "generate"


def call(program: Path, *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, timeout=300)


def sound(program: Path, data: bytes, folder: Path, n: int, seed: int, temperature: float):
    """int16 (n,) and the sample rate of the WAV file that the program writes."""
    (folder / "voice.dump").write_bytes(data)
    done = call(program, folder / "voice.dump", n, seed, temperature)
    assert (done.returncode, done.stderr) == (0, b"")
    return soundfile.read(io.BytesIO(done.stdout), dtype="int16")


def sixteen_bit(audio: np.ndarray) -> np.ndarray:
    return fw.mu_law_decode(fw.mu_law_encode(audio), dtype=np.int16)


def test_every_code_has_a_16_bit_sample_of_its_own():
    assert len(set(fw.mu_law_decode(np.arange(256), dtype=np.int16).tolist())) == 256


@pytest.mark.parametrize("temperature", [0, 0.7, 1])
@pytest.mark.parametrize("n", [0, 1, 1023, 1024, 1025])
def test_the_c_program_generates_what_python_generates(generate, tmp_path, n, temperature):
    audio, rate = sound(generate, dump(SPEC, weights_of(SPEC)), tmp_path, n, 7, temperature)
    expected = fw.generate(model_of(SPEC), n_samples=n, seed=7, temperature=temperature)
    assert rate == SPEC.sample_rate
    assert np.array_equal(audio, sixteen_bit(expected))
    assert n < 100 or len(np.unique(audio)) > 1


@pytest.mark.parametrize("name", ["kernels_mixed", "first_kernel_3", "no_bias", "one_layer"])
def test_the_c_program_reads_any_network(generate, tmp_path, name):
    spec, seed = NETWORKS[name], 2**53
    audio, rate = sound(generate, dump(spec, weights_of(spec)), tmp_path, 300, seed, 1)
    expected = fw.generate(model_of(spec), n_samples=300, seed=seed)
    codes = fw.mu_law_encode(expected, spec.levels)
    assert rate == spec.sample_rate
    assert np.array_equal(audio, fw.mu_law_decode(codes, spec.levels, dtype=np.int16))


def test_the_c_program_computes_in_the_precision_of_the_dump(generate, tmp_path, precision):
    data = dump(SPEC, weights_of(SPEC), precision)
    expected = fw.generate(model_of(SPEC, precision=precision), n_samples=300, seed=7)
    assert np.array_equal(sound(generate, data, tmp_path, 300, 7, 1)[0], sixteen_bit(expected))


def refusal(program: Path, data: bytes, folder: Path) -> str:
    """The line with which a dump is refused; a crash or a sanitizer's report is no refusal."""
    (folder / "bad.dump").write_bytes(data)
    done = call(program, folder / "bad.dump", 10, 1, 1)
    message = done.stderr.decode()
    assert done.returncode == 1, message
    assert message.startswith("generate: ") and message.count("\n") == 1
    return message


def test_a_truncated_dump_is_refused(generate, tmp_path):
    data = dump(SPEC, weights_of(SPEC))
    cuts = [*range(0, 60, 3), 7, 8, *np.linspace(60, len(data) - 1, 20).astype(int).tolist()]
    for cut in cuts:
        assert "dump: ends too soon" in refusal(generate, data[:cut], tmp_path)


def test_bytes_after_the_last_tensor_are_refused(generate, tmp_path):
    assert "goes on" in refusal(generate, dump(SPEC, weights_of(SPEC)) + b"\0", tmp_path)


HEAD = "sample_rate levels residual dilation_channels skip head first_kernel start_code"
CONDITIONING = "frame_channels frame_hop frame_linear speakers speaker_channels"
FIELDS = [
    *HEAD.split(),
    *CONDITIONING.split(),
    "precision",
    "layers",
    "tensors",
    "kernel",
    *(f"k{i}" for i in (1, 2)),
    "dilation",
]
FIRST_TENSOR = 8 + 4 * 22  # magic, sixteen numbers, three kernels, three dilations


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (f, v)
        for f in FIELDS
        for v in (0, 2**31, 2**32 - 1)
        if v or f not in ("start_code", "precision", *CONDITIONING.split())
    ],
)
def test_a_size_that_is_wrong_is_refused(generate, tmp_path, field, value):
    data = bytearray(dump(SPEC, weights_of(SPEC)))
    struct.pack_into("<I", data, 8 + 4 * FIELDS.index(field), value)
    refusal(generate, bytes(data), tmp_path)


@pytest.mark.parametrize("value", [0, 1, 5, 2**16, 2**30, 2**32 - 1])
@pytest.mark.parametrize("field", ["rank", "shape 0", "shape 1", "shape 2"])
def test_a_shape_that_is_wrong_is_refused(generate, tmp_path, field, value):
    data = bytearray(dump(SPEC, weights_of(SPEC)))
    at = FIRST_TENSOR + 64 + 4 * ["rank", "shape 0", "shape 1", "shape 2"].index(field)
    struct.pack_into("<I", data, at, value)
    refusal(generate, bytes(data), tmp_path)


@pytest.mark.parametrize("name", [b"x" * 64, b"first.weighs", b""])
def test_a_name_that_is_wrong_is_refused(generate, tmp_path, name):
    data = bytearray(dump(SPEC, weights_of(SPEC)))
    struct.pack_into("<64s", data, FIRST_TENSOR, name)
    refusal(generate, bytes(data), tmp_path)


@pytest.mark.parametrize("data", [b"", b"FWNDUMP", b"FWNDUMP3" * 100, b"FWNDUMP2" * 100])
def test_what_is_no_dump_is_refused(generate, tmp_path, data):
    refusal(generate, data, tmp_path)


def test_a_model_that_overflows_is_an_error(generate, tmp_path):
    weights = dict(weights_of(SPEC)) | {"head.output.weight": np.full((256, 5, 1), 3e38, "f4")}
    assert "overflowed" in refusal(generate, dump(SPEC, weights), tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [(), ("x",), ("voice.dump", -1, 7, 1), ("voice.dump", 1, 7, "hot"), ("voice.dump", 2**31, 7, 1),
     ("voice.dump", 10, 7, 1001), ("voice.dump", 10, 7, 1e-9), ("absent.dump", 10, 7, 1),
     (".", 10, 7, 1), ("voice.dump", 10, "", 1), ("voice.dump", "nan", 7, 1)],
)  # fmt: skip
def test_wrong_arguments_are_one_line(generate, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    Path("voice.dump").write_bytes(dump(SPEC, weights_of(SPEC)))
    done = call(generate, *arguments)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert done.stderr.startswith(b"generate: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_an_error(generate, tmp_path):
    (tmp_path / "voice.dump").write_bytes(dump(SPEC, weights_of(SPEC)))
    command = [generate, tmp_path / "voice.dump", "10", "7", "1"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr.split(b":")[1]) == (1, b" output")


# ---- vocode.c ----------------------------------------------------------------------------------

VOICES = {
    "held": FrameConditioning(3, 5),
    "linear": FrameConditioning(80, 16, "linear"),
    "speakers": FrameConditioning(3, 200, "linear", ("ann", "bob"), 2),
    "per sample": FrameConditioning(2, 1),
}


@pytest.fixture(scope="session")
def vocode(programs) -> Path:
    return programs / "vocode"


def voice_of(name: str) -> WaveNetSpec:
    return small_spec(levels=256, sample_rate=16000, conditioning=VOICES[name])


def vocoded(program: Path, folder: Path, spec: WaveNetSpec, frames: bytes, *arguments):
    """The finished program; arguments: seed, temperature and perhaps a speaker."""
    (folder / "voice.dump").write_bytes(dump(spec, weights_of(spec)))
    command = [program, folder / "voice.dump", *map(str, arguments)]
    return subprocess.run(command, input=frames, capture_output=True, timeout=300)


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_the_c_program_vocodes_what_python_vocodes(vocode, tmp_path, name, count):
    spec = voice_of(name)
    frames = random_frames(spec, spec.conditioning.hop * 9, 5)[:count]
    speaker = [1] if spec.conditioning.speakers else []
    done = vocoded(vocode, tmp_path, spec, frames.astype("<f4").tobytes(), 7, 1, *speaker)
    assert (done.returncode, done.stderr) == (0, b"")
    expected = fw.vocode(model_of(spec), frames, seed=7, speaker=speaker[0] if speaker else None)
    assert len(expected) == count * spec.conditioning.hop
    assert done.stdout == expected.astype("<f4").tobytes()


def test_the_samples_of_a_frame_come_when_the_next_one_is_there(vocode, tmp_path):
    spec = voice_of("linear")
    frames = random_frames(spec, 16 * 9, 5)
    expected = fw.vocode(model_of(spec), frames, seed=7)
    (tmp_path / "voice.dump").write_bytes(dump(spec, weights_of(spec)))
    with subprocess.Popen(
        [vocode, tmp_path / "voice.dump", "7", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdin.write(frames[:2].tobytes())
        process.stdin.flush()
        assert process.stdout.read(4 * 16) == expected[:16].tobytes()
        process.stdin.write(frames[2:].tobytes())
        process.stdin.close()
        assert process.stdout.read() == expected[16:].tobytes()


WRONG_FRAMES = {
    "a part of a frame": (b"\0" * 13, b"input: ends within a frame"),
    "nan": (np.full((2, 3), np.nan, "<f4").tobytes(), b"vocode: "),
}


@pytest.mark.parametrize("name", WRONG_FRAMES)
def test_wrong_frames_are_one_line(vocode, tmp_path, name):
    frames, message = WRONG_FRAMES[name]
    done = vocoded(vocode, tmp_path, voice_of("held"), frames, 7, 1)
    assert done.returncode == 1
    assert done.stderr.startswith(b"vocode: " + message) and done.stderr.count(b"\n") == 1


def test_a_program_refuses_the_models_of_the_other(generate, vocode, tmp_path):
    done = vocoded(vocode, tmp_path, SPEC, b"", 7, 1)
    assert (done.returncode, done.stderr) == (1, b"vocode: model: takes no frames: use generate\n")
    (tmp_path / "voice.dump").write_bytes(dump(voice_of("held"), weights_of(voice_of("held"))))
    done = call(generate, tmp_path / "voice.dump", 10, 7, 1)
    message = b"generate: model: needs frames or a speaker: use vocode\n"
    assert (done.returncode, done.stderr) == (1, message)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("held", ()), ("held", (7,)), ("held", (7, 1, 0)), ("held", (-1, 1)), ("held", (7, "hot")),
     ("speakers", (7, 1)), ("speakers", (7, 1, 2)), ("speakers", (7, 1, "ann"))],
)  # fmt: skip
def test_wrong_arguments_of_vocode_are_one_line(vocode, tmp_path, name, arguments):
    done = vocoded(vocode, tmp_path, voice_of(name), b"", *arguments)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert done.stderr.startswith(b"vocode: ")


# ---- dump_model.py -----------------------------------------------------------------------------


def dump_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, EXAMPLES / "dump_model.py", *arguments]
    search = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": search}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_model_file_is_dumped(tmp_path):
    modelfile.save(tmp_path / "voice.safetensors", SPEC, weights_of(SPEC))
    done = dump_command(tmp_path, "voice.safetensors", "voice.dump")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "voice.dump").read_bytes() == dump(SPEC, weights_of(SPEC))
    fw.record_precision_cost(tmp_path / "voice.safetensors", {"int8": 0.0})
    dump_command(tmp_path, "voice.safetensors", "voice.dump")
    assert (tmp_path / "voice.dump").read_bytes() == dump(SPEC, weights_of(SPEC), "int8")


def test_names_fit_the_dump():
    longest = small_spec(dilations=(1,) * 512)
    assert max(len(name) for name in longest.tensors()) < 64


def test_a_model_of_another_codec_is_not_dumped(tmp_path):
    spec = small_spec(codec=MuLawCodec(mu=16, steps=16, decode_divisor=16))
    modelfile.save(tmp_path / "voice.safetensors", spec, weights_of(spec))
    done = dump_command(tmp_path, "voice.safetensors", "voice.dump")
    assert done.returncode == 1
    assert "another codec than the symmetric one" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "voice.dump").exists()


@pytest.mark.parametrize("arguments", [(), ("a",), ("absent.safetensors", "b")])
def test_wrong_arguments_of_dump_model_are_one_line(tmp_path, arguments):
    done = dump_command(tmp_path, *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


# ---- play.py -----------------------------------------------------------------------------------

play = example("play")


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_a_ring_delivers_what_was_written_in_order(size):
    ring, rng = play.Ring(size), np.random.default_rng(size)
    sent, got = np.arange(1000, dtype=np.float32), []
    while len(got) < len(sent):
        n = rng.integers(0, ring.room() + 1)
        ring.write(sent[ring.written : ring.written + n])
        got += ring.take(rng.integers(0, size + 2)).tolist()
    assert got == sent.tolist()
    assert ring.room() == size and len(ring.take(1)) == 0


def test_a_player_plays_what_is_generated():
    player = play.Player(fw.Generator(model_of(SPEC), seed=3), seconds=0.1)
    frames, played = [1, 100, 512, 1000, 7, 513], []
    player.thread.start()
    for n in frames:
        while player.ring.written - player.ring.taken < n:  # the device is in no hurry here
            assert player.thread.is_alive()
        out = np.full((n, 2), np.nan, np.float32)
        player.callback(out, n, None, None)
        assert np.array_equal(out[:, 0], out[:, 1])
        played.append(out[:, 0])
    player.stop.set()
    player.thread.join(300)
    expected = fw.generate(model_of(SPEC), n_samples=sum(frames), seed=3)
    assert np.array_equal(np.concatenate(played), expected)
    assert player.gaps == 0 and not player.thread.is_alive()


def test_what_is_not_there_yet_is_silence_and_counted():
    player = play.Player(fw.Generator(model_of(SPEC), seed=3))
    player.ring.write(np.ones(3, np.float32))
    out = np.full((5, 1), np.nan, np.float32)
    player.callback(out, 5, None, None)
    assert out[:, 0].tolist() == [1, 1, 1, 0, 0]
    assert player.gaps == 1


# ---- advice ------------------------------------------------------------------------------------

ADVICE = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(EXAMPLES.iterdir()),
    ROOT / "fastwavenet" / "demo.py",
    *sorted((ROOT / "fastwavenet" / "cli").glob("*.py")),
]
DRAWS = re.compile(r"(?:--temperature[ =]|\btemperature=|voice\.dump \d+ \d+ )([\d.]+)")


def test_a_temperature_in_a_text_is_found():
    texts = "--temperature 0.9 --temperature=0.8 f(temperature=0.7) voice.dump 64000 7 0.6 > x"
    assert DRAWS.findall(texts) == ["0.9", "0.8", "0.7", "0.6"]


@pytest.mark.parametrize("path", ADVICE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_example_draws_below_temperature_1_where_voices_fall_silent(path):
    found = set(map(float, DRAWS.findall(path.read_text())))
    assert found <= {0.0, 1.0}  # 0 is explained: the most probable code
