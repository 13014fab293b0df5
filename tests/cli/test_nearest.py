"""A wrong option is answered with the right one, and with the help of its own command."""

import re

import pytest

from fastwavenet.cli import program
from fastwavenet.cli.nearest import FOREIGN, nearest

LINES = {
    "train": ("train", "recordings", "-o", "run"),
    "generate": ("generate", "voice.safetensors", "-o", "out.wav"),
    "export": ("export", "run", "-o", "voice.safetensors"),
    "score": ("score", "voice.safetensors", "a.wav"),
    "decompress": ("decompress", "a.fwz", "-m", "voice.safetensors", "-o", "out.wav"),
    "info": ("info",),
}


@pytest.mark.parametrize(
    ("command", "wrong", "right"),
    [
        ("train", "--epochs", "--steps or --minutes"),
        ("train", "--lr", "--learning-rate"),
        ("train", "--batch-size", "--batch"),
        ("train", "--batch_size=8", "--batch"),
        ("train", "--learning_rate", "--learning-rate"),
        ("train", "--wd", "--weight-decay"),
        ("train", "--Epochs", "--steps or --minutes"),
        ("train", "--resum", "--resume"),
        ("generate", "--topk", "--top-k"),
        ("generate", "--top_k", "--top-k"),
        ("generate", "--top-p", "--top-k"),
        ("generate", "--temp", "--temperature"),
        ("generate", "--tempreature", "--temperature"),
        ("generate", "--duration", "--seconds"),
        ("generate", "--out", "--output"),
        ("export", "--out", "--output"),
        ("score", "--resample", "--convert"),
    ],
)
def test_a_wrong_option_is_answered_with_the_right_one(refused, command, wrong, right):
    name = wrong.partition("=")[0]
    assert refused(*LINES[command], wrong, "5") == (
        f"unrecognized arguments: {name}; the nearest option is {right} "
        f"(see fastwavenet {command} --help)"
    )


@pytest.mark.parametrize(
    ("command", "wrong", "place"),
    [("generate", "--checkpoint", "model"), ("train", "--data-dir", "source"),
     ("export", "--input", "RUN"), ("score", "--data", "SOURCE"), ("info", "--ckpt", "model")],
)  # fmt: skip
def test_an_argument_without_an_option_is_named(refused, command, wrong, place):
    assert f"{wrong}; {place} is given without an option (see" in refused(*LINES[command], wrong)


@pytest.mark.parametrize("wrong", ["--zzzz", "-z", "--"])
def test_where_nothing_is_near_there_is_no_hint(refused, wrong):
    if wrong == "--":
        assert nearest(wrong, ["--output"], {}) == ""
    else:
        line = refused(*LINES["generate"], wrong)
        assert line == f"unrecognized arguments: {wrong} (see fastwavenet generate --help)"


def test_a_word_too_many_is_named(refused):
    line = refused(*LINES["generate"], "another.safetensors")
    assert line.startswith("unrecognized arguments: another.safetensors (see fastwavenet generate")


def test_a_long_or_unprintable_argument_is_shortened_and_escaped(refused):
    assert len(refused(*LINES["generate"], "--" + "x" * 9999)) < 200
    assert len(refused(*LINES["generate"], "--samples", "9" * 9999)) < 200
    assert "'--\\x1b[31m'" in refused(*LINES["generate"], "--\x1b[31m")
    assert len(refused("x" * 9999)) < 400  # names every command


def test_every_name_in_the_table_is_an_argument_of_a_command(run):
    text = "".join(run(command, "--help")[1] for command in LINES)
    names = {name for ours in FOREIGN for name in ours.split()}
    assert {n for n in names if not re.search(rf"(?<![\w-]){n}\b", text)} <= {"source", "sources"}
    assert not {"RUN", "SOURCE"} - set(re.findall(r"\w+", text))


def test_the_table_says_one_thing_of_a_name():
    """For a command, that is: an option of `train` and one of `generate` may share a name."""
    for command in LINES:
        parser = program._parser()._subparsers._group_actions[0].choices[command]
        options = {name for action in parser._actions for name in action.option_strings}
        ours = [k for k in FOREIGN if options & set(k.split())]
        words = [word for k in ours for word in FOREIGN[k].split()]
        assert sorted(words) == sorted(set(words))
