"""The drawings of the network are those of docs/drawings.py."""

import runpy
import xml.etree.ElementTree as ET

import pytest
from c_build import ROOT

DRAWINGS = runpy.run_path(str(ROOT / "docs/drawings.py"))["DRAWINGS"]


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_in_docs_is_what_the_script_draws(name):
    expected = DRAWINGS[name]()
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == expected, "run `make drawings`"


@pytest.mark.parametrize("name", DRAWINGS)
def test_all_of_a_drawing_lies_on_its_card(name):
    root = ET.fromstring(DRAWINGS[name]())
    width, height = float(root.get("width")), float(root.get("height"))
    points = [
        tuple(map(float, pair.split(",")))
        for shape in root.iter()
        for pair in shape.get("points", "").split()
    ]
    points += [(float(t.get("x")), float(t.get("y"))) for t in root.iter() if "x" in t.attrib]
    assert len(points) > 20
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


def test_the_tree_has_the_receptive_field_of_its_dilations():
    field = 1 + 1 + 2 + 4 + 8
    root = ET.fromstring(DRAWINGS["dilation.svg"]())
    used = [c for c in root.iter("{http://www.w3.org/2000/svg}circle") if "used" in c.get("class")]
    floor = max(float(circle.get("cy")) for circle in used)
    assert len([c for c in used if float(c.get("cy")) == floor]) == field
    assert len(used) == 1 + 2 + 4 + 8 + 16
