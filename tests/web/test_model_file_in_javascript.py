"""web/model_file.js accepts the files that modelfile.py accepts, and reads the same from them."""

import json
import re
import shutil
import subprocess

import hypothesis
import pytest
from c_build import ROOT
from damaged_models import damaged, edited
from hypothesis import given
from model_files import COST, DATA, DATA_WITH_COST, header_end, of_version, pack, saved, unpack
from networks import NETWORKS, random_weights

from fastwavenet.bundled_voices import model_path
from fastwavenet.modelfile import Contents, ModelFormatError, parse
from fastwavenet.spec import WaveNetSpec

FILES = {
    "the newest version": DATA,
    "with a precision cost": DATA_WITH_COST,
    "version 1": of_version(1),
    "version 2": of_version(2, loss=COST),
}


@pytest.fixture
def read(node, tmp_path):
    """A file's bytes -> its contents in JavaScript, or the message of its refusal."""

    def parsed(data: bytes) -> dict | str:
        path = tmp_path / "m.safetensors"
        path.write_bytes(data)
        try:
            return node.call("parse", path=path)
        except ValueError as error:
            assert str(error).startswith("ModelFormatError: "), error
            return str(error)

    return parsed


def assert_same_contents(found: dict, contents: Contents) -> None:
    assert WaveNetSpec.from_dict(found["spec"]) == contents.spec
    assert found["names"] == list(contents.weights)
    assert found["precisionCost"] == contents.precision_cost


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_a_model_is_read_as_in_python(read, data):
    assert_same_contents(read(data), parse(data))


@pytest.mark.parametrize("name", ["recorder-16k", "speech-16k", "speech-16k-small"])
def test_the_voices_that_ship_are_read_as_in_python(read, name):
    data = model_path(name).read_bytes()
    assert_same_contents(read(data), parse(data))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_every_kind_are_read_as_in_python(read, name):
    data = saved(NETWORKS[name], random_weights(NETWORKS[name], 1))
    assert_same_contents(read(data), parse(data))


def verdict(data: bytes) -> Contents | None:
    try:
        return parse(data)
    except ModelFormatError:
        return None


@hypothesis.settings(
    max_examples=300, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@given(data=edited() | damaged())
def test_a_damaged_file_is_refused_exactly_where_python_refuses_it(read, data):
    found, contents = read(data), verdict(data)
    if contents is None:
        assert isinstance(found, str), found
    else:
        assert_same_contents(found, contents)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, header_end(DATA) - 1, len(DATA) - 1])
def test_a_truncated_file_is_refused(read, size):
    assert isinstance(read(DATA[:size]), str)


WHOLE = {"residual": 2.0, "dilations": [1.0, 2], "levels": True, "kernel": "2"}


@pytest.mark.parametrize("field", WHOLE)
def test_sizes_must_be_whole_numbers_of_json(read, field):
    header, tensors = unpack(DATA)
    header["__metadata__"]["fastwavenet"]["spec"][field] = WHOLE[field]
    assert field in read(pack(header, tensors))


MESSAGES = {
    "a tensor that is missing": (
        lambda header: header.pop("first.bias"),
        "tensor 'first.bias' of shape (2) is missing",
    ),
    "an unexpected one": (
        lambda header: header.update(x={}),
        'unexpected tensor "x": the spec has none',
    ),
    "another dtype": (
        lambda header: header["first.bias"].update(dtype="F16"),
        'must be F32, not "F16"',
    ),
    "another shape": (
        lambda header: header["first.bias"].update(shape=[3]),
        "must have shape (2), not [3]",
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_a_message_names_the_expected_and_the_found(read, case):
    change, message = MESSAGES[case]
    header, tensors = unpack(DATA)
    change(header)
    assert message in read(pack(header, tensors))


def test_the_units_of_the_package_pass_their_tests_in_node():
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    tests = sorted((ROOT / "tests/web").glob("*.test.mjs"))
    command = ["node", "--test", *tests]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert tests and done.returncode == 0, done.stdout


def test_every_file_of_package_and_page_is_valid_javascript():
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    for path in [*(ROOT / "web").glob("*.js"), *(ROOT / "docs/play").glob("*.js")]:
        done = subprocess.run(["node", "--check", path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_package_needs_no_other():
    about = json.loads((ROOT / "web/package.json").read_text())
    assert not {"dependencies", "devDependencies", "peerDependencies"} & about.keys()
    for path in [*(ROOT / "web").glob("*.js"), *(ROOT / "docs/play").glob("*.js")]:
        for line in path.read_text().splitlines():
            assert "https://" not in line and "http://" not in line, (path.name, line)


def test_the_types_are_of_the_names_that_the_package_has():
    exported = re.findall(r"export \{([^}]*)\}", (ROOT / "web/index.js").read_text())
    names = {name.strip() for group in exported for name in group.split(",")}
    typed = re.findall(
        r"^export (?:class|function) (\w+)", (ROOT / "web/index.d.ts").read_text(), re.MULTILINE
    )
    assert names == set(typed)
