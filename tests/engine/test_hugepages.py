"""fastwavenet.hugepages: what Linux says of the memory that weights lie in."""

import sys

import pytest

from fastwavenet import hugepages

SMAPS = """\
1000-3000 rw-p 00000000 00:00 0
Size:                  8 kB
AnonHugePages:         4 kB
3000-5000 rw-p 00000000 00:00 0 [heap]
AnonHugePages:         8 kB
9000-a000 r--p 00000000 00:00 0
AnonHugePages:         0 kB
"""


@pytest.mark.parametrize(
    ("address", "size", "expected"),
    [
        (0x1000, 0x4000, 0x3000),  # two mappings, one of them half in huge pages
        (0x2000, 0x1000, 0x1000),
        (0x4FFF, 0x1, 0x1),
        (0x5000, 0x1000, 0),
        (0x9000, 0x1000, 0),
    ],
)
def test_the_bytes_of_a_range_are_counted(address, size, expected):
    assert hugepages._count(SMAPS.splitlines(), address, size) == expected


def test_it_is_unknown_where_the_kernel_does_not_say(monkeypatch, tmp_path):
    monkeypatch.setattr(hugepages, "SMAPS", str(tmp_path / "missing"))
    assert hugepages.huge_page_bytes(0, 1) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says")
def test_no_more_is_in_huge_pages_than_there_is():
    from engines import SPEC, model_of

    facts = model_of(SPEC).info()
    assert 0 <= facts["huge_page_bytes"] <= facts["arena_bytes"]
