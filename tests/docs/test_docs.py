"""What the documents say is true: links lead somewhere, examples run, promises have their tests."""

import ast
import doctest
import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import wavenet_coding_files
from c_build import CLAIMS, ROOT
from documents import (
    DOCUMENTS,
    FENCE,
    NOT_RUN,
    Block,
    blocks,
    broken,
    every_document,
    links,
    name_of,
    prose,
    undefined,
)
from engines import weights_of
from networks import small_spec
from wavenet_coding_files import CONFIG, random_tensors

import fastwavenet as fw
from fastwavenet import modelfile, spec
from fastwavenet.spec import WaveNetSpec

RUN_IN_ORDER = {"python", "pycon"}
VOICE = small_spec(levels=256, sample_rate=16000)

pytestmark = pytest.mark.usefixtures("one_thread")


# ---- reading Markdown --------------------------------------------------------------------------

SAMPLE = """# A `title`, of 2 words

[good](README.md) [good](#a-title-of-2-words) [bad](nowhere.md) ![bad](no.png) [bad](#not-here)
[far](https://example.org/x) [`load`](fastwavenet/model.py) [`run_block`](csrc/kernels/flow.h)
[`model.py`](fastwavenet/model.py) [`Model.nowhere`](fastwavenet/model.py)
[`fwn_run`](csrc/kernels/flow.h)

<!-- not run: because it cannot be here -->
```python
[no link](at-all.md)
```
```sh
ls
```
"""


def test_the_reader_of_markdown_finds_what_is_wrong():
    path = ROOT / "CHANGELOG.md"  # where SAMPLE stands for its text
    assert broken(path, SAMPLE) == ["nowhere.md", "no.png", "#not-here"]
    assert undefined(path, SAMPLE) == [
        "nowhere in fastwavenet/model.py", "fwn_run in csrc/kernels/flow.h"
    ]  # fmt: skip
    assert blocks(SAMPLE) == [
        Block("python", "[no link](at-all.md)\n", 9 + 1, "because it cannot be here"),
        Block("sh", "ls\n", 13, None),
    ]


# ---- links and names ---------------------------------------------------------------------------


@every_document
def test_links_lead_somewhere(path):
    assert broken(path, path.read_text()) == []


@every_document
def test_names_are_defined_where_their_links_lead(path):
    assert undefined(path, path.read_text()) == []


def test_the_index_names_every_page():
    targets = {target for _, target in links((ROOT / "docs/README.md").read_text())}
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= targets


# ---- examples ----------------------------------------------------------------------------------


@pytest.fixture
def workshop(tmp_path, monkeypatch) -> Path:
    """The current folder, with what the examples take for granted."""
    modelfile.save(tmp_path / "voice.safetensors", VOICE, weights_of(VOICE))
    hello = 0.3 * np.sin(np.arange(16000) / 20)
    soundfile.write(tmp_path / "hello.wav", hello, 16000, subtype="PCM_16")
    wavenet_coding_files.write(tmp_path / "checkpoint", CONFIG, random_tensors(CONFIG))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Listener:
    """Plays three blocks, then presses Ctrl-C: examples may play for ever."""

    def __init__(self):
        self.played = []

    def __call__(self, block: np.ndarray) -> None:
        self.played.append(block)
        if len(self.played) == 3:
            raise KeyboardInterrupt


def run_python(block: Block, path: Path, names: dict) -> None:
    """Statement by statement, since Ctrl-C ends one of them only."""
    tree = ast.parse(block.text)
    ast.increment_lineno(tree, block.line - 1)
    for statement in tree.body:
        code = compile(ast.Module([statement], []), path, "exec")
        try:
            exec(code, names)
        except KeyboardInterrupt:
            continue


def run_session(block: Block, path: Path, names: dict) -> None:
    """A session with >>>: what it prints must be what stands there."""
    test = doctest.DocTestParser().get_doctest(block.text, names, name_of(path), path, block.line)
    assert test.examples
    test.globs = names  # shared by the sessions of a document
    doctest.DebugRunner(verbose=False).run(test, clear_globs=False)


WITH_EXAMPLES = [
    path
    for path in DOCUMENTS
    if path.parent.name != "course"  # whose chapters tests/course runs
    and RUN_IN_ORDER & {b.language for b in blocks(path.read_text())}
]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=name_of)
def test_the_examples_of_a_document_run_in_order(path, workshop):
    names = {"recording": soundfile.read("hello.wav")[0], "play": Listener()}
    for block in blocks(path.read_text()):
        if block.language not in RUN_IN_ORDER:
            continue
        if block.reason:
            compile(block.text, path, "exec")
        elif block.language == "python":
            run_python(block, path, names)
        else:
            run_session(block, path, names)


def test_readme_embedding_and_learn_have_examples():
    assert {"README.md", "docs/embedding.md", "docs/learn.md", "docs/model-file.md"} <= {
        name_of(path) for path in WITH_EXAMPLES
    }


def test_the_recipe_for_processes_runs_as_a_script(workshop):
    recipes = (b.text for b in blocks((ROOT / "docs/embedding.md").read_text()))
    (recipe,) = (text for text in recipes if text.startswith("# pool.py"))
    Path("pool.py").write_text(recipe)
    done = subprocess.run([sys.executable, "pool.py"], capture_output=True, text=True, timeout=300)
    assert done.stdout == "4 voices\n", done.stderr


