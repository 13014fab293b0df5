"""Reports of training: no output stream, whatever state it is in, ends or changes a run."""

import io
import os
import subprocess
import sys

import pytest
from c_build import HELPERS
from recordings import record, tone, two_tones
from runs import SPEC, quick

import fastwavenet as fw
from fastwavenet.clips import Clip
from fastwavenet.training.console import LITTLE_SECONDS, describe, describe_cost
from fastwavenet.training.data import Corpus
from fastwavenet.training.settings import Budget, Settings

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two tones, and remarks that only UTF-8 and a raw name can print."""
    folder = two_tones(tmp_path_factory.mktemp("recordings"))
    (folder / os.fsdecode(b"no text \xff.wav")).write_text("not audio")
    record(folder / "stille \N{SNOWMAN}.wav", 0 * tone(2000))
    return folder


# ---- streams of a Python program ---------------------------------------------------------------


class Deleted(io.StringIO):
    """A window that was closed, as toolkits report it: no OSError."""

    def write(self, text):
        raise RuntimeError("wrapped C++ object was deleted")


def strict(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding, errors="strict", write_through=True)


def closed():
    stream = strict("utf-8")
    stream.close()
    return stream


def full():
    return open("/dev/full", "w", buffering=1)


STREAMS = {
    "none": lambda: None,
    "ascii": lambda: strict("ascii"),
    "latin-1": lambda: strict("latin-1"),
    "utf-8": lambda: strict("utf-8"),
    "closed": closed,
    "full": full,
    "deleted": Deleted,
    "object": object,
}


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("stream", STREAMS)
def test_no_stream_ends_a_run(source, tmp_path, monkeypatch, stream, terminal):
    out, errors = STREAMS[stream](), STREAMS[stream]()
    if terminal and errors is not None and stream != "object":
        errors.isatty = lambda: True
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", errors)
    summary = quick(source, tmp_path / "run", steps=12, progress=True)
    monkeypatch.undo()
    assert fw.load(summary.model).spec == SPEC
    if stream == "full":
        with pytest.raises(OSError, match="No space left"):
            out.close()


@pytest.mark.parametrize(
    ("encoding", "snowman"), [("ascii", "\\u2603"), ("latin-1", "\\u2603"), ("utf-8", "\u2603")]
)
def test_a_strict_stream_gets_every_line_with_escapes_for_what_it_has_no_code_for(
    source, tmp_path, monkeypatch, encoding, snowman
):
    out = strict(encoding)
    monkeypatch.setattr("sys.stdout", out)
    quick(source, tmp_path / "run", progress=True)
    monkeypatch.undo()
    said = out.buffer.getvalue().decode(encoding).splitlines()
    assert f"stille {snowman}.wav" in said[1]
    assert "no text " in said[0] and said[0].isprintable()
    assert said[-1].startswith("against float32: ")


# ---- file descriptors of a process -------------------------------------------------------------

PROGRAM = """
import sys, torch
from pathlib import Path
from runs import quick
torch.set_num_threads(1)
quick(Path(sys.argv[1]), Path(sys.argv[2]), steps=12, progress=True)
"""


@pytest.mark.parametrize("redirection", [">&- 2>&-", "2>/dev/full | true"])
def test_a_program_whose_streams_are_missing_trains_to_its_end(source, tmp_path, redirection):
    shell = f'"$0" -c "$1" "$2" "$3" {redirection}'
    subprocess.run(
        ["bash", "-c", shell, sys.executable, PROGRAM, source, tmp_path / "run"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HELPERS), *sys.path])},
        stderr=subprocess.DEVNULL,
        timeout=300,
    )
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 12
    assert fw.load(tmp_path / "run" / "model.safetensors").precision_cost


# ---- words for a beginner ----------------------------------------------------------------------


def corpus(samples):
    codes = fw.mu_law_encode(tone(samples))
    return Corpus([Clip("a", codes)], [Clip("b", codes[:100])], [], [])


@pytest.mark.parametrize(
    ("seconds", "warned"),
    [(3, True), (LITTLE_SECONDS - 1 / 16000, True), (LITTLE_SECONDS, False), (120, False)],
)
def test_less_than_a_minute_of_audio_gets_a_warning(seconds, warned):
    lines = describe(corpus(round(16000 * seconds)), Settings(spec=SPEC), Budget(10, None))
    said = [line for line in lines if line.startswith("little audio: ")]
    assert len(said) == warned
    if warned:
        assert said[0].startswith(f"little audio: {seconds:.1f} s will be learnt by heart")
        assert "half an hour" in said[0]


@pytest.mark.parametrize(("given", "advised"), [(None, False), (1.0, False), (0.01, True)])
def test_more_weight_decay_is_advised_to_who_has_chosen_little(given, advised):
    settings = Settings(spec=SPEC, weight_decay=given)
    lines = list(describe(corpus(16000), settings, Budget(10, None)))
    assert any(line.startswith("little audio: ") for line in lines)
    assert ("--weight-decay 1 helps" in "\n".join(lines)) == advised


@pytest.mark.parametrize(
    ("seconds_left", "before", "expected"),
    [
        (2, 0, "in which it gets through 20 % of the audio; all of it once takes 00:10: give more "
               "--minutes, or a smaller --preset"),
        (9.94, 0, "in which it gets through 99 % of the audio; all of it once takes 00:10: give "
                  "more --minutes, or a smaller --preset"),
        (10, 0, "in which it hears the audio 1.00 times, 00:10 each"),
        (2, 700, "in which it gets through 90 % of the audio; all of it once takes 00:10: give "
                 "more --minutes, or a smaller --preset"),
        (2, 800, "in which it hears the audio 0.20 times, 1.00 times with what it has learnt "
                 "before, 00:10 each"),
        (2, 95_000, "in which it hears the audio 0.20 times, 95.20 times with what it has learnt "
                    "before, 00:10 each"),
    ],
)  # fmt: skip
def test_a_budget_for_a_part_of_the_audio_is_put_into_words(seconds_left, before, expected):
    line = describe_cost(corpus(1000), 100.0, seconds_left, before)
    assert line.split("to go, ")[1] == expected
