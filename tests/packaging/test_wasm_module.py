"""The module of `make wasm`: its functions, its files and flags, and what happens without tools."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from c_build import ROOT, run, setup_names

BUILD = ROOT / "web" / "build.sh"
FUNCTION = re.compile(r"^[a-z].*[ *](fwn_\w+)\(", re.MULTILINE)
DESCRIBE = """
const bytes = require("fs").readFileSync(process.argv[1]);
const module = new WebAssembly.Module(bytes);
const { memory, ...engine } = new WebAssembly.Instance(module, {}).exports;
const at = engine.malloc(64);
const text = (from) => {
    const bytes = new Uint8Array(memory.buffer, from);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
};
const isas = new Int32Array(memory.buffer, at, engine.fwn_isa_list(at, 16));
console.log(JSON.stringify({
    imports: WebAssembly.Module.imports(module),
    exports: WebAssembly.Module.exports(module).map(({ name }) => name),
    isas: [...isas].map((isa) => text(engine.fwn_isa_name(isa))),
    error: text(engine.fwn_strerror(-1)),
}));
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wasm") / "fastwavenet.wasm"
    printed = run("sh", BUILD, out, cwd=ROOT)
    if not out.exists():
        assert "skipped" in printed
        pytest.skip(printed)
    assert printed == f"{out}: {out.stat().st_size} bytes\n"
    return out


@pytest.fixture(scope="module")
def described(module) -> dict:
    if shutil.which("node") is None:
        pytest.skip("this machine has no node")
    return json.loads(run("node", "-e", DESCRIBE, module))


def test_the_module_imports_nothing_and_exports_the_contract(described):
    functions = FUNCTION.findall((ROOT / "csrc" / "fastwavenet.h").read_text())
    assert described["imports"] == []
    assert sorted(described["exports"]) == sorted(["memory", "malloc", "free", *functions])
    assert len(functions) > 30


def test_the_module_has_vectors_and_texts(described):
    assert described["isas"] == ["wasm"]
    assert described["error"] == "out of memory"


def test_the_module_has_a_few_hundred_kilobytes(module):
    assert module.stat().st_size < 700_000


def test_the_module_is_built_of_all_files_with_the_flags_of_setup_py():
    text = BUILD.read_text()
    build = setup_names("wasm32")
    (files,) = re.findall(r"for file in (.*); do", text)
    assert files.split() == list(build["COMMON"])
    flags = re.search(r"clang (.*?) \"\$@\"", text.replace("\\\n", ""), re.DOTALL)[1].split()
    assert set(flags) >= {*build["FLAGS"], *build["ISA_FLAGS"]["wasm"]}


def test_the_fields_of_the_page_are_those_of_the_module():
    """The build checks web/layout.c, which the example of docs/wasm.md must follow."""
    layout = (ROOT / "web" / "layout.c").read_text()
    page = (ROOT / "docs" / "wasm.md").read_text()
    fields = re.findall(r"fields\.set\w+\((\d+), .*?, true\); /\* (\w+) \*/", page)
    assert [name for _, name in fields] == ["n", "temperature", "audio"]
    for offset, name in fields:
        assert f"AT(fwn_io, {name}, {offset});" in layout
    assert "engine.malloc(80)" in page and "SIZE(fwn_io, 80);" in layout


def test_without_the_tools_nothing_is_built_and_the_packages_are_named(tmp_path):
    clang = tmp_path / "clang"
    clang.write_text("#!/bin/sh\necho no wasm-ld >&2\nexit 1\n")
    clang.chmod(0o755)
    out = tmp_path / "out.wasm"
    done = subprocess.run(
        ["sh", BUILD, out], cwd=ROOT, env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and not out.exists()
    assert "no wasm-ld" in done.stdout and "skipped" in done.stdout and "wasi-libc" in done.stdout