@every_document
def test_a_comment_before_a_block_is_a_reason(path):
    """`<!-- not run -->` without a reason would otherwise be read as no comment at all."""
    for fence in FENCE.finditer(path.read_text()):
        assert fence["comment"] is None or NOT_RUN.fullmatch(fence["comment"])


# ---- the command line --------------------------------------------------------------------------

OPTION = re.compile(r"(?<![\w-])(--?[a-zA-Z][\w-]*)")


@functools.cache
def options_of(command: str) -> set[str]:
    """What `fastwavenet COMMAND --help` lists; nothing for a command that is not there."""
    line = [sys.executable, "-m", "fastwavenet", command, "--help"]
    done = subprocess.run(line, capture_output=True, text=True)
    return set(OPTION.findall(done.stdout)) if done.returncode == 0 else set()


def commands(markdown: str) -> list[tuple[str, str]]:
    """(command, its arguments) of each call of fastwavenet in a shell's block."""
    shells = (b.text for b in blocks(markdown) if b.language in ("", "sh"))
    return re.findall(r"^fastwavenet (\w+)([^#|\n]*)", "".join(shells), re.MULTILINE)


@every_document
def test_commands_have_the_options_they_are_shown_with(path):
    for command, arguments in commands(path.read_text()):
        assert options_of(command), command
        assert set(OPTION.findall(arguments)) <= options_of(command), (command, arguments)


def test_options_that_are_explained_exist():
    text = (ROOT / "docs/training.md").read_text()
    known = {"--help"} | {
        o for name in ("prepare", "train", "export", "generate") for o in options_of(name)
    }
    explained = {OPTION.match(code)[1] for code in re.findall(r"`(--[^`]+)`", prose(text))}
    assert len(explained) > 10 and explained - known == set()


# ---- promises.md -------------------------------------------------------------------------------

TEST_NAME = re.compile(r"`(tests/[\w/.]+)::(\w+)`")


def promises() -> list[tuple[str, str]]:
    """(promise, the tests that hold it) of each row of the tables."""
    text = (ROOT / "docs/promises.md").read_text()
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [(promise.strip(), tests) for promise, tests in rows if tests.strip() != "held by"]


def test_there_are_promises():
    assert len(promises()) > 30


@pytest.mark.parametrize(("promise", "tests"), promises(), ids=[p[:60] for p, _ in promises()])
def test_a_promise_is_held_by_tests_that_exist(promise, tests):
    found = TEST_NAME.findall(tests)
    assert found and TEST_NAME.sub("", tests).strip() == ""
    for file, name in found:
        if file.endswith(".c"):
            assert file == f"tests/c/{CLAIMS[name]}"
        else:
            assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), name


# ---- model-file.md -----------------------------------------------------------------------------


@pytest.fixture
def model_file() -> list[Block]:
    return blocks((ROOT / "docs/model-file.md").read_text())


def test_the_spec_in_the_format_is_a_whole_one(model_file):
    (example,) = (json.loads(b.text) for b in model_file if b.language == "json")
    assert example["version"] == modelfile.VERSION
    assert WaveNetSpec.from_dict(example["spec"]).to_dict() == example["spec"]
    header = f'{{"__metadata__": {json.dumps({"fastwavenet": json.dumps(example)})}}}'.encode()
    with pytest.raises(fw.ModelFormatError, match="first.weight.*is missing"):
        modelfile.parse(len(header).to_bytes(8, "little") + header)


def test_the_tensors_in_the_format_are_those_of_its_spec(model_file):
    (example,) = (json.loads(b.text) for b in model_file if b.language == "json")
    (listed,) = (b.text for b in model_file if b.language == "text")
    found = {line.split()[0]: tuple(map(int, line.split()[1:])) for line in listed.splitlines()}
    assert found == WaveNetSpec.from_dict(example["spec"]).tensors()


def test_the_format_names_every_field_and_bound():
    text = (ROOT / "docs/model-file.md").read_text()
    numbers = {int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", text)}
    bounds = {name: value for name, value in vars(spec).items() if name.startswith("MAX_")}
    bounds["MAX_HEADER_BYTES"] = modelfile.MAX_HEADER_BYTES
    assert len(bounds) > 8 and {n: v for n, v in bounds.items() if v not in numbers} == {}
    fields = WaveNetSpec.__dataclass_fields__
    assert [name for name in fields if not re.search(rf"^\|.*`{name}`", text, re.MULTILINE)] == []


def test_every_version_of_the_format_is_in_its_log():
    text = (ROOT / "docs/model-file.md").read_text()
    log = text.partition("| version | change |")[2]
    assert [int(n) for n in re.findall(r"^\| (\d+) \|", log, re.MULTILINE)] == list(
        range(1, modelfile.VERSION + 1)
    )


# ---- training.md -------------------------------------------------------------------------------


def test_the_sizes_of_the_presets_are_true():
    from fastwavenet.training import PRESETS

    text = (ROOT / "docs/training.md").read_text()
    table = re.findall(r"^\| `(\w+)` \|.*?\| ([\d,]+) \| ([\d,]+) samples, (\d+) ms", text, re.M)
    sizes = {name: [int(n.replace(",", "")) for n in numbers] for name, *numbers in table}
    assert PRESETS.keys() <= sizes.keys()
    for name, preset in PRESETS.items():
        net = WaveNetSpec(sample_rate=16000, **preset)
        field = net.receptive_field
        assert sizes[name] == [net.weight_bytes() // 4, field, round(field / 16)]
