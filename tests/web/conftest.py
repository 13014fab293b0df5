"""The JavaScript package in Node and in a browser."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import chromium
import numpy as np
import pytest
from c_build import ROOT, run

ENGINE = ROOT / "web/build/fastwavenet.wasm"


class Node:
    """tests/web/engine.mjs in a process: calls of the package."""

    def __init__(self) -> None:
        command = ["node", Path(__file__).with_name("engine.mjs")]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def call(self, name: str, **options: object) -> object:
        """The result of a call.  Raises ValueError with the package's message."""
        request = json.dumps({"call": name} | options, default=str)
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ValueError(f"{answer['name']}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(300)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    process = Node()
    yield process
    process.close()


@pytest.fixture(scope="session")
def engine_file(tmp_path_factory) -> Path:
    """The engine of `make wasm`, built anew if it is older than its sources."""
    sources = [*(ROOT / "csrc").rglob("*.[ch]"), ROOT / "web/build.sh", ROOT / "web/layout.c"]
    newest = max(path.stat().st_mtime for path in sources)
    if ENGINE.exists() and ENGINE.stat().st_mtime >= newest:
        return ENGINE
    out = tmp_path_factory.mktemp("wasm") / "fastwavenet.wasm"
    printed = run("sh", "web/build.sh", out, cwd=ROOT)
    if not out.exists():
        pytest.skip(printed)
    return out


@pytest.fixture(scope="module")
def engine(node, engine_file) -> Node:
    """Node with the engine."""
    node.call("engine", path=engine_file)
    return node


@pytest.fixture(scope="module")
def tab() -> Iterator[chromium.Page]:
    if chromium.chromium() is None:
        pytest.skip("chromium is not installed")
    with chromium.page() as page:
        yield page


@pytest.fixture
def store(tmp_path):
    """Writes an array as a file of float32 numbers; None stays None."""

    def write(array, name: str) -> str | None:
        if array is None:
            return None
        path = tmp_path / name
        np.ascontiguousarray(array, np.float32).tofile(path)
        return str(path)

    return write
