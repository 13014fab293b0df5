"""A checkpoint that is damaged, foreign or not whole is refused, and says why."""

import json
import random

import numpy as np
import pytest
import safetensors.numpy
import torch
from runs import SPEC, quick

from fastwavenet import modelfile
from fastwavenet.modelfile import ModelFormatError
from fastwavenet.training import checkpoint
from fastwavenet.training.seal import check_seal, sealed

pytestmark = pytest.mark.usefixtures("one_thread")


def rewrite(run, change):
    """Changes the parts of a checkpoint, which are then written as they are."""
    path = run / "checkpoint.safetensors"
    with safetensors.safe_open(path, "np") as file:
        about = json.loads(file.metadata()[checkpoint.METADATA_KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(about, tensors)
    path.write_bytes(sealed(tensors, {checkpoint.METADATA_KEY: json.dumps(about)}))


def set_in(*keys, to):
    def change(about, _tensors):
        for key in keys[:-1]:
            about = about[key]
        about[keys[-1]] = to

    return change


def set_tensor(name, to):
    return lambda _about, tensors: tensors.__setitem__(name, to(tensors.get(name)))


def put(value):
    def change(array):
        array[0] = value
        return array

    return change


BIAS = "head.output.bias"
DAMAGE = [
    (set_in("version", to=5), "expected version 4"),
    (set_in("version", to=2), "version 2 is of an older trainer, .*: train into another folder"),
    (set_in("version", to=3), "version 3 is of an older trainer, .*: train into another folder"),
    (set_in("more", to=2), "expected version 4 with budget, computer, corpus"),
    (set_in("settings", to=[]), "the settings must be"),
    (set_in("settings", "seed", to=-1), "seed must be a whole number from 0"),
    (set_in("settings", "batch", to="2"), "batch must be a positive whole number, not '2'"),
    (set_in("settings", "bfloat16", to=None), "bfloat16 must be True or False, not None"),
    (set_in("settings", "spec", "residual", to=0), "residual must be a whole number"),
    (set_in("settings", "spec", "residual", to=9), "tensor .* must be F32"),
    (set_in("settings", "spec", "bias", to=False), "tensor .* is unexpected"),
    (set_in("budget", "steps", to=0), "steps must be a positive whole number"),
    (set_in("budget", to={"hours": 1}), "hours"),
    (set_in("budget", to=[1]), r"the budget must have minutes, patience, steps, found \[1\]"),
    (set_in("budget", "\x1b[31m", to=1), r"budget must have .*'\\x1b\[31m'"),
    (set_in("progress", to={}), "the progress must have history, loss_count"),
    (set_in("computer", to={}), "the computer must have device, processor, pytorch, threads, foun"),
    (set_in("computer", "threads", to=0), "threads must be a number of threads, not 0"),
    (set_in("computer", "threads", to="2"), "threads must be a number of threads, not '2'"),
    (set_in("computer", "device", to=["\x1b"]), r"device must be a name, not \['\\x1b'\]"),
    (set_in("recordings", to=[]), "the recordings must have frames, source, validation, found"),
    (set_in("recordings", "more", to=1), "the recordings must have frames, source, validation, f"),
    (set_in("recordings", "frames", to=5), "the recordings must be paths, found"),
    (set_in("recordings", "source", to=None), "the recordings must be paths, found {'source': N"),
    (set_in("recordings", "validation", to=5), "the recordings must be paths, found"),
    (set_in("progress", "loss_sum", to="\x1b\n"), r"loss_sum must be a finite .* '\\x1b\\n'"),
    (set_in("progress", "steps", to=2.0), "steps must be a whole number from 0, not 2.0"),
    (set_in("progress", "steps", to=True), "steps must be a whole number from 0, not True"),
    (set_in("progress", "seconds", to=-1), "seconds must be a finite number from 0, not -1"),
    (set_in("progress", "seconds", to=float("nan")), "numbers must be finite, found NaN"),
    (set_in("progress", "loss_sum", to=10**400), "loss_sum must be a finite number"),
    (set_in("progress", "history", to={}), "history must be a list"),
    (set_in("progress", "history", to=[1]), "each report must have step"),
    (set_in("progress", "history", 0, "step", to=99), "a report of step 99 is out of order"),
    (set_in("progress", "history", 0, "seconds", to="1"), "seconds must be a finite number"),
    (set_in("progress", "history", to=[]), "tensor 'best.first.bias' is unexpected"),
    (lambda _, tensors: tensors.pop(f"best.{BIAS}"), f"tensor 'best.{BIAS}' is missing"),
    (set_tensor("extra", lambda _: np.zeros(3)), "tensor 'extra' is unexpected"),
    (set_tensor(f"model.{BIAS}", lambda a: a.astype(np.float16)), r"must be F32 \(256,\), not F16"),
    (set_tensor(f"model.{BIAS}", lambda a: a[1:]), r"must be F32 \(256,\), not F32 \(255,\)"),
    (set_tensor(f"model.{BIAS}", put(np.nan)), f"model: tensor '{BIAS}' must be finite"),
    (set_tensor(f"best.{BIAS}", put(np.inf)), f"best: tensor '{BIAS}' must be finite"),
    (set_tensor(f"optimizer.exp_avg.{BIAS}", put(np.nan)), "optimizer.exp_avg: tensor"),
    (set_tensor(f"optimizer.exp_avg_sq.{BIAS}", put(-1)), "holds a negative mean square"),
]


def test_a_checkpoint_cannot_send_escape_sequences_to_a_terminal(source, kept):
    """Not even in the fingerprint of the audio, which only a refusal shows."""
    evil = {"files": "\x1b[1A\n", "samples": "\x1b[2J" * 99, "sha256": "\x1b]0;evil\x07"}
    rewrite(kept, set_in("corpus", "train", to=evil))
    with pytest.raises(ValueError, match="not the audio that this run began with") as refused:
        quick(source, kept, steps=9, resume=True)
    assert str(refused.value).isprintable() and len(str(refused.value)) < 500


@pytest.fixture(scope="module")
def finished(source, tmp_path_factory, one_thread):
    """The bytes of the checkpoint of a run of 3 steps."""
    run = tmp_path_factory.mktemp("finished") / "run"
    quick(source, run)
    return (run / "checkpoint.safetensors").read_bytes()


@pytest.fixture
def kept(finished, tmp_path):
    """A folder with that checkpoint."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.safetensors").write_bytes(finished)
    return tmp_path / "run"


@pytest.mark.parametrize(("change", "message"), DAMAGE)
def test_a_checkpoint_is_checked_like_a_model_file(source, kept, change, message):
    rewrite(kept, lambda about, tensors: None)
    assert checkpoint.load(kept / "checkpoint.safetensors").progress.steps == 3
    rewrite(kept, change)
    with pytest.raises(ModelFormatError, match=rf"checkpoint\.safetensors: not a .*({message})"):
        quick(source, kept, steps=9, resume=True)


def test_deeply_nested_metadata_is_refused(kept):
    nested = "[" * 100_000
    with safetensors.safe_open(kept / "checkpoint.safetensors", "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    data = sealed(tensors, {checkpoint.METADATA_KEY: nested})
    (kept / "checkpoint.safetensors").write_bytes(data)
    with pytest.raises(ModelFormatError, match="not a whole checkpoint"):
        checkpoint.load(kept / "checkpoint.safetensors")


def test_other_files_are_not_checkpoints(source, kept, tmp_path):
    path = kept / "checkpoint.safetensors"
    modelfile.save(tmp_path / "m.safetensors", SPEC, checkpoint.load(path).tensors["model"])
    torch.save({"model": torch.zeros(3)}, tmp_path / "pickle.pt")
    foreign = [b"", b"RIFF", bytes(1000), (tmp_path / "m.safetensors").read_bytes()]
    for data in (*foreign, (tmp_path / "pickle.pt").read_bytes()):
        path.write_bytes(data)
        with pytest.raises(ModelFormatError, match="checkpoint.safetensors: not a whole"):
            quick(source, kept, resume=True)


def test_a_truncated_checkpoint_is_refused_at_every_length(finished, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    header = 8 + int.from_bytes(finished[:8], "little")
    lengths = {0, 1, 7, 8, 9, header - 1, header, header + 1, len(finished) - 1}
    for length in lengths | set(range(0, len(finished), len(finished) // 50)):
        path.write_bytes(finished[:length])
        with pytest.raises(ModelFormatError):
            checkpoint.load(path)


def test_a_changed_bit_is_found_wherever_it_is(finished, tmp_path):
    """In the header's length, the metadata, the names, the checksum and the tensors."""
    path, rng = tmp_path / "checkpoint.safetensors", random.Random(1)
    header = 8 + int.from_bytes(finished[:8], "little")
    checksum = finished.index(b'"fastwavenet.sha256":"')
    places = [*range(8), *range(checksum, checksum + 90), header - 1, header, len(finished) - 1]
    places += [rng.randrange(header) for _ in range(200)]
    places += [rng.randrange(header, len(finished)) for _ in range(200)]
    for place in places:
        data = bytearray(finished)
        data[place] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with pytest.raises(ModelFormatError, match=r"checkpoint\.safetensors: not a whole check"):
            checkpoint.load(path)


def test_damage_is_named_with_both_checksums(finished, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(finished[:-1] + bytes([finished[-1] ^ 1]))
    with pytest.raises(ModelFormatError, match=r"damaged after it was .* SHA-256 is \w{12}"):
        checkpoint.load(path)
    path.write_bytes(finished + b"\0")
    with pytest.raises(ModelFormatError, match="damaged after it was written"):
        checkpoint.load(path)
    path.write_bytes(finished.replace(b"fastwavenet.sha256", b"fastwavenet.sha257"))
    with pytest.raises(ModelFormatError, match="its checksum is missing"):
        checkpoint.load(path)


def test_a_checksum_in_the_text_of_the_metadata_is_not_taken_for_that_of_the_file(tmp_path):
    path = tmp_path / "a.safetensors"
    text = json.dumps({"a": '"fastwavenet.sha256":"' + 64 * "0" + '"'})
    path.write_bytes(sealed({"x": np.zeros(3, np.float32)}, {"a": text, "z": text}))
    assert check_seal(path)


def test_weights_that_are_not_finite_never_replace_a_checkpoint(finished, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(finished)
    kept = checkpoint.load(path)
    kept.tensors["optimizer.exp_avg"]["first.bias"] = np.full(8, np.inf, np.float32)
    with pytest.raises(ModelFormatError, match=r"first\.bias' must be finite"):
        checkpoint.save(path, kept)
    assert path.read_bytes() == finished
